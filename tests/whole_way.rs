//! One phantom as DICOM, NIfTI and pictures, through the readers, the preprocessing and the network: the files differ, the
//! answer does not.
//!
//! The weights are those that the page ships.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use burn::tensor::Device;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use ictus::ingest::{InputFile, OrderBasis, Scan, ScanKind, discover};
use ictus::network::Model;
use ictus::phantom::write::{File, PictureFormat, PictureOptions, dicom, nifti, pictures};
use ictus::phantom::{Bleed, BleedKind, Phantom, PhantomConfig, Side, draw};
use ictus::report::{Finding, Outcome};
use ictus::screen::{Screened, Watch, screen};
use std::ops::ControlFlow;
use std::sync::Arc;

fn head(bleeds: Vec<Bleed>) -> Phantom {
    let config = PhantomConfig { seed: 5, rows: 256, columns: 256, pixel_mm: 0.9, bleeds, ..PhantomConfig::default() };
    draw(&config).unwrap()
}

fn bleeding_head() -> Phantom {
    head(vec![Bleed { kind: BleedKind::Intraparenchymal, volume_ml: 30.0, side: Some(Side::Left) }])
}

/// Reads what was written; the files come in the opposite order, as a file system may give them.
fn read(files: Vec<File>) -> Scan {
    let inputs = files.into_iter().rev().map(|(path, bytes)| InputFile { path, source: Arc::new(bytes) });
    let discovery = discover(inputs.collect());
    assert!(discovery.refused.is_empty(), "{:?}", discovery.refused);
    assert_eq!(discovery.scans.len(), 1);
    discovery.scans[0].read(&mut |_| ControlFlow::Continue(())).unwrap()
}

fn stack(phantom: &Phantom, format: PictureFormat, first: usize) -> Scan {
    read(pictures(phantom, &PictureOptions { format, first, patient: 72 }).unwrap())
}

fn model() -> Model {
    Model::from_bytes(include_bytes!("../www/models/compact.safetensors"), &Device::flex()).unwrap()
}

fn answer(scan: &Scan) -> Screened {
    let mut progress = |_| ControlFlow::Continue(());
    let mut watch = Watch::new(&|| 0.0, &mut progress);
    let screened = burn::tensor::try_read_sync(screen(scan, &model(), "cpu", &mut watch)).unwrap().unwrap();
    assert_eq!(screened.report.outcome, Outcome::Classified, "{:?}", screened.report.refusal);
    screened
}

/// Largest difference of the probabilities of the scan and of its slices, which must be the same slices.
fn difference(a: &Screened, b: &Screened) -> f32 {
    let probabilities = |screened: &Screened| -> Vec<Option<f32>> {
        let slices = screened.report.slices.iter().map(|slice| slice.probability);
        std::iter::once(screened.report.probability).chain(slices).collect()
    };
    let (a, b) = (probabilities(a), probabilities(b));
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(&b).map(|pair| match pair {
        (Some(a), Some(b)) => (a - b).abs(),
        (None, None) => 0.0,
        _ => panic!("a slice is looked at in one file and not in the other"),
    });
    pairs.fold(0.0, f32::max)
}

#[test]
fn dicom_and_nifti_give_the_voxels_that_were_drawn() {
    let phantom = bleeding_head();
    for (scan, kind) in [
        (read(dicom(&phantom).unwrap()), ScanKind::Dicom),
        (read(vec![nifti(&phantom, false).unwrap()]), ScanKind::Nifti),
        (read(vec![nifti(&phantom, true).unwrap()]), ScanKind::Nifti),
    ] {
        assert_eq!(scan.kind, kind);
        assert_eq!(scan.volume, phantom.volume);
    }
}

