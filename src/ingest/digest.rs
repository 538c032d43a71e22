//! Block means of a volume, to compare what two readers made of the same files.

use crate::volume::Volume;

/// Means over a coarse grid of a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Blocks along z, y, x.
    pub shape: [usize; 3],
    /// Means, z then y then x.
    pub means: Vec<f32>,
}

/// Mean values on a grid of `g = min(8, n)` blocks an axis: block `i` covers `floor(i n / g)` to
/// `floor((i + 1) n / g) - 1`. Means are summed in `f64`.
pub fn digest(volume: &Volume) -> Digest {
    let extent = volume.shape();
    let shape = extent.map(|n| n.min(8));
    let [_, grid_rows, grid_columns] = shape;
    let blocks: Vec<Vec<usize>> =
        extent.iter().zip(&shape).map(|(&n, &g)| (0..n).map(|i| block_of(i, n, g)).collect()).collect();
    let mut sums = vec![(0.0_f64, 0_usize); shape.iter().product()];
    if let [of_z, of_y, of_x] = blocks.as_slice() {
        let mut voxels = volume.voxels().iter();
        for &bz in of_z {
            for &by in of_y {
                let row = (bz * grid_rows + by) * grid_columns;
                for (&bx, &value) in of_x.iter().zip(&mut voxels) {
                    if let Some((sum, count)) = sums.get_mut(row + bx) {
                        *sum += f64::from(value);
                        *count += 1;
                    }
                }
            }
        }
    }
    let means = sums.into_iter().map(|(sum, count)| (sum / count.max(1) as f64) as f32).collect();
    Digest { shape, means }
}

/// The block that voxel `i` of `n` lies in, of `g`: the largest `b` with `floor(b n / g) <= i`.
fn block_of(i: usize, n: usize, g: usize) -> usize {
    ((i + 1) * g - 1) / n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Orientation, Spacing, ValueScale};

    #[test]
    fn blocks_begin_where_the_definition_says() {
        for n in 1..100_usize {
            let g = n.min(8);
            for i in 0..n {
                let by_definition = (0..g).rev().find(|b| b * n / g <= i).unwrap();
                assert_eq!(block_of(i, n, g), by_definition, "{i} of {n}");
            }
        }
    }

    #[test]
    fn a_small_volume_is_its_own_digest() {
        let voxels: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let volume =
            Volume::new(voxels.clone(), [2, 3, 4], Spacing::default(), ValueScale::Hounsfield, Orientation::Stated);
        assert_eq!(digest(&volume.unwrap()), Digest { shape: [2, 3, 4], means: voxels });
    }
}
