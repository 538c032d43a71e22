//! Convolution with kernels of 3 rows and 3 columns by Winograd's minimal filtering F(4x4, 3x3) (A. Lavin and S. Gray, "Fast
//! Algorithms for Convolutional Neural Networks", CVPR 2016).
//!
//! A tile of 4x4 outputs sees a patch of 6x6 inputs. Patch and kernel are evaluated as polynomials at 6x6 points, multiplied
//! point by point, and the products interpolated: 36 multiplications instead of 144. The sum over input channels and slices of
//! the kernel is taken at the points, by the register tile of [`super::correlation`] with tiles for places. The points along
//! an axis are 0, +-sqrt(1/2), +-sqrt(2) and infinity: they round to about half the error of 0, +-1, +-2.

use super::{
    conv::{CHANNELS, Conv},
    correlation::{Correlation, maximum},
    machine::{Kernel, Lanes, dispatch, for_each, step},
    shared::Shared,
};
use std::{
    cell::RefCell,
    f32::consts::{FRAC_1_SQRT_2, SQRT_2},
};

/// Outputs of a tile along an axis.
const TILE: usize = 4;
/// Inputs that a tile sees along an axis, and points along it.
const PATCH: usize = TILE + 2;
const POINTS: usize = PATCH * PATCH;
/// Lanes of the widest vector: room at the end of what whole vectors are written to.
const WIDEST: usize = 16;
/// Numbers at the points, of inputs and outputs, worked on at a time: 512 KiB.
const CACHE: usize = 128 * 1024;

/// A convolution, `ReLU` and max pooling by tiles.
pub(super) struct Winograd<'a> {
    conv: &'a Conv,
    padding: [usize; 3],
    window: [usize; 3],
    /// Depth, height and width after pooling.
    pooled: [usize; 3],
    /// Rows and columns of tiles in a slice.
    tiles: [usize; 2],
    /// Neighbouring tiles of a register tile.
    step: usize,
}

/// What is worked on at a time.
#[derive(Clone, Copy, Debug)]
struct Part {
    sample: usize,
    slice: usize,
    slices: usize,
    /// First row of tiles.
    row: usize,
    rows: usize,
}

