//! Agreement with the reference study on real scans.

use super::*;
use crate::volume::{Orientation, Spacing, ValueScale};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder of `ICTUS_DATA`, or a line that says that the test was skipped.
fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ICTUS_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED {test}: ICTUS_DATA is not set");
    }
    folder
}

/// A stack of pictures under the window of level 40 and width 120.
fn pictures(paths: &[PathBuf]) -> Volume {
    let slices: Vec<_> = paths.iter().map(|path| image::open(path).unwrap().to_luma8()).collect();
    let (columns, rows) = slices[0].dimensions();
    let voxels = slices.iter().flat_map(image::GrayImage::as_raw).map(|&grey| f32::from(grey) * (120.0 / 255.0) - 20.0);
    let scale = ValueScale::Windowed { level: 40.0, width: 120.0 };
    let shape = [slices.len(), rows as usize, columns as usize];
    Volume::new(voxels.collect(), shape, Spacing::default(), scale, Orientation::Assumed).unwrap()
}

/// A patient of ct-ich with the slices in their true order.
fn ct_ich(data: &Path, patient: u32) -> Volume {
    let table = std::fs::read_to_string(data.join("ct-ich/slice_order.csv")).unwrap();
    let line = table.lines().find(|line| line.starts_with(&format!("{patient},"))).unwrap();
    let fields: Vec<&str> = line.split(',').collect();
    let folder = data.join("ct-ich/brain_ct_data").join(fields[1]);
    let paths: Vec<PathBuf> =
        fields[2].split_whitespace().map(|file| folder.join(format!("{patient} ({file}).jpg"))).collect();
    pictures(&paths)
}

/// An array of a NumPy archive: shape and little-endian bytes.
fn array(archive: &Path, name: &str) -> (Vec<usize>, Vec<u8>) {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8(bytes[10..10 + header].to_vec()).unwrap();
    let shape = text.split(['(', ')']).nth(1).unwrap();
    let shape = shape.split(',').filter_map(|axis| axis.trim().parse().ok()).collect();
    (shape, bytes.split_off(10 + header))
}

#[test]
fn real_scans_agree_with_the_reference_study() {
    let Some(data) = data("real_scans_agree_with_the_reference_study") else { return };
    let config = PreprocessConfig {
        symmetry: Symmetry::Outline,
        follow_fraction: 1.0,
        max_rotation_degrees: 30.0,
        rim_cut_px: 1.0,
        contrast_hu: None,
        ..PreprocessConfig::default()
    };
    let mut differences = Vec::new();
    for patient in [49, 58, 63, 72, 85, 94, 100, 113] {
        let input = prepare(&ct_ich(&data, patient), &config).unwrap();
        let archive = data.join(format!("reference/expected/{patient}.npz"));
        let (shape, hounsfield) = array(&archive, "hu");
        let (_, mask) = array(&archive, "mask");
        let (_, slices) = array(&archive, "slices");
        let slices: Vec<usize> =
            slices.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()) as usize).collect();
        assert_eq!(input.slices, slices[0]..slices[1], "slices of {patient}");
        assert_eq!(input.shape.to_vec(), shape, "shape of {patient}");
        let expected = hounsfield.chunks_exact(2).map(|bytes| half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32());
        let (mut both, mut either, mut difference) = (0_u32, 0_u32, 0.0);
        for ((&value, &inside), (expected, &expected_inside)) in
            input.hounsfield.iter().zip(&input.mask).zip(expected.zip(&mask))
        {
            either += u32::from(inside) + u32::from(expected_inside != 0);
            if inside && expected_inside != 0 {
                both += 1;
                difference += f64::from((value - expected).abs());
            }
        }
        let dice = 2.0 * f64::from(both) / f64::from(either);
        let difference = difference / f64::from(both);
        println!("{patient}: Dice {dice:.4}, mean difference {difference:.3} HU");
        assert!(dice >= 0.98, "mask of {patient}: Dice {dice}");
        differences.push(difference);
    }
    // The axis is searched in steps of half a degree; one scan lies between two of them and takes the other, .75 HU away.
    assert!(differences.iter().filter(|&&difference| difference <= 0.5).count() >= 7, "{differences:?}");
    assert!(differences.iter().all(|&difference| difference <= 1.0), "{differences:?}");
}
