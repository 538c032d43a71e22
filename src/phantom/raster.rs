//! From a head as a function of place to voxels: partial volume, blood, head holder, noise.

use super::bleed::Placed;
use super::head::{AIR, Head};
use super::random::{Noise, Random, mix, sin_cos};
use super::shape::{Point, cover};
use super::{DrawnBleed, Phantom, PhantomConfig, PhantomError};
use crate::volume::{Orientation, Spacing, ValueScale, Volume};

/// Distance of the places where tissue is looked up, about the resolution of a scanner's brain kernel.
const WORK_MM: f32 = 0.9;
/// z of the highest slice, in model mm.
const TOP: f32 = 71.0;
/// The head reaches from y = -110 to 100; this puts its middle into the middle of the picture.
const MIDDLE_Y: f32 = -2.0;
/// Grid of the places on which bleeds are measured before they are drawn.
const MEASURE_MM: f32 = 2.0;

/// Where the grid of the picture lies in the head.
struct Frame {
    sin_cos: (f32, f32),
    pitch: (f32, f32),
    scale: Point,
    centre: [f32; 2],
    pixel_mm: f32,
    slice_mm: f32,
    top: f32,
    slices: f32,
}

impl Frame {
    fn new(config: &PhantomConfig, head: &Head) -> Self {
        Self {
            sin_cos: sin_cos(config.rotation_deg),
            pitch: sin_cos(config.pitch_deg),
            scale: head.scale,
            centre: [(config.columns - 1) as f32 / 2.0, (config.rows - 1) as f32 / 2.0],
            pixel_mm: config.pixel_mm,
            slice_mm: config.slice_mm,
            top: TOP / head.scale[2],
            slices: (config.slices - 1) as f32,
        }
    }

    /// Patient mm of a pixel, before the head is turned.
    fn patient(&self, column: f32, row: f32, slice: f32) -> Point {
        let [x, y] = [(column - self.centre[0]) * self.pixel_mm, (row - self.centre[1]) * self.pixel_mm];
        [x, y, self.top - (self.slices - slice) * self.slice_mm]
    }

    /// Model mm of patient mm.
    fn model(&self, p: Point) -> Point {
        let (sin, cos) = self.sin_cos;
        let [x, y] = [cos * p[0] + sin * p[1], cos * p[1] - sin * p[0] + MIDDLE_Y];
        let (sin, cos) = self.pitch;
        let [y, z] = [cos * y + sin * p[2], cos * p[2] - sin * y];
        [x * self.scale[0], y * self.scale[1], z * self.scale[2]]
    }
}

/// Draws a phantom.
///
/// # Errors
/// [`PhantomError`] if a value of `config` is out of range.
pub fn draw(config: &PhantomConfig) -> Result<Phantom, PhantomError> {
    config.check()?;
    let head = Head::new(config);
    let frame = Frame::new(config, &head);
    let clot = Noise::new(&mut Random::new(config.seed, 3));
    let placed = place_bleeds(config, &head, &frame);
    let area = config.rows * config.columns;
    let mut voxels = Vec::with_capacity(area * config.slices);
    let mut shares = vec![Vec::with_capacity(area * config.slices); placed.len()];
    let lattice = Lattice::new(config);
    for slice in 0..config.slices {
        let (hounsfield, blood) = lattice.look_up(config, slice, &frame, &head, &placed, &clot);
        let mut random = Random::new(config.seed, 1000 + slice as u64);
        let mut plane = lattice.resample(&hounsfield);
        add_noise(&mut plane, config, &mut random);
        voxels.extend(plane.iter().map(|v| v.round().clamp(-1024.0, 3071.0)));
        for (share, blood) in shares.iter_mut().zip(&blood) {
            share.extend(lattice.resample(blood).iter().map(|s| (s * 255.0).round() as u8));
        }
    }
    let voxel_ml = config.slice_mm * config.pixel_mm * config.pixel_mm / 1000.0;
    let mut mask = vec![0; voxels.len()];
    let mut bleeds = Vec::new();
    for (share, placed) in shares.iter().zip(&placed) {
        let whole = share.iter().map(|&s| u64::from(s)).sum::<u64>() as f32 / 255.0;
        let least = threshold(share, whole);
        for (label, _) in mask.iter_mut().zip(share).filter(|&(_, &s)| s >= least) {
            *label = placed.kind.label();
        }
        bleeds.push(DrawnBleed { kind: placed.kind, volume_ml: whole * voxel_ml });
    }
    let spacing =
        Spacing { slice_mm: Some(config.slice_mm), row_mm: Some(config.pixel_mm), column_mm: Some(config.pixel_mm) };
    let shape = [config.slices, config.rows, config.columns];
    let volume = Volume::new(voxels, shape, spacing, ValueScale::Hounsfield, Orientation::Stated)?;
    Ok(Phantom { config: config.clone(), volume, mask, bleeds })
}

