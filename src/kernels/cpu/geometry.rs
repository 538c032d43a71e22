//! Where the values of a convolution lie: shapes, and the packed form in which it runs.
//!
//! Packed, a channel is one run of numbers in which rows follow each other at a fixed pitch with the zeros of the padding
//! between them. A tap of the kernel is then a constant offset, and the convolution a sum of shifted runs, whatever the
//! width of a row: outputs that fall on the padding are computed too and thrown away (2 % to 10 % of them). The zeros
//! behind a row serve as those in front of the next. A stride splits the input into its phases, each packed on its own,
//! which leaves a convolution of stride 1.

/// One axis of a convolution: output `o` sums over taps `k` what lies at `stride * o + k` on an axis where input `i` sits
/// at `padding + dilation * i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Number of inputs.
    pub(crate) input: usize,
    /// Number of outputs.
    pub(crate) output: usize,
    /// Number of taps.
    pub(crate) kernel: usize,
    /// Step between neighbouring outputs.
    pub(crate) stride: usize,
    dilation: usize,
    /// Places before the first input.
    pub(crate) padding: isize,
}

impl Axis {
    /// The axis of a forward convolution; `None` if not even one output fits or the stride is 0.
    pub(crate) fn new(input: usize, kernel: usize, stride: usize, padding: usize) -> Option<Self> {
        let room = (input + 2 * padding).checked_sub(kernel)?;
        (stride > 0 && kernel > 0 && input > 0).then(|| Self {
            input,
            output: room / stride + 1,
            kernel,
            stride,
            dilation: 1,
            padding: padding as isize,
        })
    }

    /// The axis along which the gradient of the output becomes the gradient of the input, with the kernel reversed.
    pub(super) fn adjoint(self) -> Self {
        Self {
            input: self.output,
            output: self.input,
            kernel: self.kernel,
            stride: 1,
            dilation: self.stride,
            padding: self.kernel as isize - 1 - self.padding,
        }
    }

    /// The outputs from `start` on, `count` of them.
    pub(super) fn part(self, start: usize, count: usize) -> Self {
        Self { output: count, padding: self.padding - (self.stride * start) as isize, ..self }
    }

    /// The zeros in front of an axis on which outputs and inputs lie equally close.
    pub(super) fn dense_padding(self) -> Option<usize> {
        (self.stride == 1 && self.dilation == 1).then_some(usize::try_from(self.padding).ok()).flatten()
    }

    /// Distance between neighbouring rows (or planes) if those behind supply the zeros at this one's end.
    fn shared_pitch(self) -> usize {
        let reach = self.output + (self.kernel - 1) / self.stride;
        if self.stride > 1 {
            return reach;
        }
        let content_end = self.padding + (self.dilation * (self.input - 1) + 1) as isize;
        let zeros_in_front = self.padding.max(0) as usize;
        self.output.max(reach.min(content_end.max(0) as usize)).max(reach.saturating_sub(zeros_in_front))
    }

    /// Number of packed places that outputs reach.
    fn reach(self) -> usize {
        self.output + (self.kernel - 1) / self.stride
    }

    /// Phase and packed place of input `i`; `None` if it lies outside `places`.
    fn place(self, i: usize, places: usize) -> Option<(usize, usize)> {
        let at = usize::try_from(self.padding + (self.dilation * i) as isize).ok()?;
        let (place, phase) = (at / self.stride, at % self.stride);
        (place < places).then_some((phase, place))
    }

    /// Phase and shift of tap `k`.
    fn tap(self, k: usize) -> (usize, usize) {
        (k % self.stride, k / self.stride)
    }
}

/// The packed form of one sample, or of a part of its slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing {
    axes: [Axis; 3],
    planes: usize,
    rows: usize,
    row: usize,
}

impl Packing {
    pub(super) fn new(axes: [Axis; 3]) -> Self {
        Self {
            axes,
            // Nothing lies behind the last plane but the next channel, so planes share no zeros.
            planes: axes[0].reach(),
            rows: axes[1].shared_pitch(),
            row: axes[2].shared_pitch(),
        }
    }

