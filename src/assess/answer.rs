//! The answer for one scan: calibrated probabilities, the finding, and where the evidence lies.

use super::Calibration;
use crate::ingest::{InPlane, Scan};
use crate::network::Logits;
use crate::preprocess::NetworkInput;
use crate::report::{Finding, SliceReport};

/// The calibrated answer for one scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Calibrated probability of intracranial bleeding.
    pub probability: f32,
    /// The probability in words.
    pub finding: Finding,
    /// One entry a slice of the volume, bottom to top.
    pub slices: Vec<SliceReport>,
}

/// Calibrates the logits of a scan and places the evidence in the pixels of its source slices.
///
/// Slices that the preprocessing left out (too little brain) have neither a probability nor a peak.
pub fn answer(scan: &Scan, input: &NetworkInput, logits: &Logits, calibration: &Calibration) -> Answer {
    let probability = calibration.probability(calibration.patient_score.of(logits, input.slab_mm));
    let slices = scan
        .slices
        .iter()
        .enumerate()
        .map(|(position, source)| {
            let index = shown_on(input, logits, position);
            let logit = index.and_then(|z| logits.slices.get(z));
            SliceReport {
                position,
                source: source.path.clone(),
                probability: logit.map(|&logit| calibration.slice_probability(logit)),
                peak: index.and_then(|z| peak(input, logits, z)).map(|(row, column)| {
                    let (x, y) = place(input, logits.evidence_shape, row, column);
                    stored_pixel(source.in_plane, scan.volume.shape(), x, y)
                }),
            }
        })
        .collect();
    Answer { probability, finding: calibration.finding(probability), slices }
}

/// The slice of the input that speaks for slice `z` of the volume: the most suspicious one of those that show it.
pub fn shown_on(input: &NetworkInput, logits: &Logits, z: usize) -> Option<usize> {
    let logit = |index: &usize| logits.slices.get(*index).copied().unwrap_or(f32::NEG_INFINITY);
    input.slices_of(z).max_by(|a, b| logit(a).total_cmp(&logit(b)))
}

/// Row and column of the largest evidence on slice `z` of the input, in cells of the map that touch the brain: the network
/// sees nothing elsewhere, but its map has a value there as well.
pub fn peak(input: &NetworkInput, logits: &Logits, z: usize) -> Option<(usize, usize)> {
    let [_, rows, columns] = logits.evidence_shape;
    let map = logits.evidence.get(z * rows * columns..(z + 1) * rows * columns)?;
    let cells = map.iter().enumerate().filter(|(cell, _)| touches_brain(input, logits, z, *cell));
    let (cell, _) = cells.max_by(|a, b| a.1.total_cmp(b.1))?;
    Some((cell / columns, cell % columns))
}

/// Whether a cell of the map of slice `z` covers any of the brain.
fn touches_brain(input: &NetworkInput, logits: &Logits, z: usize, cell: usize) -> bool {
    let [_, map_rows, map_columns] = logits.evidence_shape;
    let [_, rows, columns] = input.shape;
    let span =
        |index: usize, cells: usize, pixels: usize| index * pixels / cells..((index + 1) * pixels).div_ceil(cells);
    span(cell / map_columns, map_rows, rows).any(|y| {
        let line = (z * rows + y) * columns;
        let across = span(cell % map_columns, map_columns, columns);
        input.mask.get(line + across.start..line + across.end).is_some_and(|line| line.contains(&true))
    })
}

/// The volume pixel `(x, y)` under the centre of a map cell.
pub(super) fn place(input: &NetworkInput, evidence_shape: [usize; 3], row: usize, column: usize) -> (f32, f32) {
    let centre = |cell: usize, cells: usize, pixels: usize| (cell as f32 + 0.5) * pixels as f32 / cells as f32 - 0.5;
    input
        .alignment
        .to_volume(centre(column, evidence_shape[2], input.shape[2]), centre(row, evidence_shape[1], input.shape[1]))
}

/// The stored pixel `[x, y]` of a canonical one, kept inside the slice: undoes the flips, then the transpose.
fn stored_pixel(in_plane: InPlane, [_, rows, columns]: [usize; 3], x: f32, y: f32) -> [f32; 2] {
    let (right, bottom) = (columns.saturating_sub(1) as f32, rows.saturating_sub(1) as f32);
    let (x, y) = (x.clamp(0.0, right), y.clamp(0.0, bottom));
    let x = if in_plane.flip_x { right - x } else { x };
    let y = if in_plane.flip_y { bottom - y } else { y };
    if in_plane.transpose { [y, x] } else { [x, y] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::Alignment;

    #[test]
    fn a_stored_pixel_is_found_again_through_flips_and_transpose() {
        let shape = [1, 10, 20];
        let plain = stored_pixel(InPlane::default(), shape, 3.0, 4.0);
        assert_eq!(plain, [3.0, 4.0]);
        let flipped = stored_pixel(InPlane { flip_x: true, ..InPlane::default() }, shape, 3.0, 4.0);
        assert_eq!(flipped, [16.0, 4.0]);
        let turned = stored_pixel(InPlane { transpose: true, flip_y: true, ..InPlane::default() }, shape, 3.0, 4.0);
        assert_eq!(turned, [5.0, 3.0]);
    }

    #[test]
    fn a_peak_outside_the_picture_is_brought_to_its_edge() {
        assert_eq!(stored_pixel(InPlane::default(), [1, 10, 20], -5.0, 40.0), [0.0, 9.0]);
    }

    #[test]
    fn the_peak_is_the_largest_cell_of_its_own_slice_that_touches_the_brain() {
        // Cells of 2 x 2 pixels; on the second slice the brain is the right half.
        let mut input = NetworkInput {
            hounsfield: vec![0.0; 32],
            mask: [[true; 16], [false; 16]].concat(),
            shape: [2, 4, 4],
            slices: 0..2,
            slabs: vec![0..1, 1..2],
            slab_mm: None,
            alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
            brain_median_hu: 35.0,
            contrast_gain: 1.0,
        };
        let logits = Logits {
            patient: 0.0,
            slices: vec![0.0; 2],
            evidence: vec![9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 1.0],
            evidence_shape: [2, 2, 2],
        };
        assert_eq!(peak(&input, &logits, 0), Some((0, 0)));
        assert_eq!(peak(&input, &logits, 1), None);
        (0..4).for_each(|y| input.mask[16 + 4 * y + 3] = true);
        assert_eq!(peak(&input, &logits, 1), Some((1, 1)));
        assert_eq!(peak(&input, &logits, 2), None);
    }
}
