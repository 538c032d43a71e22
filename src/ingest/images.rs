//! Stacks of pictures (JPG, PNG, BMP, TIFF, WebP), as teaching files and public data sets hold head CTs.
//!
//! A picture says nothing about Hounsfield units, spacing or orientation. The usual brain window is assumed and said.

use super::fault::Fault;
use super::group::stem;
use super::order::{Look, Repair, Stack};
use super::source::{file_name, folder, read_whole};
use super::{
    InPlane, InputFile, OrderBasis, Progress, ReadError, Scan, ScanKind, SliceOrder, SliceSource, Unrepaired, limits,
    tiff, webp,
};
use crate::report::Warning;
use crate::volume::{Orientation, Spacing, ValueScale, Volume};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
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
/// A stack with 16-bit levels is a window from black to white if it reaches these; other levels have no known meaning.
const DEEP_BLACK: u16 = 0x0100;
/// The other end.
const DEEP_WHITE: u16 = 0xf000;
/// What to do with a picture that cannot be read.
pub(super) const EXPORT_PICTURES: &str =
    "Convert it to JPG or PNG slices, or better, export the scan as DICOM or NIfTI.";

/// A stack of pictures that was found.
#[derive(Clone)]
pub(super) struct PicturePlan {
    pub(super) name: String,
    /// In natural order of the names, or in order of the pages.
    pub(super) slices: Vec<PictureFile>,
    /// Copies of its files that lie beside them and were left out.
    copies: Vec<String>,
}

/// A picture: a file, or a page of one.
#[derive(Clone)]
pub(super) struct PictureFile {
    file: InputFile,
    /// Number of the page, and where its directory begins.
    page: Option<(usize, u64)>,
}

impl PictureFile {
    fn path(&self) -> String {
        match self.page {
            Some((number, _)) => format!("{}#{number}", self.file.path),
            None => self.file.path.clone(),
        }
    }
}

struct Picture {
    /// Levels from 0, black, to 65535, white.
    grey: Vec<u16>,
    rows: usize,
    columns: usize,
    coloured: f32,
    /// Whether the levels are finer than 8 bits.
    deep: bool,
}

impl PicturePlan {
    /// A stack of files, in natural order of the names.
    pub(super) fn of_files(name: String, files: Vec<InputFile>) -> Self {
        let slices = files.into_iter().map(|file| PictureFile { file, page: None }).collect();
        Self { name, slices, copies: Vec::new() }
    }

    /// Takes another stack for copies of this one, if each of its files is: `7 (3) copy.jpg` beside `7 (3).jpg`.
    pub(super) fn absorbs(&mut self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (self.slices.first(), other.slices.first()) else { return false };
        if folder(&own.file.path) != folder(&others.file.path) {
            return false;
        }
        let stem_of = |slice: &PictureFile| stem(file_name(&slice.file.path)).to_owned();
        let is_copy = |copy: &PictureFile| {
            let named = stem_of(copy);
            let mut originals = self.slices.iter().filter(|slice| named.contains(&stem_of(slice)));
            originals.any(|slice| same_bytes(&slice.file, &copy.file))
        };
        let copies = other.slices.iter().all(is_copy);
        if copies {
            self.copies.extend(other.sources());
        }
        copies
    }

    /// A stack of the pages of a TIFF file, whose directories begin at `pages`.
    pub(super) fn of_pages(file: &InputFile, pages: Vec<u64>) -> Self {
        let name = file_name(&file.path).to_owned();
        let page = |page| PictureFile { file: file.clone(), page: Some(page) };
        Self { name, slices: pages.into_iter().enumerate().map(page).collect(), copies: Vec::new() }
    }

    pub(super) fn sources(&self) -> Vec<String> {
        let mut sources: Vec<String> = self.slices.iter().map(|slice| slice.file.path.clone()).collect();
        sources.dedup();
        sources
    }

