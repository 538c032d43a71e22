//! Whether numbers can be Hounsfield units.

use crate::report::Warning;
use crate::volume::ValueScale;

/// A head in air reaches -1000; what stays above this has no air in it and is on another scale.
const AIR_BELOW: f32 = -200.0;
/// The 12-bit CT scale ends here; metal and extended scales go beyond, but on few voxels.
const CT_ABOVE: f32 = 3100.0;
/// Share of voxels above [`CT_ABOVE`] from which it is another scale.
const ABOVE_SHARE: f64 = 0.05;

/// The scale of values that a file calls CT: Hounsfield, or unknown with a warning that says why.
pub(super) fn scale_of(voxels: &[f32]) -> (ValueScale, Option<Warning>) {
    let low = voxels.iter().copied().fold(f32::INFINITY, f32::min);
    let high = voxels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = voxels.iter().filter(|&&value| value > CT_ABOVE).count();
    let doubt = if low >= 0.0 && high <= 255.0 && high > 1.0 {
        "they look like the grey levels of a picture, saved in a window"
    } else if low > AIR_BELOW {
        "nothing in it is as low as air (-1000)"
    } else if above as f64 > ABOVE_SHARE * voxels.len() as f64 {
        "too much of it is higher than CT values go (3071)"
    } else {
        return (ValueScale::Hounsfield, None);
    };
    let message = format!(
        "The values ({low} to {high}) do not look like Hounsfield units: {doubt}. Export the scan with its original CT values."
    );
    (ValueScale::Unknown, Some(Warning::new("values_not_hounsfield", message)))
}

/// Replaces what is not a number by the lowest value, and says how much of it there was.
pub(super) fn fill_gaps(voxels: &mut [f32]) -> Option<Warning> {
    let gaps = voxels.iter().filter(|value| !value.is_finite()).count();
    if gaps == 0 {
        return None;
    }
    let low = voxels.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::min);
    voxels.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = low);
    let message = format!("{gaps} voxels are not numbers; they were taken as {low}.");
    Some(Warning::new("values_missing", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_in_air_is_hounsfield_even_with_metal() {
        let mut voxels = vec![-1000.0; 60];
        voxels.extend([40.0; 39]);
        voxels.push(20_000.0);
        assert_eq!(scale_of(&voxels), (ValueScale::Hounsfield, None));
    }

    #[test]
    fn grey_levels_and_magnetic_resonance_are_not() {
        for voxels in [vec![0.0, 128.0, 255.0], vec![-610.0, 8000.0, 30_000.0]] {
            let (scale, warning) = scale_of(&voxels);
            assert_eq!(scale, ValueScale::Unknown);
            assert_eq!(warning.unwrap().code, "values_not_hounsfield");
        }
    }

    #[test]
    fn a_window_that_was_saved_is_said() {
        let warning = scale_of(&[0.0, 17.0, 255.0]).1.unwrap();
        assert!(warning.message.contains("saved in a window"), "{}", warning.message);
        assert!(!scale_of(&[0.0, 1800.0]).1.unwrap().message.contains("window"));
    }

    #[test]
    fn what_is_not_a_number_becomes_the_lowest_value() {
        let mut voxels = [f32::NAN, -1000.0, 3.0, f32::INFINITY];
        assert!(fill_gaps(&mut voxels).unwrap().message.starts_with("2 voxels"));
        assert_eq!(voxels, [-1000.0, -1000.0, 3.0, -1000.0]);
    }
}
