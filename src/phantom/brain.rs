//! The brain as a function of place: cortex and sulci, white matter, nuclei, ventricles, cisterns, falx and tentorium,
//! cerebellum and brainstem.

use super::PhantomConfig;
use super::random::{Noise, Random, mix};
use super::shape::{Point, capsule, cover, ellipsoid, interval, length, ramp};

const FLUID: f32 = 5.0;
const WHITE: f32 = 27.5;
const GREY: f32 = 39.0;
const DURA: f32 = 48.0;
const SINUS: f32 = 56.0;
/// A distance that no surface is looked at from.
const FAR: f32 = 20.0;

/// What differs between one brain and the next.
pub(super) struct Brain {
    /// Width of the ventricles, 1 at 40 years.
    ventricles: f32,
    /// Half width of the sulci in mm.
    sulcus: f32,
    /// Fluid between the brain and the dura in mm.
    gap: f32,
    calcified: bool,
    /// Offset into the noise, so that no two brains share their gyri.
    fold: Point,
}

impl Brain {
    pub(super) fn new(config: &PhantomConfig, random: &mut Random) -> Self {
        let age = ramp(config.age_years, 20.0, 90.0);
        Self {
            ventricles: 0.8 + 0.5 * age + 0.1 * random.signed(),
            sulcus: 0.35 + 0.55 * age + 0.1 * random.signed(),
            gap: 0.7 + 1.4 * age + 0.25 * random.signed(),
            calcified: config.age_years > 30.0,
            fold: [random.signed() * 16.0, random.signed() * 16.0, random.signed() * 16.0],
        }
    }

    /// Signed distance to the ventricles.
    pub(super) fn ventricle(&self, p: Point) -> f32 {
        let q = [p[0].abs(), p[1], p[2]];
        if q[0] > 42.0 || p[2] < -42.0 || p[2] > 36.0 || p[1] < -45.0 || p[1] > 72.0 {
            return 9.0;
        }
        let w = self.ventricles;
        let frontal = capsule(q, [11.5, -33.0, 6.0], [5.5, -9.0, 11.0], 3.2 * w, 3.2 * w);
        let body = capsule(q, [6.5, -14.0, 13.0], [13.0, 22.0, 20.0], 3.9 * w, 4.2 * w).min(capsule(
            q,
            [13.0, 22.0, 20.0],
            [23.0, 38.0, 11.0],
            4.0 * w,
            5.0 * w,
        ));
        let occipital = capsule(q, [23.0, 38.0, 11.0], [20.0, 60.0, 6.0], 4.6 * w, 1.6 * w);
        let temporal = capsule(q, [25.0, 34.0, 6.0], [32.0, 4.0, -17.0], 2.0 * w, 1.2 * w);
        let lateral = frontal.min(body).min(occipital).min(temporal).max(0.7 - q[0]);
        let third = ellipsoid(p, [0.0, 1.0, -2.0], [1.9 * w, 15.0, 10.0]);
        let fourth = ellipsoid(p, [0.0, 29.0, -30.0], [7.0, 4.6 * w, 9.0]);
        lateral.min(third).min(fourth)
    }

    /// z of the tentorium.
    fn tentorium(p: Point) -> f32 {
        let x = p[0].abs() / 60.0;
        -3.0 - 20.0 * x * (0.6 + 0.4 * x) - 0.16 * (p[1] - 28.0).max(0.0)
    }

