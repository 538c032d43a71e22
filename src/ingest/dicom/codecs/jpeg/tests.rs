//! Baseline pictures are written by the `image` crate; for the other processes there is a small encoder here. Files by
//! other encoders are in the open corpus.

use super::*;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use proptest::prelude::*;
use std::f64::consts::PI;

const ROWS: usize = 19;
const COLUMNS: usize = 21;
const SHAPE: FrameShape = FrameShape { rows: ROWS, columns: COLUMNS, pixel_bytes: 2 };

fn decoded(bytes: &[u8]) -> Result<Vec<u16>, String> {
    let bytes = decode(bytes, SHAPE).map_err(|error| error.to_string())?;
    Ok(bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect())
}

/// A picture of `bits` bits with slopes and an edge.
fn picture(bits: u32) -> Vec<u16> {
    let largest = (1_u32 << bits) - 1;
    let level = |place: usize| {
        let (x, y) = ((place % COLUMNS) as u32, (place / COLUMNS) as u32);
        let slope = (x * 7 + y * 13) * largest / 450;
        (if x > 12 && y > 9 { largest - slope } else { slope }) as u16
    };
    (0..ROWS * COLUMNS).map(level).collect()
}

/// Writes codes of a table in which symbol `s` has the code `s` of nine bits.
struct Writer {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Writer {
    fn new(start_of_frame: u8, bits: u32) -> Self {
        let mut out = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
        out.extend([1; 64]);
        for class in [0x00, 0x10] {
            out.extend([0xff, 0xc4, 1, 19, class, 0, 0, 0, 0, 0, 0, 0, 0, 128, 128, 0, 0, 0, 0, 0, 0]);
            // 128 codes of nine bits and 128 of ten, so that both ways to look codes up are used.
            out.extend(0..=255);
        }
        out.extend([0xff, start_of_frame, 0, 11, bits as u8, 0, ROWS as u8, 0, COLUMNS as u8, 1, 1, 0x11, 0]);
        Self { out, held: 0, count: 0 }
    }

    fn scan(&mut self, start: u8, end: u8, high: u8, low: u8) {
        self.out.extend([0xff, 0xda, 0, 8, 1, 1, 0, start, end, high << 4 | low]);
    }

    fn interval(&mut self, interval: u16) {
        self.out.extend([0xff, 0xdd, 0, 4]);
        self.out.extend(interval.to_be_bytes());
    }

    fn bits(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            self.held = self.held << 1 | (value >> place & 1);
            self.count += 1;
            if self.count == 8 {
                self.out.push(self.held as u8);
                if self.held == 0xff {
                    self.out.push(0);
                }
                (self.held, self.count) = (0, 0);
            }
        }
    }

    fn symbol(&mut self, symbol: u32) {
        if symbol < 128 { self.bits(symbol, 9) } else { self.bits(256 + symbol - 128, 10) }
    }

    /// A number after the bits that it has; `zeros` go before an AC coefficient.
    fn number(&mut self, zeros: u32, value: i32) {
        let size = value.unsigned_abs().checked_ilog2().map_or(0, |bits| bits + 1);
        self.symbol(zeros << 4 | size);
        self.bits((if value < 0 { value - 1 } else { value }) as u32, size);
    }

    fn flush(&mut self) {
        while self.count > 0 {
            self.bits(1, 1);
        }
    }

    fn restart(&mut self, number: usize) {
        self.flush();
        self.out.extend([0xff, 0xd0 + (number % 8) as u8]);
    }

    fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.out.extend([0xff, 0xd9]);
        self.out
    }
}

/// Coefficients of the blocks of a picture in the order of storage, by the formula of A.3.3.
fn transformed(levels: &[u16], bits: u32) -> Vec<[i32; 64]> {
    let zigzag: Vec<(usize, usize)> = {
        let mut places: Vec<(usize, usize)> = (0..64).map(|place| (place % 8, place / 8)).collect();
        places.sort_by_key(|&(x, y)| (x + y, if (x + y) % 2 == 0 { x } else { y }));
        places
    };
    let mut blocks = Vec::new();
    for upper in (0..ROWS).step_by(8) {
        for left in (0..COLUMNS).step_by(8) {
            let sample = |x: usize, y: usize| {
                let place = (upper + y).min(ROWS - 1) * COLUMNS + (left + x).min(COLUMNS - 1);
                f64::from(levels[place]) - f64::from(1 << (bits - 1))
            };
            let scale = |u: usize| if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
            let wave = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos();
            let coefficient = |&(u, v): &(usize, usize)| {
                let places = (0..64).map(|place| (place % 8, place / 8));
                let sum: f64 = places.map(|(x, y)| sample(x, y) * wave(x, u) * wave(y, v)).sum();
                (sum * scale(u) * scale(v) / 4.0).round() as i32
            };
            blocks.push(std::array::from_fn(|place| coefficient(&zigzag[place])));
        }
    }
    blocks
}

