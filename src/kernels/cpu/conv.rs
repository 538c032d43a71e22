//! 3D convolution and its gradients.
//!
//! Every pass works on the packed form of [`super::geometry`], a few slices at a time so that it stays in the processor's
//! second-level cache, on a register tile of [`CHANNELS`] output channels by a few vectors of neighbouring outputs.

use super::{
    geometry::{Axis, Packing},
    machine::{Kernel, Lanes, dispatch, for_each},
    shared::Shared,
};

/// Output channels of a register tile.
const CHANNELS: usize = 4;
/// Weights of a register tile of the weight gradient, which are sums over products of as many shifted inputs.
const SHIFTS: usize = 3;
/// A multiple of the neighbouring outputs of a register tile of every [`Lanes`], to which buffers are filled up.
const MULTIPLE: usize = 48;
/// Numbers of packed input and output worked on at a time: 512 KiB, half of a usual second-level cache.
const CACHE: usize = 128 * 1024;
/// Neighbouring outputs over which weight gradients are summed at a time: their four rows fill half of the first-level cache.
const RUN: usize = 1024;
/// Partial sums of the weight gradient. Fixed, so that the result does not depend on the number of threads.
const PARTIAL_SUMS: usize = 16;

/// Shapes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conv {
    /// Samples.
    pub(crate) batch: usize,
    /// Input channels.
    pub(crate) inputs: usize,
    /// Output channels.
    pub(crate) outputs: usize,
    /// Depth, height, width.
    pub(crate) axes: [Axis; 3],
}

impl Conv {
    /// The convolution of an input `[batch, inputs, depth, height, width]` with a weight `[outputs, inputs, depth, height,
    /// width]`; `None` if it is empty or the channels differ.
    pub(crate) fn new(
        [batch, inputs, depth, height, width]: [usize; 5],
        [outputs, weight_inputs, kz, ky, kx]: [usize; 5],
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> Option<Self> {
        let z = Axis::new(depth, kz, stride[0], padding[0])?;
        let y = Axis::new(height, ky, stride[1], padding[1])?;
        let x = Axis::new(width, kx, stride[2], padding[2])?;
        (inputs == weight_inputs && batch * inputs * outputs > 0).then_some(Self {
            batch,
            inputs,
            outputs,
            axes: [z, y, x],
        })
    }

    pub(crate) fn input_shape(&self) -> [usize; 5] {
        let [z, y, x] = self.axes.map(|a| a.input);
        [self.batch, self.inputs, z, y, x]
    }

    pub(crate) fn output_shape(&self) -> [usize; 5] {
        let [z, y, x] = self.axes.map(|a| a.output);
        [self.batch, self.outputs, z, y, x]
    }

    pub(crate) fn weight_shape(&self) -> [usize; 5] {
        let [z, y, x] = self.axes.map(|a| a.kernel);
        [self.outputs, self.inputs, z, y, x]
    }

    fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    fn input_channel(&self) -> usize {
        self.axes.iter().map(|a| a.input).product()
    }

    fn output_channel(&self) -> usize {
        self.axes.iter().map(|a| a.output).product()
    }

    fn output_plane(&self) -> usize {
        self.axes[1].output * self.axes[2].output
    }

    /// Output slices worked on at a time, a multiple of `multiple`.
    fn slices(&self, multiple: usize) -> usize {
        let at = |slices| {
            let packing = self.part(0, slices);
            self.inputs * packing.channel() + self.outputs * packing.output_len()
        };
        let [one, two] = [at(1), at(2)];
        let more = CACHE.saturating_sub(one) / (two - one).max(1);
        let slices = (1 + more).next_multiple_of(multiple);
        // Parts of equal size, so that threads finish together.
        let depth = self.axes[0].output;
        depth.div_ceil(depth.div_ceil(slices).max(1)).next_multiple_of(multiple)
    }

    fn part(&self, start: usize, count: usize) -> Packing {
        let [z, y, x] = self.axes;
        Packing::new([z.part(start, count), y, x])
    }

    /// The parts of the work: sample, first output slice and number of output slices.
    fn parts(&self, multiple: usize) -> Vec<(usize, usize, usize)> {
        let slices = self.slices(multiple);
        let depth = self.axes[0].output;
        (0..self.batch).flat_map(|n| (0..depth).step_by(slices).map(move |z| (n, z, slices.min(depth - z)))).collect()
    }
}

/// What is done to the outputs of a convolution before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// Nothing.
    Store,
    /// ReLU, then the maximum over windows `[depth, height, width]`.
    ReluPool([usize; 3]),
}

