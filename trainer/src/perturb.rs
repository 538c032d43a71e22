//! Changes of a whole scan that another hospital, scanner or viewer would make: what the figures have to hold up against.

use ictus::network::SplitMix64;
use ictus::volume::{Orientation, Spacing, Volume};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ExtendedColorType, ImageDecoder};
use std::io::Cursor;

/// Level of the window that pictures are taken to be saved with, and its width.
const WINDOW: (f32, f32) = (40.0, 120.0);
/// Air, in Hounsfield units, as the window shows it.
const AIR: f32 = WINDOW.0 - WINDOW.1 / 2.0;
/// Bone as the window shows it.
const BONE: f32 = WINDOW.0 + WINDOW.1 / 2.0;

/// Bone before the window cuts it off.
const CORTICAL_BONE: f32 = 1000.0;

/// A stack of more slices than this has thin ones.
const THIN_STACK: usize = 45;

/// One change. Lengths in pixels are at 400 rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Perturbation {
    /// As it is.
    None,
    /// Saved with another window and read as if with the usual one: level and width.
    Window(f32, f32),
    /// Unsharp masking with this weight; below 0, smoothing.
    Sharpness(f32),
    /// Normal noise of this standard deviation in Hounsfield units.
    Noise(f32),
    /// A turn in the plane in degrees, counter-clockwise.
    Turn(f32),
    /// Pixels of another size.
    Zoom(f32),
    /// Left and right swapped.
    Mirror,
    /// Saved as JPEG of this quality.
    Jpeg(u8),
    /// Neighbouring slices averaged by this number.
    Thick(usize),
    /// Every slice twice.
    Thin,
    /// This share of the slices left out at random; whether the scan tells where.
    Missing(f32, bool),
    /// Slices from top to bottom.
    Reversed,
    /// Bone thickened inwards by this many pixels of partial volume.
    Rim(usize),
    /// The cup of a head holder under the head.
    Holder,
}

/// All changes of the table.
pub(crate) const ALL: [(&str, Perturbation); 25] = [
    ("as it is", Perturbation::None),
    ("window 40/80", Perturbation::Window(40.0, 80.0)),
    ("window 40/100", Perturbation::Window(40.0, 100.0)),
    ("window 40/140", Perturbation::Window(40.0, 140.0)),
    ("window 50/150", Perturbation::Window(50.0, 150.0)),
    ("window 50/200", Perturbation::Window(50.0, 200.0)),
    ("smoothed", Perturbation::Sharpness(-0.8)),
    ("sharpened", Perturbation::Sharpness(0.8)),
    ("noise of 8 HU", Perturbation::Noise(8.0)),
    ("tilted 30 degrees", Perturbation::Turn(30.0)),
    ("lying, 90 degrees", Perturbation::Turn(90.0)),
    ("lying, 270 degrees", Perturbation::Turn(270.0)),
    ("pixels 0.8 times", Perturbation::Zoom(0.8)),
    ("pixels 1.25 times", Perturbation::Zoom(1.25)),
    ("mirrored", Perturbation::Mirror),
    ("JPEG quality 50", Perturbation::Jpeg(50)),
    ("JPEG quality 20", Perturbation::Jpeg(20)),
    ("slices of 10 mm", Perturbation::Thick(2)),
    ("every slice twice", Perturbation::Thin),
    ("a fifth of the slices missing", Perturbation::Missing(0.2, false)),
    ("a fifth missing, and where is known", Perturbation::Missing(0.2, true)),
    ("slices reversed", Perturbation::Reversed),
    ("rim thickened by 1 pixel", Perturbation::Rim(1)),
    ("rim thickened by 2 pixels", Perturbation::Rim(2)),
    ("head holder", Perturbation::Holder),
];

/// A scan after a change, with the slices of the original that each of its slices shows.
pub(crate) struct Perturbed {
    /// The scan.
    pub(crate) volume: Volume,
    /// For each slice, those it was made of.
    pub(crate) origin: Vec<Vec<usize>>,
}

