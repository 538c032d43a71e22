//! The evidence map of a slice, painted on the pixels of that slice.

use super::answer::{peak, place, shown_on};
use crate::network::Logits;
use crate::preprocess::NetworkInput;

/// Evidence of slice `z` of the volume for each of its pixels, row after row, 0 to 255.
///
/// The brightest cell of the map has the slice's own probability, and every other cell its share of it in the
/// log-sum-exp of the network (softened by a square root, so that the surroundings can be seen). So a slice without
/// suspicion stays dark, whatever its map looks like, and slices of one scan can be compared. Nothing is drawn outside
/// of the brain that the network saw.
///
/// `None` for a slice that the network did not look at or that shows no brain, or a network without a map.
pub fn heat(
    input: &NetworkInput,
    logits: &Logits,
    z: usize,
    probability: f32,
    [rows, columns]: [usize; 2],
) -> Option<Vec<u8>> {
    let index = shown_on(input, logits, z)?;
    let (cells, mask) = (cells_of(input, logits, index, probability)?, mask_of(input, index)?);
    let [_, map_rows, map_columns] = logits.evidence_shape;
    let (across, down) = (map_columns as f32 / mask.columns as f32, map_rows as f32 / mask.rows as f32);
    let mut painted = vec![0; rows * columns];
    for (y, line) in painted.chunks_exact_mut(columns).enumerate() {
        for (x, pixel) in line.iter_mut().enumerate() {
            let (column, row) = input.alignment.from_volume(x as f32, y as f32);
            let inside = mask.sample(column, row, 0.0);
            if inside > 0.0 {
                let evidence = cells.sample((column + 0.5).mul_add(across, -0.5), (row + 0.5).mul_add(down, -0.5), 1.0);
                *pixel = (255.0 * evidence * inside).round() as u8;
            }
        }
    }
    Some(painted)
}

/// The place of most evidence on slice `z` of the volume, `[x, y]` in pixels of the volume.
pub fn brightest(input: &NetworkInput, logits: &Logits, z: usize) -> Option<[f32; 2]> {
    let (row, column) = peak(input, logits, shown_on(input, logits, z)?)?;
    let (x, y) = place(input, logits.evidence_shape, row, column);
    Some([x, y])
}

/// A small picture with bilinear sampling.
struct Picture {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl Picture {
    /// `edge` 1 repeats the border outwards, 0 fades to nothing beyond it.
    fn sample(&self, column: f32, row: f32, edge: f32) -> f32 {
        // Not a number where the alignment is degenerate.
        if !(column.is_finite() && row.is_finite()) {
            return 0.0;
        }
        let (left, top) = (column.floor(), row.floor());
        let (right_share, bottom_share) = (column - left, row - top);
        let at = |column: f32, row: f32| {
            let (right, bottom) = (self.columns as f32 - 1.0, self.rows as f32 - 1.0);
            let beyond = column < 0.0 || row < 0.0 || column > right || row > bottom;
            let index = row.clamp(0.0, bottom) as usize * self.columns + column.clamp(0.0, right) as usize;
            self.values.get(index).copied().unwrap_or(0.0) * if beyond { edge } else { 1.0 }
        };
        let upper = at(left, top) * (1.0 - right_share) + at(left + 1.0, top) * right_share;
        let lower = at(left, top + 1.0) * (1.0 - right_share) + at(left + 1.0, top + 1.0) * right_share;
        upper * (1.0 - bottom_share) + lower * bottom_share
    }
}

fn cells_of(input: &NetworkInput, logits: &Logits, index: usize, probability: f32) -> Option<Picture> {
    let [_, rows, columns] = logits.evidence_shape;
    let area = rows * columns;
    let map = logits.evidence.get(index * area..(index + 1) * area)?;
    let (row, column) = peak(input, logits, index)?;
    let highest = map.get(row * columns + column).copied()?;
    let values = map.iter().map(|evidence| probability * (0.5 * (evidence - highest)).exp().min(1.0)).collect();
    Some(Picture { values, rows, columns })
}

fn mask_of(input: &NetworkInput, index: usize) -> Option<Picture> {
    let [_, rows, columns] = input.shape;
    let mask = input.mask.get(index * rows * columns..(index + 1) * rows * columns)?;
    Some(Picture { values: mask.iter().map(|&inside| f32::from(u8::from(inside))).collect(), rows, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::Alignment;

    /// Two slices of 8 x 8 input pixels, twice as fine in the volume and moved by (4, 2); a map of 2 x 2 cells a slice.
    fn looked_at() -> (NetworkInput, Logits) {
        let alignment = Alignment { x0: 4.0, y0: 2.0, xx: 2.0, xy: 0.0, yx: 0.0, yy: 2.0 };
        let input = NetworkInput {
            hounsfield: vec![0.0; 128],
            mask: vec![true; 128],
            shape: [2, 8, 8],
            slices: 3..5,
            slabs: vec![3..4, 4..5],
            slab_mm: None,
            alignment,
            brain_median_hu: 35.0,
            contrast_gain: 1.0,
        };
        let evidence = vec![0.0, 0.0, 0.0, 0.0, -4.0, -4.0, -4.0, 6.0];
        let logits = Logits { patient: 0.0, slices: vec![0.0, 6.0], evidence, evidence_shape: [2, 2, 2] };
        (input, logits)
    }

    #[test]
    fn the_brightest_pixel_has_the_probability_of_the_slice() {
        let (input, logits) = looked_at();
        let painted = heat(&input, &logits, 4, 0.8, [24, 24]).unwrap();
        assert_eq!(painted.iter().max(), Some(&204));
        let calm = heat(&input, &logits, 4, 0.0, [24, 24]).unwrap();
        assert!(calm.iter().all(|&pixel| pixel == 0));
    }

    #[test]
    fn the_map_lies_where_its_peak_is_said_to_be() {
        let (input, logits) = looked_at();
        let painted = heat(&input, &logits, 4, 1.0, [24, 24]).unwrap();
        let [x, y] = brightest(&input, &logits, 4).unwrap();
        let at_peak = painted[y.round() as usize * 24 + x.round() as usize];
        assert!(at_peak > 240, "{at_peak} at {x}, {y}");
        assert!(painted[6 * 24 + 6] < 60, "the opposite corner is dark");
    }

    #[test]
    fn nothing_is_painted_outside_of_the_mask() {
        let (mut input, logits) = looked_at();
        assert_eq!(heat(&input, &logits, 4, 1.0, [24, 24]).unwrap()[0], 0);
        // The brightest cell of slice 4 is outside now: the brightest of those inside takes its place.
        (0..8).for_each(|y| input.mask[64 + 8 * y + 4..64 + 8 * y + 8].fill(false));
        let painted = heat(&input, &logits, 4, 1.0, [24, 24]).unwrap();
        assert!(painted.iter().enumerate().all(|(index, &pixel)| pixel == 0 || index % 24 < 13));
        assert!(painted.iter().any(|&pixel| pixel > 240));
        input.mask = vec![false; 128];
        assert_eq!(heat(&input, &logits, 4, 1.0, [24, 24]), None);
    }

    #[test]
    fn slices_that_were_not_looked_at_have_no_map() {
        let (input, mut logits) = looked_at();
        assert_eq!(heat(&input, &logits, 0, 1.0, [24, 24]), None);
        logits.evidence.clear();
        logits.evidence_shape = [0; 3];
        assert_eq!(heat(&input, &logits, 4, 1.0, [24, 24]), None);
    }
}
