//! Signed distances in millimetres (negative inside), exact or to first order, and soft edges.

use super::random::mix;

/// A point or a vector in millimetres: x to the patient's left, y to the back, z up.
pub(super) type Point = [f32; 3];

pub(super) fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn length(a: Point) -> f32 {
    (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]).sqrt()
}

/// Distance to an ellipsoid, to first order.
pub(super) fn ellipsoid(p: Point, centre: Point, radii: Point) -> f32 {
    let d = sub(p, centre);
    let scaled = [d[0] / radii[0], d[1] / radii[1], d[2] / radii[2]];
    let k = length(scaled);
    let gradient = length([scaled[0] / radii[0], scaled[1] / radii[1], scaled[2] / radii[2]]);
    if gradient < 1e-6 { -radii[0].min(radii[1]).min(radii[2]) } else { k * (k - 1.0) / gradient }
}

/// Distance to a line segment thickened to radius `ra` at `a` and `rb` at `b`.
pub(super) fn capsule(p: Point, a: Point, b: Point, ra: f32, rb: f32) -> f32 {
    let (pa, ba) = (sub(p, a), sub(b, a));
    let dot = |u: Point, v: Point| u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    let t = (dot(pa, ba) / dot(ba, ba).max(1e-6)).clamp(0.0, 1.0);
    length(sub(pa, [ba[0] * t, ba[1] * t, ba[2] * t])) - mix(ra, rb, t)
}

/// How far `v` lies outside `[low, high]`; negative inside.
pub(super) fn interval(v: f32, low: f32, high: f32) -> f32 {
    (low - v).max(v - high)
}

/// Part of a voxel of size `blur` that a surface at signed distance `d` leaves inside: 1 deep inside, 0 outside.
pub(super) fn cover(d: f32, blur: f32) -> f32 {
    (0.5 - d / blur).clamp(0.0, 1.0)
}

/// Smooth step from 0 at `low` to 1 at `high`.
pub(super) fn ramp(v: f32, low: f32, high: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_exact_where_they_can_be() {
        assert!((ellipsoid([3.0, 0.0, 0.0], [0.0; 3], [2.0; 3]) - 1.0).abs() < 1e-5);
        assert!((capsule([0.0, 5.0, 1.0], [0.0; 3], [0.0, 0.0, 9.0], 2.0, 2.0) - 3.0).abs() < 1e-5);
        assert!(ellipsoid([0.0; 3], [0.0; 3], [2.0, 3.0, 4.0]) < 0.0);
    }
}
