//! Where slices lie, which belong together, and what their numbers mean.

use super::*;
use crate::phantom::{PhantomConfig, draw};

/// Slice `instance` with `instance` added to its pixels, so that it can be told from the others.
fn marked(instance: usize, change: impl FnOnce(&mut InMemDicomObject)) -> InputFile {
    let mut object = slice(instance, 5.0 * instance as f64);
    pixels(&mut object, &PIXELS.map(|value| value + instance as i16));
    change(&mut object);
    written(&format!("s/{instance:02}"), object)
}

/// Which slice of [`marked`] lies where, bottom to top.
fn marks(scan: &Scan) -> Vec<f32> {
    let lowest = |z| scan.volume.slice(z).unwrap().iter().copied().fold(f32::INFINITY, f32::min);
    (0..scan.volume.slices()).map(|z| lowest(z) + 1000.0).collect()
}

fn set_position(object: &mut InMemDicomObject, [x, y, z]: [f64; 3]) {
    text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("{x:.4}\\{y:.4}\\{z:.4}"));
}

#[test]
fn each_slice_has_its_own_rescale() {
    let rescaled = |n: usize, slope: &'static str, intercept: &'static str| {
        let mut object = slice(n, n as f64);
        text(&mut object, tags::RESCALE_SLOPE, VR::DS, slope);
        text(&mut object, tags::RESCALE_INTERCEPT, VR::DS, intercept);
        written(&format!("s/{n}"), object)
    };
    let scan = read(vec![rescaled(1, "1", "0"), rescaled(2, "2", "-24")]).unwrap();
    assert_eq!(scan.volume.voxels(), [-1000.0, 0.0, 40.0, 1200.0, -2024.0, -24.0, 56.0, 2376.0]);
}

#[test]
fn a_modality_table_maps_values_and_goes_on_beyond_its_ends() {
    let mut item = InMemDicomObject::new_empty();
    item.put(DataElement::new(tags::LUT_DESCRIPTOR, VR::SS, PrimitiveValue::I16([3, -1, 16].as_slice().into())));
    item.put(DataElement::new(tags::LUT_DATA, VR::OW, PrimitiveValue::U16([7, 8, 900].as_slice().into())));
    text(&mut item, tags::MODALITY_LUT_TYPE, VR::LO, "HU");
    let mut object = slice(1, 0.0);
    object.remove_element(tags::RESCALE_SLOPE);
    object.remove_element(tags::RESCALE_INTERCEPT);
    object.put(DataElement::new(tags::MODALITY_LUT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item.clone()])));
    let scan = read(vec![written("a", object.clone())]).unwrap();
    // Stored: -1000, 0, 40, 1200.
    assert_eq!(scan.volume.voxels(), [7.0, 8.0, 900.0, 900.0]);
    // A table holds no negative values, so that these cannot be Hounsfield units of a head.
    assert_eq!(scan.volume.scale, ValueScale::Unknown);

    item.put(DataElement::new(tags::LUT_DESCRIPTOR, VR::SS, PrimitiveValue::I16([300, -1, 16].as_slice().into())));
    object.put(DataElement::new(tags::MODALITY_LUT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item])));
    assert_eq!(read(vec![written("a", object)]).unwrap_err(), "unsupported_pixels");
}

#[test]
fn a_table_that_runs_backwards_or_feet_first_changes_nothing() {
    for patient in ["HFS", "FFS"] {
        let files = (0..4).map(|n| {
            marked(n, |object| {
                text(object, tags::PATIENT_POSITION, VR::CS, patient);
                // Numbered from the top down; the table position counts against the patient's axis.
                text(object, tags::INSTANCE_NUMBER, VR::IS, &(9 - n).to_string());
                text(object, tags::SLICE_LOCATION, VR::DS, &(-5 * n as i32).to_string());
            })
        });
        let scan = read(files.collect()).unwrap();
        assert_eq!(marks(&scan), [0.0, 1.0, 2.0, 3.0], "{patient}");
        assert_eq!(codes(&scan), [""; 0]);
    }
}