impl Perturbation {
    /// Applies the change; what is random follows from `seed`.
    ///
    /// # Errors
    /// What went wrong with the picture code, or a shape that does not fit.
    pub(crate) fn apply(self, volume: &Volume, seed: u64) -> Result<Perturbed, String> {
        let [slices, rows, columns] = volume.shape();
        let mut random = SplitMix64::new(seed);
        let mut origin: Vec<Vec<usize>> = (0..slices).map(|z| vec![z]).collect();
        match self {
            Self::Thick(count) => {
                origin = (0..slices).collect::<Vec<_>>().chunks(count).map(<[usize]>::to_vec).collect();
            }
            Self::Thin => origin = (0..slices).flat_map(|z| [vec![z], vec![z]]).collect(),
            Self::Missing(share, _) => {
                let mut left: Vec<usize> = (0..slices).collect();
                random.shuffle(&mut left);
                left.truncate(slices - (share * slices as f32).round() as usize);
                origin.retain(|slice| slice.iter().all(|z| left.contains(z)));
            }
            Self::Reversed => origin.reverse(),
            _ => {}
        }
        let mut voxels = Vec::with_capacity(origin.len() * rows * columns);
        for sources in &origin {
            let mut plane = vec![0.0; rows * columns];
            for &z in sources {
                for (sum, value) in plane.iter_mut().zip(volume.slice(z).unwrap_or_default()) {
                    // A scanner averages before a window cuts: a slice that is half bone is white.
                    let value =
                        if sources.len() > 1 && *value >= BONE - 0.5 { CORTICAL_BONE } else { value.clamp(AIR, BONE) };
                    *sum += value / sources.len() as f32;
                }
            }
            for value in &mut plane {
                *value = value.min(BONE);
            }
            self.change(&mut plane, rows, columns, &mut random)?;
            voxels.extend(plane);
        }
        let shape = [origin.len(), rows, columns];
        // The slices of both sets are about 5 mm apart but for a few stacks of twice as many, which only has to be known where it changes.
        let usual = if slices > THIN_STACK { 2.5 } else { 5.0 };
        let slice_mm = match self {
            Self::Thick(count) => Some(5.0 * count as f32),
            Self::Missing(_, true) => Some(usual),
            _ => None,
        };
        let spacing = Spacing { slice_mm, ..Spacing::default() };
        let mut volume = Volume::new(voxels, shape, spacing, volume.scale, Orientation::Assumed)
            .map_err(|error| error.to_string())?;
        if let Self::Missing(_, true) = self {
            volume.gaps_mm = origin.windows(2).map(|pair| usual * (pair[1][0] - pair[0][0]) as f32).collect();
        }
        Ok(Perturbed { volume, origin })
    }

