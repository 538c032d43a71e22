//! A CT volume with its spacing, its orientation and the meaning of its values.

use serde::{Deserialize, Serialize};

/// Distances between voxel centres in millimetres; `None` where the input does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spacing {
    /// Median distance between neighbouring slices, along the slice normal.
    pub slice_mm: Option<f32>,
    /// Distance between rows (along y).
    pub row_mm: Option<f32>,
    /// Distance between columns (along x).
    pub column_mm: Option<f32>,
}

/// What the numbers of a [`Volume`] mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scale")]
pub enum ValueScale {
    /// Hounsfield units, as stored (slope and intercept applied, not clamped).
    Hounsfield,
    /// Hounsfield units recovered from 8-bit grey under an assumed window: everything outside it is lost.
    Windowed {
        /// Centre of the assumed window in Hounsfield units.
        level: f32,
        /// Width of the assumed window in Hounsfield units.
        width: f32,
    },
    /// Values as stored that do not look like Hounsfield units: readable, but not to be answered.
    Unknown,
}

/// How the axes of a [`Volume`] came to be anatomical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// The file says where left, back and up are (DICOM direction cosines, NIfTI sform or qform).
    Stated,
    /// Pictures and headerless files: axial slices, nose up, seen from the feet (radiological convention), by assumption.
    Assumed,
}

/// A CT volume in the canonical frame: axes (z, y, x), index order `[(z * rows + y) * columns + x]`.
///
/// z grows towards the top of the head (slice 0 is the lowest), y towards the back, x towards the patient's left (LPS).
/// Stored axes are permuted and flipped to the nearest anatomical axis, never resampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    voxels: Vec<f32>,
    shape: [usize; 3],
    /// Distances between voxel centres.
    pub spacing: Spacing,
    /// What the values mean.
    pub scale: ValueScale,
    /// Whether the axes are known or assumed.
    pub orientation: Orientation,
    /// Distances of neighbouring slices in millimetres from the lowest up, where they are known and differ; empty otherwise.
    pub gaps_mm: Vec<f32>,
}

/// The number of voxels does not fit the shape.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("building a volume of {} x {} x {} voxels from {voxels} values", shape[0], shape[1], shape[2])]
pub struct ShapeError {
    /// Number of values given.
    pub voxels: usize,
    /// Slices, rows, columns asked for.
    pub shape: [usize; 3],
}

impl Volume {
    /// Builds a volume from `shape = [slices, rows, columns]` values in z, y, x order.
    ///
    /// # Errors
    /// [`ShapeError`] if the number of voxels is not the product of the shape, or an axis is empty.
    pub fn new(
        voxels: Vec<f32>,
        shape: [usize; 3],
        spacing: Spacing,
        scale: ValueScale,
        orientation: Orientation,
    ) -> Result<Self, ShapeError> {
        let expected = shape.iter().try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        if expected != Some(voxels.len()) || voxels.is_empty() {
            return Err(ShapeError { voxels: voxels.len(), shape });
        }
        Ok(Self { voxels, shape, spacing, scale, orientation, gaps_mm: Vec::new() })
    }

    /// Slices, rows, columns.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of slices.
    pub fn slices(&self) -> usize {
        self.shape[0]
    }

    /// Rows of a slice.
    pub fn rows(&self) -> usize {
        self.shape[1]
    }

    /// Columns of a slice.
    pub fn columns(&self) -> usize {
        self.shape[2]
    }

    /// All values, z then y then x.
    pub fn voxels(&self) -> &[f32] {
        &self.voxels
    }

    /// The values of slice `z`, row after row, or `None` above the top.
    pub fn slice(&self, z: usize) -> Option<&[f32]> {
        let area = self.rows() * self.columns();
        self.voxels.get(z.checked_mul(area)?..(z + 1).checked_mul(area)?)
    }

    /// The same volume with its slices in another order: slice `i` of the result is slice `order[i]` of this one.
    /// Indices outside are left out, so that a subset can be taken as well. Uneven distances are forgotten: they were of the other order.
    #[must_use]
    pub fn with_slice_order(&self, order: &[usize]) -> Self {
        let voxels: Vec<f32> = order.iter().filter_map(|&z| self.slice(z)).flatten().copied().collect();
        let slices = voxels.len() / (self.rows() * self.columns());
        Self { voxels, shape: [slices, self.rows(), self.columns()], ..self.clone_header() }
    }

    fn clone_header(&self) -> Self {
        Self {
            voxels: Vec::new(),
            shape: [0; 3],
            spacing: self.spacing,
            scale: self.scale,
            orientation: self.orientation,
            gaps_mm: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Volume {
        let voxels = (0..24_u8).map(f32::from).collect();
        Volume::new(voxels, [2, 3, 4], Spacing::default(), ValueScale::Hounsfield, Orientation::Stated).unwrap()
    }

    #[test]
    fn a_slice_is_its_rows_one_after_the_other() {
        assert_eq!(small().slice(1).unwrap()[0], 12.0);
        assert_eq!(small().slice(2), None);
    }

    #[test]
    fn slices_can_be_put_in_another_order() {
        let turned = small().with_slice_order(&[1, 0]);
        assert_eq!(turned.slice(0), small().slice(1));
        assert_eq!(turned.with_slice_order(&[1, 0]), small());
    }

    #[test]
    fn a_wrong_shape_is_refused() {
        let error =
            Volume::new(vec![0.0; 5], [1, 2, 3], Spacing::default(), ValueScale::Hounsfield, Orientation::Stated);
        assert!(error.is_err());
    }
}
