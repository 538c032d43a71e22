//! Where slices lie, which belong together, and what their numbers mean.

use super::*;
use crate::ingest::Salt;
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
        (codes(&scan).join(" "), scan.volume.gaps_mm)
    };
    let told = |code: &str, gaps: &[f32]| (code.to_owned(), gaps.to_vec());
    assert_eq!(said(|n| [0.0, 1.7 * n, 5.0 * n]), told("gantry_tilt", &[]));
    let uneven = said(|n| [0.0, 0.0, if n < 3.0 { 4.0 * n } else { 7.0 * n - 9.0 }]);
    assert_eq!(uneven, told("uneven_spacing", &[4.0, 4.0, 4.0, 7.0, 7.0]));
    let holed = said(|n| [0.0, 0.0, if n < 3.0 { 5.0 * n } else { 5.0 * n + 5.0 }]);
    assert_eq!(holed, told("missing_slices", &[5.0, 5.0, 10.0, 5.0, 5.0]));
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

/// Ten slices, changed by `change`.
fn ten(change: impl Fn(usize, &mut InMemDicomObject)) -> Vec<InputFile> {
    (0..10).map(|n| marked(n, |object| change(n, object))).collect()
}

#[test]
fn numbers_that_writers_round_for_each_slice_are_of_one_stack() {
    let files = ten(|n, object| {
        let cosine = if n % 2 == 0 { 0.995_000_1 } else { 0.994_999_9 };
        let sine = 0.099_874_9;
        let orientation = format!("{cosine}\\{sine}\\0\\-{sine}\\{cosine}\\0");
        text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &orientation);
        text(object, tags::PIXEL_SPACING, VR::DS, if n % 3 == 0 { "0.485001\\0.485001" } else { "0.484999\\0.484999" });
    });
    assert_eq!(marks(&read(files).unwrap()).len(), 10);
}

#[test]
fn two_patients_under_one_uid_are_two_scans() {
    // Between each other, so that no place tells them apart.
    let patient = |id: &'static str, shift: f64| {
        ten(move |n, object| {
            text(object, tags::PATIENT_ID, VR::LO, id);
            text(object, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.{n}.{id}"));
            set_position(object, [-1.0, -1.0, 5.0 * n as f64 + shift]);
        })
    };
    let discovery = discover([patient("7", 0.0), patient("8", 2.5)].concat());
    assert_eq!(discovery.scans.iter().map(crate::ingest::ScanPlan::slices).collect::<Vec<_>>(), [10, 10]);
}

#[test]
fn scans_of_one_patient_have_one_hash_in_a_session_and_another_in_the_next() {
    let scan = |series: &'static str, number: Option<&'static str>| {
        ten(move |n, object| {
            text(object, tags::SERIES_INSTANCE_UID, VR::UI, series);
            text(object, tags::SOP_INSTANCE_UID, VR::UI, &format!("{series}.{n}"));
            text(object, tags::PATIENT_NAME, VR::PN, "Rossi^Mario");
            if let Some(number) = number {
                text(object, tags::PATIENT_ID, VR::LO, number);
            }
        })
    };
    let [one, another] = [3, 4].map(|byte| Salt::new(&[byte; 16]).unwrap());
    let hash =
        |salt: &Salt, files: Vec<InputFile>| discover(files).scans[0].patient().map(|patient| patient.hash(salt));
    let known = hash(&one, scan("1.2.1", Some("4711"))).unwrap();
    assert!(known.len() == 64 && !known.contains("4711"), "{known}");
    assert_eq!(hash(&one, scan("1.2.2", Some(" 4711 "))), Some(known.clone()));
    assert_ne!(hash(&one, scan("1.2.1", Some("4712"))), Some(known.clone()));
    assert_ne!(hash(&another, scan("1.2.1", Some("4711"))), Some(known));
    assert!(hash(&one, scan("1.2.1", None)).is_some());
}

#[test]
fn two_kernels_under_one_uid_are_two_scans() {
    let kernel = |name: &'static str, number: usize| {
        ten(move |n, object| {
            text(object, tags::CONVOLUTION_KERNEL, VR::SH, name);
            text(object, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.{n}.{number}"));
            pixels(object, &PIXELS.map(|value| value + number as i16));
        })
    };
    let discovery = discover([kernel("H31s", 1), kernel("H60s", 2)].concat());
    assert_eq!(discovery.refused, []);
    assert_eq!(discovery.scans.len(), 2);
}

