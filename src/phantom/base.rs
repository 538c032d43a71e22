//! Skull base and face: the floor of the cavity, orbits, sinuses, petrous bones, airways, neck.

use super::head::AIR;
use super::random::{Noise, Random, mix};
use super::shape::{Point, capsule, cover, ellipsoid, interval, ramp};

const BONE: f32 = 950.0;
const PETROUS: f32 = 1500.0;
const FAT: f32 = -95.0;
const MUSCLE: f32 = 58.0;
const VITREOUS: f32 = 10.0;

const STEP: f32 = 2.0;
const COLUMNS: usize = 48;
const ROWS: usize = 112;
const FRONT: f32 = -112.0;

/// The floor of the cavity below a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// z of the upper surface of the bone.
    pub(super) height: f32,
    /// Depth of the bone below it.
    pub(super) thickness: f32,
    /// Cosine of its slope: turns a vertical distance into a distance.
    pub(super) steepness: f32,
}

/// Skull base and face, mirror symmetric.
pub(super) struct Base {
    /// Height and thickness on a grid over |x| and y.
    grid: Vec<[f32; 2]>,
    /// How much air the sinuses hold, about 1.
    sinus: f32,
    deviation: f32,
}

/// Height and thickness of the floor before it is smoothed.
fn raw_floor(x: f32, y: f32) -> [f32; 2] {
    let sphenoid = -24.0 - 0.48 * (x - 12.0).max(0.0);
    let petrous = -4.0 + 0.6 * (x - 8.0).max(0.0);
    let [mut height, mut thickness] = if y < sphenoid {
        // Orbital roofs bulge upwards beside the cribriform plate.
        [-24.0 + 12.0 * ramp(x, 9.0, 26.0) + 3.0 * ramp(-y, 55.0, 75.0), 3.5]
    } else if y < petrous {
        if x < 11.0 { [-24.0, 3.0] } else { [-41.0 + 10.0 * ramp(x, 48.0, 64.0), 4.0] }
    } else if x < 15.0 && y < 14.0 {
        [-24.0 - 1.9 * (y + 4.0).max(0.0), 12.0]
    } else {
        [-60.0 + 9.0 * ((x / 50.0) * (x / 50.0) + ((y - 38.0) / 42.0) * ((y - 38.0) / 42.0)).min(1.6), 6.0]
    };
    let wing = -14.0 - 1.3 * (y - sphenoid).abs();
    if x > 11.0 && x < 58.0 && wing > height {
        height = wing;
        thickness = thickness.max(9.0);
    }
    let ridge = -23.0 - 1.25 * (y - petrous).abs();
    if x > 9.0 && ridge > height {
        height = ridge;
        thickness = (ridge + 47.0).max(4.0);
    }
    [height, thickness]
}