#[test]
fn pictures_give_the_voxels_within_the_window() {
    let phantom = bleeding_head();
    for (format, tolerance) in [(PictureFormat::Png, 0.25), (PictureFormat::Jpg, 2.0)] {
        let scan = stack(&phantom, format, 0);
        assert_eq!(scan.volume.shape(), phantom.volume.shape());
        let errors: Vec<f32> = scan
            .volume
            .voxels()
            .iter()
            .zip(phantom.volume.voxels())
            .map(|(read, drawn)| (read - drawn.clamp(-20.0, 100.0)).abs())
            .collect();
        // JPEG rings beside bone, so its bound is on the mean.
        let error = match format {
            PictureFormat::Png => errors.iter().copied().fold(0.0, f32::max),
            PictureFormat::Jpg => errors.iter().sum::<f32>() / errors.len() as f32,
        };
        assert!(error <= tolerance, "{format:?}: {error} HU");
    }
}

#[test]
fn a_stack_that_starts_in_the_middle_is_put_in_order() {
    let phantom = bleeding_head();
    let scan = stack(&phantom, PictureFormat::Png, 13);
    assert_eq!(scan.order.basis, OrderBasis::Images);
    assert_eq!(scan.volume, stack(&phantom, PictureFormat::Png, 0).volume);
}

#[test]
fn every_format_of_one_head_gets_the_same_answer() {
    let phantom = bleeding_head();
    let drawn = answer(&read(dicom(&phantom).unwrap()));
    let same = difference(&drawn, &answer(&read(vec![nifti(&phantom, true).unwrap()])));
    assert!(same < 1e-6, "NIfTI differs from DICOM by {same}");
    // 8-bit pictures round to 0.47 HU, and JPEG loses a little more: single slices move by that, the scan hardly does.
    let moved = |pictures: &Screened| {
        let scan = |screened: &Screened| screened.report.probability.unwrap();
        ((scan(&drawn) - scan(pictures)).abs(), difference(&drawn, pictures))
    };
    for (format, first) in [(PictureFormat::Png, 0), (PictureFormat::Jpg, 7)] {
        let (scan, slice) = moved(&answer(&stack(&phantom, format, first)));
        println!("{format:?} moves the probability of the scan by {scan}, of a slice by up to {slice}");
        assert!(scan < 1e-3 && slice < 1e-2, "{format:?}: scan {scan}, slice {slice}");
    }
}

#[test]
fn a_head_with_a_bleed_and_one_without_are_told_apart() {
    assert_eq!(answer(&read(dicom(&bleeding_head()).unwrap())).report.finding, Some(Finding::BleedingLikely));
    assert_eq!(answer(&read(dicom(&head(Vec::new())).unwrap())).report.finding, Some(Finding::NoBleedingSeen));
}

/// How slices are stored: the directions (LPS) of increasing column and row, and whether the highest slice comes first.
#[derive(Clone, Copy, Debug)]
struct Storage {
    across: [f32; 3],
    down: [f32; 3],
    top_down: bool,
}

/// As usual, mirrored, upside down, transposed, and all at once.
const STORAGES: [Storage; 5] = [
    Storage { across: [1.0, 0.0, 0.0], down: [0.0, 1.0, 0.0], top_down: false },
    Storage { across: [-1.0, 0.0, 0.0], down: [0.0, 1.0, 0.0], top_down: false },
    Storage { across: [1.0, 0.0, 0.0], down: [0.0, -1.0, 0.0], top_down: true },
    Storage { across: [0.0, 1.0, 0.0], down: [1.0, 0.0, 0.0], top_down: false },
    Storage { across: [0.0, -1.0, 0.0], down: [-1.0, 0.0, 0.0], top_down: true },
];

/// A phantom with a bleed, to be stored in other ways than the library's writers do.
struct Sitter {
    phantom: Phantom,
    rows: usize,
    columns: usize,
    slices: usize,
}

impl Sitter {
    fn new() -> Self {
        // Not square, so that a transpose cannot go unnoticed.
        let config = PhantomConfig { columns: 224, ..bleeding_head().config };
        let phantom = draw(&config).unwrap();
        let PhantomConfig { rows, columns, slices, .. } = phantom.config;
        Self { phantom, rows, columns, slices }
    }

