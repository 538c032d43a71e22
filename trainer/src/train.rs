//! `train`: trains a recipe on folds or on everything.

use crate::Outcome;
use crate::data::{self, Dataset};
use crate::device::DeviceChoice;
use crate::evaluate;
use crate::learn::recipe::Recipe;
use crate::run::{Job, RunError, RunRecord};
use indicatif::{MultiProgress, ProgressBar};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Where the data are.
#[derive(clap::Args)]
pub(crate) struct DataArgs {
    /// Folder that holds ct-ich and phe-sich; the environment variable `ICTUS_DATA` if not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder for prepared scans.
    #[arg(long, default_value = "target/ictus-cache")]
    cache: PathBuf,
}

impl DataArgs {
    /// The folder that holds the sets.
    pub(crate) fn folder(&self) -> Result<PathBuf, data::DataError> {
        let folder = self.data.clone().or_else(|| std::env::var_os("ICTUS_DATA").map(PathBuf::from));
        folder.ok_or(data::DataError::NoFolder)
    }

    /// The types of bleed of the patients of ct-ich, where the set is there.
    pub(crate) fn bleed_types(&self) -> Result<Option<data::BleedTypes>, data::DataError> {
        self.folder().map_or(Ok(None), |folder| data::bleed_types(&folder))
    }

    /// Reads the sets of a recipe.
    pub(crate) fn load(&self, recipe: &Recipe) -> Result<Vec<Dataset>, data::DataError> {
        recipe.sources.iter().map(|&source| self.load_set(source, recipe)).collect()
    }

    /// Reads a set as the scans of a recipe are prepared.
    pub(crate) fn load_set(&self, source: data::Source, recipe: &Recipe) -> Result<Dataset, data::DataError> {
        data::load(source, &self.folder()?, &self.cache, recipe.preparation())
    }
}

/// What to train.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A preset (ct-ich, ct-ich-painted, both, both-cut, both-two-sided, both-distilled, seed-none, seed-basic, seed-intermediate, seed-advanced) or a JSON file.
    #[arg(long, default_value = "both")]
    config: String,
    /// Name of the run; that of the recipe if not given.
    #[arg(long)]
    name: Option<String>,
    /// Folder of the runs.
    #[arg(long, default_value = "runs")]
    runs: PathBuf,
    /// Folds to leave out: `all`, `none` (train on everything), or numbers as in `0,2`.
    #[arg(long, default_value = "all", value_parser = parse_folds)]
    folds: Folds,
    /// Seeds, as in `0,1,2`.
    #[arg(long, default_value = "0", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Trainings at a time, each with its share of the cores; as many as there are cores (one on a GPU) if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// What to train on.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Epochs instead of the recipe's.
    #[arg(long)]
    epochs: Option<usize>,
    /// Slices, rows and columns of a recipe that resamples its scans, instead of its own: 64 128 128 is the published size.
    #[arg(long, num_args = 3, value_names = ["SLICES", "ROWS", "COLUMNS"])]
    resample: Option<Vec<usize>>,
    /// Stop every training after so many steps, to try things out.
    #[arg(long)]
    max_steps: Option<usize>,
    #[command(flatten)]
    data: DataArgs,
}

/// Which folds to leave out.
#[derive(Clone, Debug)]
struct Folds(Vec<Option<usize>>);

fn parse_folds(text: &str) -> Result<Folds, String> {
    match text {
        "all" => Ok(Folds((0..data::FOLDS).map(Some).collect())),
        "none" => Ok(Folds(vec![None])),
        numbers => numbers
            .split(',')
            .map(|number| match number.parse() {
                Ok(fold) if fold < data::FOLDS => Ok(Some(fold)),
                _ => Err(format!("`{number}` is no fold (0 to {})", data::FOLDS - 1)),
            })
            .collect::<Result<_, _>>()
            .map(Folds),
    }
}

/// Trains.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut recipe = Recipe::find(&args.config)?;
    recipe.epochs = args.epochs.unwrap_or(recipe.epochs);
    if let Some(&[slices, rows, columns]) = args.resample.as_deref() {
        recipe = recipe.resampled([slices, rows, columns])?;
    }
    let datasets = args.data.load(&recipe)?;
    let record = RunRecord::new(&recipe, &datasets, args.max_steps);
    let stem = Path::new(&args.config).file_stem().and_then(|stem| stem.to_str()).unwrap_or("run");
    let folder = args.runs.join(args.name.as_deref().unwrap_or(stem));
    record.open(&folder)?;
    let (device, device_name) = args.device.open()?;

    let jobs: VecDeque<Job> =
        args.seeds.iter().flat_map(|&seed| args.folds.0.iter().map(move |&fold| Job { fold, seed })).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // cubecl orders its work by thread: one training at a time on a GPU.
    let workers = if device_name == "cpu" { args.jobs.unwrap_or(cores).min(jobs.len()).max(1) } else { 1 };
    eprintln!("{} trainings on {device_name}, {workers} at a time, into {}", jobs.len(), folder.display());

    let bars = MultiProgress::new();
    let queue = Mutex::new(jobs);
    let failed: Mutex<Option<RunError>> = Mutex::new(None);
    let mut pools = Vec::new();
    for _ in 0..workers {
        pools.push(rayon::ThreadPoolBuilder::new().num_threads((cores / workers).max(1)).build()?);
    }
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = job else { return };
                    let bar = bars.add(ProgressBar::new(1).with_style(crate::progress::style(&job.name())));
                    let outcome = pool.install(|| job.run(&record, &datasets, &folder, &device, &bar));
                    if let Err(error) = outcome {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    if args.folds.0.iter().any(Option::is_some) {
        // Some folds without the others are no failure of theirs.
        evaluate::report(&folder, args.data.bleed_types()?.as_ref())?;
    }
    Ok(ExitCode::SUCCESS)
}