#[test]
fn slices_stored_lying_on_their_side_are_turned() {
    // Rows run to the back and columns to the left: the normal points to the feet.
    let scan = read(
        (0..3)
            .map(|n| marked(n, |object| text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\1\\0\\0")))
            .collect(),
    )
    .unwrap();
    assert_eq!(marks(&scan), [0.0, 1.0, 2.0]);
    assert_eq!(scan.volume.slice(0).unwrap(), [-1000.0, 40.0, 0.0, 1200.0]);
    assert!(scan.slices[0].in_plane.transpose && !scan.slices[0].in_plane.flip_x);
    assert_eq!((scan.volume.spacing.row_mm, scan.volume.spacing.column_mm), (Some(0.25), Some(0.5)));
}

#[test]
fn oblique_slices_are_as_far_apart_as_they_are_along_their_normal() {
    let (sine, cosine) = 20.0_f64.to_radians().sin_cos();
    let scan = read(
        (0..3)
            .map(|n| {
                marked(n, |object| {
                    text(
                        object,
                        tags::IMAGE_ORIENTATION_PATIENT,
                        VR::DS,
                        &format!("1\\0\\0\\0\\{cosine:.6}\\{sine:.6}"),
                    );
                    set_position(object, [0.0, -sine * 5.0 * n as f64, cosine * 5.0 * n as f64]);
                })
            })
            .collect(),
    )
    .unwrap();
    assert_eq!(marks(&scan), [0.0, 1.0, 2.0]);
    assert!((scan.volume.spacing.slice_mm.unwrap() - 5.0).abs() < 1e-3);
    assert_eq!(codes(&scan), [""; 0]);
}

#[test]
fn a_tilted_gantry_uneven_slices_and_a_hole_are_said() {
    let said = |place: fn(f64) -> [f64; 3]| {
        let files = (0..6).map(|n| marked(n, |object| set_position(object, place(n as f64))));
        let scan = read(files.collect()).unwrap();
        assert_eq!(marks(&scan), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        codes(&scan).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(said(|n| [0.0, 1.7 * n, 5.0 * n]), ["gantry_tilt"]);
    assert_eq!(said(|n| [0.0, 0.0, if n < 3.0 { 4.0 * n } else { 7.0 * n - 9.0 }]), ["uneven_spacing"]);
    assert_eq!(said(|n| [0.0, 0.0, if n < 3.0 { 5.0 * n } else { 5.0 * n + 5.0 }]), ["missing_slices"]);
}

#[test]
fn the_same_slice_under_another_identity_is_used_once_and_another_slice_there_is_not() {
    let series = |twin_pixels: [i16; 4]| {
        let twin = marked(7, |object| {
            set_position(object, [-1.0, -1.0, 5.0]);
            pixels(object, &twin_pixels);
        });
        read((0..3).map(|n| marked(n, |_| ())).chain([twin]).collect())
    };
    let scan = series(PIXELS.map(|value| value + 1)).unwrap();
    assert_eq!(marks(&scan), [0.0, 1.0, 2.0]);
    assert_eq!(codes(&scan), ["duplicate_files"]);
    assert_eq!(series(PIXELS).unwrap_err(), "not_a_stack");
}

#[test]
fn a_scout_view_without_the_mark_of_one_is_set_aside() {
    let scout = marked(9, |object| text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1"));
    let discovery = discover((0..3).map(|n| marked(n, |_| ())).chain([scout]).collect());
    assert_eq!((discovery.scans.len(), discovery.set_aside.len()), (1, 1));
    assert_eq!(discovery.set_aside[0].refusal.code, "localiser");
}

#[test]
fn of_several_series_of_a_study_the_best_comes_first_with_a_reason() {
    let series = |uid: &'static str, kernel: &'static str, mm: f64, count: usize| {
        (0..count).map(move |n| {
            let mut object = slice(n, mm * n as f64);
            text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &format!("{uid}.{n}"));
            text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, uid);
            text(&mut object, tags::STUDY_INSTANCE_UID, VR::UI, "1.2");
            text(&mut object, tags::CONVOLUTION_KERNEL, VR::SH, kernel);
            written(&format!("{kernel}{mm}/{n:03}"), object)
        })
    };
    let files =
        series("1.1", "H60s", 5.0, 30).chain(series("1.2", "H31s", 1.0, 150)).chain(series("1.3", "H31s", 4.0, 35));
    let discovery = discover(files.chain(series("1.4", "H31s", 5.0, 8)).collect());
    let names: Vec<&str> = discovery.scans.iter().map(crate::ingest::ScanPlan::name).collect();
    assert_eq!(names, ["H31s4", "H31s1", "H60s5", "H31s5"]);
    let messages: Vec<String> = discovery
        .scans
        .iter()
        .map(|plan| {
            let scan = plan.read(&mut |_| ControlFlow::Continue(())).unwrap();
            scan.warnings.into_iter().find(|warning| warning.code == "several_series").unwrap().message
        })
        .collect();
    assert!(messages[0].contains("this one suits best (35 slices, 4.0 mm apart, kernel H31s)"), "{}", messages[0]);
    assert!(messages[3].contains("\"H31s4\""), "{}", messages[3]);
}

#[test]
fn numbers_that_start_in_the_middle_of_the_head_are_corrected_by_the_pictures() {
    let phantom = draw(&PhantomConfig { rows: 64, columns: 64, pixel_mm: 3.6, ..PhantomConfig::small() }).unwrap();
    let n = phantom.volume.slices();
    let files = (0..n).map(|z| {
        let mut object = slice((z + 8) % n, 0.0);
        object.remove_element(tags::IMAGE_POSITION_PATIENT);
        short(&mut object, tags::ROWS, 64);
        short(&mut object, tags::COLUMNS, 64);
        let stored: Vec<i16> = phantom.volume.slice(z).unwrap().iter().map(|&value| value as i16).collect();
        pixels(&mut object, &stored);
        written(&format!("s/{z:02}"), object)
    });
    let scan = read(files.collect()).unwrap();
    assert_eq!(scan.order.basis, OrderBasis::Images);
    assert_eq!(scan.volume.voxels(), phantom.volume.voxels());
    assert!(codes(&scan).contains(&"slices_reordered"));
}