    /// Rows and columns as stored.
    fn stored_shape(&self, storage: Storage) -> [usize; 2] {
        if storage.across[0] == 0.0 { [self.columns, self.rows] } else { [self.rows, self.columns] }
    }

    /// The slice of the phantom that is stored as number `number`.
    fn slice(&self, storage: Storage, number: usize) -> usize {
        if storage.top_down { self.slices - 1 - number } else { number }
    }

    /// Column and row of the phantom at a stored column and row.
    fn place(&self, storage: Storage, column: usize, row: usize) -> [usize; 2] {
        [self.columns, self.rows]
            .into_iter()
            .enumerate()
            .map(|(axis, size)| {
                let step = storage.across[axis] * column as f32 + storage.down[axis] * row as f32;
                let forward = storage.across[axis] + storage.down[axis] > 0.0;
                if forward { step as usize } else { (size as f32 - 1.0 + step) as usize }
            })
            .collect::<Vec<_>>()
            .try_into()
            .unwrap()
    }

    /// A slice of the volume or of the mask as it is stored, row after row.
    fn store<T: Copy>(&self, storage: Storage, number: usize, values: &[T]) -> Vec<T> {
        let area = self.columns * self.rows;
        let slice = &values[self.slice(storage, number) * area..];
        let [rows, columns] = self.stored_shape(storage);
        let pixels = (0..rows).flat_map(|row| (0..columns).map(move |column| [column, row]));
        pixels
            .map(|[column, row]| {
                let [x, y] = self.place(storage, column, row);
                slice[y * self.columns + x]
            })
            .collect()
    }

    /// Patient coordinates (LPS, mm) of the first stored pixel of a slice.
    fn corner(&self, storage: Storage, number: usize) -> [f32; 3] {
        let PhantomConfig { pixel_mm, slice_mm, .. } = self.phantom.config;
        let [x, y] = self.place(storage, 0, 0);
        [x as f32 * pixel_mm, y as f32 * pixel_mm, self.slice(storage, number) as f32 * slice_mm]
    }

    /// The slices as a DICOM series: `CT0001.dcm` is number 0.
    fn dicom(&self, storage: Storage) -> Vec<File> {
        let text = |numbers: &[f32]| numbers.iter().map(f32::to_string).collect::<Vec<_>>().join("\\");
        let [rows, columns] = self.stored_shape(storage);
        let store = |(number, (_, bytes)): (usize, File)| {
            let mut object = dicom_object::from_reader(bytes.as_slice()).unwrap();
            for (tag, vr, text) in [
                (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, text(&[storage.across, storage.down].concat())),
                (tags::IMAGE_POSITION_PATIENT, VR::DS, text(&self.corner(storage, number))),
                (tags::INSTANCE_NUMBER, VR::IS, (number + 1).to_string()),
            ] {
                object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
            }
            for (tag, size) in [(tags::ROWS, rows), (tags::COLUMNS, columns)] {
                object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(size as u16)));
            }
            let values = self.store(storage, number, self.phantom.volume.voxels());
            let words: Vec<u16> = values.iter().map(|hounsfield| (hounsfield + 1024.0) as u16).collect();
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())));
            let mut bytes = Vec::new();
            object.write_all(&mut bytes).unwrap();
            (format!("turned/CT{:04}.dcm", number + 1), bytes)
        };
        dicom(&self.phantom).unwrap().into_iter().enumerate().map(store).collect()
    }

    /// The slices as a NIfTI file with an sform.
    fn nifti(&self, storage: Storage) -> File {
        let (_, mut bytes) = nifti(&self.phantom, false).unwrap();
        bytes.truncate(352);
        let [rows, columns] = self.stored_shape(storage);
        let extent = [columns, rows, self.slices].map(|size| (size as i16).to_le_bytes());
        bytes[42..48].copy_from_slice(&extent.concat());
        let PhantomConfig { pixel_mm, slice_mm, .. } = self.phantom.config;
        let up = [0.0, 0.0, if storage.top_down { -slice_mm } else { slice_mm }];
        let corner = self.corner(storage, 0);
        for axis in 0..3 {
            // NIfTI's x and y run to the right and to the front.
            let sign = if axis == 2 { 1.0 } else { -1.0 };
            let form = [storage.across[axis] * pixel_mm, storage.down[axis] * pixel_mm, up[axis], corner[axis]];
            bytes[280 + 16 * axis..296 + 16 * axis].copy_from_slice(&form.map(|v| (v * sign).to_le_bytes()).concat());
        }
        let voxels = (0..self.slices).flat_map(|number| self.store(storage, number, self.phantom.volume.voxels()));
        bytes.extend(voxels.flat_map(|hounsfield| (hounsfield as i16).to_le_bytes()));
        ("turned.nii".to_owned(), bytes)
    }

    /// Patient coordinates (LPS, mm) of a stored pixel (PS3.3 C.7.6.2.1.1).
    fn in_patient(&self, storage: Storage, number: usize, [x, y]: [f32; 2]) -> [f32; 3] {
        let corner = self.corner(storage, number);
        let step = |axis: usize| (storage.across[axis] * x + storage.down[axis] * y) * self.phantom.config.pixel_mm;
        [0, 1, 2].map(|axis| corner[axis] + step(axis))
    }

    /// Millimetres from a stored pixel to the nearest blood on the same stored slice.
    fn to_blood_mm(&self, storage: Storage, number: usize, [x, y]: [f32; 2]) -> f32 {
        let mask = self.store(storage, number, &self.phantom.mask);
        let [_, columns] = self.stored_shape(storage);
        let blood = mask.iter().enumerate().filter(|&(_, &label)| label > 0);
        let distances = blood.map(|(place, _)| ((place % columns) as f32 - x).hypot((place / columns) as f32 - y));
        distances.fold(f32::INFINITY, f32::min) * self.phantom.config.pixel_mm
    }
}

