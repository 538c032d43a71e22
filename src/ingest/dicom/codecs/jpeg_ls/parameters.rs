//! What a scan is decoded with: derived from the precision and the allowed error, or preset (T.87 A.2.1, C.2.4.1).

use super::super::CodecError;
use super::super::jpeg::segments::damaged;

/// Preset parameters; 0 stands for the default.
#[derive(Default)]
pub(super) struct Presets {
    largest: i32,
    thresholds: [i32; 3],
    reset: i32,
}

impl Presets {
    /// Reads a segment of presets.
    pub(super) fn read(&mut self, payload: &[u8]) -> Result<(), CodecError> {
        match payload {
            [1, numbers @ ..] => {
                let mut numbers = numbers.as_chunks::<2>().0.iter().map(|&pair| i32::from(u16::from_be_bytes(pair)));
                let mut next = || numbers.next().ok_or_else(|| damaged("a segment of presets is incomplete"));
                *self = Self { largest: next()?, thresholds: [next()?, next()?, next()?], reset: next()? };
                Ok(())
            }
            // Mapping tables matter only to scans that name one; sizes beyond 65535 are refused with the frame.
            _ => Ok(()),
        }
    }
}

/// The parameters of a scan.
#[derive(Clone, Copy)]
pub(super) struct Parameters {
    /// Largest difference of a decoded sample (`NEAR`).
    pub(super) near: i32,
    /// Largest sample (`MAXVAL`).
    pub(super) largest: i32,
    thresholds: [i32; 3],
    /// Count from which a context forgets (`RESET`).
    pub(super) reset: i32,
    /// Number of different errors (`RANGE`).
    range: i32,
    /// Bits of an error (`qbpp`).
    pub(super) range_bits: u32,
    /// Bits of the longest code (`LIMIT`).
    pub(super) limit: u32,
}

impl Parameters {
    pub(super) fn new(precision: u32, near: i32, presets: &Presets) -> Result<Self, CodecError> {
        let possible = (1 << precision) - 1;
        let largest = if presets.largest == 0 { possible } else { presets.largest };
        if largest > possible || near > (largest / 2).min(255) {
            return Err(damaged("its presets contradict its precision"));
        }
        let defaults = default_thresholds(largest, near);
        let mut thresholds = defaults;
        for (threshold, &preset) in thresholds.iter_mut().zip(&presets.thresholds) {
            if preset != 0 {
                *threshold = preset;
            }
        }
        let range = (largest + 2 * near) / (2 * near + 1) + 1;
        let bits = bits_for(largest + 1).max(2);
        Ok(Self {
            near,
            largest,
            thresholds,
            reset: if presets.reset == 0 { 64 } else { presets.reset.max(3) },
            range,
            range_bits: bits_for(range),
            limit: 2 * (bits + bits.max(8)),
        })
    }

    /// What contexts start with (A.2.1).
    pub(super) fn first_magnitude(&self) -> i32 {
        ((self.range + 32) / 64).max(2)
    }

    /// The number of the context of three gradients, negative where it is mirrored, 0 for the run mode (A.3).
    pub(super) fn context(&self, gradients: [i32; 3]) -> i32 {
        let [q1, q2, q3] = gradients.map(|gradient| self.level(gradient));
        81 * q1 + 9 * q2 + q3
    }

    fn level(&self, gradient: i32) -> i32 {
        if gradient.abs() <= self.near {
            return 0;
        }
        let above = self.thresholds.iter().filter(|&&threshold| gradient.abs() >= threshold).count();
        gradient.signum() * (1 + above as i32)
    }

    /// An error as it was coded, if it is within the range of errors.
    pub(super) fn checked(&self, mapped: u32) -> Result<i32, CodecError> {
        let mapped = i32::try_from(mapped).ok().filter(|&mapped| mapped <= 2 * self.range);
        mapped.ok_or_else(|| damaged("an error is out of range"))
    }

    /// The sample that a prediction and an error give (A.4.5).
    pub(super) fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut sample = predicted + error * step;
        if sample < -self.near {
            sample += self.range * step;
        } else if sample > self.largest + self.near {
            sample -= self.range * step;
        }
        sample.clamp(0, self.largest)
    }
}

/// Bits that hold numbers below `count`.
fn bits_for(count: i32) -> u32 {
    (count - 1).checked_ilog2().map_or(0, |bits| bits + 1)
}

/// C.2.4.1.1.1.
fn default_thresholds(largest: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, low: i32| if value > largest || value < low { low } else { value };
    let [t1, t2, t3] = if largest >= 128 {
        let factor = (largest.min(4095) + 128) / 256;
        [factor + 2, 4 * factor + 3, 17 * factor + 4]
    } else {
        let factor = 256 / (largest + 1);
        [(3 / factor).max(2), (7 / factor).max(3), (21 / factor).max(4)]
    };
    let t1 = clamp(t1 + 3 * near, near + 1);
    let t2 = clamp(t2 + 5 * near, t1);
    [t1, t2, clamp(t3 + 7 * near, t2)]
}
