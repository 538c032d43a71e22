//! The lossless process: each sample is predicted from its neighbours (ISO/IEC 10918-1 annex H).

use super::super::{CodecError, FrameShape};
use super::Scan;
use super::huffman::{Bits, Table};
use super::segments::damaged;

/// Decodes the only scan of a picture with `precision` bits a sample.
pub(super) fn decode(
    scan: &Scan<'_>,
    table: &Table,
    precision: u32,
    shape: FrameShape,
) -> Result<Vec<u16>, CodecError> {
    let predictor = scan.start;
    // What a row starts with where there is none above: half the range of what is coded.
    let middle = precision.checked_sub(scan.low + 1).ok_or_else(|| damaged("all of its bits are shifted out"))?;
    let middle = 1_i32 << middle;
    let mut bits = Bits::new(scan.data);
    let mut samples: Vec<u16> = Vec::with_capacity(shape.rows * shape.columns);
    let mut above: Vec<i32> = Vec::new();
    let mut row: Vec<i32> = Vec::with_capacity(shape.columns);
    let mut until_restart = scan.interval;
    for _ in 0..shape.rows {
        row.clear();
        let mut corner = 0;
        let mut left = None;
        for x in 0..shape.columns {
            if scan.interval > 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    until_restart = scan.interval;
                    above.clear();
                    left = None;
                }
                until_restart -= 1;
            }
            let predicted = match (left, above.get(x).copied()) {
                (None, None) => middle,
                (Some(left), None) => left,
                (None, Some(above)) => above,
                (Some(left), Some(above)) => match predictor {
                    1 => left,
                    2 => above,
                    3 => corner,
                    4 => left + above - corner,
                    5 => left + ((above - corner) >> 1),
                    6 => above + ((left - corner) >> 1),
                    _ => (left + above) >> 1,
                },
            };
            let difference = match u32::from(table.symbol(&mut bits)?) {
                16 => 32768,
                size @ 0..16 => bits.signed(size)?,
                _ => return Err(damaged("a difference has more than 16 bits")),
            };
            let sample = (predicted + difference) & 0xffff;
            corner = above.get(x).copied().unwrap_or(0);
            left = Some(sample);
            row.push(sample);
            samples.push((sample << scan.low) as u16);
        }
        std::mem::swap(&mut above, &mut row);
    }
    Ok(samples)
}
