//! What a DICOM file says about its slices (PS3.3: CT Image, Enhanced CT Image, Image Plane, Image Pixel modules).

use super::codecs::FrameFragments;
use super::elements::{DataSet, ElementError, Parsed, PixelLocation, parse};
use super::lut::ModalityLut;
use super::pixels::PixelFormat;
use crate::ingest::canonical::{Direction, dot, norm};
use crate::ingest::fault::Fault;
use crate::ingest::zip::Open;
use crate::ingest::{ByteSource, InputFile, Patient, limits};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use std::cell::OnceCell;
use std::sync::Arc;

/// What is needed to read the frames of a file, once it was found to hold CT slices.
pub(super) struct Header {
    /// Path in the drop.
    pub(super) path: String,
    pub(super) source: Arc<dyn ByteSource>,
    pub(super) pixels: PixelLocation,
    pub(super) format: PixelFormat,
    pub(super) transfer_syntax: String,
    /// Places of compressed frames, once they were looked up.
    pub(super) fragments: OnceCell<FrameFragments>,
    pub(super) instance_uid: Option<String>,
    pub(super) series_uid: Option<String>,
    pub(super) series_number: Option<String>,
    pub(super) series_description: Option<String>,
    pub(super) acquisition: Option<String>,
    pub(super) instance_number: Option<i64>,
    pub(super) slice_thickness: Option<f64>,
    /// The values are stated to be something else than Hounsfield units.
    pub(super) other_scale: Option<String>,
    /// What maps stored values, in place of slope and intercept.
    pub(super) lut: Option<ModalityLut>,
    pub(super) study_uid: Option<String>,
    /// Tells the slices of patients apart whom an anonymiser gave the same UIDs; never shown or exported.
    pub(super) patient_id: Option<String>,
    /// What reports may say of the patient.
    pub(super) patient: Option<Patient>,
    pub(super) image_type: Option<String>,
    /// UID and number of the part where a multi-frame image was cut into several files.
    pub(super) concatenation: Option<(String, u16)>,
    /// Lowest and highest stored value that stands for no measurement.
    pub(super) padding: Option<[f64; 2]>,
    /// Reconstruction kernel, which decides how sharp and how noisy the slices are.
    pub(super) kernel: Option<String>,
    pub(super) frames: Vec<Frame>,
}

/// Geometry and rescale of one frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// Centre of the first pixel in millimetres, LPS.
    pub(super) position: Option<Direction>,
    /// Directions of increasing column and row index, unit vectors, LPS.
    pub(super) orientation: Option<[Direction; 2]>,
    /// Distances between rows and between columns in millimetres.
    pub(super) spacing: Option<[f64; 2]>,
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

/// Why a file is not among the slices.
pub(super) struct Rejection {
    pub(super) fault: Fault,
    pub(super) series_uid: Option<String>,
}

impl Header {
    /// Reads the header of a file, or says why the file holds no CT slice.
    ///
    /// `open` is shared by the files of a drop.
    pub(super) fn read(file: &InputFile, open: &Open) -> Result<Self, Box<Rejection>> {
        let reject = |fault, series_uid| Box::new(Rejection { fault, series_uid });
        let path = || file.path.clone();
        let parsed = parse(&file.source, open).map_err(|error| {
            let detail = error.to_string();
            match error {
                // Beyond the file meta group a length can be wrong as well.
                ElementError::EndsInside(Tag(0x0002, _)) => reject(Fault::Truncated { path: path(), detail }, None),
                _ => reject(Fault::Damaged { path: path(), detail }, None),
            }
        })?;
        let series_uid = parsed.data.text(tags::SERIES_INSTANCE_UID);
        build(file, &parsed, series_uid.clone()).map_err(|fault| reject(fault, series_uid))
    }
}

