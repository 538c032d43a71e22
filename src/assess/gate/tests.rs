use super::*;
use crate::phantom::{Bleed, BleedKind, PhantomConfig, draw};
use crate::preprocess::{PreprocessConfig, prepare_stages};
use crate::volume::{Orientation, Spacing};

fn gate_of(volume: &Volume) -> Gate {
    check(volume, prepare_stages(volume, &PreprocessConfig::default()).as_ref())
}

fn refusal(volume: &Volume) -> String {
    gate_of(volume).refusal.map_or_else(|| "none".to_owned(), |refusal| refusal.code)
}

fn warns(volume: &Volume, code: &str) -> bool {
    gate_of(volume).warnings.iter().any(|warning| warning.code == code)
}

fn head() -> Volume {
    draw(&PhantomConfig { seed: 5, ..PhantomConfig::small() }).unwrap().volume
}

/// A volume of that shape whose voxel at (z, y, x) is what `paint` says.
fn painted(shape: [usize; 3], scale: ValueScale, paint: impl Fn(usize, f32, f32) -> f32) -> Volume {
    let [slices, rows, columns] = shape;
    let voxels = (0..slices * rows * columns)
        .map(|place| {
            let (z, y, x) = (place / (rows * columns), place / columns % rows, place % columns);
            paint(z, y as f32 - rows as f32 / 2.0, x as f32 - columns as f32 / 2.0)
        })
        .collect();
    Volume::new(voxels, shape, Spacing::default(), scale, Orientation::Assumed).unwrap()
}

/// The same volume with every voxel changed.
fn mapped(volume: &Volume, scale: ValueScale, mut change: impl FnMut(f32) -> f32) -> Volume {
    let voxels = volume.voxels().iter().map(|&value| change(value)).collect();
    Volume::new(voxels, volume.shape(), Spacing::default(), scale, Orientation::Assumed).unwrap()
}

const WINDOW: ValueScale = ValueScale::Windowed { level: 40.0, width: 120.0 };

/// As pictures made with another window would be read.
fn through_window(volume: &Volume, level: f32, width: f32) -> Volume {
    mapped(volume, WINDOW, |value| ((value - level) / width + 0.5).clamp(0.0, 1.0) * 120.0 - 20.0)
}

#[test]
fn the_projects_own_heads_pass_without_a_word() {
    let bleeds = |kind| vec![Bleed::new(kind, 30.0)];
    let drawn = BleedKind::ALL.into_iter().enumerate().map(|(seed, kind)| PhantomConfig {
        seed: seed as u64,
        rotation_deg: 8.0 * seed as f32 - 16.0,
        bleeds: bleeds(kind),
        ..PhantomConfig::small()
    });
    for config in drawn {
        let gate = gate_of(&draw(&config).unwrap().volume);
        assert!(gate.is_open() && gate.warnings.is_empty(), "{config:?}: {gate:?}");
        assert!(gate.checks.iter().all(|check| check.passed));
    }
}

#[test]
fn pictures_of_a_head_in_the_brain_window_pass() {
    let gate = gate_of(&through_window(&head(), 40.0, 120.0));
    assert!(gate.is_open() && gate.warnings.is_empty(), "{gate:?}");
}

#[test]
fn values_of_unknown_meaning_are_refused() {
    assert_eq!(refusal(&mapped(&head(), ValueScale::Unknown, |value| value)), "values_not_hounsfield");
}

#[test]
fn a_few_slices_are_refused() {
    assert_eq!(refusal(&head().with_slice_order(&[7, 8, 9])), "too_few_slices");
}

#[test]
fn a_head_of_which_little_is_there_is_refused() {
    // The highest slices show air and vertex only.
    let order: Vec<usize> = (0..9).map(|z| if z < 5 { z + 9 } else { 14 }).collect();
    assert_eq!(refusal(&head().with_slice_order(&order)), "too_little_brain");
}

#[test]
fn photos_and_constant_pictures_have_no_brain() {
    let photo = painted([12, 64, 64], WINDOW, |z, y, x| 40.0 + 40.0 * ((x + z as f32) / 9.0).sin() * (y / 7.0).cos());
    assert_eq!(refusal(&photo), "no_brain");
    assert_eq!(refusal(&painted([12, 64, 64], WINDOW, |_, _, _| 30.0)), "no_brain");
    assert_eq!(refusal(&painted([12, 64, 64], ValueScale::Hounsfield, |_, _, _| -1000.0)), "no_brain");
}

