//! Where the slices of a series lie: their order along the normal, their distances, and what is odd about them.

use super::header::Frame;
use crate::ingest::canonical::{Axes, Direction, cross, dot, norm};
use crate::report::Warning;

/// Slices closer than this lie at the same place.
pub(super) const SAME_PLACE_MM: f64 = 0.01;
/// Gaps may differ from their median by this share before the person is told.
const UNEVEN_SHARE: f64 = 0.1;
/// Angle between the slices' normal and the direction in which they are stacked, from which the gantry was tilted.
const TILT_DEGREES: f64 = 1.0;

/// A stack of slices in space.
pub(super) struct Stack {
    /// Places of the slices in the order given, sorted along the normal.
    pub(super) order: Vec<usize>,
    /// Stored axes (columns, rows, sorted slices) to the patient's.
    pub(super) axes: Axes,
    /// Median distance of neighbours along the normal in millimetres.
    pub(super) slice_mm: Option<f64>,
    /// Whether two slices lie at the same place.
    pub(super) overlaps: bool,
    gaps: Vec<f64>,
    tilt_degrees: f64,
}

/// Row and column directions of an axial slice, nose up, seen from the feet.
const AXIAL: [Direction; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

/// Whether a slice lies across the body, as far as its file says.
pub(super) fn is_axial(frame: &Frame) -> bool {
    let [row, column] = frame.orientation.unwrap_or(AXIAL);
    Axes::nearest(&[row, column, cross(row, column)]).slices_stay()
}

impl Stack {
    /// Sorts frames of one orientation by their positions; `None` unless all have one.
    pub(super) fn by_position(frames: &[Frame]) -> Option<Self> {
        let [row, column] = frames.first()?.orientation.unwrap_or(AXIAL);
        let normal = cross(row, column);
        let positions: Vec<Direction> = frames.iter().map(|frame| frame.position).collect::<Option<_>>()?;
        let mut along: Vec<(f64, usize)> =
            positions.iter().enumerate().map(|(place, &position)| (dot(position, normal), place)).collect();
        along.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let gaps: Vec<f64> = along.iter().zip(along.iter().skip(1)).map(|(low, high)| high.0 - low.0).collect();
        let place = |entry: Option<&(f64, usize)>| entry.and_then(|&(_, place)| positions.get(place)).copied();
        let direction = match (place(along.first()), place(along.last())) {
            (Some([ax, ay, az]), Some([bx, by, bz])) => [bx - ax, by - ay, bz - az],
            _ => normal,
        };
        let cosine = dot(direction, normal) / norm(direction).max(f64::MIN_POSITIVE);
        Some(Self {
            order: along.into_iter().map(|(_, place)| place).collect(),
            axes: Axes::nearest(&[row, column, normal]),
            slice_mm: median(&gaps),
            overlaps: gaps.iter().any(|gap| *gap < SAME_PLACE_MM),
            tilt_degrees: if gaps.is_empty() { 0.0 } else { cosine.clamp(-1.0, 1.0).acos().to_degrees() },
            gaps,
        })
    }

    /// Places of the slices that lie where another one before them does.
    pub(super) fn repeated(&self) -> Vec<usize> {
        let repeated = self.order.iter().skip(1).zip(&self.gaps).filter(|&(_, gap)| *gap < SAME_PLACE_MM);
        repeated.map(|(&place, _)| place).collect()
    }

    /// Frames without positions, in the order given.
    pub(super) fn as_given(frames: &[Frame]) -> Self {
        let [row, column] = frames.first().and_then(|frame| frame.orientation).unwrap_or(AXIAL);
        Self {
            order: (0..frames.len()).collect(),
            axes: Axes::nearest(&[row, column, cross(row, column)]),
            slice_mm: None,
            overlaps: false,
            gaps: Vec::new(),
            tilt_degrees: 0.0,
        }
    }

    /// Distances of neighbouring slices from the lowest up, where they differ and the slices stay slices.
    pub(super) fn uneven_gaps(&self) -> Vec<f32> {
        let Some(usual) = self.slice_mm.filter(|_| self.axes.slices_stay()) else { return Vec::new() };
        let mut gaps: Vec<f32> = self.gaps.iter().map(|gap| *gap as f32).collect();
        if self.axes.slices_flipped() {
            gaps.reverse();
        }
        if self.gaps.iter().any(|gap| is_odd(*gap, usual)) { gaps } else { Vec::new() }
    }

    /// What the person should know about the geometry.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.tilt_degrees > TILT_DEGREES {
            let message = format!(
                "The gantry was tilted by {:.1} degrees; the slices are used as stored, without shearing them back.",
                self.tilt_degrees
            );
            warnings.push(Warning::new("gantry_tilt", message));
        }
        let Some(usual) = self.slice_mm else { return warnings };
        let odd: Vec<f64> = self.gaps.iter().copied().filter(|gap| is_odd(*gap, usual)).collect();
        let missing = |gap: f64| {
            let steps = (gap / usual).round();
            (steps >= 2.0 && (gap / usual - steps).abs() < UNEVEN_SHARE).then_some(steps - 1.0)
        };
        let low = self.gaps.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.gaps.iter().copied().fold(0.0, f64::max);
        if odd.is_empty() {
            return warnings;
        }
        // Gaps of twice the usual one, and no other, are holes.
        if let Some(holes) = odd.iter().map(|&gap| missing(gap)).collect::<Option<Vec<f64>>>() {
            let count: f64 = holes.iter().sum();
            let message = format!(
                "{count} slices are missing: neighbours are {usual:.1} mm apart, but {} gaps reach {high:.1} mm. A bleed in a gap is not seen.",
                holes.len()
            );
            warnings.push(Warning::new("missing_slices", message));
        } else {
            let message =
                format!("The slices are unevenly spaced: {low:.1} to {high:.1} mm apart, mostly {usual:.1} mm.");
            warnings.push(Warning::new("uneven_spacing", message));
        }
        warnings
    }
}

