//! 3D convolution and its gradients.
//!
//! Every pass works on the packed form of [`super::geometry`], a few slices at a time so that it stays in the processor's
//! second-level cache. Blocks at inference run by tiles instead where that is faster ([`super::winograd`]).

use super::{
    correlation::{Epilogue, PackedWeight, correlate},
    geometry::{Axis, Packing},
    winograd::Winograd,
};

pub(crate) use super::weight_gradient::weight_gradient;

/// Channels of a register tile.
pub(super) const CHANNELS: usize = 4;
/// A multiple of the neighbouring outputs of a register tile of every [`super::machine::Lanes`], to which buffers are
/// filled up.
pub(super) const MULTIPLE: usize = 48;
/// Numbers of packed input and output worked on at a time: 512 KiB, half of a usual second-level cache.
const CACHE: usize = 128 * 1024;

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

    /// Weights of an input channel and an output channel.
    pub(crate) fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    pub(super) fn input_channel(&self) -> usize {
        self.axes.iter().map(|a| a.input).product()
    }

    pub(super) fn output_channel(&self) -> usize {
        self.axes.iter().map(|a| a.output).product()
    }

    pub(super) fn output_plane(&self) -> usize {
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

    pub(super) fn part(&self, start: usize, count: usize) -> Packing {
        let [z, y, x] = self.axes;
        Packing::new([z.part(start, count), y, x])
    }

    /// The parts of the work: sample, first output slice and number of output slices.
    pub(super) fn parts(&self, multiple: usize) -> Vec<(usize, usize, usize)> {
        let slices = self.slices(multiple);
        let depth = self.axes[0].output;
        (0..self.batch).flat_map(|n| (0..depth).step_by(slices).map(move |z| (n, z, slices.min(depth - z)))).collect()
    }
}

/// Convolves `input` `[batch, inputs, ..]` with `weight` `[outputs, inputs, taps]`.
pub(crate) fn forward(
    conv: &Conv,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue,
) -> Vec<f32> {
    if let Epilogue::ReluPool(window) = epilogue
        && let Some(winograd) = Winograd::new(conv, window)
    {
        return winograd.run(input, weight, bias);
    }
    forward_by_sums(conv, input, weight, bias, epilogue)
}

/// The same by sums of shifted inputs, whatever the convolution.
pub(super) fn forward_by_sums(
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

/// Packs sample `n` so that it can be read for `outputs` packed outputs.
pub(super) fn pack_input(
    conv: &Conv,
    packing: Packing,
    input: &[f32],
    n: usize,
    outputs: usize,
    packed: &mut Vec<f32>,
) {
    let channel = conv.input_channel();
    packed.clear();
    packed.resize(packing.buffer_len(conv.inputs, outputs), 0.0);
    let sample = &input[n * conv.inputs * channel..][..conv.inputs * channel];
    for (source, target) in sample.chunks_exact(channel).zip(packed.chunks_exact_mut(packing.channel())) {
        packing.pack(source, target);
    }
}

/// Where the values of each weight, input channels by taps, start in the packed input.
pub(super) fn starts(inputs: usize, channel: usize, offsets: &[usize]) -> Vec<usize> {
    (0..inputs).flat_map(|i| offsets.iter().map(move |o| i * channel + o)).collect()
}

thread_local! {
    /// Packed input and output of the part at work.
    pub(super) static SCRATCH: std::cell::RefCell<(Vec<f32>, Vec<f32>)> = const {
        std::cell::RefCell::new((Vec::new(), Vec::new()))
    };
}