#[derive(Default)]
struct Scratch {
    /// Rows of a slice of one channel, each with every fourth column together.
    phases: Vec<f32>,
    /// `[point, input channel, slice, row of tiles, tile]`.
    x: Vec<f32>,
    /// `[point, output channel, slice, row of tiles, tile]`.
    y: Vec<f32>,
    /// One output channel.
    pooled: Vec<f32>,
    /// A row of tiles, after pooling: `[row, column of the tile, tile]`.
    tiles: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl<'a> Winograd<'a> {
    /// None if the convolution has another kernel or a stride, the windows do not fit into tiles, or sums of shifted inputs
    /// are faster.
    pub(super) fn new(conv: &'a Conv, window: [usize; 3]) -> Option<Self> {
        Self::possible(conv, window).filter(|winograd| {
            let sums = (conv.batch * conv.outputs * conv.output_channel()) as u64 * (conv.inputs * conv.taps()) as u64;
            winograd.cost(winograd.part_size()) < sums
        })
    }

    fn possible(conv: &'a Conv, window: [usize; 3]) -> Option<Self> {
        let [z, y, x] = conv.axes;
        let padding = [z.dense_padding()?, y.dense_padding()?, x.dense_padding()?];
        let fits = [y.kernel, x.kernel] == [3; 2] && matches!(window, [_, 1, 1] | [_, 2, 2]);
        fits.then(|| Self {
            conv,
            padding,
            window,
            pooled: std::array::from_fn(|i| conv.axes[i].output / window[i]),
            tiles: [y, x].map(|axis| axis.output.div_ceil(TILE)),
            step: step(),
        })
    }

    /// Slices that the pooling leaves something of.
    fn slices(&self) -> usize {
        self.pooled[0] * self.window[0]
    }

    /// Slices and rows of tiles of a part, such that all parts together cost least.
    fn part_size(&self) -> [usize; 2] {
        let numbers = |slices: usize, rows: usize| {
            let inputs = self.conv.inputs * (slices + self.conv.axes[0].kernel - 1);
            POINTS * rows * self.tiles[1] * (inputs + self.conv.outputs * slices)
        };
        let mut best = [self.window[0], 1];
        for slices in (self.window[0]..=self.slices()).step_by(self.window[0]) {
            for rows in 1..=self.tiles[0] {
                if numbers(slices, rows) > CACHE {
                    break;
                }
                if self.cost([slices, rows]) < self.cost(best) {
                    best = [slices, rows];
                }
            }
        }
        best
    }

    /// About how many multiplications and additions the time of the whole is worth, in parts of this size.
    fn cost(&self, [slices, rows]: [usize; 2]) -> u64 {
        /// What a patch of one channel costs on its way to the points, or a tile on its way back.
        const TRANSFORM: usize = 500;
        /// What a number costs on its way into its phase.
        const MOVE: usize = 2;
        let Conv { batch, inputs, outputs, axes } = *self.conv;
        let kernels = inputs * outputs * axes[0].kernel;
        let part = |slices: usize, rows: usize| {
            let tiles = slices * rows * self.tiles[1];
            let input_slices = inputs * (slices + axes[0].kernel - 1);
            (tiles.next_multiple_of(self.step) * POINTS) as u64 * kernels as u64
                + (TRANSFORM * (outputs * tiles + input_slices * rows * self.tiles[1])) as u64
                + (MOVE * input_slices * (TILE * rows + 2) * axes[2].input) as u64
        };
        // Whole parts, and what is left: how many, and how large.
        let pieces = |total: usize, size: usize| [(total / size, size), ((total % size).min(1), total % size)];
        let mut sum = (TRANSFORM * kernels) as u64;
        for (many, slices) in pieces(self.slices(), slices) {
            for (times, rows) in pieces(self.tiles[0], rows) {
                if many * times > 0 {
                    sum += (batch * many * times) as u64 * part(slices, rows);
                }
            }
        }
        sum
    }

    fn parts(&self) -> Vec<Part> {
        let [slices, rows] = self.part_size();
        let mut parts = Vec::new();
        for sample in 0..self.conv.batch {
            for slice in (0..self.slices()).step_by(slices) {
                for row in (0..self.tiles[0]).step_by(rows) {
                    let (slices, rows) = (slices.min(self.slices() - slice), rows.min(self.tiles[0] - row));
                    parts.push(Part { sample, slice, slices, row, rows });
                }
            }
        }
        parts
    }

    pub(super) fn run(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let channel: usize = self.pooled.iter().product();
        let mut output = vec![0.0; self.conv.batch * self.conv.outputs * channel];
        if channel == 0 {
            return output;
        }
        let weight = transform_weight(self.conv, weight);
        let shared = Shared::new(&mut output);
        let parts = self.parts();
        for_each(parts.len(), |index| {
            let part = parts[index];
            SCRATCH.with_borrow_mut(|scratch| {
                self.evaluate_patches(part, input, scratch);
                self.multiply(part, &weight, scratch);
                self.interpolate_tiles(part, bias, scratch, &shared);
            });
        });
        output
    }

    /// Tiles of a part, in one channel.
    fn columns(&self, part: Part) -> usize {
        part.slices * part.rows * self.tiles[1]
    }

    /// Distances between channels and between points of the input.
    fn input_pitch(&self, part: Part) -> [usize; 2] {
        let channel = (part.slices + self.conv.axes[0].kernel - 1) * part.rows * self.tiles[1];
        [channel, odd_lines(self.conv.inputs * channel + self.output_pitch(part)[0] + WIDEST)]
    }

    /// The same of the output.
    fn output_pitch(&self, part: Part) -> [usize; 2] {
        let channel = self.columns(part).next_multiple_of(self.step);
        [channel, odd_lines(self.conv.outputs.next_multiple_of(CHANNELS) * channel + WIDEST)]
    }

    /// Evaluates the patches at the points.
    fn evaluate_patches(&self, part: Part, input: &[f32], Scratch { phases, x, .. }: &mut Scratch) {
        let [z, y, column] = self.conv.axes;
        let [channel, point] = self.input_pitch(part);
        let x = room(x, POINTS * point);
        let slice = part.rows * self.tiles[1];
        let pitch = self.tiles[1].next_multiple_of(WIDEST) + 1;
        // Zeros that stay: every slice fills the same places.
        phases.clear();
        phases.resize((TILE * part.rows + 2) * TILE * pitch, 0.0);
        for i in 0..self.conv.inputs {
            let source = &input[(part.sample * self.conv.inputs + i) * self.conv.input_channel()..];
            for (packed, at) in (part.slice..part.slice + part.slices + z.kernel - 1).enumerate() {
                let first = i * channel + packed * slice;
                if let Some(at) = at.checked_sub(self.padding[0]).filter(|&at| at < z.input) {
                    let source = &source[at * y.input * column.input..][..y.input * column.input];
                    for (at, phases) in (part.row * TILE..).zip(phases.chunks_exact_mut(TILE * pitch)) {
                        if let Some(at) = at.checked_sub(self.padding[1]).filter(|&at| at < y.input) {
                            split(&source[at * column.input..][..column.input], self.padding[2], pitch, phases);
                        }
                    }
                } else {
                    phases.fill(0.0);
                }
                dispatch(ToPoints { phases, pitch, tiles: self.tiles[1], rows: part.rows, x: &mut x[first..], point });
            }
        }
    }

    /// Sums the products over input channels and slices of the kernel.
    fn multiply(&self, part: Part, weight: &[f32], Scratch { x, y, .. }: &mut Scratch) {
        let Conv { inputs, outputs, axes: [z, ..], .. } = *self.conv;
        let [input_channel, input_point] = self.input_pitch(part);
        let [output_channel, output_point] = self.output_pitch(part);
        let y = room(y, POINTS * output_point);
        let offsets: Vec<usize> = (0..z.kernel).map(|k| k * part.rows * self.tiles[1]).collect();
        let bias = vec![0.0; outputs.next_multiple_of(CHANNELS)];
        let weights = weight.chunks_exact(weight.len() / POINTS);
        let x = &x[..POINTS * input_point];
        for ((x, y), weight) in x.chunks_exact(input_point).zip(y.chunks_exact_mut(output_point)).zip(weights) {
            Correlation {
                x,
                channel: input_channel,
                inputs,
                offsets: &offsets,
                weight,
                bias: &bias,
                y,
                pitch: output_channel,
                outputs,
            }
            .compute();
        }
    }

    /// Interpolates, adds the bias, and pools.
    fn interpolate_tiles(
        &self,
        part: Part,
        bias: Option<&[f32]>,
        Scratch { y, pooled, tiles, .. }: &mut Scratch,
        output: &Shared,
    ) {
        let [depth, window, _] = self.window;
        let side = TILE / window;
        let [_, height, width] = self.pooled;
        let first_row = (part.row * side).min(height);
        let rows = (part.rows * side).min(height - first_row);
        let plane = rows * width;
        if plane == 0 {
            return;
        }
        let [channel, point] = self.output_pitch(part);
        for o in 0..self.conv.outputs {
            pooled.clear();
            pooled.resize(part.slices / depth * plane, 0.0);
            dispatch(FromPoints {
                y: &y[o * channel..],
                point,
                tiles: self.tiles[1],
                rows: part.rows,
                slices: part.slices,
                bias: bias.map_or(0.0, |bias| bias[o]),
                window: [depth, window],
                values: room(tiles, side * side * self.tiles[1].next_multiple_of(WIDEST)),
                pooled,
                plane,
                width,
            });
            for (z, source) in pooled.chunks_exact(plane).enumerate() {
                let z = (part.sample * self.conv.outputs + o) * self.pooled[0] + part.slice / depth + z;
                // SAFETY: parts are different rows of different slices.
                let target = unsafe { output.run((z * height + first_row) * width, plane) };
                target.copy_from_slice(source);
            }
        }
    }
}

/// At least `len` numbers that fill an odd number of cache lines of 64 bytes: what lies at a power of two from each other has
/// the same few places in a cache.
fn odd_lines(len: usize) -> usize {
    (len.div_ceil(16) | 1) * 16
}

/// Makes room for `len` numbers, which may hold anything.
fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Puts every fourth number of a row together behind `padding` zeros, `pitch` from one phase to the next.
#[inline(always)]
fn split(row: &[f32], padding: usize, pitch: usize, phases: &mut [f32]) {
    let (head, body) = row.split_at((padding.next_multiple_of(TILE) - padding).min(row.len()));
    let (chunks, tail) = body.as_chunks::<TILE>();
    let ends = head.iter().zip(padding..).chain(tail.iter().zip(padding + row.len() - tail.len()..));
    for (&value, at) in ends {
        phases[at % TILE * pitch + at / TILE] = value;
    }
    let mut targets = phases.chunks_exact_mut(pitch).map(|phase| phase[padding.div_ceil(TILE)..].iter_mut());
    if let [Some(first), Some(second), Some(third), Some(fourth)] = std::array::from_fn(|_| targets.next()) {
        let targets = first.zip(second).zip(third.zip(fourth));
        for (&[a, b, c, d], ((first, second), (third, fourth))) in chunks.iter().zip(targets) {
            (*first, *second, *third, *fourth) = (a, b, c, d);
        }
    }
}

/// Evaluates a row of six inputs at the points.
#[inline(always)]
fn evaluate<L: Lanes>(x: [L; PATCH]) -> [L; PATCH] {
    // SAFETY: values of `L` prove its instructions.
    let [a, b, half, two, sum] =
        unsafe { [L::splat(FRAC_1_SQRT_2), L::splat(SQRT_2), L::splat(-0.5), L::splat(-2.0), L::splat(-2.5)] };
    let (near, near_odd) = (x[2].mul_add(two, x[4]), x[1].mul_add(two, x[3]));
    let (far, far_odd) = (x[2].mul_add(half, x[4]), x[1].mul_add(half, x[3]));
    let (near_odd, far_odd) = (near_odd.mul(a), far_odd.mul(b));
    [
        x[2].mul_add(sum, x[0].add(x[4])),
        near.add(near_odd),
        near.sub(near_odd),
        far.add(far_odd),
        far.sub(far_odd),
        x[3].mul_add(sum, x[1].add(x[5])),
    ]
}

/// Interpolates four outputs from six products.
#[inline(always)]
fn interpolate<L: Lanes>(y: [L; PATCH]) -> [L; TILE] {
    // SAFETY: values of `L` prove its instructions.
    let [a, half_a, half, two, eight] = unsafe {
        [L::splat(FRAC_1_SQRT_2), L::splat(0.5 * FRAC_1_SQRT_2), L::splat(0.5), L::splat(2.0), L::splat(8.0)]
    };
    let (near, near_odd) = (y[1].add(y[2]), y[1].sub(y[2]));
    let (far, far_odd) = (y[3].add(y[4]), y[3].sub(y[4]));
    [
        y[0].add(near).add(far),
        far_odd.mul_add(two, near_odd).mul(a),
        far.mul_add(two, near.mul(half)),
        far_odd.mul_add(eight, near_odd).mul_add(half_a, y[5]),
    ]
}

/// Evaluates a row of the kernel at the points, divided by the products of their distances.
#[inline(always)]
fn evaluate_kernel<L: Lanes>(w: [L; 3]) -> [L; PATCH] {
    // SAFETY: values of `L` prove its instructions.
    let [a, b, half, two, near_scale, far_scale] = unsafe {
        [
            L::splat(FRAC_1_SQRT_2),
            L::splat(SQRT_2),
            L::splat(0.5),
            L::splat(2.0),
            L::splat(-2.0 / 3.0),
            L::splat(1.0 / 6.0),
        ]
    };
    let (near, near_odd) = (w[2].mul_add(half, w[0]), w[1].mul(a));
    let (far, far_odd) = (w[2].mul_add(two, w[0]), w[1].mul(b));
    [
        w[0],
        near.add(near_odd).mul(near_scale),
        near.sub(near_odd).mul(near_scale),
        far.add(far_odd).mul(far_scale),
        far.sub(far_odd).mul(far_scale),
        w[2],
    ]
}

/// The kernels `[outputs, inputs, slices, 3, 3]` at the points, each as [`super::correlation::PackedWeight`] has them.
fn transform_weight(conv: &Conv, weight: &[f32]) -> Vec<f32> {
    let Conv { inputs, outputs, axes: [z, ..], .. } = *conv;
    let kernels = inputs * z.kernel;
    let plane = (outputs.next_multiple_of(CHANNELS) * kernels).next_multiple_of(WIDEST);
    let mut taps = vec![0.0; 9 * plane];
    for (index, kernel) in weight.chunks_exact(9).enumerate() {
        let (o, k) = (index / kernels, index % kernels);
        let at = (o / CHANNELS * kernels + k) * CHANNELS + o % CHANNELS;
        for (tap, &value) in kernel.iter().enumerate() {
            taps[tap * plane + at] = value;
        }
    }
    let mut transformed = vec![0.0; POINTS * plane];
    dispatch(Kernels { taps: &taps, points: &mut transformed, plane });
    transformed
}

struct Kernels<'a> {
    /// `[row, column, kernel]`
    taps: &'a [f32],
    /// `[point, kernel]`
    points: &'a mut [f32],
    plane: usize,
}