    fn plane(self) -> usize {
        self.rows * self.row
    }

    fn phase(self) -> usize {
        self.planes * self.plane()
    }

    /// Distance between channels of the packed input.
    pub(super) fn channel(self) -> usize {
        self.phase() * self.axes.map(|a| a.stride).iter().product::<usize>()
    }

    /// Length of a channel of the packed output, from its first value to its last.
    pub(super) fn output_len(self) -> usize {
        let [z, y, x] = self.axes.map(|a| a.output);
        (z - 1) * self.plane() + (y - 1) * self.row + x
    }

    /// Length of a buffer that holds `channels` packed inputs and can be read at every offset of [`Self::taps`] for
    /// `outputs` outputs.
    pub(super) fn buffer_len(self, channels: usize, outputs: usize) -> usize {
        channels * self.channel() + self.taps().into_iter().max().unwrap_or(0) + outputs
    }

    /// Offset of each tap, in the order of the kernel.
    pub(super) fn taps(self) -> Vec<usize> {
        let [az, ay, ax] = self.axes;
        let mut offsets = Vec::with_capacity(az.kernel * ay.kernel * ax.kernel);
        for k in 0..az.kernel {
            let (phase_z, z) = az.tap(k);
            for k in 0..ay.kernel {
                let (phase_y, y) = ay.tap(k);
                for k in 0..ax.kernel {
                    let (phase_x, x) = ax.tap(k);
                    let phase = (phase_z * ay.stride + phase_y) * ax.stride + phase_x;
                    offsets.push(phase * self.phase() + z * self.plane() + y * self.row + x);
                }
            }
        }
        offsets
    }

    /// Start of output row `y` of slice `z` in a packed channel.
    pub(super) fn output_row(self, z: usize, y: usize) -> usize {
        z * self.plane() + y * self.row
    }

    /// Packs one channel `[depth, height, width]` into `packed`, which holds zeros.
    pub(super) fn pack(self, channel: &[f32], packed: &mut [f32]) {
        let [az, ay, ax] = self.axes;
        let contiguous = ax.stride == 1 && ax.dilation == 1;
        // Without a division for each number.
        let strided = usize::try_from(ax.padding).ok().filter(|_| ax.dilation == 1);
        // Inputs of a row that have a place, when they follow each other.
        let first = usize::try_from(-ax.padding).unwrap_or(0).min(ax.input);
        let start = usize::try_from(ax.padding).unwrap_or(0).min(self.row);
        let len = (ax.input - first).min(self.row - start);
        for (z, plane) in channel.chunks_exact(ay.input * ax.input).enumerate() {
            let Some((phase_z, z)) = az.place(z, self.planes) else {
                continue;
            };
            for (y, row) in plane.chunks_exact(ax.input).enumerate() {
                let Some((phase_y, y)) = ay.place(y, self.rows) else {
                    continue;
                };
                let phases = (phase_z * ay.stride + phase_y) * ax.stride;
                let base = phases * self.phase() + z * self.plane() + y * self.row;
                if contiguous {
                    packed[base + start..][..len].copy_from_slice(&row[first..][..len]);
                    continue;
                }
                if let Some(padding) = strided {
                    for phase in 0..ax.stride {
                        let zeros = padding.saturating_sub(phase).div_ceil(ax.stride);
                        let source = row.iter().skip(phase + ax.stride * zeros - padding).step_by(ax.stride);
                        let target = packed[base + phase * self.phase()..][..self.row].iter_mut().skip(zeros);
                        target.zip(source).for_each(|(target, &value)| *target = value);
                    }
                    continue;
                }
                for (x, &value) in row.iter().enumerate() {
                    if let Some((phase, x)) = ax.place(x, self.row) {
                        packed[base + phase * self.phase() + x] = value;
                    }
                }
            }
        }
    }
}
