//! Inputs of a fixed shape.

/// Linear interpolation of `[slice, y, x]` to another shape, corners on corners: a network that is not convolutional over the
/// slices takes inputs of one shape only. Without voxels, or with a side of 0, the result is empty.
pub fn resample(values: &[f32], from: [usize; 3], to: [usize; 3]) -> Vec<f32> {
    if values.len() != from.iter().product::<usize>() || values.is_empty() {
        return Vec::new();
    }
    let mut out = values.to_vec();
    let mut shape = from;
    for axis in 0..3 {
        let stride: usize = shape[axis + 1..].iter().product();
        let length = shape[axis];
        let mut next = Vec::with_capacity(out.len() / length * to[axis]);
        for block in out.chunks(length * stride) {
            let lines: Vec<&[f32]> = block.chunks(stride).collect();
            for place in 0..to[axis] {
                let at = place as f32 * (length - 1) as f32 / (to[axis] - 1).max(1) as f32;
                let (low, part) = (at.floor() as usize, at.fract());
                let (low, high) = (lines[low.min(length - 1)], lines[(low + 1).min(length - 1)]);
                next.extend(low.iter().zip(high).map(|(a, b)| a + part * (b - a)));
            }
        }
        out = next;
        shape[axis] = to[axis];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_stays_a_ramp_with_the_same_corners() {
        let ramp: Vec<f32> = (0..4 * 2 * 2).map(|i| (i / 4) as f32).collect();
        let out = resample(&ramp, [4, 2, 2], [7, 3, 2]);
        assert_eq!(out.len(), 7 * 3 * 2);
        for (z, plane) in out.chunks(6).enumerate() {
            assert!(plane.iter().all(|value| (value - z as f32 / 2.0).abs() < 1e-6));
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(resample(&[], [0, 4, 4], [8, 4, 4]).is_empty());
        assert!(resample(&[1.0], [2, 4, 4], [8, 4, 4]).is_empty());
        assert!(resample(&[1.0], [1, 1, 1], [0, 4, 4]).is_empty());
    }
}
