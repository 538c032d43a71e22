//! Skull strip: the brain is what bone encloses.
//!
//! Thresholds, distances and connected regions only. The skull has gaps (foramina, sutures, fractures, craniotomies), so
//! bone is grown until it closes, by the smallest radius that keeps the area of the neighbouring slice, and what it
//! encloses is grown back.

use super::PreprocessConfig;
use super::distance::capped_distance2;
use super::frame::Frame;
use super::regions::{Region, fill_holes, regions};
use std::ops::Range;

/// The brain in the working frame.
pub(super) struct Strip {
    /// Squared distance to bone in pixels, capped: `[slab, y, x]`.
    pub(super) bone_distance2: Vec<i16>,
    /// Brain: `[slab, y, x]`.
    pub(super) mask: Vec<bool>,
    /// Pixels of the mask on each slab.
    pub(super) areas: Vec<usize>,
    /// Radius that closed the skull on each slab; 0 without brain.
    pub(super) bridges: Vec<usize>,
}

/// A region must be soft tissue to more than this fraction: sinuses and air cells are enclosed as well.
const SOFT_FRACTION: f32 = 0.6;
/// A larger radius must enclose this much more to be preferred.
const LARGER: f32 = 1.25;
/// The next slice's brain is looked for until it has this fraction of the neighbour's area.
const CONTINUES: f32 = 0.7;
/// Below this fraction of the neighbour's area the vertex is tried.
const NEAR_VERTEX: f32 = 0.35;
/// Without bone to enclose it, the brain of the vertex must be this much larger than what bone encloses.
const VERTEX_LARGER: f32 = 2.5;
/// Smallest brain of a slice, in pixels.
const MIN_BRAIN: usize = 60;

/// The brain of one slice as found.
struct Found {
    mask: Vec<bool>,
    area: usize,
    bridge: usize,
}

/// Strips the skull; `None` if no slice shows an enclosed brain.
pub(super) fn strip(frame: &Frame, config: &PreprocessConfig) -> Option<Strip> {
    let slabs = frame.slabs.len();
    let mut stripper = Stripper::new(frame, config);
    let seed = stripper.seed()?;
    let mut result = Strip {
        bone_distance2: Vec::new(),
        mask: vec![false; frame.area() * slabs],
        areas: vec![0; slabs],
        bridges: vec![0; slabs],
    };
    let first = stripper.grow_back(seed.slab, &[seed.region], seed.bridge);
    let upwards = (seed.slab + 1..slabs).map(|slab| (slab, true));
    let downwards = (0..seed.slab).rev().map(|slab| (slab, false));
    stripper.widest = first.area as f32;
    for walk in [upwards.collect::<Vec<_>>(), downwards.collect()] {
        let mut neighbour = first.mask.clone();
        for (slab, up) in walk {
            let Some(found) = stripper.next(slab, &neighbour, up) else { break };
            result.store(slab, &found, frame.area());
            neighbour = found.mask;
        }
    }
    result.store(seed.slab, &first, frame.area());
    result.bone_distance2 = stripper.bone_distance2;
    Some(result)
}

impl Strip {
    fn store(&mut self, slab: usize, found: &Found, area: usize) {
        self.mask[slab * area..(slab + 1) * area].copy_from_slice(&found.mask);
        self.areas[slab] = found.area;
        self.bridges[slab] = found.bridge;
    }

    /// The mask on the slabs `kept`, without what lies within `width` pixels of bone.
    pub(super) fn cut_rim(&self, frame: &Frame, kept: Range<usize>, width: f32) -> Vec<bool> {
        let pixels = kept.start * frame.area()..kept.end * frame.area();
        let limit = width * width;
        let mut mask = vec![false; self.mask.len()];
        let brain = self.mask[pixels.clone()].iter().zip(&self.bone_distance2[pixels.clone()]);
        for (pixel, (&is_brain, &distance2)) in mask[pixels].iter_mut().zip(brain) {
            *pixel = is_brain && f32::from(distance2) > limit;
        }
        mask
    }
}