impl Kernel for Kernels<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        assert!(
            self.plane.is_multiple_of(L::WIDTH)
                && self.taps.len() >= 9 * self.plane
                && self.points.len() >= POINTS * self.plane,
            "buffers of the kernels are too short"
        );
        for at in (0..self.plane).step_by(L::WIDTH) {
            // SAFETY: `L` is the caller's promise; the lengths were just checked.
            unsafe {
                let mut rows = [[L::splat(0.0); 3]; PATCH];
                for column in 0..3 {
                    let mut taps = [L::splat(0.0); 3];
                    for (row, tap) in taps.iter_mut().enumerate() {
                        *tap = L::load(self.taps.as_ptr().add((3 * row + column) * self.plane + at));
                    }
                    for (row, value) in rows.iter_mut().zip(evaluate_kernel(taps)) {
                        row[column] = value;
                    }
                }
                for (row, taps) in rows.into_iter().enumerate() {
                    for (column, value) in evaluate_kernel(taps).into_iter().enumerate() {
                        value.store(self.points.as_mut_ptr().add((PATCH * row + column) * self.plane + at));
                    }
                }
            }
        }
    }
}

/// Patches of a slice of one channel.
struct ToPoints<'a> {
    /// Rows, four phases of `pitch` numbers each.
    phases: &'a [f32],
    pitch: usize,
    /// Tiles in a row.
    tiles: usize,
    rows: usize,
    /// Begins at the slice, `point` from one point to the next. What follows a row is overwritten up to a whole vector.
    x: &'a mut [f32],
    point: usize,
}

