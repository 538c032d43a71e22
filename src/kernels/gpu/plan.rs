//! How a convolution is split among the GPU's workgroups and their units, chosen for its shape.

use crate::kernels::cpu::{conv::Conv, correlation::Epilogue};

/// Most taps of a kernel along an axis: a pixel keeps which of its taps lie inside the input in ten bits an axis.
const MOST_TAPS: usize = 10;
/// Output channels of a workgroup at most.
const MOST_CHANNELS: usize = 64;
/// Workgroups below which a smaller share of the work for each is better: a large GPU has some hundred cores to fill.
const FEW: usize = 64;

/// What the kernel is compiled for.
///
/// A convolution is the product of a matrix of weights, output channels by taps of all input channels, with one of values,
/// taps by pixels. A workgroup computes a tile of `rows` by `columns` units of it, each unit `channels` output channels of
/// `pixels` pixels. The pixels of a pooling window belong to one unit: as many as fit at a time, the others in later
/// `rounds`. With one row, where there are few channels, a unit has values of its own, which go straight to its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub(super) inputs: u32,
    pub(super) outputs: u32,
    pub(super) kernel: [u32; 3],
    pub(super) stride: [u32; 3],
    pub(super) padding: [u32; 3],
    /// Pooling window, ones for none.
    pub(super) window: [u32; 3],
    pub(super) relu: bool,
    /// Units of a workgroup that share their pixels.
    pub(super) rows: u32,
    /// Units of a workgroup that share their output channels.
    pub(super) columns: u32,
    /// Output channels of a unit, a multiple of 4.
    pub(super) channels: u32,
    /// Pixels of a unit, a multiple of 4.
    pub(super) pixels: u32,
    /// Taps that are held in workgroup memory at a time, a multiple of `rows`.
    pub(super) depth: u32,
}

impl Plan {
    /// The plan of a convolution; `None` if the kernel cannot run it.
    pub(super) fn new(conv: &Conv, epilogue: Epilogue) -> Option<Self> {
        let (window, relu) = match epilogue {
            Epilogue::Store => ([1; 3], false),
            Epilogue::ReluPool(window) => (window, true),
        };
        let fits = conv.axes.iter().all(|axis| axis.kernel <= MOST_TAPS);
        let numbers = conv.input_shape().iter().product::<usize>().max(conv.output_shape().iter().product());
        if !fits || u32::try_from(numbers).is_err() {
            return None;
        }
        let tile = Tile::choose(conv, window);
        Some(Self {
            inputs: conv.inputs as u32,
            outputs: conv.outputs as u32,
            kernel: conv.axes.map(|axis| axis.kernel as u32),
            stride: conv.axes.map(|axis| axis.stride as u32),
            padding: conv.axes.map(|axis| axis.padding as u32),
            window: window.map(|side| side as u32),
            relu,
            rows: tile.rows as u32,
            columns: tile.columns as u32,
            channels: tile.channels as u32,
            pixels: tile.pixels as u32,
            depth: tile.depth(conv.inputs * conv.taps()) as u32,
        })
    }

    /// Whether values go straight to registers.
    pub(super) fn direct(&self) -> bool {
        self.rows == 1
    }

    pub(super) fn units(&self) -> u32 {
        self.rows * self.columns
    }

    /// Taps of all input channels.
    pub(super) fn taps(&self) -> u32 {
        self.inputs * self.kernel.iter().product::<u32>()
    }

    /// Tiles of taps.
    pub(super) fn blocks(&self) -> u32 {
        self.taps().div_ceil(self.depth)
    }

    /// Output channels of a workgroup.
    pub(super) fn tile_channels(&self) -> u32 {
        self.rows * self.channels
    }

    /// Pooled pixels of a workgroup.
    pub(super) fn tile_pixels(&self) -> u32 {
        self.columns * self.slots()
    }

    /// Pooled pixels of a unit.
    pub(super) fn slots(&self) -> u32 {
        self.pixels / self.together()
    }

