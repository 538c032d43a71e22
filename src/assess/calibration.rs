//! From logits to probabilities and words: Platt scaling, bounds and operating points, all fitted on out-of-fold logits.

use crate::network::{HeadConfig, Logits, log_sum_exp};
use crate::report::Finding;
use serde::{Deserialize, Serialize};

/// How the logits of a scan become one patient score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatientScore {
    /// The largest slice logit.
    #[default]
    MaxSlice,
    /// The largest mean of three neighbouring slice logits: a single odd slice counts for less.
    MaxOfThree,
    /// The patient logit of the network.
    PatientLogit,
    /// `ln(sum(exp(slice logit)))`: a smooth maximum to which several suspicious slices add up. Grows with the number of
    /// slices, by at most its logarithm.
    LogSumExp,
    /// `t ln(w sum(exp(slice logit / t))) - 0.3 median(slice logits)` with t = 1.5: moderately suspicious neighbours add up more, and
    /// what a scanner or a window raises in every slice counts for less. The weight `w` makes up for the number of slices
    /// that a head is cut into: the thickness of a slice in units of 5 mm, or, where it is not known, 32 slices over their
    /// number if there are more than that.
    AboveBackground,
    /// The same with half of the median: fewer alarms at another hospital, and no worse at the first.
    AboveHalfBackground,
}

/// Thickness of the slices that the networks are trained on, in millimetres.
const USUAL_MM: f32 = 5.0;
/// A brain in slices of that thickness has no more than this.
const USUAL_SLICES: f32 = 32.0;

/// The `t` of [`PatientScore::AboveBackground`]: the larger, the more do slices add up.
const SOFTNESS: f32 = 1.5;

impl PatientScore {
    /// The patient score of a scan, a logit before calibration; negative infinity for a scan without slices.
    ///
    /// `slice_mm` is the distance of its slices, where it is known.
    pub fn of(self, logits: &Logits, slice_mm: Option<f32>) -> f32 {
        let slices = &logits.slices;
        let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(f32::NEG_INFINITY, f32::max);
        match self {
            Self::MaxSlice => largest(&mut slices.iter().copied()),
            Self::MaxOfThree if slices.len() < 3 => largest(&mut slices.iter().copied()),
            Self::MaxOfThree => largest(&mut slices.windows(3).map(|three| three.iter().sum::<f32>() / 3.0)),
            Self::PatientLogit => logits.patient,
            Self::LogSumExp => log_sum_exp(slices),
            Self::AboveBackground | Self::AboveHalfBackground => {
                let background = if self == Self::AboveBackground { 0.3 } else { 0.5 };
                let softened: Vec<f32> = slices.iter().map(|logit| logit / SOFTNESS).collect();
                let weight = match slice_mm {
                    Some(thickness) if thickness > 0.0 => (thickness / USUAL_MM).clamp(0.25, 4.0),
                    _ => (USUAL_SLICES / slices.len() as f32).min(1.0),
                };
                let sum = SOFTNESS * (log_sum_exp(&softened) + weight.ln());
                sum - background * median(slices).unwrap_or_default()
            }
        }
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &[f32]) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f32::midpoint(lower, upper))
}

/// Platt scaling: `probability = sigmoid(slope * logit + intercept)`
/// (J. Platt, "Probabilistic outputs for support vector machines", 1999).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// Factor on the logit.
    pub slope: f32,
    /// Added to the scaled logit.
    pub intercept: f32,
}

/// Why no calibration could be fitted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CalibrationError {
    /// Both classes are needed.
    #[error("fitting a calibration on {positives} positive and {negatives} negative scores: both kinds are needed")]
    OneClass {
        /// Scores with a bleed.
        positives: usize,
        /// Scores without.
        negatives: usize,
    },
    /// A score is NaN or infinite.
    #[error("fitting a calibration: score {index} is not a finite number")]
    NotFinite {
        /// Index of the score.
        index: usize,
    },
}

impl Platt {
    /// The probability of a logit, in 0..=1.
    pub fn probability(self, logit: f32) -> f32 {
        sigmoid(f64::from(self.slope).mul_add(f64::from(logit), f64::from(self.intercept))) as f32
    }

