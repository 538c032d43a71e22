//! JPEG-LS (ISO/IEC 14495-1, ITU-T T.87), lossless and near-lossless, of one component.
//!
//! Written here because no crate decodes it in wasm without C. `parameters` holds what the header and the presets give,
//! `bits` the Golomb codes, this file the modelling. Names of the standard are in the comments.

mod bits;
mod parameters;
#[cfg(test)]
mod tests;

use super::jpeg::segments::{RESTART_INTERVAL, START_OF_SCAN, Segments, damaged, frame_precision, restart_interval};
use super::{CodecError, FrameShape, levels_to_bytes};
use bits::Bits;
use parameters::{Parameters, Presets};

const START_OF_FRAME: u8 = 0xf7;
const PRESETS: u8 = 0xf8;

/// Contexts of the regular mode: 9 * 9 * 9 levels of three gradients, halved by symmetry.
const CONTEXTS: usize = 365;
/// Lengths of runs as powers of two, by how well runs went so far (`J`).
const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<Vec<u8>, CodecError> {
    let mut segments = Segments::new(bytes)?;
    let (mut precision, mut presets, mut interval) = (None, Presets::default(), 0);
    while let Some((marker, payload)) = segments.next()? {
        match marker {
            START_OF_FRAME => precision = Some(frame_precision(payload, shape)?),
            PRESETS => presets.read(payload)?,
            RESTART_INTERVAL => interval = restart_interval(payload),
            START_OF_SCAN => {
                let precision = precision.ok_or_else(|| damaged("a scan comes before its frame"))?;
                // One component, its number, its mapping table, NEAR, interleaving, point transform.
                let &[1, _, mapping, near, _, shift, ..] = payload else {
                    return Err(damaged("the scan header is not one of a single component"));
                };
                if mapping != 0 || shift != 0 {
                    return Err(CodecError::Unsupported("mapping tables or shifted values".to_owned()));
                }
                let parameters = Parameters::new(precision, near.into(), &presets)?;
                let levels = Decoder::new(parameters, segments.rest(), shape).decode(interval)?;
                return levels_to_bytes(&levels, shape);
            }
            0xc0..=0xcf if marker != 0xc4 && marker != 0xcc => return Err(damaged("it is another kind of JPEG")),
            _ => {}
        }
    }
    Err(damaged("there is no picture in it"))
}

/// What was learnt about one context (`A`, `B`, `C`, `N`).
#[derive(Clone, Copy)]
struct Context {
    magnitude: i32,
    bias: i32,
    correction: i32,
    count: i32,
}

/// What was learnt about samples that end a run (`A`, `Nn`, `N`).
#[derive(Clone, Copy)]
struct RunContext {
    magnitude: i32,
    negative: i32,
    count: i32,
}

struct Decoder<'a> {
    parameters: Parameters,
    bits: Bits<'a>,
    shape: FrameShape,
    contexts: [Context; CONTEXTS],
    /// For an end unlike the sample above it, and one like it.
    run_contexts: [RunContext; 2],
    /// Place in [`RUN_BITS`] (`RUNindex`).
    run_place: usize,
}

impl<'a> Decoder<'a> {
    fn new(parameters: Parameters, data: &'a [u8], shape: FrameShape) -> Self {
        let magnitude = parameters.first_magnitude();
        Self {
            parameters,
            bits: Bits::new(data),
            shape,
            contexts: [Context { magnitude, bias: 0, correction: 0, count: 1 }; CONTEXTS],
            run_contexts: [RunContext { magnitude, negative: 0, count: 1 }; 2],
            run_place: 0,
        }
    }

    /// Decodes all rows; every `interval` rows, unless it is 0, everything learnt is forgotten.
    fn decode(mut self, interval: usize) -> Result<Vec<u16>, CodecError> {
        let columns = self.shape.columns;
        let mut levels = Vec::with_capacity(self.shape.rows * columns);
        // One sample more on either side: what lies left of a row, and above right of its end.
        let mut above = vec![0_i32; columns + 2];
        let mut row = above.clone();
        for y in 0..self.shape.rows {
            if interval > 0 && y > 0 && y % interval == 0 {
                let bits = self.bits.after_restart()?;
                self = Self { bits, ..Self::new(self.parameters, &[], self.shape) };
                above.fill(0);
            }
            let left_of_row = above.get(1).copied().unwrap_or(0);
            row.first_mut().into_iter().for_each(|first| *first = left_of_row);
            self.row(&mut row, &above)?;
            levels.extend(row.iter().skip(1).take(columns).map(|&level| level as u16));
            let last = row.get(columns).copied().unwrap_or(0);
            row.last_mut().into_iter().for_each(|beyond| *beyond = last);
            std::mem::swap(&mut row, &mut above);
        }
        Ok(levels)
    }

