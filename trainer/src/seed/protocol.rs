//! What the published protocol is, and what it hides.

use super::SeedError;
use crate::data::partition;
use crate::metrics::auc;
use ictus::network::SplitMix64;
use std::fmt::Write as _;
use std::path::Path;

/// Patients of the published validation split: with a bleed, and without.
pub(super) const VALIDATION: [usize; 2] = [9, 15];
/// Epochs of a published training.
pub(super) const EPOCHS: usize = 150;

/// An arm as it was published: name, best AUC and its epoch, accuracy there, best accuracy, mean AUC of the last ten epochs.
pub(super) const PUBLISHED: [(&str, f64, usize, f64, f64, f64); 4] = [
    ("none", 0.730, 52, 0.625, 0.708, 0.605),
    ("basic", 0.733, 129, 0.500, 0.708, 0.563),
    ("intermediate", 0.852, 128, 0.583, 0.792, 0.771),
    ("advanced", 0.807, 66, 0.625, 0.750, 0.666),
];

/// How many of the patients of a folder are trained on: the first 70 % in the order of the directory, rounded.
pub(super) fn trained_on(patients: usize) -> usize {
    (0.7 * patients as f64).round() as usize
}

/// The published split of ct-ich by folder.
pub(super) fn split(data: &Path) -> Result<String, SeedError> {
    let patients = partition(data)?;
    let mut text = "folder   patients  70 %  trained on  held out\n".to_owned();
    for folder in ["Normal", "Stroke"] {
        let filed = patients.iter().filter(|stack| stack.folder == folder);
        let (all, held_out) = filed.fold((0, 0), |(all, out), stack| (all + 1, out + usize::from(stack.held_out)));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{folder:<8} {all:>8}  {:>4}  {:>10}  {held_out:>8}", trained_on(all), all - held_out);
    }
    text.push_str(
        "The order of the directory is not known any more: the split was recovered from the published log (patients.csv).\n\
         The slices of the patients who are held out are not here; train leaves out folds of the others instead.\n",
    );
    Ok(text)
}

/// Mean over many trials of the best AUC of so many epochs whose scores are noise.
pub(super) fn best_of_noise(epochs: usize, [positives, negatives]: [usize; 2], trials: usize) -> f64 {
    let mut random = SplitMix64::new(1);
    let mut best = || {
        let mut epoch = || {
            let scores: Vec<(f32, bool)> =
                (0..positives + negatives).map(|index| (random.uniform(0.0, 1.0), index < positives)).collect();
            auc(&scores).unwrap_or(0.5)
        };
        (0..epochs).map(|_| epoch()).fold(0.0, f64::max)
    };
    (0..trials).map(|_| best()).sum::<f64>() / trials.max(1) as f64
}

/// The 95 % interval of an AUC of which only the number of patients is known (Hanley and `McNeil`, Radiology 1982).
pub(super) fn interval(auc: f64, [positives, negatives]: [usize; 2]) -> [f64; 2] {
    let (p, n) = (positives as f64, negatives as f64);
    let (both, other) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let square = auc * auc;
    let variance = (auc * (1.0 - auc) + (p - 1.0) * (both - square) + (n - 1.0) * (other - square)) / (p * n);
    let reach = 1.96 * variance.max(0.0).sqrt();
    [(auc - reach).max(0.0), (auc + reach).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_split_is_70_percent_of_each_folder() {
        // 51 patients are filed under Normal, 31 under Stroke.
        assert_eq!([51, 31].map(trained_on), [36, 22]);
        assert_eq!([51 - trained_on(51), 31 - trained_on(31)], [VALIDATION[1], VALIDATION[0]]);
        let Some(data) = std::env::var_os("ICTUS_DATA") else {
            eprintln!("skipped, because ICTUS_DATA is not set: the split of the real table");
            return;
        };
        let text = split(Path::new(&data)).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["Normal", "51", "36", "36", "15"]);
        assert_eq!(rows[2], ["Stroke", "31", "22", "22", "9"]);
    }

    #[test]
    fn an_interval_is_that_of_the_formula() {
        // Worked by hand: Q1 = .7422, Q2 = .7840, standard error .0889.
        let [low, high] = interval(0.852, VALIDATION);
        assert!((low - 0.678).abs() < 2e-3 && high == 1.0, "{low} {high}");
        let [low, high] = interval(0.5, [1000, 1000]);
        assert!((low - 0.4747).abs() < 1e-3 && (high - 0.5253).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn the_best_of_many_epochs_of_noise_is_far_from_a_half() {
        let one = best_of_noise(1, VALIDATION, 400);
        let many = best_of_noise(EPOCHS, VALIDATION, 40);
        assert!((one - 0.5).abs() < 0.03 && (0.75..0.87).contains(&many), "{one} {many}");
    }
}
