//! The last step: what scanners, windows and protocols make different is made alike.

use super::{NetworkInput, PreprocessConfig};

/// Bounds of the gain: beyond them it is no matter of window or kernel.
const GAINS: std::ops::RangeInclusive<f32> = 0.5..=2.0;
/// Pixels around one that have to be brain for it to count, so that neither bone nor the sulci of the surface do.
const MARGIN: usize = 2;

/// Scales the values so that the contrast of the brain is within the bounds of the configuration. The contrast is the interquartile
/// range of means over 3 x 3 pixels, away from the edge of the brain, on the larger slices: mostly the difference between grey and white
/// matter. In the 58 scans of ct-ich it is 7.4 HU and varies by a tenth only; a window of half the width doubles it.
pub fn limit_contrast(input: &mut NetworkInput, config: &PreprocessConfig) {
    let Some([low, high]) = config.contrast_hu else { return };
    let Some(found) = spread(input, config.core_fraction).filter(|spread| *spread > 0.0) else { return };
    let gain = (found.max(low).min(high) / found).max(*GAINS.start()).min(*GAINS.end());
    for value in &mut input.hounsfield {
        *value *= gain;
    }
    input.contrast_gain *= gain;
}

fn spread(input: &NetworkInput, core_fraction: f32) -> Option<f32> {
    let [_, rows, columns] = input.shape;
    let planes = || input.mask.chunks_exact((rows * columns).max(1));
    let area = |mask: &[bool]| mask.iter().filter(|inside| **inside).count() as f32;
    let largest = planes().map(area).fold(0.0, f32::max);
    let mut means = Vec::new();
    for (values, mask) in input.hounsfield.chunks_exact((rows * columns).max(1)).zip(planes()) {
        if area(mask) <= core_fraction * largest {
            continue;
        }
        for row in MARGIN..rows.saturating_sub(MARGIN) {
            for column in MARGIN..columns.saturating_sub(MARGIN) {
                let around = |picture_row: usize, margin: usize| {
                    let start = picture_row * columns + column - margin;
                    start..start + 2 * margin + 1
                };
                let inside = (row - MARGIN..=row + MARGIN).all(|y| !mask[around(y, MARGIN)].contains(&false));
                if inside {
                    let sum: f32 = (row - 1..=row + 1).flat_map(|y| &values[around(y, 1)]).sum();
                    means.push(sum / 9.0);
                }
            }
        }
    }
    let mut quartile = |share: usize| {
        let at = means.len() * share / 4;
        (at < means.len()).then(|| *means.select_nth_unstable_by(at, f32::total_cmp).1)
    };
    Some(quartile(3)? - quartile(1)?)
}

/// How many slices of the input show one of a series whose slices lie so far apart (millimetres, if known).
pub(super) fn times(distance: Option<f32>, config: &PreprocessConfig) -> usize {
    let (Some(thick), Some(distance)) = (config.thick_slice_mm, distance) else { return 1 };
    // Nothing beyond four slices for one: between slices of more than 20 mm there is nothing to be known.
    if distance > thick { ((distance / config.slab_mm).round() as usize).clamp(1, 4) } else { 1 }
}

/// Where in a series of thick slices the network looks, in slices from the first: at `times` as many places, at equal distances.
pub(super) fn places(slices: usize, times: usize) -> Vec<f32> {
    let part = |part| (part as f32 + 0.5) / times as f32 - 0.5;
    (0..slices).flat_map(|z| (0..times).map(move |n| z as f32 + part(n))).collect()
}

/// The same in a series that lost slices, or whose slices lie unevenly: at every slice, and between those that are too far apart.
pub(super) fn places_between(gaps: &[f32], config: &PreprocessConfig) -> Vec<f32> {
    let mut places = vec![0.0];
    for (z, gap) in gaps.iter().enumerate() {
        let steps = times(Some(*gap), config);
        places.extend((1..=steps).map(|step| z as f32 + step as f32 / steps as f32));
    }
    places
}

