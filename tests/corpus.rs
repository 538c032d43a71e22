//! Files that nobody on this project wrote, against figures by independent readers (`corpus/manifest.csv`).
//!
//! Needs the environment variable `ICTUS_DATA`, a folder with `corpus/`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use ictus::ingest::{Discovery, InputFile, ReadError, Scan, ScanKind, digest, discover};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[test]
fn the_open_corpus_is_read_as_independent_readers_read_it() {
    let Some(data) = std::env::var_os("ICTUS_DATA").map(PathBuf::from) else {
        println!("SKIPPED: ICTUS_DATA is not set, so the corpus was not read");
        return;
    };
    let corpus = data.join("corpus");
    let rows = rows(&fs::read_to_string(corpus.join("manifest.csv")).unwrap());
    let mut faults = Vec::new();
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &rows {
        let result = check(&corpus, row);
        let (passed, total) = kinds.entry(kind(row)).or_default();
        *passed += usize::from(result.is_ok());
        *total += 1;
        if let Err(fault) = result {
            faults.push(format!("{}: {fault}", row["path"]));
        }
    }
    for (kind, (passed, total)) in kinds {
        println!("{kind}: {passed} of {total} rows as expected");
    }
    println!("{} of {} rows as expected", rows.len() - faults.len(), rows.len());
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(rows.len() > 50, "the manifest has only {} rows", rows.len());
}

#[test]
fn the_kaggle_layout_is_one_stack_a_patient() {
    let Some(data) = std::env::var_os("ICTUS_DATA").map(PathBuf::from) else {
        println!("SKIPPED: ICTUS_DATA is not set, so the Kaggle layout was not read");
        return;
    };
    let patients = rows(&fs::read_to_string(data.join("ct-ich/patients.csv")).unwrap());
    let discovery = discover(files(&data.join("ct-ich/brain_ct_data")));
    assert_eq!(discovery.refused, []);
    let found: HashMap<&str, usize> = discovery.scans.iter().map(|plan| (plan.name(), plan.slices())).collect();
    let here = patients.iter().filter(|patient| patient["split"] == "train");
    let expected: HashMap<&str, usize> =
        here.map(|patient| (patient["patient"].as_str(), patient["slices"].parse().unwrap())).collect();
    assert_eq!(found, expected);
}

type Row = HashMap<String, String>;

/// The row of the table of kinds in the README that a case belongs to.
fn kind(row: &Row) -> &'static str {
    match row["path"].as_str() {
        path if path.contains(".zip") => "containers",
        path if path.contains("nifti/") => "NIfTI",
        path if path.ends_with("jpg_stack/") || path.ends_with("png_stack/") => "pictures",
        _ => "DICOM",
    }
}

fn check(corpus: &Path, row: &Row) -> Result<(), String> {
    let discovery = discover(files(&corpus.join(&row["path"])));
    let scans: Vec<Result<Scan, String>> = discovery.scans.iter().map(read).collect();
    if row["expected"] == "reject" {
        return check_refusal(corpus, row, &discovery, &scans);
    }
    let read: Vec<&Scan> = scans.iter().filter_map(|scan| scan.as_ref().ok()).collect();
    let [scan] = read.as_slice() else {
        return Err(format!("{} scans were read; refused: {:?}", read.len(), codes(&discovery, &scans)));
    };
    check_scan(corpus, row, scan)
}

fn read(plan: &ictus::ingest::ScanPlan) -> Result<Scan, String> {
    plan.read(&mut |_| ControlFlow::Continue(())).map_err(|error| match error {
        ReadError::Refused(refused) => refused.refusal.code,
        ReadError::Cancelled => "cancelled".to_owned(),
    })
}

fn codes(discovery: &Discovery, scans: &[Result<Scan, String>]) -> Vec<String> {
    let early = discovery.refused.iter().map(|refused| refused.refusal.code.clone());
    early.chain(scans.iter().filter_map(|scan| scan.as_ref().err().cloned())).collect()
}

fn check_refusal(
    corpus: &Path,
    row: &Row,
    discovery: &Discovery,
    scans: &[Result<Scan, String>],
) -> Result<(), String> {
    let codes = codes(discovery, scans);
    if row["note"].contains("decoding it is fine") && codes.is_empty() {
        return check_like_the_original(corpus, row, scans);
    }
    if codes.is_empty() {
        return Err("nothing was refused".to_owned());
    }
    let reason = row["reason"].as_str();
    let fits = |code: &str| match reason {
        "4d_or_nifti2" => code == "4d",
        // The folder mixes modalities and stubs; each series has a reason of its own.
        "mixed_series" => true,
        reason => code == reason,
    };
    match codes.iter().find(|code| !fits(code)) {
        Some(code) => Err(format!("refused as {code}, expected {reason}")),
        // Its stubs of 16 x 16 pixels and the like are no heads, but they are CT, and reading them is right.
        None if reason == "mixed_series" => Ok(()),
        None if scans.iter().any(Result::is_ok) => Err("a scan was read".to_owned()),
        None => Ok(()),
    }
}

