//! Repeatable randomness and elementary functions: the same bits natively and in wasm, which libm does not promise.

/// `SplitMix64` (Steele, Lea and Flood 2014): small, fast, and good enough for pictures.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A generator for `seed`; `stream` separates the uses of one seed, so that a new use does not change the others.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.bits();
        random
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    pub(super) fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    /// Roughly normal, mean 0 and variance 1: the sum of four uniform numbers (tails end at 3.5).
    pub(super) fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
    }
}

const SIDE: usize = 32;

/// Smooth value noise in three dimensions, within [-1, 1], periodic with 32 cells.
#[derive(Clone, Debug)]
pub(super) struct Noise(Vec<f32>);

impl Noise {
    pub(super) fn new(random: &mut Random) -> Self {
        Self((0..SIDE * SIDE * SIDE).map(|_| random.signed()).collect())
    }

    /// The noise at `p`, in cells.
    pub(super) fn at(&self, p: [f32; 3]) -> f32 {
        let floor = p.map(f32::floor);
        // Smoothstep, so that the gradient has no jumps at the cell walls.
        let [fx, fy, fz] = [p[0] - floor[0], p[1] - floor[1], p[2] - floor[2]].map(|t| t * t * (3.0 - 2.0 * t));
        let [x0, y0, z0] = floor.map(|c| (c as i32 as usize) & (SIDE - 1));
        let [x1, y1, z1] = [x0, y0, z0].map(|c| (c + 1) & (SIDE - 1));
        let corner = |x: usize, y: usize, z: usize| self.0.get((z * SIDE + y) * SIDE + x).copied().unwrap_or(0.0);
        let row = |y: usize, z: usize| mix(corner(x0, y, z), corner(x1, y, z), fx);
        mix(mix(row(y0, z0), row(y1, z0), fy), mix(row(y0, z1), row(y1, z1), fy), fz)
    }
}

/// `a` where `t` is 0, `b` where it is 1.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Sine and cosine of an angle in degrees by their series, which is the same on every platform.
pub(super) fn sin_cos(degrees: f32) -> (f32, f32) {
    let series = |start: f64, first: f64, x: f64| {
        let (mut sum, mut term, mut n) = (0.0, start, first);
        for _ in 0..14 {
            sum += term;
            term *= -x * x / ((n + 1.0) * (n + 2.0));
            n += 2.0;
        }
        sum
    };
    let turn = f64::from(degrees) / 360.0;
    let x = (turn - turn.round()) * std::f64::consts::TAU;
    (series(x, 1.0, x) as f32, series(1.0, 0.0, x) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_agree_with_the_standard_library() {
        for degrees in [-725.0_f32, -90.0, -3.5, 0.0, 30.0, 45.0, 179.9, 300.0] {
            let (sin, cos) = sin_cos(degrees);
            let (s, c) = f64::from(degrees).to_radians().sin_cos();
            assert!((f64::from(sin) - s).abs() < 1e-6 && (f64::from(cos) - c).abs() < 1e-6, "{degrees}");
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut random = Random::new(7, 0);
        let sample: Vec<f32> = (0..100_000).map(|_| random.normal()).collect();
        let mean = sample.iter().sum::<f32>() / 1e5;
        let variance = sample.iter().map(|v| v * v).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn noise_is_continuous_and_bounded() {
        let noise = Noise::new(&mut Random::new(1, 0));
        let mut last = noise.at([-40.0, 3.3, 0.1]);
        for step in 1..8000 {
            let value = noise.at([-40.0 + step as f32 * 0.01, 3.3, 0.1]);
            assert!(value.abs() <= 1.0 && (value - last).abs() < 0.05);
            last = value;
        }
    }
}
