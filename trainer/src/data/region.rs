//! Geometry on prepared slices: where the lesion lies, and how deep in the brain a pixel is.

use super::UNSURE;
use ictus::preprocess::NetworkInput;

/// Relative Hounsfield units above which smoothed tissue beside oedema is taken to be clotted blood.
const CLOT_HU: f32 = 11.0;
/// Largest distance of a clot from the oedema around it, in pixels.
const REACH: usize = 4;

/// The lesion of a scan whose masks hold the oedema around the clot, not the clot: bright components within reach of the
/// mask are the lesion, the rest of the mask is [`UNSURE`].
pub(super) fn lesion(input: &NetworkInput, oedema: &[bool]) -> Vec<f32> {
    let [_, rows, columns] = input.shape;
    let area = (rows * columns).max(1);
    let mut out = Vec::with_capacity(oedema.len());
    for (values, oedema) in input.hounsfield.chunks(area).zip(oedema.chunks(area)) {
        let bright: Vec<bool> = box_mean(values, rows, columns).iter().map(|&x| x > CLOT_HU).collect();
        let near = dilate(oedema, rows, columns, REACH);
        let mut clot: Vec<bool> = near.iter().zip(&bright).map(|(near, bright)| *near && *bright).collect();
        // Grow within the bright pixels until nothing changes: whole components, seeds first.
        let mut front: Vec<usize> = (0..clot.len()).filter(|&i| clot[i]).collect();
        while let Some(index) = front.pop() {
            for next in neighbours(index, rows, columns) {
                if bright[next] && !clot[next] {
                    clot[next] = true;
                    front.push(next);
                }
            }
        }
        // Oedema as bright as clot is clot; a component is only seeded near oedema, so all of it belongs to the lesion.
        out.extend(clot.iter().zip(oedema).map(|(&clot, &oedema)| {
            if clot {
                1.0
            } else if oedema {
                UNSURE
            } else {
                0.0
            }
        }));
    }
    out
}

/// Distance of each pixel to the edge of the mask of its slice, in pixels: chamfer 3-4 (Borgefors 1986), 0 outside.
pub(crate) fn depth(mask: &[bool], [_, rows, columns]: [usize; 3]) -> Vec<f32> {
    let area = (rows * columns).max(1);
    let mut out = Vec::with_capacity(mask.len());
    for mask in mask.chunks(area) {
        let mut far: Vec<u32> = mask.iter().map(|&inside| if inside { u32::MAX / 2 } else { 0 }).collect();
        let at = |far: &[u32], y: isize, x: isize| {
            let inside = y >= 0 && x >= 0 && y < rows as isize && x < columns as isize;
            if inside { far[y as usize * columns + x as usize] } else { 0 }
        };
        let sweep = |far: &mut Vec<u32>, index: usize, sign: isize| {
            let (y, x) = ((index / columns) as isize, (index % columns) as isize);
            let steps = [(0, -sign, 3), (-sign, -sign, 4), (-sign, 0, 3), (-sign, sign, 4)];
            let nearest = steps.iter().map(|&(dy, dx, cost)| at(far, y + dy, x + dx) + cost).min();
            far[index] = far[index].min(nearest.unwrap_or(0));
        };
        for index in 0..mask.len() {
            sweep(&mut far, index, 1);
        }
        for index in (0..mask.len()).rev() {
            sweep(&mut far, index, -1);
        }
        out.extend(far.iter().map(|&thirds| thirds as f32 / 3.0));
    }
    out
}

/// The pixels beside, above and below a pixel.
pub(super) fn neighbours(index: usize, rows: usize, columns: usize) -> impl Iterator<Item = usize> {
    let (y, x) = (index / columns, index % columns);
    let up = (y > 0).then(|| index - columns);
    let down = (y + 1 < rows).then_some(index + columns);
    let left = (x > 0).then(|| index - 1);
    let right = (x + 1 < columns).then_some(index + 1);
    [up, down, left, right].into_iter().flatten()
}

fn dilate(mask: &[bool], rows: usize, columns: usize, times: usize) -> Vec<bool> {
    let mut out = mask.to_vec();
    for _ in 0..times {
        let before = out.clone();
        for (index, pixel) in out.iter_mut().enumerate() {
            *pixel |= neighbours(index, rows, columns).any(|next| before[next]);
        }
    }
    out
}

/// Mean of 3 x 3 pixels, zeros beyond the edge.
pub(crate) fn box_mean(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let sum_of_three = |values: &[f32], step: usize, place: &dyn Fn(usize) -> (usize, usize)| -> Vec<f32> {
        (0..values.len())
            .map(|index| {
                let (position, last) = place(index);
                let before = if position > 0 { values[index - step] } else { 0.0 };
                let after = if position < last { values[index + step] } else { 0.0 };
                before + values[index] + after
            })
            .collect()
    };
    let across = sum_of_three(values, 1, &|index| (index % columns, columns - 1));
    let mut both = sum_of_three(&across, columns, &|index| (index / columns, rows - 1));
    for value in &mut both {
        *value /= 9.0;
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use ictus::preprocess::Alignment;

    #[test]
    fn depth_counts_pixels_from_the_edge() {
        let mask = [false, true, true, true, true, true, false];
        let tall: Vec<bool> = std::iter::repeat_n(mask, 9).flatten().collect();
        let depth = depth(&tall, [1, 9, 7]);
        assert_eq!(&depth[4 * 7..5 * 7], &[0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(depth[3], 1.0, "the border of the picture is an edge too");
    }

    #[test]
    fn the_lesion_is_the_bright_part_beside_the_oedema() {
        let (rows, columns) = (20, 20);
        let mut hounsfield = vec![0.0; rows * columns];
        let mut oedema = vec![false; rows * columns];
        for y in 0..rows {
            for x in 0..columns {
                let index = y * columns + x;
                // A clot with oedema to its left, and a bright spot far away.
                if (5..10).contains(&y) && (5..10).contains(&x) || (15..19).contains(&y) && (15..19).contains(&x) {
                    hounsfield[index] = 30.0;
                }
                oedema[index] = (5..10).contains(&y) && (2..5).contains(&x);
            }
        }
        let input = NetworkInput {
            mask: vec![true; rows * columns],
            hounsfield,
            shape: [1, rows, columns],
            slices: 0..1,
            slabs: std::iter::once(0..1).collect(),
            slab_mm: None,
            alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
            brain_median_hu: 35.0,
            contrast_gain: 1.0,
        };
        let region = lesion(&input, &oedema);
        assert_eq!(region[7 * columns + 7], 1.0);
        assert_eq!(region[7 * columns + 2], UNSURE);
        assert_eq!(region[17 * columns + 17], 0.0, "a bright spot without oedema is no lesion");
    }
}