    /// Hounsfield units, subarachnoid share and ventricular share at `p`, `depth` below the dura, `vault` from the vault.
    pub(super) fn tissue(&self, p: Point, depth: f32, vault: f32, noise: &Noise, blur: f32) -> (f32, f32, f32) {
        let tent = Self::tentorium(p);
        let behind = p[1] - (-2.0 + 0.6 * (p[0].abs() - 8.0));
        let stem = capsule(p, [0.0, 8.0, 2.0], [0.0, 15.0, -20.0], 15.0, 13.5)
            .min(capsule(p, [0.0, 14.0, -22.0], [0.0, 17.0, -38.0], 14.0, 12.0))
            .min(capsule(p, [0.0, 18.0, -38.0], [0.0, 28.0, -64.0], 10.0, 7.0))
            .min(capsule(p, [0.0, 28.0, -64.0], [0.0, 29.0, -120.0], 6.5, 6.0));
        let notch = p[0].abs() < 19.0 && p[1] < 36.0;
        let (mut hu, mut fluid) = if p[2] < tent && (behind > 0.0 || p[2] < -42.0) {
            self.below_tentorium(p, depth, stem, noise, blur)
        } else {
            self.above_tentorium(p, depth, vault, stem, noise, blur)
        };
        // The tentorium, open in the middle where the brainstem passes.
        if behind > -1.0 && !notch && depth > 0.0 {
            hu = mix(hu, DURA, 0.8 * cover((p[2] - tent).abs() - 0.7, blur));
        }
        // Sinuses: superior sagittal along the vault, transverse where the tentorium meets it.
        if p[2] > -18.0 && depth < 9.0 {
            hu = mix(hu, SINUS, cover(p[0].abs() * 1.3 + depth - 5.5, blur) * ramp(p[1], -30.0, 20.0));
        } else if depth < 7.0 && p[1] > 30.0 {
            hu = mix(hu, SINUS, 0.8 * cover((p[2] - tent).abs() + depth - 5.0, blur));
        }
        let ventricle = cover(self.ventricle(p), blur);
        if ventricle > 0.0 {
            hu = mix(hu, FLUID, ventricle);
            fluid *= 1.0 - ventricle;
            let choroid = ellipsoid([p[0].abs(), p[1], p[2]], [22.5, 39.0, 10.0], [2.6, 4.0, 3.0]);
            hu = mix(hu, if self.calcified { 110.0 } else { 42.0 }, cover(choroid, blur));
        }
        if self.calcified {
            hu = mix(hu, 130.0, cover(ellipsoid(p, [0.0, 22.0, 0.0], [2.2, 2.4, 2.4]), blur));
        }
        // Scattered light and beam hardening brighten what lies beside bone.
        let near = (1.0 - depth / 11.0).clamp(0.0, 1.0);
        (hu + 6.0 * near * near, fluid, ventricle)
    }

    fn below_tentorium(&self, p: Point, depth: f32, stem: f32, noise: &Noise, blur: f32) -> (f32, f32) {
        let q = [p[0].abs(), p[1], p[2]];
        let hemisphere = ellipsoid(q, [22.0, 50.0, -34.0], [43.0, 43.0, 34.0]);
        let vermis = ellipsoid(p, [0.0, 50.0, -28.0], [15.0, 27.0, 24.0]);
        let cistern = ellipsoid(p, [0.0, 62.0, -58.0], [8.0, 15.0, 10.0]);
        let cerebellum = hemisphere.min(vermis).max(self.gap + 0.6 - depth).max(-cistern);
        let brain = cerebellum.min(stem);
        let share = cover(brain, blur);
        // Folia run round the white core.
        let folia = noise.at([p[0] / 16.0, p[1] / 14.0 + 11.0, p[2] / 3.5]);
        let core = ellipsoid(q, [18.0, 44.0, -34.0], [22.0, 20.0, 12.0]);
        let cerebellar = mix(GREY - 1.0 + 2.5 * folia, WHITE + 2.0, cover(core, 9.0));
        let tissue = mix(cerebellar, 31.5, cover(stem, 2.0));
        (mix(FLUID, tissue, share), 1.0 - share)
    }

