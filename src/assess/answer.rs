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
    let probability = calibration.patient.probability(calibration.patient_score.of(logits));
    let slices = scan
        .slices
        .iter()
        .enumerate()
        .map(|(position, source)| {
            let index = input.slice_of(position);
            let logit = index.and_then(|z| logits.slices.get(z));
            SliceReport {
                position,
                source: source.path.clone(),
                probability: logit.map(|&logit| calibration.slice.probability(logit)),
                peak: index.and_then(|z| peak(logits, z)).map(|(row, column)| {
                    let (x, y) = place(input, logits.evidence_shape, row, column);
                    stored_pixel(source.in_plane, scan.volume.shape(), x, y)
                }),
            }
        })
        .collect();
    Answer { probability, finding: calibration.finding(probability), slices }
}

/// Row and column of the largest evidence on slice `z`, in cells of the map.
pub(super) fn peak(logits: &Logits, z: usize) -> Option<(usize, usize)> {
    let [_, rows, columns] = logits.evidence_shape;
    let map = logits.evidence.get(z * rows * columns..(z + 1) * rows * columns)?;
    let (cell, _) = map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    Some((cell / columns, cell % columns))
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
    fn the_peak_is_the_largest_cell_of_its_own_slice() {
        let logits = Logits {
            patient: 0.0,
            slices: vec![0.0; 2],
            evidence: vec![9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 1.0],
            evidence_shape: [2, 2, 2],
        };
        assert_eq!(peak(&logits, 1), Some((1, 0)));
        assert_eq!(peak(&logits, 2), None);
    }
}
