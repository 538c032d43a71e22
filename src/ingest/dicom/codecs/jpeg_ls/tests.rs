//! The example of the standard, and an encoder written from the standard's pseudo-code (annex A), which is not the way
//! that the decoder is written in. Files by other encoders are in the open corpus.

use super::*;
use proptest::prelude::*;

fn shape(rows: usize, columns: usize) -> FrameShape {
    FrameShape { rows, columns, pixel_bytes: 2 }
}

fn decoded(bytes: &[u8], rows: usize, columns: usize) -> Result<Vec<u16>, String> {
    let bytes = decode(bytes, shape(rows, columns)).map_err(|error| error.to_string())?;
    Ok(bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect())
}

#[test]
fn the_example_of_the_standard_is_decoded() {
    // T.87 annex H.3: 4 x 4 samples of 8 bits, lossless.
    let stream = [
        0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff, 0xda, 0x00,
        0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e, 0x01, 0xc0, 0x00, 0x00,
        0x57, 0x40, 0x00, 0x00, 0x6e, 0xe6, 0x00, 0x00, 0x01, 0xbc, 0x18, 0x00, 0x00, 0x05, 0xd8, 0x00, 0x00, 0x91,
        0x60, 0xff, 0xd9,
    ];
    let expected = [0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145];
    assert_eq!(decoded(&stream, 4, 4).unwrap(), expected);
}

/// What a stream is encoded with.
#[derive(Clone, Debug)]
struct Coding {
    precision: u32,
    near: i32,
    /// Rows between restart markers.
    interval: usize,
    /// `MAXVAL`, `T1`, `T2`, `T3`, `RESET`.
    presets: Option<[u16; 5]>,
}

struct Encoder {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Encoder {
    fn bit(&mut self, bit: u32) {
        let width = if self.out.last() == Some(&0xff) { 7 } else { 8 };
        self.held = self.held << 1 | bit;
        self.count += 1;
        if self.count == width {
            self.out.push(self.held as u8);
            (self.held, self.count) = (0, 0);
        }
    }

    fn bits(&mut self, value: u32, count: u32) {
        (0..count).rev().for_each(|place| self.bit(value >> place & 1));
    }

    fn golomb(&mut self, value: u32, k: u32, limit: u32, qbpp: u32) {
        let high = value >> k;
        if high < limit - qbpp - 1 {
            (0..high).for_each(|_| self.bit(0));
            self.bit(1);
            self.bits(value & ((1 << k) - 1), k);
        } else {
            (0..limit - qbpp - 1).for_each(|_| self.bit(0));
            self.bit(1);
            self.bits(value - 1, qbpp);
        }
    }

