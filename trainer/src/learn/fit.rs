//! The training loop: one network, one set of scans, with checkpoints that a killed run goes on from.

use super::batch::{self, Batch, Goal};
use super::distill::Teachers;
use super::epoch::{EpochFigures, Figures};
use super::recipe::{Optimizer, Recipe, Schedule};
use crate::data::Case;
use crate::files::write_whole;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use ictus::network::{Model, ModelFile, ModelHeader, Network, NetworkError, Storage, Weights};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// Epochs between checkpoints.
const CHECKPOINT_EVERY: usize = 5;

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FitError {
    /// The network could not be built.
    #[error("building the network")]
    Weights(#[from] ictus::network::WeightsError),
    /// The device failed.
    #[error("training: the device failed ({0})")]
    Device(#[from] burn::tensor::ExecutionError),
    /// The loss is no number any more.
    #[error("training: the loss of step {step} is no number; lower the learning rate")]
    Diverged {
        /// The step.
        step: usize,
    },
    /// A checkpoint could not be written or read.
    #[error("keeping the checkpoint {path}: {what}")]
    Checkpoint {
        /// Its file.
        path: String,
        /// What went wrong.
        what: String,
    },
    /// The scans that were left out could not be asked about.
    #[error("asking about the scans that were left out")]
    Validation(#[from] NetworkError),
    /// There is nothing to train on.
    #[error("training: there are no scans")]
    Empty,
}

/// What an epoch cost: means over its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochLoss {
    /// All losses together.
    pub(crate) total: f32,
    /// Slices.
    pub(crate) slice: f32,
    /// Patients.
    pub(crate) patient: f32,
    /// Cells of the evidence map.
    pub(crate) pixel: f32,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
}

/// What a run that was killed needs to go on.
#[derive(Serialize, Deserialize)]
struct Progress {
    epochs_done: usize,
    losses: Vec<EpochLoss>,
    has_average: bool,
    /// Of every epoch, where the recipe wants them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    figures: Vec<EpochFigures>,
}

/// What a training gives.
pub(crate) struct Fitted {
    /// The averaged weights, the last ones, or those of the best epoch, as the recipe says.
    pub(crate) weights: Weights,
    /// Losses of the epochs.
    pub(crate) losses: Vec<EpochLoss>,
    /// Figures of the epochs, where the recipe wants them.
    pub(crate) figures: Vec<EpochFigures>,
}

/// Everything that changes in the course of a training.
struct State {
    network: Network,
    optimizer: ModuleOptimizer,
    average: Option<Weights>,
    best: Option<Weights>,
    progress: Progress,
}

/// A training run.
pub(crate) struct Fit<'a> {
    /// The recipe.
    pub(crate) recipe: &'a Recipe,
    /// Scans to train on.
    pub(crate) cases: &'a [&'a Case],
    /// Scans to ask about after every epoch, where the recipe wants that.
    pub(crate) validation: &'a [&'a Case],
    /// Seed of weights, order and samples.
    pub(crate) seed: u64,
    /// Networks to learn from besides the labels.
    pub(crate) teachers: Option<&'a Teachers>,
    /// A device without autodiff.
    pub(crate) device: Device,
    /// Folder of the checkpoints, or none.
    pub(crate) folder: Option<&'a Path>,
    /// Stop after so many steps: for tests and timing.
    pub(crate) max_steps: Option<usize>,
}