struct Seed {
    slab: usize,
    region: Region,
    bridge: usize,
}

struct Stripper<'a> {
    frame: &'a Frame,
    config: &'a PreprocessConfig,
    bone_distance2: Vec<i16>,
    /// Enclosed regions by slab and radius, found when first asked for.
    enclosed: Vec<Vec<Option<Vec<Region>>>>,
    /// Largest brain found so far, in pixels.
    widest: f32,
}

impl<'a> Stripper<'a> {
    fn new(frame: &'a Frame, config: &'a PreprocessConfig) -> Self {
        let cap = config.bridge_px.iter().max().unwrap_or(&0) + 2;
        let mut bone_distance2 = vec![0; frame.hounsfield.len()];
        let mut bone = vec![false; frame.area()];
        for (slab, out) in bone_distance2.chunks_exact_mut(frame.area()).enumerate() {
            for (pixel, &value) in bone.iter_mut().zip(frame.slab(slab)) {
                *pixel = value >= frame.bone_hu;
            }
            capped_distance2(&bone, frame.columns, cap, out);
        }
        let enclosed = vec![vec![None; config.bridge_px.len()]; frame.slabs.len()];
        Self { frame, config, bone_distance2, enclosed, widest: 0.0 }
    }

    fn distances(&self, slab: usize) -> &[i16] {
        &self.bone_distance2[slab * self.frame.area()..(slab + 1) * self.frame.area()]
    }

    /// Soft-tissue regions that bone encloses when grown by the radius of that index.
    fn enclosed(&mut self, slab: usize, radius: usize) -> &[Region] {
        if self.enclosed[slab][radius].is_none() {
            let limit = squared(self.config.bridge_px[radius]);
            let mut found = regions(self.distances(slab), self.frame.columns, |distance2| distance2 > limit);
            found.retain(|region| {
                !region.open && region.area >= self.config.min_region_px && self.is_soft(slab, region)
            });
            self.enclosed[slab][radius] = Some(found);
        }
        self.enclosed[slab][radius].as_deref().unwrap_or_default()
    }

    fn is_soft(&self, slab: usize, region: &Region) -> bool {
        let values = self.frame.slab(slab);
        let pixels = region.runs.iter().flat_map(|run| run.of(values, self.frame.columns));
        let soft = pixels.filter(|&&value| value >= self.config.tissue_hu).count();
        soft as f32 > SOFT_FRACTION * region.area as f32
    }

    /// The widest enclosed region of all slices. A larger radius must earn its place: it also closes the orbits.
    fn seed(&mut self) -> Option<Seed> {
        let radii = self.config.bridge_px.len().saturating_sub(1).max(1).min(self.config.bridge_px.len());
        let mut best: Option<(f32, Seed)> = None;
        for slab in 0..self.frame.slabs.len() {
            for radius in 0..radii {
                let bridge = self.config.bridge_px[radius];
                for region in self.enclosed(slab, radius) {
                    // What growing bone by the radius took away from a disk of this area.
                    let area = region.area as f32;
                    let area = area + 2.0 * bridge as f32 * (std::f32::consts::PI * area).sqrt();
                    let better = best.as_ref().is_none_or(|(largest, seed)| {
                        area > 1.15 * largest || (seed.bridge == bridge && area > *largest)
                    });
                    if better {
                        best = Some((area, Seed { slab, region: region.clone(), bridge }));
                    }
                }
            }
        }
        best.map(|(_, seed)| seed)
    }

