//! `phantom`: draws a synthetic head CT and writes it to a folder.

use crate::Outcome;
use ictus::phantom::write::{File, PictureFormat, PictureOptions, dicom, nifti, nifti_mask, pictures};
use ictus::phantom::{Bleed, Phantom, PhantomConfig, PhantomError, draw, samples};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to draw and where to write it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder to write to; it is made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Format of the files.
    #[arg(long, value_enum, default_value_t = Format::Nifti)]
    format: Format,
    /// Start from a sample scan of the page: `no_bleed`, `intraparenchymal`, `subdural`.
    #[arg(long, conflicts_with_all = ["seed", "bleed"])]
    sample: Option<String>,
    /// Decides the shape of the head, the place of its bleeds and the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A bleed as kind:millilitres or kind:millilitres:side, such as `subdural:30:left`; may be given several times.
    #[arg(long)]
    bleed: Vec<Bleed>,
    /// Number of slices.
    #[arg(long)]
    slices: Option<usize>,
    /// Rows and columns of a slice.
    #[arg(long)]
    size: Option<usize>,
    /// Distance of slices in mm.
    #[arg(long)]
    slice_mm: Option<f32>,
    /// Distance of pixels in mm.
    #[arg(long)]
    pixel_mm: Option<f32>,
    /// Turn of the head within the slice in degrees.
    #[arg(long, allow_negative_numbers = true)]
    rotation: Option<f32>,
    /// Tilt of the head in degrees, chin up.
    #[arg(long, allow_negative_numbers = true)]
    pitch: Option<f32>,
    /// Standard deviation of the noise in Hounsfield units.
    #[arg(long)]
    noise: Option<f32>,
    /// Age in years.
    #[arg(long)]
    age: Option<f32>,
    /// Leave the head holder out.
    #[arg(long)]
    no_holder: bool,
    /// Number before the bracket in the names of pictures, as in `72 (1).jpg`.
    #[arg(long, default_value_t = 1)]
    patient: u32,
    /// The slice (from 0, bottom to top) that pictures are numbered from: not 0 makes a stack that starts in the middle.
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// Write the truth into this folder: the mask of the bleeds (NIfTI), and the configuration with the volumes that were
    /// drawn (JSON). Another folder than that of the scan, which would hold two scans otherwise.
    #[arg(long, value_name = "DIR")]
    truth: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An uncompressed DICOM series.
    Dicom,
    /// One .nii.gz file.
    Nifti,
    /// One .nii file.
    Nii,
    /// 8-bit pictures in the window 40/120.
    Jpg,
    /// The same without loss.
    Png,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("there is no sample \"{0}\": no_bleed, intraparenchymal and subdural are there")]
    Sample(String),
    #[error("writing {path}: {source}. Check that the folder may be written to and that the disk is not full")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Args {
    fn config(&self) -> Result<PhantomConfig, Failure> {
        let mut config = match &self.sample {
            None => PhantomConfig { seed: self.seed, bleeds: self.bleed.clone(), ..PhantomConfig::default() },
            Some(name) => samples()
                .into_iter()
                .find(|sample| sample.name == name)
                .map(|sample| sample.config)
                .ok_or_else(|| Failure::Sample(name.clone()))?,
        };
        let set = |field: &mut f32, value: Option<f32>| *field = value.unwrap_or(*field);
        set(&mut config.slice_mm, self.slice_mm);
        set(&mut config.pixel_mm, self.pixel_mm);
        set(&mut config.rotation_deg, self.rotation);
        set(&mut config.pitch_deg, self.pitch);
        set(&mut config.noise_hu, self.noise);
        set(&mut config.age_years, self.age);
        config.slices = self.slices.unwrap_or(config.slices);
        config.rows = self.size.unwrap_or(config.rows);
        config.columns = self.size.unwrap_or(config.columns);
        config.head_holder &= !self.no_holder;
        Ok(config)
    }

    fn files(&self, phantom: &Phantom) -> Result<Vec<File>, PhantomError> {
        let stack = |format| PictureOptions { format, patient: self.patient, first: self.first };
        match self.format {
            Format::Dicom => dicom(phantom),
            Format::Nifti => Ok(vec![nifti(phantom, true)?]),
            Format::Nii => Ok(vec![nifti(phantom, false)?]),
            Format::Jpg => pictures(phantom, &stack(PictureFormat::Jpg)),
            Format::Png => pictures(phantom, &stack(PictureFormat::Png)),
        }
    }
}

/// Draws and writes.
pub(crate) fn run(args: &Args) -> Outcome {
    let phantom = draw(&args.config()?)?;
    let files = args.files(&phantom)?;
    for (name, bytes) in &files {
        write(&args.out.join(name), bytes)?;
    }
    if let Some(folder) = &args.truth {
        let (name, mask) = nifti_mask(&phantom, true)?;
        write(&folder.join(name), &mask)?;
        let truth = serde_json::json!({
            "synthetic": true,
            "config": phantom.config,
            "bleeds": phantom.bleeds,
            "slices_with_blood": phantom.slice_labels(),
        });
        let name = format!("phantom-{}-truth.json", phantom.config.seed);
        write(&folder.join(name), &serde_json::to_vec_pretty(&truth)?)?;
    }
    for bleed in &phantom.bleeds {
        println!("{}: {:.1} ml", bleed.kind.name(), bleed.volume_ml);
    }
    println!("{} files of a synthetic head in {}", files.len(), args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|source| Failure::Write { path: path.to_owned(), source })
}
