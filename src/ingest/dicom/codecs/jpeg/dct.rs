//! The processes with a cosine transform, sequential and progressive, with 8 or 12 bits (ISO/IEC 10918-1 annexes A, F, G).

use super::super::{CodecError, FrameShape};
use super::Scan;
use super::huffman::{Bits, Table, Tables};
use super::segments::damaged;
use std::f32::consts::{FRAC_1_SQRT_2, PI};

/// Places of coefficients in a block, in the order of storage (figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

type Block = [i32; 64];

/// The coefficients of a picture, in the order of storage, as scans fill them in.
pub(super) struct Coefficients {
    blocks: Vec<Block>,
    across: usize,
    /// Whether a scan has filled something in.
    pub(super) begun: bool,
}

impl Coefficients {
    pub(super) fn new(shape: FrameShape) -> Self {
        let across = shape.columns.div_ceil(8);
        Self { blocks: vec![[0; 64]; across * shape.rows.div_ceil(8)], across, begun: false }
    }

    /// Reads a scan of a sequential picture.
    pub(super) fn sequential(&mut self, scan: &Scan<'_>, tables: &Tables) -> Result<(), CodecError> {
        let (dc, ac) = (tables.dc(scan.dc)?, tables.ac(scan.ac)?);
        let mut last = 0_i32;
        self.each_block(scan, |block, bits, restarted| {
            if restarted {
                last = 0;
            }
            last = last.wrapping_add(dc_difference(dc, bits)?);
            let mut at = 1;
            if let Some(first) = block.first_mut() {
                *first = last;
            }
            while at < 64 {
                let symbol = ac.symbol(bits)?;
                let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                match (zeros, size) {
                    (15, 0) => at += 16,
                    (_, 0) => break,
                    _ => {
                        at += zeros;
                        put(block, at, bits.signed(size)?)?;
                        at += 1;
                    }
                }
            }
            Ok(())
        })
    }

    /// Reads a scan of a progressive picture: some coefficients, or one more bit of them.
    pub(super) fn progressive(&mut self, scan: &Scan<'_>, tables: &Tables) -> Result<(), CodecError> {
        let band = usize::from(scan.start)..=usize::from(scan.end);
        match (scan.start, scan.high) {
            (0, 0) => {
                let table = tables.dc(scan.dc)?;
                let mut last = 0_i32;
                self.each_block(scan, |block, bits, restarted| {
                    if restarted {
                        last = 0;
                    }
                    last = last.wrapping_add(dc_difference(table, bits)?);
                    put(block, 0, last.wrapping_shl(scan.low))
                })
            }
            (0, _) => self.each_block(scan, |block, bits, _| {
                let bit = bits.take(1)? as i32;
                block.first_mut().into_iter().for_each(|first| *first |= bit << scan.low);
                Ok(())
            }),
            (_, 0) => {
                let table = tables.ac(scan.ac)?;
                let mut blocks_without = 0_u32;
                self.each_block(scan, |block, bits, restarted| {
                    if restarted {
                        blocks_without = 0;
                    }
                    first_ac(block, bits, table, band.clone(), scan.low, &mut blocks_without)
                })
            }
            _ => {
                let table = tables.ac(scan.ac)?;
                let mut blocks_without = 0_u32;
                self.each_block(scan, |block, bits, restarted| {
                    if restarted {
                        blocks_without = 0;
                    }
                    refine_ac(block, bits, table, band.clone(), 1 << scan.low, &mut blocks_without)
                })
            }
        }
    }

