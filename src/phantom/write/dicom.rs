use super::File;
use crate::phantom::random::Random;
use crate::phantom::{Phantom, PhantomError};
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, mem::InMemElement};

/// Stored values start at -1024 HU, as scanners keep them in 12 bits.
const INTERCEPT: f32 = -1024.0;

/// The phantom as a DICOM CT series (PS3.3 A.3, explicit VR little endian, uncompressed), one file a slice:
/// `phantom-SEED/CT0001.dcm` is the lowest. The files say that they are synthetic in `PatientName`,
/// `SeriesDescription` and `ImageType`. The same phantom gives the same UIDs.
///
/// # Errors
/// [`PhantomError::Encode`] if the encoder refuses.
pub fn dicom(phantom: &Phantom) -> Result<Vec<File>, PhantomError> {
    let mut random = Random::new(phantom.config.seed, 4);
    let [study, series, frame] = [(); 3].map(|()| uid(&mut random));
    (0..phantom.volume.slices())
        .map(|slice| {
            let instance = uid(&mut random);
            let mut object = header(phantom, slice);
            let mut put = |tag: Tag, vr: VR, text: &str| object.put_str(tag, vr, text);
            put(tags::STUDY_INSTANCE_UID, VR::UI, &study);
            put(tags::SERIES_INSTANCE_UID, VR::UI, &series);
            put(tags::FRAME_OF_REFERENCE_UID, VR::UI, &frame);
            put(tags::SOP_INSTANCE_UID, VR::UI, &instance);
            let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
            let failed = |reason: String| PhantomError::Encode { format: "DICOM", reason };
            let file = object.with_meta(meta).map_err(|error| failed(error.to_string()))?;
            let mut bytes = Vec::new();
            file.write_all(&mut bytes).map_err(|error| failed(error.to_string()))?;
            Ok((format!("phantom-{}/CT{:04}.dcm", phantom.config.seed, slice + 1), bytes))
        })
        .collect()
}

/// A UID under the root for UUIDs (PS3.5 B.2).
fn uid(random: &mut Random) -> String {
    format!("2.25.{}", u128::from(random.bits()) << 64 | u128::from(random.bits()))
}

/// A decimal string of at most 16 characters (PS3.5 6.2), to a tenth of a micrometre.
fn decimal(v: f32) -> String {
    ((f64::from(v) * 1e4).round() / 1e4).to_string()
}

fn header(phantom: &Phantom, slice: usize) -> InMemDicomObject {
    let config = &phantom.config;
    let mut object = InMemDicomObject::new_empty();
    // Type 2 attributes of which nothing is known are there and empty.
    for (tag, vr) in [
        (tags::STUDY_DATE, VR::DA),
        (tags::STUDY_TIME, VR::TM),
        (tags::ACCESSION_NUMBER, VR::SH),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
        (tags::PATIENT_BIRTH_DATE, VR::DA),
        (tags::PATIENT_SEX, VR::CS),
        (tags::STUDY_ID, VR::SH),
        (tags::POSITION_REFERENCE_INDICATOR, VR::LO),
        (tags::ACQUISITION_NUMBER, VR::IS),
        (tags::KVP, VR::DS),
    ] {
        object.put(InMemElement::new(tag, vr, PrimitiveValue::Empty));
    }
    let z = slice as f32 * config.slice_mm;
    let corner = [config.columns, config.rows].map(|n| (n - 1) as f32 / -2.0 * config.pixel_mm);
    let texts = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100".to_owned()),
        (tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY\\AXIAL".to_owned()),
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
        (tags::MODALITY, VR::CS, "CT".to_owned()),
        (tags::MANUFACTURER, VR::LO, "ictus phantom".to_owned()),
        (tags::STUDY_DESCRIPTION, VR::LO, "Synthetic head CT".to_owned()),
        (tags::SERIES_DESCRIPTION, VR::LO, "SYNTHETIC head CT: a drawing, no patient was scanned".to_owned()),
        (tags::DERIVATION_DESCRIPTION, VR::ST, "Computed from geometric shapes; not a medical image".to_owned()),
        (tags::PATIENT_NAME, VR::PN, "Synthetic^Phantom".to_owned()),
        (tags::PATIENT_ID, VR::LO, format!("SYNTHETIC-{}", config.seed)),
        (tags::PATIENT_AGE, VR::AS, format!("{:03}Y", config.age_years.round() as u32)),
        (tags::BODY_PART_EXAMINED, VR::CS, "HEAD".to_owned()),
        (tags::PATIENT_POSITION, VR::CS, "HFS".to_owned()),
        (tags::SLICE_THICKNESS, VR::DS, decimal(config.slice_mm)),
        (tags::SERIES_NUMBER, VR::IS, "1".to_owned()),
        (tags::INSTANCE_NUMBER, VR::IS, (slice + 1).to_string()),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, corner.map(decimal).join("\\") + "\\" + &decimal(z)),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0".to_owned()),
        (tags::SLICE_LOCATION, VR::DS, decimal(z)),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".to_owned()),
        (tags::PIXEL_SPACING, VR::DS, [decimal(config.pixel_mm), decimal(config.pixel_mm)].join("\\")),
        (tags::BURNED_IN_ANNOTATION, VR::CS, "NO".to_owned()),
        (tags::WINDOW_CENTER, VR::DS, "40".to_owned()),
        (tags::WINDOW_WIDTH, VR::DS, "80".to_owned()),
        (tags::RESCALE_INTERCEPT, VR::DS, INTERCEPT.to_string()),
        (tags::RESCALE_SLOPE, VR::DS, "1".to_owned()),
        (tags::RESCALE_TYPE, VR::LO, "HU".to_owned()),
    ];
    for (tag, vr, text) in texts {
        object.put_str(tag, vr, text);
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, config.rows as u16),
        (tags::COLUMNS, config.columns as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(InMemElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let hounsfield = phantom.volume.slice(slice).unwrap_or(&[]);
    let stored: Vec<u16> = hounsfield.iter().map(|v| (v - INTERCEPT) as u16).collect();
    object.put(InMemElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.into())));
    object
}
