//! `robustness`: the out-of-fold figures of a run again, on scans that were changed as another hospital would change them,
//! and on lesions painted into brains without one.

use crate::Outcome;
use crate::data::{CaseRecord, DataError, Listed, Source, depth, list, volume};
use crate::evaluate::{SHIPPED_SCORE, UNSEEN, by_seed, evaluate};
use crate::learn::paint::Canvas;
use crate::learn::recipe::Paint;
use crate::metrics::auc;
use crate::perturb::{ALL, Perturbation};
use crate::run::{FEWEST_REST, Job, RunRecord, highest_cell, read_json, write_json};
use crate::train::DataArgs;
use burn::tensor::Device;
use ictus::assess::{Calibration, gate};
use ictus::network::{Logits, Model, ModelFile, SplitMix64};
use ictus::preprocess::{NetworkInput, PreprocessConfig, limit_contrast, prepare, prepare_stages};
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::ExitCode;

/// Lesions painted into each scan without a bleed, one at a time.
const PAINTED: u64 = 6;
/// Fewest visible pixels of a painted lesion that has to be found: at 96 rows, about 50 square millimetres a slice.
const FOUND_PIXELS: f32 = 40.0;

/// Which run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the run.
    run: PathBuf,
    /// Seed whose folds are asked.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only changes whose name holds this.
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// The figures under one change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The change.
    pub(crate) name: String,
    /// Scans that the gate or the preparation refused.
    pub(crate) refused: usize,
    /// Patient AUC on ct-ich, of the scans that were answered.
    pub(crate) patient_auc: f64,
    /// Slice AUC on ct-ich.
    pub(crate) slice_auc: f64,
    /// Share of the bleeding patients of ct-ich at or above the lower threshold.
    pub(crate) sensitivity_lower: f64,
    /// Share of the others at or above the upper threshold.
    pub(crate) false_alarms_upper: f64,
    /// Share of phe-sich at or above the upper threshold.
    pub(crate) phe_sich_sensitivity_upper: Option<f64>,
    /// Share of phe-sich at or above it once the slices with a bleed, and their neighbours, are cut out.
    #[serde(default)]
    pub(crate) phe_sich_alarms_upper: Option<f64>,
    /// Median of the change of the probability over all scans.
    pub(crate) median_change: f64,
}

impl Row {
    /// Its two figures of phe-sich, for a table.
    pub(crate) fn phe_sich(&self) -> [String; 2] {
        let figures = [self.phe_sich_sensitivity_upper, self.phe_sich_alarms_upper];
        figures.map(|share| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}")))
    }
}

/// What became of painted lesions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PaintedRow {
    /// Lesions that can be seen.
    pub(crate) lesions: usize,
    /// Share with the map's peak within a cell of the lesion.
    pub(crate) peak_on_lesion: f64,
    /// Share with the peak in the hemisphere of the lesion, of those that lie in one.
    pub(crate) right_side: f64,
    /// Share of scans at or above the lower threshold.
    pub(crate) sensitivity_lower: f64,
}

/// The table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Robustness {
    /// Seed of the networks.
    pub(crate) seed: u64,
    /// A row a change.
    pub(crate) rows: Vec<Row>,
    /// The painted lesions.
    pub(crate) painted: PaintedRow,
}

/// An answer on one changed scan.
struct Answer {
    record: CaseRecord,
    score: f32,
    probability: f32,
    slices: Vec<(f32, bool)>,
    /// Probability of what is left of a scan of phe-sich without its bleeding slices.
    without_bleed: Option<f32>,
}

