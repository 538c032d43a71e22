//! Headers are made here byte by byte, so that nothing is compared with itself.

use crate::ingest::{InputFile, OrderBasis, ReadError, Scan, discover};
use crate::volume::{Orientation, ValueScale};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Writes numbers of either byte order into a header.
struct Maker {
    bytes: Vec<u8>,
    big: bool,
}

impl Maker {
    fn put<const N: usize>(&mut self, offset: usize, mut little: [u8; N]) -> &mut Self {
        if self.big {
            little.reverse();
        }
        self.bytes[offset..offset + N].copy_from_slice(&little);
        self
    }

    /// NIfTI-1 with an identity sform (RAS) of 2 mm.
    fn first(big: bool, extent: [i16; 3], datatype: i16) -> Self {
        let mut maker = Self { bytes: vec![0; 352], big };
        maker.put(0, 348_i32.to_le_bytes()).put(40, 3_i16.to_le_bytes());
        for (axis, size) in extent.into_iter().enumerate() {
            maker.put(42 + 2 * axis, size.to_le_bytes());
            maker.put(80 + 4 * axis, 2_f32.to_le_bytes());
            maker.put(280 + 20 * axis, 2_f32.to_le_bytes());
        }
        maker.put(70, datatype.to_le_bytes()).put(108, 352_f32.to_le_bytes()).put(254, 1_i16.to_le_bytes());
        maker.bytes[344..348].copy_from_slice(b"n+1\0");
        maker
    }

    fn with(mut self, voxels: &[u8]) -> Vec<u8> {
        self.bytes.extend(voxels);
        self.bytes
    }
}

fn shorts(values: &[i16], big: bool) -> Vec<u8> {
    values.iter().flat_map(|value| if big { value.to_be_bytes() } else { value.to_le_bytes() }).collect()
}

fn read(files: &[(&str, Vec<u8>)]) -> Result<Scan, String> {
    let files =
        files.iter().map(|(path, bytes)| InputFile { path: (*path).to_owned(), source: Arc::new(bytes.clone()) });
    let discovery = discover(files.collect());
    let Some(plan) = discovery.scans.first() else {
        return Err(discovery.refused[0].refusal.code.clone());
    };
    plan.read(&mut |_| ControlFlow::Continue(())).map_err(|error| match error {
        ReadError::Refused(refused) => refused.refusal.code,
        ReadError::Cancelled => "cancelled".to_owned(),
    })
}

const VALUES: [i16; 4] = [-1000, 0, 40, 1200];

#[test]
fn both_byte_orders_give_the_same_volume_in_the_canonical_frame() {
    for big in [false, true] {
        let scan = read(&[("a.nii", Maker::first(big, [2, 2, 1], 4).with(&shorts(&VALUES, big)))]).unwrap();
        // RAS to LPS turns x and y.
        assert_eq!(scan.volume.voxels(), [1200.0, 40.0, 0.0, -1000.0]);
        assert_eq!(scan.volume.spacing.slice_mm, Some(2.0));
        assert_eq!(scan.volume.scale, ValueScale::Hounsfield);
        assert_eq!(scan.volume.orientation, Orientation::Stated);
        assert_eq!(scan.order.basis, OrderBasis::Stored);
    }
}

#[test]
fn gzip_is_unpacked() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&Maker::first(false, [2, 2, 1], 4).with(&shorts(&VALUES, false))).unwrap();
    let packed = packer.finish().unwrap();
    assert_eq!(read(&[("a.nii.gz", packed.clone())]).unwrap().volume.voxels()[..1], [1200.0]);
    let cut = packed[..packed.len() - 20].to_vec();
    assert!(read(&[("a.nii.gz", cut)]).is_err());
    let mut changed = packed.clone();
    let sum = changed.len() - 8;
    changed[sum] ^= 1;
    assert_eq!(read(&[("a.nii.gz", changed)]).unwrap_err(), "damaged");
    let padded = [packed, vec![0; 512]].concat();
    assert_eq!(read(&[("a.nii.gz", padded)]).unwrap().volume.voxels()[..1], [1200.0]);
}

