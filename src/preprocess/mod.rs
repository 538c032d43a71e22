//! Volume to network input: skull strip, in-plane alignment, centring and resampling.

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
    /// Maps pixels of the input to pixels of the volume's slices.
    pub alignment: Alignment,
    /// Median of the brain in Hounsfield units.
    pub brain_median_hu: f32,
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
}
