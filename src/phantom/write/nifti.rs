use super::File;
use crate::phantom::{Phantom, PhantomError};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

const INT16: (i16, i16) = (4, 16);
const UINT8: (i16, i16) = (2, 8);

/// The phantom as one NIfTI-1 file of 16-bit Hounsfield units, `phantom-SEED.nii` or, `compressed`, `.nii.gz`.
///
/// # Errors
/// [`PhantomError::Encode`] if the encoder refuses.
pub fn nifti(phantom: &Phantom, compressed: bool) -> Result<File, PhantomError> {
    let mut bytes = header(phantom, INT16);
    bytes.extend(phantom.volume.voxels().iter().flat_map(|&v| (v as i16).to_le_bytes()));
    finish(&format!("phantom-{}", phantom.config.seed), bytes, compressed)
}

/// The mask of the bleeds as one NIfTI-1 file of [labels](crate::phantom::BleedKind::label),
/// `phantom-SEED-mask.nii` or, `compressed`, `.nii.gz`.
///
/// # Errors
/// [`PhantomError::Encode`] if the encoder refuses.
pub fn nifti_mask(phantom: &Phantom, compressed: bool) -> Result<File, PhantomError> {
    let mut bytes = header(phantom, UINT8);
    bytes.extend(&phantom.mask);
    finish(&format!("phantom-{}-mask", phantom.config.seed), bytes, compressed)
}

fn finish(name: &str, bytes: Vec<u8>, compressed: bool) -> Result<File, PhantomError> {
    if !compressed {
        return Ok((format!("{name}.nii"), bytes));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    let packed = packed.map_err(|error| PhantomError::Encode { format: "NIfTI", reason: error.to_string() })?;
    Ok((format!("{name}.nii.gz"), packed))
}

/// The header of nifti1.h and four bytes without extensions. Hand-made: the crate that reads NIfTI writes it only with
/// ndarray, which the page would have to carry.
fn header(phantom: &Phantom, (data_type, bits): (i16, i16)) -> Vec<u8> {
    let config = &phantom.config;
    let mut bytes = vec![0; 352];
    let mut put = |at: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    };
    put(0, &348_i32.to_le_bytes());
    let axes = [3, config.columns as i16, config.rows as i16, config.slices as i16, 1, 1, 1, 1];
    put(40, &axes.map(i16::to_le_bytes).concat());
    put(70, &data_type.to_le_bytes());
    put(72, &bits.to_le_bytes());
    let (pixel, slice) = (config.pixel_mm, config.slice_mm);
    put(76, &[1.0, pixel, pixel, slice].map(f32::to_le_bytes).concat());
    put(108, &352_f32.to_le_bytes());
    put(112, &1_f32.to_le_bytes());
    // Millimetres.
    put(123, &[2]);
    put(148, b"SYNTHETIC head CT, no patient was scanned");
    // Scanner coordinates; half a turn about z leads from the left and back of a volume to NIfTI's right and front.
    put(252, &[1_i16, 1].map(i16::to_le_bytes).concat());
    let (x, y) = ((config.columns - 1) as f32 / 2.0 * pixel, (config.rows - 1) as f32 / 2.0 * pixel);
    put(256, &[0.0, 0.0, 1.0, x, y, 0.0].map(f32::to_le_bytes).concat());
    let rows = [-pixel, 0.0, 0.0, x, 0.0, -pixel, 0.0, y, 0.0, 0.0, slice, 0.0];
    put(280, &rows.map(f32::to_le_bytes).concat());
    put(344, b"n+1\0");
    bytes
}
