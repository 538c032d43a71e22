//! A run folder: recipe, data, and for each fold and seed the checkpoints, losses, weights and predictions.

use crate::data::{Case, CaseRecord, Dataset, Source};
use crate::files::write_whole;
use crate::learn::distill::Teachers;
use crate::learn::epoch::EpochFigures;
use crate::learn::fit::{EpochLoss, Fit, FitError, Fitted};
use crate::learn::recipe::Recipe;
use burn::tensor::Device;
use ictus::network::{DatasetRecord, Logits, Model, ModelFile, ModelHeader, NetworkError, Storage, Weights};
use ictus::preprocess::{NetworkInput, limit_contrast};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Fewest slices that are worth asking about once the bleeding ones are cut out.
pub(crate) const FEWEST_REST: usize = 6;

/// What a run is made of, besides folds and seeds: the file `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    /// The recipe.
    pub(crate) recipe: Recipe,
    /// The data.
    pub(crate) data: Vec<DatasetRecord>,
    /// Version of this program.
    pub(crate) version: String,
    /// Steps after which every training was broken off, to try things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_steps: Option<usize>,
}

/// One training of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Fold that is left out; none for the final weights, trained on everything.
    pub(crate) fold: Option<usize>,
    /// Seed.
    pub(crate) seed: u64,
}

/// What a network said of a scan that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prediction {
    /// The scan.
    pub(crate) record: CaseRecord,
    /// Patient logit.
    pub(crate) patient: f32,
    /// Logits of the kept slices.
    pub(crate) slices: Vec<f32>,
    /// Whether the maximum of the evidence map lies on the lesion, where its outline is known.
    pub(crate) peak_on_lesion: Option<bool>,
    /// Patient and slice logits of the scan without its bleeding slices and their neighbours, where enough is left.
    pub(crate) without_bleed: Option<(f32, Vec<f32>)>,
}

/// Logits without a map.
pub(crate) fn bare(patient: f32, slices: &[f32]) -> Logits {
    Logits { patient, slices: slices.to_vec(), evidence: Vec::new(), evidence_shape: [0; 3] }
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Training failed.
    #[error("training {job}")]
    Fit {
        /// The training.
        job: String,
        /// Why.
        source: FitError,
    },
    /// The network could not answer.
    #[error("predicting {scan}")]
    Predict {
        /// The scan.
        scan: String,
        /// Why.
        source: NetworkError,
    },
    /// A file could not be written or read.
    #[error("keeping {path}: {what}")]
    File {
        /// The file.
        path: String,
        /// Why.
        what: String,
    },
    /// The run to learn from is not what is needed.
    #[error(
        "looking for the teachers of {job}: {path} has no training that left out the same fold, or is of other data or \
         another network; train it first"
    )]
    Teachers {
        /// Folder of the run to learn from.
        path: String,
        /// The training.
        job: String,
    },
    /// The folder holds a run of another recipe or other data.
    #[error("going on with the run {path}: its recipe or data are not the same; give another --name")]
    Other {
        /// The folder.
        path: String,
    },
}

impl RunRecord {
    /// The record of a run about to start.
    pub(crate) fn new(recipe: &Recipe, datasets: &[Dataset], max_steps: Option<usize>) -> Self {
        let data = datasets.iter().map(|set| DatasetRecord {
            name: set.source.name().to_owned(),
            patients: set.cases.len(),
            slices: set.cases.iter().map(|case| case.record.shape[0]).sum(),
            fingerprint: set.fingerprint.clone(),
            licence: set.source.licence().to_owned(),
        });
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { recipe: recipe.clone(), data: data.collect(), version, max_steps }
    }

    /// Opens the folder of a run, or makes it.
    pub(crate) fn open(&self, folder: &Path) -> Result<(), RunError> {
        let path = folder.join("run.json");
        if path.exists() {
            let found: Self = read_json(&path)?;
            return if found == *self { Ok(()) } else { Err(RunError::Other { path: folder.display().to_string() }) };
        }
        std::fs::create_dir_all(folder).map_err(|error| file_error(&path, &error))?;
        write_json(&path, self)
    }

    /// A header for weights of this run.
    pub(crate) fn header(&self, name: &str) -> ModelHeader {
        let mut header = self.recipe.header(name, &self.version);
        header.data.clone_from(&self.data);
        header
    }
}

impl Job {
    /// Folder of this training inside the run's.
    pub(crate) fn folder(self, run: &Path) -> PathBuf {
        let fold = self.fold.map_or_else(|| "all".to_owned(), |fold| format!("fold-{fold}"));
        run.join(format!("{fold}-seed-{}", self.seed))
    }

