//! Puts the slices of a picture stack in anatomical order when their names do not.
//!
//! File numbers are names. In practice they are mostly right, often start in the middle of the head (the sequence is
//! rotated: a quarter of ct-ich), sometimes run from top to bottom, and now and then a few are misplaced. So the order
//! of the names is a prior: it is left alone unless another order is better by a clear margin.
//!
//! A volume is a chain of similar pictures, so a good order is a short path through all slices, the length of a step
//! being the root mean square difference of two blurred thumbnails. [`repair`] tries, in this order: cutting the circle
//! of names where the step is longest, moving or reversing runs of slices, and building the path from nothing. Which end
//! is the skull base is read from the anatomy (`baseness`): the base has air cells and many edges inside the head, and the
//! head closes towards the vertex. The same signs help to find the cut.

mod path;
mod thumb;

use crate::report::Warning;
use path::{Steps, Way};
use thumb::{BaseSigns, Thumb, baseness};

/// Pictures of one scan in natural order of their names.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// One slice of `rows * columns` values each: Hounsfield units (clipped here to the brain window), or grey 0..255
    /// of the brain window.
    pub slices: &'a [&'a [f32]],
    /// Rows of a slice.
    pub rows: usize,
    /// Columns of a slice.
    pub columns: usize,
}

/// The order found and how clear it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// `as_named[i]` is the place by name of slice `i` of the volume, lowest slice first.
    pub as_named: Vec<usize>,
    /// Whether that differs from the order of the names.
    pub changed: bool,
    /// How much better this order is than the next best one, by moving a run of slices or by cutting the circle of
    /// slices elsewhere, in median steps between neighbours. The order of the names has its head start in it. 0 where
    /// the pictures could not decide; below 0 where names that were partly wrong were still trusted.
    pub margin: f32,
    /// `slices_reordered` when the order was changed, `order_uncertain` when the pictures could not decide.
    pub warning: Option<Warning>,
}

/// Fewer slices than this have too few neighbours to compare a step with.
const FEWEST: usize = 5;
/// Slices whose thumbnails differ by less than this, in grey levels, can be one picture that was saved twice. In 15 scans of
/// ct-ich pictures that were saved again differ by .1 at the most with JPEG quality 75, by .9 with 50, and no two slices by less than
/// 3.6.
const SAME_GREY: f32 = 1.2;
/// They are if that is less than this share of the usual distance to the nearest other slice, which is 15 to 22 there and far
/// smaller in thin slices.
const SAME_SHARE: f32 = 0.1;
/// How many median steps shorter another order must be before it replaces the order of the names. In 122 well-ordered
/// scans of two hospitals no single move shortens the path by more than 0.25.
pub const HEAD_START: f32 = 0.5;
/// Fewer slices than this may show too little of the head to tell its ends: the base alone has air at both.
const FEWEST_FOR_ENDS: usize = 10;
/// What is left of [`HEAD_START`] once a slice is known to be misplaced.
const SECOND_DOUBT: f32 = 0.2;
/// A cut elsewhere on the circle of slices has to be better than the present one by this much, in median steps. In 121
/// real scans the true cut is better than any other by 0.76 at the least, mostly by more than 1.5; in 260 whole
/// phantoms, slices of 10 mm included, by -0.04. A hole just below the vertex takes about 1.
const CUT_MARGIN: f32 = 0.4;
/// Median steps that one unit of [`baseness`] is worth when cuts are compared. The step from vertex to base is mostly
/// the longest; in thick slices the last one below the vertex can be as long, and there only the anatomy tells.
const ANATOMY: f32 = 0.3;
/// Mean step over mean distance of all pairs; above it the pictures are no chain of neighbours at all.
const LOOSEST: f32 = 0.75;
/// [`baseness`] below minus this: the stack stands on its head. See there for what real scans have; no whole scan and
/// no phantom that was looked at has less than -0.7.
const CLEAR_BASENESS: f32 = 1.5;

/// Finds the anatomical order of a picture stack, preferring the order of the names.
///
/// A stack whose slices do not have `rows * columns` values each is left as it is, with a warning.
pub fn repair(stack: &Stack<'_>) -> Repair {
    let area = stack.rows.saturating_mul(stack.columns);
    if area == 0 || stack.slices.iter().any(|slice| slice.len() != area) {
        return uncertain(stack.slices.len(), "they differ in size");
    }
    Look::of(stack).repair()
}

/// What is compared of the slices of a stack, in the order of the names.
pub(super) struct Look {
    thumbs: Vec<Thumb>,
    blurred: Vec<Vec<f32>>,
}

