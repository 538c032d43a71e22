//! DICOM run-length encoding (PS3.5 annex G): a segment for each byte of a pixel, most significant first, each packed
//! as by `PackBits`.

use super::{CodecError, FrameShape};

/// Bytes of the header: a count and fifteen offsets.
const HEADER_BYTES: usize = 64;

pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    let damaged = |detail: &str| CodecError::Damaged(format!("its RLE data are damaged: {detail}"));
    let header = bytes.first_chunk::<HEADER_BYTES>().ok_or_else(|| damaged("the header is incomplete"))?;
    let (words, _) = header.as_chunks::<4>();
    let mut words = words.iter().map(|&word| u32::from_le_bytes(word) as usize);
    let count = words.next().unwrap_or(0);
    if count != shape.pixel_bytes {
        return Err(damaged("the number of segments is not that of bytes a pixel"));
    }
    let starts: Vec<usize> = words.take(count).collect();
    let area = shape.rows * shape.columns;
    let mut pixels = vec![0; area * count];
    for (segment, &start) in starts.iter().enumerate() {
        let end = starts.get(segment + 1).copied().unwrap_or(bytes.len());
        let packed = bytes.get(start..end).ok_or_else(|| damaged("a segment lies outside"))?;
        // Little-endian output: the first segment, the most significant byte, goes last.
        let place = count - 1 - segment;
        let mut target = pixels.chunks_exact_mut(count).filter_map(|pixel| pixel.get_mut(place));
        let mut source = packed.iter().copied();
        let mut filled = 0;
        while filled < area {
            let control = source.next().ok_or_else(|| damaged("a segment ends too early"))? as i8;
            let length = match control {
                0.. => usize::from(control.unsigned_abs()) + 1,
                -128 => continue,
                _ => usize::from(control.unsigned_abs()) + 1,
            };
            let repeated = if control < 0 { source.next() } else { None };
            for _ in 0..length {
                let byte = if control < 0 { repeated } else { source.next() };
                let byte = byte.ok_or_else(|| damaged("a run ends too early"))?;
                // A run may reach beyond the last pixel by the padding to even length.
                if let Some(target) = target.next() {
                    *target = byte;
                }
            }
            filled += length;
        }
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: FrameShape = FrameShape { rows: 2, columns: 3, pixel_bytes: 2 };

    fn encoded(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![segments.len() as u32];
        let mut start = HEADER_BYTES;
        for segment in segments {
            header.push(start as u32);
            start += segment.len();
        }
        header.resize(16, 0);
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(segments.concat());
        bytes
    }

    #[test]
    fn runs_and_literals_are_unpacked_most_significant_byte_first() {
        let high: &[u8] = &[(-5_i8) as u8, 1];
        let low: &[u8] = &[2, 10, 11, 12, 128, (-2_i8) as u8, 9];
        let pixels = decode(&encoded(&[high, low]), SHAPE).unwrap();
        assert_eq!(pixels, [10, 1, 11, 1, 12, 1, 9, 1, 9, 1, 9, 1]);
    }

    #[test]
    fn a_short_segment_is_damage() {
        assert!(decode(&encoded(&[&[0, 1], &[0, 1]]), SHAPE).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, SHAPE);
        }
    }
}
