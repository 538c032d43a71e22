//! Volume to network input: skull strip, in-plane alignment, centring and resampling.
//!
//! A scan goes through five steps, a file each:
//!
//! | step | what it does |
//! |---|---|
//! | `frame` | clips to the brain window, merges thin slices to slabs of about 5 mm, area-averages to about 325 x 325 |
//! | `strip` | keeps what bone encloses, slice by slice from the widest one, bridging gaps only where needed |
//! | `align` | finds the one rotation and shift under which the brain is its own mirror image, and its size |
//! | `resample` | blurs within the mask and samples the aligned grid, relative to the median of the brain |
//!
//! | `even` | interpolates slices that lie far apart, and brings an unusual contrast of the brain within bounds |
//!
//! Neither pixel size nor slice spacing has to be known: the area of the brain sets the scale, and the number of slices that
//! show it tells a thin series. Everything is plain `f32`
//! and integer arithmetic in a fixed order, so that the trainer, the command line and the page see the same input.

mod align;
mod config;
mod distance;
mod even;
mod figure;
mod frame;
#[cfg(test)]
mod laws_tests;
#[cfg(test)]
mod reference_tests;
mod regions;
mod resample;
mod strip;

pub use config::{PreprocessConfig, Symmetry};
pub use even::limit_contrast;
pub use figure::contact_sheet;

use crate::report::Warning;
use crate::volume::Volume;
use std::ops::Range;

/// What the network sees: brain only, aligned, centred, about 1.9 mm a pixel, values relative to the patient's own brain.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkInput {
    /// Hounsfield units relative to the median of this patient's brain, 0 outside the mask, not clamped or scaled
    /// (the network's header says how): `[slice, y, x]`.
    pub hounsfield: Vec<f32>,
    /// Brain mask: `[slice, y, x]`.
    pub mask: Vec<bool>,
    /// Slices, rows, columns.
    pub shape: [usize; 3],
    /// Slices of the volume that were kept, bottom to top.
    pub slices: Range<usize>,
    /// Slices of the volume that each slice of the input shows: one each, several of a thin series, which it averages, or one of
    /// a thick series, which several of the input share.
    pub slabs: Vec<Range<usize>>,
    /// Distance between neighbouring slices of the input in millimetres, where the file states it.
    pub slab_mm: Option<f32>,
    /// Maps pixels of the input to pixels of the volume's slices.
    pub alignment: Alignment,
    /// Median of the brain in Hounsfield units.
    pub brain_median_hu: f32,
    /// What [`NetworkInput::hounsfield`] was multiplied by, so that the contrast of the brain is within [`PreprocessConfig::contrast_hu`].
    pub contrast_gain: f32,
}

impl NetworkInput {
    /// The slices of the input that show slice `z` of the volume: none where too little brain was seen there.
    pub fn slices_of(&self, z: usize) -> impl Iterator<Item = usize> {
        let showing = self.slabs.iter().enumerate().filter(move |(_, slab)| slab.contains(&z));
        showing.map(|(index, _)| index)
    }
}

/// The in-plane map from network input to volume, the same for all slices of a scan:
/// `x = x0 + xx * column + xy * row`, `y = y0 + yx * column + yy * row`, in pixels of the volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// Volume x of input pixel (0, 0).
    pub x0: f32,
    /// Volume y of input pixel (0, 0).
    pub y0: f32,
    /// Change of volume x per input column.
    pub xx: f32,
    /// Change of volume x per input row.
    pub xy: f32,
    /// Change of volume y per input column.
    pub yx: f32,
    /// Change of volume y per input row.
    pub yy: f32,
}

impl Alignment {
    /// Volume pixel `(x, y)` under input pixel `(column, row)`.
    pub fn to_volume(&self, column: f32, row: f32) -> (f32, f32) {
        (self.x0 + self.xx * column + self.xy * row, self.y0 + self.yx * column + self.yy * row)
    }

