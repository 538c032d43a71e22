//! Encapsulated pixel data: fragments to frames (PS3.5 annex A.4), and a decoder for each compression.
//!
//! A decoder turns the bytes of one frame into the bytes that an uncompressed little-endian frame would have.

mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
mod rle;

use super::elements::PixelLocation;
use crate::ingest::ByteSource;
use dicom_dictionary_std::uids;
use std::io;
use std::ops::Range;

/// Compressions that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Not compressed, though in fragments.
    Stored,
    Rle,
    /// Baseline, extended, progressive and lossless.
    Jpeg,
    JpegLs,
    /// Of high throughput as well.
    Jpeg2000,
}

/// Why a frame was not decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    /// The stream uses what the decoder does not know, such as arithmetic coding.
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Damaged(String),
    #[error("reading: {0}")]
    Io(#[from] io::Error),
}

/// What the header says about a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameShape {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) pixel_bytes: usize,
}

impl FrameShape {
    fn bytes(self) -> usize {
        self.rows * self.columns * self.pixel_bytes
    }
}

/// Encapsulated Uncompressed Explicit VR Little Endian.
const ENCAPSULATED_UNCOMPRESSED: &str = "1.2.840.10008.1.2.1.98";

impl Codec {
    /// The decoder for a transfer syntax, where there is one.
    pub(super) fn of(transfer_syntax: &str) -> Option<Self> {
        match transfer_syntax {
            ENCAPSULATED_UNCOMPRESSED => Some(Self::Stored),
            uids::RLE_LOSSLESS => Some(Self::Rle),
            uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
                Some(Self::Jpeg)
            }
            // Retired: processes 6, 8, 10 and 12, spectral selection and full progression.
            "1.2.840.10008.1.2.4.53" | "1.2.840.10008.1.2.4.55" => Some(Self::Jpeg),
            uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => Some(Self::JpegLs),
            uids::JPEG2000_LOSSLESS
            | uids::JPEG2000
            | uids::HTJ2K_LOSSLESS
            | uids::HTJ2K_LOSSLESS_RPCL
            | uids::HTJ2K => Some(Self::Jpeg2000),
            _ => None,
        }
    }

    /// Decodes a frame to `rows * columns * pixel_bytes` bytes, little-endian.
    pub(super) fn decode(self, bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
        let decoded = match self {
            Self::Rle => rle::decode(bytes, shape)?,
            Self::Jpeg => jpeg::decode(bytes, shape)?,
            Self::JpegLs => jpeg_ls::decode(bytes, shape)?,
            Self::Jpeg2000 => jpeg_2000::decode(bytes, shape)?,
            Self::Stored => bytes.get(..shape.bytes()).unwrap_or(bytes).to_vec(),
        };
        let expected = shape.bytes();
        if decoded.len() == expected {
            Ok(decoded)
        } else {
            Err(CodecError::Damaged(format!("a frame has {} bytes instead of {expected}", decoded.len())))
        }
    }
}

/// Places of the fragments of each frame.
pub(super) type FrameFragments = Vec<Vec<Range<u64>>>;

/// Finds the fragments of each of `count` frames.
pub(super) fn fragments(
    source: &dyn ByteSource,
    pixels: PixelLocation,
    count: usize,
) -> Result<FrameFragments, CodecError> {
    let mut items = items(source, pixels.offset)?.into_iter();
    let table = items.next().ok_or_else(|| CodecError::Damaged("the pixel data have no offset table".to_owned()))?;
    let fragments: Vec<Range<u64>> = items.collect();
    if fragments.len() == count {
        return Ok(fragments.into_iter().map(|fragment| vec![fragment]).collect());
    }
    if count == 1 && !fragments.is_empty() {
        return Ok(vec![fragments]);
    }
    let offsets = offsets(source, &table)?;
    if offsets.is_empty() {
        let frames = by_marks(source, &fragments)?;
        if frames.len() == count {
            return Ok(frames);
        }
    }
    if offsets.len() != count || !offsets.is_sorted() {
        let detail = format!(
            "{count} frames are in {} fragments, and the offset table does not tell them apart",
            fragments.len()
        );
        return Err(CodecError::Damaged(detail));
    }
    // Offsets count from the first byte of the first fragment's item header.
    let base = table.end;
    let mut frames: FrameFragments = vec![Vec::new(); count];
    for fragment in fragments {
        let start = fragment.start.saturating_sub(8).saturating_sub(base);
        let frame = offsets.partition_point(|&offset| offset <= start).saturating_sub(1);
        if let Some(frame) = frames.get_mut(frame) {
            frame.push(fragment);
        }
    }
    Ok(frames)
}

/// Frames without an offset table: each begins with the mark of a JPEG, JPEG-LS or JPEG 2000 stream (PS3.5 A.4).
fn by_marks(source: &dyn ByteSource, fragments: &[Range<u64>]) -> Result<FrameFragments, CodecError> {
    let mut frames: FrameFragments = Vec::new();
    for fragment in fragments {
        let starts = matches!(*source.read_at(fragment.start, 2)?, [0xff, 0xd8 | 0x4f]);
        match frames.last_mut() {
            Some(frame) if !starts => frame.push(fragment.clone()),
            _ => frames.push(vec![fragment.clone()]),
        }
    }
    Ok(frames)
}

/// Values of the items from `offset` to the end of the sequence.
fn items(source: &dyn ByteSource, mut offset: u64) -> Result<Vec<Range<u64>>, CodecError> {
    let mut items = Vec::new();
    loop {
        let header = source.read_at(offset, 8)?;
        let Some(&[0xfe, 0xff, e0, e1, l0, l1, l2, l3]) = header.first_chunk::<8>() else {
            return Err(CodecError::Damaged("the fragments of the pixel data end too early".to_owned()));
        };
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let end = offset.saturating_add(8).saturating_add(length);
        match (e0, e1) {
            (0x00, 0xe0) if end <= source.len() => items.push(offset + 8..end),
            (0xdd, 0xe0) => return Ok(items),
            _ => return Err(CodecError::Damaged("a fragment of the pixel data is longer than the file".to_owned())),
        }
        offset = end;
    }
}

fn offsets(source: &dyn ByteSource, table: &Range<u64>) -> Result<Vec<u64>, CodecError> {
    let length = usize::try_from(table.end - table.start).unwrap_or(usize::MAX);
    let bytes = source.read_at(table.start, length)?;
    let (entries, _) = bytes.as_chunks::<4>();
    Ok(entries.iter().map(|&entry| u64::from(u32::from_le_bytes(entry))).collect())
}

/// The bytes of a frame, its fragments joined.
pub(super) fn frame_bytes(source: &dyn ByteSource, fragments: &[Range<u64>]) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    for fragment in fragments {
        let length = usize::try_from(fragment.end - fragment.start).unwrap_or(usize::MAX);
        bytes.extend(source.read_at(fragment.start, length)?);
    }
    Ok(bytes)
}

/// Levels as the bytes of an uncompressed frame, whose pixels are at least as wide.
fn levels_to_bytes(levels: &[u16], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    Ok(match shape.pixel_bytes {
        1 => levels.iter().map(|&level| level as u8).collect(),
        2 => levels.iter().flat_map(|level| level.to_le_bytes()).collect(),
        4 => levels.iter().flat_map(|&level| u32::from(level).to_le_bytes()).collect(),
        bytes => return Err(CodecError::Damaged(format!("the header says {bytes} bytes a pixel"))),
    })
}
