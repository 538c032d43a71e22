//! The kernel: a matrix product whose second matrix is gathered from the input on the way to workgroup memory.
#![allow(clippy::pedantic, missing_docs, reason = "written for the GPU, and rewritten by the `cube` macro")]
#![allow(unsafe_code, reason = "a launch without bounds checks; it says why it holds")]

use burn::backend::wgpu::CubeTensor;
use burn_cubecl::cubecl::{self, prelude::*};

use super::plan::Plan;
use crate::kernels::cpu::conv::Conv;

/// Values are moved and computed in groups of four.
type Quad = Vector<f32, Const<4>>;

/// Bits that say whether a tap lies inside the input, an axis.
const BITS: u32 = 10;
/// Most workgroups along an axis.
const MOST_CUBES: u32 = 65_535;

/// Sizes that change from scan to scan, so that the shader is not compiled for them.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
struct Sizes {
    depth: u32,
    height: u32,
    width: u32,
    pooled_depth: u32,
    pooled_height: u32,
    pooled_width: u32,
    /// Pooled pixels of a channel, in all samples.
    pixels: u32,
}

/// Queues the convolution `plan` of contiguous tensors.
pub(super) fn launch(
    plan: Plan,
    conv: &Conv,
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    output: CubeTensor,
) {
    let [depth, height, width] = conv.axes.map(|axis| axis.input as u32);
    let mut pooled = conv.axes.map(|axis| axis.output as u32);
    for (side, window) in pooled.iter_mut().zip(plan.window) {
        *side /= window;
    }
    let pixels = conv.batch as u32 * pooled.iter().product::<u32>();
    if pixels == 0 {
        return;
    }
    let tiles = pixels.div_ceil(plan.tile_pixels());
    let rows = tiles.div_ceil(MOST_CUBES);
    let count = CubeCount::new_3d(tiles.div_ceil(rows), rows, plan.outputs.div_ceil(plan.tile_channels()));
    let client = input.client.clone();
    // SAFETY: every index is below the length of its tensor: pixels and output channels are kept within their number, and
    // taps that lie outside the input are read at its start and not used.
    unsafe {
        convolve::launch_unchecked(
            &client,
            count,
            CubeDim::new_1d(plan.units()),
            input.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            output.into_buffer_arg(),
            SizesLaunch::new(depth, height, width, pooled[0], pooled[1], pooled[2], pixels),
            plan,
        );
    }
}

#[cube(launch_unchecked)]
fn convolve(input: &[f32], weight: &[f32], bias: &[f32], output: &mut [f32], sizes: Sizes, #[comptime] plan: Plan) {
    let column = UNIT_POS_X % plan.columns;
    let row = UNIT_POS_X / plan.columns;
    let first_pixel = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * comptime!(plan.tile_pixels()) + column;
    let first_channel = CUBE_POS_Z * comptime!(plan.tile_channels());

    let quads = comptime!((plan.pixels / 4) as usize);
    let channels = comptime!(plan.channels as usize);
    let slots = comptime!(plan.slots() as usize);

    // Of each tap of the block: where it lies in the input from the pixel's first tap, and which bits say that it is inside.
    let mut taps = Shared::<[u32]>::new_slice(comptime!(2 * plan.depth as usize));
    let mut weights = Shared::<[Quad]>::new_slice(comptime!((plan.depth * plan.weight_stride()) as usize));
    let mut values = Shared::<[Quad]>::new_slice(comptime!(plan.values() as usize));

    let mut best = Array::<f32>::new(comptime!(channels * slots));
    let mut sums = Array::<Quad>::new(comptime!(channels * quads));
    let mut starts = Array::<u32>::new(comptime!(plan.pixels as usize));
    let mut insides = Array::<u32>::new(comptime!(plan.pixels as usize));

    for round in 0..comptime!(plan.rounds()) {
        #[unroll]
        for slot in 0..slots {
            let pixel = min(first_pixel + comptime!(slot as u32 * plan.columns), sizes.pixels - 1);
            #[unroll]
            for i in 0..comptime!(plan.together() as usize) {
                let position = round * comptime!(plan.together()) + comptime!(i as u32);
                let at = comptime!(slot * plan.together() as usize + i);
                let (start, inside) = place(pixel, position, &sizes, plan);
                starts[at] = start;
                insides[at] = inside;
            }
        }
        #[unroll]
        for i in 0..comptime!(channels * quads) {
            sums[i] = Quad::new(0.0);
        }

        if comptime!(!plan.direct()) {
            tap_table(&mut taps, 0u32, &sizes, plan);
        }
        for block in 0..comptime!(plan.blocks()) {
            // The table is written, and the tiles of the block before have been read, by every unit.
            sync_cube();
            bring_weights(weight, &mut weights, block, first_channel, plan);
            if comptime!(plan.direct()) {
                tap_table(&mut taps, block, &sizes, plan);
                sync_cube();
                multiply_direct(input, &taps, &weights, &mut sums, &starts, &insides, plan);
            } else {
                bring_values(input, &taps, &mut values, &starts, &insides, row, column, plan);
                sync_cube();
                tap_table(&mut taps, block + 1, &sizes, plan);
                multiply(&weights, &values, &mut sums, row, column, plan);
            }
        }

        #[unroll]
        for channel in 0..channels {
            #[unroll]
            for slot in 0..slots {
                let first = comptime!(slot * plan.together() as usize);
                let mut value = sums[comptime!(channel * quads + first / 4)].extract(comptime!(first % 4));
                #[unroll]
                for i in 1..comptime!(plan.together() as usize) {
                    let at = comptime!(first + i);
                    value = max(value, sums[comptime!(channel * quads + at / 4)].extract(comptime!(at % 4)));
                }
                let at = comptime!(channel * slots + slot);
                if comptime!(plan.rounds() > 1) {
                    value = select(round == 0, value, max(value, best[at]));
                }
                best[at] = value;
            }
        }
    }

    let channel_size = sizes.pooled_depth * sizes.pooled_height * sizes.pooled_width;
    #[unroll]
    for slot in 0..slots {
        let pixel = first_pixel + comptime!(slot as u32 * plan.columns);
        let start = pixel / channel_size * comptime!(plan.outputs) * channel_size + pixel % channel_size;
        #[unroll]
        for i in 0..channels {
            let group = row + comptime!(i as u32 / 4 * plan.rows);
            let channel = first_channel + group * 4 + comptime!(i as u32 % 4);
            if channel < comptime!(plan.outputs) && pixel < sizes.pixels {
                let mut value = best[comptime!(i * slots + slot)] + bias[channel as usize];
                if comptime!(plan.relu) {
                    value = max(value, 0.0);
                }
                output[(start + channel * channel_size) as usize] = value;
            }
        }
    }
}

