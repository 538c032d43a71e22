//! Laws of the preprocessing on drawn heads: what a person does to a picture must not change what the network sees.

use super::*;
use crate::volume::{Orientation, Spacing, ValueScale};
use proptest::prelude::*;

/// How a head is drawn: axial slices of a brain with ventricles in a skull under a scalp, in millimetres.
#[derive(Clone, Copy)]
struct Head {
    /// Clockwise, in degrees.
    degrees: f32,
    /// Millimetres a pixel.
    pixel_mm: f32,
    /// Added to all soft tissue, in Hounsfield units.
    offset: f32,
    /// Left and right exchanged.
    flip: bool,
    /// A clot of 18 mm in the right hemisphere.
    clot: bool,
    slices: usize,
    spacing_mm: Option<f32>,
    orientation: Orientation,
}

const SIDE: usize = 224;
const COVERAGE_MM: f32 = 70.0;
/// Centre of the clot, right of the midline and towards the back.
const CLOT_MM: [f32; 2] = [-32.0, 18.0];

impl Default for Head {
    fn default() -> Self {
        Self {
            degrees: 0.0,
            pixel_mm: 1.0,
            offset: 0.0,
            flip: false,
            clot: false,
            slices: 14,
            spacing_mm: None,
            orientation: Orientation::Assumed,
        }
    }
}

impl Head {
    fn draw(&self) -> Volume {
        let mut voxels = Vec::with_capacity(self.slices * SIDE * SIDE);
        for z in 0..self.slices {
            for index in 0..SIDE * SIDE {
                let [x, y] = self.head_mm((index % SIDE) as f32, (index / SIDE) as f32);
                let height = (z as f32 + 0.5) / self.slices as f32;
                voxels.push(self.value(x, y, height));
            }
        }
        let spacing = Spacing { slice_mm: self.spacing_mm, ..Spacing::default() };
        Volume::new(voxels, [self.slices, SIDE, SIDE], spacing, ValueScale::Hounsfield, self.orientation).unwrap()
    }

    /// Position in the head, in millimetres from its centre, of a pixel.
    fn head_mm(&self, column: f32, row: f32) -> [f32; 2] {
        let half = (SIDE as f32 - 1.0) / 2.0;
        let (x, y) = ((column - half) * self.pixel_mm, (row - half) * self.pixel_mm);
        let (sine, cosine) = self.degrees.to_radians().sin_cos();
        let (x, y) = (cosine * x + sine * y, cosine * y - sine * x);
        [if self.flip { -x } else { x }, y]
    }

    /// Hounsfield units at a place; `height` runs from 0 at the skull base to 1 at the vertex.
    fn value(&self, x: f32, y: f32, height: f32) -> f32 {
        let size = (1.0 - height * height).sqrt().max(0.35);
        // Narrower towards the nose.
        let width = 64.0 * (1.0 + 0.22 * (y / 82.0).clamp(-1.2, 1.2));
        let radius = ((x / width).powi(2) + (y / 82.0).powi(2)).sqrt();
        // Millimetres outside the brain; edges are a pixel soft, as in a scan.
        let outside = (radius - size) * 70.0;
        let step = |edge: f32| ((outside - edge) / self.pixel_mm + 0.5).clamp(0.0, 1.0);
        let ventricle = height < 0.7 && ((x.abs() - 11.0) / 7.0).powi(2) + ((y + 6.0) / 26.0).powi(2) < 1.0;
        let clot = self.clot && (x - CLOT_MM[0]).hypot(y - CLOT_MM[1]) < 9.0 && (0.2..0.6).contains(&height);
        let brain = self.offset
            + if clot {
                68.0
            } else if ventricle {
                8.0
            } else {
                // Grey and white matter.
                34.0 + 4.0 * (x / 7.0).sin() * (y / 9.0).cos()
            };
        let (bone, scalp, air) = (900.0, 40.0 + self.offset, -1000.0);
        brain + step(0.0) * (bone - brain) + step(7.0) * (scalp - bone) + step(13.0) * (air - scalp)
    }