    fn above_tentorium(&self, p: Point, depth: f32, vault: f32, stem: f32, noise: &Noise, blur: f32) -> (f32, f32) {
        let x = p[0].abs();
        let reach = -vault.max(-depth);
        // Midline: fissure and falx above the corpus callosum.
        let (mut midline, mut over, mut fissure) = (FAR, 0.0, FAR);
        if x < 12.0 {
            let callosum = ellipsoid([0.0, p[1], p[2]], [0.0, 4.0, 6.0], [99.0, 44.0, 25.0]);
            over = cover(-callosum, 3.0) * ramp(p[2], -22.0, -16.0);
            midline = (p[0] - 1.3 * noise.at([3.0, p[1] / 20.0, p[2] / 20.0])).abs();
            let wavy = 0.6 * ramp(-p[1], 25.0, 60.0) * noise.at([8.0, p[1] / 9.0, p[2] / 9.0]);
            fissure = mix(FAR, midline - self.sulcus - 0.2 - wavy, over);
        }
        let gaps = self.sulcus(p, reach, noise).min(fissure).min(self.sylvian(p, noise)).min(cisterns(p, stem, noise));
        let gaps = gaps.min(depth - self.gap);
        let fluid = cover(gaps, blur);
        // Cortex: 3 mm below every surface of the brain, deeper where gyri are cut along.
        let ribbon = 1.0 - ramp(gaps, 2.2, 4.6);
        let fade = 1.0 - 0.35 * ramp(reach, 20.0, 40.0);
        let mut tissue = WHITE + (GREY - WHITE) * ribbon * fade + 1.8 * noise.at(p.map(|c| c / 8.0));
        let q = [x, p[1], p[2]];
        if x < 45.0 && p[2] < 26.0 && p[2] > -14.0 {
            let nuclei = ellipsoid(q, [13.5, -20.0, 8.0], [5.5, 10.0, 10.0])
                .min(ellipsoid(q, [25.5, -3.0, 2.0], [7.0, 18.0, 10.0]))
                .min(ellipsoid(q, [10.5, 12.0, 5.0], [9.0, 14.0, 9.0]));
            tissue = mix(tissue, GREY - 0.5, cover(nuclei, 2.5));
        }
        tissue = mix(tissue, 32.0, cover(stem, 2.5) * ramp(-p[2], -4.0, 4.0));
        let mut hu = mix(tissue, FLUID, fluid);
        // The falx is deeper behind than in front.
        let falx = reach - mix(26.0, 52.0, ramp(p[1], -40.0, 50.0));
        hu = mix(hu, DURA, 0.9 * cover((midline - 0.4).max(falx), blur) * over);
        (hu, fluid)
    }
    /// Signed distance to the Sylvian fissure and the cistern of the insula.
    fn sylvian(&self, p: Point, noise: &Noise) -> f32 {
        let x = p[0].abs();
        if x < 30.0 || p[1].abs() > 36.0 || p[2].abs() > 30.0 {
            return FAR;
        }
        let width = 0.5 + self.sulcus;
        let level = 1.0 + 0.38 * (p[1] + 6.0) + 5.0 * noise.at([p[0] / 13.0, p[1] / 15.0, 5.0]);
        let opercular = (p[2] - level).abs().max(interval(p[1], -32.0, 26.0)).max(37.0 - x) - width;
        let bend = 3.5 * noise.at([p[0].signum() * 5.0, p[1] / 9.0, p[2] / 9.0]);
        let sheet = (x - 38.5 - 0.05 * p[1] - bend).abs();
        let insular = sheet.max(interval(p[1], -26.0, 16.0)).max((p[2] - level - 3.0).abs() - 9.0) - width * 0.6;
        opercular.min(insular)
    }

    /// Signed distance to the sulci: sheets that run inwards from the surface, the zero surfaces of a noise that hardly
    /// changes with depth. `reach` is the distance to the dura.
    fn sulcus(&self, p: Point, reach: f32, noise: &Noise) -> f32 {
        let shallow = 1.0 - ramp(reach, 7.0, 19.0);
        if shallow == 0.0 {
            return FAR;
        }
        let radius = length(p).max(1.0);
        let cells = (74.0 + 0.35 * (radius - 74.0)) / (11.0 * radius);
        let [x, y, z] = [p[0] * cells + self.fold[0], p[1] * cells + self.fold[1], p[2] * cells + self.fold[2]];
        let sheet = noise.at([x, y, z]) + 0.35 * noise.at([x * 2.1 + 7.0, y * 2.1, z * 2.1]);
        let crown = 0.75 + 0.5 * ramp(p[2], 25.0, 58.0);
        sheet.abs() * 5.8 - self.sulcus * crown * shallow + 1.5 * (1.0 - shallow)
    }
}

/// Signed distance to the cisterns of the base and round the midbrain, whose own distance is `stem`.
fn cisterns(p: Point, stem: f32, noise: &Noise) -> f32 {
    if p[2] < -30.0 || p[2] > 8.0 || length([p[0], p[1], 0.0]) > 46.0 {
        return FAR;
    }
    let star = ellipsoid(p, [0.0, -11.0, -18.0], [13.0, 10.5, 6.5]);
    let arms = capsule([p[0].abs(), p[1], p[2]], [8.0, -14.0, -17.0], [34.0, -24.0, -13.0], 2.0, 1.2);
    let quadrigeminal = ellipsoid(p, [0.0, 29.0, -4.0], [9.0, 3.6, 5.0]);
    let shell = (stem - 1.4).abs() - 0.9 - 0.9 * noise.at(p.map(|c| c / 10.0));
    let ambient = shell.max(interval(p[2], -21.0, -2.0)).max(5.0 - p[1]);
    star.min(arms).min(quadrigeminal).min(ambient)
}
