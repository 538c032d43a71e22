//! Scans to samples to batches. A batch follows from recipe, seed and step alone, so that a resumed run sees the same.

use super::augment::Sample;
use super::paint::Canvas;
use super::recipe::Recipe;
use crate::data::{Case, Source, UNSURE};
use ictus::network::{SplitMix64, resample};

/// Change of the picture, in visible pixels at 96 rows, from which a slice counts as bleeding, and up to which as clean.
const LABEL_PIXELS: [f32; 2] = [10.0, 2.0];

/// A batch as plain numbers. Targets and weights of the losses hold everything that decides them: a loss is
/// `sum(cross_entropy(logit, target) * weight)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// Network input `[scan, 1, slice, y, x]`.
    pub(crate) input: Vec<f32>,
    /// Scans, slices, rows, columns.
    pub(crate) shape: [usize; 4],
    /// 1 for slices that are there `[scan, slice]`.
    pub(crate) valid: Vec<f32>,
    /// Factor of each channel before the head `[scan, channel]`.
    pub(crate) keep: Vec<f32>,
    /// Targets and weights `[scan, slice]`.
    pub(crate) slice: Goal,
    /// Targets and weights `[scan]`.
    pub(crate) patient: Goal,
    /// Targets and weights `[scan, slice, y, x]` of the evidence map; empty without a pixel loss.
    pub(crate) pixel: Goal,
    /// Rows and columns of the evidence map.
    pub(crate) map: [usize; 2],
}

/// Targets of a loss and the weight of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Goal {
    /// 0 to 1.
    pub(crate) targets: Vec<f32>,
    /// Summing to the weight of the loss.
    pub(crate) weights: Vec<f32>,
}

impl Goal {
    fn push(&mut self, target: f32, weight: f32) {
        self.targets.push(target);
        self.weights.push(weight);
    }

    fn scale_to(&mut self, divisor: f32, weight: f32) {
        let factor = if divisor > 0.0 { weight / divisor } else { 0.0 };
        self.weights.iter_mut().for_each(|w| *w *= factor);
    }
}

/// The scans of each batch of an epoch: those of ct-ich, and some drawn of phe-sich, in random order.
pub(crate) fn epoch_order(cases: &[&Case], recipe: &Recipe, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let mut random = SplitMix64::new(mix(seed, epoch as u64, 0));
    let of = |source| (0..cases.len()).filter(move |&i| cases[i].record.source == source);
    let mut drawn: Vec<usize> = of(Source::PheSich).collect();
    random.shuffle(&mut drawn);
    drawn.truncate(recipe.phe_sich_per_epoch);
    let mut order: Vec<usize> = of(Source::CtIch).chain(drawn).collect();
    random.shuffle(&mut order);
    let mut batches: Vec<Vec<usize>> = order.chunks(recipe.batch).map(<[usize]>::to_vec).collect();
    // Batch normalisation needs more than one scan.
    if batches.len() > 1 && batches.last().is_some_and(|last| last.len() < 2) {
        batches.pop();
    }
    batches
}

/// The number of batches an epoch.
pub(crate) fn batches_per_epoch(cases: &[&Case], recipe: &Recipe) -> usize {
    epoch_order(cases, recipe, 0, 0).len()
}

