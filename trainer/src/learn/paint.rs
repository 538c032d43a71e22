//! Painted lesions: bleeds drawn into brains without one, whose place is known to the pixel.
//!
//! Three kinds: an ellipsoid in the brain, sometimes with a dark ring of oedema; a lens (epidural) or crescent (subdural)
//! along the inside of the skull, sometimes old and dark; blood that fills the dark fluid spaces (subarachnoid,
//! intraventricular).

use super::recipe::Paint;
use ictus::network::SplitMix64;
use std::f32::consts::PI;

/// Change of a pixel, in Hounsfield units, from which a lesion can be seen.
const VISIBLE_HU: f32 = 8.0;

/// A crop that can be painted on. All slices are `[slice, y, x]`.
pub(crate) struct Canvas<'a> {
    /// Relative Hounsfield units.
    pub(crate) hounsfield: &'a mut [f32],
    /// 1 in the brain.
    pub(crate) mask: &'a [f32],
    /// Distance to the edge of the brain in pixels.
    pub(crate) depth: &'a [f32],
    /// Slices, rows, columns.
    pub(crate) shape: [usize; 3],
}

/// What one painted lesion does to a pixel.
struct Stroke {
    /// Share of blood, 0 to 1.
    share: f32,
    /// Hounsfield units taken away around it.
    ring: f32,
}

