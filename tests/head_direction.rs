//! Which way the head lies in pictures: real stacks, turned by quarter turns, must be turned back or doubted aloud.
//!
//! Needs the data folder named by `ICTUS_DATA`; says so and passes without it. Run with `--nocapture` for the figures;
//! `ICTUS_EVERY=1` takes every scan instead of every eighth, and some 6 GB of memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure is the test's result")]

use ictus::ingest::{InputFile, discover};
use ictus::preprocess::{PreprocessConfig, prepare_stages};
use ictus::volume::{Spacing, Volume};
use rayon::prelude::*;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pictures of every `every`-th patient of both sets, as they would be dropped.
fn scans(data: &Path, every: usize) -> Vec<(String, Volume)> {
    let files_under = |folder: PathBuf| {
        let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    let mut drops: Vec<Vec<PathBuf>> =
        ["Normal", "Stroke"].map(|name| files_under(data.join("ct-ich/brain_ct_data").join(name))).to_vec();
    drops.extend(files_under(data.join("phe-sich/scans")).into_iter().map(files_under));
    let plans: Vec<_> = drops
        .into_iter()
        .flat_map(|files| {
            let input = |file: &PathBuf| InputFile {
                path: file.strip_prefix(data).unwrap().to_string_lossy().into_owned(),
                source: Arc::new(fs::read(file).unwrap()),
            };
            discover(files.iter().map(input).collect()).scans
        })
        .collect();
    let read = |plan: &ictus::ingest::ScanPlan| {
        let scan = plan.read(&mut |_| ControlFlow::Continue(())).ok()?;
        Some((scan.name, scan.volume))
    };
    plans.iter().step_by(every).filter_map(read).collect()
}

/// The volume turned clockwise as displayed by `quarters` quarter turns.
fn turned(volume: &Volume, quarters: usize) -> Volume {
    let mut turned = volume.clone();
    for _ in 0..quarters {
        let (rows, columns) = (turned.rows(), turned.columns());
        let quarter = |slice: &[f32]| -> Vec<f32> {
            (0..columns * rows).map(|at| slice[(rows - 1 - at % rows) * columns + at / rows]).collect()
        };
        let voxels = (0..turned.slices()).flat_map(|z| quarter(turned.slice(z).unwrap())).collect();
        let shape = [turned.slices(), columns, rows];
        turned = Volume::new(voxels, shape, Spacing::default(), volume.scale, volume.orientation).unwrap();
    }
    turned
}

#[test]
fn turned_pictures_are_turned_back_or_the_doubt_is_said() {
    let Some(data) = std::env::var_os("ICTUS_DATA").map(PathBuf::from) else {
        println!("SKIPPED: set ICTUS_DATA to the data folder to test the direction of real heads");
        return;
    };
    let every = std::env::var("ICTUS_EVERY").ok().map_or(8, |every| every.parse().unwrap());
    let scans = scans(&data, every);
    let config = PreprocessConfig::default();
    // One scan of phe-sich (0144) is stored upside down.
    let results: Vec<_> = scans
        .par_iter()
        .map(|(name, volume)| {
            let stored = if name.contains("0144") { 180.0 } else { 0.0 };
            [0, 1, 2, 3].map(|quarters| {
                let preparation = prepare_stages(&turned(volume, quarters), &config).unwrap();
                let degrees = preparation.input.alignment.rotation_degrees() - 90.0 * quarters as f32 - stored;
                let off = (degrees + 540.0).rem_euclid(360.0) - 180.0;
                let said = preparation.warnings().iter().any(|warning| warning.code == "nose_uncertain");
                (off.abs() < 45.0, said)
            })
        })
        .collect();
    for quarters in 0..4 {
        let count = |wanted: (bool, bool)| results.iter().filter(|result| result[quarters] == wanted).count();
        let (right, doubted) = (count((true, false)) + count((true, true)), count((true, true)) + count((false, true)));
        let silent = count((false, false));
        for ((name, _), result) in scans.iter().zip(&results).filter(|(_, result)| result[quarters] != (true, false)) {
            println!("{name} at {} degrees: right, said {:?}", 90 * quarters, result[quarters]);
        }
        println!(
            "{} degrees: {right} of {} turned right, {doubted} doubted, {silent} wrong in silence",
            90 * quarters,
            results.len()
        );
        assert_eq!(silent, 0, "{} degrees", 90 * quarters);
    }
}