/// Makes a batch of the given scans.
pub(crate) fn make(cases: &[&Case], chosen: &[usize], recipe: &Recipe, seed: u64, step: usize) -> Batch {
    let [slices, rows, columns] = recipe.input_shape(recipe.crop);
    let map = recipe.network.feature_shape([slices, rows, columns]).map_or([0; 2], |[_, y, x]| [y, x]);
    let mut batch = Batch {
        input: Vec::with_capacity(chosen.len() * slices * rows * columns),
        shape: [chosen.len(), slices, rows, columns],
        valid: Vec::new(),
        keep: Vec::new(),
        slice: Goal::default(),
        patient: Goal::default(),
        pixel: Goal::default(),
        map,
    };
    let (channels, dropout) = match recipe.network.head {
        ictus::network::HeadConfig::Evidence { dropout, .. } => {
            (recipe.network.blocks.last().map_or(0, |block| block.channels), dropout)
        }
        ictus::network::HeadConfig::Dense { hidden, dropout } => (hidden, dropout),
    };
    let mut cells = 0.0;
    for (place, case) in chosen.iter().filter_map(|&index| cases.get(index)).enumerate() {
        let mut random = SplitMix64::new(mix(seed, step as u64, place as u64 + 1));
        let mut sample = crop(case, recipe, &mut random);
        if case.record.source == Source::CtIch {
            paint(&mut sample, case, recipe, &mut random);
        }
        let mut sample = sample.sample;
        if recipe.whole_slices.is_none() {
            sample.augment(&recipe.augment, &mut random);
        }
        let real = sample.shape[0];
        if let Some(shape) = recipe.resample {
            sample.hounsfield = resample(&sample.hounsfield, sample.shape, shape);
            for transform in &recipe.transforms {
                transform.draw(&mut random, shape[1], shape[2]).apply(&mut sample.hounsfield, shape[1], shape[2]);
            }
        }
        cells += batch.add(&sample, case, recipe);
        let filled = if recipe.resample.is_some() { slices } else { real };
        batch.valid.extend((0..slices).map(|z| f32::from(u8::from(z < filled))));
        batch.keep.extend((0..channels).map(|_| if random.chance(dropout) { 0.0 } else { 1.0 / (1.0 - dropout) }));
    }
    let smoothing = recipe.loss.smoothing;
    for goal in [&mut batch.slice, &mut batch.patient] {
        goal.targets.iter_mut().for_each(|t| *t = *t * (1.0 - 2.0 * smoothing) + smoothing);
    }
    let slice_weights = batch.slice.weights.iter().sum();
    batch.slice.scale_to(slice_weights, recipe.loss.slice);
    batch.patient.scale_to(chosen.len() as f32, recipe.loss.patient);
    // Ten: the cells of a lesion are few among many.
    batch.pixel.scale_to(cells, 10.0);
    batch
}

impl Batch {
    /// Adds a sample; returns the sum of its cells' weights before the loss's own.
    fn add(&mut self, sample: &Sample, case: &Case, recipe: &Recipe) -> f32 {
        let source = case.record.source;
        let [_, slices, rows, columns] = self.shape;
        let area = rows * columns;
        self.input.extend(sample.hounsfield.iter().map(|&hounsfield| recipe.scaling.apply(hounsfield)));
        self.input.resize(self.input.len().next_multiple_of(slices * area), 0.0);
        for z in 0..slices {
            let label = sample.labels.get(z).copied().unwrap_or(-1.0);
            let weight = if label > 0.5 { recipe.loss.positive_slice } else { f32::from(u8::from(label >= 0.0)) };
            self.slice.push(label.clamp(0.0, 1.0), weight);
        }
        let positive = case.target.unwrap_or_else(|| sample.labels.iter().any(|&label| label > 0.5));
        // No patient of phe-sich is without a bleed: without cut ones, a patient loss would teach which hospital it is.
        let unsure = !positive && sample.labels.iter().any(|&label| label < 0.0);
        let weight = match source {
            // A painted lesion that can hardly be seen is neither a bleed nor none.
            _ if unsure => 0.0,
            Source::CtIch => 1.0,
            Source::PheSich => recipe.loss.phe_sich_patient,
        };
        self.patient.push(f32::from(u8::from(positive)), weight);
        let loss = match source {
            Source::CtIch => recipe.loss.pixel,
            Source::PheSich => recipe.loss.phe_sich_pixel,
        };
        if recipe.loss.pixel <= 0.0 && recipe.loss.phe_sich_pixel <= 0.0 {
            return 0.0;
        }
        let [map_rows, map_columns] = self.map;
        let mut cells = 0.0;
        for z in 0..slices {
            let outlined = sample.outlined.get(z).copied().unwrap_or(false);
            let lesion = sample.lesion.get(z * area..(z + 1) * area).unwrap_or_default();
            for cell in 0..map_rows * map_columns {
                let (y, x) = (cell / map_columns, cell % map_columns);
                let (ys, xs) = (span(y, map_rows, rows), span(x, map_columns, columns));
                let largest = ys
                    .flat_map(|y| xs.clone().map(move |x| y * columns + x))
                    .filter_map(|index| lesion.get(index))
                    .fold(0.0_f32, |largest, &value| largest.max(value));
                // Warping blurs the marks: half-way values belong to the nearer one.
                let (target, sure) = match source {
                    Source::CtIch => (largest > 0.5, true),
                    Source::PheSich => (largest > f32::midpoint(1.0, UNSURE), largest < UNSURE / 2.0),
                };
                let weight = if !outlined {
                    0.0
                } else if target {
                    1.0 + recipe.loss.positive_cell
                } else {
                    f32::from(u8::from(sure))
                };
                cells += weight;
                self.pixel.push(f32::from(u8::from(target)), weight * loss);
            }
        }
        cells
    }
}