#[test]
fn a_slice_where_another_one_lies_is_left_out_and_said() {
    let repeated = |n: usize| set_of(n, if n == 6 { 5 } else { n });
    let scan = read((0..10).map(repeated).collect()).unwrap();
    assert_eq!(marks(&scan), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 9.0]);
    assert_eq!(codes(&scan), ["duplicate_files", "missing_slices"]);
}

/// Slice `n` at the place of slice `place`, taken in another run.
fn set_of(n: usize, place: usize) -> InputFile {
    marked(n, |object| {
        text(object, tags::ACQUISITION_NUMBER, VR::IS, if n < 6 { "1" } else { "2" });
        set_position(object, [-1.0, -1.0, 5.0 * place as f64]);
    })
}

#[test]
fn a_few_slices_across_a_series_are_scout_views() {
    let mut files = ten(|_, _| {});
    for n in 10..12 {
        files.push(marked(n, |object| {
            text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1");
            set_position(object, [n as f64, 0.0, 0.0]);
        }));
    }
    let discovery = discover(files);
    assert_eq!(discovery.scans.len(), 1);
    assert_eq!(discovery.set_aside[0].refusal.code, "localiser");
    assert_eq!(discovery.set_aside[0].sources.len(), 2);
}

#[test]
fn padding_above_the_scale_is_air_and_below_it_stays() {
    let padded = |padding: i16| {
        let mut object = slice(1, 0.0);
        short(&mut object, tags::PIXEL_PADDING_VALUE, padding as u16);
        pixels(&mut object, &[-1000, 0, 40, padding]);
        read(vec![written("a", object)]).unwrap().volume.voxels()[3]
    };
    assert_eq!(padded(32_000), -1024.0);
    assert_eq!(padded(-2000), -2000.0);
    assert_eq!(padded(900), 900.0);
}

#[test]
fn hounsfield_units_are_known_however_they_are_written() {
    for (kind, scale) in
        [("hu", ValueScale::Hounsfield), ("Hounsfield", ValueScale::Hounsfield), ("HUX", ValueScale::Unknown)]
    {
        let mut object = slice(1, 0.0);
        text(&mut object, tags::RESCALE_TYPE, VR::LO, kind);
        assert_eq!(read(vec![written("a", object)]).unwrap().volume.scale, scale, "{kind}");
    }
}

#[test]
fn a_file_that_ends_in_its_header_is_truncated() {
    let bytes = write(slice(1, 0.0), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    assert_eq!(read(vec![file("a", bytes[..170].to_vec())]).unwrap_err(), "truncated");
}

/// A multi-frame file of frames `from..to` of a scan that was cut in two.
fn part_of_two(number: u16, from: usize, to: usize) -> InputFile {
    let item = |tag: Tag, value: &str| {
        let mut item = InMemDicomObject::new_empty();
        text(&mut item, tag, VR::DS, value);
        DataSetSequence::from(vec![item])
    };
    let groups = (from..to).map(|n| {
        let position = item(tags::IMAGE_POSITION_PATIENT, &format!("0\\0\\{}", 5 * n));
        let mut group = InMemDicomObject::new_empty();
        group.put(DataElement::new(tags::PLANE_POSITION_SEQUENCE, VR::SQ, position));
        group
    });
    let groups: Vec<InMemDicomObject> = groups.collect();
    let mut object = slice(number.into(), 0.0);
    object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, DataSetSequence::from(groups)));
    text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, &(to - from).to_string());
    text(&mut object, tags::CONCATENATION_UID, VR::UI, "1.2.77");
    short(&mut object, tags::IN_CONCATENATION_NUMBER, number);
    let values: Vec<i16> = (from..to).flat_map(|n| PIXELS.map(|value| value + n as i16)).collect();
    pixels(&mut object, &values);
    written(&format!("s/{}.dcm", 9 - number), object)
}

#[test]
fn parts_of_a_multi_frame_image_are_one_scan_even_if_dropped_twice() {
    let mut files = vec![part_of_two(1, 0, 3), part_of_two(2, 3, 4)];
    assert_eq!(marks(&read(files.clone()).unwrap()), [0.0, 1.0, 2.0, 3.0]);
    let copies: Vec<InputFile> = files
        .iter()
        .map(|file| InputFile { path: format!("copy/{}", file.path), source: Arc::clone(&file.source) })
        .collect();
    files.extend(copies);
    let scan = read(files).unwrap();
    assert_eq!(marks(&scan), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(codes(&scan), ["duplicate_files"]);
}
