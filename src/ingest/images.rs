//! Stacks of 8-bit pictures (JPG, PNG), as teaching files and public data sets hold head CTs.
//!
//! A picture says nothing about Hounsfield units, spacing or orientation. The usual brain window is assumed and said.

use super::fault::Fault;
use super::order::{Repair, Stack, repair};
use super::source::{file_name, read_whole};
use super::{InPlane, InputFile, OrderBasis, Progress, ReadError, Scan, ScanKind, SliceOrder, SliceSource, limits};
use crate::report::Warning;
use crate::volume::{Orientation, Spacing, ValueScale, Volume};
use image::{DynamicImage, ImageDecoder, ImageReader};
use std::io::Cursor;

/// Centre of the window that pictures are assumed to be made with, in Hounsfield units: the brain window.
pub const ASSUMED_LEVEL: f32 = 40.0;
/// Width of the window that pictures are assumed to be made with, in Hounsfield units.
pub const ASSUMED_WIDTH: f32 = 120.0;

/// Channels further apart than this make a pixel coloured; chroma noise of JPEG stays below.
const COLOUR_DISTANCE: u8 = 32;
/// Share of coloured pixels from which a picture is a colour picture rather than a slice with marks on it.
const COLOUR_SHARE: f32 = 0.02;
/// Share of coloured pixels from which the person is told of marks.
const MARK_SHARE: f32 = 0.0005;

/// A stack of pictures that was found, in natural order of the names.
#[derive(Clone)]
pub(super) struct PicturePlan {
    pub(super) name: String,
    pub(super) files: Vec<InputFile>,
}

struct Picture {
    grey: Vec<u8>,
    rows: usize,
    columns: usize,
    coloured: f32,
}

impl PicturePlan {
    pub(super) fn read(&self, progress: &mut Progress<'_>) -> Result<Scan, ReadError> {
        let mut voxels: Vec<f32> = Vec::new();
        let mut size: Option<(usize, usize)> = None;
        let mut marked = 0;
        for (done, file) in self.files.iter().enumerate() {
            progress.reading(done, self.files.len())?;
            let picture = decode(file)?;
            match size {
                None => {
                    Fault::check_shape(&self.name, [self.files.len(), picture.rows, picture.columns])?;
                    size = Some((picture.rows, picture.columns));
                }
                Some((rows, columns)) if (rows, columns) != (picture.rows, picture.columns) => {
                    return Err(self.mixed_sizes((rows, columns), file, &picture).into());
                }
                Some(_) => {}
            }
            marked += usize::from(picture.coloured > MARK_SHARE);
            let to_hounsfield =
                |grey: u8| ASSUMED_LEVEL - ASSUMED_WIDTH / 2.0 + f32::from(grey) * ASSUMED_WIDTH / 255.0;
            voxels.extend(picture.grey.into_iter().map(to_hounsfield));
        }
        let (rows, columns) = size.unwrap_or_default();
        if let [only] = self.files.as_slice() {
            return Err(Fault::SingleSlice { path: only.path.clone() }.into());
        }
        let scale = ValueScale::Windowed { level: ASSUMED_LEVEL, width: ASSUMED_WIDTH };
        let shape = [self.files.len(), rows, columns];
        let volume = Volume::new(voxels, shape, Spacing::default(), scale, Orientation::Assumed)
            .map_err(|error| Fault::Damaged { path: self.name.clone(), detail: error.to_string() })?;
        progress.ordering(self.files.len())?;
        let (volume, repair) = in_order(volume);
        let basis = if repair.changed { OrderBasis::Images } else { OrderBasis::Name };
        let order = SliceOrder { basis, as_named: repair.as_named };
        let slices = order
            .as_named
            .iter()
            .filter_map(|&place| self.files.get(place))
            .map(|file| SliceSource { path: file.path.clone(), in_plane: InPlane::default() })
            .collect();
        let mut warnings = assumptions();
        warnings.extend(repair.warning);
        if marked > 0 {
            let message = format!("Coloured marks or text are on {marked} slices; they were turned to grey.");
            warnings.push(Warning::new("coloured_marks", message));
        }
        Ok(Scan { name: self.name.clone(), kind: ScanKind::Images, volume, slices, order, warnings })
    }