    /// The regions grown back by what the bone had grown and a pixel more, filled, without bone.
    fn grow_back(&self, slab: usize, enclosed: &[Region], bridge: usize) -> Found {
        let (rows, columns) = (self.frame.rows, self.frame.columns);
        let reach = bridge + 1;
        let runs = || enclosed.iter().flat_map(|region| &region.runs);
        let top = runs().map(|run| run.row).min().unwrap_or(0).saturating_sub(reach + 1);
        let bottom = runs().map(|run| run.row + 1).max().unwrap_or(0).saturating_add(reach + 1).min(rows);
        let left = runs().map(|run| run.start).min().unwrap_or(0).saturating_sub(reach + 1);
        let right = runs().map(|run| run.end).max().unwrap_or(0).saturating_add(reach + 1).min(columns);
        let width = right.saturating_sub(left);
        let mut part = vec![false; width * bottom.saturating_sub(top)];
        for run in runs() {
            let start = (run.row - top) * width + run.start - left;
            part[start..start + run.end - run.start].fill(true);
        }
        let mut distance2 = vec![0; part.len()];
        capped_distance2(&part, width, reach + 1, &mut distance2);
        for (pixel, &distance2) in part.iter_mut().zip(&distance2) {
            *pixel = distance2 <= squared(reach);
        }
        fill_holes(&mut part, width);
        let mut mask = vec![false; rows * columns];
        let bone = self.distances(slab).chunks_exact(columns).skip(top);
        let mut area = 0;
        for ((line, bone), part) in
            mask.chunks_exact_mut(columns).skip(top).zip(bone).zip(part.chunks_exact(width.max(1)))
        {
            for ((pixel, &bone), &part) in line[left..right].iter_mut().zip(&bone[left..right]).zip(part) {
                *pixel = part && bone > 0;
                area += usize::from(*pixel);
            }
        }
        Found { mask, area, bridge }
    }

    /// The brain of a slice, given that of its neighbour; `None` where it ends.
    fn next(&mut self, slab: usize, neighbour: &[bool], up: bool) -> Option<Found> {
        let columns = self.frame.columns;
        let neighbour_area = neighbour.iter().filter(|&&pixel| pixel).count() as f32;
        let mut found: Option<Found> = None;
        for radius in 0..self.config.bridge_px.len() {
            let overlapping: Vec<Region> = self
                .enclosed(slab, radius)
                .iter()
                .filter(|region| {
                    let pixels = region.runs.iter().flat_map(|run| run.of(neighbour, columns));
                    2 * pixels.filter(|&&pixel| pixel).count() > region.area
                })
                .cloned()
                .collect();
            if overlapping.is_empty() {
                continue;
            }
            let grown = self.grow_back(slab, &overlapping, self.config.bridge_px[radius]);
            let area = grown.area as f32;
            if found.as_ref().is_none_or(|found| area > LARGER * found.area as f32) {
                found = Some(grown);
            }
            if area > CONTINUES * neighbour_area {
                break;
            }
        }
        let area = found.as_ref().map_or(0, |found| found.area);
        // Sutures of the newborn and large defects of bone leave a wide slice open: follow its neighbour.
        let wide = neighbour_area > self.config.follow_fraction * self.widest;
        if (up || wide) && (area as f32) < NEAR_VERTEX * neighbour_area {
            let vertex = self.vertex(slab, neighbour);
            if found.is_none() || vertex.area as f32 > VERTEX_LARGER * area as f32 {
                found = Some(vertex);
            }
        }
        let found = found.filter(|found| found.area >= MIN_BRAIN)?;
        self.widest = self.widest.max(found.area as f32);
        Some(found)
    }

    /// Near the vertex bone encloses nothing: soft tissue under the neighbour's mask, grown by a pixel.
    fn vertex(&self, slab: usize, neighbour: &[bool]) -> Found {
        let mut distance2 = vec![0; neighbour.len()];
        capped_distance2(neighbour, self.frame.columns, 2, &mut distance2);
        let pixels = self.frame.slab(slab).iter().zip(self.distances(slab)).zip(&distance2);
        let mask: Vec<bool> = pixels
            .map(|((&value, &bone), &distance2)| value >= self.config.vertex_hu && bone > 0 && distance2 <= 1)
            .collect();
        let area = mask.iter().filter(|&&pixel| pixel).count();
        Found { mask, area, bridge: 1 }
    }
}

fn squared(radius: usize) -> i16 {
    i16::try_from(radius.saturating_mul(radius)).unwrap_or(i16::MAX)
}
