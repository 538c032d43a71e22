//! Stored pixels to Hounsfield units (PS3.5 section 8, PS3.3 section C.7.6.3 and C.11.1).

use super::codecs::{self, Codec, CodecError, FrameFragments, FrameShape};
use super::elements::{DataSet, EXPLICIT_BIG_ENDIAN, Parsed};
use super::header::{Frame, Header};
use crate::ingest::fault::Fault;
use dicom_dictionary_std::{tags, uids};

/// What lies above in a CT file is padding if the file calls it so, in Hounsfield units: the 12-bit scale ends here.
const CT_ABOVE: f64 = 3071.0;
/// Hounsfield units of the lowest value of the 12-bit scale, for what was not measured.
const AIR: f32 = -1024.0;
/// CT compresses to a half or a tenth.
const USUAL_COMPRESSION: u64 = 20;

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelFormat {
    pub(super) rows: usize,
    pub(super) columns: usize,
    kind: Kind,
    big_endian: bool,
    /// How frames are compressed, if they are.
    codec: Option<Codec>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Integers of `bytes` bytes, of which `bits` bits up to `high_bit` count.
    Integer {
        bytes: usize,
        bits: u32,
        high_bit: u32,
        signed: bool,
    },
    Float,
    Double,
}

impl PixelFormat {
    pub(super) fn read(data: &DataSet, parsed: &Parsed, path: &str) -> Result<Self, Fault> {
        let name = || path.to_owned();
        let encapsulated = parsed.pixels.is_some_and(|pixels| pixels.length.is_none());
        let codec = Codec::of(&parsed.transfer_syntax).filter(|_| encapsulated);
        if codec.is_none() && (encapsulated || !is_uncompressed(&parsed.transfer_syntax)) {
            return Err(Fault::UnsupportedTransferSyntax {
                name: name(),
                syntax: syntax_name(&parsed.transfer_syntax),
            });
        }
        let (Some(rows), Some(columns)) = (data.short(tags::ROWS), data.short(tags::COLUMNS)) else {
            return Err(Fault::Damaged { path: name(), detail: "it does not state its rows and columns".to_owned() });
        };
        let samples = data.short(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        if samples != 1 {
            return Err(Fault::UnsupportedPixels { name: name(), detail: format!("has {samples} values a pixel") });
        }
        let kind = match parsed.pixels.map(|pixels| pixels.tag) {
            Some(tags::FLOAT_PIXEL_DATA) => Kind::Float,
            Some(tags::DOUBLE_FLOAT_PIXEL_DATA) => Kind::Double,
            _ => integer(data).map_err(|detail| Fault::UnsupportedPixels { name: name(), detail })?,
        };
        Ok(Self { rows: rows.into(), columns: columns.into(), kind, big_endian: parsed.big_endian, codec })
    }

    pub(super) fn is_signed(&self) -> bool {
        matches!(self.kind, Kind::Integer { signed: true, .. })
    }

    /// The number that the bits `stored` stand for.
    pub(super) fn number(&self, stored: u32) -> f64 {
        let Kind::Integer { bits, high_bit, signed, .. } = self.kind else { return f64::from(stored) };
        // The bits that count are moved to the top, then down again with or without their sign; what other bits hold
        // (overlays, in old files) goes.
        let (top, down) = (stored << (31 - high_bit), 32 - bits);
        if signed { f64::from(top as i32 >> down) } else { f64::from(top >> down) }
    }

    fn pixel_bytes(&self) -> usize {
        match self.kind {
            Kind::Integer { bytes, .. } => bytes,
            Kind::Float => 4,
            Kind::Double => 8,
        }
    }

    /// Bytes of an uncompressed frame; 64 bits, since what a header claims may not fit into 32.
    pub(super) fn frame_bytes(&self) -> u64 {
        (self.rows * self.columns) as u64 * self.pixel_bytes() as u64
    }
}

fn integer(data: &DataSet) -> Result<Kind, String> {
    let allocated = data.short(tags::BITS_ALLOCATED).unwrap_or(16);
    let bytes = match allocated {
        8 => 1,
        16 => 2,
        32 => 4,
        other => return Err(format!("stores pixels in {other} bits")),
    };
    let bits = data.short(tags::BITS_STORED).unwrap_or(allocated);
    let high_bit = data.short(tags::HIGH_BIT).unwrap_or(bits.saturating_sub(1));
    if bits == 0 || bits > allocated || high_bit >= allocated || high_bit + 1 < bits {
        return Err(format!("claims {bits} bits up to bit {high_bit} in {allocated}"));
    }
    let signed = data.short(tags::PIXEL_REPRESENTATION) == Some(1);
    Ok(Kind::Integer { bytes, bits: bits.into(), high_bit: high_bit.into(), signed })
}

/// Appends the values of frame `index` in Hounsfield units. MONOCHROME1 is a hint for display and changes no value.
pub(super) fn read_frame(header: &Header, index: usize, frame: &Frame, voxels: &mut Vec<f32>) -> Result<(), Fault> {
    let format = &header.format;
    let bytes = match format.codec {
        None => stored_frame(header, index)?,
        Some(codec) => decoded_frame(header, index, codec)?,
    };
    let rescale = |value: f64| match &header.lut {
        Some(lut) => lut.value(value),
        None => (value * frame.slope + frame.intercept) as f32,
    };
    // Padding below the scale is as good as air; above it, it would be taken for metal.
    let bright_padding = header.padding.filter(|[low, _]| low * frame.slope + frame.intercept > CT_ABOVE);
    match format.kind {
        Kind::Float => each(&bytes, format.big_endian, voxels, |item| rescale(f64::from(f32::from_le_bytes(item)))),
        Kind::Double => each(&bytes, format.big_endian, voxels, |item| rescale(f64::from_le_bytes(item))),
        Kind::Integer { bytes: size, .. } => {
            let value = |stored: u32| {
                let number = format.number(stored);
                match bright_padding {
                    Some([low, high]) if (low..=high).contains(&number) => AIR,
                    _ => rescale(number),
                }
            };
            match size {
                1 => each(&bytes, false, voxels, |[byte]: [u8; 1]| value(byte.into())),
                2 => each(&bytes, format.big_endian, voxels, |item| value(u16::from_le_bytes(item).into())),
                _ => each(&bytes, format.big_endian, voxels, |item| value(u32::from_le_bytes(item))),
            }
        }
    }
    Ok(())
}

fn stored_frame(header: &Header, index: usize) -> Result<Vec<u8>, Fault> {
    let offset = header.pixels.offset + header.format.frame_bytes() * index as u64;
    let length = usize::try_from(header.format.frame_bytes()).unwrap_or(usize::MAX);
    let bytes = header.source.read_at(offset, length).map_err(|error| Fault::unreadable(&header.path, &error))?;
    if bytes.len() < length {
        let detail = format!("frame {index} has {} of {length} bytes", bytes.len());
        return Err(Fault::Truncated { path: header.path.clone(), detail });
    }
    Ok(bytes)
}

/// Places of the frames of a file, looked up once: a file of many frames would be walked through as many times.
fn fragments_of(header: &Header) -> Result<&FrameFragments, CodecError> {
    if let Some(fragments) = header.fragments.get() {
        return Ok(fragments);
    }
    let found = codecs::fragments(header.source.as_ref(), header.pixels, header.frames.len())?;
    Ok(header.fragments.get_or_init(|| found))
}

/// Whether the pixels of a file need about as much room as they claim: a header can claim many compressed frames that
/// no data follow, and room for them is made only as they come.
pub(super) fn fills_its_claim(header: &Header) -> bool {
    let Some(codec) = header.format.codec else { return true };
    let bytes = || {
        let fragments = fragments_of(header).ok()?.iter().flatten();
        Some(fragments.map(|fragment| fragment.end - fragment.start).sum::<u64>())
    };
    codec == Codec::Stored
        || bytes().is_some_and(|bytes| {
            header.format.frame_bytes().saturating_mul(header.frames.len() as u64)
                < bytes.saturating_mul(USUAL_COMPRESSION)
        })
}

fn decoded_frame(header: &Header, index: usize, codec: Codec) -> Result<Vec<u8>, Fault> {
    let failed = |error: CodecError| match error {
        CodecError::Unsupported(detail) => {
            let syntax = format!("{} ({detail})", syntax_name(&header.transfer_syntax));
            Fault::UnsupportedTransferSyntax { name: header.path.clone(), syntax }
        }
        CodecError::Io(error) => Fault::unreadable(&header.path, &error),
        CodecError::Damaged(detail) => Fault::Damaged { path: header.path.clone(), detail },
    };
    let format = &header.format;
    let shape = FrameShape { rows: format.rows, columns: format.columns, pixel_bytes: format.pixel_bytes() };
    let source = header.source.as_ref();
    let fragments = fragments_of(header).map_err(failed)?;
    let fragments = fragments.get(index).map(Vec::as_slice).unwrap_or_default();
    let bytes = codecs::frame_bytes(source, fragments).map_err(failed)?;
    codec.decode(&bytes, shape).map_err(failed)
}

fn each<const N: usize>(bytes: &[u8], big_endian: bool, voxels: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
    let (items, _) = bytes.as_chunks::<N>();
    voxels.extend(items.iter().map(|&(mut item)| {
        if big_endian {
            item.reverse();
        }
        value(item)
    }));
}

fn is_uncompressed(uid: &str) -> bool {
    matches!(
        uid,
        uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::EXPLICIT_VR_LITTLE_ENDIAN
            | EXPLICIT_BIG_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    )
}

fn syntax_name(uid: &str) -> String {
    let name = match uid {
        uids::RLE_LOSSLESS => "RLE",
        uids::JPEG_BASELINE8_BIT => "JPEG baseline",
        uids::JPEG_EXTENDED12_BIT => "JPEG extended (12 bit)",
        "1.2.840.10008.1.2.4.53" | "1.2.840.10008.1.2.4.55" => "JPEG progressive",
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => "JPEG lossless",
        uids::JPEGLS_LOSSLESS => "JPEG-LS lossless",
        uids::JPEGLS_NEAR_LOSSLESS => "JPEG-LS near-lossless",
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => "JPEG 2000",
        uids::HTJ2K_LOSSLESS | uids::HTJ2K_LOSSLESS_RPCL | uids::HTJ2K => "High-Throughput JPEG 2000",
        uids::JPEGXL_LOSSLESS | uids::JPEGXLJPEG_RECOMPRESSION | uids::JPEGXL => "JPEG XL",
        other => return format!("transfer syntax {}", other.chars().take(64).collect::<String>()),
    };
    name.to_owned()
}