fn is_odd(gap: f64, usual: f64) -> bool {
    (gap - usual).abs() > UNEVEN_SHARE * usual
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(positions: &[Direction]) -> Vec<Frame> {
        let frame = |&position| Frame { position: Some(position), orientation: Some(AXIAL), ..Frame::default() };
        positions.iter().map(frame).collect()
    }

    fn codes(positions: &[Direction]) -> Vec<String> {
        let stack = Stack::by_position(&frames(positions)).unwrap();
        stack.warnings().into_iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn even_slices_give_no_warning() {
        assert_eq!(codes(&[[0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 10.0]]), [""; 0]);
    }

    #[test]
    fn a_hole_is_missing_slices() {
        let z = [0.0, 5.0, 10.0, 20.0].map(|z| [0.0, 0.0, z]);
        assert_eq!(codes(&z), ["missing_slices"]);
    }

    #[test]
    fn two_thicknesses_are_uneven() {
        let z = [0.0, 4.0, 8.0, 12.0, 19.0, 26.0].map(|z| [0.0, 0.0, z]);
        assert_eq!(codes(&z), ["uneven_spacing"]);
    }

    #[test]
    fn gaps_are_kept_where_they_differ_from_the_lowest_up() {
        let gaps = |z: &[f64], column: Direction| {
            let frame = |&z: &f64| Frame {
                position: Some([0.0, 0.0, z]),
                orientation: Some([AXIAL[0], column]),
                ..Frame::default()
            };
            Stack::by_position(&z.iter().map(frame).collect::<Vec<_>>()).unwrap().uneven_gaps()
        };
        assert!(gaps(&[0.0, 5.0, 10.0], AXIAL[1]).is_empty());
        assert_eq!(gaps(&[0.0, 15.0, 20.0, 25.0], AXIAL[1]), [15.0, 5.0, 5.0]);
        // Rows from back to front: the normal leads to the feet.
        assert_eq!(gaps(&[0.0, 15.0, 20.0, 25.0], [0.0, -1.0, 0.0]), [15.0, 5.0, 5.0]);
    }

    #[test]
    fn a_sheared_stack_is_tilted() {
        let tilted = [0.0, 5.0, 10.0].map(|z| [0.0, z * 0.3, z]);
        assert_eq!(codes(&tilted), ["gantry_tilt"]);
    }

    #[test]
    fn the_spacing_is_the_median() {
        let z = [0.0, 4.0, 8.0, 20.0].map(|z| [0.0, 0.0, z]);
        assert_eq!(Stack::by_position(&frames(&z)).unwrap().slice_mm, Some(4.0));
    }

    proptest! {
        #[test]
        fn positions_decide_whatever_the_order_of_the_files(order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle()) {
            let z: Vec<Direction> = order.iter().map(|&i| [0.0, 0.0, i as f64 * 5.0 - 30.0]).collect();
            let sorted = Stack::by_position(&frames(&z)).unwrap().order;
            prop_assert!(sorted.iter().map(|&place| order[place]).eq(0..12));
        }
    }
}
