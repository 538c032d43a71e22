//! Files are written by `dicom-object`, which reads and writes independently of the walk that is tested here.

mod places;

use crate::ingest::{InputFile, OrderBasis, ReadError, Scan, discover};
use crate::volume::{Orientation, ValueScale};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, value::DataSetSequence};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use proptest::prelude::*;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Four pixels a slice.
const PIXELS: [i16; 4] = [-1000, 0, 40, 1200];

fn text(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

fn short(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// A CT slice of 2 x 2 pixels at height `z`.
fn slice(instance: usize, z: f64) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    text(&mut object, tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
    text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{instance}"));
    text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.9");
    text(&mut object, tags::MODALITY, VR::CS, "CT");
    text(&mut object, tags::INSTANCE_NUMBER, VR::IS, &instance.to_string());
    text(&mut object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    text(&mut object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("-1\\-1\\{z}"));
    text(&mut object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    text(&mut object, tags::PIXEL_SPACING, VR::DS, "0.5\\0.25");
    text(&mut object, tags::RESCALE_SLOPE, VR::DS, "1");
    text(&mut object, tags::RESCALE_INTERCEPT, VR::DS, "0");
    for (tag, value) in [
        (tags::ROWS, 2),
        (tags::COLUMNS, 2),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        short(&mut object, tag, value);
    }
    pixels(&mut object, &PIXELS);
    object
}

fn pixels(object: &mut InMemDicomObject, values: &[i16]) {
    let words: Vec<u16> = values.iter().map(|&value| value as u16).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())));
}

fn write(object: InMemDicomObject, syntax: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(syntax).media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE);
    let mut bytes = vec![0; 128];
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    // `write_all` writes a preamble of its own.
    bytes.split_off(128)
}

fn file(path: &str, bytes: Vec<u8>) -> InputFile {
    InputFile { path: path.to_owned(), source: Arc::new(bytes) }
}

fn written(path: &str, object: InMemDicomObject) -> InputFile {
    file(path, write(object, uids::EXPLICIT_VR_LITTLE_ENDIAN))
}

fn read(files: Vec<InputFile>) -> Result<Scan, String> {
    let discovery = discover(files);
    let Some(plan) = discovery.scans.first() else {
        return Err(discovery.refused[0].refusal.code.clone());
    };
    plan.read(&mut |_| ControlFlow::Continue(())).map_err(|error| match error {
        ReadError::Refused(refused) => refused.refusal.code,
        ReadError::Cancelled => "cancelled".to_owned(),
    })
}

fn codes(scan: &Scan) -> Vec<&str> {
    scan.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[test]
fn position_orders_the_slices_not_names_or_numbers() {
    let files = [20.0, 0.0, 10.0].iter().enumerate().map(|(n, &z)| {
        let mut object = slice(n, z);
        pixels(&mut object, &PIXELS.map(|value| value + n as i16));
        written(&format!("s/{n}.dcm"), object)
    });
    let scan = read(files.collect()).unwrap();
    assert_eq!(scan.order.as_named, [1, 2, 0]);
    assert_eq!(scan.order.basis, OrderBasis::Position);
    assert_eq!(scan.volume.slice(0).unwrap(), [-999.0, 1.0, 41.0, 1201.0]);
    assert_eq!(scan.slices[2].path, "s/0.dcm");
    assert_eq!(scan.volume.spacing.slice_mm, Some(10.0));
    assert_eq!((scan.volume.spacing.row_mm, scan.volume.spacing.column_mm), (Some(0.5), Some(0.25)));
    assert_eq!(scan.volume.orientation, Orientation::Stated);
    assert_eq!(codes(&scan), [""; 0]);
}

#[test]
fn every_uncompressed_transfer_syntax_gives_the_same_values() {
    for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2"] {
        let scan = read(vec![file("a.dcm", write(slice(1, 0.0), syntax))]).unwrap();
        assert_eq!(scan.volume.voxels(), PIXELS.map(f32::from), "{syntax}");
    }
}

