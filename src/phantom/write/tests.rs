use super::*;
use crate::phantom::{Phantom, PhantomConfig, draw};
use dicom_dictionary_std::tags;

fn phantom() -> Phantom {
    draw(&PhantomConfig { seed: 9, ..PhantomConfig::small() }).unwrap()
}

#[test]
fn a_dicom_file_gives_its_slice_back_and_says_that_it_is_synthetic() {
    let phantom = phantom();
    let files = dicom(&phantom).unwrap();
    assert_eq!(files.len(), 15);
    assert_eq!(files[7].0, "phantom-9/CT0008.dcm");
    let object = dicom_object::from_reader(files[7].1.as_slice()).unwrap();
    let text = |tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
    assert_eq!(text(tags::PATIENT_NAME), "Synthetic^Phantom");
    assert!(text(tags::IMAGE_TYPE).starts_with("DERIVED"));
    assert!(text(tags::SERIES_DESCRIPTION).contains("SYNTHETIC"));
    assert_eq!(text(tags::IMAGE_POSITION_PATIENT), "-114.3\\-114.3\\70");
    let stored = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
    let hounsfield: Vec<f32> = stored.iter().map(|&v| f32::from(v) - 1024.0).collect();
    assert_eq!(hounsfield, phantom.volume.slice(7).unwrap());
}

#[test]
fn dicom_uids_are_valid_distinct_and_repeatable() {
    let files = dicom(&phantom()).unwrap();
    let uid = |bytes: &[u8]| {
        let object = dicom_object::from_reader(bytes).unwrap();
        object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned()
    };
    let uids: std::collections::BTreeSet<String> = files.iter().map(|(_, bytes)| uid(bytes)).collect();
    assert_eq!(uids.len(), files.len());
    assert!(uids.iter().all(|uid| uid.len() <= 64 && uid.starts_with("2.25.")));
    assert_eq!(files, dicom(&phantom()).unwrap());
}

#[test]
fn a_nifti_header_states_size_spacing_and_axes() {
    let (name, bytes) = nifti(&phantom(), false).unwrap();
    assert_eq!(name, "phantom-9.nii");
    assert_eq!(bytes.len(), 352 + 2 * 15 * 128 * 128);
    let header = ::nifti::NiftiHeader::from_reader(&bytes[..348]).unwrap();
    assert_eq!(header.dim().unwrap(), [128, 128, 15]);
    assert_eq!(header.pixdim[1..4], [1.8, 1.8, 10.0]);
    assert_eq!((header.srow_x[0], header.srow_y[1], header.srow_z[2]), (-1.8, -1.8, 10.0));
    let (name, packed) = nifti_mask(&phantom(), true).unwrap();
    assert_eq!(name, "phantom-9-mask.nii.gz");
    assert!(packed.starts_with(&[0x1F, 0x8B]));
}

#[test]
fn pictures_hold_the_brain_window() {
    let phantom = phantom();
    let options = PictureOptions { format: PictureFormat::Png, ..PictureOptions::default() };
    let files = pictures(&phantom, &options).unwrap();
    let picture = image::load_from_memory(&files[9].1).unwrap().into_luma8();
    for (grey, v) in picture.iter().zip(phantom.volume.slice(9).unwrap()) {
        let back = f32::from(*grey) * 120.0 / 255.0 - 20.0;
        assert!((back - v.clamp(-20.0, 100.0)).abs() < 0.25);
    }
}

#[test]
fn the_numbering_can_start_in_the_middle() {
    let options = PictureOptions { patient: 72, first: 5, ..PictureOptions::default() };
    let names: Vec<String> = pictures(&phantom(), &options).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[5], "phantom/72 (1).jpg");
    assert_eq!(names[0], "phantom/72 (11).jpg");
    assert_eq!(names[14], "phantom/72 (10).jpg");
}