    pub(super) fn read(&self, progress: &mut Progress<'_>) -> Result<Scan, ReadError> {
        let mut voxels: Vec<f32> = Vec::new();
        let mut size: Option<(usize, usize)> = None;
        let mut marked = 0;
        let mut deep: Option<&str> = None;
        let mut range = (u16::MAX, 0);
        // The file of the pages, read once.
        let mut pages: Vec<u8> = Vec::new();
        for (done, slice) in self.slices.iter().enumerate() {
            progress.reading(done, self.slices.len())?;
            let file = &slice.file;
            let picture = if let Some((_, page)) = slice.page {
                if pages.is_empty() {
                    pages = read_whole(file, limits::UNPACKED_BYTES)?;
                }
                tiff::turn_to(&mut pages, page);
                decode(&file.path, &pages)?
            } else {
                decode(&file.path, &read_whole(file, limits::PICTURE_BYTES)?)?
            };
            match size {
                None => {
                    Fault::check_shape(&self.name, [self.slices.len(), picture.rows, picture.columns])?;
                    size = Some((picture.rows, picture.columns));
                }
                Some((rows, columns)) if (rows, columns) != (picture.rows, picture.columns) => {
                    return Err(self.mixed_sizes((rows, columns), slice, &picture).into());
                }
                Some(_) => {}
            }
            marked += usize::from(picture.coloured > MARK_SHARE);
            if picture.deep {
                deep = deep.or(Some(&file.path));
            }
            range = picture.grey.iter().fold(range, |(low, high), &level| (low.min(level), high.max(level)));
            let to_hounsfield =
                |grey: u16| ASSUMED_LEVEL - ASSUMED_WIDTH / 2.0 + f32::from(grey) / 257.0 * ASSUMED_WIDTH / 255.0;
            voxels.extend(picture.grey.into_iter().map(to_hounsfield));
        }
        if let (Some(path), true) = (deep, range.0 > DEEP_BLACK || range.1 < DEEP_WHITE) {
            return Err(Fault::DeepPicture { path: path.to_owned() }.into());
        }
        let (rows, columns) = size.unwrap_or_default();
        if let [only] = self.slices.as_slice() {
            return Err(Fault::SingleSlice { path: only.file.path.clone() }.into());
        }
        let scale = ValueScale::Windowed { level: ASSUMED_LEVEL, width: ASSUMED_WIDTH };
        let shape = [self.slices.len(), rows, columns];
        let volume = Volume::new(voxels, shape, Spacing::default(), scale, Orientation::Assumed)
            .map_err(|error| Fault::Damaged { path: self.name.clone(), detail: error.to_string() })?;
        progress.ordering(self.slices.len())?;
        let look = look_at(&volume);
        let twins = look.twins();
        let kept: Vec<usize> = (0..self.slices.len()).filter(|place| !twins.contains(place)).collect();
        let (volume, look) =
            if twins.is_empty() { (volume, look) } else { (volume.with_slice_order(&kept), look.without(&twins)) };
        let (volume, repair) = put_in_order(volume, &look);
        let by_name =
            if self.slices.iter().any(|slice| slice.page.is_some()) { OrderBasis::Stored } else { OrderBasis::Name };
        let unrepaired = repair.changed.then(|| Unrepaired { basis: by_name, places: repair.as_named.clone() });
        let basis = if unrepaired.is_some() { OrderBasis::Images } else { by_name };
        let order = SliceOrder { basis, as_named: repair.as_named, unrepaired };
        let slices = order
            .as_named
            .iter()
            .filter_map(|&place| self.slices.get(*kept.get(place)?))
            .map(|slice| SliceSource { path: slice.path(), in_plane: InPlane::default() })
            .collect();
        let mut warnings = assumptions();
        warnings.extend(repair.warning);
        let again = twins.iter().filter_map(|&twin| self.slices.get(twin)).map(PictureFile::path);
        let again: Vec<String> = again.chain(self.copies.iter().cloned()).collect();
        if let [first, ..] = again.as_slice() {
            let message = format!(
                "{} pictures show what another one of the stack does, and were left out: {first} first.",
                again.len()
            );
            warnings.push(Warning::new("duplicate_files", message));
        }
        if marked > 0 {
            let message = format!("Coloured marks or text are on {marked} slices; they were turned to grey.");
            warnings.push(Warning::new("coloured_marks", message));
        }
        Ok(Scan { name: self.name.clone(), kind: ScanKind::Images, volume, slices, order, warnings })
    }

