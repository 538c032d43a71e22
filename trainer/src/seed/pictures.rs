//! Drawings of scans: contact sheet, noise removal, transforms.

use super::explore::Stack;
use crate::data::remove_noise;
use crate::learn::transforms::Transform;
use image::imageops::{FilterType, replace, resize};
use image::{GrayImage, Luma};

/// Rows and columns of the contact sheet.
const SHEET: [u32; 2] = [4, 10];
/// Sides of the tiles of the contact sheet, and of the other drawings.
const SMALL: u32 = 72;
const LARGE: u32 = 128;
/// Between the tiles.
const GAP: u32 = 2;
/// Drawings of a transform, from the lowest to the highest of its numbers.
const STRENGTHS: u32 = 5;

/// A page of tiles on dark grey.
struct Page {
    picture: GrayImage,
    tile: u32,
}

impl Page {
    fn new(rows: u32, columns: u32, tile: u32) -> Self {
        let side = |tiles: u32| tiles * (tile + GAP) + GAP;
        Self { picture: GrayImage::from_pixel(side(columns), side(rows), Luma([64])), tile }
    }

    fn put(&mut self, row: u32, column: u32, picture: &GrayImage) {
        let place = |index: u32| i64::from(GAP + index * (self.tile + GAP));
        let small = resize(picture, self.tile, self.tile, FilterType::Triangle);
        replace(&mut self.picture, &small, place(column), place(row));
    }
}

/// A scan by the numbers of its files: 4 x 10 places, more rows where the numbers go on; a number that is missing stays blank.
pub(super) fn contact_sheet(stack: &Stack) -> GrayImage {
    let [rows, columns] = SHEET;
    let highest = stack.numbers.iter().copied().max().unwrap_or(0);
    let mut page = Page::new(rows.max(highest.div_ceil(columns)), columns, SMALL);
    for (number, slice) in stack.numbers.iter().zip(&stack.slices).filter(|(number, _)| **number > 0) {
        page.put((number - 1) / columns, (number - 1) % columns, slice);
    }
    page.picture
}

/// The stages of noise removal on a slice, side by side.
pub(super) fn noise(slice: &GrayImage) -> GrayImage {
    let (width, height) = slice.dimensions();
    let stages = remove_noise(slice.as_raw(), width as usize);
    let grey = |values: Vec<u8>| GrayImage::from_raw(width, height, values).unwrap_or_default();
    let mask = |values: &[bool]| grey(values.iter().map(|&inside| if inside { 255 } else { 0 }).collect());
    let mut page = Page::new(1, 6, LARGE);
    let drawn = [
        slice.clone(),
        grey(stages.dilated),
        mask(&stages.foreground),
        mask(&stages.largest),
        mask(&stages.mask),
        grey(stages.cleaned),
    ];
    drawn.iter().zip(0..).for_each(|(picture, column)| page.put(0, column, picture));
    page.picture
}

/// Transforms of a slice without noise, a row each.
///
/// # Errors
/// Why the slice cannot be prepared.
pub(super) fn transforms(slice: &GrayImage, transforms: &[Transform]) -> Result<GrayImage, String> {
    let side = LARGE as usize;
    let upright = crate::data::WholeSlices { rotate: false, ..crate::data::WholeSlices::default() };
    let prepared = crate::data::prepare_slice(slice, &upright, [side, side])?;
    let mut page = Page::new(transforms.len() as u32, STRENGTHS, LARGE);
    for (transform, row) in transforms.iter().zip(0..) {
        for column in 0..STRENGTHS {
            let share = column as f32 / (STRENGTHS - 1) as f32;
            let mut values = prepared.clone();
            transform.at([share, share], side, side).apply(&mut values, side, side);
            let grey = values.iter().map(|&value| (value * 255.0).round().clamp(0.0, 255.0) as u8).collect();
            page.put(row, column, &GrayImage::from_raw(LARGE, LARGE, grey).unwrap_or_default());
        }
    }
    Ok(page.picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::recipe::Recipe;
    use crate::seed::explore::synthetic;

    /// Mean grey of a tile.
    fn mean(page: &GrayImage, tile: u32, row: u32, column: u32) -> f32 {
        let place = |index: u32| GAP + index * (tile + GAP);
        let sum: u32 = (0..tile * tile)
            .map(|index| u32::from(page.get_pixel(place(column) + index % tile, place(row) + index / tile).0[0]))
            .sum();
        sum as f32 / (tile * tile) as f32
    }

    #[test]
    fn missing_numbers_are_blank_and_the_others_in_their_places() {
        let stack = Stack {
            numbers: vec![3, 1, 41],
            slices: [30, 10, 200].map(|grey| GrayImage::from_pixel(20, 20, Luma([grey]))).to_vec(),
        };
        let sheet = contact_sheet(&stack);
        assert_eq!(sheet.dimensions(), (10 * 74 + 2, 5 * 74 + 2));
        let tiles = [(0, 0), (0, 1), (0, 2), (4, 0), (4, 1)].map(|(row, column)| mean(&sheet, SMALL, row, column));
        assert_eq!(tiles, [10.0, 64.0, 30.0, 200.0, 64.0]);
    }

    #[test]
    fn holder_and_marks_go_and_the_head_stays() {
        let stack = synthetic().unwrap();
        let slice = stack.slice(None).unwrap();
        let side = slice.width() as usize;
        let cleaned = remove_noise(slice.as_raw(), side).cleaned;
        let mark = 14 * side + side - 12;
        assert_eq!((slice.as_raw()[mark], cleaned[mark]), (255, 0), "the mark in the corner");
        let middle = side / 2 * side + side / 2;
        assert_eq!(cleaned[middle], slice.as_raw()[middle]);
        let gone = slice.as_raw().iter().zip(&cleaned).filter(|(before, after)| **before > 60 && **after == 0).count();
        assert!(gone > 200, "the head holder: {gone} bright pixels");
        assert_eq!(noise(slice).dimensions(), (6 * 130 + 2, 132));
    }

    #[test]
    fn every_transform_has_its_row() {
        let advanced = Recipe::find("seed-advanced").unwrap().transforms;
        let stack = synthetic().unwrap();
        let page = transforms(stack.slice(None).unwrap(), &advanced).unwrap();
        assert_eq!(page.dimensions(), (5 * 130 + 2, 7 * 130 + 2));
        for (row, transform) in (0..).zip(&advanced) {
            let (first, last) = (mean(&page, LARGE, row, 0), mean(&page, LARGE, row, 4));
            match transform.name() {
                "brightness" => assert!(last > first + 20.0, "{first} {last}"),
                // Keeps the mean but where values leave the range.
                "contrast" => assert!((last - first).abs() < 15.0, "{first} {last}"),
                _ => assert!(first > 5.0 && last > 5.0, "{}: {first} {last}", transform.name()),
            }
        }
    }
}
