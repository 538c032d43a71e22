//! `inspect`: what the readers make of a path. The schema is in `docs/report.md`.

use crate::Outcome;
use crate::drop::{discover_path, exit_code};
use crate::salt::SaltArgs;
use ictus::ingest::{Digest, OrderBasis, ReadError, RefusedScan, Scan, ScanKind, digest};
use ictus::preprocess::{PreprocessConfig, contact_sheet, prepare_stages};
use ictus::report::{Refusal, SCHEMA_VERSION, Warning};
use ictus::volume::{Orientation, ValueScale};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What to look at and what to write.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files and folders; each is one drop and may hold several scans.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Print one JSON object a scan, a line each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    salt: SaltArgs,
    /// Write the block means of the volume (8 x 8 x 8 at most, z then y then x, 32-bit floats) as a NumPy file.
    /// The second scan goes to FILE-2.npy, and so on.
    #[arg(long, value_name = "FILE.npy")]
    digest: Option<PathBuf>,
    /// Write a picture of every preprocessing stage of each scan into this folder.
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reading {
    Read,
    Refused,
}

#[derive(Debug, Serialize)]
struct Order {
    basis: OrderBasis,
    changed: bool,
    as_named: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Inspection {
    schema: u32,
    scan: String,
    sources: Vec<String>,
    patient_hash: Option<String>,
    outcome: Reading,
    kind: Option<ScanKind>,
    slices: Option<usize>,
    rows: Option<usize>,
    columns: Option<usize>,
    /// Between slices, rows, columns.
    spacing_mm: Option<[Option<f32>; 3]>,
    orientation: Option<Orientation>,
    values: Option<ValueScale>,
    hu_min: Option<f32>,
    hu_max: Option<f32>,
    hu_mean: Option<f64>,
    order: Option<Order>,
    warnings: Vec<Warning>,
    refusal: Option<Refusal>,
}

impl Inspection {
    fn of(scan: &Scan) -> Self {
        let volume = &scan.volume;
        let voxels = volume.voxels();
        let spacing = volume.spacing;
        let sum: f64 = voxels.iter().map(|&v| f64::from(v)).sum();
        Self {
            schema: SCHEMA_VERSION,
            scan: scan.name.clone(),
            sources: scan.slices.iter().map(|slice| slice.path.clone()).collect(),
            patient_hash: None,
            outcome: Reading::Read,
            kind: Some(scan.kind),
            slices: Some(volume.slices()),
            rows: Some(volume.rows()),
            columns: Some(volume.columns()),
            spacing_mm: Some([spacing.slice_mm, spacing.row_mm, spacing.column_mm]),
            orientation: Some(volume.orientation),
            values: Some(volume.scale),
            hu_min: voxels.iter().copied().reduce(f32::min),
            hu_max: voxels.iter().copied().reduce(f32::max),
            hu_mean: Some(sum / voxels.len() as f64),
            order: Some(Order {
                basis: scan.order.basis,
                changed: scan.order.is_changed(),
                as_named: scan.order.as_named.clone(),
            }),
            warnings: scan.warnings.clone(),
            refusal: None,
        }
    }

    fn refused(refused: &RefusedScan) -> Self {
        Self {
            schema: SCHEMA_VERSION,
            scan: refused.name.clone(),
            sources: refused.sources.clone(),
            patient_hash: None,
            outcome: Reading::Refused,
            kind: None,
            slices: None,
            rows: None,
            columns: None,
            spacing_mm: None,
            orientation: None,
            values: None,
            hu_min: None,
            hu_max: None,
            hu_mean: None,
            order: None,
            warnings: Vec::new(),
            refusal: Some(refused.refusal.clone()),
        }
    }

