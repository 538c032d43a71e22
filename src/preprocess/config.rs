//! The numbers of the recipe.

use serde::{Deserialize, Serialize};

/// How a volume becomes network input. Weights carry the configuration that they were trained with.
///
/// Lengths are pixels of the working frame (about .75 mm on a head that fills the picture).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Version of the recipe: grows when the same numbers give another result.
    pub version: u32,
    /// Rows of the network input.
    pub rows: usize,
    /// Columns of the network input.
    pub columns: usize,
    /// Longer side of the working frame in pixels.
    pub frame_px: usize,
    /// Lower end of the window in Hounsfield units; everything below is clipped to it, so that all inputs meet.
    pub window_low_hu: f32,
    /// Upper end of the window in Hounsfield units.
    pub window_high_hu: f32,
    /// Bone begins here, in Hounsfield units (lower for pictures whose window ends below it).
    pub bone_hu: f32,
    /// Soft tissue begins here, in Hounsfield units: what an enclosed region must consist of to be brain.
    pub tissue_hu: f32,
    /// Tissue begins here near the vertex, where bone no longer encloses the brain, in Hounsfield units.
    pub vertex_hu: f32,
    /// Radii by which bone is grown to close gaps of the skull, smallest first.
    pub bridge_px: Vec<usize>,
    /// Smallest region that can be brain, in pixels.
    pub min_region_px: usize,
    /// A slice that no bone encloses takes over the outline of its neighbour if that is larger than this fraction of the
    /// largest brain found. 1 never does (the vertex apart).
    #[serde(default = "never")]
    pub follow_fraction: f32,
    /// Width cut from the brain beside bone, where partial volume looks like blood.
    pub rim_cut_px: f32,
    /// Slices whose brain is smaller than this fraction of the largest are dropped.
    pub keep_fraction: f32,
    /// Slices whose brain is larger than this fraction of the largest decide alignment and median.
    pub core_fraction: f32,
    /// Fewest slices with brain.
    pub min_slices: usize,
    /// What has to be symmetric about the mirror axis.
    pub symmetry: Symmetry,
    /// Largest rotation searched to either side, in degrees.
    pub max_rotation_degrees: f32,
    /// Whether pictures of assumed orientation are turned upright if the head lies on its side or upside down.
    /// A volume whose file states its orientation never is.
    pub turn_pictures: bool,
    /// Area of the largest brain slices as a fraction of the network input.
    pub brain_fraction: f32,
    /// Sigma of the anti-aliasing blur in pixels of the network input.
    pub blur: f32,
    /// Series with slices closer than this (millimetres) are merged to slabs.
    pub thin_slice_mm: f32,
    /// Thickness of those slabs in millimetres.
    pub slab_mm: f32,
    /// A series of unknown spacing with more slices than this is taken to be thin.
    pub max_slices: usize,
    /// Millimetres from the lowest to the highest slice of a usual head scan, for thin series of unknown spacing.
    pub usual_coverage_mm: f32,
    /// Slices on which a brain is seen where they are as thick as usual. A series of unknown spacing that shows it on half as
    /// many again or more is thin, and is merged to about this number. Not looked at if not given.
    #[serde(default)]
    pub brain_slices: Option<f32>,
    /// Series with slices further apart than this (millimetres) get interpolated ones between them, about
    /// [`PreprocessConfig::slab_mm`] apart. Left as they are if not given.
    #[serde(default)]
    pub thick_slice_mm: Option<f32>,
    /// Bounds of the contrast of the brain, in Hounsfield units: the values of an input with more or less are scaled (see
    /// [`NetworkInput::contrast_gain`]), so that a window unlike any in the training data matters less. Never scaled if not given.
    ///
    /// [`NetworkInput::contrast_gain`]: super::NetworkInput::contrast_gain
    #[serde(default)]
    pub contrast_hu: Option<[f32; 2]>,
}