fn sequential(levels: &[u16], bits: u32, interval: usize) -> Vec<u8> {
    let mut writer = Writer::new(0xc1, bits);
    writer.interval(interval as u16);
    writer.scan(0, 63, 0, 0);
    let mut last = 0;
    for (place, block) in transformed(levels, bits).iter().enumerate() {
        if interval > 0 && place > 0 && place % interval == 0 {
            writer.restart(place / interval - 1);
            last = 0;
        }
        writer.number(0, block[0] - last);
        last = block[0];
        let mut zeros = 0;
        for &coefficient in &block[1..] {
            if coefficient == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                writer.symbol(0xf0);
                zeros -= 16;
            }
            writer.number(zeros, coefficient);
            zeros = 0;
        }
        if zeros > 0 {
            writer.symbol(0);
        }
    }
    writer.finish()
}

/// DC in two steps, AC in two bands, the first of them in two steps, with runs of blocks that have nothing more.
fn progressive(levels: &[u16], bits: u32) -> Vec<u8> {
    let blocks = transformed(levels, bits);
    let mut writer = Writer::new(0xc2, bits);
    writer.scan(0, 0, 0, 1);
    let mut last = 0;
    for block in &blocks {
        writer.number(0, (block[0] >> 1) - last);
        last = block[0] >> 1;
    }
    writer.flush();
    let first = |writer: &mut Writer, band: std::ops::RangeInclusive<usize>, low: u32| {
        writer.scan(*band.start() as u8, *band.end() as u8, 0, low as u8);
        let mut without = 0_u32;
        let end_blocks = |writer: &mut Writer, without: &mut u32| {
            if let Some(run) = without.checked_ilog2() {
                writer.symbol(run << 4);
                writer.bits(*without & ((1 << run) - 1), run);
                *without = 0;
            }
        };
        for block in &blocks {
            let mut zeros = 0;
            for &coefficient in &block[band.clone()] {
                // Towards zero, as the standard divides.
                let value = coefficient / (1 << low);
                if value == 0 {
                    zeros += 1;
                    continue;
                }
                end_blocks(writer, &mut without);
                while zeros > 15 {
                    writer.symbol(0xf0);
                    zeros -= 16;
                }
                writer.number(zeros, value);
                zeros = 0;
            }
            without += u32::from(zeros > 0);
        }
        end_blocks(writer, &mut without);
        writer.flush();
    };
    first(&mut writer, 1..=20, 1);
    first(&mut writer, 21..=63, 0);
    writer.scan(0, 0, 1, 0);
    for block in &blocks {
        writer.bits((block[0] & 1) as u32, 1);
    }
    writer.flush();
    writer.scan(1, 20, 1, 0);
    for block in &blocks {
        // Bits of what was there already wait for the symbol before them.
        let mut waiting = Vec::new();
        let mut zeros = 0;
        for &coefficient in &block[1..=20] {
            if coefficient.abs() > 1 {
                waiting.push(coefficient.unsigned_abs() & 1);
            } else if coefficient == 0 {
                if zeros == 15 {
                    writer.symbol(0xf0);
                    waiting.drain(..).for_each(|bit| writer.bits(bit, 1));
                    zeros = 0;
                } else {
                    zeros += 1;
                }
            } else {
                writer.symbol(zeros << 4 | 1);
                writer.bits(u32::from(coefficient > 0), 1);
                waiting.drain(..).for_each(|bit| writer.bits(bit, 1));
                zeros = 0;
            }
        }
        if zeros > 0 || !waiting.is_empty() {
            writer.symbol(0);
            waiting.drain(..).for_each(|bit| writer.bits(bit, 1));
        }
    }
    writer.finish()
}