impl Kernel for ToPoints<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let whole = self.tiles.next_multiple_of(L::WIDTH);
        assert!(
            self.pitch > whole
                && self.phases.len() >= (TILE * self.rows + 2) * TILE * self.pitch
                && self.x.len() >= (POINTS - 1) * self.point + self.rows.saturating_sub(1) * self.tiles + whole,
            "buffers of the patches are too short"
        );
        for row in 0..self.rows {
            for tile in (0..self.tiles).step_by(L::WIDTH) {
                // SAFETY: `L` is the caller's promise; the lengths were just checked.
                unsafe {
                    let mut rows = [[L::splat(0.0); PATCH]; PATCH];
                    for column in 0..PATCH {
                        let start = column % TILE * self.pitch + tile + column / TILE;
                        let patch = self.phases.as_ptr().add(row * TILE * TILE * self.pitch + start);
                        let mut values = [L::splat(0.0); PATCH];
                        for (y, value) in values.iter_mut().enumerate() {
                            *value = L::load(patch.add(y * TILE * self.pitch));
                        }
                        for (row, value) in rows.iter_mut().zip(evaluate(values)) {
                            row[column] = value;
                        }
                    }
                    let target = self.x.as_mut_ptr().add(row * self.tiles + tile);
                    for (y, values) in rows.into_iter().enumerate() {
                        for (x, value) in evaluate(values).into_iter().enumerate() {
                            value.store(target.add((PATCH * y + x) * self.point));
                        }
                    }
                }
            }
        }
    }
}

