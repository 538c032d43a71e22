//! Random changes of a sample: one affine map for all its slices, then values, rim and order.

use super::recipe::Augment;
use ictus::network::SplitMix64;
use std::f32::consts::PI;

/// Slices of a scan with what the losses need: all `[slice, y, x]`.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Relative Hounsfield units, 0 outside the mask.
    pub(crate) hounsfield: Vec<f32>,
    /// 1 in the brain.
    pub(crate) mask: Vec<f32>,
    /// 1 on a lesion, [`crate::data::UNSURE`] where it is not known.
    pub(crate) lesion: Vec<f32>,
    /// For each slice: 1 with a bleed, 0 without, below 0 where it cannot be said.
    pub(crate) labels: Vec<f32>,
    /// For each slice, whether `lesion` says where every bleed lies.
    pub(crate) outlined: Vec<bool>,
    /// Slices, rows, columns.
    pub(crate) shape: [usize; 3],
}

impl Sample {
    /// Changes the sample at random.
    pub(crate) fn augment(&mut self, config: &Augment, random: &mut SplitMix64) {
        self.warp(config, random);
        let [_, rows, columns] = self.shape;
        let area = rows * columns;
        let cut = rim_cut(&config.rim, random.uniform(0.0, 1.0));
        let gain = if random.chance(config.other_window) {
            random.uniform(0.7_f32.ln(), 1.5_f32.ln()).exp()
        } else {
            1.0 + random.uniform(-config.gain, config.gain)
        };
        let offset = config.offset_hu * random.normal();
        let blur = random.chance(config.blur);
        let sharpness = random.chance(config.sharpen).then(|| random.uniform(config.sharpness[0], config.sharpness[1]));
        let noise = config.noise_hu * random.uniform(0.0, 1.0);
        let bright = random.chance(config.bright_rim).then(|| BrightRim::new(random));
        for (values, mask) in self.hounsfield.chunks_mut(area).zip(self.mask.chunks_mut(area)) {
            for _ in 0..cut {
                erode_once(mask, rows, columns);
            }
            if let Some(bright) = &bright {
                bright.draw(values, mask, rows, columns);
            }
            for value in values.iter_mut() {
                *value = *value * gain + offset;
            }
            if blur {
                let mean = crate::data::box_mean(values, rows, columns);
                values.iter_mut().zip(&mean).for_each(|(value, mean)| *value = 0.4 * *value + 0.6 * mean);
            }
            if let Some(weight) = sharpness {
                let mean = crate::data::box_mean(values, rows, columns);
                values.iter_mut().zip(&mean).for_each(|(value, mean)| *value += weight * (*value - mean));
            }
            for (value, inside) in values.iter_mut().zip(mask) {
                *value = if *inside > 0.0 { *value + noise * random.normal() } else { 0.0 };
            }
        }
        if random.chance(config.reverse) {
            self.reverse();
        }
    }

    fn warp(&mut self, config: &Augment, random: &mut SplitMix64) {
        let (sine, cosine) = random.uniform(-config.rotation_degrees, config.rotation_degrees).to_radians().sin_cos();
        let scale = 1.0 + random.uniform(-config.scale, config.scale);
        let row_scale = scale * (1.0 + random.uniform(-config.shear, config.shear));
        let shear = random.uniform(-config.shear, config.shear);
        let flip = if random.chance(config.flip) { -1.0 } else { 1.0 };
        let shift = [random.uniform(-1.0, 1.0) * config.shift, random.uniform(-1.0, 1.0) * config.shift];
        let [_, rows, columns] = self.shape;
        let area = rows * columns;
        let (cy, cx) = ((rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0);
        // The map is the same for all slices: source pixel and weights are found once.
        let taps: Vec<Option<(usize, [f32; 4])>> = (0..area)
            .map(|index| {
                let (y, x) = ((index / columns) as f32 - cy, (index % columns) as f32 - cx);
                let from_x = cosine * scale * flip * x + (shear - sine) * row_scale * y + shift[0] + cx;
                let from_y = sine * scale * flip * x + cosine * row_scale * y + shift[1] + cy;
                let inside =
                    from_x >= 0.0 && from_y >= 0.0 && from_x < (columns - 1) as f32 && from_y < (rows - 1) as f32;
                inside.then(|| {
                    let (x0, y0) = (from_x.floor(), from_y.floor());
                    let (u, v) = (from_x - x0, from_y - y0);
                    let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
                    (y0 as usize * columns + x0 as usize, weights)
                })
            })
            .collect();
        let warp = |values: &mut Vec<f32>| {
            for slice in values.chunks_mut(area) {
                let source = slice.to_vec();
                for (value, tap) in slice.iter_mut().zip(&taps) {
                    *value = tap.map_or(0.0, |(at, [a, b, c, d])| {
                        a * source[at] + b * source[at + 1] + c * source[at + columns] + d * source[at + columns + 1]
                    });
                }
            }
        };
        warp(&mut self.hounsfield);
        warp(&mut self.mask);
        if self.lesion.iter().any(|&x| x > 0.0) {
            warp(&mut self.lesion);
        }
        self.mask.iter_mut().for_each(|inside| *inside = if *inside > 0.5 { 1.0 } else { 0.0 });
    }

    fn reverse(&mut self) {
        let area = self.shape[1] * self.shape[2];
        for values in [&mut self.hounsfield, &mut self.mask, &mut self.lesion] {
            *values = values.chunks(area).rev().flatten().copied().collect();
        }
        self.labels.reverse();
        self.outlined.reverse();
    }
}

/// The outermost pixels of the brain, brighter over a stretch of the outline: what partial volume of bone looks like.
struct BrightRim {
    direction: f32,
    half_width: f32,
    hounsfield: f32,
}

impl BrightRim {
    fn new(random: &mut SplitMix64) -> Self {
        Self {
            direction: random.uniform(-PI, PI),
            half_width: random.uniform(0.3, PI),
            hounsfield: random.uniform(8.0, 35.0),
        }
    }

