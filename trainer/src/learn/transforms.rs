//! The seven random changes of the published pipeline: in the plane, alike on every slice of a scan, on grey values from 0 to 1.
//!
//! What a number means is as in the Keras layers of these names, which draw one number a scan: angles in whole turns, shifts in shares
//! of the side, a zoom of 0.1 shows a tenth more, a shear leaves the corner (0, 0) where it is.

use ictus::network::SplitMix64;
use serde::{Deserialize, Serialize};
use std::f32::consts::TAU;

/// A random change: the range that its numbers are drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub(crate) enum Transform {
    /// A number is added.
    Brightness {
        /// Lowest and highest.
        add: [f32; 2],
    },
    /// The distance of each value from the mean of its slice is multiplied.
    Contrast {
        /// Lowest and highest factor.
        factor: [f32; 2],
    },
    /// A turn about the middle.
    Rotation {
        /// Lowest and highest, in whole turns.
        turns: [f32; 2],
        /// What comes in from outside.
        fill: Fill,
    },
    /// First row last.
    VerticalFlip {
        /// How often.
        probability: f32,
    },
    /// A shift.
    Shift {
        /// Lowest and highest, in shares of the rows.
        height: [f32; 2],
        /// Lowest and highest, in shares of the columns.
        width: [f32; 2],
        /// What comes in from outside.
        fill: Fill,
    },
    /// Another size, about the middle.
    Zoom {
        /// Lowest and highest share that is seen more of each side.
        factor: [f32; 2],
        /// What comes in from outside.
        fill: Fill,
    },
    /// A slant.
    Shear {
        /// Lowest and highest, columns a row.
        x: [f32; 2],
        /// Lowest and highest, rows a column.
        y: [f32; 2],
        /// What comes in from outside.
        fill: Fill,
    },
}

/// What lies outside of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fill {
    /// Black.
    Constant,
    /// The nearest pixel.
    Nearest,
    /// The picture in a mirror at its edge.
    Reflect,
}

/// A change with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// A number is added, and the result kept from 0 to 1.
    Add(f32),
    /// The distance from the mean of the slice is multiplied, and the result kept from 0 to 1.
    Contrast(f32),
    /// First row last.
    Flip,
    /// The pixel `(x, y)` comes from `(m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5])`, interpolated linearly.
    Affine([f32; 6], Fill),
}

impl Transform {
    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Brightness { .. } => "brightness",
            Self::Contrast { .. } => "contrast",
            Self::Rotation { .. } => "rotation",
            Self::VerticalFlip { .. } => "vertical flip",
            Self::Shift { .. } => "shift",
            Self::Zoom { .. } => "zoom",
            Self::Shear { .. } => "shear",
        }
    }

    /// A change drawn at random for slices of this size.
    pub(crate) fn draw(&self, random: &mut SplitMix64, rows: usize, columns: usize) -> Change {
        self.at([random.uniform(0.0, 1.0), random.uniform(0.0, 1.0)], rows, columns)
    }

    /// The change at these places of its ranges, from 0 for the lowest to 1 for the highest; the second is for the columns or `y`.
    pub(crate) fn at(&self, [first, second]: [f32; 2], rows: usize, columns: usize) -> Change {
        let within = |[low, high]: [f32; 2], share: f32| low + (high - low) * share;
        let (height, width) = (rows as f32, columns as f32);
        let centre = [(width - 1.0) / 2.0, (height - 1.0) / 2.0];
        match *self {
            Self::Brightness { add } => Change::Add(within(add, first)),
            Self::Contrast { factor } => Change::Contrast(within(factor, first)),
            Self::VerticalFlip { probability } if first < probability => Change::Flip,
            Self::VerticalFlip { .. } => Change::None,
            Self::Rotation { turns, fill } => {
                let (sine, cosine) = (within(turns, first) * TAU).sin_cos();
                let x = centre[0] - cosine * centre[0] + sine * centre[1];
                let y = centre[1] - sine * centre[0] - cosine * centre[1];
                Change::Affine([cosine, -sine, x, sine, cosine, y], fill)
            }
            Self::Shift { height: rows, width: columns, fill } => {
                let (down, right) = (within(rows, first) * height, within(columns, second) * width);
                Change::Affine([1.0, 0.0, -right, 0.0, 1.0, -down], fill)
            }
            Self::Zoom { factor, fill } => {
                let scale = 1.0 + within(factor, first);
                let offset = centre.map(|middle| middle * (1.0 - scale));
                Change::Affine([scale, 0.0, offset[0], 0.0, scale, offset[1]], fill)
            }
            Self::Shear { x, y, fill } => {
                Change::Affine([1.0, within(x, first), 0.0, within(y, second), 1.0, 0.0], fill)
            }
        }
    }
}