    /// Walks over the blocks; the last argument of `read` says that predictions start anew.
    fn each_block(
        &mut self,
        scan: &Scan<'_>,
        mut read: impl FnMut(&mut Block, &mut Bits<'_>, bool) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        self.begun = true;
        let mut bits = Bits::new(scan.data);
        for (place, block) in self.blocks.iter_mut().enumerate() {
            let restarted = scan.interval > 0 && place > 0 && place % scan.interval == 0;
            if restarted {
                bits.restart()?;
            }
            read(block, &mut bits, restarted)?;
        }
        Ok(())
    }

    /// The picture: coefficients times their steps, transformed back, around the middle of `precision` bits.
    pub(super) fn samples(&self, steps: &[u16; 64], precision: u32, shape: FrameShape) -> Vec<u16> {
        let basis = basis();
        let (middle, top) = (f32::from(1_u16 << (precision - 1)), f32::from(u16::MAX >> (16 - precision)));
        let mut samples = vec![0; shape.rows * shape.columns];
        for (place, block) in self.blocks.iter().enumerate() {
            let (left, upper) = (place % self.across * 8, place / self.across * 8);
            let mut plain = [0.0_f32; 64];
            for ((&coefficient, &step), &place) in block.iter().zip(steps).zip(&ZIGZAG) {
                if let Some(target) = plain.get_mut(usize::from(place)) {
                    *target = coefficient as f32 * f32::from(step);
                }
            }
            let transformed = transposed_inverse(&transposed_inverse(&plain, &basis), &basis);
            for (y, values) in transformed.as_chunks::<8>().0.iter().enumerate().take(shape.rows - upper) {
                let start = (upper + y) * shape.columns + left;
                let row = samples.get_mut(start..start + (shape.columns - left).min(8)).unwrap_or_default();
                for (sample, value) in row.iter_mut().zip(values) {
                    *sample = (value + middle).round().clamp(0.0, top) as u16;
                }
            }
        }
        samples
    }
}

fn put(block: &mut Block, at: usize, value: i32) -> Result<(), CodecError> {
    *block.get_mut(at).ok_or_else(|| damaged("a block has more than 64 coefficients"))? = value;
    Ok(())
}

fn dc_difference(table: &Table, bits: &mut Bits<'_>) -> Result<i32, CodecError> {
    match table.symbol(bits)? {
        size @ 0..=16 => bits.signed(size.into()),
        _ => Err(damaged("a difference has more than 16 bits")),
    }
}

/// The first bits of the coefficients of a band (G.1.2.2).
fn first_ac(
    block: &mut Block,
    bits: &mut Bits<'_>,
    table: &Table,
    band: std::ops::RangeInclusive<usize>,
    low: u32,
    blocks_without: &mut u32,
) -> Result<(), CodecError> {
    if *blocks_without > 0 {
        *blocks_without -= 1;
        return Ok(());
    }
    let mut at = *band.start();
    while at <= *band.end() {
        let symbol = table.symbol(bits)?;
        let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
        match (zeros, size) {
            (15, 0) => at += 16,
            (run, 0) => {
                *blocks_without = (1 << run) + bits.take(run.into())? - 1;
                break;
            }
            _ => {
                at += usize::from(zeros);
                put(block, at, bits.signed(size)?.wrapping_shl(low))?;
                at += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of the coefficients of a band, and those that come in with it (G.1.2.3).
fn refine_ac(
    block: &mut Block,
    bits: &mut Bits<'_>,
    table: &Table,
    band: std::ops::RangeInclusive<usize>,
    bit: i32,
    blocks_without: &mut u32,
) -> Result<(), CodecError> {
    let refine = |coefficient: &mut i32, bits: &mut Bits<'_>| -> Result<(), CodecError> {
        if bits.take(1)? == 1 && *coefficient & bit == 0 {
            *coefficient += coefficient.signum() * bit;
        }
        Ok(())
    };
    let mut coefficients = block.get_mut(band).unwrap_or_default().iter_mut();
    while *blocks_without == 0 && coefficients.len() > 0 {
        let symbol = table.symbol(bits)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        let value = match size {
            0 if zeros < 15 => {
                *blocks_without = (1 << zeros) + bits.take(zeros.into())?;
                break;
            }
            0 => 0,
            _ => {
                if bits.take(1)? == 1 {
                    bit
                } else {
                    -bit
                }
            }
        };
        for coefficient in coefficients.by_ref() {
            if *coefficient != 0 {
                refine(coefficient, bits)?;
            } else if zeros == 0 {
                *coefficient = value;
                break;
            } else {
                zeros -= 1;
            }
        }
    }
    if *blocks_without > 0 {
        for coefficient in coefficients.filter(|coefficient| **coefficient != 0) {
            refine(coefficient, bits)?;
        }
        *blocks_without -= 1;
    }
    Ok(())
}

/// `basis[x][u]`: cosine `u` at place `x` (A.3.3).
fn basis() -> [[f32; 8]; 8] {
    std::array::from_fn(|x| {
        std::array::from_fn(|u| {
            let scale = if u == 0 { FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
            scale * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos()
        })
    })
}

/// Transforms the rows of a block back and transposes it, so that doing it twice transforms rows and columns.
fn transposed_inverse(block: &[f32; 64], basis: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut out = [0.0; 64];
    for (y, row) in block.as_chunks::<8>().0.iter().enumerate() {
        for (x, cosines) in basis.iter().enumerate() {
            if let Some(target) = out.get_mut(8 * x + y) {
                *target = row.iter().zip(cosines).map(|(value, cosine)| value * cosine).sum();
            }
        }
    }
    out
}