/// Tiles of one output channel.
struct FromPoints<'a> {
    /// Begins at the channel, `point` from one point to the next.
    y: &'a [f32],
    point: usize,
    /// Tiles in a row.
    tiles: usize,
    /// Rows of tiles in a slice.
    rows: usize,
    slices: usize,
    bias: f32,
    /// Slices of a window, and its rows or columns.
    window: [usize; 2],
    /// Room for a row of tiles.
    values: &'a mut [f32],
    /// Zeros, to be raised to the maxima.
    pooled: &'a mut [f32],
    plane: usize,
    width: usize,
}

impl Kernel for FromPoints<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: `L` is the caller's promise.
        unsafe {
            match self.window[1] {
                1 => self.pool::<L, 1, TILE>(),
                _ => self.pool::<L, 2, { TILE / 2 }>(),
            }
        }
    }
}

impl FromPoints<'_> {
    /// # Safety
    /// The processor has the instructions of `L`.
    #[inline(always)]
    unsafe fn pool<L: Lanes, const WINDOW: usize, const SIDE: usize>(self) {
        let pitch = self.tiles.next_multiple_of(L::WIDTH);
        let rows = self.slices * self.rows;
        assert!(
            self.y.len() >= (POINTS - 1) * self.point + rows.saturating_sub(1) * self.tiles + pitch
                && self.values.len() >= SIDE * SIDE * pitch,
            "buffers of tiles are too short"
        );
        for slice in 0..self.slices {
            let target = &mut self.pooled[slice / self.window[0] * self.plane..][..self.plane];
            // Tiles may reach beyond the last row.
            for (row, target) in target.chunks_mut(SIDE * self.width).enumerate() {
                for tile in (0..self.tiles).step_by(L::WIDTH) {
                    // SAFETY: `L` is the caller's promise; the lengths were just checked.
                    unsafe {
                        let at = (slice * self.rows + row) * self.tiles + tile;
                        let source = self.y.as_ptr().add(at);
                        let target = self.values.as_mut_ptr().add(tile);
                        pool_tiles::<L, WINDOW, SIDE>(source, self.point, self.bias, target, pitch);
                    }
                }
                let values = self.values.chunks_exact(SIDE * pitch);
                for (target, values) in target.chunks_exact_mut(self.width).zip(values) {
                    raise::<SIDE>(target, values, pitch);
                }
            }
        }
    }
}

