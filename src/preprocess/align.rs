//! The rotation and shift under which the brain is its own mirror image.

use super::frame::Frame;
use super::resample::{Kernel, bilinear};
use super::{MirrorAxis, PreprocessConfig};

/// Side of the grid on which mirror images are compared, and its spacing in working-frame pixels.
const SIDE: usize = 65;
const STEP: f32 = 4.0;
/// Shifts of the axis that are tried, in half grid steps to either side.
const SHIFTS: isize = 6;
/// Asymmetry that a degree of rotation must save: a nearly round brain stays as it lies.
const UPRIGHT: f32 = 0.0004;

/// The mirror axis of the mean mask of the slabs `core`; `None` if the mask is empty.
pub(super) fn mirror_axis(
    frame: &Frame,
    mask: &[bool],
    core: &[usize],
    config: &PreprocessConfig,
) -> Option<MirrorAxis> {
    let mut density = vec![0.0_f32; frame.area()];
    for &slab in core {
        for (sum, &pixel) in density.iter_mut().zip(&mask[slab * frame.area()..]) {
            *sum += f32::from(u8::from(pixel));
        }
    }
    let (mut sum, mut sum_x, mut sum_y) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (y, line) in density.chunks_exact(frame.columns).enumerate() {
        for (x, &value) in line.iter().enumerate() {
            sum += f64::from(value);
            sum_x += f64::from(value) * x as f64;
            sum_y += f64::from(value) * y as f64;
        }
    }
    if sum == 0.0 {
        return None;
    }
    let (x, y) = ((sum_x / sum) as f32, (sum_y / sum) as f32);
    Kernel::gaussian(2.0).blur(&mut density, frame.columns);
    let half = (SIDE / 2) as f32;
    let grid: Vec<f32> = (0..SIDE * SIDE)
        .map(|index| {
            let (column, row) = ((index % SIDE) as f32 - half, (index / SIDE) as f32 - half);
            bilinear(&density, frame.columns, x + STEP * column, y + STEP * row)
        })
        .collect();
    let mut best: Option<Candidate> = None;
    let mut consider = |degrees: f32| {
        let candidate = Candidate::new(&grid, degrees);
        if best.is_none_or(|best| candidate.cost < best.cost) {
            best = Some(candidate);
        }
        best
    };
    let steps = (config.max_rotation_degrees / 2.0).max(0.0) as i32;
    let mut coarse = None;
    for step in -steps..=steps {
        coarse = consider(2.0 * step as f32);
    }
    let centre = coarse?.degrees;
    for step in -3_i8..=3 {
        consider(centre + 0.5 * f32::from(step));
    }
    let best = best?;
    let (sine, cosine) = best.degrees.to_radians().sin_cos();
    let shift = best.shift * STEP;
    Some(MirrorAxis { x: x + cosine * shift, y: y + sine * shift, degrees: best.degrees, asymmetry: best.asymmetry })
}

#[derive(Clone, Copy)]
struct Candidate {
    degrees: f32,
    /// Shift across the axis in grid steps.
    shift: f32,
    asymmetry: f32,
    cost: f32,
}

impl Candidate {
    /// The best shift at one rotation.
    fn new(grid: &[f32], degrees: f32) -> Self {
        let half = (SIDE / 2) as f32;
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let turned: Vec<f32> = (0..SIDE * SIDE)
            .map(|index| {
                let (x, y) = ((index % SIDE) as f32 - half, (index / SIDE) as f32 - half);
                bilinear(grid, SIDE, half + cosine * x - sine * y, half + sine * x + cosine * y)
            })
            .collect();
        let energy: f32 = turned.iter().map(|value| value * value).sum();
        let mut best = Self { degrees, shift: 0.0, asymmetry: f32::INFINITY, cost: f32::INFINITY };
        for shift in -SHIFTS..=SHIFTS {
            let mut difference = 0.0;
            for line in turned.chunks_exact(SIDE) {
                for (column, &value) in line.iter().enumerate() {
                    let mirrored = (SIDE as isize - 1 - column as isize + shift).rem_euclid(SIDE as isize) as usize;
                    let step = value - line[mirrored];
                    difference += step * step;
                }
            }
            let asymmetry = difference / energy.max(f32::MIN_POSITIVE);
            let cost = asymmetry + UPRIGHT * degrees.abs();
            if cost < best.cost {
                best = Self { degrees, shift: shift as f32 / 2.0, asymmetry, cost };
            }
        }
        best
    }
}
