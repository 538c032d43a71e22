//! Synthetic head CTs: test fixtures, and the sample scans of the page.
//!
//! [`draw`] turns a [`PhantomConfig`] into a [`Phantom`]: a volume in Hounsfield units with scalp, skull and skull base,
//! brain, ventricles and cisterns, partial volume and noise, and bleeds of the five intracranial types with their true
//! mask. The same configuration gives the same voxels on every platform. [`mod@write`] stores one as DICOM,
//! NIfTI or pictures.
//!
//! The head is a mathematical drawing of nobody; wherever one is shown it is said to be synthetic.
//!
//! ```
//! use ictus::phantom::{Bleed, BleedKind, PhantomConfig, draw};
//! let config = PhantomConfig { bleeds: vec![Bleed::new(BleedKind::Subdural, 40.0)], ..PhantomConfig::small() };
//! let phantom = draw(&config)?;
//! assert!((phantom.bleeds[0].volume_ml - 40.0).abs() < 4.0);
//! # Ok::<(), ictus::phantom::PhantomError>(())
//! ```

mod base;
mod bleed;
mod brain;
mod head;
mod random;
mod raster;
mod samples;
mod shape;
pub mod write;

pub use raster::draw;
pub use samples::{Sample, samples};

use crate::volume::{ShapeError, Volume};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Where blood collects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BleedKind {
    /// A lens between skull and dura.
    Epidural,
    /// A crescent between dura and brain.
    Subdural,
    /// In sulci and cisterns.
    Subarachnoid,
    /// In the brain, with a rim of oedema.
    Intraparenchymal,
    /// In the ventricles, where it settles at the back.
    Intraventricular,
}

impl BleedKind {
    /// All kinds, in the order of their [labels](Self::label).
    pub const ALL: [Self; 5] =
        [Self::Epidural, Self::Subdural, Self::Subarachnoid, Self::Intraparenchymal, Self::Intraventricular];

    /// Value of this kind in [`Phantom::mask`]: 1 epidural to 5 intraventricular.
    pub fn label(self) -> u8 {
        match self {
            Self::Epidural => 1,
            Self::Subdural => 2,
            Self::Subarachnoid => 3,
            Self::Intraparenchymal => 4,
            Self::Intraventricular => 5,
        }
    }

    /// Name in `snake_case`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epidural => "epidural",
            Self::Subdural => "subdural",
            Self::Subarachnoid => "subarachnoid",
            Self::Intraparenchymal => "intraparenchymal",
            Self::Intraventricular => "intraventricular",
        }
    }
}

/// Side of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The patient's left, on the right of the picture.
    Left,
    /// The patient's right, on the left of the picture.
    Right,
}

/// A bleed to draw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bleed {
    /// Where the blood is.
    pub kind: BleedKind,
    /// Volume in millilitres.
    pub volume_ml: f32,
    /// Side, or `None` to let the seed decide.
    pub side: Option<Side>,
}

impl Bleed {
    /// A bleed on the side that the seed decides.
    pub fn new(kind: BleedKind, volume_ml: f32) -> Self {
        Self { kind, volume_ml, side: None }
    }
}

/// Reads `kind:millilitres` or `kind:millilitres:side`, such as `subdural:30:left`.
impl FromStr for Bleed {
    type Err = PhantomError;

    fn from_str(text: &str) -> Result<Self, PhantomError> {
        let wrong = || PhantomError::Bleed { text: text.to_owned() };
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let kind = BleedKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(wrong)?;
        let volume_ml = parts.next().and_then(|ml| ml.parse().ok()).ok_or_else(wrong)?;
        let side = match parts.next() {
            None => None,
            Some("left") => Some(Side::Left),
            Some("right") => Some(Side::Right),
            Some(_) => return Err(wrong()),
        };
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { kind, volume_ml, side })
    }
}

/// What to draw. The default is an adult without a bleed, as a scanner in an emergency room would deliver it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhantomConfig {
    /// Decides the shape of this head, the place of its bleeds and the noise.
    pub seed: u64,
    /// Number of slices; the highest lies just below the top of the scalp.
    pub slices: usize,
    /// Rows of a slice.
    pub rows: usize,
    /// Columns of a slice.
    pub columns: usize,
    /// Distance and thickness of slices in mm.
    pub slice_mm: f32,
    /// Distance of rows and of columns in mm.
    pub pixel_mm: f32,
    /// Turn of the head within the slice in degrees, clockwise in the picture.
    pub rotation_deg: f32,
    /// Tilt of the head in degrees, chin up.
    pub pitch_deg: f32,
    /// Standard deviation of the noise in Hounsfield units.
    pub noise_hu: f32,
    /// Age in years: size of the head, width of sulci and ventricles, calcifications.
    pub age_years: f32,
    /// Thickness of the skull in mm.
    pub skull_mm: f32,
    /// Whether the shell that holds the head is in the picture.
    pub head_holder: bool,
    /// Bleeds; a later one is drawn over an earlier one.
    pub bleeds: Vec<Bleed>,
}