impl Canvas<'_> {
    /// Paints a lesion and marks where it can be seen with 1 in `visible`. Nothing is painted where no place is found.
    pub(crate) fn paint(&mut self, config: &Paint, random: &mut SplitMix64, visible: &mut [f32]) {
        let Some(centre_slice) = self.random_slice(random) else { return };
        match random.below(6) {
            0 | 4 => self.ellipsoid(centre_slice, random, visible),
            3 => self.fluid(centre_slice, random, visible),
            _ => self.extra_axial(centre_slice, config.dark, random, visible),
        }
    }

    /// A slice that shows more than a quarter of the brain's largest area.
    fn random_slice(&self, random: &mut SplitMix64) -> Option<usize> {
        let areas: Vec<f32> = self.mask.chunks(self.area()).map(|slice| slice.iter().sum()).collect();
        let largest = areas.iter().copied().fold(0.0, f32::max);
        let wide: Vec<usize> = (0..areas.len()).filter(|&z| areas[z] > 0.25 * largest).collect();
        wide.get(random.below(wide.len())).copied()
    }

    fn area(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// Pixels are 1.9 mm at 96 rows; lengths grow with the picture.
    fn scale(&self) -> f32 {
        self.shape[1] as f32 / 96.0
    }

    fn random_pixel(&self, slice: usize, least_depth: f32, random: &mut SplitMix64) -> Option<(f32, f32)> {
        let area = self.area();
        let depth = self.depth.get(slice * area..(slice + 1) * area)?;
        let inside: Vec<usize> = (0..area).filter(|&i| depth[i] > least_depth).collect();
        let index = *inside.get(random.below(inside.len()))?;
        Some(((index / self.shape[2]) as f32, (index % self.shape[2]) as f32))
    }

    fn ellipsoid(&mut self, slice: usize, random: &mut SplitMix64, visible: &mut [f32]) {
        let scale = self.scale();
        let Some((y0, x0)) = self.random_pixel(slice, 3.0 * scale, random) else { return };
        let long = random.uniform(2.0, 10.0) * scale;
        let short = long * random.uniform(0.5, 1.0);
        let high = random.uniform(0.6, 1.0 + long / scale / 4.0);
        let (sine, cosine) = random.uniform(0.0, PI).sin_cos();
        let hounsfield = random.uniform(14.0, 40.0);
        let ring = if random.chance(0.5) { random.uniform(3.0, 9.0) } else { 0.0 };
        let reach = slices_within(slice, 2.5 * high, self.shape[0]);
        self.blood(reach, hounsfield, 0.6, random, visible, |z, y, x, noise, _, _| {
            let (dy, dx, dz) = (y - y0, x - x0, (z - slice as f32) / high);
            let (u, v) = ((cosine * dx + sine * dy) / long, (cosine * dy - sine * dx) / short);
            let q = (u * u + v * v + dz * dz).sqrt() + 0.15 * noise;
            let halo = if ring > 0.0 { ring * (-((q - 1.5) / 0.35).powi(2)).exp() } else { 0.0 };
            Stroke { share: sigmoid((1.0 - q) * 6.0), ring: halo }
        });
    }

    fn extra_axial(&mut self, slice: usize, dark: f32, random: &mut SplitMix64, visible: &mut [f32]) {
        let scale = self.scale();
        let (cy, cx) = (self.shape[1] as f32 / 2.0, self.shape[2] as f32 / 2.0);
        let direction = random.uniform(-PI, PI);
        let half_width = random.uniform(0.25, 1.1);
        let thickness = random.uniform(2.2, 8.5) * scale;
        let high = random.uniform(1.0, 5.0);
        let lens = random.chance(0.6);
        let hounsfield = random.uniform(10.0, 40.0);
        let shape = |z: f32, y: f32, x: f32, noise: f32, depth: f32, _: f32| {
            let turn = (y - cy).atan2(x - cx) - direction;
            let angle = turn.sin().atan2(turn.cos()) / half_width;
            let dz = (z - slice as f32) / high;
            let q = 1.0 - angle * angle - dz * dz;
            if q <= 0.0 {
                return Stroke { share: 0.0, ring: 0.0 };
            }
            let here = thickness * if lens { q } else { q.sqrt() };
            Stroke { share: sigmoid(((here - depth) * 1.5 / scale + 0.3 * noise).clamp(-20.0, 20.0)), ring: 0.0 }
        };
        let reach = slices_within(slice, high, self.shape[0]);
        if random.chance(dark) {
            self.old_blood(reach, random.uniform(-24.0, -9.0), random, visible, shape);
        } else {
            self.blood(reach, hounsfield, 0.6, random, visible, shape);
        }
    }

    fn fluid(&mut self, slice: usize, random: &mut SplitMix64, visible: &mut [f32]) {
        let scale = self.scale();
        let Some((y0, x0)) = self.random_pixel(slice, 0.0, random) else { return };
        let radius = random.uniform(8.0, 22.0) * scale;
        let high = random.uniform(1.0, 3.0);
        let hounsfield = random.uniform(35.0, 60.0);
        let reach = slices_within(slice, 1.6 * high, self.shape[0]);
        self.blood(reach, hounsfield, 0.0, random, visible, |z, y, x, _, _, smooth| {
            let q = ((y - y0).powi(2) + (x - x0).powi(2)) / (radius * radius) + ((z - slice as f32) / high).powi(2);
            let share = if q < 2.5 { sigmoid(-(smooth + 7.0) / 1.5) * (-q).exp() } else { 0.0 };
            Stroke { share, ring: 0.0 }
        });
    }

    /// Adds blood of `hounsfield` above the brain, less `cover` times what is there, where `shape` says
    /// (slice, y, x, noise, depth, smoothed value).
    fn blood(
        &mut self,
        slices: std::ops::Range<usize>,
        hounsfield: f32,
        cover: f32,
        random: &mut SplitMix64,
        visible: &mut [f32],
        shape: impl Fn(f32, f32, f32, f32, f32, f32) -> Stroke,
    ) {
        self.each(slices, random, visible, shape, |value, stroke, texture| {
            let added = if cover > 0.0 {
                stroke.share * (hounsfield * texture - cover * value).max(0.0)
            } else {
                stroke.share * hounsfield * texture
            };
            (added - stroke.ring, added > VISIBLE_HU)
        });
    }

    fn old_blood(
        &mut self,
        slices: std::ops::Range<usize>,
        target: f32,
        random: &mut SplitMix64,
        visible: &mut [f32],
        shape: impl Fn(f32, f32, f32, f32, f32, f32) -> Stroke,
    ) {
        self.each(slices, random, visible, shape, |value, stroke, _| {
            (stroke.share * (target - 0.8 * value).min(0.0), stroke.share > 0.5)
        });
    }

    fn each(
        &mut self,
        slices: std::ops::Range<usize>,
        random: &mut SplitMix64,
        visible: &mut [f32],
        shape: impl Fn(f32, f32, f32, f32, f32, f32) -> Stroke,
        change: impl Fn(f32, &Stroke, f32) -> (f32, bool),
    ) {
        let [_, rows, columns] = self.shape;
        let (area, scale) = (self.area(), self.scale());
        let depth = slices.len();
        let noise = smooth_noise([depth, rows, columns], [0.7, 3.0 * scale, 3.0 * scale], random);
        let texture = smooth_noise([depth, rows, columns], [0.5, 1.2, 1.2], random);
        for (layer, z) in slices.enumerate() {
            let Some(values) = self.hounsfield.get_mut(z * area..(z + 1) * area) else { continue };
            let smooth = crate::data::box_mean(values, rows, columns);
            for (index, value) in values.iter_mut().enumerate() {
                let inside = self.mask[z * area + index];
                if inside == 0.0 {
                    continue;
                }
                let (y, x) = ((index / columns) as f32, (index % columns) as f32);
                let at = layer * area + index;
                let mut stroke = shape(z as f32, y, x, noise[at], self.depth[z * area + index], smooth[index]);
                stroke.share *= inside;
                let (added, seen) = change(*value, &stroke, 1.0 + 0.12 * texture[at]);
                *value += added;
                if seen {
                    visible[z * area + index] = 1.0;
                }
            }
        }
    }
}