impl Look {
    /// Looks at slices of `rows * columns` values each.
    pub(super) fn of(stack: &Stack<'_>) -> Self {
        let thumbs = Thumb::of_stack(stack);
        let blurred = thumbs.iter().map(Thumb::blurred).collect();
        Self { thumbs, blurred }
    }

    /// Slices that show what one before them does, as where pictures were saved twice.
    pub(super) fn twins(&self) -> Vec<usize> {
        let n = self.thumbs.len();
        if n < FEWEST {
            return Vec::new();
        }
        let steps = Steps::between(&self.blurred);
        let nearest = |slice: usize, others: &[usize]| {
            let distances = others.iter().filter(|&&other| other != slice).map(|&other| steps.get(slice, other));
            distances.min_by(f32::total_cmp).unwrap_or(f32::INFINITY)
        };
        let mut kept: Vec<usize> = Vec::new();
        let mut twins: Vec<(usize, f32)> = Vec::new();
        for slice in 0..n {
            let distance = nearest(slice, &kept);
            if distance < SAME_GREY && self.thumbs.get(slice).is_some_and(Thumb::shows_a_head) {
                twins.push((slice, distance));
            } else {
                kept.push(slice);
            }
        }
        let mut usual: Vec<f32> = kept.iter().map(|&slice| nearest(slice, &kept)).collect();
        usual.sort_by(f32::total_cmp);
        let usual = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
        twins.retain(|&(_, distance)| distance < SAME_SHARE * usual);
        twins.into_iter().map(|(slice, _)| slice).collect()
    }

    /// Without the slices at these places.
    pub(super) fn without(self, places: &[usize]) -> Self {
        fn left<T>(all: Vec<T>, places: &[usize]) -> Vec<T> {
            all.into_iter().enumerate().filter(|(place, _)| !places.contains(place)).map(|(_, one)| one).collect()
        }
        Self { thumbs: left(self.thumbs, places), blurred: left(self.blurred, places) }
    }

    /// The anatomical order, as [`repair`] finds it.
    pub(super) fn repair(&self) -> Repair {
        let Self { thumbs, blurred } = self;
        let n = thumbs.len();
        if n < FEWEST {
            return uncertain(n, "there are too few of them");
        }
        let steps = Steps::between(blurred);
        let named: Vec<usize> = (0..n).collect();
        let rebuilt = steps.rebuild();
        // Of the rebuilt path, because the names' own steps are long if they are shuffled.
        let unit = steps.median_step(&rebuilt);
        if unit <= f32::EPSILON || steps.length(&rebuilt) > LOOSEST * steps.mean() * (n - 1) as f32 {
            return uncertain(n, "neighbours do not look more alike than distant slices");
        }
        let base: Vec<BaseSigns> = thumbs.iter().map(BaseSigns::of).collect();

        // Names are a circle until the cut is chosen, so that no move has to decide where the head ends.
        let mut order = named.clone();
        steps.shorten(&mut order, Way::Tour, HEAD_START * unit);
        if order != named {
            // Names that are wrong once are trusted less for the rest.
            steps.shorten(&mut order, Way::Tour, SECOND_DOUBT * unit);
        }
        let cuts = Cuts { steps: &steps, base: &base, unit };
        let mut order = cuts.cut(order);
        let rebuilt = cuts.cut(rebuilt);
        let length = |order: &[usize]| steps.length(order) / unit - ANATOMY * baseness(order, &base).abs();
        let from_nothing = length(&rebuilt) + HEAD_START < length(&order);
        if from_nothing {
            order = rebuilt;
        }
        let upright = baseness(&order, &base);
        let rising = order.iter().zip(order.iter().skip(1)).filter(|(below, above)| below < above).count() * 2 >= n;
        let sure_of_ends = n >= FEWEST_FOR_ENDS && upright.abs() >= CLEAR_BASENESS;
        if (sure_of_ends && upright < 0.0) || (!sure_of_ends && from_nothing && !rising) {
            order.reverse();
        }
        let changed = order != named;
        let (moved, recut) =
            (-steps.best_gain(&order, Way::Tour) / unit, cuts.value(&order) - cuts.best_other(&order).0);
        let margin = if changed { moved.min(recut) } else { (moved + HEAD_START).min(recut + CUT_MARGIN) };
        let kept =
            |why: &str| Some(Warning::new("order_uncertain", format!("{why}; the order of the file names was kept.")));
        let warning = if changed {
            Some(Warning::new("slices_reordered", describe(&order, sure_of_ends)))
        } else if !sure_of_ends {
            kept(UNSURE_OF_ENDS)
        } else if recut < 0.0 {
            kept("Where the stack begins could not be told from the pictures with confidence")
        } else {
            None
        };
        Repair { as_named: order, changed, margin, warning }
    }
}

