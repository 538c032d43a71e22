//! JPEG 2000 (ISO/IEC 15444-1, ITU-T T.800) by the `hayro-jpeg2000` crate, as a bare codestream or in a JP2 file.

use super::{CodecError, FrameShape};
use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};

/// Marker of the sizes, which follows the start of a codestream.
const SIZES: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
/// From the marker of the sizes to the tile grid, and to the format of the first component (A.5.1).
const TO_FORMAT: usize = 42;

pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    let damaged = |detail: String| CodecError::Damaged(format!("its JPEG 2000 data are damaged: {detail}"));
    let settings = DecodeSettings { resolve_palette_indices: false, strict: false, target_resolution: None };
    let image = Image::new(bytes, &settings).map_err(|error| damaged(error.to_string()))?;
    let size = (image.height() as usize, image.width() as usize);
    if size != (shape.rows, shape.columns) {
        let detail =
            format!("the image is {} x {}, the header says {} x {}", size.1, size.0, shape.columns, shape.rows);
        return Err(damaged(detail));
    }
    if !matches!(image.color_space(), ColorSpace::Gray) || image.has_alpha() {
        return Err(damaged("it has several components, the header says one".to_owned()));
    }
    let codestream = bytes.windows(SIZES.len()).position(|window| window == SIZES);
    let format = codestream.and_then(|start| bytes.get(start + TO_FORMAT)).copied();
    let format = format.ok_or_else(|| damaged("the codestream has no header".to_owned()))?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| damaged(error.to_string()))?;
    let component = decoded.components().first().ok_or_else(|| damaged("it has no component".to_owned()))?;
    let bits = u32::from(format & 0x7f) + 1;
    // The crate takes every component as unsigned and lifts it by half its range.
    let (lift, low, high) = if format & 0x80 == 0 {
        (0.0, 0.0, 2_f32.powi(bits as i32) - 1.0)
    } else {
        let half = 2_f32.powi(bits as i32 - 1);
        (half, -half, half - 1.0)
    };
    let values = component.samples().iter().map(|sample| (sample.round() - lift).clamp(low, high) as i32);
    // Two's complement of whatever width: the header says how many of the bits count.
    Ok(match shape.pixel_bytes {
        1 => values.map(|value| value as u8).collect(),
        2 => values.flat_map(|value| (value as u16).to_le_bytes()).collect(),
        _ => values.flat_map(i32::to_le_bytes).collect(),
    })
}
