//! JPEG (ISO/IEC 10918-1, ITU-T T.81) of one component with Huffman codes: baseline, extended with 8 and 12 bits,
//! progressive, and lossless with up to 16 bits.
//!
//! | file | |
//! |---|---|
//! | `segments` | markers, the frame header |
//! | `huffman` | bits and codes |
//! | `dct` | sequential and progressive processes |
//! | `lossless` | process 14 |
//!
//! Crates decode 8 bits only, or no progressive 12 bits; pictures by themselves (`ingest::images`) use `image`.

mod dct;
mod huffman;
mod lossless;
pub(super) mod segments;
#[cfg(test)]
mod tests;

use super::{CodecError, FrameShape, levels_to_bytes};
use dct::Coefficients;
use huffman::Tables;
use segments::{RESTART_INTERVAL, START_OF_SCAN, Segments, damaged, frame_precision, restart_interval};

const HUFFMAN_TABLES: u8 = 0xc4;
const QUANTIZATION_TABLES: u8 = 0xdb;

/// Scans of one picture; progressive ones have a dozen.
const MOST_SCANS: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Sequential,
    Progressive,
    Lossless,
}

/// The header of a scan with what it holds.
struct Scan<'a> {
    dc: u8,
    ac: u8,
    /// First coefficient, or the predictor of the lossless process.
    start: u8,
    end: u8,
    /// Bits of the coefficients that came before.
    high: u8,
    /// Bits that are left out below.
    low: u32,
    /// Blocks (or lossless samples) between restart markers; 0 for none.
    interval: usize,
    data: &'a [u8],
}

impl<'a> Scan<'a> {
    fn read(header: &[u8], interval: usize, data: &'a [u8]) -> Result<Self, CodecError> {
        let &[1, _, tables, start, end, bits, ..] = header else {
            return Err(damaged("a scan header is not one of a single component"));
        };
        let scan = Self {
            dc: tables >> 4,
            ac: tables & 15,
            start,
            end,
            high: bits >> 4,
            low: (bits & 15).into(),
            interval,
            data,
        };
        Ok(scan)
    }
}

/// What a stream has stated so far.
struct Stream {
    tables: Tables,
    /// Steps of the coefficients by the number of their table.
    steps: [Option<[u16; 64]>; 4],
    interval: usize,
    frame: Option<Frame>,
}

struct Frame {
    process: Process,
    precision: u32,
    steps: u8,
    coefficients: Coefficients,
}

pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    let mut stream = Stream { tables: Tables::default(), steps: [None; 4], interval: 0, frame: None };
    let mut segments = Segments::new(bytes)?;
    let mut scans = 0;
    while let Some((marker, payload)) = segments.next()? {
        match marker {
            HUFFMAN_TABLES => stream.tables.define(payload)?,
            QUANTIZATION_TABLES => stream.define_steps(payload)?,
            RESTART_INTERVAL => stream.interval = restart_interval(payload),
            0xc0..=0xcf if marker != 0xc8 && marker != 0xcc => stream.begin(marker, payload, shape)?,
            START_OF_SCAN => {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(damaged("it has more scans than coefficients can fill"));
                }
                let scan = Scan::read(payload, stream.interval, segments.rest())?;
                if let Some(levels) = stream.scan(&scan, shape)? {
                    return levels_to_bytes(&levels, shape);
                }
                segments.skip_data(|next| matches!(next, 0 | 0xd0..=0xd7));
            }
            _ => {}
        }
    }
    levels_to_bytes(&stream.finish(shape)?, shape)
}

impl Stream {
    fn define_steps(&mut self, mut payload: &[u8]) -> Result<(), CodecError> {
        while let [head, rest @ ..] = payload {
            let width = if head >> 4 == 0 { 1 } else { 2 };
            let table = rest.get(..64 * width).ok_or_else(|| damaged("a quantization table is incomplete"))?;
            let mut steps = [0; 64];
            for (step, bytes) in steps.iter_mut().zip(table.chunks_exact(width)) {
                *step = bytes.iter().fold(0, |step, &byte| step << 8 | u16::from(byte));
            }
            let place = self.steps.get_mut(usize::from(head & 15));
            *place.ok_or_else(|| damaged("a quantization table has no valid number"))? = Some(steps);
            payload = rest.get(64 * width..).unwrap_or_default();
        }
        Ok(())
    }

    fn begin(&mut self, marker: u8, payload: &[u8], shape: FrameShape) -> Result<(), CodecError> {
        let process = match marker {
            0xc0 | 0xc1 => Process::Sequential,
            0xc2 => Process::Progressive,
            0xc3 => Process::Lossless,
            0xc5..=0xc7 => return Err(CodecError::Unsupported("a hierarchy of pictures".to_owned())),
            _ => return Err(CodecError::Unsupported("arithmetic coding".to_owned())),
        };
        if self.frame.is_some() {
            return Err(damaged("it has two frames"));
        }
        let precision = frame_precision(payload, shape)?;
        if process != Process::Lossless && !matches!(precision, 8 | 12) {
            return Err(damaged(&format!("the frame has {precision} bits a pixel instead of 8 or 12")));
        }
        let steps = payload.get(8).copied().ok_or_else(|| damaged("the frame header is incomplete"))?;
        let transformed = if process == Process::Lossless { FrameShape { rows: 0, ..shape } } else { shape };
        self.frame = Some(Frame { process, precision, steps, coefficients: Coefficients::new(transformed) });
        Ok(())
    }

    /// Takes a scan in; gives the picture where one scan is all there is.
    fn scan(&mut self, scan: &Scan<'_>, shape: FrameShape) -> Result<Option<Vec<u16>>, CodecError> {
        let frame = self.frame.as_mut().ok_or_else(|| damaged("a scan comes before its frame"))?;
        match frame.process {
            Process::Lossless if (1..=7).contains(&scan.start) => {
                lossless::decode(scan, self.tables.dc(scan.dc)?, frame.precision, shape).map(Some)
            }
            Process::Lossless => Err(damaged(&format!("there is no predictor {}", scan.start))),
            Process::Sequential => frame.coefficients.sequential(scan, &self.tables).map(|()| None),
            Process::Progressive if scan.start <= scan.end && scan.end < 64 && scan.low < 14 => {
                frame.coefficients.progressive(scan, &self.tables).map(|()| None)
            }
            Process::Progressive => Err(damaged("a scan is of no coefficients")),
        }
    }

    fn finish(&self, shape: FrameShape) -> Result<Vec<u16>, CodecError> {
        let frame = self.frame.as_ref().filter(|frame| frame.coefficients.begun);
        let frame = frame.ok_or_else(|| damaged("there is no picture in it"))?;
        let steps = self.steps.get(usize::from(frame.steps)).and_then(Option::as_ref);
        let steps = steps.ok_or_else(|| damaged("the quantization table is missing"))?;
        Ok(frame.coefficients.samples(steps, frame.precision, shape))
    }
}