    fn mixed_sizes(&self, first: (usize, usize), other: &InputFile, picture: &Picture) -> Fault {
        let size = |rows: usize, columns: usize| format!("{columns} x {rows}");
        Fault::MixedSizes {
            name: self.name.clone(),
            first: self.files.first().map(|file| file_name(&file.path).to_owned()).unwrap_or_default(),
            first_size: size(first.0, first.1),
            other: file_name(&other.path).to_owned(),
            other_size: size(picture.rows, picture.columns),
        }
    }
}

/// What pictures do not say and is assumed.
fn assumptions() -> Vec<Warning> {
    vec![
        Warning::new(
            "window_assumed",
            format!(
                "Pictures hold no Hounsfield units: grey 0 to 255 is taken as the brain window, level {ASSUMED_LEVEL}, width {ASSUMED_WIDTH}. Made with another window, the answer may be wrong."
            ),
        ),
        Warning::new("spacing_unknown", "Pictures hold no distances: pixel size and slice spacing are unknown."),
        Warning::new(
            "orientation_assumed",
            "Pictures do not say which side is left: the patient's left is taken to be on the right of the picture.",
        ),
    ]
}

/// The slices in anatomical order, which is the order of the names unless the pictures say otherwise.
pub(super) fn in_order(volume: Volume) -> (Volume, Repair) {
    let slices: Vec<&[f32]> = (0..volume.slices()).filter_map(|z| volume.slice(z)).collect();
    let repair = repair(&Stack { slices: &slices, rows: volume.rows(), columns: volume.columns() });
    let volume = if repair.changed { volume.with_slice_order(&repair.as_named) } else { volume };
    (volume, repair)
}

/// Decodes one picture to grey, checking that it is whole, small enough, and grey.
fn decode(file: &InputFile) -> Result<Picture, Fault> {
    let bytes = read_whole(file, limits::PICTURE_BYTES)?;
    if bytes.starts_with(&[0xff, 0xd8]) && !jpeg_ends(&bytes) {
        let detail = "the JPG data end before the end-of-image mark".to_owned();
        return Err(Fault::Truncated { path: file.path.clone(), detail });
    }
    let damaged = |error: image::ImageError| match error {
        image::ImageError::IoError(error) => Fault::unreadable(&file.path, &error),
        error => Fault::Damaged { path: file.path.clone(), detail: error.to_string() },
    };
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Fault::unreadable(&file.path, &error))?;
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (columns, rows) = decoder.dimensions();
    let (rows, columns) = (rows as usize, columns as usize);
    Fault::check_shape(&file.path, [1, rows, columns])?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let (grey, coloured) = to_grey(decoded).ok_or_else(|| Fault::DeepPicture { path: file.path.clone() })?;
    if coloured > COLOUR_SHARE {
        return Err(Fault::ColourPicture { path: file.path.clone(), percent: (coloured * 100.0).ceil() as u32 });
    }
    Ok(Picture { grey, rows, columns, coloured })
}

/// Grey levels and the share of coloured pixels; `None` for 16-bit levels that are not 8-bit ones repeated.
fn to_grey(decoded: DynamicImage) -> Option<(Vec<u8>, f32)> {
    match decoded {
        DynamicImage::ImageLuma8(grey) => Some((grey.into_raw(), 0.0)),
        DynamicImage::ImageLumaA8(_) => Some((decoded.into_luma8().into_raw(), 0.0)),
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => {
            let rgb = decoded.to_rgb8();
            let coloured = rgb.pixels().filter(|pixel| is_coloured(pixel.0)).count();
            let share = coloured as f32 / (rgb.width() as f32 * rgb.height() as f32).max(1.0);
            Some((decoded.into_luma8().into_raw(), share))
        }
        deep => {
            let grey = deep.into_luma16().into_raw();
            let repeated = grey.iter().all(|&level| level >> 8 == level & 0xff);
            repeated.then(|| (grey.into_iter().map(|level| (level >> 8) as u8).collect(), 0.0))
        }
    }
}

