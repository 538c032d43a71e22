//! What a prepared scan shows, in numbers that do not depend on pixel size.

use crate::ingest::order::{Stack, disorder};
use crate::preprocess::{Preparation, Stages};
use crate::volume::Volume;

/// Slabs whose brain is larger than this fraction of the largest are looked at: every full section of a head is.
const CORE: f32 = 0.6;
/// Tissue in Hounsfield units, its partial volume with air included.
const TISSUE_HU: f32 = -10.0;
/// What a picture of the brain window cannot show: air, and all that is darker than the window.
const BLACK_HU: f32 = -12.0;
/// Pixels of the working frame (about 2 mm) between the edge of the brain and the bone that made it.
const BESIDE: isize = 3;
/// Hounsfield units around the median that hold nearly all of a brain.
const NEAR_HU: f32 = 12.0;
/// Side of a pixel of the network input in the head of an adult.
const INPUT_PIXEL_MM: f32 = 1.9;
/// Hounsfield units below the median from which a pixel is fluid.
const FLUID_HU: f32 = 15.0;

/// Measurements of the full sections of what was taken for a brain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measures {
    /// Slabs that were kept.
    pub(super) kept: usize,
    /// Median in Hounsfield units.
    pub(super) median: f32,
    /// Difference of the quartiles in Hounsfield units: tissue contrast and noise.
    pub(super) quartiles: f32,
    /// Median difference in Hounsfield units between a pixel and the mean of its four neighbours: noise, and how sharp
    /// the reconstruction was.
    /// `None` where the pixels are larger than those of the working frame: what lies between them was made up.
    pub(super) texture: Option<f32>,
    /// Whether the pixels of the volume are larger than those of the network input: for this brain, or in millimetres.
    pub(super) coarse: bool,
    /// Share within [`NEAR_HU`] of the median.
    pub(super) near: f32,
    /// Share more than [`FLUID_HU`] below the median.
    pub(super) fluid: f32,
    /// Share of black pixels.
    pub(super) black: f32,
    /// Share of the outline that runs beside bone.
    pub(super) ring: f32,
    /// Area over that of all tissue on the same slices.
    pub(super) of_tissue: f32,
    /// Area of bone inside the brain over that of the brain, on the slab where it is largest, at and above the widest.
    pub(super) bright_inside: f32,
    /// Largest share of an edge of the picture that tissue touches, on half of the slabs or more.
    pub(super) at_edge: f32,
    /// Long over short axis of the widest section.
    pub(super) elongation: f32,
    /// Area of the widest section over that of the ellipse with the same moments.
    pub(super) ellipse: f32,
    /// Area of the lowest and of the highest kept slab over the largest.
    pub(super) ends: [f32; 2],
    /// Share of kept slabs on which wide gaps of the skull had to be bridged.
    pub(super) bridged: f32,
    /// See [`disorder`]; 1 where it could not be measured.
    pub(super) disorder: f32,
}

/// Pixels from which a bridged gap is wide, about 8 mm: sutures of older children and fractures are closer.
const WIDE_BRIDGE: usize = 11;

/// One slab of the working frame.
struct Slab<'a> {
    rows: usize,
    columns: usize,
    brain: &'a [bool],
    bone: &'a [bool],
    hounsfield: &'a [f32],
}