    /// By how much the head is turned in the volume, in degrees from -180 to 180, positive clockwise as displayed. Beyond
    /// 60 the picture was lying on its side or upside down, and the person should be told that it was turned.
    pub fn rotation_degrees(&self) -> f32 {
        self.yx.atan2(self.xx).to_degrees()
    }

    /// The same in quarter turns, 0 to 3: a head that is merely tilted counts as upright.
    pub fn quarter_turns(&self) -> u8 {
        let degrees = self.rotation_degrees();
        if degrees.abs() > TURNED_DEGREES { (degrees / 90.0).round().rem_euclid(4.0) as u8 } else { 0 }
    }

    /// Input pixel `(column, row)` over volume pixel `(x, y)`; not a number if the map is degenerate.
    pub fn from_volume(&self, x: f32, y: f32) -> (f32, f32) {
        let determinant = self.xx * self.yy - self.xy * self.yx;
        let (x, y) = (x - self.x0, y - self.y0);
        ((self.yy * x - self.xy * y) / determinant, (self.xx * y - self.yx * x) / determinant)
    }
}

/// Why a volume could not be turned into network input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// No slice shows soft tissue enclosed by bone.
    #[error(
        "looking for the brain in {slices} slices: none shows soft tissue enclosed by a skull. \
         Check that this is an axial head CT and that all its slices are there"
    )]
    NoBrain {
        /// Slices looked at.
        slices: usize,
    },
    /// There are more slices than any head has.
    #[error(
        "preparing {slices} slices: they make {slabs} of about 5 mm, and a head has at most {most}. \
         Give the series of the head alone"
    )]
    TooManySlices {
        /// Slices of the volume.
        slices: usize,
        /// Slices after thin ones were merged.
        slabs: usize,
        /// The most that are looked at.
        most: usize,
    },
    /// The brain is seen on too few slices.
    #[error(
        "looking for the brain in {slices} slices: only {kept} show enough of it, {needed} are needed. \
         Give the whole series of the head"
    )]
    TooFewSlices {
        /// Slices looked at, after thin ones were merged.
        slices: usize,
        /// Slices that show enough brain.
        kept: usize,
        /// [`PreprocessConfig::min_slices`].
        needed: usize,
    },
}

/// The results of the steps before the last, in the working frame, for figures, gates and training.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    /// Slabs, rows and columns of the working frame.
    pub shape: [usize; 3],
    /// Slices of the volume in each slab.
    pub slabs: Vec<Range<usize>>,
    /// Hounsfield units, clipped to the window: `[slab, y, x]`.
    pub hounsfield: Vec<f32>,
    /// Bone: `[slab, y, x]`.
    pub bone: Vec<bool>,
    /// Brain as the strip found it, before the rim is cut: `[slab, y, x]`.
    pub enclosed: Vec<bool>,
    /// Brain with the rim beside bone cut, on the slabs that were kept: `[slab, y, x]`.
    pub mask: Vec<bool>,
    /// Pixels of [`Stages::enclosed`] on each slab.
    pub areas: Vec<usize>,
    /// Pixels by which bone was grown to close the skull around the brain of each slab; 0 where no brain was found.
    pub bridges: Vec<usize>,
    /// Slabs that were kept.
    pub kept: Range<usize>,
    /// The mirror axis of the brain.
    pub axis: MirrorAxis,
    /// Working-frame pixels a pixel of the network input.
    pub scale: f32,
}

/// The line about which the brain is most nearly its own mirror image, in pixels of the working frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MirrorAxis {
    /// Column of the brain's centre on the axis.
    pub x: f32,
    /// Row of the brain's centre on the axis.
    pub y: f32,
    /// Rotation of the head in degrees, positive clockwise as displayed (the nose points to the right).
    pub degrees: f32,
    /// What is left of the difference between the two halves: 0 for perfect symmetry.
    pub asymmetry: f32,
    /// Log-odds that the nose is up and not down once the picture is turned by `degrees`; `None` where the files state it.
    pub nose_up: Option<f32>,
}

/// Network input with the results of the steps that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    /// What the network sees.
    pub input: NetworkInput,
    /// What led to it.
    pub stages: Stages,
    /// Whether the slices lie further apart than those that the network has learned from, as a rule and not only in gaps.
    pub thick: bool,
}