    fn draw(&self, values: &mut [f32], mask: &[f32], rows: usize, columns: usize) {
        let mut inner = mask.to_vec();
        erode_once(&mut inner, rows, columns);
        let (cy, cx) = ((rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0);
        for (index, (value, (&mask, &inner))) in values.iter_mut().zip(mask.iter().zip(&inner)).enumerate() {
            if mask > 0.0 && inner == 0.0 {
                let turn = ((index / columns) as f32 - cy).atan2((index % columns) as f32 - cx) - self.direction;
                if turn.sin().atan2(turn.cos()).abs() < self.half_width {
                    *value += self.hounsfield;
                }
            }
        }
    }
}

/// How many pixels to cut for a draw from 0..1: `probabilities` are those of 1, 2, .. pixels, the rest is none.
fn rim_cut(probabilities: &[f32], draw: f32) -> usize {
    let mut below = 0.0;
    let hit = probabilities.iter().position(|probability| {
        below += probability;
        draw < below
    });
    hit.map_or(0, |index| index + 1)
}

/// Takes away pixels of the mask with one of the 8 neighbours outside.
fn erode_once(mask: &mut [f32], rows: usize, columns: usize) {
    let mean = crate::data::box_mean(mask, rows, columns);
    let full = 8.5 / 9.0;
    mask.iter_mut().zip(&mean).for_each(|(inside, mean)| *inside = if *mean > full { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let shape = [3, 24, 20];
        let count = shape.iter().product();
        let mut random = SplitMix64::new(4);
        Sample {
            hounsfield: (0..count).map(|_| random.uniform(-10.0, 40.0)).collect(),
            mask: vec![1.0; count],
            lesion: (0..count).map(|i| if i % 480 == 250 { 1.0 } else { 0.0 }).collect(),
            labels: vec![0.0, 1.0, 0.0],
            outlined: vec![true; 3],
            shape,
        }
    }

    fn still() -> Augment {
        Augment {
            flip: 0.0,
            rotation_degrees: 0.0,
            scale: 0.0,
            shear: 0.0,
            shift: 0.0,
            gain: 0.0,
            offset_hu: 0.0,
            blur: 0.0,
            noise_hu: 0.0,
            rim: vec![],
            reverse: 0.0,
            ..Augment::default()
        }
    }

    #[test]
    fn no_change_at_all_leaves_the_inside_as_it_is() {
        let mut changed = sample();
        changed.augment(&still(), &mut SplitMix64::new(1));
        let inside = |i: usize| i % 20 < 19 && i / 20 % 24 < 23;
        for i in (0..changed.hounsfield.len()).filter(|&i| inside(i)) {
            assert!((changed.hounsfield[i] - sample().hounsfield[i]).abs() < 1e-3);
        }
    }

    #[test]
    fn a_flip_swaps_left_and_right_of_values_and_lesions_alike() {
        let mut flipped = sample();
        flipped.augment(&Augment { flip: 1.0, ..still() }, &mut SplitMix64::new(1));
        for (z, y, x) in [(0, 3, 4), (1, 10, 12), (2, 20, 1)] {
            let (here, there) = ((z * 24 + y) * 20 + x, (z * 24 + y) * 20 + 19 - x);
            assert!((flipped.hounsfield[here] - sample().hounsfield[there]).abs() < 1e-3);
            assert!((flipped.lesion[here] - sample().lesion[there]).abs() < 1e-3);
        }
    }

    #[test]
    fn reversing_takes_the_labels_along() {
        let mut reversed = sample();
        reversed.labels = vec![1.0, 0.0, -1.0];
        reversed.augment(&Augment { reverse: 1.0, ..still() }, &mut SplitMix64::new(1));
        assert_eq!(reversed.labels, [-1.0, 0.0, 1.0]);
        assert!((reversed.hounsfield[45] - sample().hounsfield[2 * 480 + 45]).abs() < 1e-3);
    }

    #[test]
    fn cutting_the_rim_takes_pixels_off_every_side() {
        let mut cut = sample();
        cut.augment(&Augment { rim: vec![0.0, 1.0], ..still() }, &mut SplitMix64::new(1));
        let inside: f32 = cut.mask.iter().sum();
        let before: f32 = 3.0 * 23.0 * 19.0;
        assert!(inside < before - 3.0 * 2.0 * (18.0 + 22.0), "{inside} of {before}");
    }
}