    fn print(&self, json: bool) -> Result<(), serde_json::Error> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!("{}", self.scan);
        if let (Some(slices), Some(rows), Some(columns)) = (self.slices, self.rows, self.columns) {
            println!("  {slices} slices of {rows} x {columns}");
        }
        if let Some(spacing) = self.spacing_mm {
            let text = spacing.map(|mm| mm.map_or("?".to_owned(), |mm| format!("{mm:.4}")));
            println!("  spacing {} mm (slices, rows, columns)", text.join(" x "));
        }
        if let (Some(min), Some(max), Some(mean)) = (self.hu_min, self.hu_max, self.hu_mean) {
            println!("  values {min:.1} to {max:.1} HU, mean {mean:.2}");
        }
        if let Some(order) = &self.order {
            println!("  order by {:?}{}", order.basis, if order.changed { ", changed" } else { "" });
        }
        for warning in &self.warnings {
            println!("  warning ({}): {}", warning.code, warning.message);
        }
        if let Some(refusal) = &self.refusal {
            println!("  refused ({}): {}", refusal.code, refusal.message);
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("writing {path}: {source}. Check that the folder may be written to and that the disk is not full")]
struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// Reads every scan of every path and prints what was found.
pub(crate) fn run(args: &Args) -> Outcome {
    let salt = args.salt.salt()?;
    let (mut read, mut refused) = (0, 0);
    for path in &args.paths {
        let discovery = discover_path(path);
        for plan in &discovery.scans {
            let patient_hash = plan.patient().map(|patient| patient.hash(&salt));
            match plan.read(&mut |_| ControlFlow::Continue(())) {
                Ok(scan) => {
                    read += 1;
                    Inspection { patient_hash, ..Inspection::of(&scan) }.print(args.json)?;
                    args.write_extras(&scan, read)?;
                }
                Err(ReadError::Refused(refusal)) => {
                    refused += 1;
                    Inspection { patient_hash, ..Inspection::refused(&refusal) }.print(args.json)?;
                }
                // Nobody can cancel here.
                Err(ReadError::Cancelled) => {}
            }
        }
        for refusal in &discovery.refused {
            refused += 1;
            Inspection::refused(refusal).print(args.json)?;
        }
    }
    Ok(exit_code(read, refused))
}

impl Args {
    fn write_extras(&self, scan: &Scan, number: usize) -> Result<(), Box<dyn std::error::Error>> {
        if let Some(path) = &self.digest {
            write(&numbered(path, number), &npy(&digest(&scan.volume)))?;
        }
        if let Some(folder) = &self.figures {
            let name: String =
                scan.name.chars().map(|c| if c.is_alphanumeric() || "-_. ()".contains(c) { c } else { '_' }).collect();
            let path = numbered(&folder.join(format!("{name}.png")), number);
            match prepare_stages(&scan.volume, &PreprocessConfig::default()) {
                Ok(preparation) => write(&path, &contact_sheet(&preparation)?)?,
                Err(error) => eprintln!("no figure of {}: {error}", scan.name),
            }
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|source| WriteError { path: path.to_owned(), source })
}

/// `path` for the first scan, `stem-2.ext` for the second.
fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!("{}-{number}.{}", part(path.file_stem()), part(path.extension())))
}

/// NumPy's format 1.0: little-endian 32-bit floats in C order.
fn npy(digest: &Digest) -> Vec<u8> {
    let shape = digest.shape.map(|n| n.to_string()).join(", ");
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version and length are 10 bytes; the data begins at a multiple of 64, after a newline.
    let header = (10 + dictionary.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header as u16).to_le_bytes());
    bytes.extend(format!("{dictionary:<0$}\n", header - 1).into_bytes());
    bytes.extend(digest.means.iter().flat_map(|mean| mean.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numpy_file_begins_its_data_at_a_multiple_of_64() {
        let bytes = npy(&Digest { shape: [2, 1, 3], means: vec![0.5; 6] });
        assert_eq!(bytes.len(), 128 + 24);
        assert_eq!(&bytes[8..10], &118_u16.to_le_bytes());
        assert_eq!(bytes[127], b'\n');
        assert!(String::from_utf8_lossy(&bytes).contains("'shape': (2, 1, 3)"));
    }

    #[test]
    fn later_scans_get_a_number() {
        assert_eq!(numbered(Path::new("a/d.npy"), 1), Path::new("a/d.npy"));
        assert_eq!(numbered(Path::new("a/d.npy"), 3), Path::new("a/d-3.npy"));
    }
}