/// `None` if no slab holds any brain.
pub(super) fn measure(volume: &Volume, preparation: &Preparation) -> Option<Measures> {
    let stages = &preparation.stages;
    let largest = stages.areas.iter().copied().max().filter(|&area| area > 0)?;
    let widest = stages.areas.iter().position(|&area| area == largest)?;
    let full = |slab: usize| stages.areas.get(slab).is_some_and(|&area| area as f32 > CORE * largest as f32);
    let core: Vec<(usize, Slab<'_>)> =
        (0..stages.areas.len()).filter(|&z| full(z)).filter_map(|z| Some((z, Slab::of(stages, z)?))).collect();

    let mut values: Vec<f32> = core.iter().flat_map(|(_, slab)| slab.brain_values()).collect();
    values.sort_by(f32::total_cmp);
    let quantile = |q: f32| values.get((q * values.len().saturating_sub(1) as f32) as usize).copied().unwrap_or(0.0);
    let share = |test: &dyn Fn(f32) -> bool| {
        values.iter().filter(|&&value| test(value)).count() as f32 / values.len().max(1) as f32
    };
    let median = quantile(0.5);

    let outline: Vec<(usize, usize)> = core.iter().map(|(_, slab)| slab.outline()).collect();
    let (beside, length) = outline.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let tissue: usize = core.iter().map(|(_, slab)| slab.tissue()).sum();
    let mut at_edge: Vec<f32> = core.iter().map(|(_, slab)| slab.at_edge()).collect();
    at_edge.sort_by(f32::total_cmp);
    let inside = core.iter().filter(|(z, _)| *z >= widest).map(|(_, slab)| slab.bright_inside());
    let (elongation, ellipse) = Slab::of(stages, widest)?.shape();

    let kept = stages.areas.get(stages.kept.clone()).unwrap_or_default();
    let bridges = stages.bridges.get(stages.kept.clone()).unwrap_or_default();
    let wide = bridges.iter().filter(|&&bridge| bridge >= WIDE_BRIDGE).count();
    let end = |area: Option<&usize>| area.map_or(0.0, |&area| area as f32 / largest as f32);
    let slabs: Vec<&[f32]> = stages.hounsfield.chunks_exact((stages.shape[1] * stages.shape[2]).max(1)).collect();
    Some(Measures {
        kept: kept.len(),
        median,
        quartiles: quantile(0.75) - quantile(0.25),
        texture: (volume.rows() >= stages.shape[1] && volume.columns() >= stages.shape[2])
            .then(|| texture(core.iter().map(|(_, slab)| slab))),
        coarse: stages.shape[2] as f32 > volume.columns() as f32 * stages.scale
            || [volume.spacing.row_mm, volume.spacing.column_mm].iter().flatten().any(|&side| side > INPUT_PIXEL_MM),
        near: share(&|value| (value - median).abs() < NEAR_HU),
        fluid: share(&|value| value < median - FLUID_HU),
        black: share(&|value| value < BLACK_HU),
        ring: beside as f32 / length.max(1) as f32,
        of_tissue: values.len() as f32 / tissue.max(1) as f32,
        bright_inside: inside.fold(0.0, f32::max),
        at_edge: at_edge.get(at_edge.len() / 2).copied().unwrap_or(0.0),
        elongation,
        ellipse,
        ends: [end(kept.first()), end(kept.last())],
        bridged: wide as f32 / bridges.len().max(1) as f32,
        disorder: disorder(&Stack { slices: &slabs, rows: stages.shape[1], columns: stages.shape[2] }).unwrap_or(1.0),
    })
}

/// See [`Measures::texture`].
fn texture<'a>(slabs: impl Iterator<Item = &'a Slab<'a>>) -> f32 {
    let mut differences: Vec<f32> = slabs.flat_map(Slab::differences).collect();
    let middle = differences.len() / 2;
    if middle == 0 { 0.0 } else { *differences.select_nth_unstable_by(middle, f32::total_cmp).1 }
}

impl<'a> Slab<'a> {
    fn of(stages: &'a Stages, z: usize) -> Option<Self> {
        let [_, rows, columns] = stages.shape;
        let pixels = z * rows * columns..(z + 1) * rows * columns;
        Some(Self {
            rows,
            columns,
            brain: stages.enclosed.get(pixels.clone())?,
            bone: stages.bone.get(pixels.clone())?,
            hounsfield: stages.hounsfield.get(pixels)?,
        })
    }