/// Adds the products of the tiles.
#[cube]
fn multiply(
    weights: &Shared<[Quad]>,
    values: &Shared<[Quad]>,
    sums: &mut Array<Quad>,
    row: u32,
    column: u32,
    #[comptime] plan: Plan,
) {
    let quads = comptime!((plan.pixels / 4) as usize);
    for tap in 0..comptime!(plan.depth) {
        let weight_at = tap * comptime!(plan.weight_stride()) + row;
        let value_at = tap * comptime!(plan.value_stride()) + column;
        #[unroll]
        for group in 0..comptime!(plan.channels / 4) {
            let four = weights[(weight_at + comptime!(group * plan.rows)) as usize];
            #[unroll]
            for quad in 0..quads {
                let value = values[(value_at + comptime!(quad as u32 * plan.columns)) as usize];
                #[unroll]
                for i in 0..4usize {
                    let at = comptime!((group as usize * 4 + i) * quads + quad);
                    sums[at] += Quad::new(four.extract(i)) * value;
                }
            }
        }
    }
}

/// Adds the products of the weights and of a unit's own values. Unrolled, so that the weights lie at constant places.
#[cube]
fn multiply_direct(
    input: &[f32],
    taps: &Shared<[u32]>,
    weights: &Shared<[Quad]>,
    sums: &mut Array<Quad>,
    starts: &Array<u32>,
    insides: &Array<u32>,
    #[comptime] plan: Plan,
) {
    let quads = comptime!((plan.pixels / 4) as usize);
    #[unroll]
    for tap in 0..comptime!(plan.depth as usize) {
        let shift = taps[comptime!(2 * tap)];
        let bits = taps[comptime!(2 * tap + 1)];
        #[unroll]
        for quad in 0..quads {
            let value = gather(input, starts, insides, shift, bits, quad, plan);
            #[unroll]
            for group in 0..comptime!((plan.channels / 4) as usize) {
                let four = weights[comptime!(tap * plan.weight_stride() as usize + group)];
                #[unroll]
                for i in 0..4usize {
                    let at = comptime!((group * 4 + i) * quads + quad);
                    sums[at] += Quad::new(four.extract(i)) * value;
                }
            }
        }
    }
}

/// The values of a tap under four pixels of a unit.
#[cube]
fn gather(
    input: &[f32],
    starts: &Array<u32>,
    insides: &Array<u32>,
    shift: u32,
    bits: u32,
    #[comptime] quad: usize,
    #[comptime] plan: Plan,
) -> Quad {
    let mut four = Quad::new(0.0);
    #[unroll]
    for e in 0..4usize {
        let pixel = comptime!(quad * 4 + e);
        let at = starts[pixel] + shift;
        if comptime!(plan.guarded()) {
            let inside = (insides[pixel] & bits) == bits;
            four.insert(e, select(inside, input[select(inside, at, 0u32) as usize], 0.0));
        } else {
            four.insert(e, input[at as usize]);
        }
    }
    four
}

