//! `evaluate`: out-of-fold figures of a run, with intervals, subgroups and drawings.

use crate::Outcome;
use crate::data::{BleedTypes, Case, Source};
use crate::figures;
use crate::metrics::{auc, bootstrap, brier, calibration_error};
use crate::run::{Job, Prediction, RunError, RunRecord, bare, file_error, predict, read_json, write_json};
use crate::subgroups::{Subgroup, subgroups};
use crate::train::DataArgs;
use burn::tensor::Device;
use ictus::assess::{Calibration, OperatingPoint, PatientScore, Platt};
use ictus::network::ModelFile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Logit given to slices that were not looked at: too little brain for a bleed.
pub(crate) const UNSEEN: f32 = -12.0;
/// Bootstrap samples of an interval.
pub(crate) const SAMPLES: usize = 2000;
/// Groups of the calibration error.
const BINS: usize = 5;

/// Which run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the run.
    run: PathBuf,
    /// Figures of the networks that learned from every patient on phe-sich instead, which the run must not have learned from.
    #[arg(long)]
    elsewhere: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Reports on a run.
pub(crate) fn run(args: &Args) -> Outcome {
    if args.elsewhere { elsewhere(args) } else { report(&args.run, args.data.bleed_types()?.as_ref()) }
}

fn elsewhere(args: &Args) -> Outcome {
    let record: RunRecord = read_json(&args.run.join("run.json"))?;
    if record.recipe.sources.contains(&Source::PheSich) {
        return Err(format!(
            "{}: its networks learned from phe-sich; ask for their figures out of fold",
            args.run.display()
        )
        .into());
    }
    let Some(Evaluation { calibration, .. }) = evaluate(&by_seed(&args.run)?, None)? else {
        return Err(format!("{}: no seed has all five folds: no thresholds to ask at", args.run.display()).into());
    };
    let set = args.data.load_set(Source::PheSich, &record.recipe)?;
    let cases: Vec<&Case> = set.cases.iter().collect();
    let mut runs = BTreeMap::new();
    for job in Job::done(&args.run)?.into_iter().filter(|job| job.fold.is_none()) {
        let file = ModelFile { header: record.header("all"), weights: job.weights(&args.run)? };
        runs.insert(job.seed, predict(file, &cases, &Device::flex())?);
    }
    let Some(figures) = phe_sich(&runs, &calibration) else {
        return Err(format!("{}: no training on every patient is done (--folds none)", args.run.display()).into());
    };
    println!("never seen in training; seeds {:?}", runs.keys().collect::<Vec<_>>());
    print_phe_sich(&figures);
    Ok(ExitCode::SUCCESS)
}

/// The figures of one patient score over the seeds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Score {
    /// Area under the ROC curve of each seed.
    pub(crate) by_seed: Vec<f64>,
    /// Their mean.
    pub(crate) mean: f64,
}

impl Score {
    /// Standard deviation over the seeds, from two on.
    pub(crate) fn spread(&self) -> Option<f64> {
        let freedom = self.by_seed.len().checked_sub(1).filter(|&freedom| freedom > 0)?;
        Some((self.by_seed.iter().map(|auc| (auc - self.mean).powi(2)).sum::<f64>() / freedom as f64).sqrt())
    }
}

