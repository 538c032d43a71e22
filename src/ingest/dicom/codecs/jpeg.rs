//! JPEG baseline, 8-bit extended and lossless (ISO/IEC 10918-1) by the `jpeg-decoder` crate, which unlike the decoder
//! of the `image` crate knows the lossless process with up to 16 bits.

use super::{CodecError, FrameShape};
use jpeg_decoder::{Decoder, Error, PixelFormat};

pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    let failed = |error: Error| match error {
        Error::Unsupported(feature) => CodecError::Unsupported(format!("{feature:?}")),
        Error::Io(error) => CodecError::Io(error),
        error => CodecError::Damaged(format!("its JPEG data are damaged: {error}")),
    };
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(shape.rows * shape.columns * 2);
    decoder.read_info().map_err(failed)?;
    let info = decoder.info().ok_or_else(|| CodecError::Damaged("its JPEG data have no header".to_owned()))?;
    let size = (usize::from(info.height), usize::from(info.width));
    if size != (shape.rows, shape.columns) {
        let detail =
            format!("the JPEG frame is {} x {}, the header says {} x {}", size.1, size.0, shape.columns, shape.rows);
        return Err(CodecError::Damaged(detail));
    }
    let pixels = decoder.decode().map_err(failed)?;
    match (info.pixel_format, shape.pixel_bytes) {
        (PixelFormat::L8, 1) => Ok(pixels),
        (PixelFormat::L8, 2) => Ok(pixels.into_iter().flat_map(|level| [level, 0]).collect()),
        (PixelFormat::L16, 2) => {
            // The crate gives 16-bit levels in the machine's byte order.
            let (levels, _) = pixels.as_chunks::<2>();
            Ok(levels.iter().flat_map(|&level| u16::from_ne_bytes(level).to_le_bytes()).collect())
        }
        (format, bytes) => {
            Err(CodecError::Damaged(format!("the JPEG frame is {format:?}, the header says {bytes} bytes a pixel")))
        }
    }
}