/// The reference readers do not know the compression, but the picture is one that they read in another.
fn check_like_the_original(corpus: &Path, row: &Row, scans: &[Result<Scan, String>]) -> Result<(), String> {
    let original = discover(files(&corpus.join("ts_chest/orig.dcm")));
    let original = original.scans.first().ok_or("the original is not read")?;
    let (Ok(original), [Ok(scan)]) = (read(original), scans) else { return Err("no single scan".to_owned()) };
    let pairs = original.volume.voxels().iter().zip(scan.volume.voxels());
    // Air outside the scanner's field is off the scale of 12 bits.
    let worst = pairs.filter(|(a, _)| **a > -1500.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if worst < 40.0 { Ok(()) } else { Err(format!("{} differs from the original by {worst}", row["path"])) }
}

fn check_scan(corpus: &Path, row: &Row, scan: &Scan) -> Result<(), String> {
    let number = |column: &str| row[column].parse::<f64>().unwrap_or_else(|_| panic!("{column} of {}", row["path"]));
    let size = |column| number(column) as usize;
    let volume = &scan.volume;
    let shape = [size("n_slices"), size("rows"), size("cols")];
    if volume.shape() != shape {
        return Err(format!("shape {:?}, expected {shape:?}", volume.shape()));
    }
    let spacing = [volume.spacing.slice_mm, volume.spacing.row_mm, volume.spacing.column_mm];
    for (found, expected) in spacing.into_iter().zip(row["spacing_mm"].split('x')) {
        let expected: f32 = expected.parse().unwrap();
        if (found.unwrap_or(0.0) - expected).abs() > 0.001 * expected.max(1.0) {
            return Err(format!("spacing {spacing:?}, expected {}", row["spacing_mm"]));
        }
    }
    // The manifest gives pictures in grey levels, which are 120 / 255 Hounsfield units each from -20 on.
    let picture = scan.kind == ScanKind::Images;
    let value =
        |hounsfield: f32| if picture { (f64::from(hounsfield) + 20.0) * 255.0 / 120.0 } else { hounsfield.into() };
    let (mean_tolerance, digest_tolerance) = match row["path"].as_str() {
        _ if picture => (0.3, 1.0),
        // Baseline JPEG: decoders may round to two stored levels, of 32.1 Hounsfield units each here.
        path if path.contains("JPEGProcess1_") => (2.0 * 32.1216, 2.0 * 32.1216),
        path if path.contains("JPEGProcess2_4_") => (2.0 * 2.000_244, 2.0 * 2.000_244),
        path if path.contains("JPEGLSLossy") || path.contains("JPEG2000_1.2") => (2.0, 2.0),
        _ => (0.01, 0.05),
    };
    let values = volume.voxels().iter().map(|&voxel| value(voxel));
    let mean = values.clone().sum::<f64>() / volume.voxels().len() as f64;
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let close = |found: f64, column: &str, tolerance: f64| {
        let expected = number(column);
        if (found - expected).abs() <= tolerance {
            Ok(())
        } else {
            Err(format!("{column} {found}, expected {expected}"))
        }
    };
    close(mean, "hu_mean", mean_tolerance)?;
    close(low, "hu_min", mean_tolerance)?;
    close(high, "hu_max", mean_tolerance)?;
    let expected = numpy(&fs::read(corpus.join(&row["digest"])).unwrap());
    let found = digest(volume);
    if found.means.len() != expected.len() {
        return Err(format!("digest of {:?}, expected {} blocks", found.shape, expected.len()));
    }
    let difference =
        found.means.iter().zip(&expected).map(|(&found, &expected)| (value(found) - f64::from(expected)).abs());
    let worst = difference.fold(0.0, f64::max);
    if worst > digest_tolerance { Err(format!("digest differs by {worst}")) } else { Ok(()) }
}

/// The values of a `.npy` file of little-endian `f32`, version 1.
fn numpy(bytes: &[u8]) -> Vec<f32> {
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[10 + header..].chunks_exact(4).map(|item| f32::from_le_bytes(item.try_into().unwrap())).collect()
}

/// The files of a drop: one file, or all of a folder.
fn files(path: &Path) -> Vec<InputFile> {
    let mut found = Vec::new();
    let mut open = vec![path.to_path_buf()];
    let root = path.parent().unwrap();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            found.push(InputFile { path: name, source: Arc::new(fs::read(&path).unwrap()) });
        }
    }
    found
}

/// Rows of a CSV file with quoted fields, by the names of its columns.
fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines().map(fields);
    let columns = lines.next().unwrap();
    lines.map(|fields| columns.iter().cloned().zip(fields).collect()).collect()
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}
