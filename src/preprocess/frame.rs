//! The working frame: one size, one window and one slice thickness for every input.

use super::PreprocessConfig;
use crate::volume::{Orientation, ValueScale, Volume};
use std::ops::Range;

/// A volume brought to the working frame.
pub(super) struct Frame {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Clipped Hounsfield units: `[slab, y, x]`.
    pub(super) hounsfield: Vec<f32>,
    /// Slices of the volume in each slab.
    pub(super) slabs: Vec<Range<usize>>,
    /// Volume pixels a pixel of the frame, along x and y.
    pub(super) scale: [f32; 2],
    /// Whether the axes of the volume are known.
    pub(super) orientation: Orientation,
    /// Bone begins here.
    pub(super) bone_hu: f32,
}

impl Frame {
    pub(super) fn new(volume: &Volume, slabs: Vec<Range<usize>>, config: &PreprocessConfig) -> Self {
        let aspect = match (volume.spacing.row_mm, volume.spacing.column_mm) {
            (Some(row), Some(column)) if row > 0.0 && column > 0.0 => (row / column).clamp(0.25, 4.0),
            _ => 1.0,
        };
        let height = volume.rows() as f32 * aspect;
        let pixel = height.max(volume.columns() as f32) / config.frame_px.max(1) as f32;
        let rows = ((height / pixel).round() as usize).max(1);
        let columns = ((volume.columns() as f32 / pixel).round() as usize).max(1);
        let across = Taps::new(volume.columns(), columns);
        let down = Taps::new(volume.rows(), rows);
        let mut hounsfield = Vec::with_capacity(slabs.len() * rows * columns);
        let mut mean = Vec::new();
        let mut line = vec![0.0; volume.columns()];
        for slab in &slabs {
            let slice = slab_mean(volume, slab.clone(), &mut mean);
            for weights in down.iter() {
                line.fill(0.0);
                for (row, weight) in slice.chunks_exact(volume.columns()).skip(weights.start).zip(weights.weights) {
                    for (sum, &value) in line.iter_mut().zip(row) {
                        // Clipped before averaging, as pictures already are.
                        *sum += weight * clip(value, config.window_low_hu, config.window_high_hu);
                    }
                }
                hounsfield.extend(across.iter().map(|taps| {
                    line[taps.start..].iter().zip(taps.weights).map(|(value, weight)| value * weight).sum::<f32>()
                }));
            }
        }
        let scale = [volume.columns() as f32 / columns as f32, volume.rows() as f32 / rows as f32];
        Self {
            rows,
            columns,
            hounsfield,
            slabs,
            scale,
            orientation: volume.orientation,
            bone_hu: bone_threshold(volume.scale, config),
        }
    }