/// Convolves `input` `[batch, inputs, ..]` with `weight` `[outputs, inputs, taps]`.
pub(crate) fn forward(
    conv: &Conv,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue,
) -> Vec<f32> {
    let taps = conv.taps();
    let weight = PackedWeight::new(conv.outputs, conv.inputs, taps, |o, i, k| weight[(o * conv.inputs + i) * taps + k]);
    correlate(conv, input, &weight, bias, epilogue)
}

/// Gradient of the input from `gradient`, that of the output.
pub(crate) fn input_gradient(conv: &Conv, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    let taps = conv.taps();
    let adjoint =
        Conv { batch: conv.batch, inputs: conv.outputs, outputs: conv.inputs, axes: conv.axes.map(Axis::adjoint) };
    let weight = PackedWeight::new(conv.inputs, conv.outputs, taps, |i, o, k| {
        weight[(o * conv.inputs + i) * taps + (taps - 1 - k)]
    });
    correlate(&adjoint, gradient, &weight, None, Epilogue::Store)
}

/// Gradient of the weight from the input and `gradient`, that of the output.
pub(crate) fn weight_gradient(conv: &Conv, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let weights = conv.outputs * conv.inputs * conv.taps();
    let parts = conv.parts(1);
    let partial_sums = PARTIAL_SUMS.min(parts.len());
    let mut partial = vec![0.0; partial_sums * weights];
    let shared = Shared::new(&mut partial);
    for_each(partial_sums, |group| {
        // SAFETY: every group has its own run of `partial`.
        let sums = unsafe { shared.run(group * weights, weights) };
        SCRATCH.with_borrow_mut(|(x, dy)| {
            for &(n, start, count) in parts.iter().skip(group).step_by(partial_sums) {
                let packing = conv.part(start, count);
                let pitch = packing.output_len().next_multiple_of(MULTIPLE);
                pack_input(conv, packing, input, n, pitch, x);
                pack_gradient(conv, packing, gradient, (n, start, count), pitch, dy);
                dispatch(WeightGradient {
                    x,
                    channel: packing.channel(),
                    inputs: conv.inputs,
                    offsets: &packing.taps(),
                    dy,
                    pitch,
                    outputs: conv.outputs,
                    sums,
                });
            }
        });
    });
    let mut sum = vec![0.0; weights];
    for part in partial.chunks_exact(weights) {
        for (sum, value) in sum.iter_mut().zip(part) {
            *sum += value;
        }
    }
    sum
}

/// Weights in the order in which a register tile reads them: by block of output channels, input channel, tap, channel of
/// the block. Blocks are filled up with zeros.
struct PackedWeight(Vec<f32>);

impl PackedWeight {
    fn new(outputs: usize, inputs: usize, taps: usize, at: impl Fn(usize, usize, usize) -> f32) -> Self {
        let mut packed = Vec::with_capacity(outputs.next_multiple_of(CHANNELS) * inputs * taps);
        for block in (0..outputs).step_by(CHANNELS) {
            for i in 0..inputs {
                for k in 0..taps {
                    packed.extend((block..block + CHANNELS).map(|o| if o < outputs { at(o, i, k) } else { 0.0 }));
                }
            }
        }
        Self(packed)
    }
}