/// Where the first tap of a pixel lies in the input, and which of its taps lie inside.
#[cube]
fn place(pixel: u32, position: u32, sizes: &Sizes, #[comptime] plan: Plan) -> (u32, u32) {
    let area = comptime!(plan.window[1] * plan.window[2]);
    let x = (pixel % sizes.pooled_width) * comptime!(plan.window[2]) + position % comptime!(plan.window[2]);
    let above = pixel / sizes.pooled_width;
    let y = (above % sizes.pooled_height) * comptime!(plan.window[1]) + position % area / comptime!(plan.window[2]);
    let above = above / sizes.pooled_height;
    let z = (above % sizes.pooled_depth) * comptime!(plan.window[0]) + position / area;
    let sample = above / sizes.pooled_depth;
    // Below zero in the padding, which wraps around to what is larger than any size.
    let z = z * comptime!(plan.stride[0]) - comptime!(plan.padding[0]);
    let y = y * comptime!(plan.stride[1]) - comptime!(plan.padding[1]);
    let x = x * comptime!(plan.stride[2]) - comptime!(plan.padding[2]);
    let start = ((sample * comptime!(plan.inputs) * sizes.depth + z) * sizes.height + y) * sizes.width + x;
    let mut inside = 0u32.runtime();
    if comptime!(plan.padded()) {
        #[unroll]
        for tap in 0..comptime!(plan.kernel[0]) {
            inside |= select(z + tap < sizes.depth, comptime!(1u32 << tap), 0u32);
        }
        #[unroll]
        for tap in 0..comptime!(plan.kernel[1]) {
            inside |= select(y + tap < sizes.height, comptime!(1u32 << (BITS + tap)), 0u32);
        }
        #[unroll]
        for tap in 0..comptime!(plan.kernel[2]) {
            inside |= select(x + tap < sizes.width, comptime!(1u32 << (2 * BITS + tap)), 0u32);
        }
    } else {
        inside |= comptime!((1u32 << (3 * BITS)) - 1);
    }
    (start, inside)
}

/// Writes down the taps of a block. Taps behind the last are inside for no pixel.
#[cube]
fn tap_table(taps: &mut Shared<[u32]>, block: u32, sizes: &Sizes, #[comptime] plan: Plan) {
    let area = comptime!(plan.kernel[1] * plan.kernel[2]);
    let volume = comptime!(plan.kernel[0] * area);
    #[unroll]
    for i in 0..comptime!(plan.depth.div_ceil(plan.units())) {
        let entry = UNIT_POS_X + comptime!(i * plan.units());
        if entry < plan.depth {
            let tap = block * plan.depth + entry;
            let channel = tap / volume;
            let z = tap % volume / area;
            let y = tap % area / comptime!(plan.kernel[2]);
            let x = tap % comptime!(plan.kernel[2]);
            let beyond = select(tap < comptime!(plan.taps()), 0u32, comptime!(1u32 << (3 * BITS)));
            taps[(2 * entry) as usize] = ((channel * sizes.depth + z) * sizes.height + y) * sizes.width + x;
            taps[(2 * entry + 1) as usize] =
                (1u32 << z) | (1u32 << (BITS + y)) | (1u32 << (comptime!(2 * BITS) + x)) | beyond;
        }
    }
}

/// Brings a unit's share of the weights of a block to workgroup memory, four output channels at a time.
#[cube]
fn bring_weights(weight: &[f32], weights: &mut Shared<[Quad]>, block: u32, first_channel: u32, #[comptime] plan: Plan) {
    let taps = comptime!(plan.taps());
    let whole = comptime!(plan.outputs.is_multiple_of(plan.tile_channels()) && plan.taps().is_multiple_of(plan.depth));
    for item in range_stepped(UNIT_POS_X, comptime!(plan.depth * plan.tile_channels() / 4), comptime!(plan.units())) {
        let group = item / plan.depth;
        let tap = block * plan.depth + item % plan.depth;
        let channel = first_channel + group * 4;
        let mut four = Quad::new(0.0);
        #[unroll]
        for e in 0..4usize {
            let at = (channel + comptime!(e as u32)) * taps + tap;
            if comptime!(whole) {
                four.insert(e, weight[at as usize]);
            } else {
                let inside = (tap < taps) & (channel + comptime!(e as u32) < comptime!(plan.outputs));
                four.insert(e, select(inside, weight[select(inside, at, 0u32) as usize], 0.0));
            }
        }
        weights[(item % plan.depth * comptime!(plan.weight_stride()) + group) as usize] = four;
    }
}

/// Brings a unit's share of the values of a block to workgroup memory: of its own pixels, every `rows`th tap.
#[cube]
fn bring_values(
    input: &[f32],
    taps: &Shared<[u32]>,
    values: &mut Shared<[Quad]>,
    starts: &Array<u32>,
    insides: &Array<u32>,
    row: u32,
    column: u32,
    #[comptime] plan: Plan,
) {
    for tap in range_stepped(row, plan.depth, plan.rows) {
        let shift = taps[(2 * tap) as usize];
        let bits = taps[(2 * tap + 1) as usize];
        #[unroll]
        for quad in 0..comptime!(plan.pixels as usize / 4) {
            let at = tap * comptime!(plan.value_stride()) + comptime!(quad as u32 * plan.columns) + column;
            values[at as usize] = gather(input, starts, insides, shift, bits, quad, plan);
        }
    }
}
