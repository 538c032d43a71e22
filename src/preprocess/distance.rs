//! Squared Euclidean distance transform, exact up to a cap.

/// Squared distances in pixels from every pixel of a `columns` wide picture to the nearest pixel of `source`, exact up to
/// `cap - 1` pixels and at least `cap * cap` beyond. Only growth by a few pixels is ever asked for, and a window of that
/// width runs eight pixels at a time where the parabolas of Felzenszwalb and Huttenlocher run one.
pub(super) fn capped_distance2(source: &[bool], columns: usize, cap: usize, out: &mut [i16]) {
    let columns = columns.max(1);
    let far = i16::try_from(cap).unwrap_or(i16::MAX).clamp(1, 127);
    let reach = far as usize - 1;
    let rows = source.len() / columns;
    // Down, then up: distance along the column.
    let mut above = vec![far; columns];
    for (pixels, line) in source.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
        for ((nearest, &is_source), pixel) in above.iter_mut().zip(pixels).zip(line) {
            *nearest = if is_source { 0 } else { nearest.saturating_add(1).min(far) };
            *pixel = *nearest;
        }
    }
    let mut below = vec![far; columns];
    let mut squares = vec![far * far; columns + 2 * reach];
    for line in out.chunks_exact_mut(columns).take(rows).rev() {
        for ((nearest, square), pixel) in below.iter_mut().zip(&mut squares[reach..]).zip(line.iter()) {
            *nearest = nearest.saturating_add(1).min(*pixel);
            *square = nearest.wrapping_mul(*nearest);
        }
        line.copy_from_slice(&squares[reach..reach + columns]);
        if below.iter().all(|&nearest| nearest == far) {
            continue;
        }
        for step in 1..=reach {
            let added = (step * step) as i16;
            let left = &squares[reach - step..reach - step + columns];
            let right = &squares[reach + step..reach + step + columns];
            for ((pixel, &left), &right) in line.iter_mut().zip(left).zip(right) {
                // Saturating, because checked additions keep the loop from being vectorised.
                *pixel = (*pixel).min(left.min(right).saturating_add(added));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_below_the_cap_are_exact(
            columns in 1_usize..24,
            bits in proptest::collection::vec(proptest::bool::weighted(0.04), 1..400),
            cap in 2_usize..9,
        ) {
            let rows = bits.len().div_ceil(columns);
            let mut source = bits;
            source.resize(rows * columns, false);
            let mut out = vec![0; source.len()];
            capped_distance2(&source, columns, cap, &mut out);
            for (index, &measured) in out.iter().enumerate() {
                let exact = source
                    .iter()
                    .enumerate()
                    .filter(|&(_, &is_source)| is_source)
                    .map(|(other, _)| {
                        let dx = (index % columns).abs_diff(other % columns);
                        let dy = (index / columns).abs_diff(other / columns);
                        dx * dx + dy * dy
                    })
                    .min()
                    .unwrap_or(usize::MAX);
                if exact <= (cap - 1) * (cap - 1) {
                    prop_assert_eq!(measured as usize, exact);
                } else {
                    prop_assert!(measured as usize > (cap - 1) * (cap - 1));
                }
            }
        }
    }
}