impl Preparation {
    /// What the person should know: codes `head_turned`, `nose_uncertain` and `thick_slices`. A brain cut short is for the gate to say.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let degrees = self.input.alignment.rotation_degrees();
        if degrees.abs() > TURNED_DEGREES {
            warnings.push(Warning::new(
                "head_turned",
                format!("The head lies turned by {degrees:.0} degrees in the pictures and was looked at upright. Check left and right."),
            ));
        }
        if self.stages.axis.nose_up.is_some_and(|odds| odds < align::CLEAR) {
            warnings.push(Warning::new(
                "nose_uncertain",
                "Whether the nose is up or down in the pictures could not be told with confidence. If they are turned upside down, the answer may be wrong: turn them so that the nose is up.",
            ));
        }
        if self.thick {
            warnings.push(Warning::new(
                "thick_slices",
                "The slices lie further apart than those that the network has learned from, about 5 mm: small bleeds can be missed between them, and the answer is less sure. A series of thinner slices is better.",
            ));
        }
        warnings
    }
}

/// Slabs that are looked at. A head has less than 60, with the neck and a table at 2.6 mm less than this; each takes a
/// megabyte of working memory, whatever the size of its pictures.
const MOST_SLABS: usize = 160;
/// Share of the largest area of the brain below which its lowest and its highest slice are its ends.
const WHOLE: f32 = 0.5;
/// Distance of slices, over the usual one, from which their number tells that they are thick. The brain of the smallest
/// newborn in ct-ich is on 16 slices of the usual thickness, as if they were 1.56 times as thick.
const CLEARLY_THICK: f32 = 1.7;
/// Rotation beyond which nobody would call a head tilted.
const TURNED_DEGREES: f32 = 60.0;

/// Strips, aligns, centres and resamples a head CT.
///
/// # Errors
/// [`PreprocessError`] if no brain is found or too little of it.
pub fn prepare(volume: &Volume, config: &PreprocessConfig) -> Result<NetworkInput, PreprocessError> {
    prepare_stages(volume, config).map(|preparation| preparation.input)
}

/// [`prepare`], with the result of each step.
///
/// # Errors
/// [`PreprocessError`] if no brain is found or too little of it.
pub fn prepare_stages(volume: &Volume, config: &PreprocessConfig) -> Result<Preparation, PreprocessError> {
    let slices = volume.slices();
    let mut found = Found::on(volume, frame::slabs(volume, config), config)?;
    if let (None, Some(usual)) = (frame::stated_spacing(volume), config.brain_slices) {
        let times = found.kept(config).len() as f32 / usual;
        if times >= 1.5 {
            let merged = times.round() * slices as f32 / found.frame.slabs.len() as f32;
            found = Found::on(volume, frame::merge(slices, merged), config)?;
        }
    }
    let kept = found.kept(config);
    let slab_mm = frame::stated_spacing(volume).map(|spacing| spacing * slices as f32 / found.frame.slabs.len() as f32);
    let times = even::times(slab_mm.or_else(|| found.told_distance(&kept, config)), config);
    let gaps = frame::uneven_gaps(volume, &found.frame.slabs[kept.clone()]);
    let Found { frame, strip, brain_area } = found;
    let slabs = frame.slabs.len();
    if kept.len() < config.min_slices {
        return Err(PreprocessError::TooFewSlices { slices: slabs, kept: kept.len(), needed: config.min_slices });
    }
    let mask = strip.cut_rim(&frame, kept.clone(), config.rim_cut_px);
    let core: Vec<usize> = larger_than(&strip.areas, config.core_fraction * brain_area).collect();
    let median = resample::masked_median(&frame, &mask, &core, config);
    let axis = align::mirror_axis(&frame, &mask, kept.clone(), &core, median, config)
        .ok_or(PreprocessError::NoBrain { slices: volume.slices() })?;
    let target_area = config.brain_fraction * (config.rows * config.columns) as f32;
    let scale = (brain_area / target_area).sqrt();
    let grid = resample::Grid::new(axis, scale, config);
    let (hounsfield, resampled_mask) = resample::resample(&frame, &mask, kept.clone(), median, &grid, config);
    let slabs_kept = frame.slabs[kept.clone()].to_vec();
    let mut input = NetworkInput {
        hounsfield,
        mask: resampled_mask,
        shape: [kept.len(), config.rows, config.columns],
        slices: slabs_kept.first().map_or(0, |slab| slab.start)..slabs_kept.last().map_or(0, |slab| slab.end),
        slabs: slabs_kept,
        slab_mm,
        alignment: grid.to_volume(&frame),
        brain_median_hu: median,
        contrast_gain: 1.0,
    };
    limit_contrast(&mut input, config);
    let (places, slab_mm) = match gaps {
        Some(gaps) => {
            let places = even::places_between(&gaps, config);
            let slab_mm = gaps.iter().sum::<f32>() / (places.len() - 1).max(1) as f32;
            (places, Some(slab_mm))
        }
        None => (even::places(kept.len(), times), slab_mm.map(|distance| distance / times as f32)),
    };
    even::look_at(&mut input, &places, slab_mm);
    let bone = strip.bone_distance2.iter().map(|&distance| distance == 0).collect();
    let stages = Stages {
        shape: [slabs, frame.rows, frame.columns],
        slabs: frame.slabs,
        hounsfield: frame.hounsfield,
        bone,
        enclosed: strip.mask,
        mask,
        areas: strip.areas,
        bridges: strip.bridges,
        kept,
        axis,
        scale,
    };
    Ok(Preparation { input, stages, thick: times > 1 })
}