#[test]
fn noise_is_refused() {
    let noise = painted([12, 96, 96], ValueScale::Hounsfield, |z, y, x| {
        let mixed = (z as f32 * 12.9898 + y * 78.233 + x * 37.719).sin() * 43_758.547;
        (mixed - mixed.floor()) * 200.0 - 60.0
    });
    assert_ne!(refusal(&noise), "none");
}

#[test]
fn a_chest_is_refused() {
    // Ribs around lungs with a heart, and a spine with its canal: bone that encloses little soft tissue.
    let ellipse = |x: f32, y: f32, a: f32, b: f32| (x / a).powi(2) + (y / b).powi(2);
    let chest = painted([20, 160, 200], ValueScale::Hounsfield, |z, y, x| {
        let spine = ellipse(x, y - 45.0, 12.0, 12.0);
        let rib = ((x.abs() / 14.0 + z as f32) as usize).is_multiple_of(2);
        match ellipse(x, y, 92.0, 68.0) {
            body if body > 1.0 => -1000.0,
            _ if spine < 0.3 => 30.0,
            _ if spine < 1.0 => 600.0,
            _ if rib && (0.92..1.0).contains(&ellipse(x, y, 84.0, 60.0)) => 500.0,
            _ if ellipse(x - 10.0, y + 8.0, 30.0, 26.0) < 1.0 => 40.0,
            _ if ellipse(x.abs() - 42.0, y, 34.0, 46.0) < 1.0 => -820.0,
            _ => 45.0,
        }
    });
    assert_ne!(refusal(&chest), "none");
}