    /// Fits slope and intercept to `(logit, has a bleed)` pairs by Newton's method on the cross-entropy with Platt's
    /// smoothed targets, which keep the slope finite when the classes do not overlap.
    ///
    /// # Errors
    /// [`CalibrationError`] if one class is missing or a score is not finite.
    pub fn fit(scores: &[(f32, bool)]) -> Result<Self, CalibrationError> {
        if let Some(index) = scores.iter().position(|(logit, _)| !logit.is_finite()) {
            return Err(CalibrationError::NotFinite { index });
        }
        let positives = scores.iter().filter(|(_, positive)| *positive).count();
        let negatives = scores.len() - positives;
        if positives == 0 || negatives == 0 {
            return Err(CalibrationError::OneClass { positives, negatives });
        }
        let high = (positives as f64 + 1.0) / (positives as f64 + 2.0);
        let low = 1.0 / (negatives as f64 + 2.0);
        let loss = |slope: f64, intercept: f64| -> f64 {
            scores
                .iter()
                .map(|&(logit, positive)| {
                    let z = slope.mul_add(f64::from(logit), intercept);
                    let target = if positive { high } else { low };
                    // log(1 + e^z) - target z, written so that it cannot overflow.
                    z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
                })
                .sum()
        };
        let (mut slope, mut intercept) = (1.0_f64, 0.0_f64);
        for _ in 0..100 {
            let mut gradient = [0.0_f64; 2];
            let mut hessian = [1e-9_f64, 0.0, 1e-9];
            for &(logit, positive) in scores {
                let x = f64::from(logit);
                let p = sigmoid(slope.mul_add(x, intercept));
                let error = p - if positive { high } else { low };
                let weight = p * (1.0 - p);
                gradient[0] += error * x;
                gradient[1] += error;
                hessian[0] += weight * x * x;
                hessian[1] += weight * x;
                hessian[2] += weight;
            }
            let determinant = hessian[0].mul_add(hessian[2], -hessian[1] * hessian[1]).max(1e-18);
            let step = [
                hessian[2].mul_add(gradient[0], -hessian[1] * gradient[1]) / determinant,
                hessian[0].mul_add(gradient[1], -hessian[1] * gradient[0]) / determinant,
            ];
            let before = loss(slope, intercept);
            let mut length = 1.0;
            while length > 1e-6 && loss(slope - length * step[0], intercept - length * step[1]) > before {
                length *= 0.5;
            }
            slope -= length * step[0];
            intercept -= length * step[1];
            if step[0].abs() + step[1].abs() < 1e-10 {
                break;
            }
        }
        Ok(Self { slope: slope as f32, intercept: intercept as f32 })
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// A threshold on the calibrated probability, and what it did on the out-of-fold scans of real patients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// Calibrated probability at or above which the point calls a scan positive.
    pub threshold: f32,
    /// Patients with a bleed at or above the threshold.
    pub true_positives: u32,
    /// Patients with a bleed below it.
    pub false_negatives: u32,
    /// Patients without a bleed below it.
    pub true_negatives: u32,
    /// Patients without a bleed at or above it.
    pub false_positives: u32,
}

impl OperatingPoint {
    /// Counts what a threshold does on `(probability, has a bleed)` pairs.
    pub fn at(threshold: f32, scores: &[(f32, bool)]) -> Self {
        let count = |above: bool, bleed: bool| {
            scores.iter().filter(|&&(p, positive)| (p >= threshold) == above && positive == bleed).count() as u32
        };
        Self {
            threshold,
            true_positives: count(true, true),
            false_negatives: count(false, true),
            true_negatives: count(false, false),
            false_positives: count(true, false),
        }
    }

    /// The highest threshold that keeps `sensitivity` on `(probability, has a bleed)` pairs.
    pub fn for_sensitivity(sensitivity: f32, scores: &[(f32, bool)]) -> Self {
        Self::best(scores, |point| point.sensitivity() >= sensitivity, f32::total_cmp)
    }

    /// The lowest threshold that keeps `specificity` on `(probability, has a bleed)` pairs.
    pub fn for_specificity(specificity: f32, scores: &[(f32, bool)]) -> Self {
        Self::best(scores, |point| point.specificity() >= specificity, |a, b| b.total_cmp(a))
    }