#[test]
fn a_file_without_preamble_and_meta_group_is_read() {
    let whole = write(slice(1, 0.0), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let meta_length = u32::from_le_bytes(whole[140..144].try_into().unwrap()) as usize;
    let bare = whole[144 + meta_length..].to_vec();
    assert_eq!(read(vec![file("IM0001", bare)]).unwrap().volume.voxels(), PIXELS.map(f32::from));
}

#[test]
fn rescale_sign_and_stored_bits_are_applied_and_monochrome1_changes_nothing() {
    let mut object = slice(1, 0.0);
    short(&mut object, tags::PIXEL_REPRESENTATION, 0);
    short(&mut object, tags::BITS_STORED, 12);
    short(&mut object, tags::HIGH_BIT, 11);
    text(&mut object, tags::RESCALE_SLOPE, VR::DS, "2");
    text(&mut object, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    text(&mut object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    // An overlay bit above the twelve that count.
    pixels(&mut object, &[0, 1, 100, 0x7000 | 4]);
    assert_eq!(read(vec![written("a", object)]).unwrap().volume.voxels(), [-1024.0, -1022.0, -824.0, -1016.0]);
}

#[test]
fn flipped_slices_are_turned_to_the_canonical_frame() {
    let mut object = slice(1, 0.0);
    text(&mut object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "-1\\0\\0\\0\\-1\\0");
    let scan = read(vec![written("a", object)]).unwrap();
    assert_eq!(scan.volume.voxels(), [1200.0, 40.0, 0.0, -1000.0]);
    assert!(scan.slices[0].in_plane.flip_x && scan.slices[0].in_plane.flip_y);
}

#[test]
fn another_modality_a_localiser_a_report_and_a_screenshot_are_refused_by_name() {
    let with = |change: fn(&mut InMemDicomObject)| {
        let mut object = slice(1, 0.0);
        change(&mut object);
        read(vec![written("a.dcm", object)]).unwrap_err()
    };
    assert_eq!(with(|object| text(object, tags::MODALITY, VR::CS, "MR")), "not_ct");
    assert_eq!(with(|object| text(object, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER")), "localiser");
    assert_eq!(with(|object| text(object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB")), "screen_capture");
    let no_pixels = with(|object| {
        object.remove_element(tags::PIXEL_DATA);
    });
    assert_eq!(no_pixels, "no_pixels");
}

#[test]
fn a_localiser_beside_a_series_is_set_aside() {
    let mut scout = slice(9, 0.0);
    text(&mut scout, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    text(&mut scout, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.8");
    let discovery = discover(vec![written("s/1", slice(1, 0.0)), written("s/2", slice(2, 5.0)), written("s/3", scout)]);
    assert_eq!((discovery.scans.len(), discovery.refused.len(), discovery.set_aside.len()), (1, 0, 1));
}

#[test]
fn two_series_are_two_scans_with_names_of_their_own() {
    let series = |uid: &str, description: &str, n: usize| {
        let mut object = slice(n, n as f64);
        text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, uid);
        text(&mut object, tags::SERIES_DESCRIPTION, VR::LO, description);
        written(&format!("s/{n}"), object)
    };
    let discovery = discover(vec![
        series("1.1", "thin", 1),
        series("1.1", "thin", 2),
        series("1.2", "thick", 3),
        series("1.2", "thick", 4),
    ]);
    assert_eq!(discovery.scans.iter().map(crate::ingest::ScanPlan::name).collect::<Vec<_>>(), ["s: thin", "s: thick"]);
}

#[test]
fn a_file_dropped_twice_is_used_once() {
    let scan =
        read(vec![written("s/1", slice(1, 0.0)), written("s/1 copy", slice(1, 0.0)), written("s/2", slice(2, 5.0))]);
    let scan = scan.unwrap();
    assert_eq!(scan.volume.slices(), 2);
    assert_eq!(codes(&scan), ["duplicate_files"]);
}

#[test]
fn slices_that_were_given_one_uid_are_all_used() {
    let named = |n: usize, keep: &[Tag]| {
        let mut object = slice(n, 5.0 * n as f64);
        text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3");
        for tag in [tags::INSTANCE_NUMBER, tags::IMAGE_POSITION_PATIENT] {
            if !keep.contains(&tag) {
                object.remove_element(tag);
            }
        }
        pixels(&mut object, &PIXELS.map(|value| value + n as i16));
        written(&format!("s/{n}"), object)
    };
    for keep in [vec![tags::INSTANCE_NUMBER], vec![tags::IMAGE_POSITION_PATIENT], vec![]] {
        let scan = read((0..4).map(|n| named(n, &keep)).collect()).unwrap();
        assert_eq!(scan.volume.slices(), 4, "{keep:?}");
        assert!(!codes(&scan).contains(&"duplicate_files"));
    }
}

#[test]
fn slices_of_two_fields_of_view_are_two_scans() {
    let files = (0..4).map(|n| {
        let mut object = slice(n, 5.0 * n as f64);
        text(&mut object, tags::PIXEL_SPACING, VR::DS, if n < 2 { "0.5\\0.5" } else { "0.4\\0.4" });
        written(&format!("s/{n}"), object)
    });
    let scans = discover(files.collect()).scans;
    assert_eq!(scans.iter().map(crate::ingest::ScanPlan::slices).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn one_slice_of_another_scale_makes_the_scale_unknown() {
    let files = (0..3).map(|n| {
        let mut object = slice(n, 5.0 * n as f64);
        text(&mut object, tags::RESCALE_TYPE, VR::LO, if n == 2 { "Z_EFF" } else { "HU" });
        written(&format!("s/{n}"), object)
    });
    assert_eq!(read(files.collect()).unwrap().volume.scale, ValueScale::Unknown);
}

/// The data set of a file, deflated (PS3.5 A.5).
fn deflated(object: InMemDicomObject) -> Vec<u8> {
    let plain = write(object, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let meta_length = u32::from_le_bytes(plain[140..144].try_into().unwrap()) as usize;
    let syntax = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
    let mut bytes = plain[..132].to_vec();
    bytes.extend(b"\x02\x00\x10\x00UI");
    bytes.extend((syntax.len() as u16).to_le_bytes());
    bytes.extend(syntax.as_bytes());
    let mut encoder = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::fast());
    encoder.write_all(&plain[144 + meta_length..]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn deflated_files_give_the_same_values_and_a_cut_one_is_truncated() {
    let object = |n: usize| {
        let mut object = slice(n, 5.0 * n as f64);
        pixels(&mut object, &PIXELS.map(|value| value + n as i16));
        object
    };
    let packed = |n| file(&format!("s/{n}"), deflated(object(n)));
    let plain = |n| written(&format!("s/{n}"), object(n));
    assert_eq!(read((0..4).map(packed).collect()).unwrap().volume, read((0..4).map(plain).collect()).unwrap().volume);
    let mut cut = deflated(object(0));
    cut.truncate(cut.len() - 6);
    assert_eq!(read(vec![file("a.dcm", cut)]).unwrap_err(), "truncated");
}

#[test]
fn slices_at_one_place_are_no_stack() {
    let mut other = slice(2, 0.0);
    pixels(&mut other, &PIXELS.map(|value| value + 1));
    assert_eq!(read(vec![written("s/1", slice(1, 0.0)), written("s/2", other)]).unwrap_err(), "not_a_stack");
}

#[test]
fn without_positions_instance_numbers_order_and_the_person_is_told() {
    let files = [3, 1, 2].map(|n| {
        let mut object = slice(n, 0.0);
        object.remove_element(tags::IMAGE_POSITION_PATIENT);
        written(&format!("s/{}", 9 - n), object)
    });
    let scan = read(files.to_vec()).unwrap();
    assert_eq!(scan.order.basis, OrderBasis::InstanceNumber);
    assert_eq!(scan.slices.iter().map(|slice| slice.path.as_str()).collect::<Vec<_>>(), ["s/8", "s/7", "s/6"]);
    assert!(codes(&scan).contains(&"order_uncertain"));
}

#[test]
fn functional_groups_place_and_scale_the_frames_of_an_enhanced_file() {
    let frame = |z: f64, intercept: &str| {
        let group = |tag: Tag, vr: VR, value: &str| {
            let mut item = InMemDicomObject::new_empty();
            text(&mut item, tag, vr, value);
            DataSetSequence::from(vec![item])
        };
        InMemDicomObject::from_element_iter([
            DataElement::new(
                tags::PLANE_POSITION_SEQUENCE,
                VR::SQ,
                group(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}")),
            ),
            DataElement::new(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                VR::SQ,
                group(tags::RESCALE_INTERCEPT, VR::DS, intercept),
            ),
        ])
    };
    let mut object = slice(1, 99.0);
    text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, "2");
    let frames = DataSetSequence::from(vec![frame(5.0, "0"), frame(0.0, "-24")]);
    object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, frames));
    pixels(&mut object, &[PIXELS, PIXELS].concat());
    for syntax in [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN] {
        let scan = read(vec![file("m.dcm", write(object.clone(), syntax))]).unwrap();
        assert_eq!(scan.order.as_named, [1, 0]);
        assert_eq!(scan.volume.slice(0).unwrap()[..1], [-1024.0]);
        assert_eq!(scan.slices[0].path, "m.dcm#1");
    }
    // Dropped twice, it is still one scan.
    let discovery = discover(vec![written("m.dcm", object.clone()), written("copy.dcm", object)]);
    assert_eq!(discovery.scans.len(), 1);
    let scan = discovery.scans[0].read(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(codes(&scan).contains(&"duplicate_files"));
}

/// A file of frames of 2 x 2 pixels in fragments, by hand: offset table, then fragments.
fn encapsulated(syntax: &str, frames: usize, table: &[u8], fragments: &[&[u8]]) -> Vec<u8> {
    let mut object = slice(1, 0.0);
    object.remove_element(tags::PIXEL_DATA);
    object.remove_element(tags::IMAGE_POSITION_PATIENT);
    text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string());
    let mut bytes = write(object, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let stated = bytes.windows(20).position(|window| window == b"1.2.840.10008.1.2.1\0").unwrap();
    // The meta group has room for a transfer syntax of any length once its own length is mended.
    let mut padded = syntax.as_bytes().to_vec();
    padded.resize(padded.len().next_multiple_of(2), 0);
    bytes[stated - 2..stated].copy_from_slice(&(padded.len() as u16).to_le_bytes());
    let meta = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) + padded.len() as u32 - 20;
    bytes[140..144].copy_from_slice(&meta.to_le_bytes());
    bytes.splice(stated..stated + 20, padded);
    bytes.extend(b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff");
    for item in std::iter::once(&table).chain(fragments) {
        bytes.extend(b"\xfe\xff\x00\xe0");
        bytes.extend((item.len() as u32).to_le_bytes());
        bytes.extend(*item);
    }
    bytes.extend(b"\xfe\xff\xdd\xe0\0\0\0\0");
    bytes
}

/// A lossless JPEG frame of 2 x 2 pixels that all have the value 32768 + `value` (less the sign: -32768 + `value`).
fn tiny_jpeg(value: u8) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc3, 0, 11, 16, 0, 2, 0, 2, 1, 1, 0x11, 0];
    // Two codes of two bits: 0 for no difference, 1 for one of eight bits.
    bytes.extend([0xff, 0xc4, 0, 21, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
    bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, 0]);
    // 01, then the value, then 00 00 00: sixteen bits. Values have their highest bit set, so they are positive.
    let bits = 1_u16 << 14 | u16::from(value | 0x80) << 6;
    bytes.extend(bits.to_be_bytes());
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[test]
fn frames_in_several_fragments_are_told_apart_with_and_without_an_offset_table() {
    let [first, second] = [tiny_jpeg(0x85), tiny_jpeg(0x86)];
    let parts: [&[u8]; 4] = [&first[..20], &first[20..], &second[..40], &second[40..]];
    let start = (first.len() + 16) as u32;
    let table = [0_u32.to_le_bytes(), start.to_le_bytes()].concat();
    let [a, b] = [0x85_i32, 0x86].map(|value| (value - 32768) as f32);
    for table in [&table[..], &[]] {
        let bytes = encapsulated(uids::JPEG_LOSSLESS_SV1, 2, table, &parts);
        let scan = read(vec![file("m.dcm", bytes)]).unwrap();
        let mut values: Vec<f32> = scan.volume.voxels().to_vec();
        values.sort_by(f32::total_cmp);
        values.dedup();
        // The levels are signed: 32768 + value is -32768 + value.
        assert_eq!(values, [a, b]);
    }
}

#[test]
fn frames_that_no_data_follow_are_refused_without_room_being_made() {
    let frame = tiny_jpeg(0x85);
    assert_eq!(
        read(vec![file("m.dcm", encapsulated(uids::JPEG_LOSSLESS_SV1, 4000, &[], &[&frame]))]).unwrap_err(),
        "damaged"
    );
}

#[test]
fn compressions_without_a_decoder_are_refused_by_name() {
    for syntax in [uids::JPEGXL_LOSSLESS, uids::MPEG2MPML, "1.2.840.10008.1.2.4.52"] {
        let bytes = encapsulated(syntax, 1, &[], &[&[0; 8]]);
        assert_eq!(read(vec![file("a.dcm", bytes)]).unwrap_err(), "unsupported_ts", "{syntax}");
    }
}

#[test]
fn a_deflated_data_set_is_read_and_a_bomb_is_not() {
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write;
    let plain = write(slice(1, 0.0), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let start = 144 + u32::from_le_bytes(plain[140..144].try_into().unwrap()) as usize;
    let deflated = |zlib: &[u8], padding: usize| {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
        if padding > 0 {
            packer.write_all(b"\x08\x00\x00\x01OB\0\0").unwrap();
            packer.write_all(&(padding as u32).to_le_bytes()).unwrap();
            packer.write_all(&vec![0; padding]).unwrap();
        }
        packer.write_all(&plain[start..]).unwrap();
        let head = encapsulated(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, 1, &[], &[]);
        let start = 144 + u32::from_le_bytes(head[140..144].try_into().unwrap()) as usize;
        [&head[..start], zlib, &packer.finish().unwrap()].concat()
    };
    for zlib in [[].as_slice(), &[0x78, 0x9c]] {
        assert_eq!(read(vec![file("a.dcm", deflated(zlib, 0))]).unwrap().volume.voxels(), PIXELS.map(f32::from));
    }
    assert_eq!(read(vec![file("a.dcm", deflated(&[], 100 << 20))]).unwrap_err(), "damaged");
}

#[test]
fn values_stated_to_be_something_else_are_of_unknown_scale() {
    let mut object = slice(1, 0.0);
    text(&mut object, tags::RESCALE_TYPE, VR::LO, "Z_EFF");
    assert_eq!(read(vec![written("a", object)]).unwrap().volume.scale, ValueScale::Unknown);
}

#[test]
fn a_cut_file_is_truncated_wherever_it_is_cut() {
    let whole = write(slice(1, 0.0), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    for length in [whole.len() - 1, whole.len() - 8] {
        assert_eq!(read(vec![file("a.dcm", whole[..length].to_vec())]).unwrap_err(), "truncated");
    }
    // Any shorter one gets some refusal.
    for length in 0..whole.len() {
        assert!(read(vec![file("a.dcm", whole[..length].to_vec())]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_length_beyond_the_file_asks_for_no_memory() {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x08\x00\x70\x00UT\x00\x00\xf0\xff\xff\xff");
    assert_eq!(read(vec![file("a.dcm", bytes)]).unwrap_err(), "damaged");
}

#[test]
fn endless_nesting_is_refused() {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    for _ in 0..100_000 {
        bytes.extend(b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff");
    }
    assert_eq!(read(vec![file("a.dcm", bytes)]).unwrap_err(), "damaged");
}

proptest! {
    #[test]
    fn damaged_files_never_panic(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8), implicit: bool) {
        let syntax = if implicit { uids::IMPLICIT_VR_LITTLE_ENDIAN } else { uids::EXPLICIT_VR_LITTLE_ENDIAN };
        let mut bytes = write(slice(1, 0.0), syntax);
        for (place, value) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = value;
        }
        // Any answer will do, as long as there is one.
        let _ = read(vec![file("a.dcm", bytes)]);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), marked: bool) {
        let mut bytes = bytes;
        if marked && bytes.len() > 132 {
            bytes[128..132].copy_from_slice(b"DICM");
        }
        let _ = read(vec![file("a.dcm", bytes)]);
    }
}
