//! The aligned grid and its values.

use super::frame::Frame;
use super::{Alignment, MirrorAxis, PreprocessConfig};
use std::ops::Range;

/// Steps of the histogram behind the median, in a Hounsfield unit.
const BINS_PER_HU: f32 = 32.0;
/// The blurred mask is not divided by less than this, so that noise at its edge is not blown up.
const MIN_COVERAGE: f32 = 0.15;
/// Coverage from which a pixel of the input belongs to the brain.
const MASK_COVERAGE: f32 = 0.3;

/// The median of the brain on the slabs `core`, in Hounsfield units.
pub(super) fn masked_median(frame: &Frame, mask: &[bool], core: &[usize], config: &PreprocessConfig) -> f32 {
    let low = config.window_low_hu;
    let last = ((config.window_high_hu - low) * BINS_PER_HU).max(0.0) as usize;
    let mut bins = vec![0_usize; last + 1];
    for &slab in core {
        let mask = &mask[slab * frame.area()..(slab + 1) * frame.area()];
        for (&value, _) in frame.slab(slab).iter().zip(mask).filter(|&(_, &brain)| brain) {
            bins[(((value - low) * BINS_PER_HU) as usize).min(last)] += 1;
        }
    }
    let half = bins.iter().sum::<usize>() / 2;
    let mut below = 0;
    for (bin, &count) in bins.iter().enumerate() {
        if below + count > half {
            let fraction = (half - below) as f32 / count as f32;
            return low + (bin as f32 + fraction) / BINS_PER_HU;
        }
        below += count;
    }
    low
}

/// The network's grid in the working frame: an [`Alignment`] to working-frame pixels.
pub(super) struct Grid {
    map: Alignment,
    scale: f32,
}

impl Grid {
    /// A grid centred on the mirror axis and turned with it, `scale` working-frame pixels a pixel.
    pub(super) fn new(axis: MirrorAxis, scale: f32, config: &PreprocessConfig) -> Self {
        let (sine, cosine) = axis.degrees.to_radians().sin_cos();
        let (half_row, half_column) = ((config.rows as f32 - 1.0) / 2.0, (config.columns as f32 - 1.0) / 2.0);
        let (xx, xy, yx, yy) = (cosine * scale, -sine * scale, sine * scale, cosine * scale);
        let x0 = axis.x - xx * half_column - xy * half_row;
        let y0 = axis.y - yx * half_column - yy * half_row;
        Self { map: Alignment { x0, y0, xx, xy, yx, yy }, scale }
    }

    /// The same map to pixels of the volume.
    pub(super) fn to_volume(&self, frame: &Frame) -> Alignment {
        let [across, down] = frame.scale;
        let map = self.map;
        Alignment {
            x0: (map.x0 + 0.5) * across - 0.5,
            y0: (map.y0 + 0.5) * down - 0.5,
            xx: map.xx * across,
            xy: map.xy * across,
            yx: map.yx * down,
            yy: map.yy * down,
        }
    }
}

/// Values relative to `median` and mask on the grid, for the slabs `kept`: `[slab, y, x]`.
pub(super) fn resample(
    frame: &Frame,
    mask: &[bool],
    kept: Range<usize>,
    median: f32,
    grid: &Grid,
    config: &PreprocessConfig,
) -> (Vec<f32>, Vec<bool>) {
    let kernel = Kernel::gaussian(grid.scale * config.blur);
    let mut hounsfield = Vec::with_capacity(kept.len() * config.rows * config.columns);
    let mut inside = Vec::with_capacity(hounsfield.capacity());
    let mut values = vec![0.0; frame.area()];
    let mut weights = vec![0.0; frame.area()];
    for slab in kept {
        let pixels = frame.slab(slab).iter().zip(&mask[slab * frame.area()..]);
        for ((value, weight), (&hounsfield, &brain)) in values.iter_mut().zip(&mut weights).zip(pixels) {
            *value = if brain { hounsfield - median } else { 0.0 };
            *weight = f32::from(u8::from(brain));
        }
        kernel.blur(&mut values, frame.columns);
        kernel.blur(&mut weights, frame.columns);
        for (value, weight) in values.iter_mut().zip(&weights) {
            *value /= weight.max(MIN_COVERAGE);
        }
        for row in 0..config.rows {
            for column in 0..config.columns {
                let (x, y) = grid.map.to_volume(column as f32, row as f32);
                let brain = bilinear(&weights, frame.columns, x, y) > MASK_COVERAGE;
                inside.push(brain);
                hounsfield.push(if brain { bilinear(&values, frame.columns, x, y) } else { 0.0 });
            }
        }
    }
    (hounsfield, inside)
}

