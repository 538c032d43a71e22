//! `seed`: the published pipeline step by step (G. Pecoraro 2023, after H. Zunair), so that every figure of it can be made again.
//!
//! Its training is no code of its own: `train --config seed-none`, `seed-basic`, `seed-intermediate` and `seed-advanced` are recipes.

mod arms;
mod explore;
mod pictures;
mod protocol;
#[cfg(test)]
pub(crate) mod reference;
mod report;

use crate::Outcome;
use crate::data::DataError;
use crate::train::DataArgs;
use explore::Stack;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which step.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(clap::Subcommand)]
enum Step {
    /// Counts the slices of every patient, and draws a scan as it is numbered: 4 x 10 places, missing numbers left blank.
    Explore(ScanArgs),
    /// Writes ct-ich in true order with consecutive numbers.
    Order(OrderArgs),
    /// Says how the published split parts the patients.
    Split(SplitArgs),
    /// Draws noise removal on a slice: as it is, dilated, foreground, its largest part, the mask, and what is left.
    Noise(ScanArgs),
    /// Draws the seven transforms, a row each, from the lowest to the highest of their numbers.
    Transforms(ScanArgs),
    /// Draws AUC and loss of several runs over the epochs, training and validation.
    Arms(ArmsArgs),
    /// Writes docs/seed.md, with figures of a synthetic scan, and the curves of runs.
    Report(ReportArgs),
}

/// A scan to draw. Drawings of a real one are for looking at, not for passing on.
#[derive(clap::Args)]
struct ScanArgs {
    /// Patient of ct-ich; a synthetic head if not given.
    #[arg(long)]
    patient: Option<u32>,
    /// Slice from 0, bottom to top, of a drawing of one; the middle one if not given.
    #[arg(long)]
    slice: Option<usize>,
    /// Where the drawing goes; a name of its own in target/seed if not given.
    #[arg(long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(clap::Args)]
struct OrderArgs {
    /// Folder that the set goes to.
    #[arg(long, default_value = "target/seed/ct-ich-in-order")]
    output: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(clap::Args)]
struct SplitArgs {
    #[command(flatten)]
    data: DataArgs,
}

#[derive(clap::Args)]
struct ArmsArgs {
    /// Folders of runs, of which every fold's epochs.csv is read.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Where the drawing goes.
    #[arg(long, default_value = "target/seed/arms.svg")]
    output: PathBuf,
}

#[derive(clap::Args)]
struct ReportArgs {
    /// Folders of the runs of the arms; none for a report of the protocol alone.
    runs: Vec<PathBuf>,
    /// Where the report goes; its figures go to a folder of the same name beside it.
    #[arg(long, default_value = "docs/seed.md")]
    output: PathBuf,
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
enum SeedError {
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The patient is not there.
    #[error("looking for patient {0} of ct-ich: only those of the published training split are there")]
    Patient(u32),
    /// The slice is not there.
    #[error("looking for slice {slice}: the scan has {slices}, from 0")]
    Slice {
        /// What was asked for.
        slice: usize,
        /// How many there are.
        slices: usize,
    },
    /// A run has no figures.
    #[error("reading the run {run}: {what}")]
    Run {
        /// Its folder.
        run: String,
        /// What is missing.
        what: String,
    },
    /// A file could not be read or written.
    #[error("keeping {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A drawing failed.
    #[error("drawing {path}: {what}")]
    Drawing {
        /// The file.
        path: String,
        /// Why.
        what: String,
    },
    /// The synthetic head failed.
    #[error("drawing a synthetic head")]
    Phantom(#[from] ictus::phantom::PhantomError),
}

/// Does the step.
pub(crate) fn run(args: &Args) -> Outcome {
    match &args.step {
        Step::Explore(args) => {
            if let Ok(data) = args.data.folder() {
                print!("{}", explore::count(&data)?);
            } else {
                println!("no table of patients: ICTUS_DATA is not set");
            }
            keep(&pictures::contact_sheet(&args.stack()?), &args.place("contact-sheet"))?;
        }
        Step::Order(args) => println!("{}", explore::put_in_order(&args.data.folder()?, &args.output)?),
        Step::Split(args) => print!("{}", protocol::split(&args.data.folder()?)?),
        Step::Noise(args) => {
            let stack = args.stack()?;
            keep(&pictures::noise(stack.slice(args.slice)?), &args.place("noise-removal"))?;
        }
        Step::Transforms(args) => {
            let recipe = crate::learn::recipe::Recipe::find("seed-advanced")?;
            let stack = args.stack()?;
            let drawn = pictures::transforms(stack.slice(args.slice)?, &recipe.transforms);
            let names: Vec<&str> = recipe.transforms.iter().map(crate::learn::transforms::Transform::name).collect();
            println!("from the top: {}", names.join(", "));
            let path = args.place("transforms");
            keep(&drawn.map_err(|what| SeedError::Drawing { path: path.display().to_string(), what })?, &path)?;
        }
        Step::Arms(args) => {
            let arms = arms::read(&args.runs)?;
            write(&args.output, arms::draw(&arms).map_err(|what| drawing(&args.output, what))?.as_bytes())?;
        }
        Step::Report(args) => report::write(&args.runs, &args.output)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl ScanArgs {
    fn stack(&self) -> Result<Stack, Box<dyn std::error::Error>> {
        Ok(match self.patient {
            Some(patient) => explore::stack(&self.data.folder()?, patient)?,
            None => explore::synthetic()?,
        })
    }

    fn place(&self, name: &str) -> PathBuf {
        let which = self.patient.map_or_else(|| "synthetic".to_owned(), |patient| patient.to_string());
        self.output.clone().unwrap_or_else(|| Path::new("target/seed").join(format!("{name}-{which}.png")))
    }
}

fn drawing(path: &Path, what: String) -> SeedError {
    SeedError::Drawing { path: path.display().to_string(), what }
}

/// Writes a drawing as PNG.
fn keep(drawing_of: &image::GrayImage, path: &Path) -> Result<(), SeedError> {
    let mut png = std::io::Cursor::new(Vec::new());
    drawing_of.write_to(&mut png, image::ImageFormat::Png).map_err(|error| drawing(path, error.to_string()))?;
    write(path, &png.into_inner())
}

/// Writes a file, into a folder that may not be there yet, and says so.
fn write(path: &Path, bytes: &[u8]) -> Result<(), SeedError> {
    let error = |source| SeedError::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(error)?;
    }
    crate::files::write_whole(path, bytes).map_err(error)?;
    println!("{}", path.display());
    Ok(())
}