    fn prepare(&self) -> NetworkInput {
        prepare(&self.draw(), &PreprocessConfig::default()).unwrap()
    }
}

/// Dice of the masks, and mean absolute difference inside both in Hounsfield units.
fn agreement(a: &NetworkInput, b: &NetworkInput) -> (f32, f32) {
    assert_eq!(a.shape, b.shape);
    let both: Vec<usize> = (0..a.mask.len()).filter(|&index| a.mask[index] && b.mask[index]).collect();
    let count = |input: &NetworkInput| input.mask.iter().filter(|&&brain| brain).count();
    let difference: f32 = both.iter().map(|&index| (a.hounsfield[index] - b.hounsfield[index]).abs()).sum();
    (2.0 * both.len() as f32 / (count(a) + count(b)) as f32, difference / both.len() as f32)
}

fn mirrored(input: &NetworkInput) -> NetworkInput {
    let mut mirrored = input.clone();
    for line in mirrored.hounsfield.chunks_exact_mut(input.shape[2]) {
        line.reverse();
    }
    for line in mirrored.mask.chunks_exact_mut(input.shape[2]) {
        line.reverse();
    }
    mirrored
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_tilted_head_is_set_upright(degrees in -48.0_f32..48.0) {
        let input = Head { degrees, clot: true, ..Head::default() }.prepare();
        let (dice, difference) = agreement(&input, &Head { clot: true, ..Head::default() }.prepare());
        prop_assert!((input.alignment.rotation_degrees() - degrees).abs() < 1.5);
        prop_assert!(dice > 0.97 && difference < 1.0, "Dice {dice}, difference {difference} HU");
    }

    #[test]
    fn the_size_of_the_head_in_the_picture_does_not_matter(pixel_mm in 0.85_f32..1.5) {
        let input = Head { pixel_mm, clot: true, ..Head::default() }.prepare();
        let (dice, difference) = agreement(&input, &Head { clot: true, ..Head::default() }.prepare());
        prop_assert!(dice > 0.97 && difference < 1.0, "Dice {dice}, difference {difference} HU");
    }

    #[test]
    fn a_shift_of_the_grey_scale_does_not_matter(offset in -6.0_f32..6.0) {
        let plain = Head { clot: true, ..Head::default() }.prepare();
        let input = Head { offset, clot: true, ..Head::default() }.prepare();
        let (dice, difference) = agreement(&input, &plain);
        prop_assert!((input.brain_median_hu - plain.brain_median_hu - offset).abs() < 0.2);
        prop_assert!(dice > 0.98 && difference < 0.5, "Dice {dice}, difference {difference} HU");
    }

    #[test]
    fn a_flipped_head_gives_the_flipped_input(degrees in -20.0_f32..20.0) {
        let input = Head { degrees, clot: true, ..Head::default() }.prepare();
        let flipped = Head { degrees: -degrees, flip: true, clot: true, ..Head::default() }.prepare();
        let (dice, difference) = agreement(&mirrored(&flipped), &input);
        prop_assert!(dice > 0.98 && difference < 0.5, "Dice {dice}, difference {difference} HU");
    }

    #[test]
    fn the_brightest_pixel_maps_back_to_the_clot(degrees in -40.0_f32..40.0, pixel_mm in 0.9_f32..1.3) {
        let head = Head { degrees, pixel_mm, clot: true, ..Head::default() };
        let input = head.prepare();
        let area = input.shape[1] * input.shape[2];
        let slice = input.slices_of(5).next().unwrap();
        let bright: Vec<usize> = (0..area).filter(|&at| input.hounsfield[slice * area + at] > 22.0 * input.contrast_gain).collect();
        let mean = |axis: fn(usize, usize) -> usize| {
            bright.iter().map(|&at| axis(at, input.shape[2]) as f32).sum::<f32>() / bright.len() as f32
        };
        let (column, row) = (mean(|at, columns| at % columns), mean(|at, columns| at / columns));
        let (x, y) = input.alignment.to_volume(column, row);
        let [x_mm, y_mm] = head.head_mm(x, y);
        prop_assert!((x_mm - CLOT_MM[0]).hypot(y_mm - CLOT_MM[1]) < 2.0, "found at {x_mm}, {y_mm} mm");
        let (back_column, back_row) = input.alignment.from_volume(x, y);
        prop_assert!((back_column - column).abs() < 0.01 && (back_row - row).abs() < 0.01);
    }

    #[test]
    fn noise_never_panics(
        shape in prop_oneof![Just([1, 1, 1]), Just([3, 1, 40]), Just([9, 17, 3]), Just([12, 33, 31]), Just([2, 64, 64])],
        seed in any::<u64>(),
        odd in prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::MIN), Just(0.0)],
    ) {
        let mut state = seed | 1;
        let voxels = (0..shape.iter().product::<usize>())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = (state >> 40) as f32 / 8000.0 - 1024.0;
                if state >> 60 == 0 { odd } else { value }
            })
            .collect();
        let volume =
            Volume::new(voxels, shape, Spacing::default(), ValueScale::Hounsfield, Orientation::Assumed).unwrap();
        if let Ok(input) = prepare(&volume, &PreprocessConfig::default()) {
            prop_assert!(input.hounsfield.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn pictures_on_their_side_or_upside_down_are_turned_upright() {
    let upright = Head { clot: true, ..Head::default() }.prepare();
    for degrees in [90.0, 180.0, -90.0, 100.0, -75.0] {
        let input = Head { degrees, clot: true, ..Head::default() }.prepare();
        let (dice, difference) = agreement(&input, &upright);
        assert!(dice > 0.97 && difference < 1.0, "{degrees} degrees: Dice {dice}, difference {difference} HU");
    }
}

#[test]
fn a_volume_that_states_its_orientation_is_never_turned_over() {
    let input = Head { degrees: 180.0, orientation: Orientation::Stated, ..Head::default() }.prepare();
    assert!(input.alignment.rotation_degrees().abs() < 5.0);
}

#[test]
fn thin_slices_are_merged_to_slabs_that_cover_every_slice_once() {
    let thick = Head { clot: true, spacing_mm: Some(5.0), ..Head::default() }.prepare();
    let slices = COVERAGE_MM as usize;
    let thin = Head { clot: true, spacing_mm: Some(1.0), slices, ..Head::default() }.prepare();
    assert!(thin.slabs.iter().all(|slab| slab.len() == 5));
    assert!(thin.slabs.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(thin.slabs.first().unwrap().start..thin.slabs.last().unwrap().end, thin.slices);
    let (dice, difference) = agreement(&thin, &thick);
    assert!(dice > 0.95 && difference < 1.5, "Dice {dice}, difference {difference} HU");
}

#[test]
fn many_slices_of_unknown_distance_are_thin_ones() {
    let input = Head { slices: 56, ..Head::default() }.prepare();
    assert!(input.slabs.iter().all(|slab| slab.len() == 2) && input.slab_mm.is_none());
    let old = PreprocessConfig { brain_slices: None, ..PreprocessConfig::default() };
    let as_they_are = prepare(&Head { slices: 56, ..Head::default() }.draw(), &old).unwrap();
    assert!(as_they_are.slabs.iter().all(|slab| slab.len() == 1));
}

#[test]
fn missing_slices_are_interpolated_where_their_places_are_known() {
    let whole = Head { clot: true, spacing_mm: Some(5.0), ..Head::default() }.draw();
    let left: Vec<usize> = (0..whole.slices()).filter(|z| ![5, 8].contains(z)).collect();
    let mut holed = whole.with_slice_order(&left);
    let blind = prepare(&holed, &PreprocessConfig::default()).unwrap();
    holed.gaps_mm = left.windows(2).map(|pair| 5.0 * (pair[1] - pair[0]) as f32).collect();
    let whole = prepare(&whole, &PreprocessConfig::default()).unwrap();
    let filled = prepare_stages(&holed, &PreprocessConfig::default()).unwrap();
    assert!(filled.warnings().is_empty(), "the readers have told of it");
    assert!((filled.input.slab_mm.unwrap() - 5.0).abs() < 0.1);
    assert_eq!(blind.shape[0], whole.shape[0] - 2);
    let (dice, difference) = agreement(&filled.input, &whole);
    assert!(dice > 0.97 && difference < 1.0, "Dice {dice}, difference {difference} HU");
}

#[test]
fn slices_far_apart_are_interpolated_and_the_person_is_told() {
    let prepared = |spacing_mm| {
        let head = Head { slices: 7, clot: true, spacing_mm: Some(spacing_mm), ..Head::default() };
        prepare_stages(&head.draw(), &PreprocessConfig::default()).unwrap()
    };
    let told = |preparation: &Preparation| preparation.warnings().iter().any(|warning| warning.code == "thick_slices");
    let (thick, usual) = (prepared(10.0), prepared(5.0));
    assert_eq!(thick.input.shape[0], 2 * usual.input.shape[0]);
    assert_eq!(thick.input.slices, usual.input.slices);
    assert_eq!(thick.input.slices_of(3).count(), 2);
    assert_eq!((thick.input.slab_mm, usual.input.slab_mm), (Some(5.0), Some(5.0)));
    assert!(told(&thick) && !told(&usual));
}

#[test]
fn a_volume_without_a_head_is_refused() {
    let water = Volume::new(
        vec![0.0; 12 * 64 * 64],
        [12, 64, 64],
        Spacing::default(),
        ValueScale::Hounsfield,
        Orientation::Stated,
    );
    let error = prepare(&water.unwrap(), &PreprocessConfig::default()).unwrap_err();
    assert_eq!(error, PreprocessError::NoBrain { slices: 12 });
}

#[test]
fn a_head_on_too_few_slices_is_refused() {
    let head = Head { slices: 2, ..Head::default() }.draw();
    let error = prepare(&head, &PreprocessConfig::default()).unwrap_err();
    assert_eq!(error, PreprocessError::TooFewSlices { slices: 2, kept: 2, needed: 3 });
}

#[test]
fn the_contact_sheet_shows_every_slab() {
    let preparation = prepare_stages(&Head::default().draw(), &PreprocessConfig::default()).unwrap();
    let sheet = image::load_from_memory(&contact_sheet(&preparation).unwrap()).unwrap();
    // 14 slabs are two bands of at most 12 tiles, four rows each.
    assert_eq!(sheet.width() % 12, 0);
    assert_eq!(sheet.height() % 8, 0);
}

#[test]
fn a_person_is_told_that_a_head_was_turned() {
    let is_told = |head: Head| {
        let preparation = prepare_stages(&head.draw(), &PreprocessConfig::default()).unwrap();
        preparation.warnings().iter().any(|warning| warning.code == "head_turned")
    };
    assert!(is_told(Head { degrees: 90.0, ..Head::default() }) && !is_told(Head::default()));
}

#[test]
fn more_slices_than_a_head_has_are_refused_before_they_are_enlarged() {
    let tower = |slices: usize, slice_mm: f32| {
        let spacing = Spacing { slice_mm: Some(slice_mm), ..Spacing::default() };
        let voxels = vec![0.0; slices * 4 * 4];
        let volume = Volume::new(voxels, [slices, 4, 4], spacing, ValueScale::Hounsfield, Orientation::Stated).unwrap();
        prepare(&volume, &PreprocessConfig::default()).unwrap_err()
    };
    assert_eq!(tower(4096, 5.0), PreprocessError::TooManySlices { slices: 4096, slabs: 4096, most: 160 });
    // A whole head in thin slices is merged first.
    assert_eq!(tower(512, 0.4), PreprocessError::NoBrain { slices: 512 });
}

#[test]
fn a_tilted_head_is_upright_and_a_turned_one_is_turned_by_quarters() {
    let turns = |degrees: f32| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Alignment { x0: 0.0, y0: 0.0, xx: cos, xy: -sin, yx: sin, yy: cos }.quarter_turns()
    };
    assert_eq!([0.0, 50.0, -50.0, 80.0, 100.0, 179.0, -179.0, -90.0].map(turns), [0, 0, 0, 1, 1, 2, 2, 3]);
}