    fn mixed_sizes(&self, first: (usize, usize), other: &PictureFile, picture: &Picture) -> Fault {
        let size = |rows: usize, columns: usize| format!("{columns} x {rows}");
        let name = |slice: &PictureFile| file_name(&slice.path()).to_owned();
        Fault::MixedSizes {
            name: self.name.clone(),
            first: self.slices.first().map(name).unwrap_or_default(),
            first_size: size(first.0, first.1),
            other: name(other),
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
    let look = look_at(&volume);
    put_in_order(volume, &look)
}

fn look_at(volume: &Volume) -> Look {
    let slices: Vec<&[f32]> = (0..volume.slices()).filter_map(|z| volume.slice(z)).collect();
    Look::of(&Stack { slices: &slices, rows: volume.rows(), columns: volume.columns() })
}

fn put_in_order(volume: Volume, look: &Look) -> (Volume, Repair) {
    let repair = look.repair();
    let volume = if repair.changed { volume.with_slice_order(&repair.as_named) } else { volume };
    (volume, repair)
}

/// Whether two files hold the same; their ends are read only where lengths and middles agree.
fn same_bytes(one: &InputFile, other: &InputFile) -> bool {
    let length = one.source.len();
    let part = |file: &InputFile, offset, length| file.source.read_at(offset, length).ok();
    let same =
        |offset, length| part(one, offset, length).is_some_and(|bytes| part(other, offset, length) == Some(bytes));
    length == other.source.len()
        && length <= limits::PICTURE_BYTES
        && same(length / 2, 256)
        && same(0, usize::try_from(length).unwrap_or(usize::MAX))
}

/// Decodes one picture to grey, checking that it is whole, small enough, and grey, and turning it as its Exif data say.
fn decode(path: &str, bytes: &[u8]) -> Result<Picture, Fault> {
    if bytes.starts_with(&[0xff, 0xd8]) && !jpeg_ends(bytes) {
        let detail = "the JPG data end before the end-of-image mark".to_owned();
        return Err(Fault::Truncated { path: path.to_owned(), detail });
    }
    if bytes.starts_with(b"RIFF") {
        webp::check(path, bytes)?;
    }
    let damaged = |error: ImageError| match error {
        ImageError::IoError(error) => Fault::unreadable(path, &error),
        ImageError::Unsupported(error) => {
            let found = format!("a picture of an unusual kind ({error})");
            Fault::UnsupportedFormat { path: path.to_owned(), found, advice: EXPORT_PICTURES }
        }
        error => Fault::Damaged { path: path.to_owned(), detail: error.to_string() },
    };
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| Fault::unreadable(path, &error))?;
    // The crate reads them, but does not guess them.
    if tiff::is_big(bytes) {
        reader.set_format(ImageFormat::Tiff);
    }
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (columns, rows) = decoder.dimensions();
    Fault::check_shape(path, [1, rows as usize, columns as usize])?;
    // What cannot be read of the Exif data is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    decoded.apply_orientation(orientation);
    let (rows, columns) = (decoded.height() as usize, decoded.width() as usize);
    let (grey, coloured, deep) = to_grey(decoded).ok_or_else(|| Fault::DeepPicture { path: path.to_owned() })?;
    if coloured > COLOUR_SHARE {
        return Err(Fault::ColourPicture { path: path.to_owned(), percent: (coloured * 100.0).ceil() as u32 });
    }
    Ok(Picture { grey, rows, columns, coloured, deep })
}

/// Grey levels, the share of coloured pixels, and whether levels are finer than 8 bits; `None` for real numbers.
fn to_grey(decoded: DynamicImage) -> Option<(Vec<u16>, f32, bool)> {
    let coloured = match decoded.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => 0.0,
        ColorType::Rgb8 | ColorType::Rgba8 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let rgb = decoded.to_rgb8();
            let coloured = rgb.pixels().filter(|pixel| is_coloured(pixel.0)).count();
            coloured as f32 / (rgb.width() as f32 * rgb.height() as f32).max(1.0)
        }
        _ => return None,
    };
    if decoded.color().bytes_per_pixel() == decoded.color().channel_count() {
        let grey = decoded.into_luma8().into_raw();
        return Some((grey.into_iter().map(|level| u16::from(level) * 257).collect(), coloured, false));
    }
    let grey = decoded.into_luma16().into_raw();
    // Levels of 8 bits are often saved as 16 by repeating them.
    let deep = grey.iter().any(|&level| level >> 8 != level & 0xff);
    Some((grey, coloured, deep))
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
    use super::super::{InputFile, Scan, ScanPlan, discover};
    use super::*;
    use image::{GrayImage, RgbImage};
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
    fn bmp_and_tiff_are_read_as_png_is() {
        let picture: DynamicImage = GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * 30 + y) as u8])).into();
        let rgb = DynamicImage::from(picture.to_rgb8());
        let stack = |format: ImageFormat, extension: &str| {
            let bytes = encode(&rgb, format);
            let files = (1..3).map(|n| file(&format!("{n}.{extension}"), bytes.clone())).collect();
            read(files).unwrap().volume.voxels().to_vec()
        };
        let expected = stack(ImageFormat::Png, "png");
        assert_eq!(stack(ImageFormat::Bmp, "bmp"), expected);
        assert_eq!(stack(ImageFormat::Tiff, "tif"), expected);
    }

    #[test]
    fn sixteen_bits_from_black_to_white_are_a_window_and_others_are_refused() {
        let deep = |levels: [u16; 2]| {
            let picture = image::ImageBuffer::from_fn(4, 4, |x, _| image::Luma([levels[usize::from(x > 1)]]));
            let bytes = encode(&DynamicImage::ImageLuma16(picture), ImageFormat::Png);
            read(vec![file("1.png", bytes.clone()), file("2.png", bytes)])
        };
        let scan = deep([7, 65_530]).unwrap();
        assert!((scan.volume.voxels()[0] + 20.0).abs() < 0.1 && (scan.volume.voxels()[2] - 100.0).abs() < 0.1);
        assert_eq!(deep([24, 3095]).unwrap_err(), "deep_picture");
        assert_eq!(deep([0x2020, 0x8080]).unwrap().volume.voxels()[0], -20.0 + 32.0 * 120.0 / 255.0);
    }

    #[test]
    fn a_picture_is_turned_as_its_exif_data_say() {
        let picture: DynamicImage = GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 0 } else { 255 }])).into();
        let plain = encode(&picture, ImageFormat::Jpeg);
        // Orientation 6: to be turned clockwise by a quarter.
        let mut exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".to_vec();
        exif.extend([0; 4]);
        let turned = [&plain[..2], &exif, &plain[2..]].concat();
        let scan = read(vec![file("1.jpg", turned.clone()), file("2.jpg", turned)]).unwrap();
        assert_eq!(scan.volume.shape(), [2, 16, 8]);
        let slice = scan.volume.slice(0).unwrap();
        assert!(slice[0] < -10.0 && slice[7] < -10.0 && slice[15 * 8] > 90.0);
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

    /// Skulls that widen from slice to slice.
    fn head(slice: u32) -> DynamicImage {
        let far = |x: u32, y: u32| (x as f32 - 128.0).hypot(y as f32 - 128.0);
        let grey = |x, y| match far(x, y) - 40.0 - 6.0 * slice as f32 {
            outside if outside > 8.0 => 0,
            skull if skull > 0.0 => 255,
            _ => 90,
        };
        GrayImage::from_fn(256, 256, |x, y| image::Luma([grey(x, y)])).into()
    }

    fn codes(scan: &Scan) -> Vec<&str> {
        scan.warnings.iter().map(|warning| warning.code.as_str()).collect()
    }

    #[test]
    fn a_picture_that_was_saved_again_in_another_format_is_used_once() {
        let save = |n: u32, format: ImageFormat, extension: &str| {
            file(&format!("a/{n}.{extension}"), encode(&head(n), format))
        };
        let once: Vec<InputFile> = (1..9).map(|n| save(n, ImageFormat::Png, "png")).collect();
        let again = (1..9).map(|n| save(n, ImageFormat::Jpeg, "jpg"));
        let alone = read(once.clone()).unwrap();
        assert!(!codes(&alone).contains(&"duplicate_files"));
        let scan = read(once.into_iter().chain(again).collect()).unwrap();
        assert_eq!(scan.volume.slices(), 8);
        assert!(codes(&scan).contains(&"duplicate_files"), "{:?}", scan.warnings);
        // Of each pair the first by name is used.
        let used: Vec<&str> = scan.slices.iter().map(|slice| slice.path.as_str()).collect();
        assert_eq!(used, ["a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg", "a/5.jpg", "a/6.jpg", "a/7.jpg", "a/8.jpg"]);
    }

    #[test]
    fn blank_slices_beyond_the_head_are_no_copies() {
        let picture = |n| if n < 9 { head(n) } else { GrayImage::new(256, 256).into() };
        let files = (1..12).map(|n| file(&format!("{n}.png"), encode(&picture(n), ImageFormat::Png)));
        let scan = read(files.collect()).unwrap();
        assert_eq!(scan.volume.slices(), 11);
        assert!(!codes(&scan).contains(&"duplicate_files"));
    }

    #[test]
    fn copies_beside_their_originals_are_no_stack_of_their_own() {
        let name = |n: u32, end: &str| format!("x/7 ({n}){end}.png");
        let mut files: Vec<InputFile> =
            (1..9).map(|n| file(&name(n, ""), encode(&head(n), ImageFormat::Png))).collect();
        files.extend((3..6).map(|n| file(&name(n, " copy"), encode(&head(n), ImageFormat::Png))));
        let discovery = discover(files.clone());
        assert_eq!(discovery.scans.iter().map(ScanPlan::slices).collect::<Vec<_>>(), [8]);
        assert!(codes(&read(files.clone()).unwrap()).contains(&"duplicate_files"));
        // What is called a copy and shows something else is one.
        files.push(file(&name(6, " copy"), encode(&head(30), ImageFormat::Png)));
        assert_eq!(discover(files).scans.len(), 2);
    }

    #[test]
    fn webp_is_read_as_png_is_and_an_animation_is_refused() {
        let stack = |format: ImageFormat, extension: &str| -> Vec<InputFile> {
            let picture = |n| DynamicImage::from(head(n).to_rgb8());
            (1..4).map(|n| file(&format!("{n}.{extension}"), encode(&picture(n), format))).collect()
        };
        let webp = read(stack(ImageFormat::WebP, "webp")).unwrap();
        assert_eq!(webp.volume, read(stack(ImageFormat::Png, "png")).unwrap().volume);
        let animated = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0".to_vec();
        assert_eq!(discover(vec![file("1.webp", animated)]).refused[0].refusal.code, "unsupported_format");
    }

    #[test]
    fn reading_can_be_cancelled() {
        let files = (1..4).map(|n| file(&format!("{n}.png"), encode(&grey(8, 3), ImageFormat::Png))).collect();
        let result = discover(files).scans[0].read(&mut |_| ControlFlow::Break(()));
        assert!(matches!(result, Err(ReadError::Cancelled)));
    }
}