    /// Thresholds lie half-way between neighbouring scores, so that none sits on a patient.
    fn best(
        scores: &[(f32, bool)],
        keeps: impl Fn(&Self) -> bool,
        better: impl Fn(&f32, &f32) -> std::cmp::Ordering,
    ) -> Self {
        let mut cuts: Vec<f32> = scores.iter().map(|(p, _)| *p).collect();
        cuts.push(0.0);
        cuts.push(1.0);
        cuts.sort_by(f32::total_cmp);
        cuts.windows(2)
            .map(|pair| f32::midpoint(pair[0], pair[1]))
            .map(|threshold| Self::at(threshold, scores))
            .filter(keeps)
            .max_by(|a, b| better(&a.threshold, &b.threshold))
            .unwrap_or_else(|| Self::at(0.5, scores))
    }

    /// Share of patients with a bleed that are called positive; 0 if there are none.
    pub fn sensitivity(&self) -> f32 {
        ratio(self.true_positives, self.false_negatives)
    }

    /// Share of patients without a bleed that are called negative; 0 if there are none.
    pub fn specificity(&self) -> f32 {
        ratio(self.true_negatives, self.false_positives)
    }
}

fn ratio(part: u32, rest: u32) -> f32 {
    if part + rest == 0 { 0.0 } else { part as f32 / (part + rest) as f32 }
}

/// The probabilities that a calibration may give at most: a curve fitted to a few dozen patients comes as near to 0 and 1 as
/// its formula has it, and no number of patients that small can be that sure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Lowest probability that the evidence carries.
    pub lowest: f32,
    /// Highest probability that the evidence carries.
    pub highest: f32,
}

impl Bounds {
    /// The bounds that `(score, has a bleed)` pairs carry, in which each patient stands `asked` times.
    ///
    /// Of `n` patients at or beyond a score, of whom `k` bleed, the next one bleeds with probability `(k + 1) / (n + 2)` (Laplace's
    /// rule of succession): with `n` patients and no error, `(n + 1) / (n + 2)`. The bounds are the best that any score gives.
    pub fn of(scores: &[(f32, bool)], asked: usize) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let asked = asked.max(1) as f64;
        let tail = |from_below: bool| -> Vec<f64> {
            let mut groups: Vec<&[(f32, bool)]> = sorted.chunk_by(|a, b| a.0 == b.0).collect();
            if !from_below {
                groups.reverse();
            }
            let (mut bleeding, mut all) = (0.0, 0.0);
            let next = |tied: &[(f32, bool)]| {
                bleeding += tied.iter().filter(|(_, positive)| *positive).count() as f64 / asked;
                all += tied.len() as f64 / asked;
                (bleeding + 1.0) / (all + 2.0)
            };
            groups.into_iter().map(next).collect()
        };
        Self {
            lowest: tail(true).into_iter().fold(0.5, f64::min) as f32,
            highest: tail(false).into_iter().fold(0.5, f64::max) as f32,
        }
    }

    /// Brings a probability between the bounds, in proportion: cut off instead, patients of unlike scores would become alike.
    fn apply(self, probability: f32) -> f32 {
        (self.highest - self.lowest).mul_add(probability, self.lowest)
    }
}

/// How raw logits become probabilities and words. Travels in the header of the weights file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Which patient score was calibrated.
    pub patient_score: PatientScore,
    /// Patient score to probability.
    pub patient: Platt,
    /// Slice logit to probability.
    pub slice: Platt,
    /// How sure an answer may be; none in weights files from before it was bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Below it: no bleeding seen. Set for a sensitivity of at least 95 % out of fold.
    pub lower: OperatingPoint,
    /// At or above it: bleeding likely. Set for a specificity of at least 90 % out of fold.
    pub upper: OperatingPoint,
}