/// Interpolates between the slices of the input, whose slices are at `places` afterwards and `slab_mm` apart.
pub(super) fn look_at(input: &mut NetworkInput, places: &[f32], slab_mm: Option<f32>) {
    let [slices, rows, columns] = input.shape;
    let area = rows * columns;
    let last = slices.saturating_sub(1);
    let nearest: Vec<usize> = places.iter().map(|place| (place.round() as usize).min(last)).collect();
    let (values, mask) = (&input.hounsfield, &input.mask);
    let mut hounsfield = Vec::with_capacity(places.len() * area);
    for (&place, &z) in places.iter().zip(&nearest) {
        let offset = place - z as f32;
        let next = if offset < 0.0 { z.checked_sub(1) } else { Some(z + 1).filter(|next| *next < slices) };
        let own = z * area..(z + 1) * area;
        match next {
            Some(next) if offset != 0.0 => hounsfield.extend(own.zip(next * area..).map(|(here, there)| {
                // Outside the brain of the neighbour nothing is known but what is here.
                let toward = if mask[here] && mask[there] { values[there] - values[here] } else { 0.0 };
                offset.abs().mul_add(toward, values[here])
            })),
            _ => hounsfield.extend_from_slice(&values[own]),
        }
    }
    input.mask = nearest.iter().flat_map(|z| &mask[z * area..(z + 1) * area]).copied().collect();
    input.slabs = nearest.iter().filter_map(|z| input.slabs.get(*z)).cloned().collect();
    input.hounsfield = hounsfield;
    input.shape = [places.len(), rows, columns];
    input.slab_mm = slab_mm;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::Alignment;

    /// Slices of 20 x 20 with 14 x 14 of brain; the value follows from slice and column.
    fn input(slices: usize, slab_mm: Option<f32>, value: impl Fn(usize, usize) -> f32) -> NetworkInput {
        let brain = |index: usize| (3..17).contains(&(index / 20 % 20)) && (3..17).contains(&(index % 20));
        let count = slices * 400;
        NetworkInput {
            hounsfield: (0..count).map(|i| if brain(i) { value(i / 400, i % 20) } else { 0.0 }).collect(),
            mask: (0..count).map(brain).collect(),
            shape: [slices, 20, 20],
            slices: 2..2 + slices,
            slabs: (2..2 + slices).map(|z| z..z + 1).collect(),
            slab_mm,
            alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
            brain_median_hu: 35.0,
            contrast_gain: 1.0,
        }
    }

    #[test]
    fn a_contrast_out_of_bounds_is_brought_to_the_nearer_one() {
        let config = PreprocessConfig { contrast_hu: Some([6.0, 9.0]), ..PreprocessConfig::default() };
        for (slope, expected) in [(1.0, 6.0), (1.5, 7.5), (2.0, 9.0)] {
            let mut input = input(3, None, |_, column| slope * (column as f32 - 9.5));
            limit_contrast(&mut input, &config);
            let spread = spread(&input, config.core_fraction).unwrap();
            assert!((spread - expected).abs() < 1e-3, "{spread} at a slope of {slope}");
        }
    }

    #[test]
    fn a_brain_without_any_contrast_is_left_alone() {
        let mut flat = input(3, None, |_, _| 2.0);
        let before = flat.clone();
        limit_contrast(&mut flat, &PreprocessConfig::default());
        assert_eq!(flat, before);
    }

    #[test]
    fn slices_of_ten_millimetres_become_twice_as_many() {
        let mut thick = input(3, Some(10.0), |z, _| [0.0, 8.0, 4.0][z]);
        look_at(&mut thick, &places(3, times(Some(10.0), &PreprocessConfig::default())), Some(5.0));
        let middle: Vec<f32> = thick.hounsfield.chunks(400).map(|slice| slice[10 * 20 + 10]).collect();
        assert_eq!(middle, [0.0, 2.0, 6.0, 7.0, 5.0, 4.0]);
        assert_eq!(thick.shape, [6, 20, 20]);
        assert_eq!(thick.slices_of(3).collect::<Vec<_>>(), [2, 3]);
        assert!(thick.hounsfield.iter().zip(&thick.mask).all(|(value, inside)| *inside || *value == 0.0));
    }

    #[test]
    fn slices_of_usual_or_unknown_thickness_stay_as_they_are() {
        let config = PreprocessConfig::default();
        assert_eq!(
            [None, Some(5.0), Some(7.0), Some(7.5), Some(12.0), Some(90.0)].map(|mm| times(mm, &config)),
            [1, 1, 1, 2, 2, 4]
        );
        let old = PreprocessConfig { thick_slice_mm: None, ..config };
        assert_eq!(times(Some(10.0), &old), 1);
        let mut usual = input(3, Some(5.0), |z, _| z as f32);
        let before = usual.clone();
        look_at(&mut usual, &places(3, 1), Some(5.0));
        assert_eq!(usual, before);
    }

    #[test]
    fn where_slices_are_missing_the_network_looks_between_those_that_are_there() {
        let gaps = [5.0, 15.0, 5.0];
        let places = places_between(&gaps, &PreprocessConfig::default());
        assert!(places.iter().zip([0.0, 1.0, 1.333, 1.667, 2.0, 3.0]).all(|(place, at)| (place - at).abs() < 1e-3));
        let mut holed = input(4, Some(5.0), |z, _| [0.0, 3.0, 9.0, 4.0][z]);
        look_at(&mut holed, &places, Some(5.0));
        let middle: Vec<f32> = holed.hounsfield.chunks(400).map(|slice| slice[10 * 20 + 10]).collect();
        assert!(middle.iter().zip([0.0, 3.0, 5.0, 7.0, 9.0, 4.0]).all(|(found, at)| (found - at).abs() < 1e-4));
        assert_eq!(holed.slices_of(3).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(holed.mask.len(), 6 * 400);
    }
}