impl Fit<'_> {
    /// Trains.
    pub(crate) fn run(&self, bar: &ProgressBar) -> Result<Fitted, FitError> {
        let recipe = self.recipe;
        let per_epoch = batch::batches_per_epoch(self.cases, recipe);
        if per_epoch == 0 {
            return Err(FitError::Empty);
        }
        let device = self.device.clone().autodiff();
        let State { mut network, mut optimizer, mut average, mut best, mut progress } = self.start(&device)?;
        let steps = per_epoch * recipe.epochs;
        let average_from = (recipe.epochs as f32 * recipe.optimizer.average_from).ceil() as usize;
        bar.set_length(steps as u64);
        bar.set_position((progress.epochs_done * per_epoch) as u64);

        // Samples are made while the device computes.
        let (sender, receiver) = sync_channel::<Batch>(2);
        let first = progress.epochs_done;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for epoch in first..recipe.epochs {
                    for (index, chosen) in batch::epoch_order(self.cases, recipe, self.seed, epoch).iter().enumerate() {
                        let step = epoch * per_epoch + index;
                        let batch = batch::make(self.cases, chosen, recipe, self.seed, step);
                        // The loop has ended early: nobody wants more.
                        if sender.send(batch).is_err() {
                            return;
                        }
                    }
                }
            });
            let receiver = receiver;
            for epoch in first..recipe.epochs {
                let started = std::time::Instant::now();
                let mut sum = EpochLoss::default();
                let mut seen = Vec::new();
                for index in 0..per_epoch {
                    let step = epoch * per_epoch + index;
                    if self.max_steps.is_some_and(|max| step >= max) {
                        if index > 0 {
                            progress.losses.push(mean(sum, index, started));
                        }
                        let weights = best.or(average).map_or_else(|| network.weights(), Ok)?;
                        return Ok(Fitted { weights, losses: progress.losses, figures: progress.figures });
                    }
                    let Ok(mut batch) = receiver.recv() else { return Err(FitError::Empty) };
                    let bleeds: Vec<bool> = batch.patient.targets.iter().map(|&target| target > 0.5).collect();
                    if let Some(teachers) = self.teachers {
                        teachers.soften(&mut batch)?;
                    }
                    let rate = learning_rate(&recipe.optimizer, step, steps);
                    let (loss, logits);
                    (network, loss, logits) = train_step(network, &mut optimizer, &batch, rate, recipe, &device)?;
                    seen.extend(logits.into_iter().zip(bleeds));
                    if !loss.total.is_finite() {
                        return Err(FitError::Diverged { step });
                    }
                    sum.total += loss.total;
                    sum.slice += loss.slice;
                    sum.patient += loss.patient;
                    sum.pixel += loss.pixel;
                    // An average that keeps nothing is the last step.
                    if epoch >= average_from && recipe.optimizer.average_keep > 0.0 {
                        let now = network.weights()?;
                        match &mut average {
                            Some(average) => average.average_with(&now, recipe.optimizer.average_keep),
                            None => average = Some(now),
                        }
                    }
                    bar.inc(1);
                }
                progress.losses.push(mean(sum, per_epoch, started));
                progress.epochs_done = epoch + 1;
                // Trained on everything there is nobody to choose an epoch by: the last one stays.
                if recipe.best_epoch && !self.validation.is_empty() {
                    let weights = network.weights()?;
                    let figures = EpochFigures { train: Figures::of(&seen), validation: self.validate(&weights)? };
                    if progress.figures.iter().all(|before| before.validation.auc < figures.validation.auc) {
                        best = Some(weights);
                    }
                    progress.figures.push(figures);
                }
                bar.set_message(format!("loss {:.3}", sum.total / per_epoch as f32));
                if (epoch + 1) % CHECKPOINT_EVERY == 0 || epoch + 1 == recipe.epochs {
                    let extra = [("average", average.as_ref()), ("best", best.as_ref())];
                    self.keep(&network, &optimizer, extra, &mut progress)?;
                }
            }
            let weights = best.or(average).map_or_else(|| network.weights(), Ok)?;
            Ok(Fitted { weights, losses: progress.losses, figures: progress.figures })
        })
    }

    /// What the network says of the scans that were left out.
    fn validate(&self, weights: &Weights) -> Result<Figures, FitError> {
        let file = ModelFile { header: self.recipe.header("epoch", "0"), weights: weights.clone() };
        let model = Model::new(file, &self.device)?;
        let logits = self.validation.iter().map(|case| {
            let every: Vec<usize> = (0..case.record.shape[0]).collect();
            Ok((model.infer_blocking(&case.input(&every))?.patient, case.target()))
        });
        Ok(Figures::of(&logits.collect::<Result<Vec<_>, NetworkError>>()?))
    }

    fn start(&self, device: &Device) -> Result<State, FitError> {
        let recipe = self.recipe;
        let fresh = || Progress { epochs_done: 0, losses: Vec::new(), has_average: false, figures: Vec::new() };
        let progress: Progress = match self.folder.map(|folder| folder.join("progress.json")) {
            Some(path) if path.exists() => {
                let text = std::fs::read(&path).map_err(|error| checkpoint_error(&path, &error))?;
                serde_json::from_slice(&text).map_err(|error| checkpoint_error(&path, &error))?
            }
            _ => fresh(),
        };
        if progress.epochs_done == 0 {
            let network = Network::init(&recipe.network, self.seed, device)?;
            let optimizer = optimizer(&recipe.optimizer, &network);
            return Ok(State { network, optimizer, average: None, best: None, progress: fresh() });
        }
        let folder = self.folder.unwrap_or(Path::new("."));
        let epoch = progress.epochs_done;
        let weights = read_weights(&checkpoint(folder, "weights", epoch))?;
        let average =
            if progress.has_average { Some(read_weights(&checkpoint(folder, "average", epoch))?) } else { None };
        let best =
            if progress.figures.is_empty() { None } else { Some(read_weights(&checkpoint(folder, "best", epoch))?) };
        let network = Network::from_weights(&recipe.network, &weights, device)?;
        let path = checkpoint(folder, "optimizer", epoch);
        let optimizer =
            optimizer(&recipe.optimizer, &network).load(&path).map_err(|error| checkpoint_error(&path, &error))?;
        Ok(State { network, optimizer, average, best, progress })
    }

    /// Keeps everything under names of this epoch, then says so in one file: a run killed in between finds the old ones.
    fn keep(
        &self,
        network: &Network,
        optimizer: &ModuleOptimizer,
        extra: [(&str, Option<&Weights>); 2],
        progress: &mut Progress,
    ) -> Result<(), FitError> {
        let Some(folder) = self.folder else { return Ok(()) };
        let epoch = progress.epochs_done;
        let write = |name: &str, weights: &Weights| {
            let path = checkpoint(folder, name, epoch);
            let header = ModelHeader::new("checkpoint", "0", self.recipe.network.clone(), self.recipe.input_shape(0));
            let file = ModelFile { header, weights: weights.clone() };
            let bytes = file.to_bytes(Storage::Single).map_err(|error| checkpoint_error(&path, &error))?;
            write_whole(&path, &bytes).map_err(|error| checkpoint_error(&path, &error))
        };
        write("weights", &network.weights()?)?;
        for (name, weights) in extra {
            if let Some(weights) = weights {
                write(name, weights)?;
            }
        }
        let path = checkpoint(folder, "optimizer", epoch);
        optimizer.save(&path).map_err(|error| checkpoint_error(&path, &error))?;
        progress.has_average = extra[0].1.is_some();
        let path = folder.join("progress.json");
        let text = serde_json::to_vec_pretty(progress).map_err(|error| checkpoint_error(&path, &error))?;
        write_whole(&path, &text).map_err(|error| checkpoint_error(&path, &error))?;
        for name in ["weights", "average", "best", "optimizer"] {
            let old = checkpoint(folder, name, epoch.saturating_sub(CHECKPOINT_EVERY));
            if old.exists() {
                std::fs::remove_file(&old).map_err(|error| checkpoint_error(&old, &error))?;
            }
        }
        Ok(())
    }
}