fn slices_within(centre: usize, reach: f32, depth: usize) -> std::ops::Range<usize> {
    let reach = reach.ceil() as usize;
    centre.saturating_sub(reach)..(centre + reach + 1).min(depth)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Normal noise smoothed with a Gaussian of `sigma` along each axis (wrapping round), with unit variance.
fn smooth_noise(shape: [usize; 3], sigma: [f32; 3], random: &mut SplitMix64) -> Vec<f32> {
    let mut values: Vec<f32> = (0..shape.iter().product()).map(|_| random.uniform(-1.0, 1.0)).collect();
    let strides = [shape[1] * shape[2], shape[2], 1];
    for axis in 0..3 {
        values = smooth_axis(&values, shape[axis], strides[axis], sigma[axis]);
    }
    let variance = values.iter().map(|x| x * x).sum::<f32>() / values.len().max(1) as f32;
    let unit = 1.0 / (variance.sqrt() + 1e-6);
    for value in &mut values {
        *value *= unit;
    }
    values
}

fn smooth_axis(values: &[f32], length: usize, stride: usize, sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as usize;
    let taps: Vec<f32> = (0..=radius).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let block = length * stride;
    let mut out = vec![0.0; values.len()];
    for (source, target) in values.chunks(block.max(1)).zip(out.chunks_mut(block.max(1))) {
        for (place, target) in target.chunks_mut(stride).enumerate() {
            for (offset, &tap) in taps.iter().enumerate() {
                let ends = [(place + offset) % length, (place + length - offset % length) % length];
                for &other in if offset == 0 { &ends[..1] } else { &ends[..] } {
                    let line = &source[other * stride..(other + 1) * stride];
                    for (target, value) in target.iter_mut().zip(line) {
                        *target += tap * value;
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paint_many(dark: f32) -> (usize, f32) {
        let shape = [8, 96, 80];
        let count: usize = shape.iter().product();
        let inside = |i: usize| {
            let (y, x) = ((i / 80 % 96) as f32 - 47.5, (i % 80) as f32 - 39.5);
            1.0 - (y / 44.0).hypot(x / 36.0)
        };
        let mask: Vec<f32> = (0..count).map(|i| if inside(i) > 0.0 { 1.0 } else { 0.0 }).collect();
        let depth: Vec<f32> = (0..count).map(|i| inside(i).max(0.0) * 38.0).collect();
        let (mut seen, mut brightest) = (0, 0.0_f32);
        for seed in 0..60 {
            let mut hounsfield = vec![0.0; count];
            let mut visible = vec![0.0; count];
            let mut canvas = Canvas { hounsfield: &mut hounsfield, mask: &mask, depth: &depth, shape };
            let config = Paint { probability: 1.0, second: 0.0, dark };
            canvas.paint(&config, &mut SplitMix64::new(seed), &mut visible);
            seen += usize::from(visible.iter().sum::<f32>() > 10.0);
            brightest = hounsfield.iter().copied().fold(brightest, f32::max);
            assert!(hounsfield.iter().zip(&mask).all(|(value, mask)| *mask > 0.0 || *value == 0.0));
        }
        (seen, brightest)
    }

    #[test]
    fn most_painted_lesions_can_be_seen_and_none_leaves_the_brain() {
        let (seen, brightest) = paint_many(0.0);
        assert!(seen > 35, "{seen} of 60");
        assert!((20.0..90.0).contains(&brightest), "{brightest}");
    }

    #[test]
    fn noise_has_unit_variance_and_is_smooth() {
        let noise = smooth_noise([4, 40, 40], [0.7, 3.0, 3.0], &mut SplitMix64::new(1));
        let variance = noise.iter().map(|x| x * x).sum::<f32>() / noise.len() as f32;
        assert!((variance - 1.0).abs() < 1e-3);
        let step = noise.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f32>() / noise.len() as f32;
        assert!(step < 0.3, "{step}");
    }
}