/// The share of blood above which as many voxels lie as the blood would fill: a mask of the true volume, also for
/// blood in layers thinner than a voxel.
fn threshold(share: &[u8], whole: f32) -> u8 {
    let mut counts = [0_u32; 256];
    for &s in share {
        if let Some(count) = counts.get_mut(usize::from(s)) {
            *count += 1;
        }
    }
    let mut above = 0.0;
    for (s, &count) in counts.iter().enumerate().rev() {
        above += count as f32;
        if above >= whole || s <= 26 {
            return s as u8;
        }
    }
    255
}

fn place_bleeds(config: &PhantomConfig, head: &Head, frame: &Frame) -> Vec<Placed> {
    if config.bleeds.is_empty() {
        return Vec::new();
    }
    let half = [config.columns, config.rows].map(|n| (n as f32 * config.pixel_mm / 2.0).min(105.0));
    let bottom = frame.patient(0.0, 0.0, -0.5)[2];
    let top = frame.patient(0.0, 0.0, frame.slices + 0.5)[2];
    let steps = |low: f32, high: f32| {
        let count = ((high - low) / MEASURE_MM).max(1.0) as usize;
        (0..count).map(move |i| low + (i as f32 + 0.5) * MEASURE_MM)
    };
    let mut places = Vec::new();
    for z in steps(bottom.max(-90.0), top) {
        for y in steps(-half[1], half[1]) {
            for x in steps(-half[0], half[0]) {
                let p = frame.model([x, y, z]);
                if head.vault(p) < 1.0 {
                    let tissue = head.tissue(p, 1.0);
                    if tissue.depth > -1.0 {
                        places.push((p, tissue));
                    }
                }
            }
        }
    }
    let bleeds = config.bleeds.iter().enumerate();
    bleeds
        .map(|(index, bleed)| {
            let mut placed = Placed::new(*bleed, config.seed, index as u64);
            placed.fill(head, &places, MEASURE_MM * MEASURE_MM * MEASURE_MM, bleed.volume_ml * 1000.0);
            placed
        })
        .collect()
}

/// Noise of a smooth kernel: white noise through a 3 x 3 binomial filter.
fn add_noise(plane: &mut [f32], config: &PhantomConfig, random: &mut Random) {
    if config.noise_hu == 0.0 {
        return;
    }
    let columns = config.columns;
    // The filter leaves 3/8 of the standard deviation.
    let gain = config.noise_hu * 8.0 / 3.0 / 16.0;
    let mut line = || {
        let raw: Vec<f32> = (0..columns + 2).map(|_| random.normal()).collect();
        let smooth = raw.windows(3).map(|w| match w {
            [a, b, c] => a + 2.0 * b + c,
            _ => 0.0,
        });
        smooth.collect::<Vec<f32>>()
    };
    let (mut above, mut here) = (line(), line());
    for row in plane.chunks_mut(columns) {
        let below = line();
        for (v, ((a, b), c)) in row.iter_mut().zip(above.iter().zip(&here).zip(&below)) {
            *v += gain * (a + 2.0 * b + c);
        }
        above = std::mem::replace(&mut here, below);
    }
}

/// The places where tissue is looked up in a slice, and how they become pixels.
struct Lattice {
    rows: usize,
    columns: usize,
    picture: [usize; 2],
    /// Places a pixel, along one axis.
    finer: usize,
    /// Pixels a place, along one axis.
    coarser: usize,
    /// Places through the thickness of a slice.
    depth: usize,
}

