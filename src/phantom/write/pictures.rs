use super::File;
use crate::phantom::{Phantom, PhantomError};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde::{Deserialize, Serialize};

/// Format of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// JPEG of quality 95.
    Jpg,
    /// PNG, without loss beyond the window.
    Png,
}

/// How a stack of pictures is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureOptions {
    /// Format of the files.
    pub format: PictureFormat,
    /// Number before the bracket in `72 (1).jpg`.
    pub patient: u32,
    /// The slice that is numbered 1: not 0 gives a stack that starts in the middle, as stacks of the wild do.
    pub first: usize,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self { format: PictureFormat::Jpg, patient: 1, first: 0 }
    }
}

/// The phantom as 8-bit pictures in the window that head CT stacks are saved in (level 40, width 120):
/// `phantom/72 (1).jpg` and so on, listed bottom to top.
///
/// # Errors
/// [`PhantomError::Encode`] if the encoder refuses.
pub fn pictures(phantom: &Phantom, options: &PictureOptions) -> Result<Vec<File>, PhantomError> {
    let (rows, columns) = (phantom.volume.rows() as u32, phantom.volume.columns() as u32);
    let slices = phantom.volume.slices();
    let first = options.first % slices;
    (0..slices)
        .map(|slice| {
            let hounsfield = phantom.volume.slice(slice).unwrap_or(&[]);
            let grey: Vec<u8> =
                hounsfield.iter().map(|v| ((v + 20.0) * (255.0 / 120.0)).round().clamp(0.0, 255.0) as u8).collect();
            let mut bytes = Vec::new();
            let (extension, written) = match options.format {
                PictureFormat::Jpg => {
                    let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
                    ("jpg", encoder.write_image(&grey, columns, rows, ExtendedColorType::L8))
                }
                PictureFormat::Png => {
                    ("png", PngEncoder::new(&mut bytes).write_image(&grey, columns, rows, ExtendedColorType::L8))
                }
            };
            written.map_err(|error| PhantomError::Encode { format: "pictures", reason: error.to_string() })?;
            let number = (slice + slices - first) % slices + 1;
            Ok((format!("phantom/{} ({number}).{extension}", options.patient), bytes))
        })
        .collect()
}