/// What the search for the mirror axis compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symmetry {
    /// The mean outline of the larger slices, as the reference study did. Several lines divide it about equally well:
    /// the axis can be 15 degrees off.
    Outline,
    /// The outline and the dark spaces (ventricles, fissures, cisterns) of six bands of slices.
    Bands,
}

/// Weights from before version 4 were trained on slices that follow no neighbour.
fn never() -> f32 {
    1.0
}

/// The versions of the recipe that this code still follows to the letter.
const VERSIONS: std::ops::RangeInclusive<u32> = 3..=4;

impl PreprocessConfig {
    /// Why this is no recipe that can be followed, if it is none: weights from anywhere carry one.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let hounsfield = [self.window_low_hu, self.window_high_hu, self.bone_hu, self.tissue_hu, self.vertex_hu];
        let thick = self.thick_slice_mm.unwrap_or(self.slab_mm);
        let lengths = [self.rim_cut_px, self.blur, self.thin_slice_mm, self.slab_mm, self.usual_coverage_mm, thick];
        if !VERSIONS.contains(&self.version) {
            Some("the preprocessing is of a version that this program does not know")
        } else if [self.rows, self.columns].iter().any(|side| !(16..=512).contains(side)) {
            Some("the preprocessing gives an input out of proportion")
        } else if !(64..=1024).contains(&self.frame_px) || !(1..=1024).contains(&self.max_slices) {
            Some("the preprocessing works on a frame out of proportion")
        } else if self.bridge_px.is_empty() || self.bridge_px.len() > 16 || self.bridge_px.iter().any(|px| *px > 64) {
            Some("the preprocessing bridges gaps out of proportion")
        } else if hounsfield.iter().any(|hu| !(-1100.0..=3100.0).contains(hu))
            || self.window_low_hu >= self.window_high_hu
        {
            Some("the preprocessing has a window that is none")
        } else if [self.follow_fraction, self.keep_fraction, self.core_fraction, self.brain_fraction]
            .iter()
            .any(|fraction| !share(*fraction))
            || self.brain_fraction <= 0.0
        {
            Some("the preprocessing has a fraction that is none")
        } else if lengths.iter().any(|length| !(0.0..=1000.0).contains(length)) || self.slab_mm <= 0.0 {
            Some("the preprocessing has a length out of proportion")
        } else if self.brain_slices.is_some_and(|slices| !(4.0..=256.0).contains(&slices)) {
            Some("the preprocessing takes a brain to be seen on a number of slices out of proportion")
        } else if self.contrast_hu.is_some_and(|[low, high]| !(0.5 <= low && low <= high && high <= 100.0)) {
            Some("the preprocessing scales the brain to a contrast that is none")
        } else if !(0.0..=180.0).contains(&self.max_rotation_degrees) {
            Some("the preprocessing turns the head out of proportion")
        } else {
            None
        }
    }
}

impl Default for PreprocessConfig {
    fn default() -> Self {
        Self {
            version: 4,
            rows: 96,
            columns: 80,
            frame_px: 325,
            window_low_hu: -20.0,
            window_high_hu: 100.0,
            // 234.5, 30.5 and 25.5 of 255 grey levels of that window.
            bone_hu: 90.353,
            tissue_hu: -5.647,
            vertex_hu: -8.0,
            bridge_px: vec![4, 6, 8, 11, 15],
            min_region_px: 40,
            follow_fraction: 0.6,
            rim_cut_px: 1.0,
            keep_fraction: 0.06,
            core_fraction: 0.6,
            min_slices: 3,
            symmetry: Symmetry::Bands,
            max_rotation_degrees: 50.0,
            turn_pictures: true,
            brain_fraction: 0.72 * 0.86,
            blur: 0.4,
            thin_slice_mm: 3.4,
            slab_mm: 5.0,
            max_slices: 72,
            usual_coverage_mm: 160.0,
            brain_slices: Some(25.0),
            thick_slice_mm: Some(7.4),
            contrast_hu: Some([4.8, 7.0]),
        }
    }
}