/// The brain in the working frame.
struct Found {
    frame: frame::Frame,
    strip: strip::Strip,
    /// Pixels of the brain where it is largest.
    brain_area: f32,
}

impl Found {
    fn on(volume: &Volume, slabs: Vec<Range<usize>>, config: &PreprocessConfig) -> Result<Self, PreprocessError> {
        let slices = volume.slices();
        if slabs.len() > MOST_SLABS {
            return Err(PreprocessError::TooManySlices { slices, slabs: slabs.len(), most: MOST_SLABS });
        }
        let frame = frame::Frame::new(volume, slabs, config);
        let strip = strip::strip(&frame, config).ok_or(PreprocessError::NoBrain { slices })?;
        let brain_area = mean_of_largest(&strip.areas, 3);
        Ok(Self { frame, strip, brain_area })
    }

    /// Slabs from the lowest to the highest with enough brain.
    fn kept(&self, config: &PreprocessConfig) -> Range<usize> {
        let large = || larger_than(&self.strip.areas, config.keep_fraction * self.brain_area);
        large().min().unwrap_or(0)..large().max().map_or(0, |z| z + 1)
    }

    /// Distance of the slabs in millimetres, where their number tells that they are thick: the brain is all there, on clearly too
    /// few of them, since heads differ.
    fn told_distance(&self, kept: &Range<usize>, config: &PreprocessConfig) -> Option<f32> {
        let area = |slab: Option<usize>| slab.and_then(|slab| self.strip.areas.get(slab)).copied().unwrap_or(0) as f32;
        let ends = [area(Some(kept.start)), area(kept.end.checked_sub(1))];
        let whole = ends.iter().all(|end| *end < WHOLE * self.brain_area);
        let told = config.brain_slices.map(|usual| config.slab_mm * usual / kept.len().max(1) as f32);
        told.filter(|distance| whole && *distance > CLEARLY_THICK * config.slab_mm)
    }
}

fn larger_than(areas: &[usize], least: f32) -> impl Iterator<Item = usize> {
    areas.iter().enumerate().filter(move |(_, area)| **area as f32 > least).map(|(slab, _)| slab)
}

fn mean_of_largest(areas: &[usize], count: usize) -> f32 {
    let mut sorted = areas.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.truncate(count);
    sorted.iter().sum::<usize>() as f32 / sorted.len().max(1) as f32
}