#[test]
fn slope_and_intercept_are_applied_and_a_slope_of_zero_is_none() {
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(112, 2_f32.to_le_bytes()).put(116, (-10_f32).to_le_bytes());
    assert_eq!(read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap().volume.voxels()[3..], [-2010.0]);
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(116, (-10_f32).to_le_bytes());
    assert_eq!(read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap().volume.voxels()[3..], [-1000.0]);
}

#[test]
fn every_number_type_is_read() {
    let number = |code: i16, bytes: &[u8]| {
        let stored = Maker::first(false, [1, 1, 1], code).with(bytes);
        read(&[("a.nii", stored)]).unwrap().volume.voxels()[0]
    };
    let read: Vec<f32> = vec![
        number(2, &[200]),
        number(256, &(-3_i8).to_le_bytes()),
        number(512, &40_000_u16.to_le_bytes()),
        number(4, &(-1000_i16).to_le_bytes()),
        number(768, &70_000_u32.to_le_bytes()),
        number(8, &(-70_000_i32).to_le_bytes()),
        number(1280, &9_u64.to_le_bytes()),
        number(1024, &(-9_i64).to_le_bytes()),
        number(16, &1.5_f32.to_le_bytes()),
        number(64, &(-2.5_f64).to_le_bytes()),
    ];
    assert_eq!(read, [200.0, -3.0, 40_000.0, -1000.0, 70_000.0, -70_000.0, 9.0, -9.0, 1.5, -2.5]);
}

#[test]
fn a_quaternion_turns_the_axes() {
    // 180 degrees about z: stored x runs to the left, y to the back, which is canonical.
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(254, 0_i16.to_le_bytes()).put(252, 1_i16.to_le_bytes()).put(264, 1_f32.to_le_bytes());
    assert_eq!(read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap().volume.voxels(), VALUES.map(f32::from));
}

#[test]
fn slices_stored_top_down_are_turned_and_keep_their_numbers() {
    let mut maker = Maker::first(false, [1, 1, 4], 4);
    maker.put(320, (-2_f32).to_le_bytes());
    let scan = read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap();
    assert_eq!(scan.volume.voxels(), [1200.0, 40.0, 0.0, -1000.0]);
    assert_eq!(scan.order.as_named, [3, 2, 1, 0]);
    assert_eq!(scan.slices[0].path, "a.nii#3");
}

#[test]
fn without_forms_the_orientation_is_assumed_and_said() {
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(254, 0_i16.to_le_bytes());
    let scan = read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap();
    assert_eq!(scan.volume.orientation, Orientation::Assumed);
    assert_eq!(scan.volume.voxels(), [40.0, 1200.0, -1000.0, 0.0]);
    assert!(scan.warnings.iter().any(|warning| warning.code == "orientation_assumed"));
}

#[test]
fn the_second_version_is_read_with_its_offset_stated_or_not() {
    for offset in [544, 0] {
        the_second_version_is_read(offset);
    }
}

fn the_second_version_is_read(offset: i64) {
    let mut maker = Maker { bytes: vec![0; 544], big: false };
    maker.put(0, 540_i32.to_le_bytes()).put(12, 4_i16.to_le_bytes()).put(16, 3_i64.to_le_bytes());
    for axis in 0..3 {
        maker.put(24 + 8 * axis, [2_i64, 2, 1][axis].to_le_bytes());
        maker.put(400 + 40 * axis, (if axis < 2 { -0.5_f64 } else { 5.0 }).to_le_bytes());
    }
    maker.put(168, offset.to_le_bytes()).put(348, 1_i32.to_le_bytes());
    maker.bytes[4..8].copy_from_slice(b"n+2\0");
    let scan = read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap();
    assert_eq!(scan.volume.voxels(), VALUES.map(f32::from));
    assert_eq!(scan.volume.spacing.column_mm, Some(0.5));
}

#[test]
fn a_pair_is_brought_together_and_half_a_pair_is_refused() {
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.bytes[344..348].copy_from_slice(b"ni1\0");
    maker.put(108, 0_f32.to_le_bytes());
    let (header, data) = (maker.with(&[]), shorts(&VALUES, false));
    assert!(read(&[("d/a.hdr", header.clone()), ("d/a.img", data.clone())]).is_ok());
    assert_eq!(read(&[("d/a.hdr", header)]).unwrap_err(), "missing_img");
    assert_eq!(read(&[("d/a.img", data)]).unwrap_err(), "missing_hdr");
}