/// Interpolates and pools a vector of neighbouring tiles.
///
/// # Safety
/// The processor has the instructions of `L`; a vector can be read at `source` and every `point` from there, and written
/// to `target` and every `pitch` from there.
#[inline(always)]
unsafe fn pool_tiles<L: Lanes, const WINDOW: usize, const SIDE: usize>(
    source: *const f32,
    point: usize,
    bias: f32,
    target: *mut f32,
    pitch: usize,
) {
    // SAFETY: all reads and writes are those the caller vouches for.
    unsafe {
        let mut rows = [[L::splat(0.0); PATCH]; TILE];
        for column in 0..PATCH {
            let mut products = [L::splat(0.0); PATCH];
            for (row, product) in products.iter_mut().enumerate() {
                *product = L::load(source.add((PATCH * row + column) * point));
            }
            for (row, value) in rows.iter_mut().zip(interpolate(products)) {
                row[column] = value;
            }
        }
        let mut tile = [[L::splat(0.0); TILE]; TILE];
        for (values, products) in tile.iter_mut().zip(rows) {
            *values = interpolate(products);
        }
        // What is no number at any point is none in a corner, and then makes the whole tile none: a maximum alone
        // could hide it.
        let corners = tile[0][0].add(tile[0][3]).add(tile[3][0]).add(tile[3][3]);
        let bias = corners.mul_add(L::splat(0.0), L::splat(bias));
        for row in 0..SIDE {
            for column in 0..SIDE {
                let mut best = tile[row * WINDOW][column * WINDOW];
                for y in 0..WINDOW {
                    for x in 0..WINDOW {
                        best = best.max(tile[row * WINDOW + y][column * WINDOW + x]);
                    }
                }
                best.add(bias).max(L::splat(0.0)).store(target.add((row * SIDE + column) * pitch));
            }
        }
    }
}