    /// Fills the last byte, and one more where it would read as the start of a marker.
    fn flush(&mut self) {
        while self.count > 0 || self.out.last() == Some(&0xff) {
            self.bit(0);
        }
    }
}

#[expect(clippy::too_many_lines, reason = "the pseudo-code of annex A in one piece, to be compared with it")]
fn encode(samples: &[i32], columns: usize, coding: &Coding) -> Vec<u8> {
    let rows = samples.len() / columns;
    let mut encoder = Encoder { out: vec![0xff, 0xd8, 0xff, 0xf7, 0, 11, coding.precision as u8], held: 0, count: 0 };
    encoder.out.extend((rows as u16).to_be_bytes());
    encoder.out.extend((columns as u16).to_be_bytes());
    encoder.out.extend([1, 1, 0x11, 0]);
    if let Some(presets) = coding.presets {
        encoder.out.extend([0xff, 0xf8, 0, 13, 1]);
        encoder.out.extend(presets.iter().flat_map(|preset| preset.to_be_bytes()));
    }
    if coding.interval > 0 {
        encoder.out.extend([0xff, 0xdd, 0, 4]);
        encoder.out.extend((coding.interval as u16).to_be_bytes());
    }
    encoder.out.extend([0xff, 0xda, 0, 8, 1, 1, 0, coding.near as u8, 0, 0]);

    let near = coding.near;
    let [maxval, t1, t2, t3, reset] = coding.presets.map_or_else(
        || {
            let maxval = (1_i32 << coding.precision) - 1;
            let clamp = |value: i32, low: i32| if value > maxval || value < low { low } else { value };
            let scale = |basic: i32, least: i32| {
                if maxval >= 128 {
                    (maxval.min(4095) + 128) / 256 * (basic - least) + least
                } else {
                    (basic / (256 / (maxval + 1))).max(least)
                }
            };
            let t1 = clamp(scale(3, 2) + 3 * near, near + 1);
            let t2 = clamp(scale(7, 3) + 5 * near, t1);
            [maxval, t1, t2, clamp(scale(21, 4) + 7 * near, t2), 64]
        },
        |presets| presets.map(i32::from),
    );
    let range = (maxval + 2 * near) / (2 * near + 1) + 1;
    let log = |count: i32| (0..32).find(|&bits| 1_i64 << bits >= i64::from(count)).unwrap();
    let (qbpp, bpp) = (log(range), log(maxval + 1).max(2));
    let limit = 2 * (bpp + bpp.max(8));

    let at = |image: &[i32], x: i64, y: i64, first: i64| -> i32 {
        // Rows above the first one are zero; left is what is above, right is what is left (A.2.1).
        let (x, y) = if x < 0 { (0, y - 1) } else { (x.min(columns as i64 - 1), y) };
        if y < first { 0 } else { image[y as usize * columns + x as usize] }
    };
    let mut rebuilt = vec![0; samples.len()];
    let (mut a, mut b, mut c, mut n, mut nn) = (vec![], vec![], vec![], vec![], vec![]);
    let mut run_index = 0;
    let mut first = 0;
    for y in 0..rows {
        if y == 0 || (coding.interval > 0 && y % coding.interval == 0) {
            if y > 0 {
                encoder.flush();
                encoder.out.extend([0xff, 0xd0 + ((y / coding.interval - 1) % 8) as u8]);
            }
            a = vec![((range + 32) / 64).max(2); 367];
            (b, c, n, nn) = (vec![0; 365], vec![0; 365], vec![1; 367], vec![0; 367]);
            run_index = 0;
            first = y as i64;
        }
        let mut x = 0;
        while x < columns {
            let here = y * columns + x;
            let neighbour = |image: &[i32], dx: i64, dy: i64| at(image, x as i64 + dx, y as i64 + dy, first);
            let (ra, rb) = (neighbour(&rebuilt, -1, 0), neighbour(&rebuilt, 0, -1));
            let (rc, rd) = (neighbour(&rebuilt, -1, -1), neighbour(&rebuilt, 1, -1));
            let quantize = |error: i32| {
                if error > 0 { (error + near) / (2 * near + 1) } else { -(near - error) / (2 * near + 1) }
            };
            let wrap = |error: i32| {
                let error = if error < 0 { error + range } else { error };
                if error >= (range + 1) / 2 { error - range } else { error }
            };
            let rebuild =
                |predicted: i32, sign: i32, error: i32| (predicted + sign * error * (2 * near + 1)).clamp(0, maxval);
            let gradients = [rd - rb, rb - rc, rc - ra];
            if gradients.iter().all(|gradient| gradient.abs() <= near) {
                let mut run = 0;
                while x + run < columns && (samples[here + run] - ra).abs() <= near {
                    rebuilt[here + run] = ra;
                    run += 1;
                }
                let ended = x + run == columns;
                x += run;
                while run >= 1 << RUN_BITS[run_index] {
                    encoder.bit(1);
                    run -= 1 << RUN_BITS[run_index];
                    run_index = (run_index + 1).min(31);
                }
                if ended {
                    if run > 0 {
                        encoder.bit(1);
                    }
                    continue;
                }
                encoder.bit(0);
                encoder.bits(run as u32, RUN_BITS[run_index]);
                let rb = at(&rebuilt, x as i64, y as i64 - 1, first);
                let kind = usize::from((ra - rb).abs() <= near);
                let predicted = if kind == 1 { ra } else { rb };
                let sign = if kind == 0 && ra > rb { -1 } else { 1 };
                let error = quantize(sign * (samples[y * columns + x] - predicted));
                rebuilt[y * columns + x] = rebuild(predicted, sign, error);
                let error = wrap(error);
                let q = 365 + kind;
                let temp = if kind == 0 { a[q] } else { a[q] + (n[q] >> 1) };
                let k = (0..32).find(|&k| n[q] << k >= temp).unwrap();
                let map = (k == 0 && error > 0 && 2 * nn[q] < n[q])
                    || (error < 0 && 2 * nn[q] >= n[q])
                    || (error < 0 && k != 0);
                let mapped = 2 * error.abs() - kind as i32 - i32::from(map);
                encoder.golomb(mapped as u32, k, limit - RUN_BITS[run_index] - 1, qbpp);
                if error < 0 {
                    nn[q] += 1;
                }
                a[q] += (mapped + 1 - kind as i32) >> 1;
                if n[q] == reset {
                    (a[q], n[q], nn[q]) = (a[q] >> 1, n[q] >> 1, nn[q] >> 1);
                }
                n[q] += 1;
                run_index = usize::max(run_index, 1) - 1;
                x += 1;
                continue;
            }
            let level = |d: i32| match d {
                d if d <= -t3 => -4,
                d if d <= -t2 => -3,
                d if d <= -t1 => -2,
                d if d < -near => -1,
                d if d <= near => 0,
                d if d < t1 => 1,
                d if d < t2 => 2,
                d if d < t3 => 3,
                _ => 4,
            };
            let [q1, q2, q3] = gradients.map(level);
            let mirrored = q1 < 0 || (q1 == 0 && q2 < 0) || (q1 == 0 && q2 == 0 && q3 < 0);
            let sign = if mirrored { -1 } else { 1 };
            let q = (sign * (81 * q1 + 9 * q2 + q3)) as usize;
            let median = if rc >= ra.max(rb) {
                ra.min(rb)
            } else if rc <= ra.min(rb) {
                ra.max(rb)
            } else {
                ra + rb - rc
            };
            let predicted = (median + sign * c[q]).clamp(0, maxval);
            let error = quantize(sign * (samples[here] - predicted));
            rebuilt[here] = rebuild(predicted, sign, error);
            let error = wrap(error);
            let k = (0..32).find(|&k| n[q] << k >= a[q]).unwrap();
            let mapped = if near == 0 && k == 0 && 2 * b[q] <= -n[q] {
                if error >= 0 { 2 * error + 1 } else { -2 * (error + 1) }
            } else if error >= 0 {
                2 * error
            } else {
                -2 * error - 1
            };
            encoder.golomb(mapped as u32, k, limit, qbpp);
            b[q] += error * (2 * near + 1);
            a[q] += error.abs();
            if n[q] == reset {
                a[q] >>= 1;
                b[q] = if b[q] >= 0 { b[q] >> 1 } else { -((1 - b[q]) >> 1) };
                n[q] >>= 1;
            }
            n[q] += 1;
            if b[q] <= -n[q] {
                b[q] += n[q];
                c[q] = (c[q] - 1).max(-128);
                if b[q] <= -n[q] {
                    b[q] = 1 - n[q];
                }
            } else if b[q] > 0 {
                b[q] -= n[q];
                c[q] = (c[q] + 1).min(127);
                if b[q] > 0 {
                    b[q] = 0;
                }
            }
            x += 1;
        }
    }
    encoder.flush();
    encoder.out.extend([0xff, 0xd9]);
    encoder.out
}

/// A picture with flat parts, slopes, edges and noise.
fn picture(rows: usize, columns: usize, largest: i32, seed: u32) -> Vec<i32> {
    let mut noise = seed;
    (0..rows * columns)
        .map(|place| {
            let (x, y) = ((place % columns) as i32, (place / columns) as i32);
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let smooth = match (x / 9 + y / 7) % 4 {
                0 => 0,
                1 => largest,
                2 => (x * largest / columns as i32 + y) % (largest + 1),
                _ => largest / 2 + (noise >> 28) as i32,
            };
            if (noise >> 20).is_multiple_of(64) { (noise >> 8) as i32 % (largest + 1) } else { smooth.min(largest) }
        })
        .collect()
}

fn coding() -> impl Strategy<Value = Coding> {
    (2..=16_u32, 0..4_i32, 0..4_usize).prop_map(|(precision, near, interval)| {
        let near = if precision < 4 { 0 } else { near };
        Coding { precision, near, interval, presets: None }
    })
}

proptest! {
    #[test]
    fn what_was_encoded_comes_back_within_the_stated_error(
        coding in coding(), rows in 1..12_usize, columns in 1..70_usize, seed: u32,
    ) {
        let samples = picture(rows, columns, (1 << coding.precision) - 1, seed);
        let back = decoded(&encode(&samples, columns, &coding), rows, columns).unwrap();
        for (found, sample) in back.iter().zip(&samples) {
            prop_assert!((i32::from(*found) - sample).abs() <= coding.near, "{found} for {sample}");
        }
    }

    #[test]
    fn damaged_streams_never_panic(coding in coding(), changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let samples = picture(9, 31, (1 << coding.precision) - 1, 5);
        let mut bytes = encode(&samples, 31, &coding);
        for (place, value) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = value;
        }
        // Any answer will do, as long as there is one.
        let _ = decoded(&bytes, 9, 31);
    }
}

