//! Sums of shifted inputs on a register tile of [`CHANNELS`] output channels by a few vectors of neighbouring outputs: the
//! convolution, and the gradient of its input.

use super::{
    conv::{CHANNELS, Conv, MULTIPLE, SCRATCH, pack_input, starts},
    geometry::Packing,
    machine::{Kernel, Lanes, dispatch, for_each},
    shared::Shared,
};

/// What is done to the outputs of a convolution before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// Nothing.
    Store,
    /// `ReLU`, then the maximum over windows `[depth, height, width]`.
    ReluPool([usize; 3]),
}

/// Weights in the order in which a register tile reads them: by block of output channels, input channel, tap, channel of
/// the block. Blocks are filled up with zeros.
pub(super) struct PackedWeight(Vec<f32>);

impl PackedWeight {
    pub(super) fn new(outputs: usize, inputs: usize, taps: usize, at: impl Fn(usize, usize, usize) -> f32) -> Self {
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

/// Convolves an input `[batch, inputs, ..]` with a packed weight.
pub(super) fn correlate(
    conv: &Conv,
    input: &[f32],
    weight: &PackedWeight,
    bias: Option<&[f32]>,
    epilogue: Epilogue,
) -> Vec<f32> {
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
            Correlation {
                x,
                channel: packing.channel(),
                inputs: conv.inputs,
                offsets: &packing.taps(),
                weight: &weight.0,
                bias: &padded_bias,
                y,
                pitch,
                outputs: conv.outputs,
            }
            .compute();
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
            let mut first = true;
            for z in z * depth..(z + 1) * depth {
                for y in y * height..(y + 1) * height {
                    let source = &packed[packing.output_row(z, y)..][..row * width];
                    // Windows of a size known to the compiler become vectors.
                    match width {
                        1 => raise(target, source.as_chunks::<1>().0, first),
                        2 => raise(target, source.as_chunks::<2>().0, first),
                        _ => {
                            for (target, window) in target.iter_mut().zip(source.chunks_exact(width)) {
                                let best = if first { 0.0 } else { *target };
                                *target = window.iter().copied().fold(best, maximum);
                            }
                        }
                    }
                    first = false;
                }
            }
        }
    }
}

/// Raises each of `maxima` to the largest of its window, at `first` from the zero of `ReLU`.
fn raise<const WIDTH: usize>(maxima: &mut [f32], windows: &[[f32; WIDTH]], first: bool) {
    for (best, window) in maxima.iter_mut().zip(windows) {
        *best = window.iter().copied().fold(if first { 0.0 } else { *best }, maximum);
    }
}

/// The larger one; NaN if `value` is, so that a broken input stays visible.
pub(super) fn maximum(best: f32, value: f32) -> f32 {
    if (value > best) | value.is_nan() { value } else { best }
}

/// `y[o] = bias[o] + sum over i, k of weight[o, i, k] * x[i]` shifted by `offsets[k]`.
pub(super) struct Correlation<'a> {
    pub(super) x: &'a [f32],
    /// Distance between channels of `x`.
    pub(super) channel: usize,
    pub(super) inputs: usize,
    pub(super) offsets: &'a [usize],
    /// As [`PackedWeight`] holds it.
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) y: &'a mut [f32],
    /// Distance between channels of `y`, and number of outputs of each.
    pub(super) pitch: usize,
    pub(super) outputs: usize,
}

impl Correlation<'_> {
    /// Never inlined: the register tiles are much code, and there are two callers.
    #[inline(never)]
    pub(super) fn compute(self) {
        dispatch(self);
    }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernels::cpu::machine::{run_with, vectors};

    const INPUTS: usize = 3;
    const CHANNEL: usize = 200;
    const PITCH: usize = 2 * MULTIPLE;
    const OFFSETS: [usize; 4] = [0, 1, 17, 40];

    /// Numbers without pattern.
    pub(crate) fn noise(len: usize) -> Vec<f32> {
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
}