fn pack_input(conv: &Conv, packing: Packing, input: &[f32], n: usize, outputs: usize, packed: &mut Vec<f32>) {
    let channel = conv.input_channel();
    packed.clear();
    packed.resize(packing.buffer_len(conv.inputs, outputs), 0.0);
    let sample = &input[n * conv.inputs * channel..][..conv.inputs * channel];
    for (source, target) in sample.chunks_exact(channel).zip(packed.chunks_exact_mut(packing.channel())) {
        packing.pack(source, target);
    }
}

/// Packs the gradient of the output with zeros where there is no output.
fn pack_gradient(
    conv: &Conv,
    packing: Packing,
    gradient: &[f32],
    (n, start, count): (usize, usize, usize),
    pitch: usize,
    packed: &mut Vec<f32>,
) {
    let (channel, plane, width) = (conv.output_channel(), conv.output_plane(), conv.axes[2].output);
    packed.clear();
    packed.resize(conv.outputs * pitch, 0.0);
    for (o, target) in packed.chunks_exact_mut(pitch).enumerate() {
        let source = &gradient[(n * conv.outputs + o) * channel + start * plane..][..count * plane];
        for (z, source) in source.chunks_exact(plane).enumerate() {
            for (y, source) in source.chunks_exact(width).enumerate() {
                target[packing.output_row(z, y)..][..width].copy_from_slice(source);
            }
        }
    }
}

fn correlate(conv: &Conv, input: &[f32], weight: &PackedWeight, bias: Option<&[f32]>, epilogue: Epilogue) -> Vec<f32> {
    let window = match epilogue {
        Epilogue::Store => [1; 3],
        Epilogue::ReluPool(window) => window,
    };
    let pooled: [usize; 3] = std::array::from_fn(|i| conv.axes[i].output / window[i]);
    let channel: usize = pooled.iter().product();
    let mut output = vec![0.0; conv.batch * conv.outputs * channel];
    if channel == 0 {
        return output;
    }
    let mut padded_bias = vec![0.0; conv.outputs.next_multiple_of(CHANNELS)];
    if let Some(bias) = bias {
        padded_bias[..conv.outputs].copy_from_slice(bias);
    }
    let shared = Shared::new(&mut output);
    let parts = conv.parts(window[0]);
    for_each(parts.len(), |index| {
        let (n, start, count) = parts[index];
        let packing = conv.part(start, count);
        let pitch = packing.output_len().next_multiple_of(MULTIPLE);
        SCRATCH.with_borrow_mut(|(x, y)| {
            pack_input(conv, packing, input, n, pitch, x);
            y.resize(conv.outputs.next_multiple_of(CHANNELS) * pitch, 0.0);
            dispatch(Correlation {
                x,
                channel: packing.channel(),
                inputs: conv.inputs,
                offsets: &packing.taps(),
                weight: &weight.0,
                bias: &padded_bias,
                y,
                pitch,
                outputs: conv.outputs,
            });
            for o in 0..conv.outputs {
                let at = (n * conv.outputs + o) * channel + start / window[0] * pooled[1] * pooled[2];
                let len = count / window[0] * pooled[1] * pooled[2];
                // SAFETY: parts are different slices of different samples.
                let target = unsafe { shared.run(at, len) };
                let source = &y[o * pitch..][..pitch];
                match epilogue {
                    Epilogue::Store => unpack(conv, packing, source, target),
                    Epilogue::ReluPool(window) => {
                        relu_pool(packing, source, target, window, pooled);
                    }
                }
            }
        });
    });
    output
}

thread_local! {
    /// Packed input and output of the part at work.
    static SCRATCH: std::cell::RefCell<(Vec<f32>, Vec<f32>)> = const {
        std::cell::RefCell::new((Vec::new(), Vec::new()))
    };
}

fn unpack(conv: &Conv, packing: Packing, packed: &[f32], target: &mut [f32]) {
    let width = conv.axes[2].output;
    for (z, plane) in target.chunks_exact_mut(conv.output_plane()).enumerate() {
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            row.copy_from_slice(&packed[packing.output_row(z, y)..][..width]);
        }
    }
}