/// Pixels under cell `index` of `cells`.
fn span(index: usize, cells: usize, pixels: usize) -> std::ops::Range<usize> {
    index * pixels / cells..((index + 1) * pixels).div_ceil(cells)
}

/// A crop with the depth of its pixels in the brain.
struct Crop {
    sample: Sample,
    depth: Vec<f32>,
}

fn crop(case: &Case, recipe: &Recipe, random: &mut SplitMix64) -> Crop {
    let depth = case.record.shape[0];
    let labels = case.record.kept_labels();
    if case.record.source == Source::PheSich && random.chance(recipe.phe_sich_cut) {
        // The slice beside a bleed often shows some of it.
        let bleeds = |z: usize| labels.get(z) == Some(&true);
        let clean: Vec<usize> = (0..depth).filter(|&z| !(z.saturating_sub(1)..=z + 1).any(bleeds)).collect();
        if clean.len() >= 4 {
            let length = if recipe.resample.is_some() { clean.len() } else { recipe.crop.min(clean.len()) };
            let first = random.below(clean.len() - length + 1);
            return take(case, &clean[first..first + length]);
        }
    }
    let length = if recipe.resample.is_some() { depth } else { recipe.crop.min(depth) };
    let mut first = random.below(depth - length + 1);
    let bleeding: Vec<usize> = (0..depth).filter(|&z| labels.get(z) == Some(&true)).collect();
    // phe-sich has no clean patient: more of its crops have to be without a bleed.
    let aim = if case.record.source == Source::CtIch { 0.8 } else { 0.6 };
    if depth > length && !bleeding.is_empty() && random.chance(aim) {
        let centre = bleeding[random.below(bleeding.len())];
        let before = 2 + random.below(length.saturating_sub(4).max(1));
        first = centre.saturating_sub(before).min(depth - length);
    }
    take(case, &(first..first + length).collect::<Vec<_>>())
}

/// The given slices of a scan.
fn take(case: &Case, chosen: &[usize]) -> Crop {
    let [_, rows, columns] = case.record.shape;
    let area = rows * columns;
    let gather = |values: &[f32]| {
        let mut out = Vec::with_capacity(chosen.len() * area);
        for &z in chosen {
            out.extend_from_slice(values.get(z * area..(z + 1) * area).unwrap_or_default());
            out.resize(out.len().next_multiple_of(area), 0.0);
        }
        out.resize(chosen.len() * area, 0.0);
        out
    };
    let of_case = case.record.kept_labels();
    let labels: Vec<f32> =
        chosen.iter().map(|&z| f32::from(u8::from(of_case.get(z).copied().unwrap_or(false)))).collect();
    // Where a bleed lies is known on phe-sich, and on slices that have none.
    let outlined = labels.iter().map(|&label| case.record.source == Source::PheSich || label == 0.0).collect();
    Crop {
        depth: gather(&case.depth),
        sample: Sample {
            hounsfield: gather(&case.hounsfield),
            mask: gather(&case.mask),
            lesion: gather(&case.region),
            labels,
            outlined,
            shape: [chosen.len(), rows, columns],
        },
    }
}

fn paint(crop: &mut Crop, case: &Case, recipe: &Recipe, random: &mut SplitMix64) {
    let Crop { sample, depth } = crop;
    if sample.labels.iter().any(|&label| label > 0.0) || !random.chance(recipe.paint.probability) {
        return;
    }
    let times = 1 + usize::from(random.chance(recipe.paint.second));
    for _ in 0..times {
        let mut canvas = Canvas { hounsfield: &mut sample.hounsfield, mask: &sample.mask, depth, shape: sample.shape };
        canvas.paint(&recipe.paint, random, &mut sample.lesion);
    }
    let [_, rows, columns] = case.record.shape;
    let [seen, clean] = LABEL_PIXELS;
    let scale = (rows as f32 / 96.0).powi(2);
    for (label, lesion) in sample.labels.iter_mut().zip(sample.lesion.chunks(rows * columns)) {
        let pixels: f32 = lesion.iter().sum();
        *label = if pixels > seen * scale {
            1.0
        } else if pixels > clean {
            -1.0
        } else {
            0.0
        };
    }
}