fn checkpoint(folder: &Path, name: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{name}-{epoch}.checkpoint"))
}

fn checkpoint_error(path: &Path, error: &dyn std::fmt::Display) -> FitError {
    FitError::Checkpoint { path: path.display().to_string(), what: error.to_string() }
}

fn read_weights(path: &Path) -> Result<Weights, FitError> {
    let bytes = std::fs::read(path).map_err(|error| checkpoint_error(path, &error))?;
    Ok(ModelFile::from_bytes(&bytes).map_err(|error| checkpoint_error(path, &error))?.weights)
}

fn mean(sum: EpochLoss, steps: usize, started: std::time::Instant) -> EpochLoss {
    let share = 1.0 / steps.max(1) as f32;
    EpochLoss {
        total: sum.total * share,
        slice: sum.slice * share,
        patient: sum.patient * share,
        pixel: sum.pixel * share,
        seconds: started.elapsed().as_secs_f64(),
    }
}

/// Linear rise, then what the schedule says.
fn learning_rate(config: &Optimizer, step: usize, steps: usize) -> f64 {
    let (step, steps) = (step as f64, steps as f64);
    let rise = config.warm_up * steps;
    let rising = if rise > 0.0 { ((step + 1.0) / rise).min(1.0) } else { 1.0 };
    if let Schedule::Staircase { factor, every } = config.schedule {
        let stairs = (step / every.max(1) as f64).floor();
        return config.learning_rate * rising * factor.powf(stairs);
    }
    let turn = ((step - rise) / (steps - rise)).max(0.0);
    config.learning_rate * rising * (0.5 * (1.0 + (std::f64::consts::PI * turn).cos()) + 0.01)
}