fn relu_pool(
    packing: Packing,
    packed: &[f32],
    target: &mut [f32],
    [depth, height, width]: [usize; 3],
    [_, rows, row]: [usize; 3],
) {
    for (z, plane) in target.chunks_exact_mut(rows * row).enumerate() {
        for (y, target) in plane.chunks_exact_mut(row).enumerate() {
            // The zeros of ReLU.
            target.fill(0.0);
            for dz in 0..depth {
                for dy in 0..height {
                    let source = &packed[packing.output_row(z * depth + dz, y * height + dy)..][..row * width];
                    for (target, window) in target.iter_mut().zip(source.chunks_exact(width)) {
                        for &value in window {
                            *target = maximum(*target, value);
                        }
                    }
                }
            }
        }
    }
}

/// The larger one; NaN if `value` is, so that a broken input stays visible.
fn maximum(best: f32, value: f32) -> f32 {
    if value > best || value.is_nan() { value } else { best }
}

/// Where the values of each weight, input channels by taps, start in the packed input.
fn starts(inputs: usize, channel: usize, offsets: &[usize]) -> Vec<usize> {
    (0..inputs).flat_map(|i| offsets.iter().map(move |o| i * channel + o)).collect()
}

/// `y[o] = bias[o] + sum over i, k of weight[o, i, k] * x[i]` shifted by `offsets[k]`.
struct Correlation<'a> {
    x: &'a [f32],
    channel: usize,
    inputs: usize,
    offsets: &'a [usize],
    weight: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    pitch: usize,
    outputs: usize,
}

impl Kernel for Correlation<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let step = L::VECTORS * L::WIDTH;
        let block = self.inputs * self.offsets.len() * CHANNELS;
        let reach = self.offsets.iter().max().unwrap_or(&0) + self.pitch;
        assert!(
            self.pitch.is_multiple_of(step)
                && self.x.len() + self.channel >= self.inputs * self.channel + reach
                && self.y.len() >= self.outputs.next_multiple_of(CHANNELS) * self.pitch
                && self.bias.len() >= self.outputs.next_multiple_of(CHANNELS)
                && self.weight.len() >= self.outputs.div_ceil(CHANNELS) * block,
            "buffers of a convolution are too short"
        );
        let starts = starts(self.inputs, self.channel, self.offsets);
        for p in (0..self.pitch).step_by(step) {
            for (o, weight) in (0..self.outputs).step_by(CHANNELS).zip(self.weight.chunks_exact(block)) {
                // SAFETY: `L` is the caller's promise; the lengths were just checked.
                unsafe {
                    let tile = Tile {
                        x: self.x.as_ptr().add(p),
                        starts: &starts,
                        weight: weight.as_ptr(),
                        bias: self.bias.as_ptr().add(o),
                        y: self.y.as_mut_ptr().add(o * self.pitch + p),
                        pitch: self.pitch,
                    };
                    match (self.outputs - o, L::VECTORS) {
                        (1, 2) => tile.run::<L, 1, 2>(),
                        (2, 2) => tile.run::<L, 2, 2>(),
                        (3, 2) => tile.run::<L, 3, 2>(),
                        (_, 2) => tile.run::<L, CHANNELS, 2>(),
                        (1, _) => tile.run::<L, 1, 3>(),
                        (2, _) => tile.run::<L, 2, 3>(),
                        (3, _) => tile.run::<L, 3, 3>(),
                        (_, _) => tile.run::<L, CHANNELS, 3>(),
                    }
                }
            }
        }
    }
}

struct Tile<'a> {
    x: *const f32,
    starts: &'a [usize],
    weight: *const f32,
    bias: *const f32,
    y: *mut f32,
    pitch: usize,
}