/// Asks, prints and keeps.
pub(crate) fn run(args: &Args) -> Outcome {
    let record: RunRecord = read_json(&args.run.join("run.json"))?;
    let Some(evaluation) = evaluate(&by_seed(&args.run)?, None)? else {
        return Err(format!("{}: no seed has all five folds: no thresholds to ask at", args.run.display()).into());
    };
    let calibration = evaluation.calibration;
    let mut models = Vec::new();
    for fold in 0..crate::data::FOLDS {
        let weights = Job { fold: Some(fold), seed: args.seed }.weights(&args.run)?;
        models.push(Model::new(ModelFile { header: record.header("fold"), weights }, &Device::flex())?);
    }
    let folder = args.data.folder()?;
    let mut listed = Vec::new();
    for &source in &record.recipe.sources {
        listed.extend(list(source, &folder)?);
    }
    let asked = Asked { models: &models, preprocess: &record.recipe.preprocess, calibration: &calibration };
    let mut rows = Vec::new();
    let mut plain: Vec<Option<Answer>> = Vec::new();
    println!(
        "{:32} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "change", "refused", "patient", "slice", "sens low", "FA up", "phe up", "cut up", "median"
    );
    for (name, change) in ALL {
        let wanted = args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
        if !wanted && !matches!(change, Perturbation::None) {
            continue;
        }
        let bar = ProgressBar::new(listed.len() as u64).with_style(crate::progress::style(name));
        let answers = listed
            .par_iter()
            .map(|listed| asked.about(listed, change).inspect(|_| bar.inc(1)))
            .collect::<Result<Vec<_>, DataError>>()?;
        bar.finish_and_clear();
        if matches!(change, Perturbation::None) {
            plain = answers;
            rows.push(row(name, &plain, &plain, &calibration));
        } else {
            rows.push(row(name, &answers, &plain, &calibration));
        }
        if let Some(row) = rows.last() {
            print(row);
        }
    }
    let painted = asked.painted(&listed)?;
    println!(
        "{} painted lesions: peak on the lesion {:.3}, right side {:.3}, sensitivity at the lower threshold {:.3}",
        painted.lesions, painted.peak_on_lesion, painted.right_side, painted.sensitivity_lower
    );
    write_json(&args.run.join("robustness.json"), &Robustness { seed: args.seed, rows, painted })?;
    Ok(ExitCode::SUCCESS)
}

fn print(row: &Row) {
    let [phe, cut] = row.phe_sich();
    println!(
        "{:32} {:>7} {:>8.3} {:>8.3} {:>8.3} {:>8.3} {phe:>8} {cut:>8} {:>+8.3}",
        row.name,
        row.refused,
        row.patient_auc,
        row.slice_auc,
        row.sensitivity_lower,
        row.false_alarms_upper,
        row.median_change
    );
}

/// The networks of all folds, and how they are asked.
struct Asked<'a> {
    models: &'a [Model],
    preprocess: &'a PreprocessConfig,
    calibration: &'a Calibration,
}

