//! The head as a function of place: skull vault, scalp, and the cavity that holds the brain.
//!
//! Model millimetres of an average adult: the origin lies in the midline between the thalami, x to the patient's left,
//! y to the back, z up. The vertex of the skull is near z = 74, the foramen magnum near z = -58.

use super::PhantomConfig;
use super::base::{Base, Floor};
use super::brain::Brain;
use super::random::{Noise, Random, mix};
use super::shape::{Point, cover, interval, length, ramp};

pub(super) const AIR: f32 = -1000.0;
const FAT: f32 = -95.0;
const MUSCLE: f32 = 55.0;
const SKIN: f32 = 35.0;
const CORTICAL_BONE: f32 = 1350.0;
const DIPLOE: f32 = 620.0;

/// What is found at a place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tissue {
    /// Hounsfield units.
    pub(super) hounsfield: f32,
    /// Millimetres below the inner table or above the skull base; negative outside the cavity.
    pub(super) depth: f32,
    /// Share of subarachnoid fluid.
    pub(super) subarachnoid: f32,
    /// Share of ventricle.
    pub(super) ventricle: f32,
}

/// One head: the average shape with what the seed and the configuration change in it.
pub(super) struct Head {
    /// Model millimetres a patient millimetre: children are small, and nobody is average.
    pub(super) scale: Point,
    pub(super) noise: Noise,
    pub(super) brain: Brain,
    base: Base,
    skull_mm: f32,
    scalp_mm: f32,
    forehead: f32,
}

impl Head {
    pub(super) fn new(config: &PhantomConfig) -> Self {
        let mut random = Random::new(config.seed, 1);
        // Head circumference reaches 72 % of an adult's at birth, 93 % at 5 years (Nellhaus 1968).
        let growth = mix(0.72, 1.0, 1.0 - 1.0 / (1.0 + config.age_years * 0.6)).min(1.0);
        let scale = [0.04, 0.04, 0.03].map(|spread| 1.0 / (growth * (1.0 + spread * random.signed())));
        let noise = Noise::new(&mut Random::new(config.seed, 2));
        Self {
            scale,
            noise,
            brain: Brain::new(config, &mut random),
            base: Base::new(&mut random),
            skull_mm: config.skull_mm,
            scalp_mm: 4.5 + random.signed(),
            forehead: 0.000_8 + 0.000_3 * random.signed(),
        }
    }

    /// Signed distance to the inner table of the vault, negative inside.
    pub(super) fn vault(&self, p: Point) -> f32 {
        // Wider behind than in front, flat sides, a domed top and nearly upright walls below.
        let q = [p[0] / (1.0 + self.forehead * p[1]), p[1], p[2]];
        let radii = [67.5, if q[1] < 0.0 { 82.0 } else { 87.0 }, if q[2] > 0.0 { 69.5 } else { 108.0 }];
        let s = [q[0] / radii[0], q[1] / radii[1], q[2] / radii[2]];
        // A little squarer than an ellipsoid.
        let [x, y, z] = s.map(|c| c * c);
        let dome = if q[2] > 0.0 { 0.3 * z * (x + y) } else { 0.0 };
        let k = (x + y + z - 0.22 * x * y - dome).max(0.0).sqrt();
        let gradient = length([s[0] / radii[0], s[1] / radii[1], s[2] / radii[2]]);
        if gradient < 1e-6 { -67.0 } else { k * (k - 1.0) / gradient }
    }

    fn skull_thickness(&self, p: Point) -> f32 {
        let squama = ramp(p[0].abs(), 45.0, 62.0) * ramp(-p[2], -12.0, 8.0) * ramp(-p[1], -25.0, 0.0);
        let bumps = 0.22 * self.noise.at(p.map(|c| c / 28.0));
        let back = 0.3 * ramp(p[1], 55.0, 85.0);
        self.skull_mm * (1.0 + bumps + back) * (1.0 - 0.5 * squama)
    }

    /// What is at model point `p`, with surfaces softened over `blur` mm.
    pub(super) fn tissue(&self, p: Point, blur: f32) -> Tissue {
        let vault = self.vault(p);
        // Beyond the scalp; ears, face and neck reach further out, lower down.
        if vault > 75.0 || (p[2] > 13.0 && vault > 40.0) {
            return Tissue { hounsfield: AIR, depth: -vault, ..Tissue::default() };
        }
        let floor = self.base.floor(p);
        let depth = (-vault).min((p[2] - floor.height) * floor.steepness).max(Base::canal(p));
        let mut tissue = Tissue { depth, ..Tissue::default() };
        let inside = cover(-depth, blur);
        if inside < 1.0 {
            tissue.hounsfield = self.outside(p, vault, &floor, blur);
        }
        if inside > 0.0 {
            let (brain, subarachnoid, ventricle) = self.brain.tissue(p, depth, vault, &self.noise, blur);
            tissue.hounsfield = mix(tissue.hounsfield, brain, inside);
            tissue.subarachnoid = subarachnoid * inside;
            tissue.ventricle = ventricle * inside;
        }
        tissue
    }

    /// Air, soft tissue of the head and bone.
    fn outside(&self, p: Point, vault: f32, floor: &Floor, blur: f32) -> f32 {
        let thickness = self.skull_thickness(p);
        let temporal = ramp(p[0].abs(), 40.0, 58.0) * ramp(-p[2], -22.0, 0.0) * interval_cover(p[1], -62.0, 15.0, 18.0);
        let nape = ramp(-p[2], 18.0, 45.0) * ramp(p[1], 20.0, 50.0);
        let outer = vault - thickness;
        let scalp = self.scalp_mm + 5.0 * temporal + 14.0 * nape;
        let skin = Base::skin(p, outer - scalp);
        let ear = Base::ear(p);
        let mut hu = mix(AIR, SKIN, cover(ear, blur));
        let body = cover(skin, blur);
        if body > 0.0 {
            let muscle = (temporal + nape + ramp(-p[2], 20.0, 45.0)).min(1.0);
            // Fat lies between the muscles and under the skin.
            let plane = ramp(self.noise.at([p[0] / 12.0, p[1] / 19.0, p[2] / 30.0]).abs(), 0.02, 0.14);
            let under_skin = cover(skin + 5.5, 1.5);
            let mut soft = mix(FAT, MUSCLE, muscle * plane * under_skin);
            soft = mix(soft, SKIN, cover(-skin - 2.2, 1.0));
            hu = mix(hu, soft, body);
            // Bone of the vault down to the skull base.
            let wall = interval(vault, 0.0, thickness).max(floor.height - floor.thickness - p[2]);
            let bone = cover(wall, blur);
            if bone > 0.0 {
                let table = (vault / thickness - 0.5).abs();
                hu = mix(hu, mix(DIPLOE, CORTICAL_BONE, ramp(table, 0.15, 0.38)), bone);
            }
            hu = self.base.tissue(p, vault, thickness, floor, &self.noise, hu, blur);
        }
        hu
    }
}

fn interval_cover(v: f32, low: f32, high: f32, width: f32) -> f32 {
    ramp(v, low, low + width) * ramp(-v, -high, -high + width)
}