impl Base {
    pub(super) fn new(random: &mut Random) -> Self {
        let at = |row: usize, column: usize| raw_floor(column as f32 * STEP, FRONT + row as f32 * STEP);
        let mut grid: Vec<[f32; 2]> = (0..ROWS * COLUMNS).map(|i| at(i / COLUMNS, i % COLUMNS)).collect();
        for _ in 0..2 {
            grid = (0..grid.len())
                .map(|i| {
                    let (row, column) = ((i / COLUMNS) as i32, (i % COLUMNS) as i32);
                    let mut sum = [0.0; 2];
                    for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                        // Mirrored at the midline, held at the other edges.
                        let y = (row + dy).clamp(0, ROWS as i32 - 1) as usize;
                        let x = (column + dx).abs().min(COLUMNS as i32 - 1) as usize;
                        let cell = grid.get(y * COLUMNS + x).copied().unwrap_or_default();
                        sum = [sum[0] + cell[0] / 9.0, sum[1] + cell[1] / 9.0];
                    }
                    sum
                })
                .collect();
        }
        Self { grid, sinus: 1.0 + 0.15 * random.signed(), deviation: 1.5 * random.signed() }
    }

    pub(super) fn floor(&self, p: Point) -> Floor {
        let (u, v) = ((p[0].abs() / STEP).min(46.99), ((p[1] - FRONT) / STEP).clamp(0.0, 110.99));
        let (column, row) = (u as usize, v as usize);
        let (fx, fy) = (u - column as f32, v - row as f32);
        let cell =
            |dy: usize, dx: usize| self.grid.get((row + dy) * COLUMNS + column + dx).copied().unwrap_or([-57.0, 6.0]);
        let [a, b, c, d] = [cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)];
        let lerp = |i: usize| mix(mix(a[i], b[i], fx), mix(c[i], d[i], fx), fy);
        let slope = [(b[0] - a[0]) / STEP, (c[0] - a[0]) / STEP];
        let steepness = 1.0 / (1.0 + slope[0] * slope[0] + slope[1] * slope[1]).sqrt();
        Floor { height: lerp(0), thickness: lerp(1), steepness }
    }

    /// Depth inside the foramen magnum and the spinal canal.
    pub(super) fn canal(p: Point) -> f32 {
        if p[2] > -45.0 { -9.0 } else { -ellipsoid([p[0], p[1], 0.0], [0.0, 29.0, 0.0], [12.5, 15.0, 99.0]) }
    }

    /// Signed distance to the skin, given the distance to the scalp over the vault.
    pub(super) fn skin(p: Point, scalp: f32) -> f32 {
        if p[2] > 12.0 {
            return scalp;
        }
        let x = p[0].abs();
        let face = ellipsoid(p, [0.0, -40.0, -52.0], [66.0, 54.0, 66.0]);
        let nose = capsule(p, [0.0, -86.0, -28.0], [0.0, -98.0, -62.0], 7.0, 13.0);
        let lids = ellipsoid([x, p[1], p[2]], [31.0, -80.0, -31.0], [17.0, 13.0, 14.0]);
        let neck = ellipsoid(p, [0.0, 28.0, -105.0], [63.0, 68.0, 90.0]);
        scalp.min(face).min(nose).min(lids).min(neck)
    }

    /// Signed distance to the auricles.
    pub(super) fn ear(p: Point) -> f32 {
        let x = p[0].abs();
        if x < 60.0 || p[2] > 0.0 {
            return 99.0;
        }
        let shell = ellipsoid([x, p[1], p[2]], [78.0 + 0.35 * (p[1] - 12.0), 16.0, -36.0], [5.0, 16.0, 27.0]);
        let concha = ellipsoid([x, p[1], p[2]], [81.0, 12.0, -38.0], [6.0, 6.0, 9.0]);
        shell.max(-concha)
    }

    /// What of the base and the face is at `p`, over `hu`.
    #[allow(clippy::too_many_arguments, reason = "the neighbours of a place, all of them scalars")]
    pub(super) fn tissue(
        &self,
        p: Point,
        vault: f32,
        wall: f32,
        floor: &Floor,
        noise: &Noise,
        hu: f32,
        blur: f32,
    ) -> f32 {
        let mut hu = hu;
        if p[2] > 16.0 {
            return hu;
        }
        let q = [p[0].abs(), p[1], p[2]];
        let below = floor.height - p[2];
        let under_brain = vault < wall;
        if under_brain {
            let slab = interval(below * floor.steepness, 0.0, floor.thickness * floor.steepness);
            let dense = ramp(-(q[1] - 4.0 - 0.6 * q[0]).abs(), -11.0, -6.0) * ramp(q[0], 10.0, 18.0);
            let marrow = 0.75 + 0.25 * noise.at(p.map(|c| c / 5.0));
            hu = mix(hu, mix(BONE * marrow, PETROUS, dense), cover(slab, blur));
        }
        if q[2] < -8.0 && q[1] < -20.0 {
            hu = self.face(q, p, noise, hu, blur);
        }
        hu = self.sphenoid_and_temporal(q, p, noise, hu, blur);
        if q[2] < -40.0 {
            hu = Self::neck(q, p, noise, hu, blur);
        }
        // Frontal sinus, inside the frontal bone.
        let air = ellipsoid(q, [11.0, -86.4, -10.0], [13.0 * self.sinus, 2.4, 11.0 * self.sinus]).max(0.8 - q[0]);
        let rim = cover(air - 2.0, blur);
        if rim > 0.0 {
            hu = mix(mix(hu, 1150.0, rim), AIR, cover(air, blur));
        }
        hu
    }

    /// Orbits, nose, ethmoid and maxilla.
    fn face(&self, q: Point, p: Point, noise: &Noise, hu: f32, blur: f32) -> f32 {
        let mut hu = hu;
        // Orbit: a cone of fat in a shell of bone, open in front.
        let cone = capsule(q, [30.0, -72.0, -31.0], [13.0, -34.0, -25.0], 18.0, 4.0);
        let shell = cone - 2.2;
        if shell < 1.0 && q[1] > -84.0 {
            let bony = cover(shell, blur) * cover(-76.0 - q[1], 3.0);
            hu = mix(hu, BONE, bony);
            let mut inside = FAT;
            let muscles = capsule(q, [41.0, -76.0, -31.0], [16.0, -40.0, -26.0], 1.8, 1.5)
                .min(capsule(q, [19.0, -76.0, -31.0], [12.5, -42.0, -26.0], 1.8, 1.5))
                .min(capsule(q, [30.0, -70.0, -31.0], [14.0, -40.0, -26.0], 1.9, 1.9));
            inside = mix(inside, 45.0, cover(muscles, blur));
            hu = mix(hu, inside, cover(cone, blur));
        }
        let globe = ellipsoid(q, [31.5, -77.0, -31.0], [12.0, 12.0, 12.0]);
        if globe < 3.0 {
            let lens = ellipsoid(q, [31.5, -85.5, -31.0], [4.5, 2.0, 4.5]);
            let eye = mix(mix(48.0, VITREOUS, cover(globe + 1.6, blur)), 95.0, cover(lens, blur));
            hu = mix(hu, eye, cover(globe, blur));
        }
        // Nose and ethmoid: air with thin walls, a septum, turbinates below.
        let ethmoid = interval(q[0], -1.0, 11.5).max(interval(q[1], -76.0, -34.0)).max(interval(q[2], -45.0, -25.0));
        let nasal = interval(q[0], -1.0, 13.5).max(interval(q[1], -90.0, -26.0)).max(interval(q[2], -90.0, -45.0));
        let cavity = ethmoid.min(nasal);
        if cavity < 3.0 {
            hu = mix(hu, BONE * 0.8, cover(cavity - 1.2, blur));
            let wall = noise.at([p[0] / 5.0, p[1] / 6.0 + 9.0, p[2] / 9.0]).abs() * 5.0 - 0.55;
            let cells = mix(AIR, 320.0, cover(wall, blur));
            let turbinate = capsule(q, [7.5, -75.0, -58.0], [7.5, -38.0, -60.0], 3.6, 3.6).min(capsule(
                q,
                [8.0, -78.0, -72.0],
                [8.0, -36.0, -74.0],
                4.2,
                4.2,
            ));
            let nose = mix(AIR, 45.0, cover(turbinate, blur));
            let mut inside = mix(nose, cells, ramp(q[2], -46.0, -43.0));
            let bend = self.deviation * ramp(-p[1], 30.0, 60.0) * ramp(-p[1], -95.0, -60.0);
            inside = mix(inside, 180.0, cover((p[0] - bend).abs() - 0.9, blur));
            hu = mix(hu, inside, cover(cavity, blur));
        }
        let antrum = ellipsoid(q, [30.0, -60.0, -64.0], [15.0 * self.sinus, 17.0, 15.0]).max(15.0 - q[0]);
        if antrum < 3.0 {
            hu = mix(mix(hu, BONE, cover(antrum - 1.6, blur)), AIR, cover(antrum, blur));
        }
        // Zygoma and its arch, rim of the orbit, nasal bone.
        let arch = capsule(q, [48.0, -66.0, -45.0], [62.0, -45.0, -47.0], 5.0, 3.0)
            .min(capsule(q, [62.0, -45.0, -47.0], [66.0, -12.0, -44.0], 2.6, 2.6))
            .min(capsule(q, [47.0, -72.0, -16.0], [48.0, -64.0, -44.0], 3.6, 4.2))
            .min(capsule(q, [12.0, -86.0, -18.0], [47.0, -74.0, -14.0], 3.4, 3.6))
            .min(capsule(q, [3.0, -87.0, -22.0], [3.5, -95.0, -42.0], 2.6, 1.4));
        hu = mix(hu, BONE, cover(arch, blur));
        // Alveolar process of the maxilla.
        let maxilla = ellipsoid(q, [0.0, -66.0, -84.0], [30.0, 28.0, 7.0]);
        mix(hu, BONE, cover(maxilla, blur))
    }

    /// Sphenoid sinus, mastoid cells, ear canal, mandible.
    fn sphenoid_and_temporal(&self, q: Point, p: Point, noise: &Noise, hu: f32, blur: f32) -> f32 {
        let mut hu = hu;
        let sinus = ellipsoid(q, [7.0, -20.0, -35.5], [7.5 * self.sinus, 12.0, 8.0]);
        if sinus < 4.0 {
            let inside = mix(AIR, 300.0, cover((p[0] - self.deviation).abs() - 0.6, blur));
            hu = mix(mix(hu, BONE, cover(sinus - 2.5, blur)), inside, cover(sinus, blur));
        }
        let mastoid = ellipsoid(q, [59.0, 26.0, -47.0], [10.5, 15.0, 18.0]);
        if mastoid < 3.0 {
            hu = mix(hu, 1100.0, cover(mastoid - 2.0, blur));
            let wall = noise.at(p.map(|c| c / 4.0)).abs() * 4.0 - 0.7;
            hu = mix(hu, mix(AIR, 450.0, cover(wall, blur)), cover(mastoid + 1.5, blur));
        }
        let ear = capsule(q, [84.0, 9.0, -40.0], [46.0, 7.0, -38.0], 3.6, 3.2).min(ellipsoid(
            q,
            [43.0, 8.0, -36.0],
            [4.0, 6.0, 7.0],
        ));
        if ear < 2.0 {
            let rim = cover(ear - 1.6, blur) * ramp(q[0], 70.0, 62.0);
            hu = mix(mix(hu, BONE, rim), AIR, cover(ear, blur));
        }
        let jaw = capsule(q, [50.0, -4.0, -50.0], [47.0, -12.0, -88.0], 4.6, 4.0).min(capsule(
            q,
            [48.0, -38.0, -58.0],
            [47.0, -16.0, -88.0],
            2.4,
            4.0,
        ));
        mix(hu, BONE, cover(jaw, blur))
    }

    /// Pharynx, styloid, atlas and its arch round the canal.
    fn neck(q: Point, p: Point, noise: &Noise, hu: f32, blur: f32) -> f32 {
        let mut hu = hu;
        let pharynx = ellipsoid(q, [0.0, -18.0, -74.0], [16.0, 9.0, 22.0]);
        if pharynx < 4.0 {
            hu = mix(mix(hu, MUSCLE, cover(pharynx - 3.0, 2.0)), AIR, cover(pharynx, blur));
        }
        let ring = ellipsoid([p[0], p[1], 0.0], [0.0, 28.0, 0.0], [20.0, 22.0, 99.0]);
        let arch = ring.max(interval(p[2], -80.0, -66.0));
        let lateral = ellipsoid(q, [22.0, 20.0, -72.0], [12.0, 9.0, 9.0]);
        let condyle = ellipsoid(q, [18.0, 20.0, -60.0], [8.0, 11.0, 6.0]);
        let dens = capsule(p, [0.0, 11.0, -66.0], [0.0, 11.0, -99.0], 4.5, 5.5);
        let bones =
            arch.min(lateral).min(condyle).min(dens).min(capsule(q, [36.0, 8.0, -56.0], [32.0, 0.0, -80.0], 1.6, 1.2));
        let marrow = 0.8 + 0.2 * noise.at(p.map(|c| c / 4.0));
        mix(hu, BONE * marrow, cover(bones, blur))
    }
}
