//! Laws of the drawing.

use super::*;
use proptest::prelude::*;

fn small(bleeds: Vec<Bleed>) -> Phantom {
    draw(&PhantomConfig { bleeds, ..PhantomConfig::small() }).unwrap()
}

#[test]
fn a_configuration_always_gives_the_same_voxels() {
    let bleeds = vec![Bleed::new(BleedKind::Intraparenchymal, 20.0)];
    assert_eq!(small(bleeds.clone()), small(bleeds));
}

#[test]
fn another_seed_gives_another_head() {
    let other = draw(&PhantomConfig { seed: 1, ..PhantomConfig::small() }).unwrap();
    assert_ne!(small(Vec::new()).volume, other.volume);
}

#[test]
fn bleeds_have_the_volume_that_was_asked_for() {
    for (kind, ml, tolerance) in [
        (BleedKind::Epidural, 30.0, 0.1),
        (BleedKind::Subdural, 50.0, 0.1),
        (BleedKind::Intraparenchymal, 25.0, 0.1),
        (BleedKind::Subarachnoid, 8.0, 0.25),
        (BleedKind::Intraventricular, 6.0, 0.25),
    ] {
        let phantom = small(vec![Bleed::new(kind, ml)]);
        let drawn = phantom.bleeds[0].volume_ml;
        assert!((drawn / ml - 1.0).abs() < tolerance, "{kind:?}: {drawn} ml of {ml} ml");
        let voxel_ml = 10.0 * 1.8 * 1.8 / 1000.0;
        let masked = phantom.mask.iter().map(|&label| u32::from(label == kind.label())).sum::<u32>() as f32 * voxel_ml;
        assert!(masked > 0.4 * ml && masked < 1.25 * ml, "{kind:?}: mask of {masked} ml for {ml} ml");
    }
}

#[test]
fn no_bleed_leaves_the_mask_empty() {
    assert!(small(Vec::new()).mask.iter().all(|&label| label == 0));
}

#[test]
fn blood_lies_inside_the_skull_and_is_brighter_than_brain() {
    for kind in BleedKind::ALL {
        let bleeds = vec![Bleed::new(kind, 20.0)];
        let config =
            PhantomConfig { slices: 24, rows: 256, columns: 256, pixel_mm: 0.9, bleeds, ..PhantomConfig::default() };
        let phantom = draw(&config).unwrap();
        let labelled = phantom.mask.iter().zip(phantom.volume.voxels()).filter(|(label, _)| **label > 0);
        let mut blood: Vec<f32> = labelled.map(|(_, v)| *v).collect();
        blood.sort_by(f32::total_cmp);
        // The median: where the skull slants through a thick slice, bone takes part in the outermost voxels.
        let median = blood[blood.len() / 2];
        let low = if kind == BleedKind::Subarachnoid { 36.0 } else { 45.0 };
        assert!(median > low && median < 90.0, "{kind:?}: {median} HU");
    }
}

#[test]
fn a_side_is_the_patients_and_the_picture_shows_it_mirrored() {
    for (side, left) in [(Side::Left, true), (Side::Right, false)] {
        let phantom = small(vec![Bleed { kind: BleedKind::Epidural, volume_ml: 20.0, side: Some(side) }]);
        for (i, _) in phantom.mask.iter().enumerate().filter(|(_, label)| **label > 0) {
            assert_eq!(i % 128 > 64, left);
        }
    }
}

#[test]
fn tissues_have_the_hounsfield_units_of_a_head() {
    let phantom = draw(&PhantomConfig { noise_hu: 0.0, ..PhantomConfig::small() }).unwrap();
    let slice = phantom.volume.slice(10).unwrap();
    assert!(slice[0] < -990.0);
    assert!(slice.iter().any(|&v| v > 800.0), "bone");
    let brain = slice[64 * 128 + 44];
    assert!(brain > 22.0 && brain < 40.0, "{brain} HU");
}

#[test]
fn the_skull_is_closed_round_the_brain() {
    // Walking outwards from the middle in any direction meets bone before air.
    let phantom = draw(&PhantomConfig { rows: 256, columns: 256, pixel_mm: 0.9, ..PhantomConfig::default() }).unwrap();
    for z in 15..26 {
        let slice = phantom.volume.slice(z).unwrap();
        for step in 0..360 {
            let angle = (step as f32).to_radians();
            let along = |r: f32| slice[(128.0 + r * angle.sin()) as usize * 256 + (128.0 + r * angle.cos()) as usize];
            let peak = (0..110).map(|r| along(r as f32)).fold(f32::MIN, f32::max);
            assert!(peak > 250.0, "slice {z}, {step} degrees: {peak} HU");
        }
    }
}

#[test]
fn a_bleed_is_read_from_text() {
    assert_eq!(
        "subdural:30:left".parse::<Bleed>().unwrap(),
        Bleed { kind: BleedKind::Subdural, volume_ml: 30.0, side: Some(Side::Left) }
    );
    assert_eq!("epidural:5".parse::<Bleed>().unwrap(), Bleed::new(BleedKind::Epidural, 5.0));
    for wrong in ["", "subdural", "subdural:x", "subdural:3:up", "subdural:3:left:1", "stroke:3"] {
        assert!(wrong.parse::<Bleed>().is_err(), "{wrong}");
    }
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let refused = |config: PhantomConfig| draw(&config).unwrap_err().to_string();
    assert!(refused(PhantomConfig { slices: 0, ..PhantomConfig::small() }).contains("slices"));
    assert!(refused(PhantomConfig { noise_hu: f32::NAN, ..PhantomConfig::small() }).contains("noise_hu"));
    let huge = PhantomConfig { slices: 2048, rows: 2048, columns: 2048, ..PhantomConfig::small() };
    assert!(refused(huge).contains("voxels"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_configuration_in_range_is_drawn(
        seed: u64,
        slices in 1_usize..8,
        rows in 1_usize..40,
        columns in 1_usize..40,
        slice_mm in 0.2_f32..20.0,
        pixel_mm in 0.5_f32..10.0,
        rotation_deg in -360.0_f32..360.0,
        pitch_deg in -45.0_f32..45.0,
        age_years in 0.0_f32..110.0,
        kind in 0_usize..5,
        volume_ml in 0.1_f32..300.0,
    ) {
        let config = PhantomConfig {
            seed, slices, rows, columns, slice_mm, pixel_mm, rotation_deg, pitch_deg, age_years,
            bleeds: vec![Bleed::new(BleedKind::ALL[kind], volume_ml)],
            ..PhantomConfig::default()
        };
        let phantom = draw(&config).unwrap();
        prop_assert_eq!(phantom.volume.shape(), [slices, rows, columns]);
        prop_assert_eq!(phantom.mask.len(), slices * rows * columns);
        prop_assert!(phantom.volume.voxels().iter().all(|v| v.fract() == 0.0 && (-1024.0..=3071.0).contains(v)));
        prop_assert!(phantom.bleeds[0].volume_ml <= volume_ml * 1.3 + 1.0);
    }
}