    /// Decodes a row; `row[x + 1]` is sample `x`.
    fn row(&mut self, row: &mut [i32], above: &[i32]) -> Result<(), CodecError> {
        let columns = self.shape.columns;
        let mut x = 0;
        while x < columns {
            let (Some(&[c, b, d]), Some(&a)) = (above.get(x..x + 3).and_then(<[i32]>::first_chunk), row.get(x)) else {
                return Err(damaged("a row is too long"));
            };
            let context = self.parameters.context([d - b, b - c, c - a]);
            let sample = if context == 0 {
                let end = x + self.run(row, x, columns, a)?;
                if end == columns {
                    return Ok(());
                }
                x = end;
                let sample = self.run_end(a, above.get(x + 1).copied().unwrap_or(0))?;
                self.run_place = self.run_place.saturating_sub(1);
                sample
            } else {
                self.regular(context, [a, b, c])?
            };
            row.get_mut(x + 1).into_iter().for_each(|place| *place = sample);
            x += 1;
        }
        Ok(())
    }

    /// A sample by its neighbours left, above and above left (A.4 to A.6).
    fn regular(&mut self, context: i32, [a, b, c]: [i32; 3]) -> Result<i32, CodecError> {
        let sign = context.signum();
        let near = self.parameters.near;
        let Some(learnt) = self.contexts.get_mut(context.unsigned_abs() as usize) else {
            return Err(damaged("a context is out of range"));
        };
        let median = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let predicted = (median + sign * learnt.correction).clamp(0, self.parameters.largest);
        let k = golomb_parameter(learnt.magnitude, learnt.count);
        let mapped =
            self.parameters.checked(self.bits.golomb(k, self.parameters.limit, self.parameters.range_bits)?)?;
        // Small biases turn the order of the codes around (A.5.2).
        let error = if near == 0 && k == 0 && 2 * learnt.bias <= -learnt.count {
            if mapped & 1 == 1 { mapped >> 1 } else { -(mapped >> 1) - 1 }
        } else if mapped & 1 == 1 {
            -(mapped >> 1) - 1
        } else {
            mapped >> 1
        };
        learnt.bias = learnt.bias.saturating_add(error * (2 * near + 1));
        learnt.magnitude = learnt.magnitude.saturating_add(error.abs());
        if learnt.count >= self.parameters.reset {
            learnt.magnitude >>= 1;
            learnt.bias >>= 1;
            learnt.count >>= 1;
        }
        learnt.count += 1;
        if learnt.bias <= -learnt.count {
            learnt.bias = (learnt.bias + learnt.count).max(1 - learnt.count);
            learnt.correction = (learnt.correction - 1).max(-128);
        } else if learnt.bias > 0 {
            learnt.bias = (learnt.bias - learnt.count).min(0);
            learnt.correction = (learnt.correction + 1).min(127);
        }
        Ok(self.parameters.reconstruct(predicted, sign * error))
    }

    fn run_bits(&self) -> u32 {
        RUN_BITS.get(self.run_place).copied().unwrap_or(0)
    }

    /// Fills a run of `value` from sample `x` on and gives its length (A.7.1).
    fn run(&mut self, row: &mut [i32], x: usize, columns: usize, value: i32) -> Result<usize, CodecError> {
        let left = columns - x;
        let mut length = 0;
        while length < left {
            let bits = self.run_bits();
            if self.bits.take(1)? == 0 {
                length += self.bits.take(bits)? as usize;
                break;
            }
            if left - length >= 1 << bits {
                self.run_place = (self.run_place + 1).min(RUN_BITS.len() - 1);
            }
            length = left.min(length + (1 << bits));
            if length == left {
                row.get_mut(x + 1..=x + length).unwrap_or_default().fill(value);
                return Ok(length);
            }
        }
        if length >= left {
            return Err(damaged("a run is longer than its row"));
        }
        row.get_mut(x + 1..=x + length).unwrap_or_default().fill(value);
        Ok(length)
    }

    /// The sample that ends a run, by its neighbours left and above (A.7.2).
    fn run_end(&mut self, a: i32, b: i32) -> Result<i32, CodecError> {
        let like = (a - b).abs() <= self.parameters.near;
        let (predicted, sign) = if like { (a, 1) } else { (b, if a > b { -1 } else { 1 }) };
        let run_bits = self.run_bits();
        let Some(learnt) = self.run_contexts.get_mut(usize::from(like)) else {
            return Err(damaged("a context is out of range"));
        };
        let like = i32::from(like);
        let k = golomb_parameter(learnt.magnitude.saturating_add(like * (learnt.count >> 1)), learnt.count);
        let limit = self.parameters.limit - run_bits - 1;
        let mapped = self.parameters.checked(self.bits.golomb(k, limit, self.parameters.range_bits)?)?;
        let doubled = mapped + like;
        let odd = doubled & 1;
        let size = (doubled + odd) >> 1;
        let turned = k != 0 || 2 * learnt.negative >= learnt.count;
        let error = if turned == (odd == 1) { -size } else { size };
        learnt.negative += i32::from(error < 0);
        learnt.magnitude = learnt.magnitude.saturating_add((mapped + 1 - like) >> 1);
        if learnt.count >= self.parameters.reset {
            learnt.magnitude >>= 1;
            learnt.negative >>= 1;
            learnt.count >>= 1;
        }
        learnt.count += 1;
        Ok(self.parameters.reconstruct(predicted, sign * error))
    }
}

/// The least `k` with `count * 2^k >= magnitude` (A.5.1).
fn golomb_parameter(magnitude: i32, count: i32) -> u32 {
    let mut k = 0;
    while k < 24 && i64::from(count) << k < i64::from(magnitude) {
        k += 1;
    }
    k
}
