//! Gradient of the weight of a convolution: sums over products of the output's gradient with shifted inputs, as many at a
//! time as fit in registers.

use super::{
    conv::{CHANNELS, Conv, MULTIPLE, SCRATCH, pack_input, starts},
    geometry::Packing,
    machine::{Kernel, Lanes, dispatch, for_each},
    shared::Shared,
};

/// Weights of a register tile a channel, which are sums over products of as many shifted inputs.
const SHIFTS: usize = 3;
/// Neighbouring outputs over which is summed at a time: their four rows fill half of the first-level cache.
const RUN: usize = 1024;
/// Partial sums. Fixed, so that the result does not depend on the number of threads.
const PARTIAL_SUMS: usize = 16;

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
        let starts = starts(self.inputs, self.channel, self.offsets);
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
    use crate::kernels::cpu::{
        correlation::tests::noise,
        machine::{run_with, vectors},
    };

    const INPUTS: usize = 3;
    const CHANNEL: usize = 200;
    const PITCH: usize = 2 * MULTIPLE;
    const OFFSETS: [usize; 4] = [0, 1, 17, 40];

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