/// Raises a row of outputs to what the tiles hold of it, `[column of the tile, tile]`.
#[inline(always)]
fn raise<const SIDE: usize>(row: &mut [f32], values: &[f32], pitch: usize) {
    let (whole, rest) = row.as_chunks_mut::<SIDE>();
    let tiles = whole.len();
    let mut columns = [&values[..0]; SIDE];
    for (column, values) in columns.iter_mut().zip(values.chunks_exact(pitch)) {
        *column = values;
    }
    for (tile, target) in whole.iter_mut().enumerate() {
        for (target, column) in target.iter_mut().zip(columns) {
            *target = maximum(*target, column[tile]);
        }
    }
    for (target, column) in rest.iter_mut().zip(columns) {
        *target = maximum(*target, column[tiles]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::{
        conv::forward_by_sums,
        correlation::{Epilogue, tests::noise},
        machine::{run_with, vectors},
    };

    fn conv(input: [usize; 5], outputs: usize, depth: usize, padding: [usize; 3]) -> Conv {
        Conv::new(input, [outputs, input[1], depth, 3, 3], [1; 3], padding).unwrap()
    }

    fn by_tiles_and_by_sums(conv: &Conv, window: [usize; 3], input: &[f32]) -> [Vec<f32>; 2] {
        let weight = noise(conv.outputs * conv.inputs * conv.taps());
        let bias = noise(conv.outputs);
        let tiles = Winograd::possible(conv, window).unwrap().run(input, &weight, Some(&bias));
        let sums = forward_by_sums(conv, input, &weight, Some(&bias), Epilogue::ReluPool(window));
        assert_eq!(tiles.len(), sums.len());
        [tiles, sums]
    }

    #[test]
    fn tiles_equal_sums() {
        // The last ones are worked on in several parts, along slices or along rows.
        let sizes = [
            ([1, 3, 3], 1),
            ([3, 4, 8], 3),
            ([5, 9, 17], 3),
            ([6, 50, 5], 3),
            ([4, 13, 70], 1),
            ([11, 23, 37], 3),
            ([2, 90, 70], 1),
        ];
        for (batch, inputs, outputs) in [(1, 1, 1), (2, 5, 6), (1, 16, 24)] {
            for ([slices, rows, columns], depth) in sizes {
                for padding in [[0; 3], [depth / 2, 1, 1], [1, 2, 0], [0, 1, 5]] {
                    let conv = conv([batch, inputs, slices, rows, columns], outputs, depth, padding);
                    let input = noise(batch * inputs * conv.input_channel());
                    for window in [[1; 3], [1, 2, 2], [2; 3], [3, 1, 1]] {
                        let [tiles, sums] = by_tiles_and_by_sums(&conv, window, &input);
                        let largest = sums.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
                        for (a, b) in tiles.iter().zip(&sums) {
                            assert!((a - b).abs() < 3e-6 * largest, "{conv:?} {window:?}: {a} {b}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_broken_input_stays_visible() {
        for padding in [[0; 3], [0, 1, 1]] {
            let conv = conv([1, 2, 1, 18, 14], 3, 1, padding);
            for broken in 0..conv.input_channel() {
                let mut input = noise(conv.inputs * conv.input_channel());
                input[broken] = f32::NAN;
                let [tiles, sums] = by_tiles_and_by_sums(&conv, [1, 2, 2], &input);
                assert!(sums.iter().any(|value| value.is_nan()));
                assert!(tiles.iter().zip(&sums).all(|(tile, sum)| tile.is_nan() || !sum.is_nan()), "{broken}");
            }
        }
    }

    #[test]
    fn every_vector_width_convolves_tiles_as_the_sum_says() {
        const TILES: usize = 19;
        const ROWS: usize = 2;
        const WIDTH: usize = TILE * TILES;
        const PITCH: usize = 2 * WIDEST + 1;
        const POINT: usize = ROWS * TILES + 2 * WIDEST;
        let input = noise((TILE * ROWS + 2) * (WIDTH + 2));
        let mut phases = vec![0.0; (TILE * ROWS + 2) * TILE * PITCH];
        for (row, phases) in input.chunks_exact(WIDTH + 2).zip(phases.chunks_exact_mut(TILE * PITCH)) {
            split(row, 0, PITCH, phases);
        }
        let kernel = noise(9);
        let mut taps = vec![0.0; 9 * WIDEST];
        for (taps, &value) in taps.chunks_exact_mut(WIDEST).zip(&kernel) {
            taps[WIDEST - 1] = value;
        }
        for name in vectors() {
            let mut points = vec![0.0; POINTS * WIDEST];
            run_with(name, Kernels { taps: &taps, points: &mut points, plane: WIDEST });
            let mut x = vec![0.0; POINTS * POINT];
            run_with(
                name,
                ToPoints { phases: &phases, pitch: PITCH, tiles: TILES, rows: ROWS, x: &mut x, point: POINT },
            );
            for (x, points) in x.chunks_exact_mut(POINT).zip(points.chunks_exact(WIDEST)) {
                for x in x.iter_mut() {
                    *x *= points[WIDEST - 1];
                }
            }
            let mut pooled = vec![0.0; TILE * ROWS * WIDTH];
            run_with(
                name,
                FromPoints {
                    y: &x,
                    point: POINT,
                    tiles: TILES,
                    rows: ROWS,
                    slices: 1,
                    bias: 0.25,
                    window: [1, 1],
                    values: &mut [0.0; TILE * TILE * 2 * WIDEST],
                    pooled: &mut pooled,
                    plane: TILE * ROWS * WIDTH,
                    width: WIDTH,
                },
            );
            for (at, value) in pooled.iter().enumerate() {
                let start = at / WIDTH * (WIDTH + 2) + at % WIDTH;
                let products = kernel.iter().enumerate().map(|(k, w)| w * input[start + k / 3 * (WIDTH + 2) + k % 3]);
                let sum = (0.25 + products.sum::<f32>()).max(0.0);
                assert!((value - sum).abs() < 1e-5, "{name}: {value} {sum}");
            }
        }
    }
}