impl Asked<'_> {
    /// The answer of the network that was not trained on the scan; `None` if the scan is refused.
    fn about(&self, listed: &Listed, change: Perturbation) -> Result<Option<Answer>, DataError> {
        let scan = || listed.record.name();
        let seed = u64::from(listed.record.patient);
        let changed = change.apply(&volume(listed)?, seed).map_err(|what| DataError::Scan { scan: scan(), what })?;
        let prepared = prepare_stages(&changed.volume, self.preprocess);
        if gate::check(&changed.volume, prepared.as_ref()).refusal.is_some() {
            return Ok(None);
        }
        let Ok(preparation) = prepared else { return Ok(None) };
        let input = preparation.input;
        let logits = self.infer(&listed.record, &input)?;
        let score = SHIPPED_SCORE.of(&logits, input.slab_mm);
        let labels = &listed.record.labels;
        // A slab of the input is several slices of the scan, a slice of the scan several of the original.
        let bleeds = |slab: &std::ops::Range<usize>| {
            let mut origins = slab.clone().filter_map(|z| changed.origin.get(z)).flatten();
            origins.any(|&z| labels.get(z) == Some(&true))
        };
        let seen = input.slabs.first().map_or(0, |slab| slab.start)..input.slabs.last().map_or(0, |slab| slab.end);
        let unseen = (0..changed.origin.len()).filter(|z| !seen.contains(z)).map(|z| (UNSEEN, bleeds(&(z..z + 1))));
        let slices = logits.slices.iter().copied().zip(input.slabs.iter().map(bleeds)).chain(unseen).collect();
        let probability = self.calibration.probability(score);
        let bleeding: Vec<bool> = input.slabs.iter().map(bleeds).collect();
        let rest: Vec<usize> = (0..bleeding.len())
            .filter(|&z| !(z.saturating_sub(1)..=z + 1).any(|near| bleeding.get(near) == Some(&true)))
            .collect();
        let without_bleed = if listed.record.source == Source::PheSich && rest.len() >= FEWEST_REST {
            let input = self.only(&input, &rest);
            let score = SHIPPED_SCORE.of(&self.infer(&listed.record, &input)?, input.slab_mm);
            Some(self.calibration.probability(score))
        } else {
            None
        };
        Ok(Some(Answer { record: listed.record.clone(), score, probability, slices, without_bleed }))
    }

    /// Some slices of an input, as if the scan had no others.
    fn only(&self, input: &NetworkInput, slices: &[usize]) -> NetworkInput {
        let [_, rows, columns] = input.shape;
        let planes = |z: &usize| z * rows * columns..(z + 1) * rows * columns;
        let mut rest = NetworkInput {
            hounsfield: slices
                .iter()
                .flat_map(|z| &input.hounsfield[planes(z)])
                .map(|hu| hu / input.contrast_gain)
                .collect(),
            mask: slices.iter().flat_map(|z| &input.mask[planes(z)]).copied().collect(),
            shape: [slices.len(), rows, columns],
            slabs: slices.iter().map(|&z| input.slabs[z].clone()).collect(),
            contrast_gain: 1.0,
            slices: input.slices.clone(),
            slab_mm: input.slab_mm,
            alignment: input.alignment,
            brain_median_hu: input.brain_median_hu,
        };
        limit_contrast(&mut rest, self.preprocess);
        rest
    }

    fn infer(&self, record: &CaseRecord, input: &NetworkInput) -> Result<Logits, DataError> {
        let wrong = |what: String| DataError::Scan { scan: record.name(), what };
        let model = self.models.get(record.fold).ok_or_else(|| wrong("it is in no fold".to_owned()))?;
        model.infer_blocking(input).map_err(|error| wrong(error.to_string()))
    }

    /// Paints lesions into the brains of ct-ich without a bleed, and looks where the map peaks.
    fn painted(&self, listed: &[Listed]) -> Result<PaintedRow, DataError> {
        let clean: Vec<&Listed> =
            listed.iter().filter(|l| l.record.source == Source::CtIch && !l.record.positive()).collect();
        let found = clean.par_iter().map(|listed| self.painted_into(listed)).collect::<Result<Vec<_>, _>>()?;
        let found: Vec<Painted> = found.into_iter().flatten().collect();
        let share = |hits: usize, all: usize| hits as f64 / all.max(1) as f64;
        let sided: Vec<bool> = found.iter().filter_map(|painted| painted.right_side).collect();
        Ok(PaintedRow {
            lesions: found.len(),
            peak_on_lesion: share(found.iter().filter(|painted| painted.peak_on_lesion).count(), found.len()),
            right_side: share(sided.iter().filter(|&&right| right).count(), sided.len()),
            sensitivity_lower: share(found.iter().filter(|painted| painted.alarm).count(), found.len()),
        })
    }

    fn painted_into(&self, listed: &Listed) -> Result<Vec<Painted>, DataError> {
        let wrong = |source| DataError::Prepare { scan: listed.record.name(), source };
        let input = prepare(&volume(listed)?, self.preprocess).map_err(wrong)?;
        let [_, rows, columns] = input.shape;
        let mask: Vec<f32> = input.mask.iter().map(|&inside| f32::from(u8::from(inside))).collect();
        let depth = depth(&input.mask, input.shape);
        let mut out = Vec::new();
        for draw in 0..PAINTED {
            let mut random = SplitMix64::new(u64::from(listed.record.patient) * PAINTED + draw);
            let mut painted = input.clone();
            let mut visible = vec![0.0; mask.len()];
            let mut canvas =
                Canvas { hounsfield: &mut painted.hounsfield, mask: &mask, depth: &depth, shape: input.shape };
            canvas.paint(&Paint { probability: 1.0, second: 0.0, dark: 0.0 }, &mut random, &mut visible);
            let pixels: f32 = visible.iter().sum();
            if pixels < FOUND_PIXELS {
                continue;
            }
            let logits = self.infer(&listed.record, &painted)?;
            let Some((z, y, x)) = highest_cell(&painted, &logits) else { continue };
            let [_, map_rows, map_columns] = logits.evidence_shape;
            let (height, width) = (rows / map_rows, columns / map_columns);
            let near = |at: usize, cell: usize, side: usize| (at + side >= cell * side) && at < (cell + 2) * side;
            let marks = visible
                .iter()
                .enumerate()
                .filter(|(_, mark)| **mark > 0.0)
                .map(|(index, _)| (index / (rows * columns), index / columns % rows, index % columns));
            let (mut on, mut left, mut right) = (false, 0_usize, 0_usize);
            for (slice, row, column) in marks {
                on |= slice.abs_diff(z) <= 1 && near(row, y, height) && near(column, x, width);
                *(if column < columns / 2 { &mut left } else { &mut right }) += 1;
            }
            // A lesion on both sides of the midline, and a peak at it, have no side.
            let sided = left.max(right) * 20 > 19 * (left + right) && (x + 1 < map_columns / 2 || x > map_columns / 2);
            let probability = self.calibration.probability(SHIPPED_SCORE.of(&logits, None));
            out.push(Painted {
                peak_on_lesion: on,
                right_side: sided.then_some((x < map_columns / 2) == (left > right)),
                alarm: probability >= self.calibration.lower.threshold,
            });
        }
        Ok(out)
    }
}