#[test]
fn preset_parameters_are_used() {
    // A largest value below what the bits allow, other thresholds, and contexts that forget early.
    let coding = Coding { precision: 12, near: 0, interval: 0, presets: Some([3000, 5, 12, 40, 20]) };
    let samples = picture(20, 40, 3000, 3);
    let expected: Vec<u16> = samples.iter().map(|&sample| sample as u16).collect();
    assert_eq!(decoded(&encode(&samples, 40, &coding), 20, 40).unwrap(), expected);
    let without = Coding { presets: None, ..coding };
    assert_ne!(
        encode(&samples, 40, &without),
        encode(&samples, 40, &Coding { presets: Some([3000, 5, 12, 40, 20]), ..without.clone() })
    );
}

#[test]
fn a_cut_stream_is_damaged() {
    let coding = Coding { precision: 12, near: 0, interval: 0, presets: None };
    let whole = encode(&picture(16, 16, 4095, 1), 16, &coding);
    for length in 0..whole.len() - 3 {
        assert!(decoded(&whole[..length], 16, 16).is_err(), "cut at {length}");
    }
}

#[test]
fn another_size_than_the_header_says_is_damage() {
    let coding = Coding { precision: 8, near: 0, interval: 0, presets: None };
    let whole = encode(&picture(4, 6, 255, 1), 6, &coding);
    assert!(decoded(&whole, 6, 4).unwrap_err().contains("6 x 4"));
}
