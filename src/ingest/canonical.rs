//! From stored axes to the canonical frame: nearest-axis permutation and flips, never resampling.

use super::InPlane;

/// A direction in patient coordinates, DICOM's: x to the left, y to the back, z to the head (LPS).
pub(super) type Direction = [f64; 3];

/// Which stored axis each canonical axis (x, y, z) is, and whether it runs against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axes {
    stored: [usize; 3],
    flipped: [bool; 3],
}

impl Axes {
    /// The permutation that aligns the directions of increasing stored index (first axis fastest) best with the
    /// patient's axes, whatever the angle.
    pub(super) fn nearest(directions: &[Direction; 3]) -> Self {
        const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1]];
        let component = |stored: usize, axis: usize| -> f64 {
            directions.get(stored).and_then(|direction| direction.get(axis)).copied().unwrap_or(0.0)
        };
        let agreement = |stored: &[usize; 3]| -> f64 {
            stored.iter().enumerate().map(|(axis, &stored)| component(stored, axis).abs()).sum()
        };
        let mut best = [0, 1, 2];
        for permutation in PERMUTATIONS {
            if agreement(&permutation) > agreement(&best) + 1e-9 {
                best = permutation;
            }
        }
        let [x, y, z] = best;
        Self { stored: best, flipped: [component(x, 0) < 0.0, component(y, 1) < 0.0, component(z, 2) < 0.0] }
    }

    /// Whether the stored slices (third axis) are the canonical ones.
    pub(super) fn slices_stay(&self) -> bool {
        self.stored[2] == 2
    }

    /// Whether stored slices run from top to bottom.
    pub(super) fn slices_flipped(&self) -> bool {
        self.flipped[2]
    }

    /// The in-plane change, where the stored slices are the canonical ones.
    pub(super) fn in_plane(&self) -> InPlane {
        if self.slices_stay() {
            InPlane { transpose: self.stored[0] == 1, flip_x: self.flipped[0], flip_y: self.flipped[1] }
        } else {
            InPlane::default()
        }
    }

    /// Values along stored axes as canonical x, y, z.
    pub(super) fn permute<T: Copy + Default>(&self, stored: [T; 3]) -> [T; 3] {
        self.stored.map(|axis| stored.get(axis).copied().unwrap_or_default())
    }

    /// Voxels stored with extents `extent` (first axis fastest) in canonical order, with their shape (z, y, x).
    pub(super) fn arrange(&self, mut voxels: Vec<f32>, extent: [usize; 3]) -> (Vec<f32>, [usize; 3]) {
        let [columns, rows, slices] = self.permute(extent);
        let shape = [slices, rows, columns];
        if self.stored == [0, 1, 2] {
            self.flip_in_place(&mut voxels, columns, rows);
            return (voxels, shape);
        }
        let stride = [1, extent[0], extent[0] * extent[1]];
        let [step_x, step_y, step_z] = self.permute(stride);
        let place = |index: usize, count: usize, flip: bool| if flip { count - 1 - index } else { index };
        let [flip_x, flip_y, flip_z] = self.flipped;
        let mut arranged = Vec::with_capacity(voxels.len());
        for z in 0..slices {
            for y in 0..rows {
                let row = place(z, slices, flip_z) * step_z + place(y, rows, flip_y) * step_y;
                arranged
                    .extend((0..columns).filter_map(|x| voxels.get(row + place(x, columns, flip_x) * step_x)).copied());
            }
        }
        (arranged, shape)
    }

    /// Flips without a second copy of the voxels, which for thin slices is hundreds of megabytes.
    fn flip_in_place(&self, voxels: &mut [f32], columns: usize, rows: usize) {
        let [flip_x, flip_y, flip_z] = self.flipped;
        // Reversing everything turns all three axes at once; what was not asked for is turned back.
        if flip_z {
            voxels.reverse();
        }
        if flip_y != flip_z {
            for slice in voxels.chunks_exact_mut(columns * rows) {
                slice.reverse();
            }
        }
        if flip_x != flip_y {
            for row in voxels.chunks_exact_mut(columns) {
                row.reverse();
            }
        }
    }
}

/// Cross product.
pub(super) fn cross(a: Direction, b: Direction) -> Direction {
    let ([ax, ay, az], [bx, by, bz]) = (a, b);
    [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx]
}

/// Dot product.
pub(super) fn dot(a: Direction, b: Direction) -> f64 {
    a.iter().zip(&b).map(|(a, b)| a * b).sum()
}

/// Length.
pub(super) fn norm(a: Direction) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNITS: [Direction; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

    #[test]
    fn axes_that_are_canonical_stay() {
        let axes = Axes::nearest(&UNITS);
        let voxels: Vec<f32> = (0..24_u8).map(f32::from).collect();
        assert_eq!(axes.arrange(voxels.clone(), [2, 3, 4]), (voxels, [4, 3, 2]));
        assert_eq!(axes.in_plane(), InPlane::default());
    }

    #[test]
    fn a_transposed_slice_is_turned() {
        // Stored: first axis down the picture, second axis across, right to left reversed.
        let axes = Axes::nearest(&[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]);
        let (voxels, shape) = axes.arrange(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3, 1]);
        assert_eq!(shape, [1, 2, 3]);
        assert_eq!(voxels, [5.0, 3.0, 1.0, 6.0, 4.0, 2.0]);
        assert_eq!(axes.in_plane(), InPlane { transpose: true, flip_x: true, flip_y: false });
    }

    proptest! {
        #[test]
        fn each_voxel_goes_where_its_direction_says(
            permutation in Just([0_usize, 1, 2]).prop_shuffle(), signs in [any::<bool>(); 3], tilt in -0.3..0.3_f64,
        ) {
            let mut directions = [0, 1, 2].map(|axis| {
                let unit = UNITS[permutation[axis]];
                if signs[axis] { unit.map(|v| -v) } else { unit }
            });
            for direction in &mut directions {
                direction[1] += tilt * direction[2];
            }
            let extent = [2, 3, 4];
            let voxels: Vec<f32> = (0..24_u8).map(f32::from).collect();
            let (arranged, shape) = Axes::nearest(&directions).arrange(voxels, extent);
            for k in 0..4 { for j in 0..3 { for i in 0..2 {
                let mut at = [0; 3];
                for (axis, index) in [i, j, k].into_iter().enumerate() {
                    at[permutation[axis]] = if signs[axis] { extent[axis] - 1 - index } else { index };
                }
                let [x, y, z] = at;
                prop_assert_eq!(arranged[(z * shape[1] + y) * shape[2] + x], (i + 2 * (j + 3 * k)) as f32);
            }}}
        }
    }
}