#[test]
fn a_time_axis_is_refused_unless_it_is_one_long() {
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(40, 4_i16.to_le_bytes()).put(48, 1_i16.to_le_bytes());
    assert!(read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).is_ok());
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(40, 5_i16.to_le_bytes());
    assert!(read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).is_ok());
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(40, 4_i16.to_le_bytes()).put(48, 7_i16.to_le_bytes());
    assert_eq!(read(&[("a.nii", maker.with(&[0; 56]))]).unwrap_err(), "4d");
}

#[test]
fn a_pair_may_be_compressed_and_an_empty_offset_is_that_of_the_header() {
    let gzip = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.bytes[344..348].copy_from_slice(b"ni1\0");
    maker.put(108, 0_f32.to_le_bytes());
    let (header, data) = (gzip(&maker.with(&[])), gzip(&shorts(&VALUES, false)));
    for (header_path, data_path) in [("a.hdr.gz", "a.img.gz"), ("A.HDR.GZ", "A.IMG.GZ")] {
        let files = [(header_path, header.clone()), (data_path, data.clone())];
        assert_eq!(read(&files).unwrap().volume.voxels()[..1], [1200.0]);
    }
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    maker.put(108, 0_f32.to_le_bytes());
    assert_eq!(read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap().volume.voxels()[..1], [1200.0]);
}

#[test]
fn voxels_never_begin_inside_the_header() {
    let starting_at = |offset: f32| {
        let mut maker = Maker::first(false, [2, 2, 1], 4);
        maker.put(108, offset.to_le_bytes());
        read(&[("a.nii", maker.with(&shorts(&VALUES, false)))])
    };
    let voxels = |offset| starting_at(offset).unwrap().volume.voxels().to_vec();
    assert_eq!(voxels(0.0), voxels(352.0));
    for offset in [-1.0, 1.0, 348.0, f32::NAN] {
        assert_eq!(starting_at(offset).unwrap_err(), "damaged", "{offset}");
    }
}

#[test]
fn a_sagittal_volume_is_turned_and_the_person_is_told() {
    let mut maker = Maker::first(false, [2, 3, 4], 4);
    // Stored axes: to the back, up, to the right.
    for row in 0..3 {
        let mut forms = [0_f32; 3];
        forms[[2, 0, 1][row]] = if row == 1 { -2.0 } else { 2.0 };
        for (axis, value) in forms.into_iter().enumerate() {
            maker.put(280 + 16 * row + 4 * axis, value.to_le_bytes());
        }
    }
    let scan = read(&[("a.nii", maker.with(&shorts(&[0; 24], false)))]).unwrap();
    assert_eq!(scan.volume.shape(), [3, 2, 4]);
    assert!(scan.warnings.iter().any(|warning| warning.code == "not_axial"));
}

#[test]
fn axes_in_one_plane_state_no_orientation() {
    let mut maker = Maker::first(false, [2, 2, 1], 4);
    // Slices stacked within their own plane.
    maker.put(288, 2_f32.to_le_bytes()).put(320, 0_f32.to_le_bytes());
    let scan = read(&[("a.nii", maker.with(&shorts(&VALUES, false)))]).unwrap();
    assert_eq!(scan.volume.orientation, Orientation::Assumed);
}

#[test]
fn a_file_that_is_too_short_is_truncated() {
    assert_eq!(read(&[("a.nii", Maker::first(false, [2, 2, 1], 4).with(&[0; 7]))]).unwrap_err(), "truncated");
}

proptest! {
    #[test]
    fn damaged_headers_never_panic(at in 0..352_usize, value: u8, more: Vec<(u16, u8)>) {
        let mut bytes = Maker::first(false, [2, 2, 1], 4).with(&shorts(&VALUES, false));
        bytes[at] = value;
        for (place, value) in more {
            let place = usize::from(place) % bytes.len();
            bytes[place] = value;
        }
        // Any answer will do, as long as there is one.
        let _ = read(&[("a.nii", bytes)]);
    }
}