impl Default for PhantomConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            slices: 30,
            rows: 512,
            columns: 512,
            slice_mm: 5.0,
            pixel_mm: 0.45,
            rotation_deg: 0.0,
            pitch_deg: 0.0,
            noise_hu: 4.0,
            age_years: 45.0,
            skull_mm: 6.5,
            head_holder: true,
            bleeds: Vec::new(),
        }
    }
}

impl PhantomConfig {
    /// A coarse head that is drawn in a few milliseconds: 15 slices of 10 mm, 128 x 128 pixels of 1.8 mm.
    pub fn small() -> Self {
        Self { slices: 15, rows: 128, columns: 128, slice_mm: 10.0, pixel_mm: 1.8, ..Self::default() }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`PhantomError::Range`] for the first value outside its range, [`PhantomError::Size`] for too many voxels.
    pub fn check(&self) -> Result<(), PhantomError> {
        let within = |name: &'static str, value: f32, low: f32, high: f32| {
            // Written so that NaN is refused as well.
            if value >= low && value <= high { Ok(()) } else { Err(PhantomError::Range { name, value, low, high }) }
        };
        for (name, axis) in [("slices", self.slices), ("rows", self.rows), ("columns", self.columns)] {
            within(name, axis as f32, 1.0, 2048.0)?;
        }
        within("slice_mm", self.slice_mm, 0.2, 20.0)?;
        within("pixel_mm", self.pixel_mm, 0.1, 10.0)?;
        within("rotation_deg", self.rotation_deg, -360.0, 360.0)?;
        within("pitch_deg", self.pitch_deg, -45.0, 45.0)?;
        within("noise_hu", self.noise_hu, 0.0, 100.0)?;
        within("age_years", self.age_years, 0.0, 110.0)?;
        within("skull_mm", self.skull_mm, 1.0, 15.0)?;
        for bleed in &self.bleeds {
            within("volume_ml of a bleed", bleed.volume_ml, 0.1, 300.0)?;
        }
        // 64 bits: the product overflows the addresses of wasm.
        let voxels = [self.slices, self.rows, self.columns].iter().map(|&axis| axis as u64).product();
        if voxels > MAX_VOXELS { Err(PhantomError::Size { voxels }) } else { Ok(()) }
    }
}

/// Twice a 512 x 512 scan of 256 slices: what the memory of a browser tab holds with room to spare.
const MAX_VOXELS: u64 = 1 << 27;

/// A bleed as it was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawnBleed {
    /// Where the blood is.
    pub kind: BleedKind,
    /// Millilitres in the picture, partial volume counted by its share. Less than asked where there was no more room,
    /// as in the ventricles, or where the picture does not reach.
    pub volume_ml: f32,
}

/// A synthetic scan with its truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Phantom {
    /// What was asked for.
    pub config: PhantomConfig,
    /// Whole Hounsfield units from -1024 to 3071.
    pub volume: Volume,
    /// Bleed [label](BleedKind::label) of each voxel, 0 where there is none; laid out like the volume.
    pub mask: Vec<u8>,
    /// The bleeds, in the order of the configuration.
    pub bleeds: Vec<DrawnBleed>,
}

impl Phantom {
    /// Whether each slice shows blood.
    pub fn slice_labels(&self) -> Vec<bool> {
        let area = self.volume.rows() * self.volume.columns();
        self.mask.chunks(area).map(|slice| slice.iter().any(|&label| label > 0)).collect()
    }
}

/// Why a phantom could not be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A value of the configuration is out of range.
    #[error("drawing a phantom: {name} is {value}, give {low} to {high}")]
    Range {
        /// Name of the field.
        name: &'static str,
        /// Its value.
        value: f32,
        /// Lowest value allowed.
        low: f32,
        /// Highest value allowed.
        high: f32,
    },
    /// Too many voxels.
    #[error(
        "drawing a phantom of {voxels} voxels: at most {MAX_VOXELS} are drawn, ask for fewer slices, rows or columns"
    )]
    Size {
        /// Voxels asked for.
        voxels: u64,
    },
    /// A bleed that is not written as `kind:millilitres[:side]`.
    #[error(
        "reading the bleed \"{text}\": write kind:millilitres or kind:millilitres:side, such as subdural:30:left; kinds \
         are epidural, subdural, subarachnoid, intraparenchymal, intraventricular"
    )]
    Bleed {
        /// What was given.
        text: String,
    },
    /// The volume could not be put together.
    #[error("drawing a phantom")]
    Shape(#[from] ShapeError),
    /// A file could not be encoded.
    #[error("writing a phantom as {format}: {reason}")]
    Encode {
        /// Format of the file.
        format: &'static str,
        /// What the encoder said.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
