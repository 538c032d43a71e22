//! Bleeds: each a level function that grows from its centre, filled up to the volume asked for.

use super::head::{Head, Tissue};
use super::random::{Noise, Random, mix};
use super::shape::{Point, cover, length, ramp, sub};
use super::{Bleed, BleedKind, Side};

/// A bleed placed in a head.
pub(super) struct Placed {
    pub(super) kind: BleedKind,
    side: f32,
    centre: Point,
    axes: Point,
    hounsfield: f32,
    offset: f32,
    /// Level that the blood reaches.
    level: f32,
}

impl Placed {
    /// Places `bleed`; it holds nothing until it is [filled](Self::fill).
    pub(super) fn new(bleed: Bleed, seed: u64, index: u64) -> Self {
        let mut random = Random::new(seed, 100 + index);
        let chance = random.signed();
        let side = match bleed.side {
            Some(Side::Left) => 1.0,
            Some(Side::Right) => -1.0,
            None => chance.signum(),
        };
        let [a, b, c] = [random.signed(), random.signed(), random.signed()];
        let centre = match bleed.kind {
            BleedKind::Epidural => [58.0 * side, -8.0 + 22.0 * a, 8.0 + 12.0 * b],
            BleedKind::Subdural => [60.0 * side, 2.0 + 14.0 * a, 18.0 + 8.0 * b],
            BleedKind::Subarachnoid => [40.0 * side, -10.0 + 14.0 * a, 4.0 + 10.0 * b],
            BleedKind::Intraparenchymal => [(25.0 + 6.0 * a) * side, 2.0 + 16.0 * b, 8.0 + 10.0 * c.max(-0.6)],
            BleedKind::Intraventricular => [20.0 * side, 50.0, 5.0],
        };
        let hounsfield = match bleed.kind {
            BleedKind::Subarachnoid => 58.0,
            BleedKind::Intraventricular => 62.0,
            _ => 67.0 + 4.0 * c,
        };
        let axes = [1.0, 1.2 + 0.15 * a, 1.0 + 0.1 * b];
        Self { kind: bleed.kind, side, centre, axes, hounsfield, offset: 16.0 * a, level: f32::NEG_INFINITY }
    }

    /// Where the blood may be (0 to 1) and at which level it gets there.
    fn reach(&self, p: Point, head: &Head, tissue: &Tissue) -> (f32, f32) {
        let supratentorial = ramp(p[2], -22.0, -20.0);
        match self.kind {
            BleedKind::Epidural => {
                let depth = -head.vault(p);
                let across = self.along_surface(p) / 1.9;
                // Half of d + sqrt(d² + 4 r²): the lens of height h over a disc of 1.9 h passes through (d, r).
                let lens = 0.5 * (depth + (depth * depth + 4.0 * across * across).sqrt());
                (if tissue.depth > 0.0 { 1.0 } else { 0.0 }, lens)
            }
            BleedKind::Subdural => {
                let across = self.along_surface(p) / 68.0;
                let taper = 1.0 - across * across;
                let allowed = tissue.depth > 0.0 && taper > 0.02 && p[0] * self.side > 1.5;
                (if allowed { supratentorial } else { 0.0 }, -head.vault(p) / taper.max(0.02))
            }
            BleedKind::Subarachnoid => (tissue.subarachnoid, length(sub(p, self.centre))),
            BleedKind::Intraparenchymal => {
                let d = sub(p, self.centre);
                let r = length([d[0] / self.axes[0], d[1] / self.axes[1], d[2] / self.axes[2]]);
                let cell = |scale: f32| p.map(|c| c / scale + self.offset);
                let edge = 0.22 * head.noise.at(cell(11.0)) + 0.08 * head.noise.at(cell(4.5));
                let allowed = tissue.depth > 2.0 && p[0] * self.side > 0.5;
                (if allowed { 1.0 } else { 0.0 }, r * (1.0 + edge))
            }
            // Blood settles: the occipital horns of a patient on the back fill first.
            BleedKind::Intraventricular => {
                let near = if p[0] * self.side > 0.0 { 0.0 } else { 12.0 };
                (tissue.ventricle, 75.0 - p[1] + near)
            }
        }
    }

    fn along_surface(&self, p: Point) -> f32 {
        // Chord between the directions, on a sphere of the head's size.
        let (a, b) = (length(p).max(1.0), length(self.centre).max(1.0));
        let d = sub(p.map(|c| c / a), self.centre.map(|c| c / b));
        length(d) * 74.0
    }

    /// Raises the level until `voxels` hold `volume_mm3` in all; each is a place, its tissue and its volume.
    /// Gives what fits in, which is less than asked where there is no more room.
    pub(super) fn fill(&mut self, head: &Head, voxels: &[(Point, Tissue)], voxel_mm3: f32, volume_mm3: f32) -> f32 {
        let mut levels: Vec<(f32, f32)> = voxels
            .iter()
            .filter(|(_, tissue)| tissue.depth > -1.0)
            .map(|(p, tissue)| self.reach(*p, head, tissue))
            .filter(|&(share, _)| share > 0.0)
            .map(|(share, level)| (level, share))
            .collect();
        levels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut filled = 0.0;
        for (level, share) in levels {
            if filled >= volume_mm3 {
                break;
            }
            filled += share * voxel_mm3;
            self.level = level;
        }
        filled
    }

    /// Draws the blood over `tissue`; gives the share of blood.
    pub(super) fn draw(&self, p: Point, head: &Head, tissue: &mut Tissue, clot: &Noise, blur: f32) -> f32 {
        if tissue.depth < -blur {
            return 0.0;
        }
        let (share, level) = self.reach(p, head, tissue);
        let beyond = level - self.level;
        if self.kind == BleedKind::Intraparenchymal && beyond < 7.0 {
            // Oedema.
            let rim = 0.75 * (1.0 - ramp(beyond, 0.0, 6.0)) * share * (1.0 - tissue.ventricle);
            tissue.hounsfield = mix(tissue.hounsfield, 19.0, rim);
        }
        let blood = share * cover(beyond, blur);
        if blood > 0.0 {
            let texture = 3.0 * clot.at(p.map(|c| c / 6.0 + self.offset));
            tissue.hounsfield = mix(tissue.hounsfield, self.hounsfield + texture, blood);
            tissue.subarachnoid *= 1.0 - blood;
            tissue.ventricle *= 1.0 - blood;
        }
        blood
    }
}
