//! Whole slices as the published pipeline prepares them: noise removal, normalisation, a quarter turn, linear zoom.

use super::region::neighbours;
use super::sources::{self, Listed};
use super::{Case, DataError};
use ictus::network::resample;
use serde::{Deserialize, Serialize};

/// Grey value from which a pixel is foreground, after grey dilation.
const FOREGROUND: u8 = 25;

/// How whole slices become the input of a network, instead of the brain alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WholeSlices {
    /// Whether what does not hang together with the head is made black.
    pub(crate) remove_noise: bool,
    /// Whether slices are turned by 90 degrees, counter-clockwise.
    pub(crate) rotate: bool,
    /// Which label of a patient is learned.
    pub(crate) labels: Labels,
}

/// Where the label of a patient comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Labels {
    /// The reference standard of the slices.
    True,
    /// The folder, which is wrong for five patients.
    Folder,
}

impl Default for WholeSlices {
    fn default() -> Self {
        Self { remove_noise: true, rotate: true, labels: Labels::Folder }
    }
}

/// The stages of noise removal on one slice.
pub(crate) struct NoiseRemoval {
    /// After grey dilation.
    pub(crate) dilated: Vec<u8>,
    /// What is bright enough there.
    pub(crate) foreground: Vec<bool>,
    /// Its largest connected part.
    pub(crate) largest: Vec<bool>,
    /// That part, dilated, filled and dilated again.
    pub(crate) mask: Vec<bool>,
    /// The slice inside the mask, black outside.
    pub(crate) cleaned: Vec<u8>,
}

/// Removes head rest, tubes and annotations from a slice that is `columns` wide.
pub(crate) fn remove_noise(grey: &[u8], columns: usize) -> NoiseRemoval {
    let dilated = dilate(grey, columns, 1);
    let foreground: Vec<bool> = dilated.iter().map(|&pixel| pixel >= FOREGROUND).collect();
    let mut largest = vec![false; grey.len()];
    // Of equally large parts the first: `max_by_key` would take the last.
    let parts = parts(&foreground, columns);
    for &pixel in parts.iter().rev().max_by_key(|part| part.len()).into_iter().flatten() {
        largest[pixel] = true;
    }
    let mask = dilate(&fill_holes(&dilate(&largest, columns, 2), columns), columns, 1);
    let cleaned = grey.iter().zip(&mask).map(|(&pixel, &inside)| if inside { pixel } else { 0 }).collect();
    NoiseRemoval { dilated, foreground, largest, mask, cleaned }
}

/// The parts of a picture in which every pixel has a neighbour beside, above or below it, in reading order.
fn parts(picture: &[bool], columns: usize) -> Vec<Vec<usize>> {
    let columns = columns.max(1);
    let mut left = picture.to_vec();
    let mut parts = Vec::new();
    for start in 0..picture.len() {
        if !std::mem::take(&mut left[start]) {
            continue;
        }
        let mut part = vec![start];
        let mut next = 0;
        while let Some(&pixel) = part.get(next) {
            next += 1;
            for near in neighbours(pixel, picture.len() / columns, columns) {
                if std::mem::take(&mut left[near]) {
                    part.push(near);
                }
            }
        }
        parts.push(part);
    }
    parts
}

/// Sets what is enclosed: parts of the background that do not reach the edge.
fn fill_holes(picture: &[bool], columns: usize) -> Vec<bool> {
    let columns = columns.max(1);
    let rows = picture.len() / columns;
    let background: Vec<bool> = picture.iter().map(|&pixel| !pixel).collect();
    let at_edge = |pixel: usize| {
        pixel < columns
            || pixel / columns + 1 == rows
            || pixel.is_multiple_of(columns)
            || (pixel + 1).is_multiple_of(columns)
    };
    let mut filled = picture.to_vec();
    for hole in parts(&background, columns).iter().filter(|part| !part.iter().any(|&pixel| at_edge(pixel))) {
        for &pixel in hole {
            filled[pixel] = true;
        }
    }
    filled
}

/// The largest value within `reach` rows and columns of each pixel.
fn dilate<T: Copy + Ord>(picture: &[T], columns: usize, reach: usize) -> Vec<T> {
    let columns = columns.max(1);
    let rows = picture.len() / columns;
    let pass = |picture: &[T], down: bool| -> Vec<T> {
        let largest = |index: usize| {
            let (y, x) = (index / columns, index % columns);
            let (at, length) = if down { (y, rows) } else { (x, columns) };
            let window = at.saturating_sub(reach)..(at + reach + 1).min(length);
            let pixel = |near: usize| if down { near * columns + x } else { y * columns + near };
            window.map(|near| picture[pixel(near)]).fold(picture[index], T::max)
        };
        (0..rows * columns).map(largest).collect()
    };
    pass(&pass(picture, false), true)
}

