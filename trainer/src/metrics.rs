//! Figures of merit on scores with true labels.

use ictus::network::SplitMix64;

/// Area under the ROC curve by ranks (Mann and Whitney), ties counted half; `None` without both classes.
pub(crate) fn auc(scores: &[(f32, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f32, bool)> = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|(_, positive)| *positive).count();
    let negatives = sorted.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut below, mut area) = (0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let here = tied.iter().filter(|(_, positive)| *positive).count();
        let others = tied.len() - here;
        area += here as f64 * (below as f64 + others as f64 / 2.0);
        below += others;
    }
    Some(area / (positives as f64 * negatives as f64))
}

/// The interval that holds the middle 95 % of a statistic over bootstrap samples of the groups (patients).
pub(crate) fn bootstrap<T>(groups: &[T], samples: usize, statistic: impl Fn(&[&T]) -> Option<f64>) -> Option<[f64; 2]> {
    let mut random = SplitMix64::new(20_231_123);
    let mut values: Vec<f64> = (0..samples)
        .filter_map(|_| {
            let drawn: Vec<&T> = (0..groups.len()).filter_map(|_| groups.get(random.below(groups.len()))).collect();
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get(((values.len() as f64 - 1.0) * share).round() as usize).copied();
    Some([at(0.025)?, at(0.975)?])
}

/// Points `(1 - specificity, sensitivity)` of the ROC curve, from (0, 0) to (1, 1).
pub(crate) fn roc(scores: &[(f32, bool)]) -> Vec<(f64, f64)> {
    let mut points = vec![(0.0, 0.0)];
    points.extend(counts(scores).map(|(t, f, all_t, all_f)| (f / all_f, t / all_t)));
    points
}

/// Points `(recall, precision)`, from the highest threshold to the lowest.
pub(crate) fn precision_recall(scores: &[(f32, bool)]) -> Vec<(f64, f64)> {
    counts(scores).map(|(t, f, all_t, _)| (t / all_t, t / (t + f))).collect()
}

/// True and false positives at each threshold, then all positives and negatives.
fn counts(scores: &[(f32, bool)]) -> impl Iterator<Item = (f64, f64, f64, f64)> {
    let mut sorted: Vec<(f32, bool)> = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = sorted.iter().filter(|(_, positive)| *positive).count();
    let (all_t, all_f) = (all.max(1) as f64, (sorted.len() - all).max(1) as f64);
    let (mut t, mut f) = (0.0, 0.0);
    let points: Vec<_> = sorted
        .chunk_by(|a, b| a.0 == b.0)
        .map(|tied| {
            let here = tied.iter().filter(|(_, positive)| *positive).count();
            t += here as f64;
            f += (tied.len() - here) as f64;
            (t, f, all_t, all_f)
        })
        .collect();
    points.into_iter()
}

/// Area under the steps of precision over recall (average precision); `None` without a positive.
pub(crate) fn average_precision(scores: &[(f32, bool)]) -> Option<f64> {
    scores.iter().any(|(_, positive)| *positive).then(|| {
        let steps = precision_recall(scores).into_iter().scan(0.0, |before, (recall, precision)| {
            let step = (recall - *before) * precision;
            *before = recall;
            Some(step)
        });
        steps.sum()
    })
}

/// Mean squared error of probabilities (Brier 1950).
pub(crate) fn brier(probabilities: &[(f32, bool)]) -> f64 {
    let sum: f64 =
        probabilities.iter().map(|&(p, positive)| (f64::from(p) - f64::from(u8::from(positive))).powi(2)).sum();
    sum / probabilities.len().max(1) as f64
}

/// Mean probability, observed share and number of each of `bins` groups of equal size, lowest first.
pub(crate) fn reliability(probabilities: &[(f32, bool)], bins: usize) -> Vec<(f64, f64, usize)> {
    let mut sorted: Vec<(f32, bool)> = probabilities.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    (0..bins)
        .filter_map(|bin| sorted.get(bin * sorted.len() / bins..(bin + 1) * sorted.len() / bins))
        .filter(|group| !group.is_empty())
        .map(|group| {
            let mean = group.iter().map(|(p, _)| f64::from(*p)).sum::<f64>() / group.len() as f64;
            let share = group.iter().filter(|(_, positive)| *positive).count() as f64 / group.len() as f64;
            (mean, share, group.len())
        })
        .collect()
}

/// Expected calibration error over groups of equal size.
pub(crate) fn calibration_error(probabilities: &[(f32, bool)], bins: usize) -> f64 {
    let weighted = reliability(probabilities, bins).into_iter();
    weighted.map(|(mean, share, count)| (mean - share).abs() * count as f64).sum::<f64>()
        / probabilities.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_is_the_share_of_pairs_in_the_right_order() {
        let scores = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert!((auc(&scores).unwrap() - 0.75).abs() < 1e-12);
        assert!((auc(&[(1.0, true), (1.0, false)]).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(auc(&[(1.0, true)]), None);
    }

    #[test]
    fn the_roc_curve_has_the_area_of_the_ranks() {
        let mut random = SplitMix64::new(3);
        let scores: Vec<(f32, bool)> =
            (0..200).map(|i| (random.uniform(0.0, 1.0) + f32::from(u8::from(i % 3 == 0)) * 0.3, i % 3 == 0)).collect();
        let area: f64 = roc(&scores).windows(2).map(|p| (p[1].0 - p[0].0) * f64::midpoint(p[0].1, p[1].1)).sum();
        assert!((area - auc(&scores).unwrap()).abs() < 1e-9);
    }

    #[test]
    fn a_bootstrap_interval_holds_the_mean_of_its_sample() {
        let groups: Vec<f64> = (0..100).map(f64::from).collect();
        let mean = |drawn: &[&f64]| Some(drawn.iter().copied().sum::<f64>() / drawn.len() as f64);
        let [low, high] = bootstrap(&groups, 500, mean).unwrap();
        assert!(low < 49.5 && 49.5 < high && high - low < 15.0, "{low} {high}");
    }

    #[test]
    fn probabilities_that_are_right_on_average_have_no_calibration_error() {
        let sure: Vec<(f32, bool)> = (0..100).map(|i| (if i < 50 { 0.0 } else { 1.0 }, i >= 50)).collect();
        assert!(calibration_error(&sure, 5) < 1e-9 && brier(&sure) < 1e-9);
        let wrong: Vec<(f32, bool)> = sure.iter().map(|&(p, positive)| (1.0 - p, positive)).collect();
        assert!((calibration_error(&wrong, 2) - 1.0).abs() < 1e-9);
    }
}
