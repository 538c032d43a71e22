//! JPEG 2000 (ISO/IEC 15444-1, ITU-T T.800) by the `hayro-jpeg2000` crate, and High-Throughput JPEG 2000 (ISO/IEC 15444-15, ITU-T
//! T.814) by `dicom-toolkit-jpeg2000`, which began as a copy of it and is slower at the former. As a bare codestream or in a file.

use super::{CodecError, FrameShape};
use dicom_toolkit_jpeg2000 as high_throughput;
use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};
use high_throughput::{DecodeError, DecodingError};

/// Marker of the sizes, which follows the start of a codestream.
const SIZES: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
/// From the start of a codestream to the format of the first component (A.5.1).
const TO_FORMAT: usize = 42;
/// Capabilities beyond part 1: streams of high throughput have them (T.814, A.2).
const CAPABILITIES: u8 = 0x50;
const CODING_STYLE: u8 = 0x52;
const START_OF_TILE: u8 = 0x90;
/// Place of the wavelet in the coding style, and the one that loses nothing (A.6.1).
const WAVELET: usize = 9;
const REVERSIBLE: u8 = 1;

pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    let start = bytes.windows(SIZES.len()).position(|window| window == SIZES);
    let codestream = start.and_then(|start| bytes.get(start..)).unwrap_or_default();
    let format = *codestream.get(TO_FORMAT).ok_or_else(|| damaged("the codestream has no header"))?;
    let bits = u32::from(format & 0x7f) + 1;
    // Both crates take every component as unsigned and lift it by half its range.
    let (lift, low, high) = if format & 0x80 == 0 {
        (0.0, 0.0, 2_f32.powi(bits as i32) - 1.0)
    } else {
        let half = 2_f32.powi(bits as i32 - 1);
        (half, -half, half - 1.0)
    };
    let samples = if segment(codestream, CAPABILITIES).is_none() {
        samples(bytes, shape)?
    } else if segment(codestream, CODING_STYLE).and_then(|style| style.get(WAVELET)) == Some(&REVERSIBLE) {
        fast_samples(bytes, shape)?
    } else {
        // The crate would give values that are off by up to half a step of the quantization, always towards 0.
        return Err(CodecError::Unsupported("with loss".to_owned()));
    };
    let values = samples.into_iter().map(|sample| (sample.round() - lift).clamp(low, high) as i32);
    // Two's complement of whatever width: the header says how many of the bits count.
    Ok(match shape.pixel_bytes {
        1 => values.map(|value| value as u8).collect(),
        2 => values.flat_map(|value| (value as u16).to_le_bytes()).collect(),
        _ => values.flat_map(i32::to_le_bytes).collect(),
    })
}

/// What a marker segment of the main header holds (A.1).
fn segment(codestream: &[u8], marker: u8) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let &[0xff, found, high, low] = codestream.get(at..)?.first_chunk()? else { return None };
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        match found {
            START_OF_TILE => return None,
            _ if found == marker => return codestream.get(at + 4..end),
            _ => at = end,
        }
    }
}