/// Millimetres between two places.
fn apart([ax, ay, az]: [f32; 3], [bx, by, bz]: [f32; 3]) -> f32 {
    (ax - bx).hypot(ay - by).hypot(az - bz)
}

/// The number in `turned/CT0007.dcm`, from 0, or in `turned.nii#6`.
fn stored_number(source: &str) -> usize {
    match source.rsplit_once('#') {
        Some((_, number)) => number.parse().unwrap(),
        None => source.trim_start_matches("turned/CT").trim_end_matches(".dcm").parse::<usize>().unwrap() - 1,
    }
}

#[test]
fn the_reported_peak_lies_on_the_blood_of_the_stored_slice_however_slices_are_stored() {
    let sitter = Sitter::new();
    let mut usual = None;
    for storage in STORAGES {
        for files in [sitter.dicom(storage), vec![sitter.nifti(storage)]] {
            let name = files[0].0.clone();
            let report = answer(&read(files)).report;
            let looked_at = report.slices.iter().filter_map(|slice| Some((slice.probability?, slice)));
            let (_, surest) = looked_at.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            let (number, peak) = (stored_number(&surest.source), surest.peak.unwrap());
            let distance = sitter.to_blood_mm(storage, number, peak);
            assert!(distance <= 10.0, "{name} {storage:?}: {distance} mm from the blood of {}", surest.source);
            // Blood may lie so near to the middle that a wrong flip stays on it: the place in the head is the same, too.
            let place = sitter.in_patient(storage, number, peak);
            let [rows, columns] = sitter.stored_shape(storage).map(|size| size as f32 - 1.0);
            for mirrored in [[columns - peak[0], peak[1]], [peak[0], rows - peak[1]]] {
                let flipped = sitter.in_patient(storage, number, mirrored);
                assert!(apart(flipped, place) > 2.0, "the peak lies in the middle: {peak:?}");
            }
            let moved = apart(*usual.get_or_insert(place), place);
            assert!(moved < 0.5, "{name} {storage:?}: the peak moved by {moved} mm");
        }
    }
}