#[test]
fn noise_far_from_that_of_the_scans_learned_from_is_said() {
    let fine = PhantomConfig { seed: 5, rows: 340, columns: 340, pixel_mm: 0.68, ..PhantomConfig::small() };
    let scan = draw(&fine).unwrap().volume;
    let mean = |z: usize, y: usize, x: usize| {
        let ([_, rows, columns], voxels) = (scan.shape(), scan.voxels());
        let near = |place: usize, most: usize| place.saturating_sub(2)..(place + 3).min(most);
        let values: Vec<f32> = near(y, rows)
            .flat_map(|y| near(x, columns).map(move |x| (y, x)))
            .map(|(y, x)| voxels[(z * rows + y) * columns + x])
            .collect();
        values.iter().sum::<f32>() / values.len() as f32
    };
    let [slices, rows, columns] = scan.shape();
    let smooth = (0..slices)
        .flat_map(|z| (0..rows).flat_map(move |y| (0..columns).map(move |x| (z, y, x))))
        .zip(scan.voxels())
        // Bone and air stay: a blurred skull is another matter.
        .map(
            |((z, y, x), &value)| if (-10.0..85.0).contains(&value) { mean(z, y, x).clamp(-10.0, 85.0) } else { value },
        );
    let smooth =
        Volume::new(smooth.collect(), scan.shape(), Spacing::default(), scan.scale, Orientation::Assumed).unwrap();
    assert!(warns(&smooth, "smoothed"));
    assert!(!warns(&scan, "smoothed") && !warns(&scan, "sharp_kernel"));
    let mut state = 1_u32;
    let grainy = mapped(&scan, scan.scale, |value| {
        value
            + 14.0 * {
                // A random walk's last bits: even in -1..1.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            }
    });
    assert!(warns(&grainy, "sharp_kernel"));
}

#[test]
fn pixels_larger_than_those_of_the_network_are_said() {
    let coarse = PhantomConfig { rows: 96, columns: 96, pixel_mm: 2.4, ..PhantomConfig::small() };
    assert!(warns(&draw(&coarse).unwrap().volume, "coarse_pixels"));
    assert!(!warns(&head(), "coarse_pixels"));
}

#[test]
fn what_is_as_bright_as_bone_inside_the_head_is_said() {
    let scan = head();
    let [_, rows, columns] = scan.shape();
    let vessel = |place: usize| {
        let (y, x) = (place / columns % rows, place % columns);
        y.abs_diff(rows / 2) < rows / 16 && x.abs_diff(columns / 2) < columns / 16
    };
    let voxels = scan.voxels().iter().enumerate().map(|(place, &value)| if vessel(place) { 250.0 } else { value });
    let contrast = Volume::new(voxels.collect(), scan.shape(), Spacing::default(), scan.scale, Orientation::Assumed);
    assert!(warns(&contrast.unwrap(), "bright_inside"));
    assert!(!warns(&scan, "bright_inside"));
}

#[test]
fn magnetic_resonance_is_refused() {
    // T1: the scalp is bright and the skull black, so that the skull is inside what the scalp encloses.
    let resonance = through_window(
        &mapped(&head(), WINDOW, |hu| match hu {
            hu if hu > 80.0 => -20.0,
            hu if hu < -300.0 => -20.0,
            hu if hu < -20.0 => 100.0,
            hu => 1.2 * hu,
        }),
        40.0,
        120.0,
    );
    assert_ne!(refusal(&resonance), "none");
}

#[test]
fn inverted_pictures_are_refused() {
    assert_ne!(refusal(&mapped(&through_window(&head(), 40.0, 120.0), WINDOW, |value| 80.0 - value)), "none");
}

#[test]
fn a_skull_full_of_water_is_refused_and_one_of_plastic_is_said() {
    let skull = |inside: f32| {
        painted([16, 128, 128], ValueScale::Hounsfield, move |z, y, x| {
            let wide = 50.0 * (1.0 - ((z as f32 - 7.5) / 9.0).powi(2)).sqrt();
            match x.hypot(y / 1.2) - wide {
                outside if outside > 4.0 => -1000.0,
                outside if outside > 0.0 => 900.0,
                _ => inside,
            }
        })
    };
    assert_eq!(refusal(&skull(0.0)), "values_unlike_brain");
    assert!(warns(&skull(35.0), "test_object"));
}

#[test]
fn a_shuffled_head_is_refused() {
    let order: Vec<usize> = (0..15).map(|z| z * 4 % 15).collect();
    let code = refusal(&head().with_slice_order(&order));
    assert!(["slices_out_of_order", "too_little_brain"].contains(&code.as_str()), "{code}");
    let mut swapped: Vec<usize> = (0..15).collect();
    swapped.swap(3, 11);
    swapped.swap(6, 12);
    assert_eq!(refusal(&head().with_slice_order(&swapped)), "slices_out_of_order");
}

#[test]
fn the_upper_half_of_a_head_is_answered_with_a_warning() {
    let upper = head().with_slice_order(&(6..15).collect::<Vec<_>>());
    assert!(gate_of(&upper).is_open());
    assert!(warns(&upper, "partial_head"));
}

#[test]
fn a_tower_of_slices_is_refused() {
    let spacing = Spacing { slice_mm: Some(5.0), ..Spacing::default() };
    let tower =
        Volume::new(vec![40.0; 900 * 16], [900, 4, 4], spacing, ValueScale::Hounsfield, Orientation::Stated).unwrap();
    assert_eq!(refusal(&tower), "too_many_slices");
}

#[test]
fn a_window_that_does_not_fit_is_said() {
    assert!(warns(&through_window(&head(), 40.0, 400.0), "window_doubtful"));
    assert_ne!(refusal(&through_window(&head(), 400.0, 2000.0)), "none");
}

#[test]
fn blood_as_white_as_bone_is_said() {
    let bleeds = vec![Bleed::new(BleedKind::Intraparenchymal, 60.0)];
    let volume = draw(&PhantomConfig { seed: 2, bleeds, ..PhantomConfig::small() }).unwrap().volume;
    assert!(warns(&through_window(&volume, 30.0, 50.0), "saturated_inside"));
}

#[test]
fn every_failed_check_is_a_refusal_or_a_warning_with_its_sentence() {
    let gate = gate_of(&through_window(&head(), 40.0, 400.0));
    for check in gate.checks.iter().filter(|check| !check.passed) {
        let refused = gate.refusal.as_ref().is_some_and(|refusal| refusal.code == check.code);
        let warned = gate.warnings.iter().any(|warning| warning.code == check.code);
        assert!(refused || warned, "{check:?}");
        assert!(check.message.ends_with('.'));
    }
}