    fn brain_values(&self) -> impl Iterator<Item = f32> + '_ {
        self.hounsfield.iter().zip(self.brain).filter(|&(_, &brain)| brain).map(|(&value, _)| value)
    }

    /// How far each pixel of the brain that has brain all around it is from the mean of its four neighbours.
    fn differences(&self) -> Vec<f32> {
        let around = |place: usize| {
            let mut sum = 0.0;
            for (down, right) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                let next = self.beside(place, down, right).filter(|&next| Self::is(self.brain, Some(next)))?;
                sum += self.hounsfield.get(next)?;
            }
            Some(sum / 4.0)
        };
        let inside = (0..self.brain.len()).filter(|&place| Self::is(self.brain, Some(place)));
        inside.filter_map(|place| Some((self.hounsfield.get(place)? - around(place)?).abs())).collect()
    }

    /// Pixels of tissue or brain; brain may hold air.
    fn tissue(&self) -> usize {
        self.hounsfield.iter().zip(self.brain).filter(|&(&value, &brain)| brain || value > TISSUE_HU).count()
    }

    /// The pixel `(row + down, column + right)`, if there is one.
    fn beside(&self, place: usize, down: isize, right: isize) -> Option<usize> {
        let row = (place / self.columns).checked_add_signed(down).filter(|&row| row < self.rows)?;
        let column = (place % self.columns).checked_add_signed(right).filter(|&column| column < self.columns)?;
        Some(row * self.columns + column)
    }

    fn is(mask: &[bool], place: Option<usize>) -> bool {
        place.and_then(|place| mask.get(place)).is_some_and(|&pixel| pixel)
    }

    /// Pixels of the brain's outline: those beside bone, and all.
    fn outline(&self) -> (usize, usize) {
        let on_outline = |place: &usize| {
            Self::is(self.brain, Some(*place))
                && [(-1, 0), (1, 0), (0, -1), (0, 1)]
                    .iter()
                    .any(|&(down, right)| !Self::is(self.brain, self.beside(*place, down, right)))
        };
        let near_bone = |place: usize| {
            (-BESIDE..=BESIDE)
                .any(|down| (-BESIDE..=BESIDE).any(|right| Self::is(self.bone, self.beside(place, down, right))))
        };
        let outline: Vec<usize> = (0..self.brain.len()).filter(on_outline).collect();
        (outline.iter().filter(|&&place| near_bone(place)).count(), outline.len())
    }

    /// Largest share of one of the four edges of the picture that soft tissue touches.
    fn at_edge(&self) -> f32 {
        let share = |length: usize, place: &dyn Fn(usize) -> usize| {
            let touching = (0..length).filter(|&i| {
                let place = place(i);
                self.hounsfield.get(place).is_some_and(|&value| value > TISSUE_HU) && !Self::is(self.bone, Some(place))
            });
            touching.count() as f32 / length.max(1) as f32
        };
        let (rows, columns) = (self.rows, self.columns);
        share(columns, &|i| i)
            .max(share(columns, &|i| (rows - 1) * columns + i))
            .max(share(rows, &|i| i * columns))
            .max(share(rows, &|i| i * columns + columns - 1))
    }

    /// Bone that the brain cuts off from the outside, as a share of the brain.
    fn bright_inside(&self) -> f32 {
        let (rows, columns) = (self.rows, self.columns);
        let mut outside = vec![false; self.brain.len()];
        let rim = (0..columns)
            .flat_map(|column| [column, (rows - 1) * columns + column])
            .chain((0..rows).flat_map(|row| [row * columns, row * columns + columns - 1]));
        let mut front: Vec<usize> = rim.collect();
        while let Some(place) = front.pop() {
            if Self::is(self.brain, Some(place)) {
                continue;
            }
            match outside.get_mut(place) {
                Some(reached) if !*reached => *reached = true,
                _ => continue,
            }
            let next = [(-1, 0), (1, 0), (0, -1), (0, 1)];
            front.extend(next.iter().filter_map(|&(down, right)| self.beside(place, down, right)));
        }
        let inside = outside.iter().zip(self.bone).filter(|&(&outside, &bone)| bone && !outside).count();
        inside as f32 / self.brain.iter().filter(|&&pixel| pixel).count().max(1) as f32
    }

    /// Long over short axis, and area over that of the ellipse with the same second moments.
    fn shape(&self) -> (f32, f32) {
        let pixels = || (0..self.brain.len()).filter(|&place| Self::is(self.brain, Some(place)));
        let count = pixels().count().max(1) as f64;
        let at = |place: usize| ((place % self.columns) as f64, (place / self.columns) as f64);
        let (x, y) = pixels().map(at).fold((0.0, 0.0), |(a, b), (x, y)| (a + x / count, b + y / count));
        let (xx, yy, xy) = pixels().map(at).fold((0.0, 0.0, 0.0), |(xx, yy, xy), (px, py)| {
            let (dx, dy) = (px - x, py - y);
            (xx + dx * dx / count, yy + dy * dy / count, xy + dx * dy / count)
        });
        let half_difference = ((xx - yy).powi(2) / 4.0 + xy * xy).sqrt();
        let mean = f64::midpoint(xx, yy);
        let (long, short) = (mean + half_difference, (mean - half_difference).max(f64::EPSILON));
        let ellipse = 4.0 * std::f64::consts::PI * (long * short).sqrt();
        ((long / short).sqrt() as f32, (count / ellipse) as f32)
    }
}