    /// Name for bars and messages.
    pub(crate) fn name(self) -> String {
        let fold = self.fold.map_or_else(|| "all".to_owned(), |fold| format!("fold {fold}"));
        format!("{fold}, seed {}", self.seed)
    }

    /// Trains and predicts what was left out. Does nothing where that was done before.
    pub(crate) fn run(
        self,
        record: &RunRecord,
        datasets: &[Dataset],
        run: &Path,
        device: &Device,
        bar: &ProgressBar,
    ) -> Result<(), RunError> {
        let folder = self.folder(run);
        let done = folder.join("predictions.json");
        if done.exists() {
            bar.finish_with_message("done before");
            return Ok(());
        }
        std::fs::create_dir_all(&folder).map_err(|error| file_error(&folder, &error))?;
        let all: Vec<&Case> = datasets.iter().flat_map(|set| &set.cases).collect();
        let (test, train): (Vec<&Case>, Vec<&Case>) =
            all.into_iter().partition(|case| Some(case.record.fold) == self.fold);
        let header = record.header(&self.name());
        let path = folder.join("weights.safetensors");
        let weights = if path.exists() {
            self.weights(run)?
        } else {
            let weights = self.fit(record, [&train, &test], run, device, bar)?;
            let file = ModelFile { header: header.clone(), weights: weights.clone() };
            let bytes = Model::save(file, Storage::Single)
                .map_err(|source| RunError::Predict { scan: "the self-test".into(), source })?;
            write_whole(&path, &bytes).map_err(|error| file_error(&path, &error))?;
            weights
        };
        let predictions = predict(ModelFile { header, weights }, &test, device)?;
        write_json(&done, &predictions)?;
        bar.finish();
        Ok(())
    }

    fn fit(
        self,
        record: &RunRecord,
        [train, test]: [&[&Case]; 2],
        run: &Path,
        device: &Device,
        bar: &ProgressBar,
    ) -> Result<Weights, RunError> {
        let folder = self.folder(run);
        let teachers = self.teachers(record, run, device)?;
        let fit = Fit {
            recipe: &record.recipe,
            cases: train,
            validation: test,
            seed: self.seed,
            teachers: teachers.as_ref(),
            device: device.clone(),
            folder: Some(&folder),
            max_steps: record.max_steps,
        };
        let Fitted { weights, losses, figures } =
            fit.run(bar).map_err(|source| RunError::Fit { job: self.name(), source })?;
        if !figures.is_empty() {
            let path = folder.join("epochs.csv");
            write_whole(&path, EpochFigures::table(&figures).as_bytes()).map_err(|error| file_error(&path, &error))?;
        }
        write_losses(&folder.join("metrics.csv"), &losses)?;
        crate::figures::losses(&folder.join("losses.svg"), &losses)?;
        Ok(weights)
    }

    /// The networks of the run that the recipe learns from, of every seed, that left out the same fold.
    fn teachers(self, record: &RunRecord, run: &Path, device: &Device) -> Result<Option<Teachers>, RunError> {
        let Some(distill) = &record.recipe.distill else { return Ok(None) };
        let folder = run.parent().unwrap_or(Path::new(".")).join(&distill.run);
        let taught: RunRecord = read_json(&folder.join("run.json"))?;
        let same = taught.data == record.data && taught.recipe.network == record.recipe.network;
        let jobs: Vec<Self> = Self::done(&folder)?.into_iter().filter(|job| job.fold == self.fold).collect();
        if !same || jobs.is_empty() {
            return Err(RunError::Teachers { path: folder.display().to_string(), job: self.name() });
        }
        let weights = jobs.iter().map(|job| job.weights(&folder)).collect::<Result<Vec<_>, _>>()?;
        let fit = |source| RunError::Fit { job: self.name(), source };
        Teachers::new(&record.recipe.network, &weights, distill.share, device).map(Some).map_err(fit)
    }

    /// The predictions of a training that is done.
    pub(crate) fn predictions(self, run: &Path) -> Result<Vec<Prediction>, RunError> {
        read_json(&self.folder(run).join("predictions.json"))
    }

    /// The weights of a training that is done.
    pub(crate) fn weights(self, run: &Path) -> Result<Weights, RunError> {
        let path = self.folder(run).join("weights.safetensors");
        let bytes = std::fs::read(&path).map_err(|error| file_error(&path, &error))?;
        Ok(ModelFile::from_bytes(&bytes).map_err(|error| file_error(&path, &error))?.weights)
    }

