//! One phantom as DICOM, NIfTI and pictures, through the readers, the preprocessing and the network: the files differ, the
//! answer does not.
//!
//! The weights are those that the page ships.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use burn::tensor::Device;
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
