//! The gate on real scans: heads pass, other things are refused, and the rates are printed.
//!
//! Needs the data folder named by `ICTUS_DATA`; says so and passes without it. Run with `--nocapture` for the figures.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use ictus::assess::gate::{Gate, check};
use ictus::ingest::{InputFile, ScanPlan, discover};
use ictus::phantom::{draw, samples};
use ictus::preprocess::{PreprocessConfig, prepare_stages};
use ictus::volume::Volume;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn gate_of(volume: &Volume) -> Gate {
    check(volume, prepare_stages(volume, &PreprocessConfig::default()).as_ref())
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.iter().flat_map(|entry| files_below(entry)).collect()
}

/// The scans of a folder or file, as if it were dropped on the page.
fn dropped(data: &Path, path: &str) -> Vec<ScanPlan> {
    let files = files_below(&data.join(path)).into_iter().map(|file| InputFile {
        path: file.strip_prefix(data).unwrap().to_string_lossy().into_owned(),
        source: Arc::new(fs::read(&file).unwrap()),
    });
    discover(files.collect()).scans
}

/// The verdict on a scan: `None` where the readers already refuse it.
fn verdict(plan: &ScanPlan) -> Option<Gate> {
    let scan = plan.read(&mut |_| ControlFlow::Continue(())).ok()?;
    Some(gate_of(&scan.volume))
}

#[test]
fn the_gate_opens_for_the_samples_of_the_page() {
    for sample in samples() {
        let gate = gate_of(&draw(&sample.config).unwrap().volume);
        assert!(gate.is_open() && gate.warnings.is_empty(), "{}: {gate:?}", sample.name);
    }
}

#[test]
fn the_gate_opens_for_real_heads_and_for_nothing_else() {
    let Some(data) = std::env::var_os("ICTUS_DATA").map(PathBuf::from) else {
        println!("SKIPPED: set ICTUS_DATA to the data folder to test the gate on real scans");
        return;
    };
    let mut warned: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut heads, mut passed) = (0, 0);
    for path in ["ct-ich/brain_ct_data", "phe-sich/scans", "corpus/made/jpg_stack", "corpus/made/png_stack"] {
        for plan in dropped(&data, path) {
            let gate = verdict(&plan).unwrap_or_else(|| panic!("{path} {}: not read", plan.name()));
            heads += 1;
            passed += usize::from(gate.is_open());
            if let Some(refusal) = &gate.refusal {
                println!("{path} {}: refused as {}: {}", plan.name(), refusal.code, refusal.message);
            }
            for warning in gate.warnings {
                warned.entry(warning.code).or_default().push(plan.name().to_owned());
            }
        }
    }
    println!("heads: {passed} of {heads} pass; warnings: {warned:?}");
    assert!(heads >= 123, "only {heads} heads were found");
    assert!(passed * 100 >= heads * 97, "{passed} of {heads} heads pass");

    // The average of many heads, at 2 mm.
    for plan in dropped(&data, "corpus/nifti/scct_hu.nii.gz") {
        let gate = verdict(&plan).unwrap();
        assert!(gate.warnings.iter().any(|warning| warning.code == "coarse_pixels"), "{gate:?}");
    }

    // What readers for DICOM and NIfTI do not read is refused by them; what they read, the gate must refuse.
    for path in ["corpus/nifti", "corpus/ts_chest", "corpus/not_ct", "corpus/philips_phantom_study"] {
        for plan in dropped(&data, path).iter().filter(|plan| !plan.name().contains("scct_hu")) {
            match verdict(plan) {
                Some(gate) => {
                    println!("{path} {}: {:?}", plan.name(), gate.refusal.as_ref().map(|refusal| &refusal.code));
                    assert!(!gate.is_open(), "{path} {}: passes the gate", plan.name());
                }
                None => println!("{path} {}: refused by the reader", plan.name()),
            }
        }
    }
}