/// What became of one painted lesion.
struct Painted {
    peak_on_lesion: bool,
    right_side: Option<bool>,
    alarm: bool,
}

fn row(name: &str, answers: &[Option<Answer>], plain: &[Option<Answer>], calibration: &Calibration) -> Row {
    let of = |source| answers.iter().flatten().filter(move |answer| answer.record.source == source);
    let share = |source, bleed: bool, threshold: f32| -> Option<f64> {
        let chosen: Vec<&Answer> = of(source).filter(|answer| answer.record.positive() == bleed).collect();
        let above = chosen.iter().filter(|answer| answer.probability >= threshold).count();
        (!chosen.is_empty()).then(|| above as f64 / chosen.len() as f64)
    };
    let patients: Vec<(f32, bool)> = of(Source::CtIch).map(|a| (a.score, a.record.positive())).collect();
    let slices: Vec<(f32, bool)> = of(Source::CtIch).flat_map(|answer| answer.slices.iter().copied()).collect();
    let mut changes: Vec<f64> = answers
        .iter()
        .zip(plain)
        .filter_map(|(new, old)| Some(f64::from(new.as_ref()?.probability - old.as_ref()?.probability)))
        .collect();
    changes.sort_by(f64::total_cmp);
    Row {
        name: name.to_owned(),
        refused: answers.iter().filter(|answer| answer.is_none()).count(),
        patient_auc: auc(&patients).unwrap_or(f64::NAN),
        slice_auc: auc(&slices).unwrap_or(f64::NAN),
        sensitivity_lower: share(Source::CtIch, true, calibration.lower.threshold).unwrap_or(f64::NAN),
        false_alarms_upper: share(Source::CtIch, false, calibration.upper.threshold).unwrap_or(f64::NAN),
        phe_sich_sensitivity_upper: share(Source::PheSich, true, calibration.upper.threshold),
        phe_sich_alarms_upper: {
            let cut: Vec<f32> = of(Source::PheSich).filter_map(|answer| answer.without_bleed).collect();
            let alarms = cut.iter().filter(|probability| **probability >= calibration.upper.threshold).count();
            (!cut.is_empty()).then(|| alarms as f64 / cut.len() as f64)
        },
        median_change: changes.get(changes.len() / 2).copied().unwrap_or_default(),
    }
}