/// How far a stack is from any order: the path through the slices as they stand, in lengths of the shortest path found.
///
/// 1 is perfect order. `None` where the pictures cannot tell, as with fewer than five slices or slices that are alike.
pub fn disorder(stack: &Stack<'_>) -> Option<f32> {
    let area = stack.rows.saturating_mul(stack.columns);
    if stack.slices.len() < FEWEST || area == 0 || stack.slices.iter().any(|slice| slice.len() != area) {
        return None;
    }
    let blurred: Vec<Vec<f32>> = Thumb::of_stack(stack).iter().map(Thumb::blurred).collect();
    let steps = Steps::between(&blurred);
    let shortest = steps.length(&steps.rebuild());
    let stands: Vec<usize> = (0..stack.slices.len()).collect();
    (shortest > f32::EPSILON).then(|| steps.length(&stands) / shortest)
}

fn uncertain(n: usize, why: &str) -> Repair {
    let message = format!(
        "The order of the {n} slices could not be checked against the pictures ({why}); the order of the file names was kept."
    );
    Repair {
        as_named: (0..n).collect(),
        changed: false,
        margin: 0.0,
        warning: Some(Warning::new("order_uncertain", message)),
    }
}

const UNSURE_OF_ENDS: &str = "Which end of the stack is the skull base could not be told from the pictures";

/// What was changed, for the person; places count from 1.
fn describe(order: &[usize], sure_of_ends: bool) -> String {
    let n = order.len();
    let lowest = order.first().copied().unwrap_or(0);
    let what = if order.iter().rev().enumerate().all(|(place, &named)| place == named) {
        format!("The {n} files are named from the top of the head down: their order was turned round.")
    } else if order.iter().enumerate().all(|(place, &named)| (lowest + place) % n == named) {
        format!(
            "The file names start in the middle of the head: of the {n} slices, file {} by name is the lowest, and the scan now starts with it.",
            lowest + 1
        )
    } else {
        let breaks = order.iter().zip(order.iter().skip(1)).filter(|&(&below, &above)| above != below + 1).count();
        format!(
            "The file names are not in anatomical order: the {n} slices were put in order by what they show, which breaks the numbering in {breaks} places; file {} by name is the lowest.",
            lowest + 1
        )
    };
    if sure_of_ends { what } else { format!("{what} {UNSURE_OF_ENDS}.") }
}

/// What is compared to find the cut.
struct Cuts<'a> {
    steps: &'a Steps,
    base: &'a [BaseSigns],
    unit: f32,
}