fn is_coloured([red, green, blue]: [u8; 3]) -> bool {
    red.max(green).max(blue) - red.min(green).min(blue) > COLOUR_DISTANCE
}

/// Whether the image data of a JPEG are followed by its end mark (decoders fill what is missing with grey instead of
/// failing). Segments are skipped by their length, so that the end mark of an embedded thumbnail does not count.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xda => return bytes.get(at..).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xff, 0xd9])),
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::{InputFile, Scan, discover};
    use super::*;
    use image::{GrayImage, ImageFormat, RgbImage};
    use std::ops::ControlFlow;
    use std::sync::Arc;

    fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn grey(size: u32, level: u8) -> DynamicImage {
        GrayImage::from_pixel(size, size, image::Luma([level])).into()
    }

    fn file(path: &str, bytes: Vec<u8>) -> InputFile {
        InputFile { path: path.to_owned(), source: Arc::new(bytes) }
    }

    fn read(files: Vec<InputFile>) -> Result<Scan, String> {
        let plan = &discover(files).scans[0];
        plan.read(&mut |_| ControlFlow::Continue(())).map_err(|error| match error {
            ReadError::Refused(refused) => refused.refusal.code,
            ReadError::Cancelled => "cancelled".to_owned(),
        })
    }

    #[test]
    fn a_stack_becomes_hounsfield_units_of_the_brain_window() {
        let files = [(2, 255), (1, 0)]
            .map(|(number, level)| file(&format!("7 ({number}).png"), encode(&grey(4, level), ImageFormat::Png)));
        let scan = read(files.to_vec()).unwrap();
        assert_eq!(scan.name, "7");
        assert_eq!(scan.volume.shape(), [2, 4, 4]);
        assert_eq!(scan.volume.slice(0).unwrap()[..1], [-20.0]);
        assert_eq!(scan.volume.slice(1).unwrap()[..1], [100.0]);
        assert!(scan.warnings.iter().any(|warning| warning.code == "window_assumed"));
    }

    #[test]
    fn a_truncated_jpg_is_refused() {
        let mut bytes = encode(&grey(64, 90), ImageFormat::Jpeg);
        bytes.truncate(bytes.len() - 2);
        let whole = encode(&grey(64, 90), ImageFormat::Jpeg);
        assert_eq!(read(vec![file("1.jpg", whole), file("2.jpg", bytes)]).unwrap_err(), "truncated");
    }

    #[test]
    fn a_colour_photo_is_refused() {
        let photo = RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8 * 15, 40, y as u8 * 15])).into();
        assert_eq!(read(vec![file("holiday.png", encode(&photo, ImageFormat::Png))]).unwrap_err(), "colour_picture");
    }

    #[test]
    fn grey_stored_as_rgb_is_grey() {
        let picture: DynamicImage = RgbImage::from_pixel(8, 8, image::Rgb([128; 3])).into();
        let bytes = encode(&picture, ImageFormat::Png);
        assert!(read(vec![file("1.png", bytes.clone()), file("2.png", bytes)]).is_ok());
    }

    #[test]
    fn one_slice_is_no_scan() {
        assert_eq!(read(vec![file("1.png", encode(&grey(8, 3), ImageFormat::Png))]).unwrap_err(), "single_slice");
    }

    #[test]
    fn slices_of_two_sizes_are_no_scan() {
        let files = vec![
            file("1.png", encode(&grey(8, 3), ImageFormat::Png)),
            file("2.png", encode(&grey(9, 3), ImageFormat::Png)),
        ];
        assert_eq!(read(files).unwrap_err(), "mixed_sizes");
    }

    #[test]
    fn reading_can_be_cancelled() {
        let files = (1..4).map(|n| file(&format!("{n}.png"), encode(&grey(8, 3), ImageFormat::Png))).collect();
        let result = discover(files).scans[0].read(&mut |_| ControlFlow::Break(()));
        assert!(matches!(result, Err(ReadError::Cancelled)));
    }
}