fn lossless(levels: &[u16], bits: u32, predictor: u8, low: u8, restart_rows: usize) -> Vec<u8> {
    let mut writer = Writer::new(0xc3, bits);
    writer.interval((restart_rows * COLUMNS) as u16);
    writer.scan(predictor, 0, 0, low);
    let sample = |x: usize, y: usize| i32::from(levels[y * COLUMNS + x] >> low);
    for y in 0..ROWS {
        let first = restart_rows > 0 && y % restart_rows == 0 || y == 0;
        if first && y > 0 {
            writer.restart(y / restart_rows - 1);
        }
        for x in 0..COLUMNS {
            let predicted = match (x, first) {
                (0, true) => 1 << (bits - u32::from(low) - 1),
                (_, true) => sample(x - 1, y),
                (0, false) => sample(x, y - 1),
                _ => {
                    let (a, b, c) = (sample(x - 1, y), sample(x, y - 1), sample(x - 1, y - 1));
                    [a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), i32::midpoint(a, b)]
                        [usize::from(predictor) - 1]
                }
            };
            match (sample(x, y) - predicted + 32768).rem_euclid(65536) - 32768 {
                -32768 => writer.symbol(16),
                difference => writer.number(0, difference),
            }
        }
    }
    writer.finish()
}

fn worst(found: &[u16], expected: &[u16]) -> u16 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn a_baseline_picture_is_decoded_as_another_decoder_does() {
    let grey: Vec<u8> = picture(8).iter().map(|&level| level as u8).collect();
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
    encoder.write_image(&grey, COLUMNS as u32, ROWS as u32, ExtendedColorType::L8).unwrap();
    let other = image::load_from_memory(&bytes).unwrap().into_luma8().into_raw();
    let other: Vec<u16> = other.into_iter().map(u16::from).collect();
    assert!(worst(&decoded(&bytes).unwrap(), &other) <= 1);
}

#[test]
fn eight_and_twelve_bits_come_back_with_and_without_restarts() {
    for (bits, interval) in [(8, 0), (8, 2), (12, 0), (12, 3)] {
        let levels = picture(bits);
        assert!(worst(&decoded(&sequential(&levels, bits, interval)).unwrap(), &levels) <= 2, "{bits} {interval}");
    }
}

#[test]
fn progressive_scans_build_the_picture_of_the_sequential_one() {
    for bits in [8, 12] {
        let levels = picture(bits);
        assert_eq!(decoded(&progressive(&levels, bits)).unwrap(), decoded(&sequential(&levels, bits, 0)).unwrap());
    }
}

#[test]
fn every_predictor_is_lossless_up_to_sixteen_bits() {
    for predictor in 1..=7 {
        for (bits, restart_rows) in [(2, 0), (8, 0), (12, 4), (16, 0), (16, 1)] {
            let levels = picture(bits);
            assert_eq!(
                decoded(&lossless(&levels, bits, predictor, 0, restart_rows)).unwrap(),
                levels,
                "{predictor} {bits}"
            );
        }
    }
}

#[test]
fn bits_that_were_shifted_out_come_back_as_zeros() {
    let levels = picture(12);
    let expected: Vec<u16> = levels.iter().map(|level| level >> 2 << 2).collect();
    assert_eq!(decoded(&lossless(&levels, 12, 1, 2, 0)).unwrap(), expected);
}

#[test]
fn a_cut_stream_is_damaged() {
    let levels = picture(12);
    for whole in [sequential(&levels, 12, 0), lossless(&levels, 12, 1, 0, 0)] {
        for length in 0..whole.len() - 4 {
            assert!(decoded(&whole[..length]).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn arithmetic_coding_is_unsupported_by_name() {
    let mut stream = sequential(&picture(8), 8, 0);
    let frame = stream.windows(2).position(|pair| pair == [0xff, 0xc1]).unwrap();
    stream[frame + 1] = 0xc9;
    assert!(matches!(decode(&stream, SHAPE), Err(CodecError::Unsupported(_))));
}

proptest! {
    #[test]
    fn damaged_streams_never_panic(
        kind in 0..3, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6),
    ) {
        let levels = picture(12);
        let mut bytes = match kind {
            0 => sequential(&levels, 12, 2),
            1 => progressive(&levels, 12),
            _ => lossless(&levels, 12, 4, 0, 3),
        };
        for (place, value) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = value;
        }
        // Any answer will do, as long as there is one.
        let _ = decoded(&bytes);
    }
}