/// Everything that is known of a run, out of fold.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Evaluation {
    /// Seeds that have all folds.
    pub(crate) seeds: Vec<u64>,
    /// Patients of ct-ich.
    pub(crate) patients: usize,
    /// Patients of ct-ich with a bleed.
    pub(crate) positive: usize,
    /// Patient AUC on ct-ich by patient score.
    pub(crate) patient_auc: BTreeMap<String, Score>,
    /// Slice AUC on ct-ich.
    pub(crate) slice_auc: Score,
    /// Of the logits averaged over the seeds: patient AUC and its 95 % interval over patients, for the shipped score.
    pub(crate) patient_auc_interval: [f64; 3],
    /// The same of the slice AUC.
    pub(crate) slice_auc_interval: [f64; 3],
    /// Calibration and operating points; the counts are of patients that neither calibration nor threshold saw.
    pub(crate) calibration: Calibration,
    /// Brier score of probabilities that were calibrated on the other folds.
    pub(crate) brier: f64,
    /// Those probabilities, with whether the patient bleeds.
    #[serde(skip)]
    pub(crate) probabilities: Vec<(f32, bool)>,
    /// Expected calibration error of the same, in groups of equal size.
    pub(crate) calibration_error: f64,
    /// Both with their 95 % intervals over patients, before and after calibration.
    pub(crate) quality: Quality,
    /// Figures of parts of the patients of ct-ich.
    pub(crate) subgroups: Vec<Subgroup>,
    /// Share of the bleeding patients of ct-ich that still reach the lower and the upper threshold without their bleeding
    /// slices and those beside them; mean over the seeds.
    pub(crate) alarms_without_bleed: [f64; 2],
    /// Figures on phe-sich, where it was used.
    pub(crate) phe_sich: Option<PheSich>,
}

/// How good the probabilities of patients are: value, low and high end of the 95 % interval over patients.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Quality {
    /// Brier score of the logistic function of the patient score.
    pub(crate) brier_before: [f64; 3],
    /// The same of probabilities that were calibrated on the other folds.
    pub(crate) brier_after: [f64; 3],
    /// Expected calibration error of the logistic function of the patient score.
    pub(crate) error_before: [f64; 3],
    /// The same of probabilities that were calibrated on the other folds.
    pub(crate) error_after: [f64; 3],
}

/// Figures on a set where every patient bleeds; means over the seeds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PheSich {
    /// Patients.
    pub(crate) patients: usize,
    /// Slice AUC.
    pub(crate) slice_auc: f64,
    /// Share of scans whose map peaks on the lesion.
    pub(crate) peak_on_lesion: f64,
    /// Share of scans at or above the lower threshold.
    pub(crate) sensitivity_lower: f64,
    /// Share of scans at or above the upper threshold.
    pub(crate) sensitivity_upper: f64,
    /// Share of scans without their bleeding slices that still reach the lower threshold.
    pub(crate) false_alarms_lower: f64,
    /// The same for the upper threshold.
    pub(crate) false_alarms_upper: f64,
    /// The same for the lower one, as if what was cut out had looked like the rest: the score sums over slices, so that the fewer of a
    /// scan are left, the lower it is. What a whole scan of that hospital without a bleed would do lies nearer to this.
    pub(crate) false_alarms_filled_lower: f64,
    /// The same for the upper threshold.
    pub(crate) false_alarms_filled_upper: f64,
}