/// A square picture turned by 90 degrees, counter-clockwise.
pub(crate) fn quarter_turn<T: Copy>(picture: &[T], side: usize) -> Vec<T> {
    let turned = |index: usize| picture[index % side.max(1) * side + side - 1 - index / side.max(1)];
    (0..side * side).map(turned).collect()
}

/// One slice as rows x columns values from 0 to 1.
pub(crate) fn prepare_slice(
    grey: &image::GrayImage,
    config: &WholeSlices,
    size: [usize; 2],
) -> Result<Vec<f32>, String> {
    let (columns, rows) = (grey.width() as usize, grey.height() as usize);
    let cleaned =
        if config.remove_noise { remove_noise(grey.as_raw(), columns).cleaned } else { grey.as_raw().clone() };
    let normal: Vec<f32> = cleaned.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    if !config.rotate {
        return Ok(resample(&normal, [1, rows, columns], [1, size[0], size[1]]));
    }
    if rows != columns {
        return Err(format!("a slice of {rows} x {columns} pixels cannot be turned within its own shape"));
    }
    Ok(resample(&quarter_turn(&normal, rows), [1, rows, rows], [1, size[0], size[1]]))
}

/// Reads and prepares one scan. Its slices stay as many as they are: the recipe resamples them for the network, and linear
/// interpolation along one axis after the others is the same as along all at once.
pub(super) fn read(listed: &Listed, config: &WholeSlices, size: [usize; 2]) -> Result<Case, DataError> {
    let mut hounsfield = Vec::new();
    for path in listed.pictures() {
        let prepared = prepare_slice(&sources::picture(path)?, config, size).map_err(|what| DataError::Scan {
            scan: listed.record.name(),
            what: format!("{}: {what}", path.display()),
        })?;
        hounsfield.extend(prepared);
    }
    let mut record = listed.record.clone();
    let slices = listed.pictures().len();
    record.kept = [0, slices];
    record.shape = [slices, size[0], size[1]];
    Ok(Case { record, hounsfield, mask: Vec::new(), region: Vec::new(), depth: Vec::new(), target: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::reference::{noisy_picture, reference};
    use ictus::network::SplitMix64;

    #[test]
    fn noise_removal_is_that_of_scipy_and_scikit_image() {
        let expected = reference("noise");
        let (picture, columns) = noisy_picture();
        assert_eq!(picture.iter().map(|&p| u64::from(p)).sum::<u64>(), expected["picture_sum"], "the same picture");
        let stages = remove_noise(&picture, columns);
        assert_eq!(stages.foreground.iter().filter(|&&p| p).count(), expected["foreground"]);
        let mut areas: Vec<usize> = parts(&stages.foreground, columns).iter().map(Vec::len).collect();
        areas.sort_unstable();
        assert_eq!(serde_json::json!(areas), expected["components"]);
        assert_eq!(stages.largest.iter().filter(|&&p| p).count(), areas[areas.len() - 1]);
        let rows: Vec<String> =
            stages.mask.chunks(columns).map(|row| row.iter().map(|&p| if p { '#' } else { '.' }).collect()).collect();
        assert_eq!(serde_json::json!(rows), expected["mask"]);
        assert_eq!(stages.cleaned.iter().map(|&p| u64::from(p)).sum::<u64>(), expected["sum"]);
    }

    #[test]
    fn an_empty_slice_stays_empty() {
        assert!(remove_noise(&[7; 60], 10).cleaned.iter().all(|&pixel| pixel == 0));
    }

    #[test]
    fn turn_and_zoom_are_those_of_scipy() {
        let (side, slices) = (7, 5);
        let expected: Vec<f32> = serde_json::from_value(reference("resize")).unwrap();
        let mut random = SplitMix64::new(6);
        // The reference has rows, columns, slices; here slices come first.
        let drawn: Vec<f32> = (0..side * side * slices).map(|_| random.uniform(0.0, 1.0)).collect();
        let mut volume = Vec::new();
        for z in 0..slices {
            let plane: Vec<f32> = (0..side * side).map(|index| drawn[index * slices + z]).collect();
            volume.extend(resample(&quarter_turn(&plane, side), [1, side, side], [1, 4, 9]));
        }
        let zoomed = resample(&volume, [slices, 4, 9], [8, 4, 9]);
        for (index, value) in zoomed.iter().enumerate() {
            let (z, in_plane) = (index / 36, index % 36);
            let expected = expected[in_plane * 8 + z];
            assert!((value - expected).abs() < 1e-5, "{index}: {value} {expected}");
        }
    }

    #[test]
    fn a_slice_that_cannot_be_turned_is_said_to_be_one() {
        let config = WholeSlices::default();
        assert!(prepare_slice(&image::GrayImage::new(20, 30), &config, [8, 8]).unwrap_err().contains("30 x 20"));
        let upright = WholeSlices { rotate: false, ..config };
        assert_eq!(prepare_slice(&image::GrayImage::new(20, 30), &upright, [8, 8]).unwrap().len(), 64);
    }
}