/// Weight decay acts on kernels and dense layers, not on vectors.
fn optimizer(config: &Optimizer, network: &Network) -> ModuleOptimizer {
    let adam = |weight_decay| {
        AdamWConfig::new()
            .with_beta_1(config.beta_1)
            .with_beta_2(config.beta_2)
            .with_epsilon(config.epsilon)
            .with_weight_decay(weight_decay)
            .build()
    };
    let mut vectors = Vectors(Vec::new());
    network.visit(&mut vectors);
    ModuleOptimizer::from(adam(config.weight_decay)).with_group(ParamGroup::from_ids(vectors.0), adam(0.0), None)
}

struct Vectors(Vec<ParamId>);

impl ModuleVisitor for Vectors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D == 1 {
            self.0.push(param.id);
        }
    }
}

/// One step; returns the network after it, and the losses and patient logits before it.
pub(crate) fn train_step(
    network: Network,
    optimizer: &mut ModuleOptimizer,
    batch: &Batch,
    rate: f64,
    recipe: &Recipe,
    device: &Device,
) -> Result<(Network, EpochLoss, Vec<f32>), FitError> {
    let [scans, slices, rows, columns] = batch.shape;
    let input = tensor(&batch.input, [scans, 1, slices, rows, columns], device);
    let valid = tensor(&batch.valid, [scans, slices], device);
    let keep = tensor(&batch.keep, [scans, batch.keep.len() / scans.max(1)], device);
    let output = network.forward(input, valid, Some(keep));

    let logits = output.patient.clone();
    let mut losses = vec![cross_entropy(output.patient, &batch.patient, device)];
    losses.push(match output.slices {
        Some(logits) => cross_entropy(logits, &batch.slice, device),
        None => Tensor::zeros([1], device),
    });
    losses.push(match output.evidence {
        Some(map) if !batch.pixel.targets.is_empty() => cross_entropy(map, &batch.pixel, device),
        _ => Tensor::zeros([1], device),
    });
    let losses = Tensor::cat(losses, 0);
    let total = losses.clone().sum();
    let gradients = total.backward();
    let gradients = clip(GradientsParams::from_grads(gradients, &network), &network, recipe.optimizer.clip_norm);
    let network = optimizer.step(rate, network, gradients);
    // The device is waited for once.
    let values: Vec<f32> = Tensor::cat(vec![losses.inner(), logits.inner()], 0).try_into_data()?.iter().collect();
    let at = |index: usize| values.get(index).copied().unwrap_or(f32::NAN);
    let total = values.iter().take(3).sum();
    let loss = EpochLoss { total, patient: at(0), slice: at(1), pixel: at(2), seconds: 0.0 };
    Ok((network, loss, values.into_iter().skip(3).collect()))
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// `sum(weight * cross_entropy(sigmoid(logit), target))`, written so that it cannot overflow.
fn cross_entropy<const D: usize>(logits: Tensor<D>, goal: &Goal, device: &Device) -> Tensor<1> {
    let shape = logits.dims();
    let targets = tensor(&goal.targets, shape, device);
    let weights = tensor(&goal.weights, shape, device);
    let loss = relu(logits.clone()) - logits.clone() * targets + logits.abs().neg().exp().log1p();
    (loss * weights).sum()
}

/// Scales all gradients so that their norm together is at most `largest`; 0 lets them be.
fn clip(gradients: GradientsParams, network: &Network, largest: f32) -> GradientsParams {
    if largest <= 0.0 {
        return gradients;
    }
    let mut norm = SquaredNorm { gradients: &gradients, sum: None };
    network.visit(&mut norm);
    let Some(sum) = norm.sum else { return gradients };
    let scale = (sum.sqrt() + 1e-6).recip().mul_scalar(largest).clamp_max(1.0);
    let mut scaling = Scale { gradients, factor: scale, scaled: GradientsParams::new() };
    network.visit(&mut scaling);
    scaling.scaled
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: Tensor<1>,
    scaled: GradientsParams,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.scaled.register(param.id, gradient * self.factor.clone().reshape([1; D]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CaseRecord, Source};
    use ictus::network::SplitMix64;

    /// A small scan; bleeding ones are brighter on two slices.
    fn case(patient: u32, bleeds: bool) -> Case {
        let shape = [6, 96, 80];
        let count = shape.iter().product();
        let mut random = SplitMix64::new(u64::from(patient));
        let bright = |i: usize| bleeds && (2..4).contains(&(i / 7680)) && (40..50).contains(&(i / 80 % 96));
        Case {
            hounsfield: (0..count).map(|i| random.uniform(-8.0, 8.0) + if bright(i) { 30.0 } else { 0.0 }).collect(),
            mask: vec![1.0; count],
            region: Vec::new(),
            depth: vec![10.0; count],
            target: None,
            record: CaseRecord {
                source: Source::CtIch,
                patient,
                fold: 0,
                fracture: false,
                age_years: None,
                labels: (0..6).map(|z| bleeds && (2..4).contains(&z)).collect(),
                kept: [0, 6],
                shape,
            },
        }
    }

    fn recipe() -> Recipe {
        let mut recipe = Recipe { crop: 6, batch: 2, epochs: 10, ..Recipe::default() };
        recipe.optimizer.average_from = 0.0;
        recipe
    }

    fn fit<'a>(
        recipe: &'a Recipe,
        cases: &'a [&'a Case],
        folder: Option<&'a Path>,
        max_steps: Option<usize>,
    ) -> Fit<'a> {
        Fit { recipe, cases, validation: cases, seed: 3, teachers: None, device: Device::flex(), folder, max_steps }
    }

    #[test]
    fn the_loss_falls_on_bleeds_that_are_easy_to_see() {
        let (bleeds, healthy) = (case(1, true), case(2, false));
        let cases = [&bleeds, &healthy];
        let recipe = Recipe { epochs: 30, ..recipe() };
        let losses = fit(&recipe, &cases, None, None).run(&ProgressBar::hidden()).unwrap().losses;
        let (first, last) = (losses[0].total, losses[losses.len() - 1].total);
        assert!(last < 0.6 * first, "{first} to {last}");
    }

    #[test]
    fn a_run_that_was_killed_goes_on_as_if_it_had_not_been() {
        let (bleeds, healthy) = (case(1, true), case(2, false));
        let cases = [&bleeds, &healthy];
        let recipe = recipe();
        resumed_as_whole(&recipe, &cases, "average");
        // The best epoch is kept through it as well, and so are the figures of those before.
        resumed_as_whole(&Recipe { best_epoch: true, ..recipe }, &cases, "best");
    }

    fn resumed_as_whole(recipe: &Recipe, cases: &[&Case], name: &str) {
        let whole = fit(recipe, cases, None, None).run(&ProgressBar::hidden()).unwrap();

        let folder = std::env::temp_dir().join(format!("ictus-resume-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Killed in the seventh epoch; the last checkpoint is that of the fifth.
        fit(recipe, cases, Some(&folder), Some(6)).run(&ProgressBar::hidden()).unwrap();
        let resumed = fit(recipe, cases, Some(&folder), None).run(&ProgressBar::hidden()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(resumed.losses.len(), 10);
        assert_eq!(resumed.weights, whole.weights);
        // As a table: reading a number from JSON may change its last bit.
        assert_eq!(EpochFigures::table(&resumed.figures), EpochFigures::table(&whole.figures));
        assert_eq!(whole.figures.len(), if recipe.best_epoch { 10 } else { 0 });
    }

    #[test]
    fn without_anybody_left_out_no_epoch_is_picked() {
        let (bleeds, healthy) = (case(1, true), case(2, false));
        let cases = [&bleeds, &healthy];
        let last = Recipe { epochs: 2, ..recipe() };
        let best = Recipe { best_epoch: true, ..last.clone() };
        let run = |recipe: &Recipe| {
            Fit { validation: &[], ..fit(recipe, &cases, None, None) }.run(&ProgressBar::hidden()).unwrap()
        };
        let picked = run(&best);
        assert!(picked.figures.is_empty());
        assert_eq!(picked.weights, run(&last).weights);
    }

    #[test]
    fn a_staircase_goes_down_every_so_many_steps() {
        let schedule = Schedule::Staircase { factor: 0.96, every: 100 };
        let config = Optimizer { learning_rate: 1e-4, warm_up: 0.0, schedule, ..Optimizer::default() };
        let rates = [0, 99, 100, 250].map(|step| learning_rate(&config, step, 300));
        assert_eq!(rates, [1e-4, 1e-4, 1e-4 * 0.96, 1e-4 * 0.96_f64.powi(2)]);
    }

    #[test]
    fn steps_of_the_published_net_are_those_of_keras() {
        let mut recipe = Recipe::find("seed-none").unwrap();
        recipe.network.blocks.truncate(2);
        (recipe.network.blocks[0].channels, recipe.network.blocks[1].channels) = (3, 4);
        recipe.network.head = ictus::network::HeadConfig::Dense { hidden: 5, dropout: 0.0 };
        (recipe.optimizer.learning_rate, recipe.optimizer.epsilon) = (0.01, 1e-3);
        recipe.optimizer.schedule = Schedule::Staircase { factor: 0.96, every: 2 };
        let (slices, rows, columns) = (12, 11, 10);
        let mut random = SplitMix64::new(4);
        let mut input: Vec<f32> = (0..2 * slices * rows * columns).map(|_| random.uniform(0.0, 1.0)).collect();
        for (z, y, x) in (4..8).flat_map(|z| (3..7).flat_map(move |y| (3..7).map(move |x| (z, y, x)))) {
            input[(z * rows + y) * columns + x] += 0.5;
        }
        let batch = Batch {
            input: input.clone(),
            shape: [2, slices, rows, columns],
            valid: vec![1.0; 2 * slices],
            keep: vec![1.0; 10],
            slice: Goal::default(),
            patient: Goal { targets: vec![1.0, 0.0], weights: vec![0.5; 2] },
            pixel: Goal::default(),
            map: [0; 2],
        };
        let device = Device::flex().autodiff();
        let mut network = Network::init(&recipe.network, 3, &device).unwrap();
        let mut optimizer = optimizer(&recipe.optimizer, &network);
        let expected = crate::seed::reference::reference("training");
        let numbers = |name: &str| -> Vec<f32> { serde_json::from_value(expected[name].clone()).unwrap() };
        for (step, expected) in numbers("losses").into_iter().enumerate() {
            let rate = learning_rate(&recipe.optimizer, step, 5);
            let loss;
            (network, loss, _) = train_step(network, &mut optimizer, &batch, rate, &recipe, &device).unwrap();
            assert!((loss.total - expected).abs() < 3e-4 * expected, "step {step}: {} {expected}", loss.total);
        }
        let weights = network.weights().unwrap();
        for (name, part) in [("mean", "running_mean"), ("variance", "running_var")] {
            for (value, expected) in weights.0[&format!("blocks.1.norm.{part}")].values.iter().zip(numbers(name)) {
                assert!((value - expected).abs() < 2e-4, "{name}: {value} {expected}");
            }
        }
        let mut header = ModelHeader::new("test", "0", recipe.network.clone(), [slices, rows, columns]);
        header.scaling = ictus::network::InputScaling { clamp: [0.0, 2.0], divide: 1.0 };
        (header.preprocess.rows, header.preprocess.columns) = (rows, columns);
        let model = Model::new(ModelFile { header, weights }, &Device::flex()).unwrap();
        for (scan, expected) in input.chunks(slices * rows * columns).zip(numbers("logits")) {
            let mut own = case(1, false);
            (own.hounsfield, own.record.shape) = (scan.to_vec(), [slices, rows, columns]);
            let logit = model.infer_blocking(&own.input(&(0..slices).collect::<Vec<_>>())).unwrap().patient;
            assert!((logit - expected).abs() < 2e-3, "{logit} {expected}");
        }
    }

    #[test]
    fn the_learning_rate_rises_then_falls_to_a_hundredth() {
        let config = Optimizer::default();
        let rates: Vec<f64> = (0..100).map(|step| learning_rate(&config, step, 100)).collect();
        assert!(rates[0] < rates[5] && rates[9] > rates[50] && rates[50] > rates[99]);
        assert!((rates[10] / 2.02e-3 - 1.0).abs() < 0.01 && rates[99] < 3e-5);
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn two_steps_on_wgpu_give_the_loss_of_the_cpu() {
        let (bleeds, healthy) = (case(1, true), case(2, false));
        let cases = [&bleeds, &healthy];
        let recipe = recipe();
        let on_cpu = fit(&recipe, &cases, None, Some(3)).run(&ProgressBar::hidden()).unwrap().losses;
        let device = crate::device::DeviceChoice::Wgpu.open().unwrap().0;
        let on_gpu = Fit { device, ..fit(&recipe, &cases, None, Some(3)) };
        let on_gpu = on_gpu.run(&ProgressBar::hidden()).unwrap().losses;
        // The third loss is the one that two steps led to.
        for (cpu, gpu) in on_cpu.iter().zip(&on_gpu) {
            assert!((cpu.total - gpu.total).abs() < 1e-3, "{} {}", cpu.total, gpu.total);
        }
    }
}
