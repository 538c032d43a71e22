//! Marker segments (ISO/IEC 10918-1 annex B), which JPEG and JPEG-LS share, and what a frame header must agree with.

use super::super::{CodecError, FrameShape};

pub(in super::super) const START_OF_IMAGE: u8 = 0xd8;
pub(in super::super) const END_OF_IMAGE: u8 = 0xd9;
pub(in super::super) const START_OF_SCAN: u8 = 0xda;
pub(in super::super) const RESTART_INTERVAL: u8 = 0xdd;

/// Walks from marker to marker.
pub(in super::super) struct Segments<'a> {
    bytes: &'a [u8],
}

impl<'a> Segments<'a> {
    /// Segments after the start-of-image marker.
    pub(in super::super) fn new(bytes: &'a [u8]) -> Result<Self, CodecError> {
        match bytes {
            [0xff, START_OF_IMAGE, rest @ ..] => Ok(Self { bytes: rest }),
            _ => Err(damaged("there is no start-of-image mark")),
        }
    }

    /// The next marker and what its segment holds; `None` at the end of the image.
    pub(in super::super) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, CodecError> {
        loop {
            match *self.bytes {
                // Fill bytes before a marker, restart marks that nothing follows, and start marks given twice.
                [0xff, 0xff, ..] => self.bytes = self.bytes.get(1..).unwrap_or_default(),
                [0xff, 0xd0..=START_OF_IMAGE, ..] => self.bytes = self.bytes.get(2..).unwrap_or_default(),
                [0xff, END_OF_IMAGE, ..] | [] => return Ok(None),
                [0xff, marker, high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let payload =
                        self.bytes.get(4..length + 2).ok_or_else(|| damaged("a segment is longer than the data"))?;
                    self.bytes = self.bytes.get(length + 2..).unwrap_or_default();
                    return Ok(Some((marker, payload)));
                }
                _ => return Err(damaged("there is no marker where one should be")),
            }
        }
    }

    /// What follows the segment that was read last: the entropy-coded data after a scan header.
    pub(in super::super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Goes to the next marker that ends entropy-coded data. `stuffed` tells bytes that may follow 0xff in them.
    pub(in super::super) fn skip_data(&mut self, stuffed: impl Fn(u8) -> bool) {
        let end = self.bytes.windows(2).position(|pair| matches!(*pair, [0xff, next] if !stuffed(next)));
        self.bytes = end.and_then(|end| self.bytes.get(end..)).unwrap_or_default();
    }
}

/// Bits a sample, from a frame header that fits the picture.
pub(in super::super) fn frame_precision(payload: &[u8], shape: FrameShape) -> Result<u32, CodecError> {
    let &[precision, y1, y0, x1, x0, components, ..] = payload else {
        return Err(damaged("the frame header is incomplete"));
    };
    let (rows, columns) = (usize::from(u16::from_be_bytes([y1, y0])), usize::from(u16::from_be_bytes([x1, x0])));
    if components != 1 {
        return Err(damaged(&format!("the frame has {components} components, the header says one")));
    }
    // No rows means that their number follows the first scan; the header knows it.
    if (rows != 0 && rows != shape.rows) || columns != shape.columns {
        let detail = format!("the frame is {columns} x {rows}, the header says {} x {}", shape.columns, shape.rows);
        return Err(damaged(&detail));
    }
    if !(2..=16).contains(&precision) || usize::from(precision) > 8 * shape.pixel_bytes {
        let detail = format!("the frame has {precision} bits a pixel, the header {} bytes", shape.pixel_bytes);
        return Err(damaged(&detail));
    }
    Ok(precision.into())
}

/// A restart interval, as a segment of two to four bytes states it.
pub(in super::super) fn restart_interval(payload: &[u8]) -> usize {
    payload.iter().take(4).fold(0, |interval, &byte| interval << 8 | usize::from(byte))
}

pub(in super::super) fn damaged(detail: &str) -> CodecError {
    CodecError::Damaged(format!("its JPEG data are damaged: {detail}"))
}