impl Calibration {
    /// Fits everything on out-of-fold scores: `patients` and `slices` are `(logit, has a bleed)`. Where several networks were
    /// asked about the same patients, `asked` is their number: patients, not answers, are the evidence.
    ///
    /// The two operating points are for a sensitivity of 95 % and a specificity of 90 %. Where the scores separate
    /// so well that the upper one would lie below the lower one, both take the point half-way: no scan is uncertain.
    ///
    /// # Errors
    /// [`CalibrationError`] if one class is missing or a score is not finite.
    pub fn fit(
        patient_score: PatientScore,
        patients: &[(f32, bool)],
        slices: &[(f32, bool)],
        asked: usize,
    ) -> Result<Self, CalibrationError> {
        let patient = Platt::fit(patients)?;
        let bounds = Bounds::of(patients, asked);
        // A network without slice logits needs no scaling of them.
        let slice = if slices.is_empty() { Platt { slope: 1.0, intercept: 0.0 } } else { Platt::fit(slices)? };
        let scores: Vec<(f32, bool)> =
            patients.iter().map(|&(logit, positive)| (bounds.apply(patient.probability(logit)), positive)).collect();
        let mut lower = OperatingPoint::for_sensitivity(0.95, &scores);
        let mut upper = OperatingPoint::for_specificity(0.90, &scores);
        if upper.threshold < lower.threshold {
            let middle = f32::midpoint(upper.threshold, lower.threshold);
            lower = OperatingPoint::at(middle, &scores);
            upper = lower;
        }
        Ok(Self { patient_score, patient, slice, bounds: Some(bounds), lower, upper })
    }

    /// The calibrated probability of a patient score, never surer than the bounds.
    pub fn probability(&self, score: f32) -> f32 {
        let probability = self.patient.probability(score);
        self.bounds.map_or(probability, |bounds| bounds.apply(probability))
    }

    /// The calibrated probability of a slice logit. It is as often near 0 as slices are clean, but never surer of blood than a
    /// patient's may be: a slice that bleeds is a patient who does.
    pub fn slice_probability(&self, logit: f32) -> f32 {
        let probability = self.slice.probability(logit);
        self.bounds.map_or(probability, |bounds| bounds.highest * probability)
    }