impl Cuts<'_> {
    /// How good the ends of `order` are as the cut of a circle: far from each other, and base and vertex apart.
    fn value(&self, order: &[usize]) -> f32 {
        let seam = order.last().zip(order.first()).map_or(0.0, |(&last, &first)| self.steps.get(last, first));
        seam / self.unit + ANATOMY * baseness(order, self.base).abs()
    }

    /// The best cut that is not the present one: its value, and by how many places `order` has to be turned.
    fn best_other(&self, order: &[usize]) -> (f32, usize) {
        let mut turned = order.to_vec();
        let mut best = (f32::NEG_INFINITY, 0);
        for places in 1..order.len() {
            turned.rotate_left(1);
            let value = self.value(&turned);
            if value > best.0 {
                best = (value, places);
            }
        }
        best
    }

    /// The same circle of slices, cut at its best place, which is the present one if no other is clearly better.
    fn cut(&self, mut order: Vec<usize>) -> Vec<usize> {
        let (value, places) = self.best_other(&order);
        if value > self.value(&order) + CUT_MARGIN {
            order.rotate_left(places);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 80;

    /// A head without a face: a skull that closes towards the vertex, a ventricle, and petrous bones with air below.
    fn head(slices: usize) -> Vec<Vec<f32>> {
        let inside = |x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32| {
            ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0
        };
        let slice = |z: f32| {
            let wide = 30.0 * (1.0 - (z - 0.35).powi(2) / 0.5).max(0.05).sqrt();
            let paint = move |place: usize| {
                let (x, y) = ((place % SIDE) as f32 - 40.0, (place / SIDE) as f32 - 40.0);
                let air = z < 0.3 && inside(x.abs(), y, 12.0, -6.0 + 20.0 * z, 4.0, 3.0);
                let petrous = z < 0.35 && (x.abs() - y.abs()).abs() < 4.0 * (1.0 - 2.0 * z);
                let ventricle = inside(x.abs(), y, 3.0 + 6.0 * z, -4.0 + 6.0 * z, 8.0 * (z * (1.0 - z)), 6.0);
                match () {
                    () if !inside(x, y, 0.0, 0.0, wide, wide * 1.2) => -1000.0,
                    () if !inside(x, y, 0.0, 0.0, wide - 3.0, wide * 1.2 - 3.0) => 900.0,
                    () if air => -900.0,
                    () if petrous => 700.0,
                    () if ventricle => 5.0,
                    () => 33.0,
                }
            };
            (0..SIDE * SIDE).map(paint).collect()
        };
        (0..slices).map(|i| slice(i as f32 / (slices - 1) as f32)).collect()
    }

    fn repaired(slices: &[Vec<f32>], shown: &[usize]) -> Repair {
        let slices: Vec<&[f32]> = shown.iter().map(|&i| slices[i].as_slice()).collect();
        repair(&Stack { slices: &slices, rows: SIDE, columns: SIDE })
    }

    fn restored(repair: &Repair, shown: &[usize]) -> Vec<usize> {
        repair.as_named.iter().map(|&named| shown[named]).collect()
    }

    #[test]
    fn a_stack_in_order_is_left_alone_without_a_word() {
        let repair = repaired(&head(24), &(0..24).collect::<Vec<_>>());
        assert!(!repair.changed);
        assert_eq!(repair.warning, None);
        assert!(repair.margin > 0.5, "{}", repair.margin);
    }

    #[test]
    fn every_rotation_is_undone_and_said() {
        let slices = head(24);
        for start in 1..24 {
            let shown: Vec<usize> = (0..24).map(|i| (i + start) % 24).collect();
            let repair = repaired(&slices, &shown);
            assert_eq!(restored(&repair, &shown), (0..24).collect::<Vec<_>>(), "started at {start}");
            assert_eq!(repair.warning.map(|w| w.code), Some("slices_reordered".to_owned()));
        }
    }

    #[test]
    fn a_stack_named_from_the_top_down_is_turned_round() {
        let shown: Vec<usize> = (0..24).rev().collect();
        let repair = repaired(&head(24), &shown);
        assert_eq!(restored(&repair, &shown), (0..24).collect::<Vec<_>>());
        assert!(repair.warning.unwrap().message.contains("top of the head down"));
    }

    #[test]
    fn one_misplaced_slice_in_a_rotated_stack_is_put_back() {
        let mut shown: Vec<usize> = (0..24).map(|i| (i + 15) % 24).collect();
        let slice = shown.remove(3);
        shown.insert(12, slice);
        assert_eq!(restored(&repaired(&head(24), &shown), &shown), (0..24).collect::<Vec<_>>());
    }

    #[test]
    fn a_shuffled_stack_is_rebuilt_and_a_second_repair_changes_nothing() {
        let slices = head(24);
        let shown: Vec<usize> = (0..24).map(|i| i * 7 % 24).collect();
        let order = restored(&repaired(&slices, &shown), &shown);
        assert_eq!(order, (0..24).collect::<Vec<_>>());
        assert!(!repaired(&slices, &order).changed);
    }

    #[test]
    fn grey_pictures_give_the_order_of_their_hounsfield_units() {
        let grey: Vec<Vec<f32>> = head(24)
            .iter()
            .map(|slice| slice.iter().map(|hu| ((hu + 20.0) / 120.0).clamp(0.0, 1.0) * 255.0).collect())
            .collect();
        let shown: Vec<usize> = (0..24).map(|i| (i + 9) % 24).collect();
        assert_eq!(restored(&repaired(&grey, &shown), &shown), (0..24).collect::<Vec<_>>());
    }

    #[test]
    fn noise_and_equal_pictures_keep_their_names_with_a_warning() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32 / 2.0 - 20.0
        };
        let noise: Vec<Vec<f32>> = (0..12).map(|_| (0..SIDE * SIDE).map(|_| noise()).collect()).collect();
        for slices in [noise, vec![vec![30.0; SIDE * SIDE]; 12], head(24)[..3].to_vec()] {
            let repair = repaired(&slices, &(0..slices.len()).collect::<Vec<_>>());
            assert!(!repair.changed);
            assert_eq!(repair.warning.map(|w| w.code), Some("order_uncertain".to_owned()));
        }
    }

    #[test]
    fn slices_of_wrong_length_do_no_harm() {
        let slices: Vec<&[f32]> = vec![&[1.0; 7]; 9];
        assert!(!repair(&Stack { slices: &slices, rows: 4, columns: 4 }).changed);
        assert_eq!(repair(&Stack { slices: &[], rows: 0, columns: 0 }).as_named, Vec::<usize>::new());
    }
}