fn build(file: &InputFile, parsed: &Parsed, series_uid: Option<String>) -> Result<Header, Fault> {
    let data = &parsed.data;
    let path = file.path.clone();
    let name = || path.clone();
    let pixels = location(parsed, &path)?;
    let modality = data.text(tags::MODALITY).unwrap_or_default();
    let format = PixelFormat::read(data, parsed, &path);
    let frame_count = frame_count(data);
    // Said before the modality: a cut file is worth copying again whatever it holds.
    if let Ok(format) = &format {
        check_length(parsed, pixels, format, frame_count, &path)?;
    }
    if !modality.eq_ignore_ascii_case("CT") {
        return Err(Fault::NotCt { name: name(), found: modality_name(&modality) });
    }
    let class = data.text(tags::SOP_CLASS_UID);
    let photometric = data.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_else(|| "MONOCHROME2".to_owned());
    if !photometric.starts_with("MONOCHROME") {
        return Err(Fault::ScreenCapture { name: name(), photometric });
    }
    if is_localiser(data) {
        return Err(Fault::Localiser { name: name() });
    }
    let format = format?;
    let lut = match data.first_item(tags::MODALITY_LUT_SEQUENCE) {
        None => None,
        Some(item) => Some(
            ModalityLut::read(item, format.is_signed())
                .map_err(|detail| Fault::UnsupportedPixels { name: name(), detail: detail.to_owned() })?,
        ),
    };
    let frames = frames(data, frame_count);
    let padding = data.short(tags::PIXEL_PADDING_VALUE).map(|value| {
        let limit = data.short(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
        let [one, other] = [value, limit].map(|stored| format.number(stored.into()));
        [one.min(other), one.max(other)]
    });
    Fault::check_shape(&path, [frames.len(), format.rows, format.columns])?;
    let kind = match &lut {
        Some(lut) => lut.kind.clone(),
        None => data.text(tags::RESCALE_TYPE),
    };
    let other_scale = kind.filter(|kind| !is_hounsfield(kind)).or_else(|| {
        (class.as_deref() == Some(uids::SECONDARY_CAPTURE_IMAGE_STORAGE)).then(|| "screen capture".to_owned())
    });
    Ok(Header {
        source: Arc::clone(&parsed.source),
        pixels,
        format,
        transfer_syntax: parsed.transfer_syntax.clone(),
        fragments: OnceCell::new(),
        instance_uid: data.text(tags::SOP_INSTANCE_UID),
        series_uid,
        series_number: data.text(tags::SERIES_NUMBER),
        series_description: data.text(tags::SERIES_DESCRIPTION),
        acquisition: data.text(tags::ACQUISITION_NUMBER),
        instance_number: data.text(tags::INSTANCE_NUMBER).and_then(|number| number.parse().ok()),
        slice_thickness: data.decimal(tags::SLICE_THICKNESS).filter(|mm| *mm > 0.0),
        other_scale,
        lut,
        study_uid: data.text(tags::STUDY_INSTANCE_UID),
        patient: Patient::of(
            data.text(tags::PATIENT_ID).as_deref(),
            data.text(tags::PATIENT_NAME).as_deref(),
            data.text(tags::PATIENT_BIRTH_DATE).as_deref(),
        ),
        patient_id: data.text(tags::PATIENT_ID),
        image_type: data.text(tags::IMAGE_TYPE),
        concatenation: data
            .text(tags::CONCATENATION_UID)
            .map(|uid| (uid, data.short(tags::IN_CONCATENATION_NUMBER).unwrap_or(0))),
        padding,
        kernel: data.texts(tags::CONVOLUTION_KERNEL).into_iter().next(),
        frames,
        path,
    })
}

/// Whether a rescale type means Hounsfield units; `US` is unspecified, which CT writers put for them.
fn is_hounsfield(kind: &str) -> bool {
    matches!(kind.to_ascii_uppercase().as_str(), "HU" | "US" | "HU_MOD" | "HOUNSFIELD" | "HOUNSFIELD UNITS")
}

/// Where the pixels are, or why there are none.
fn location(parsed: &Parsed, path: &str) -> Result<PixelLocation, Fault> {
    if let Some(pixels) = parsed.pixels {
        return Ok(pixels);
    }
    if let Some(cut) = &parsed.cut {
        return Err(Fault::Truncated { path: path.to_owned(), detail: cut.to_string() });
    }
    let found = if parsed.data.has(tags::DIRECTORY_RECORD_SEQUENCE) {
        "the directory of a DICOM medium (DICOMDIR)".to_owned()
    } else {
        match parsed.data.text(tags::MODALITY).as_deref() {
            Some("SR") => "a structured report".to_owned(),
            Some("PR") => "a presentation state".to_owned(),
            Some("KO") => "a key object selection".to_owned(),
            Some("RTPLAN" | "RTSTRUCT") => "a radiotherapy plan".to_owned(),
            _ => "a DICOM object without pixel data".to_owned(),
        }
    };
    Err(Fault::NoPixels { name: path.to_owned(), found })
}

/// Checks that uncompressed pixel data are all there.
fn check_length(
    parsed: &Parsed,
    pixels: PixelLocation,
    format: &PixelFormat,
    frames: usize,
    path: &str,
) -> Result<(), Fault> {
    let Some(length) = pixels.length else { return Ok(()) };
    let available = parsed.source.len().saturating_sub(pixels.offset);
    let expected = format.frame_bytes().saturating_mul(frames as u64);
    if expected > available || expected > length {
        let detail = format!("{expected} bytes of pixels are announced, {} are there", available.min(length));
        return Err(Fault::Truncated { path: path.to_owned(), detail });
    }
    Ok(())
}

fn frame_count(data: &DataSet) -> usize {
    let stated = data.text(tags::NUMBER_OF_FRAMES).and_then(|number| number.parse().ok());
    stated.unwrap_or(1_usize).clamp(1, limits::SLICES + 1)
}

fn is_localiser(data: &DataSet) -> bool {
    let frame_type = data
        .first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        .and_then(|shared| shared.first_item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE))
        .map(|item| item.texts(tags::FRAME_TYPE))
        .unwrap_or_default();
    data.texts(tags::IMAGE_TYPE).iter().chain(&frame_type).any(|kind| kind == "LOCALIZER")
}