    /// Why this calibration cannot be that of a network with such a head, if it cannot: weights from anywhere carry one.
    pub(crate) fn fault(&self, head: &HeadConfig) -> Option<&'static str> {
        let rises = |platt: Platt| platt.slope.is_finite() && platt.slope > 0.0 && platt.intercept.is_finite();
        let [lower, upper] = [self.lower.threshold, self.upper.threshold];
        if !rises(self.patient) || !rises(self.slice) {
            Some("the calibration does not rise with the evidence")
        } else if self
            .bounds
            .is_some_and(|Bounds { lowest, highest }| !(0.0 <= lowest && lowest < highest && highest <= 1.0))
        {
            Some("the bounds of the calibration are not two probabilities in order")
        } else if !(0.0..=1.0).contains(&lower) || !(lower..=1.0).contains(&upper) {
            Some("the thresholds of the calibration are not two probabilities in order")
        } else if matches!(head, HeadConfig::Dense { .. }) && self.patient_score != PatientScore::PatientLogit {
            Some("the calibration is of slices, and the network has no answer for a slice")
        } else {
            None
        }
    }

    /// The answer in words for a calibrated probability.
    pub fn finding(&self, probability: f32) -> Finding {
        if probability >= self.upper.threshold {
            Finding::BleedingLikely
        } else if probability >= self.lower.threshold {
            Finding::Uncertain
        } else {
            Finding::NoBleedingSeen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Logits whose labels are drawn from `sigmoid(2 x - 1)`, on a regular grid: each logit stands with its share.
    fn known_curve() -> Vec<(f32, bool)> {
        let mut scores = Vec::new();
        for step in -30..=30 {
            let logit = step as f32 / 10.0;
            let share = (sigmoid(f64::from(2.0 * logit - 1.0)) * 200.0).round() as usize;
            scores.extend((0..200).map(|i| (logit, i < share)));
        }
        scores
    }

    #[test]
    fn platt_scaling_finds_the_curve_that_made_the_labels() {
        let platt = Platt::fit(&known_curve()).unwrap();
        assert!((platt.slope - 2.0).abs() < 0.05, "slope {}", platt.slope);
        assert!((platt.intercept + 1.0).abs() < 0.05, "intercept {}", platt.intercept);
    }

    #[test]
    fn separated_classes_still_give_a_finite_slope() {
        let scores: Vec<_> = (0..20).map(|i| (i as f32 - 9.5, i >= 10)).collect();
        let platt = Platt::fit(&scores).unwrap();
        assert!(platt.slope.is_finite() && platt.slope > 0.0);
        assert!(platt.probability(9.5) < 0.999);
    }

    #[test]
    fn one_class_alone_cannot_be_calibrated() {
        let error = Platt::fit(&[(1.0, true), (2.0, true)]).unwrap_err();
        assert_eq!(error, CalibrationError::OneClass { positives: 2, negatives: 0 });
        assert_eq!(Platt::fit(&[(f32::NAN, true)]).unwrap_err(), CalibrationError::NotFinite { index: 0 });
    }

    #[test]
    fn operating_points_keep_what_they_promise() {
        let scores: Vec<_> = (0..100).map(|i| (i as f32 / 100.0, i % 3 == 0 || i > 60)).collect();
        let sensitive = OperatingPoint::for_sensitivity(0.95, &scores);
        let specific = OperatingPoint::for_specificity(0.90, &scores);
        assert!(sensitive.sensitivity() >= 0.95);
        assert!(specific.specificity() >= 0.90);
        let higher = OperatingPoint::at(sensitive.threshold + 0.08, &scores);
        assert!(higher.sensitivity() < 0.95, "a higher threshold would have done as well");
    }

    #[test]
    fn bounds_are_those_of_the_patients_beyond_whom_nothing_went_wrong() {
        // 12 without and 8 with a bleed, in order but for one of each in the middle.
        let mut scores: Vec<_> = (0..20).map(|i| (i as f32, i >= 12)).collect();
        (scores[11].1, scores[12].1) = (true, false);
        let bounds = Bounds::of(&scores, 1);
        assert!((bounds.lowest - 1.0 / 13.0).abs() < 1e-6 && (bounds.highest - 8.0 / 9.0).abs() < 1e-6, "{bounds:?}");
        // Asked of three networks, they are not three times as many patients.
        let thrice: Vec<_> = scores.iter().flat_map(|&score| [score; 3]).collect();
        let again = Bounds::of(&thrice, 3);
        assert!((again.lowest - bounds.lowest).abs() < 1e-6 && (again.highest - bounds.highest).abs() < 1e-6);
        // One patient far out on the wrong side leaves the others their say: 7 of 8.
        scores.push((99.0, false));
        assert!((Bounds::of(&scores, 1).highest - 8.0 / 10.0).abs() < 1e-6);
        assert_eq!(Bounds::of(&[], 1), Bounds { lowest: 0.5, highest: 0.5 });
    }

    #[test]
    fn no_answer_is_surer_than_its_bounds_and_none_changes_its_place() {
        let scores: Vec<_> = (0..58).map(|i| (i as f32 / 2.0 - 14.5, i >= 29)).collect();
        let calibration = Calibration::fit(PatientScore::MaxSlice, &scores, &scores, 1).unwrap();
        let bounds = calibration.bounds.unwrap();
        assert!((bounds.highest - 30.0 / 31.0).abs() < 1e-6 && (bounds.lowest - 1.0 / 31.0).abs() < 1e-6, "{bounds:?}");
        assert!(calibration.probability(1e9) <= bounds.highest && calibration.probability(-1e9) >= bounds.lowest);
        assert!(calibration.slice_probability(1e9) <= bounds.highest);
        for pair in scores.windows(2) {
            assert!(calibration.probability(pair[0].0) < calibration.probability(pair[1].0));
            assert!(calibration.slice_probability(pair[0].0) < calibration.slice_probability(pair[1].0));
        }
        assert_eq!(calibration.finding(calibration.probability(1e9)), Finding::BleedingLikely);
        assert_eq!(calibration.finding(calibration.probability(-1e9)), Finding::NoBleedingSeen);

        // A weights file from before has no bounds, and answers as it did.
        let mut old = serde_json::to_value(&calibration).unwrap();
        old.as_object_mut().unwrap().remove("bounds");
        let old: Calibration = serde_json::from_value(old).unwrap();
        assert_eq!(old.probability(3.0), calibration.patient.probability(3.0));
        assert_eq!(old.slice_probability(3.0), calibration.slice.probability(3.0));
    }

    #[test]
    fn bounds_in_the_wrong_order_are_a_fault() {
        let scores: Vec<_> = (0..20).map(|i| (i as f32 - 9.5, i >= 10)).collect();
        let mut calibration = Calibration::fit(PatientScore::PatientLogit, &scores, &[], 1).unwrap();
        let head = HeadConfig::Dense { hidden: 4, dropout: 0.0 };
        assert_eq!(calibration.fault(&head), None);
        for wrong in [[0.9, 0.1], [-0.1, 0.9], [0.1, 1.1], [f32::NAN, 0.9]] {
            calibration.bounds = Some(Bounds { lowest: wrong[0], highest: wrong[1] });
            assert!(calibration.fault(&head).is_some_and(|what| what.contains("bounds")));
        }
    }

    #[test]
    fn words_follow_the_thresholds() {
        let scores: Vec<_> = (0..60).map(|i| (i as f32 / 10.0 - 3.0, i % 4 == 0 || i > 40)).collect();
        let calibration = Calibration::fit(PatientScore::MaxSlice, &scores, &scores, 1).unwrap();
        assert_eq!(calibration.finding(0.0), Finding::NoBleedingSeen);
        assert_eq!(calibration.finding(1.0), Finding::BleedingLikely);
        let between = f32::midpoint(calibration.lower.threshold, calibration.upper.threshold);
        assert_eq!(calibration.finding(between), Finding::Uncertain);
    }

    #[test]
    fn what_rises_in_every_slice_counts_for_less_than_what_rises_in_one() {
        let scored = |score: PatientScore, slices: &[f32], slice_mm| {
            let slices = slices.to_vec();
            score.of(&Logits { patient: 0.0, slices, evidence: Vec::new(), evidence_shape: [0; 3] }, slice_mm)
        };
        let score_at = |slices: &[f32], slice_mm| scored(PatientScore::AboveBackground, slices, slice_mm);
        let score = |slices: &[f32]| score_at(slices, None);
        let half = |slices: &[f32]| scored(PatientScore::AboveHalfBackground, slices, None);
        let plain = [-2.0; 11];
        let raised = plain.map(|logit| logit + 1.0);
        let mut one = plain;
        one[5] = 3.0;
        assert!((score(&plain) - (-2.0 + 1.5 * 11_f32.ln() + 0.6)).abs() < 1e-4);
        assert!((score(&raised) - score(&plain) - 0.7).abs() < 1e-4);
        assert!((half(&raised) - half(&plain) - 0.5).abs() < 1e-4 && (score(&plain) - half(&plain) + 0.4).abs() < 1e-4);
        assert!(score(&one) > score(&plain) + 1.2);
        assert_eq!(score(&[]), f32::NEG_INFINITY);

        // The same head in twice as many slices, half as thick.
        let twice: Vec<f32> = one.iter().flat_map(|&logit| [logit; 2]).collect();
        assert!((score_at(&twice, Some(2.5)) - score_at(&one, Some(5.0))).abs() < 1e-4);
        assert!((score(&[-2.0; 64]) - score(&[-2.0; 32])).abs() < 1e-4);
    }

    #[test]
    fn the_patient_score_is_the_one_that_was_asked_for() {
        let logits = Logits {
            patient: 0.25,
            slices: vec![-1.0, 4.0, -1.0, 2.0, 2.0, 2.0],
            evidence: Vec::new(),
            evidence_shape: [0; 3],
        };
        assert!((PatientScore::MaxSlice.of(&logits, None) - 4.0).abs() < 1e-6);
        assert!((PatientScore::MaxOfThree.of(&logits, None) - 2.0).abs() < 1e-6);
        assert!((PatientScore::PatientLogit.of(&logits, None) - 0.25).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn probabilities_follow_the_order_of_the_logits(scores in prop::collection::vec((-8.0f32..8.0, any::<bool>()), 4..60), a in -8.0f32..8.0, b in -8.0f32..8.0) {
            if let Ok(platt) = Platt::fit(&scores) {
                let (low, high) = if a < b { (a, b) } else { (b, a) };
                let (p, q) = (platt.probability(low), platt.probability(high));
                let ordered = if platt.slope >= 0.0 { p <= q } else { p >= q };
                prop_assert!(ordered, "{} and {}", p, q);
                prop_assert!((0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&q));
            }
        }
    }
}