impl Lattice {
    fn new(config: &PhantomConfig) -> Self {
        let finer = (config.pixel_mm / WORK_MM).round().max(1.0) as usize;
        let coarser = (WORK_MM / config.pixel_mm).round().max(1.0) as usize;
        let along = |n: usize| if coarser > 1 { n.div_ceil(coarser) } else { n * finer };
        let depth = (config.slice_mm / 1.7).round().clamp(1.0, 6.0) as usize;
        let picture = [config.rows, config.columns];
        Self { rows: along(config.rows), columns: along(config.columns), picture, finer, coarser, depth }
    }

    /// Hounsfield units, and the share of blood of every bleed, at the places of `slice`.
    fn look_up(
        &self,
        config: &PhantomConfig,
        slice: usize,
        frame: &Frame,
        head: &Head,
        placed: &[Placed],
        clot: &Noise,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let step = self.coarser as f32 / self.finer as f32;
        let blur = step * config.pixel_mm;
        let weight = 1.0 / self.depth as f32;
        let mut hounsfield = vec![0.0; self.rows * self.columns];
        let mut blood = vec![vec![0.0; self.rows * self.columns]; placed.len()];
        for layer in 0..self.depth {
            let z = slice as f32 + (layer as f32 + 0.5) * weight - 0.5;
            for (row, line) in hounsfield.chunks_mut(self.columns).enumerate() {
                let y = (row as f32 + 0.5) * step - 0.5;
                for (column, value) in line.iter_mut().enumerate() {
                    let patient = frame.patient((column as f32 + 0.5) * step - 0.5, y, z);
                    let p = frame.model(patient);
                    let mut tissue = head.tissue(p, blur);
                    if config.head_holder && tissue.hounsfield <= AIR {
                        tissue.hounsfield = holder(patient, blur);
                    }
                    for (placed, shares) in placed.iter().zip(&mut blood) {
                        let share = placed.draw(p, head, &mut tissue, clot, blur);
                        if share > 0.0
                            && let Some(sum) = shares.get_mut(row * self.columns + column)
                        {
                            *sum += share * weight;
                        }
                    }
                    *value += tissue.hounsfield * weight;
                }
            }
        }
        (hounsfield, blood)
    }

    /// Places to pixels: the mean of the places of a pixel, or between the places around it.
    fn resample(&self, values: &[f32]) -> Vec<f32> {
        let at = |row: usize, column: usize| values.get(row * self.columns + column).copied().unwrap_or(0.0);
        let [rows, columns] = self.picture;
        let mut picture = Vec::with_capacity(rows * columns);
        if self.coarser == 1 {
            let n = self.finer;
            for i in 0..rows * columns {
                let (row, column) = (i / columns * n, i % columns * n);
                let sum: f32 = (0..n * n).map(|k| at(row + k / n, column + k % n)).sum();
                picture.push(sum / (n * n) as f32);
            }
            return picture;
        }
        let place = |pixel: usize, count: usize| {
            let u = ((pixel as f32 + 0.5) / self.coarser as f32 - 0.5).clamp(0.0, (count - 1) as f32);
            (u as usize, (u as usize + 1).min(count - 1), u.fract())
        };
        let across: Vec<_> = (0..columns).map(|column| place(column, self.columns)).collect();
        for row in 0..rows {
            let (y0, y1, fy) = place(row, self.rows);
            let lines = [y0, y1].map(|y| values.get(y * self.columns..(y + 1) * self.columns).unwrap_or(&[]));
            let blended: Vec<f32> = lines[0].iter().zip(lines[1]).map(|(&a, &b)| mix(a, b, fy)).collect();
            let value = |x: usize| blended.get(x).copied().unwrap_or(0.0);
            picture.extend(across.iter().map(|&(x0, x1, fx)| mix(value(x0), value(x1), fx)));
        }
        picture
    }
}

/// The carbon shell that holds the head: open in front, foam inside.
fn holder(p: Point, blur: f32) -> f32 {
    if p[1] < -5.0 {
        return AIR;
    }
    let r = (p[0] * p[0] / (98.0 * 98.0) + (p[1] + 5.0) * (p[1] + 5.0) / (112.0 * 112.0)).sqrt();
    let d = (r - 1.0) * 105.0;
    mix(AIR, 90.0, cover(d.abs() - 0.9, blur))
}
