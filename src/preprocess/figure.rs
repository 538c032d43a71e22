//! A contact sheet of every stage, for people who want to see what the network saw and why.

use super::{Preparation, Stages};
use image::{ImageError, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Slabs side by side before the next band begins.
const ACROSS: usize = 12;
/// Largest side of a tile in pixels.
const TILE: usize = 112;
/// Window in which the network input is drawn, in Hounsfield units relative to the brain's median.
const INPUT_WINDOW: [f32; 2] = [-25.0, 45.0];
const BONE: Rgb<u8> = Rgb([236, 170, 90]);
const BRAIN: Rgb<u8> = Rgb([70, 200, 190]);
const RIM: Rgb<u8> = Rgb([230, 80, 120]);
const AXIS: Rgb<u8> = Rgb([255, 230, 60]);
const OUTSIDE: Rgb<u8> = Rgb([16, 20, 40]);

/// Draws the stages of a preparation as a PNG: bands of twelve slabs from the lowest up, each with four rows: the working
/// frame, bone (orange), brain (green; the rim that was cut and slabs that were dropped red) with the mirror axis
/// (yellow), and the network input.
///
/// # Errors
/// [`ImageError`] if the picture does not fit into a PNG.
pub fn contact_sheet(preparation: &Preparation) -> Result<Vec<u8>, ImageError> {
    let stages = &preparation.stages;
    let [slabs, rows, columns] = stages.shape;
    let step = rows.max(columns).div_ceil(TILE).max(1);
    let [_, input_rows, input_columns] = preparation.input.shape;
    let tile = [columns.div_ceil(step).max(input_columns), rows.div_ceil(step).max(input_rows)];
    let size = [tile[0] * slabs.min(ACROSS), tile[1] * 4 * slabs.div_ceil(ACROSS)];
    let mut sheet = RgbImage::new(size[0] as u32, size[1] as u32);
    for slab in 0..slabs {
        let corner = [slab % ACROSS * tile[0], slab / ACROSS * 4 * tile[1]];
        for y in 0..rows / step {
            for x in 0..columns / step {
                for (row, colour) in stage_colours(stages, slab, x * step, y * step, step).into_iter().enumerate() {
                    let place = [corner[0] + x, corner[1] + row * tile[1] + y];
                    sheet.put_pixel(place[0] as u32, place[1] as u32, colour);
                }
            }
        }
        let Some(slice) = slab.checked_sub(stages.kept.start).filter(|_| stages.kept.contains(&slab)) else { continue };
        for y in 0..input_rows {
            for x in 0..input_columns {
                let colour = input_colour(preparation, (slice * input_rows + y) * input_columns + x);
                sheet.put_pixel((corner[0] + x) as u32, (corner[1] + 3 * tile[1] + y) as u32, colour);
            }
        }
    }
    let mut png = Cursor::new(Vec::new());
    sheet.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// The frame, bone and brain rows of the sheet at one pixel of the working frame.
fn stage_colours(stages: &Stages, slab: usize, x: usize, y: usize, step: usize) -> [Rgb<u8>; 3] {
    let [_, rows, columns] = stages.shape;
    let at = (slab * rows + y) * columns + x;
    let plain = grey(stages.hounsfield.get(at).copied().unwrap_or_default(), [-20.0, 100.0]);
    let is = |mask: &[bool]| mask.get(at).copied().unwrap_or_default();
    let brain = match (is(&stages.mask), is(&stages.enclosed)) {
        (true, _) => tint(plain, BRAIN),
        (false, true) => tint(plain, RIM),
        _ => plain,
    };
    let (sine, cosine) = stages.axis.degrees.to_radians().sin_cos();
    let across = (x as f32 - stages.axis.x) * cosine + (y as f32 - stages.axis.y) * sine;
    let on_axis = across.abs() <= 0.5 * step as f32;
    [plain, if is(&stages.bone) { BONE } else { plain }, if on_axis { AXIS } else { brain }]
}

fn input_colour(preparation: &Preparation, at: usize) -> Rgb<u8> {
    match (preparation.input.mask.get(at), preparation.input.hounsfield.get(at)) {
        (Some(true), Some(&value)) => grey(value, INPUT_WINDOW),
        _ => OUTSIDE,
    }
}

fn grey(value: f32, [low, high]: [f32; 2]) -> Rgb<u8> {
    let level = (255.0 * (value - low) / (high - low)).clamp(0.0, 255.0) as u8;
    Rgb([level; 3])
}

fn tint(Rgb(plain): Rgb<u8>, Rgb(colour): Rgb<u8>) -> Rgb<u8> {
    Rgb(std::array::from_fn(|channel| ((2 * u16::from(plain[channel]) + u16::from(colour[channel])) / 3) as u8))
}