impl Tile<'_> {
    /// # Safety
    /// The processor has the instructions of `L`; `V` vectors can be read at every start and written to `M` rows of
    /// `y`; weight and bias are blocks of [`CHANNELS`], one a start.
    #[inline(always)]
    unsafe fn run<L: Lanes, const M: usize, const V: usize>(self) {
        // SAFETY: all reads and writes are those the caller vouches for.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; M];
            let mut weight = self.weight;
            for &start in self.starts {
                let from = self.x.add(start);
                let mut values = [L::splat(0.0); V];
                for (v, value) in values.iter_mut().enumerate() {
                    *value = L::load(from.add(v * L::WIDTH));
                }
                for (m, sums) in sums.iter_mut().enumerate() {
                    let w = L::splat(*weight.add(m));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = value.mul_add(w, *sum);
                    }
                }
                weight = weight.add(CHANNELS);
            }
            // The bias comes last: sums that start from it make compilers keep one of them in memory.
            for (m, sums) in sums.iter().enumerate() {
                let bias = L::splat(*self.bias.add(m));
                for (v, sum) in sums.iter().enumerate() {
                    sum.add(bias).store(self.y.add(m * self.pitch + v * L::WIDTH));
                }
            }
        }
    }
}

/// `sums[o, i, k] += sum over p of dy[o, p] * x[i, p + offsets[k]]`.
struct WeightGradient<'a> {
    x: &'a [f32],
    channel: usize,
    inputs: usize,
    offsets: &'a [usize],
    dy: &'a [f32],
    pitch: usize,
    outputs: usize,
    sums: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let taps = self.offsets.len();
        let columns = self.inputs * taps;
        let reach = self.offsets.iter().max().unwrap_or(&0) + self.pitch;
        assert!(
            self.pitch.is_multiple_of(L::WIDTH)
                && self.x.len() + self.channel >= self.inputs * self.channel + reach
                && self.dy.len() >= self.outputs * self.pitch
                && self.sums.len() >= self.outputs * columns,
            "buffers of a weight gradient are too short"
        );
        // Where the row of each weight starts in `x`; filled up so that blocks of three can be read.
        let starts: Vec<usize> =
            (0..self.inputs).flat_map(|i| self.offsets.iter().map(move |o| i * self.channel + o)).collect();
        for p in (0..self.pitch).step_by(RUN) {
            let vectors = RUN.min(self.pitch - p) / L::WIDTH;
            for o in (0..self.outputs).step_by(CHANNELS) {
                for (t, starts) in starts.chunks(SHIFTS).enumerate() {
                    // SAFETY: `L` is the caller's promise; the lengths were just checked.
                    unsafe {
                        let dot = Dot {
                            x: self.x.as_ptr().add(p),
                            starts,
                            dy: self.dy.as_ptr().add(o * self.pitch + p),
                            pitch: self.pitch,
                            vectors,
                            sums: self.sums.as_mut_ptr().add(o * columns + t * SHIFTS),
                            columns,
                        };
                        match (self.outputs - o, starts.len()) {
                            (1, 1) => dot.run::<L, 1, 1>(),
                            (1, 2) => dot.run::<L, 1, 2>(),
                            (1, _) => dot.run::<L, 1, 3>(),
                            (2, 1) => dot.run::<L, 2, 1>(),
                            (2, 2) => dot.run::<L, 2, 2>(),
                            (2, _) => dot.run::<L, 2, 3>(),
                            (3, 1) => dot.run::<L, 3, 1>(),
                            (3, 2) => dot.run::<L, 3, 2>(),
                            (3, _) => dot.run::<L, 3, 3>(),
                            (_, 1) => dot.run::<L, 4, 1>(),
                            (_, 2) => dot.run::<L, 4, 2>(),
                            (_, _) => dot.run::<L, 4, 3>(),
                        }
                    }
                }
            }
        }
    }
}

struct Dot<'a> {
    x: *const f32,
    starts: &'a [usize],
    dy: *const f32,
    pitch: usize,
    vectors: usize,
    sums: *mut f32,
    columns: usize,
}

