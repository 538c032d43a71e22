//! From the evidence map to logits, on plain numbers: inference reads the map once and does the rest here, so that every
//! backend pools alike.

/// `ln(sum(exp(x)))` without overflow; negative infinity for no values.
pub fn log_sum_exp(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + values.iter().map(|x| (x - largest).exp()).sum::<f32>().ln()
}

/// `scale * (LSE(map) - ln n) + offset` of the `n` cells of one slice's evidence map: a maximum that is smooth and does
/// not depend on the size of the map.
pub fn slice_logit(map: &[f32], [scale, offset]: [f32; 2]) -> f32 {
    scale.mul_add(log_sum_exp(map) - (map.len() as f32).ln(), offset)
}

/// `scale * (LSE(t) - ln D) + offset`, where `t` are the means of each slice logit and its neighbours and `D` is the
/// number of slices: it does not grow with the number of slices.
pub fn patient_logit(slices: &[f32], [scale, offset]: [f32; 2]) -> f32 {
    let smooth: Vec<f32> = (0..slices.len())
        .filter_map(|z| slices.get(z.saturating_sub(1)..(z + 2).min(slices.len())))
        .map(|near| near.iter().sum::<f32>() / near.len() as f32)
        .collect();
    scale.mul_add(log_sum_exp(&smooth) - (smooth.len() as f32).ln(), offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_logits_do_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.0 - 2_f32.ln()).abs() < 1e-3);
        assert_eq!(log_sum_exp(&[]), f32::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn equal_slices_give_their_own_logit_however_many_there_are(logit in -8_f32..8.0, slices in 1_usize..60) {
            let patient = patient_logit(&vec![logit; slices], [1.0, 0.0]);
            prop_assert!((patient - logit).abs() < 1e-4);
        }

        #[test]
        fn more_evidence_never_lowers_a_logit(mut map in prop::collection::vec(-5_f32..5.0, 2..40), more in 0_f32..3.0) {
            let before = slice_logit(&map, [1.0, 0.0]);
            map[0] += more;
            prop_assert!(slice_logit(&map, [1.0, 0.0]) >= before - 1e-5);
        }
    }
}