    pub(super) fn area(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn slab(&self, index: usize) -> &[f32] {
        &self.hounsfield[index * self.area()..(index + 1) * self.area()]
    }
}

/// Bone saturates at the upper end of a picture's window, which may lie below the usual threshold.
fn bone_threshold(scale: ValueScale, config: &PreprocessConfig) -> f32 {
    match scale {
        // Values of unknown meaning are refused before an answer; figures of them are drawn as if Hounsfield.
        ValueScale::Hounsfield | ValueScale::Unknown => config.bone_hu,
        ValueScale::Windowed { level, width } => {
            let share = (config.bone_hu - config.window_low_hu) / (config.window_high_hu - config.window_low_hu);
            config.bone_hu.min(level - 0.5 * width + share * width)
        }
    }
}

/// Groups the slices of a thin series to slabs of about [`PreprocessConfig::slab_mm`], evenly; one slice each otherwise.
pub(super) fn slabs(volume: &Volume, config: &PreprocessConfig) -> Vec<Range<usize>> {
    let slices = volume.slices();
    let spacing = match stated_spacing(volume) {
        Some(spacing) => spacing,
        None if slices > config.max_slices => config.usual_coverage_mm / slices as f32,
        None => config.slab_mm,
    };
    let merged = if spacing > config.thin_slice_mm { 1.0 } else { (config.slab_mm / spacing).round().max(1.0) };
    merge(slices, merged)
}

/// Groups slices evenly, about `merged` a slab.
pub(super) fn merge(slices: usize, merged: f32) -> Vec<Range<usize>> {
    let count = ((slices as f32 / merged).round() as usize).clamp(1, slices.max(1));
    (0..count).map(|slab| slab * slices / count..(slab + 1) * slices / count).collect()
}

/// Distances of the middles of neighbouring slabs in millimetres, where they are known and differ.
pub(super) fn uneven_gaps(volume: &Volume, slabs: &[Range<usize>]) -> Option<Vec<f32>> {
    if volume.gaps_mm.len() + 1 != volume.slices() {
        return None;
    }
    let mut heights = vec![0.0];
    for gap in &volume.gaps_mm {
        heights.push(heights.last().map_or(0.0, |last| last + gap));
    }
    let middle = |slab: &Range<usize>| heights[slab.clone()].iter().sum::<f32>() / slab.len().max(1) as f32;
    Some(slabs.windows(2).map(|pair| middle(&pair[1]) - middle(&pair[0])).collect())
}

/// Distance of the slices in millimetres, where the file states one.
pub(super) fn stated_spacing(volume: &Volume) -> Option<f32> {
    volume.spacing.slice_mm.filter(|spacing| *spacing > 0.0)
}

/// What a picture shows as white is taken to be, in Hounsfield units, before it is averaged with other slices: a mean of the brain and of
/// the upper end of a window would look like blood.
const BONE_HU: f32 = 1000.0;

/// The mean of the slices of a slab; a single one is borrowed.
fn slab_mean<'a>(volume: &'a Volume, slab: Range<usize>, mean: &'a mut Vec<f32>) -> &'a [f32] {
    if slab.len() == 1 {
        return volume.slice(slab.start).unwrap_or_default();
    }
    let white = match volume.scale {
        // Half a grey level below the end.
        ValueScale::Windowed { level, width } => level + width * (0.5 - 0.5 / 255.0),
        ValueScale::Hounsfield | ValueScale::Unknown => f32::INFINITY,
    };
    let weight = 1.0 / slab.len() as f32;
    mean.clear();
    mean.resize(volume.rows() * volume.columns(), 0.0);
    for slice in slab.filter_map(|z| volume.slice(z)) {
        for (sum, &value) in mean.iter_mut().zip(slice) {
            // Metal and padding values would outweigh their neighbours.
            *sum += weight * if value >= white { BONE_HU } else { clip(value, -1024.0, 3071.0) };
        }
    }
    mean
}

/// Like `f32::clamp`, but NaN, which would spread to every pixel it is averaged with, becomes the lower end.
fn clip(value: f32, low: f32, high: f32) -> f32 {
    value.max(low).min(high)
}

/// Resampling weights along one axis: box coverage when shrinking, linear when enlarging.
struct Taps {
    starts: Vec<usize>,
    weights: Vec<f32>,
    count: usize,
}

struct TapsOf<'a> {
    start: usize,
    weights: &'a [f32],
}

impl Taps {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        let spans: Vec<(usize, Vec<f32>)> = (0..to).map(|index| span(index, scale, from)).collect();
        let count = spans.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let mut taps = Self { starts: Vec::with_capacity(to), weights: vec![0.0; to * count], count };
        for ((start, weights), slots) in spans.iter().zip(taps.weights.chunks_exact_mut(count)) {
            // Every output reads `count` inputs, so the last ones start early.
            let first = (*start).min(from.saturating_sub(count));
            taps.starts.push(first);
            for (slot, weight) in slots.iter_mut().skip(start - first).zip(weights) {
                *slot = *weight;
            }
        }
        taps
    }

    fn iter(&self) -> impl Iterator<Item = TapsOf<'_>> {
        let weights = self.weights.chunks_exact(self.count);
        self.starts.iter().zip(weights).map(|(&start, weights)| TapsOf { start, weights })
    }
}

/// First input and weights (sum 1) of output `index`.
fn span(index: usize, scale: f32, from: usize) -> (usize, Vec<f32>) {
    let last = from.saturating_sub(1);
    if scale < 1.0 {
        let position = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, last as f32);
        let start = (position as usize).min(last);
        let fraction = position - start as f32;
        return if start == last { (start, vec![1.0]) } else { (start, vec![1.0 - fraction, fraction]) };
    }
    let (low, high) = (index as f32 * scale, (index + 1) as f32 * scale);
    let start = (low as usize).min(last);
    let end = ((high - 1e-3).ceil() as usize).clamp(start + 1, from);
    let mut weights: Vec<f32> =
        (start..end).map(|input| (high.min((input + 1) as f32) - low.max(input as f32)).max(0.0)).collect();
    let sum: f32 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= sum;
    }
    (start, weights)
}