/// The value at `(x, y)` of a `columns` wide picture, 0 outside.
pub(super) fn bilinear(picture: &[f32], columns: usize, x: f32, y: f32) -> f32 {
    let rows = picture.len() / columns.max(1);
    if !(x >= 0.0 && y >= 0.0 && x <= columns as f32 - 1.0 && y <= rows as f32 - 1.0) {
        return 0.0;
    }
    let (column, row) = ((x as usize).min(columns.saturating_sub(2)), (y as usize).min(rows.saturating_sub(2)));
    let (right, down) = (usize::from(columns > 1), if rows > 1 { columns } else { 0 });
    let (fx, fy) = (x - column as f32, y - row as f32);
    let at = row * columns + column;
    let top = picture[at] + fx * (picture[at + right] - picture[at]);
    let bottom = picture[at + down] + fx * (picture[at + down + right] - picture[at + down]);
    top + fy * (bottom - top)
}

/// A symmetric blur along rows and columns.
pub(super) struct Kernel {
    /// Weights from the centre outwards.
    weights: Vec<f32>,
}

impl Kernel {
    /// Gaussian of `sigma` pixels, cut at four sigma.
    pub(super) fn gaussian(sigma: f32) -> Self {
        let radius = (4.0 * sigma + 0.5) as usize;
        let mut weights: Vec<f32> =
            (0..=radius).map(|step| (-0.5 * (step as f32 / sigma.max(1e-3)).powi(2)).exp()).collect();
        let sum = 2.0 * weights.iter().sum::<f32>() - weights.first().copied().unwrap_or(0.0);
        for weight in &mut weights {
            *weight /= sum;
        }
        Self { weights }
    }

    /// Blurs a `columns` wide picture in place; it continues as 0 beyond its edges.
    pub(super) fn blur(&self, picture: &mut [f32], columns: usize) {
        let radius = self.weights.len() - 1;
        let rows = picture.len() / columns.max(1);
        let source = picture.to_vec();
        let line_of = |row: usize| &source[row * columns..(row + 1) * columns];
        let mut padded = vec![0.0_f32; columns + 2 * radius];
        for (row, line) in picture.chunks_exact_mut(columns).enumerate() {
            let sum = &mut padded[radius..radius + columns];
            for (sum, value) in sum.iter_mut().zip(line_of(row)) {
                *sum = self.weights[0] * value;
            }
            for (step, weight) in self.weights.iter().enumerate().skip(1) {
                let above = row.checked_sub(step);
                let below = Some(row + step).filter(|&row| row < rows);
                for other in above.into_iter().chain(below) {
                    for (sum, value) in sum.iter_mut().zip(line_of(other)) {
                        *sum += weight * value;
                    }
                }
            }
            for (out, value) in line.iter_mut().zip(&padded[radius..]) {
                *out = self.weights[0] * value;
            }
            for (step, weight) in self.weights.iter().enumerate().skip(1) {
                let left = &padded[radius - step..radius - step + columns];
                let right = &padded[radius + step..radius + step + columns];
                for ((out, left), right) in line.iter_mut().zip(left).zip(right) {
                    *out += weight * (left + right);
                }
            }
        }
    }
}