fn samples(bytes: &[u8], shape: FrameShape) -> Result<Vec<f32>, CodecError> {
    let settings = DecodeSettings { resolve_palette_indices: false, strict: false, target_resolution: None };
    let image = Image::new(bytes, &settings).map_err(damaged)?;
    check_size(image.height(), image.width(), shape)?;
    if !matches!(image.color_space(), ColorSpace::Gray) || image.has_alpha() {
        return Err(damaged(SEVERAL));
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(damaged)?;
    let component = decoded.components().first().ok_or_else(|| damaged("it has no component"))?;
    Ok(component.samples().to_vec())
}

fn fast_samples(bytes: &[u8], shape: FrameShape) -> Result<Vec<f32>, CodecError> {
    let failed = |error: DecodeError| match error {
        DecodeError::Decoding(DecodingError::UnsupportedFeature(what)) => CodecError::Unsupported(what.to_owned()),
        error => damaged(error),
    };
    let settings = high_throughput::DecodeSettings { resolve_palette_indices: false, ..Default::default() };
    let image = high_throughput::Image::new(bytes, &settings).map_err(failed)?;
    check_size(image.height(), image.width(), shape)?;
    if image.original_bit_depth() > 16 {
        return Err(CodecError::Unsupported("more than 16 bits a pixel".to_owned()));
    }
    if !matches!(image.color_space(), high_throughput::ColorSpace::Gray) || image.has_alpha() {
        return Err(damaged(SEVERAL));
    }
    let decoded = image.decode_native().map_err(failed)?;
    Ok(if decoded.bytes_per_sample == 1 {
        decoded.data.into_iter().map(f32::from).collect()
    } else {
        let (pairs, _) = decoded.data.as_chunks();
        pairs.iter().map(|&pair| f32::from(u16::from_le_bytes(pair))).collect()
    })
}

const SEVERAL: &str = "it has several components, the header says one";

fn check_size(height: u32, width: u32, shape: FrameShape) -> Result<(), CodecError> {
    if (height as usize, width as usize) == (shape.rows, shape.columns) {
        return Ok(());
    }
    Err(damaged(format!("the image is {width} x {height}, the header says {} x {}", shape.columns, shape.rows)))
}

fn damaged(detail: impl std::fmt::Display) -> CodecError {
    CodecError::Damaged(format!("its JPEG 2000 data are damaged: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written by OpenJPH 0.26.3: 24 x 20 pixels of `bowl`, signed and without loss; 1024 higher, unsigned, with loss.
    const LOSSLESS: &str = "\
        ff4fff5100294000000000180000001400000000000000000000001800000014000000000000000000018f0101ff50000800020000000aff \
        52000c00020001000304044001ff5c000d2088909090909090888888ff64001700014f70656e4a50482056657220302e32362e332eff9000 \
        0a0000000001470001ff93c0002d40a58a6e51e35046e497bbf1550505b864007f9800c000168c000158dff7fb696a7e7d69fe00305b8310 \
        f9b8009fe8cfe827fa000000f9b600c000174300005d1877efdddd5d5c4848dcbd77777771212171efee85c4004ffee73bd65c616a31bc00 \
        e73ccf39e79c73ce39cf73ce39e79c03170e0e2e1cdc067bc9ee7d7eb2e0062431bd00c0002f4c80005ebab555555555150a08446d555555 \
        55850202515b55555555a18040d45655555555282010b555555555150a08c47676bf5ebf597ced7ebd7eb2f9dafd7afd65f3b5faf5facb88 \
        4b1a8c6a31b002c94c9224499224499224334992244992244992cc2449922449922449329324499224499224095e8297e02578095e8297e0 \
        2578095e8297e02578000002080000208000031fd7afd7afd65fd7afd7afd65fd7afd7afd65f31b31b31b302ffd9";
    const LOSSY: &str = "\
        ff4fff5100294000000000180000001400000000000000000000001800000014000000000000000000010f0101ff500008000200000025ff \
        52000c00020001000304044000ff5c0017227f937faa7faa7fc2683568356878601a601a6fbfff64001700014f70656e4a50482056657220 \
        302e32362e332eff90000a0000000000820001ff93c000b640a9c04c3024d81ad4037f41347029e808fe244bcce700f9b800c000ac800150 \
        c90c8429c10000b724f9b7005babb6fe2b7eb400c002b600168027e40939f800732c9751591800ff5f1491224033de4f7375d4f5ea3b00c0 \
        054c00558000fcf3f805294be70002e0ff4fefdfefdfecb900ffd9";

    fn bowl(x: i32, y: i32) -> i32 {
        3 * (x - 11).pow(2) + 5 * (y - 9).pow(2) - 1024
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn worst(decoded: &[u8]) -> i32 {
        assert_eq!(decoded.len(), 2 * 24 * 20);
        let value = |(place, pair): (usize, &[u8])| {
            let value = i32::from(i16::from_le_bytes([pair[0], pair[1]]));
            (value - bowl(place as i32 % 24, place as i32 / 24)).abs()
        };
        decoded.chunks_exact(2).enumerate().map(value).max().unwrap()
    }

    const SHAPE: FrameShape = FrameShape { rows: 20, columns: 24, pixel_bytes: 2 };

    #[test]
    fn streams_of_high_throughput_are_decoded_if_they_lost_nothing() {
        assert_eq!(worst(&decode(&bytes(LOSSLESS), SHAPE).unwrap()), 0);
        assert!(matches!(decode(&bytes(LOSSY), SHAPE), Err(CodecError::Unsupported(_))));
    }

    #[test]
    fn another_size_than_the_header_says_is_damaged() {
        let other = decode(&bytes(LOSSLESS), FrameShape { rows: 24, columns: 20, ..SHAPE });
        assert!(matches!(other, Err(CodecError::Damaged(_))));
    }

    #[test]
    fn a_cut_or_changed_stream_never_panics() {
        let whole = bytes(LOSSLESS);
        for length in 0..whole.len() {
            let _ = decode(&whole[..length], SHAPE);
        }
        for place in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[place] = value;
                let _ = decode(&changed, SHAPE);
            }
        }
    }
}