/// One seed of three numbers.
fn mix(a: u64, b: u64, c: u64) -> u64 {
    let mut random = SplitMix64::new(a);
    let mut random = SplitMix64::new(random.next_u64() ^ b);
    random.next_u64() ^ c.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::CaseRecord;

    pub(crate) fn case(source: Source, patient: u32, bleeding: &[usize], slices: usize) -> Case {
        let shape = [slices, 96, 80];
        let count = shape.iter().product();
        let mut random = SplitMix64::new(u64::from(patient));
        let labels: Vec<bool> = (0..slices).map(|z| bleeding.contains(&z)).collect();
        let region = match source {
            // A lesion of 6 x 6 pixels on each bleeding slice: a single pixel would be lost in resampling.
            Source::PheSich => (0..count)
                .map(|i| {
                    let (row, column) = (i % 7680 / 80, i % 80);
                    f32::from(u8::from(labels[i / 7680] && (40..46).contains(&row) && (30..36).contains(&column)))
                })
                .collect(),
            Source::CtIch => Vec::new(),
        };
        Case {
            record: CaseRecord {
                source,
                patient,
                fold: 0,
                fracture: false,
                age_years: None,
                labels,
                kept: [0, slices],
                shape,
            },
            hounsfield: (0..count).map(|_| random.uniform(-10.0, 10.0)).collect(),
            mask: vec![1.0; count],
            region,
            depth: vec![10.0; count],
            target: None,
        }
    }

    fn still() -> Recipe {
        let mut recipe = Recipe::find("both").unwrap();
        recipe.augment.rotation_degrees = 0.0;
        recipe.augment.shift = 0.0;
        recipe.paint.probability = 0.0;
        recipe
    }

    #[test]
    fn a_batch_follows_from_seed_and_step() {
        let cases = [case(Source::CtIch, 1, &[3, 4], 25), case(Source::CtIch, 2, &[], 18)];
        let cases: Vec<&Case> = cases.iter().collect();
        let recipe = Recipe::find("both").unwrap();
        let batch = make(&cases, &[0, 1], &recipe, 7, 3);
        assert_eq!(batch, make(&cases, &[0, 1], &recipe, 7, 3));
        assert_ne!(batch, make(&cases, &[0, 1], &recipe, 7, 4));
        assert_eq!(batch.input.len(), 2 * 20 * 96 * 80);
        assert_eq!(&batch.valid[20..], [[1.0; 18].as_slice(), &[0.0; 2]].concat());
    }

    #[test]
    fn losses_have_the_weights_of_the_recipe() {
        let cases = [case(Source::CtIch, 1, &[3, 4], 20), case(Source::CtIch, 2, &[], 20)];
        let cases: Vec<&Case> = cases.iter().collect();
        let batch = make(&cases, &[0, 1], &still(), 7, 3);
        assert!((batch.slice.weights.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!((batch.patient.weights.iter().sum::<f32>() - 0.5).abs() < 1e-4);
        assert!((batch.pixel.weights.iter().sum::<f32>() - 5.0).abs() < 1e-3);
        assert_eq!(batch.slice.weights.iter().filter(|&&w| w > 0.05).count(), 2);
    }

    #[test]
    fn phe_sich_has_a_pixel_goal_but_no_patient_goal() {
        let cases = [case(Source::PheSich, 1, &[8], 20), case(Source::PheSich, 2, &[9], 20)];
        let cases: Vec<&Case> = cases.iter().collect();
        let batch = make(&cases, &[0, 1], &still(), 7, 3);
        assert_eq!(batch.patient.weights, [0.0, 0.0]);
        let cells = batch.pixel.targets.iter().filter(|&&target| target > 0.0).count();
        assert!((2..=8).contains(&cells), "{cells} cells lie on the two lesions");
    }

    #[test]
    fn painted_slices_become_bleeding_ones() {
        let cases = [case(Source::CtIch, 1, &[], 20)];
        let cases: Vec<&Case> = cases.iter().collect();
        let mut recipe = still();
        recipe.paint.probability = 1.0;
        let painted = (0..30).filter(|&step| make(&cases, &[0], &recipe, 1, step).patient.targets[0] > 0.5).count();
        // The others are too small or too faint for a label, and are left out of the loss.
        assert!(painted >= 10, "{painted} of 30");
    }

    #[test]
    fn an_epoch_holds_every_scan_of_ct_ich_once() {
        let cases: Vec<Case> = (0..11).map(|patient| case(Source::CtIch, patient, &[], 4)).collect();
        let cases: Vec<&Case> = cases.iter().collect();
        let mut order: Vec<usize> = epoch_order(&cases, &still(), 5, 2).concat();
        order.sort_unstable();
        assert_eq!(order, (0..11).collect::<Vec<_>>());
    }
}