impl Change {
    /// Applies the change to slices of `rows` x `columns`.
    pub(crate) fn apply(self, values: &mut [f32], rows: usize, columns: usize) {
        let area = (rows * columns).max(1);
        for slice in values.chunks_exact_mut(area) {
            match self {
                Self::None => {}
                Self::Add(add) => slice.iter_mut().for_each(|value| *value = (*value + add).clamp(0.0, 1.0)),
                Self::Contrast(factor) => {
                    let mean = (slice.iter().map(|&value| f64::from(value)).sum::<f64>() / area as f64) as f32;
                    for value in slice.iter_mut() {
                        *value = ((*value - mean) * factor + mean).clamp(0.0, 1.0);
                    }
                }
                Self::Flip => {
                    for row in 0..rows / 2 {
                        let (above, below) = slice.split_at_mut((rows - 1 - row) * columns);
                        above[row * columns..(row + 1) * columns].swap_with_slice(&mut below[..columns]);
                    }
                }
                Self::Affine(m, fill) => {
                    let source = slice.to_vec();
                    for (index, value) in slice.iter_mut().enumerate() {
                        let (x, y) = ((index % columns) as f32, (index / columns) as f32);
                        let from_x = fill.bring_in(m[0] * x + m[1] * y + m[2], columns);
                        let from_y = fill.bring_in(m[3] * x + m[4] * y + m[5], rows);
                        *value = interpolate(&source, rows, columns, from_x, from_y);
                    }
                }
            }
        }
    }
}

impl Fill {
    /// Where a coordinate outside of `0..length` is read; black lies where nothing is.
    fn bring_in(self, at: f32, length: usize) -> f32 {
        let last = length.saturating_sub(1) as f32;
        match self {
            Self::Constant => at,
            Self::Nearest => at.clamp(0.0, last),
            Self::Reflect => {
                let period = 2.0 * length as f32;
                let folded = at.rem_euclid(period);
                // The edge pixel stands twice: `d c b a | a b c d | d c b a`. Below 0 the mirror lies between -1 and 0.
                let mirrored = if at < 0.0 {
                    let back = (-at).rem_euclid(period);
                    if back > length as f32 { period - back } else { back - 1.0 }
                } else if folded >= length as f32 {
                    period - folded - 1.0
                } else {
                    folded
                };
                mirrored.clamp(0.0, last)
            }
        }
    }
}

/// Linear between the four pixels around `(x, y)`, of which those outside are 0.
fn interpolate(slice: &[f32], rows: usize, columns: usize, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    let pixel = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < columns as f32 && y < rows as f32;
        if inside { slice.get(y as usize * columns + x as usize).copied().unwrap_or(0.0) } else { 0.0 }
    };
    let upper = (1.0 - u) * pixel(left, top) + u * pixel(left + 1.0, top);
    let lower = (1.0 - u) * pixel(left, top + 1.0) + u * pixel(left + 1.0, top + 1.0);
    (1.0 - v) * upper + v * lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::reference::reference;

    const SHAPE: [usize; 3] = [2, 7, 9];

    fn scan() -> Vec<f32> {
        let mut random = SplitMix64::new(7);
        (0..SHAPE.iter().product()).map(|_| random.uniform(0.0, 1.0)).collect()
    }

    #[test]
    fn every_change_is_that_of_the_keras_layer() {
        let exactly = |number: f32| [number, number];
        let rotation = Transform::Rotation { turns: exactly(0.1), fill: Fill::Constant };
        let shift = Transform::Shift { height: exactly(0.18), width: exactly(-0.12), fill: Fill::Reflect };
        let zoom = |factor| Transform::Zoom { factor: exactly(factor), fill: Fill::Reflect };
        let shear = Transform::Shear { x: exactly(0.25), y: exactly(0.1), fill: Fill::Nearest };
        for (name, transform) in [
            ("rotation", rotation),
            ("flip", Transform::VerticalFlip { probability: 1.0 }),
            ("shift", shift),
            ("zoom", zoom(0.15)),
            ("zoom_in", zoom(-0.15)),
            ("shear", shear),
            ("brightness", Transform::Brightness { add: exactly(0.1) }),
            ("contrast", Transform::Contrast { factor: exactly(1.2) }),
        ] {
            let expected: Vec<f32> = serde_json::from_value(reference("transforms")[name].clone()).unwrap();
            let mut values = scan();
            transform.draw(&mut SplitMix64::new(1), SHAPE[1], SHAPE[2]).apply(&mut values, SHAPE[1], SHAPE[2]);
            assert_eq!(values.len(), expected.len());
            for (index, (value, expected)) in values.iter().zip(&expected).enumerate() {
                assert!((value - expected).abs() < 2e-5, "{name}, {index}: {value} {expected}");
            }
        }
    }

    #[test]
    fn a_picture_far_outside_is_its_own_reflection() {
        let places = [-4.5, -4.0, -1.0, -0.25, 0.0, 2.75, 3.0, 3.5, 4.0, 7.0, 8.0, 9.0];
        let read = places.map(|at| Fill::Reflect.bring_in(at, 4));
        assert_eq!(read, [3.0, 3.0, 0.0, 0.0, 0.0, 2.75, 3.0, 3.0, 3.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn numbers_lie_in_their_ranges_and_a_flip_comes_as_often_as_it_says() {
        let mut random = SplitMix64::new(2);
        let contrast = Transform::Contrast { factor: [0.0, 1.2] };
        let drawn: Vec<f32> = (0..500)
            .filter_map(|_| match contrast.draw(&mut random, 8, 8) {
                Change::Contrast(factor) => Some(factor),
                _ => None,
            })
            .collect();
        assert!(drawn.len() == 500 && drawn.iter().all(|factor| (0.0..=1.2).contains(factor)));
        assert!(drawn.iter().any(|&factor| factor < 0.1) && drawn.iter().any(|&factor| factor > 1.1));
        let flip = Transform::VerticalFlip { probability: 0.5 };
        let flips = (0..500).filter(|_| flip.draw(&mut random, 8, 8) == Change::Flip).count();
        assert!((200..300).contains(&flips), "{flips}");
    }
}