/// Frames by their functional groups (enhanced), else by the attributes of the file.
fn frames(data: &DataSet, count: usize) -> Vec<Frame> {
    let shared = data.first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let own = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    (0..count)
        .map(|index| {
            let group = |sequence| {
                let own = own.get(index).and_then(|groups| groups.first_item(sequence));
                own.or_else(|| shared.and_then(|groups| groups.first_item(sequence))).unwrap_or(data)
            };
            let rescale = group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
            let position = group(tags::PLANE_POSITION_SEQUENCE).decimals(tags::IMAGE_POSITION_PATIENT);
            Frame {
                // One position for many frames is the position of none.
                position: position.filter(|_| count == 1 || !own.is_empty()),
                orientation: group(tags::PLANE_ORIENTATION_SEQUENCE)
                    .decimals(tags::IMAGE_ORIENTATION_PATIENT)
                    .and_then(orientation),
                spacing: group(tags::PIXEL_MEASURES_SEQUENCE)
                    .decimals(tags::PIXEL_SPACING)
                    .filter(|spacing: &[f64; 2]| spacing.iter().all(|mm| *mm > 0.0)),
                slope: rescale.decimal(tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0),
                intercept: rescale.decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
            }
        })
        .collect()
}

/// Row and column directions, if they are near enough to being perpendicular unit vectors.
fn orientation([rx, ry, rz, cx, cy, cz]: [f64; 6]) -> Option<[Direction; 2]> {
    let (row, column) = ([rx, ry, rz], [cx, cy, cz]);
    let is_unit = |direction| (norm(direction) - 1.0).abs() < 0.05;
    (is_unit(row) && is_unit(column) && dot(row, column).abs() < 0.05).then_some([row, column])
}

fn modality_name(modality: &str) -> String {
    match modality {
        "MR" => "a magnetic resonance image (MR)".to_owned(),
        "CR" | "DX" | "DR" => format!("a radiograph ({modality})"),
        "US" => "an ultrasound image (US)".to_owned(),
        "NM" => "a nuclear medicine image (NM)".to_owned(),
        "PT" => "a positron emission image (PT)".to_owned(),
        "XA" | "RF" => format!("an angiography or fluoroscopy image ({modality})"),
        "MG" => "a mammogram (MG)".to_owned(),
        "SEG" => "a segmentation (SEG)".to_owned(),
        "RTDOSE" => "a radiotherapy dose (RTDOSE)".to_owned(),
        "OT" | "SC" => format!("a screenshot or other capture ({modality})"),
        "" => "of an unstated modality".to_owned(),
        other => format!("of modality {}", other.chars().take(16).collect::<String>()),
    }
}
