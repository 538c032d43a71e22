//! WebP files (RFC 9649): what the decoder is not told by itself. It takes the lengths of chunks on trust, and makes room for the
//! picture that a chunk claims before it compares it with the one that the file claims.

use super::fault::Fault;

/// Checks that the chunks of a file lie in it, and that the pictures in them are small enough.
pub(super) fn check(path: &str, bytes: &[u8]) -> Result<(), Fault> {
    let mut at = 12;
    while let Some(&[k0, k1, k2, k3, l0, l1, l2, l3]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some(chunk) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else {
            let detail = "the WebP data end inside a chunk".to_owned();
            return Err(Fault::Truncated { path: path.to_owned(), detail });
        };
        let size = match &[k0, k1, k2, k3] {
            b"VP8 " => lossy_size(chunk),
            b"VP8L" => lossless_size(chunk),
            _ => None,
        };
        if let Some([rows, columns]) = size {
            Fault::check_shape(path, [1, rows, columns])?;
        }
        // Chunks begin at even places.
        at = (at + 8 + length).next_multiple_of(2);
    }
    Ok(())
}

/// Rows and columns that a lossy chunk claims (RFC 6386, section 9.1).
fn lossy_size(chunk: &[u8]) -> Option<[usize; 2]> {
    let &[c0, c1, r0, r1] = chunk.get(6..)?.first_chunk()?;
    let side = |bytes: [u8; 2]| usize::from(u16::from_le_bytes(bytes) & 0x3fff);
    Some([side([r0, r1]), side([c0, c1])])
}

/// Rows and columns that a lossless chunk claims (RFC 9649, section 3.4).
fn lossless_size(chunk: &[u8]) -> Option<[usize; 2]> {
    let bits = u32::from_le_bytes(*chunk.get(1..)?.first_chunk()?);
    let side = |bits: u32| (bits & 0x3fff) as usize + 1;
    Some([side(bits >> 14), side(bits)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayImage, ImageFormat, ImageReader};
    use std::io::Cursor;

    fn lossless() -> Vec<u8> {
        let picture: DynamicImage = GrayImage::from_fn(12, 7, |x, y| image::Luma([(x * 20 + y) as u8])).into();
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(picture.to_rgb8()).write_to(&mut bytes, ImageFormat::WebP).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn the_size_is_that_which_the_decoder_finds() {
        let bytes = lossless();
        assert_eq!(&bytes[12..16], b"VP8L");
        assert_eq!(lossless_size(&bytes[20..]), Some([7, 12]));
        let found = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().unwrap().into_dimensions().unwrap();
        assert_eq!(found, (12, 7));
        // A key frame of 176 x 144, as RFC 6386 writes it: tag, start code, width, height.
        assert_eq!(lossy_size(&[0x50, 0x21, 0, 0x9d, 1, 0x2a, 176, 0, 144, 0]), Some([144, 176]));
    }

    /// 24 x 16 pixels of `8 x + 3 y`, by libwebp 1.6.0 with loss of 4 at most.
    const LOSSY: &str = "524946464e0000005745425056503820420000005003009d012a180010003e310c8b44a210908c00200304b480002daaa6777c74\
        cd560000feff97dcbf449cf9c91a1eab8dae06b85eabb6ae0ad9fde533c800000000";

    fn lossy() -> Vec<u8> {
        let digits: Vec<u8> = LOSSY.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn decode(bytes: &[u8]) -> Option<GrayImage> {
        check("x", bytes).ok()?;
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap();
        reader.decode().ok().map(DynamicImage::into_luma8)
    }

    #[test]
    fn pictures_with_loss_are_decoded_and_damaged_ones_do_no_harm() {
        let decoded = decode(&lossy()).unwrap();
        assert_eq!(decoded.dimensions(), (24, 16));
        for (x, y, grey) in decoded.enumerate_pixels() {
            assert!((i32::from(grey.0[0]) - (8 * x + 3 * y) as i32).abs() <= 6, "{grey:?} at {x}, {y}");
        }
        for whole in [lossy(), lossless()] {
            for place in 0..whole.len() {
                decode(&whole[..place]);
                for value in [0, 0x7f, 0xff] {
                    let mut changed = whole.clone();
                    changed[place] = value;
                    decode(&changed);
                }
            }
        }
    }

    #[test]
    fn a_cut_file_and_one_that_claims_a_huge_picture_are_refused() {
        let whole = lossless();
        assert_eq!(check("x", &whole), Ok(()));
        assert_eq!(check("x", &whole[..whole.len() - 3]).unwrap_err().code(), "truncated");
        let mut huge = whole;
        huge[21..25].fill(0xff);
        assert_eq!(check("x", &huge).unwrap_err().code(), "too_large");
    }
}