/// A patient score by name.
type NamedScore = (&'static str, fn(f32, &[f32]) -> f32);

/// The patient scores that are compared.
const SCORES: [NamedScore; 6] = [
    ("max_slice", |patient, slices| PatientScore::MaxSlice.of(&bare(patient, slices), None)),
    ("max_of_three", |patient, slices| PatientScore::MaxOfThree.of(&bare(patient, slices), None)),
    ("patient_logit", |patient, slices| PatientScore::PatientLogit.of(&bare(patient, slices), None)),
    ("log_sum_exp", |patient, slices| PatientScore::LogSumExp.of(&bare(patient, slices), None)),
    ("above_background", |patient, slices| PatientScore::AboveBackground.of(&bare(patient, slices), None)),
    ("above_half_background", |patient, slices| PatientScore::AboveHalfBackground.of(&bare(patient, slices), None)),
];

/// The patient score that ships.
///
/// Chosen out of fold, as the one that does well on both hospitals and raises the fewest alarms where the bleeding slices
/// were cut out.
pub(crate) const SHIPPED_SCORE: PatientScore = PatientScore::AboveHalfBackground;

/// Evaluates, prints, draws and keeps.
pub(crate) fn report(folder: &Path, types: Option<&BleedTypes>) -> Outcome {
    let runs = by_seed(folder)?;
    let Some(evaluation) = evaluate(&runs, types)? else {
        eprintln!("{}: no seed has all five folds yet; nothing to evaluate", folder.display());
        return Ok(ExitCode::FAILURE);
    };
    print(&evaluation);
    write_json(&folder.join("evaluation.json"), &evaluation)?;
    write_table(&folder.join("predictions.csv"), &runs, &evaluation.calibration)?;
    figures::draw(folder, &runs, &evaluation)?;
    println!("figures, predictions.csv and evaluation.json are in {}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// The out-of-fold predictions of each seed that has all folds.
pub(crate) fn by_seed(folder: &Path) -> Result<BTreeMap<u64, Vec<Prediction>>, RunError> {
    let mut runs: BTreeMap<u64, (usize, Vec<Prediction>)> = BTreeMap::new();
    for job in Job::done(folder)?.into_iter().filter(|job| job.fold.is_some()) {
        let (folds, predictions) = runs.entry(job.seed).or_default();
        *folds += 1;
        predictions.extend(job.predictions(folder)?);
    }
    Ok(runs
        .into_iter()
        .filter(|(_, (folds, _))| *folds == crate::data::FOLDS)
        .map(|(seed, (_, mut predictions))| {
            predictions.sort_by_key(|prediction| (prediction.record.source, prediction.record.patient));
            (seed, predictions)
        })
        .collect())
}

/// The scores of the patients of a set.
pub(crate) fn patients(
    predictions: &[Prediction],
    source: Source,
    score: impl Fn(f32, &[f32]) -> f32,
) -> Vec<(f32, bool)> {
    let of_set = predictions.iter().filter(|prediction| prediction.record.source == source);
    of_set.map(|p| (score(p.patient, &p.slices), p.record.positive())).collect()
}

/// The logits of all slices of a scan, those not looked at included.
fn all_slices(prediction: &Prediction) -> Vec<(f32, bool)> {
    let [first, end] = prediction.record.kept;
    let logit = |z: usize| {
        let seen = (first..end).contains(&z).then(|| prediction.slices.get(z - first)).flatten();
        seen.copied().unwrap_or(UNSEEN)
    };
    prediction.record.labels.iter().enumerate().map(|(z, &label)| (logit(z), label)).collect()
}

fn slices(predictions: &[Prediction], source: Source) -> Vec<(f32, bool)> {
    predictions.iter().filter(|prediction| prediction.record.source == source).flat_map(all_slices).collect()
}

/// The patient score that ships; the patient logit of a network without slice logits.
pub(crate) fn shipped(patient: f32, slices: &[f32]) -> f32 {
    if slices.is_empty() { patient } else { SHIPPED_SCORE.of(&bare(patient, slices), None) }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The figures of the seeds; `None` without any. Without the types of bleed there are no subgroups by type.
pub(crate) fn evaluate(
    runs: &BTreeMap<u64, Vec<Prediction>>,
    types: Option<&BleedTypes>,
) -> Result<Option<Evaluation>, ictus::assess::CalibrationError> {
    let seeds: Vec<u64> = runs.keys().copied().collect();
    let Some(first) = runs.values().next() else { return Ok(None) };
    let ich: Vec<&Prediction> = first.iter().filter(|p| p.record.source == Source::CtIch).collect();
    let over_seeds = |figure: &dyn Fn(&[Prediction]) -> Option<f64>| -> Score {
        let by_seed: Vec<f64> = runs.values().filter_map(|predictions| figure(predictions)).collect();
        Score { mean: mean(&by_seed), by_seed }
    };
    let patient_auc = SCORES.iter().map(|(name, score)| {
        ((*name).to_owned(), over_seeds(&|predictions| auc(&patients(predictions, Source::CtIch, score))))
    });
    let mut calibration = calibrate(&runs.values().flatten().collect::<Vec<_>>(), runs.len())?;
    let fitted = cross_fit(runs)?;
    calibration.lower = counted(calibration.lower.threshold, &fitted, |patient| patient.reaches_lower);
    calibration.upper = counted(calibration.upper.threshold, &fitted, |patient| patient.reaches_upper);
    let probabilities: Vec<(f32, bool)> =
        fitted.iter().map(|patient| (patient.probability, patient.positive)).collect();

    let averaged = average(runs);
    let interval = |statistic: &dyn Fn(&[&Prediction]) -> Option<f64>| -> [f64; 3] {
        let own: Vec<Prediction> = averaged.iter().filter(|p| p.record.source == Source::CtIch).cloned().collect();
        let all: Vec<&Prediction> = own.iter().collect();
        let [low, high] = bootstrap(&own, SAMPLES, statistic).unwrap_or([f64::NAN; 2]);
        [statistic(&all).unwrap_or(f64::NAN), low, high]
    };
    let patient_score = |drawn: &[&Prediction]| {
        auc(&drawn.iter().map(|p| (shipped(p.patient, &p.slices), p.record.positive())).collect::<Vec<_>>())
    };
    let slice_score = |drawn: &[&Prediction]| auc(&drawn.iter().flat_map(|p| all_slices(p)).collect::<Vec<_>>());

    Ok(Some(Evaluation {
        patients: ich.len(),
        positive: ich.iter().filter(|p| p.record.positive()).count(),
        patient_auc: patient_auc.collect(),
        slice_auc: over_seeds(&|predictions| auc(&slices(predictions, Source::CtIch))),
        patient_auc_interval: interval(&patient_score),
        slice_auc_interval: interval(&slice_score),
        brier: brier(&probabilities),
        calibration_error: calibration_error(&probabilities, BINS),
        probabilities,
        quality: quality(&fitted),
        subgroups: subgroups(runs, &averaged, &fitted, types),
        alarms_without_bleed: [calibration.lower, calibration.upper].map(|point| {
            mean(
                &runs
                    .values()
                    .map(|p| alarms_without_bleed(p, Source::CtIch, &calibration, point, false))
                    .collect::<Vec<_>>(),
            )
        }),
        phe_sich: phe_sich(runs, &calibration),
        calibration,
        seeds,
    }))
}

/// Fitted on the predictions of all seeds, since one network ships and not their mean.
fn calibrate(predictions: &[&Prediction], seeds: usize) -> Result<Calibration, ictus::assess::CalibrationError> {
    let of_set: Vec<&Prediction> = predictions.iter().copied().filter(|p| p.record.source == Source::CtIch).collect();
    let patients: Vec<(f32, bool)> =
        of_set.iter().map(|p| (shipped(p.patient, &p.slices), p.record.positive())).collect();
    let slices: Vec<(f32, bool)> =
        of_set.iter().flat_map(|p| p.slices.iter().copied().zip(p.record.kept_labels().iter().copied())).collect();
    let score = if slices.is_empty() { PatientScore::PatientLogit } else { SHIPPED_SCORE };
    Calibration::fit(score, &patients, &slices, seeds)
}

/// What a calibration that never saw the patient said of one.
pub(crate) struct CrossFitted {
    /// The seed.
    pub(crate) seed: u64,
    /// Number of the patient, of ct-ich.
    pub(crate) patient: u32,
    /// Logistic function of the patient score.
    uncalibrated: f32,
    /// Calibrated probability.
    probability: f32,
    /// Whether the patient bleeds.
    pub(crate) positive: bool,
    /// Whether the probability reaches the lower threshold.
    pub(crate) reaches_lower: bool,
    /// Whether it reaches the upper one.
    reaches_upper: bool,
}

/// Calibrates each fold on the others.
fn cross_fit(runs: &BTreeMap<u64, Vec<Prediction>>) -> Result<Vec<CrossFitted>, ictus::assess::CalibrationError> {
    let mut out = Vec::new();
    for fold in 0..crate::data::FOLDS {
        let others: Vec<&Prediction> = runs.values().flatten().filter(|p| p.record.fold != fold).collect();
        let calibration = calibrate(&others, runs.len())?;
        for (&seed, predictions) in runs {
            for p in predictions.iter().filter(|p| p.record.fold == fold && p.record.source == Source::CtIch) {
                let score = shipped(p.patient, &p.slices);
                let probability = calibration.probability(score);
                out.push(CrossFitted {
                    seed,
                    patient: p.record.patient,
                    uncalibrated: Platt { slope: 1.0, intercept: 0.0 }.probability(score),
                    probability,
                    positive: p.record.positive(),
                    reaches_lower: probability >= calibration.lower.threshold,
                    reaches_upper: probability >= calibration.upper.threshold,
                });
            }
        }
    }
    Ok(out)
}

/// A threshold with the counts of the first seed, so that they are patients, each decided by a threshold that was chosen
/// without them.
fn counted(threshold: f32, fitted: &[CrossFitted], reaches: impl Fn(&CrossFitted) -> bool) -> OperatingPoint {
    let first = fitted.iter().map(|patient| patient.seed).min();
    let decided: Vec<(f32, bool)> = fitted
        .iter()
        .filter(|patient| Some(patient.seed) == first)
        .map(|patient| (f32::from(u8::from(reaches(patient))), patient.positive))
        .collect();
    OperatingPoint { threshold, ..OperatingPoint::at(0.5, &decided) }
}

/// A figure of probabilities with whether the patient bleeds.
type FigureOf<'a> = &'a dyn Fn(&[(f32, bool)]) -> f64;

/// Brier score and calibration error with their intervals: whole patients are drawn, with what all seeds said of them.
fn quality(fitted: &[CrossFitted]) -> Quality {
    let mut patients: BTreeMap<u32, Vec<&CrossFitted>> = BTreeMap::new();
    for answer in fitted {
        patients.entry(answer.patient).or_default().push(answer);
    }
    let patients: Vec<Vec<&CrossFitted>> = patients.into_values().collect();
    let figure = |of: fn(&CrossFitted) -> f32, figure: FigureOf| -> [f64; 3] {
        let pairs = |drawn: &[&Vec<&CrossFitted>]| -> Vec<(f32, bool)> {
            drawn.iter().flat_map(|patient| patient.iter().map(|answer| (of(answer), answer.positive))).collect()
        };
        let [low, high] = bootstrap(&patients, SAMPLES, |drawn| Some(figure(&pairs(drawn)))).unwrap_or([f64::NAN; 2]);
        [figure(&pairs(&patients.iter().collect::<Vec<_>>())), low, high]
    };
    let error = |pairs: &[(f32, bool)]| calibration_error(pairs, BINS);
    Quality {
        brier_before: figure(|answer| answer.uncalibrated, &brier),
        brier_after: figure(|answer| answer.probability, &brier),
        error_before: figure(|answer| answer.uncalibrated, &error),
        error_after: figure(|answer| answer.probability, &error),
    }
}

/// Predictions whose logits are the means over the seeds.
fn average(runs: &BTreeMap<u64, Vec<Prediction>>) -> Vec<Prediction> {
    let mut runs_left = runs.values();
    let mut out = runs_left.next().cloned().unwrap_or_default();
    for predictions in runs_left {
        for (sum, more) in out.iter_mut().zip(predictions) {
            sum.patient += more.patient;
            sum.slices.iter_mut().zip(&more.slices).for_each(|(sum, more)| *sum += more);
        }
    }
    let share = 1.0 / runs.len().max(1) as f32;
    for prediction in &mut out {
        prediction.patient *= share;
        prediction.slices.iter_mut().for_each(|logit| *logit *= share);
    }
    out
}

/// Share of the scans without their bleeding slices that reach a threshold; `filled` up to the slices that they had, or as they are.
fn alarms_without_bleed(
    predictions: &[Prediction],
    source: Source,
    calibration: &Calibration,
    point: OperatingPoint,
    filled: bool,
) -> f64 {
    let of_set = predictions.iter().filter(|p| p.record.source == source);
    let scores: Vec<f32> = of_set
        .filter_map(|p| {
            let (patient, rest) = p.without_bleed.as_ref()?;
            Some(if filled { shipped(*patient, &spread_over(rest, p.slices.len())) } else { shipped(*patient, rest) })
        })
        .collect();
    let alarms = scores.iter().filter(|score| calibration.probability(**score) >= point.threshold);
    alarms.count() as f64 / scores.len().max(1) as f64
}

/// The logits of some slices as those of `count`, each as often as any other but for one.
fn spread_over(logits: &[f32], count: usize) -> Vec<f32> {
    (0..count).filter_map(|z| logits.get(z * logits.len() / count)).copied().collect()
}

fn phe_sich(runs: &BTreeMap<u64, Vec<Prediction>>, calibration: &Calibration) -> Option<PheSich> {
    let of_set = |predictions: &[Prediction]| -> Vec<Prediction> {
        predictions.iter().filter(|p| p.record.source == Source::PheSich).cloned().collect()
    };
    let patients = runs.values().next().map_or(0, |predictions| of_set(predictions).len());
    if patients == 0 {
        return None;
    }
    let over_seeds = |figure: &dyn Fn(&[Prediction]) -> f64| -> f64 {
        mean(&runs.values().map(|predictions| figure(&of_set(predictions))).collect::<Vec<_>>())
    };
    let share = |hits: usize, all: usize| hits as f64 / all.max(1) as f64;
    let reaches = |logit: f32, point: OperatingPoint| calibration.probability(logit) >= point.threshold;
    let sensitivity = |set: &[Prediction], point| {
        share(set.iter().filter(|p| reaches(shipped(p.patient, &p.slices), point)).count(), set.len())
    };
    let false_alarms =
        |set: &[Prediction], point, filled| alarms_without_bleed(set, Source::PheSich, calibration, point, filled);
    Some(PheSich {
        patients,
        slice_auc: over_seeds(&|set| auc(&slices(set, Source::PheSich)).unwrap_or(f64::NAN)),
        peak_on_lesion: over_seeds(&|set| {
            let known: Vec<bool> = set.iter().filter_map(|p| p.peak_on_lesion).collect();
            share(known.iter().filter(|&&hit| hit).count(), known.len())
        }),
        sensitivity_lower: over_seeds(&|set| sensitivity(set, calibration.lower)),
        sensitivity_upper: over_seeds(&|set| sensitivity(set, calibration.upper)),
        false_alarms_lower: over_seeds(&|set| false_alarms(set, calibration.lower, false)),
        false_alarms_upper: over_seeds(&|set| false_alarms(set, calibration.upper, false)),
        false_alarms_filled_lower: over_seeds(&|set| false_alarms(set, calibration.lower, true)),
        false_alarms_filled_upper: over_seeds(&|set| false_alarms(set, calibration.upper, true)),
    })
}

fn print(evaluation: &Evaluation) {
    let Evaluation { seeds, patients, positive, .. } = evaluation;
    println!("out of fold, seeds {seeds:?}; ct-ich: {patients} patients, {positive} with a bleed");
    let line = |name: &str, score: &Score| {
        let seeds: Vec<String> = score.by_seed.iter().map(|auc| format!("{auc:.3}")).collect();
        let spread = score.spread().map_or_else(String::new, |spread| format!(" +- {spread:.3}"));
        println!("  {name:<32} {:.3}{spread}   by seed {}", score.mean, seeds.join(" "));
    };
    for (name, score) in &evaluation.patient_auc {
        line(&format!("patient AUC by {name}"), score);
    }
    line("slice AUC", &evaluation.slice_auc);
    let [value, low, high] = evaluation.patient_auc_interval;
    println!("  mean logits: patient AUC {value:.3} [{low:.3}-{high:.3}]");
    let [value, low, high] = evaluation.slice_auc_interval;
    println!("  mean logits: slice AUC   {value:.3} [{low:.3}-{high:.3}]");
    for (name, point) in [("lower", evaluation.calibration.lower), ("upper", evaluation.calibration.upper)] {
        println!(
            "  {name} threshold {:.3}: sensitivity {:.3} ({} of {}), specificity {:.3} ({} of {})",
            point.threshold,
            point.sensitivity(),
            point.true_positives,
            point.true_positives + point.false_negatives,
            point.specificity(),
            point.true_negatives,
            point.true_negatives + point.false_positives,
        );
    }
    let Quality { brier_before, brier_after, error_before, error_after } = &evaluation.quality;
    for (name, [value, low, high]) in [
        ("Brier score before calibration", brier_before),
        ("Brier score after it", brier_after),
        ("calibration error before", error_before),
        ("calibration error after", error_after),
    ] {
        println!("  {name:<32} {value:.3} [{low:.3}-{high:.3}]");
    }
    for group in &evaluation.subgroups {
        let Subgroup { name, positive, negative, reach_lower, .. } = group;
        println!(
            "  {name:<46} {}  ({positive} with, {negative} without a bleed; \
             {reach_lower} of {positive} reach the lower threshold)",
            group.area()
        );
    }
    let [lower, upper] = evaluation.alarms_without_bleed;
    println!("  without their bleeding slices still alarmed: lower {lower:.3}, upper {upper:.3}");
    if let Some(phe) = &evaluation.phe_sich {
        print_phe_sich(phe);
    }
}

fn print_phe_sich(phe: &PheSich) {
    println!("phe-sich: {} patients, all with a bleed", phe.patients);
    println!("  slice AUC {:.3}, peak on the lesion {:.3}", phe.slice_auc, phe.peak_on_lesion);
    println!("  sensitivity: lower {:.3}, upper {:.3}", phe.sensitivity_lower, phe.sensitivity_upper);
    println!(
        "  without their bleeding slices still alarmed: lower {:.3}, upper {:.3}",
        phe.false_alarms_lower, phe.false_alarms_upper
    );
    println!(
        "  the same as if they had as many slices as before: lower {:.3}, upper {:.3}",
        phe.false_alarms_filled_lower, phe.false_alarms_filled_upper
    );
}

fn write_table(path: &Path, runs: &BTreeMap<u64, Vec<Prediction>>, calibration: &Calibration) -> Result<(), RunError> {
    let mut text = "seed,set,patient,fold,bleed,slices,bleeding_slices,score,probability,peak_on_lesion\n".to_owned();
    for (seed, predictions) in runs {
        for p in predictions {
            let score = shipped(p.patient, &p.slices);
            let bleeding = p.record.labels.iter().filter(|&&label| label).count();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{seed},{},{},{},{},{},{bleeding},{score:.4},{:.4},{}",
                p.record.source.name(),
                p.record.patient,
                p.record.fold,
                u8::from(p.record.positive()),
                p.record.labels.len(),
                calibration.probability(score),
                p.peak_on_lesion.map_or("", |hit| if hit { "1" } else { "0" }),
            );
        }
    }
    crate::files::write_whole(path, text.as_bytes()).map_err(|error| file_error(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_slices_are_spread_over_many_in_their_order() {
        assert_eq!(spread_over(&[1.0, 2.0], 5), [1.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(spread_over(&[1.0, 2.0, 3.0], 3), [1.0, 2.0, 3.0]);
        assert!(spread_over(&[], 3).is_empty());
    }

    #[test]
    fn a_scan_filled_up_alarms_like_a_whole_one() {
        let flat = |slices: usize| shipped(0.0, &spread_over(&[0.5; 10], slices));
        assert!(flat(25) > flat(10));
        assert_eq!(flat(25), shipped(0.0, &[0.5; 25]));
    }
}