    /// All trainings of a run that are done, of folds or of everything.
    pub(crate) fn done(run: &Path) -> Result<Vec<Self>, RunError> {
        let mut jobs = Vec::new();
        for entry in std::fs::read_dir(run).map_err(|error| file_error(run, &error))? {
            let path = entry.map_err(|error| file_error(run, &error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((fold, seed)) = name.split_once("-seed-") else { continue };
            let Ok(seed) = seed.parse() else { continue };
            let fold = fold.strip_prefix("fold-").and_then(|fold| fold.parse().ok());
            if path.join("predictions.json").exists() {
                jobs.push(Self { fold, seed });
            }
        }
        jobs.sort_by_key(|job| (job.seed, job.fold));
        Ok(jobs)
    }
}

/// Asks a network about scans.
pub(crate) fn predict(file: ModelFile, cases: &[&Case], device: &Device) -> Result<Vec<Prediction>, RunError> {
    let error = |scan: &str, source| RunError::Predict { scan: scan.to_owned(), source };
    let preprocess = file.header.preprocess.clone();
    let model = Model::new(file, device).map_err(|source| error("the first scan", source))?;
    cases
        .iter()
        .map(|case| {
            let name = case.record.name();
            let every: Vec<usize> = (0..case.record.shape[0]).collect();
            let asked = |slices: &[usize]| {
                let mut input = case.input(slices);
                limit_contrast(&mut input, &preprocess);
                model.infer_blocking(&input).map(|logits| (input, logits)).map_err(|source| error(&name, source))
            };
            let (whole, logits) = asked(&every)?;
            let labels = case.record.kept_labels();
            let bleeds = |z: &usize| labels.get(*z) == Some(&true);
            let rest: Vec<usize> =
                every.iter().copied().filter(|&z| !(z.saturating_sub(1)..=z + 1).any(|near| bleeds(&near))).collect();
            let cut = case.record.positive() && rest.len() >= FEWEST_REST;
            let without_bleed = if cut { Some(asked(&rest)?.1) } else { None };
            Ok(Prediction {
                record: case.record.clone(),
                peak_on_lesion: peak_on_lesion(case, &whole, &logits),
                patient: logits.patient,
                slices: logits.slices,
                without_bleed: without_bleed.map(|logits| (logits.patient, logits.slices)),
            })
        })
        .collect()
}

/// Slice, row and column of the largest evidence of a scan, among the cells that touch the brain.
pub(crate) fn highest_cell(input: &NetworkInput, logits: &Logits) -> Option<(usize, usize, usize)> {
    let [slices, rows, columns] = logits.evidence_shape;
    let peaks = (0..slices).filter_map(|z| ictus::assess::peak(input, logits, z).map(|(y, x)| (z, y, x)));
    let evidence = |&(z, y, x): &(usize, usize, usize)| {
        logits.evidence.get((z * rows + y) * columns + x).copied().unwrap_or(f32::NEG_INFINITY)
    };
    peaks.max_by(|a, b| evidence(a).total_cmp(&evidence(b)))
}

/// Whether the largest cell of the whole map touches the lesion or the oedema around it.
fn peak_on_lesion(case: &Case, input: &NetworkInput, logits: &Logits) -> Option<bool> {
    if case.record.source != Source::PheSich || case.region.is_empty() {
        return None;
    }
    let [_, map_rows, map_columns] = logits.evidence_shape;
    let [_, rows, columns] = case.record.shape;
    let (z, y, x) = highest_cell(input, logits)?;
    let plane = case.region.get(z * rows * columns..(z + 1) * rows * columns)?;
    let span = |index: usize, cells: usize, pixels: usize| index * pixels / cells..(index + 1) * pixels / cells;
    let touches = span(y, map_rows, rows)
        .any(|y| span(x, map_columns, columns).any(|x| plane.get(y * columns + x).is_some_and(|&region| region > 0.0)));
    Some(touches)
}

fn write_losses(path: &Path, losses: &[EpochLoss]) -> Result<(), RunError> {
    let mut text = "epoch,total,slice,patient,pixel,seconds\n".to_owned();
    for (epoch, loss) in losses.iter().enumerate() {
        let EpochLoss { total, slice, patient, pixel, seconds } = loss;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{},{total},{slice},{patient},{pixel},{seconds:.2}", epoch + 1);
    }
    write_whole(path, text.as_bytes()).map_err(|error| file_error(path, &error))
}

/// Writes a value as JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| file_error(path, &error))?;
    write_whole(path, &text).map_err(|error| file_error(path, &error))
}

/// Reads a value from JSON.
pub(crate) fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, RunError> {
    let text = std::fs::read(path).map_err(|error| file_error(path, &error))?;
    serde_json::from_slice(&text).map_err(|error| file_error(path, &error))
}

/// An error about a file.
pub(crate) fn file_error(path: &Path, error: &dyn std::fmt::Display) -> RunError {
    RunError::File { path: path.display().to_string(), what: error.to_string() }
}