    fn change(self, plane: &mut Vec<f32>, rows: usize, columns: usize, random: &mut SplitMix64) -> Result<(), String> {
        let scale = rows as f32 / 400.0;
        match self {
            Self::None | Self::Thick(_) | Self::Thin | Self::Missing(..) | Self::Reversed => {}
            Self::Window(level, width) => {
                // Eight bits between the ends of the other window, read as the usual one. What lies beyond the ends of
                // the usual one is not in the pictures; bone and air lie beyond those of any.
                for value in plane.iter_mut() {
                    let grey = match *value {
                        bone if bone >= BONE - 1.0 => 255.0,
                        air if air <= AIR + 1.0 => 0.0,
                        other => ((other - level + width / 2.0) / width * 255.0).round().clamp(0.0, 255.0),
                    };
                    *value = grey / 255.0 * WINDOW.1 + AIR;
                }
            }
            Self::Sharpness(weight) => {
                let radius = (1.2 * scale).round().max(1.0) as usize;
                let smooth = blurred(plane, rows, columns, radius);
                for (value, smooth) in plane.iter_mut().zip(&smooth) {
                    *value = (*value + weight * (*value - smooth)).clamp(AIR, BONE);
                }
            }
            Self::Noise(deviation) => {
                for value in plane.iter_mut() {
                    *value = (*value + deviation * random.normal()).clamp(AIR, BONE);
                }
            }
            Self::Turn(degrees) => *plane = warped(plane, rows, columns, degrees.to_radians(), 1.0, false),
            Self::Zoom(factor) => *plane = warped(plane, rows, columns, 0.0, factor, false),
            Self::Mirror => *plane = warped(plane, rows, columns, 0.0, 1.0, true),
            Self::Jpeg(quality) => *plane = through_jpeg(plane, rows, columns, quality)?,
            Self::Rim(pixels) => {
                // Partial volume: every pixel beside bone takes up half of it, once a pixel of thickness.
                for _ in 0..(pixels as f32 * scale * 2.0).round().max(1.0) as usize {
                    let near = greatest_near(plane, rows, columns);
                    for (value, near) in plane.iter_mut().zip(&near) {
                        if *near >= BONE - 2.0 && *value > AIR + 5.0 {
                            *value = f32::midpoint(*value, *near).max(*value);
                        }
                    }
                }
            }
            Self::Holder => {
                let (cy, cx) = (rows as f32 / 2.0, columns as f32 / 2.0);
                for (index, value) in plane.iter_mut().enumerate() {
                    let (y, x) = ((index / columns) as f32 - cy, (index % columns) as f32 - cx);
                    let distance = (y * y + x * x).sqrt();
                    if y > 0.3 * rows as f32 && (distance - 0.47 * rows as f32).abs() < (2.0 * scale).max(0.75) {
                        *value = BONE;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The mean over a square of `2 radius + 1` pixels.
fn blurred(plane: &[f32], rows: usize, columns: usize, radius: usize) -> Vec<f32> {
    let line = |values: &[f32], length: usize, stride: usize, start: usize, at: usize| {
        let (low, high) = (at.saturating_sub(radius), (at + radius).min(length - 1));
        (low..=high).map(|k| values[start + k * stride]).sum::<f32>() / (high - low + 1) as f32
    };
    let along: Vec<f32> =
        (0..plane.len()).map(|i| line(plane, columns, 1, i / columns * columns, i % columns)).collect();
    (0..plane.len()).map(|i| line(&along, rows, columns, i % columns, i / columns)).collect()
}

fn greatest_near(plane: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..plane.len())
        .map(|i| {
            let (y, x) = (i / columns, i % columns);
            let ys = y.saturating_sub(1)..=(y + 1).min(rows - 1);
            ys.flat_map(|y| (x.saturating_sub(1)..=(x + 1).min(columns - 1)).map(move |x| y * columns + x))
                .filter_map(|at| plane.get(at))
                .copied()
                .fold(AIR, f32::max)
        })
        .collect()
}

/// Turned, scaled and mirrored about the centre, bilinear, with air around.
fn warped(plane: &[f32], rows: usize, columns: usize, angle: f32, zoom: f32, mirror: bool) -> Vec<f32> {
    let (sine, cosine) = angle.sin_cos();
    let (cy, cx) = ((rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0);
    let flip = if mirror { -1.0 } else { 1.0 };
    let pixel = |y: isize, x: isize| {
        let inside = y >= 0 && x >= 0 && y < rows as isize && x < columns as isize;
        if inside { plane[y as usize * columns + x as usize] } else { AIR }
    };
    (0..plane.len())
        .map(|i| {
            let (y, x) = ((i / columns) as f32 - cy, flip * ((i % columns) as f32 - cx));
            let (from_y, from_x) = ((cosine * y + sine * x) / zoom + cy, (cosine * x - sine * y) / zoom + cx);
            let (y0, x0) = (from_y.floor(), from_x.floor());
            let (v, u) = (from_y - y0, from_x - x0);
            let (y0, x0) = (y0 as isize, x0 as isize);
            let above = pixel(y0, x0) * (1.0 - u) + pixel(y0, x0 + 1) * u;
            let below = pixel(y0 + 1, x0) * (1.0 - u) + pixel(y0 + 1, x0 + 1) * u;
            above * (1.0 - v) + below * v
        })
        .collect()
}

fn through_jpeg(plane: &[f32], rows: usize, columns: usize, quality: u8) -> Result<Vec<f32>, String> {
    let grey: Vec<u8> = plane.iter().map(|value| ((value - AIR) / WINDOW.1 * 255.0).round() as u8).collect();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&grey, columns as u32, rows as u32, ExtendedColorType::L8)
        .map_err(|error| error.to_string())?;
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    if decoder.dimensions() != (columns as u32, rows as u32) {
        return Err("a picture came back in another size".to_owned());
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?.into_luma8();
    Ok(picture.as_raw().iter().map(|&grey| f32::from(grey) / 255.0 * WINDOW.1 + AIR).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ictus::volume::ValueScale;

    fn head() -> Volume {
        let shape = [6, 60, 50];
        let voxels = (0..shape.iter().product::<usize>())
            .map(|i| {
                let (y, x) = ((i / 50 % 60) as f32 - 30.0, (i % 50) as f32 - 25.0);
                let radius = (y / 25.0).hypot(x / 20.0);
                if radius > 1.0 {
                    AIR
                } else if radius > 0.85 {
                    BONE
                } else {
                    30.0 + (i / 3000) as f32 + 0.2 * x
                }
            })
            .collect();
        let scale = ValueScale::Windowed { level: WINDOW.0, width: WINDOW.1 };
        Volume::new(voxels, shape, Spacing::default(), scale, Orientation::Assumed).unwrap()
    }

    #[test]
    fn every_change_but_the_first_changes_something_and_leaves_the_window_alone() {
        let head = head();
        for (name, perturbation) in ALL {
            let changed = perturbation.apply(&head, 1).unwrap();
            assert_eq!(changed.origin.len(), changed.volume.slices(), "{name}");
            let same = changed.volume.voxels() == head.voxels();
            assert_eq!(same, matches!(perturbation, Perturbation::None), "{name}");
            assert!(changed.volume.voxels().iter().all(|v| (AIR - 0.01..=BONE + 0.01).contains(v)), "{name}");
        }
    }

    #[test]
    fn four_quarter_turns_and_two_mirrors_are_no_change() {
        let head = head();
        let square: Vec<f32> = (0..50 * 50).map(|i| head.voxels()[i % 2500 + 250]).collect();
        let mut turned = square.clone();
        for _ in 0..4 {
            turned = warped(&turned, 50, 50, 90.0_f32.to_radians(), 1.0, false);
        }
        let mirrored = warped(&warped(&square, 50, 50, 0.0, 1.0, true), 50, 50, 0.0, 1.0, true);
        for (index, value) in square.iter().enumerate() {
            assert!((turned[index] - value).abs() < 0.1);
            assert!((mirrored[index] - value).abs() < 0.1);
        }
    }

    #[test]
    fn thick_slices_know_what_they_are_made_of() {
        let thick = Perturbation::Thick(2).apply(&head(), 1).unwrap();
        assert_eq!(thick.origin, [vec![0, 1], vec![2, 3], vec![4, 5]]);
        let middle = 30 * 50 + 25;
        assert!((thick.volume.slice(0).unwrap()[middle] - 30.5).abs() < 1e-3);
    }

    #[test]
    fn a_thickened_rim_makes_brain_beside_bone_brighter_and_nothing_darker() {
        let head = head();
        let rim = Perturbation::Rim(2).apply(&head, 1).unwrap().volume;
        let brighter = rim.voxels().iter().zip(head.voxels()).filter(|(new, old)| *new > *old).count();
        assert!(brighter > 50, "{brighter}");
        assert!(rim.voxels().iter().zip(head.voxels()).all(|(new, old)| new >= old));
    }
}