    /// Pixels of a pooling window that a unit computes together.
    pub(super) fn together(&self) -> u32 {
        let (mut a, mut b) = (self.window.iter().product::<u32>(), self.pixels);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    /// Rounds in which the pixels of a pooling window are computed.
    pub(super) fn rounds(&self) -> u32 {
        self.window.iter().product::<u32>() / self.together()
    }

    pub(super) fn padded(&self) -> bool {
        self.padding != [0; 3]
    }

    /// Whether some values of a tile lie outside the input.
    pub(super) fn guarded(&self) -> bool {
        self.padded() || !self.taps().is_multiple_of(self.depth)
    }

    /// Groups of four in a row of the tile of weights. Odd, so that writing down a column meets every memory bank.
    pub(super) fn weight_stride(&self) -> u32 {
        (self.tile_channels() / 4) | 1
    }

    /// Groups of four in the tile of values.
    pub(super) fn values(&self) -> u32 {
        if self.direct() { 1 } else { self.depth * self.value_stride() }
    }

    /// Groups of four in a row of the tile of values.
    pub(super) fn value_stride(&self) -> u32 {
        self.columns * self.pixels / 4
    }

    /// Bytes of workgroup memory.
    #[cfg(test)]
    fn bytes(&self) -> u32 {
        4 * (self.depth * (4 * self.weight_stride() + 2) + 4 * self.values())
    }
}

#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    columns: usize,
    channels: usize,
    pixels: usize,
}

impl Tile {
    /// The largest tile, unless too few of them were left for all of the GPU's cores.
    fn choose(conv: &Conv, window: [usize; 3]) -> Self {
        // Channels are shared out evenly, so that little is computed for nothing.
        let share = conv.outputs.div_ceil(conv.outputs.div_ceil(MOST_CHANNELS));
        let rows = share.div_ceil(8);
        let large = match rows {
            1 => Self { rows, columns: 64, channels: share.next_multiple_of(4), pixels: 4 },
            2 | 3 => Self { rows, columns: 32, channels: 8, pixels: 8 },
            _ => Self { rows, columns: 16, channels: 8, pixels: 8 },
        };
        let small = Self { rows: share.div_ceil(4), columns: 8, channels: 4, pixels: 4 };
        if large.count(conv, window) < FEW && small.rows >= 4 { small } else { large }
    }

    fn count(self, conv: &Conv, window: [usize; 3]) -> usize {
        let pixels: usize = conv.axes.iter().zip(window).map(|(axis, side)| axis.output / side * side).product();
        (conv.batch * pixels).div_ceil(self.columns * self.pixels) * conv.outputs.div_ceil(self.rows * self.channels)
    }

    /// Taps that fit in the 16 KiB of workgroup memory that every adapter has.
    fn depth(self, taps: usize) -> usize {
        let fits = if self.rows == 1 || self.columns * self.pixels > 128 { 8 } else { 16 };
        (fits / self.rows).max(1).min(taps.div_ceil(self.rows)) * self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkConfig;

    #[test]
    fn every_plan_keeps_to_the_limits_that_every_adapter_has() {
        for outputs in (1..=64).chain([65, 96, 100, 128, 255, 256, 1024]) {
            for inputs in [1, 3, 16, 64] {
                for (size, window) in [(8, [1; 3]), (64, [2; 3]), (33, [3, 1, 2]), (4, [4; 3])] {
                    let conv = Conv::new([1, inputs, size, size, size], [outputs, inputs, 3, 3, 3], [1; 3], [1; 3]);
                    let plan = Plan::new(&conv.unwrap(), Epilogue::ReluPool(window)).unwrap();
                    assert!(plan.units() <= 256, "{plan:?}");
                    assert!(plan.bytes() <= 16 * 1024, "{plan:?}");
                    assert!(plan.depth.is_multiple_of(plan.rows), "{plan:?}");
                    assert_eq!(plan.together() * plan.rounds(), window.iter().product::<usize>() as u32);
                    assert_eq!(plan.slots() * plan.together(), plan.pixels);
                }
            }
        }
    }

    #[test]
    fn nothing_of_the_networks_is_larger_than_a_binding_may_be() {
        for (config, input) in [(NetworkConfig::compact(), [64, 96, 80]), (NetworkConfig::published(), [64, 128, 128])]
        {
            for row in config.layers(input).unwrap().iter().filter(|row| row.name.ends_with("norm")) {
                assert!(4 * row.output.iter().product::<usize>() <= 128 << 20, "{row:?}");
            }
        }
    }
}