impl Dot<'_> {
    /// Adds the dot products of `M` rows of `dy` with `T` rows of `x` to `sums`.
    ///
    /// # Safety
    /// The processor has the instructions of `L`; `vectors` vectors can be read of every row; there are `T` starts.
    #[inline(always)]
    unsafe fn run<L: Lanes, const M: usize, const T: usize>(self) {
        // SAFETY: all reads and writes are those the caller vouches for.
        unsafe {
            let rows: [*const f32; T] = std::array::from_fn(|t| self.x.add(self.starts[t]));
            let mut sums = [[L::splat(0.0); T]; M];
            for v in 0..self.vectors {
                let p = v * L::WIDTH;
                let mut x = [L::splat(0.0); T];
                for (x, row) in x.iter_mut().zip(rows) {
                    *x = L::load(row.add(p));
                }
                for (m, sums) in sums.iter_mut().enumerate() {
                    let dy = L::load(self.dy.add(m * self.pitch + p));
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = x.mul_add(dy, *sum);
                    }
                }
            }
            for (m, sums) in sums.iter().enumerate() {
                for (t, sum) in sums.iter().enumerate() {
                    *self.sums.add(m * self.columns + t) += sum.sum();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::machine::{run_with, vectors};

    const INPUTS: usize = 3;
    const CHANNEL: usize = 200;
    const PITCH: usize = 2 * MULTIPLE;
    const OFFSETS: [usize; 4] = [0, 1, 17, 40];

    /// Numbers without pattern.
    fn noise(len: usize) -> Vec<f32> {
        let mut state = 1_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .take(len)
        .collect()
    }

    #[test]
    fn every_vector_width_convolves_as_the_sum_says() {
        let x = noise(INPUTS * CHANNEL + OFFSETS[3] + PITCH);
        for outputs in 1..9 {
            let weights = noise(outputs * INPUTS * OFFSETS.len());
            let weight = |o: usize, i: usize, k: usize| weights[(o * INPUTS + i) * OFFSETS.len() + k];
            let packed = PackedWeight::new(outputs, INPUTS, OFFSETS.len(), weight);
            let bias = noise(outputs.next_multiple_of(CHANNELS));
            for name in vectors() {
                let mut y = vec![0.0; outputs.next_multiple_of(CHANNELS) * PITCH];
                run_with(
                    name,
                    Correlation {
                        x: &x,
                        channel: CHANNEL,
                        inputs: INPUTS,
                        offsets: &OFFSETS,
                        weight: &packed.0,
                        bias: &bias,
                        y: &mut y,
                        pitch: PITCH,
                        outputs,
                    },
                );
                for o in 0..outputs {
                    for p in 0..PITCH {
                        let mut sum = bias[o];
                        for i in 0..INPUTS {
                            for (k, offset) in OFFSETS.iter().enumerate() {
                                sum += weight(o, i, k) * x[i * CHANNEL + p + offset];
                            }
                        }
                        assert!((y[o * PITCH + p] - sum).abs() < 1e-5, "{name}, {outputs} outputs");
                    }
                }
            }
        }
    }

    #[test]
    fn every_vector_width_sums_weight_gradients_as_the_sum_says() {
        let x = noise(INPUTS * CHANNEL + OFFSETS[3] + PITCH);
        for (outputs, taps) in (1..9).flat_map(|o| (1..=OFFSETS.len()).map(move |t| (o, t))) {
            let dy = noise(outputs * PITCH);
            for name in vectors() {
                let mut sums = vec![1.0; outputs * INPUTS * taps];
                run_with(
                    name,
                    WeightGradient {
                        x: &x,
                        channel: CHANNEL,
                        inputs: INPUTS,
                        offsets: &OFFSETS[..taps],
                        dy: &dy,
                        pitch: PITCH,
                        outputs,
                        sums: &mut sums,
                    },
                );
                for (at, got) in sums.iter().enumerate() {
                    let (o, i, k) = (at / taps / INPUTS, at / taps % INPUTS, at % taps);
                    let sum: f32 = (0..PITCH).map(|p| dy[o * PITCH + p] * x[i * CHANNEL + p + OFFSETS[k]]).sum();
                    assert!((got - 1.0 - sum).abs() < 1e-4, "{name}, {outputs} outputs");
                }
            }
        }
    }
}
