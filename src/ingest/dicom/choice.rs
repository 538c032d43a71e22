//! Which of several series of one study suits best, and why.
//!
//! A scanner sends the same head several times: thin and thick, for brain and for bone, and a short one of the neck or of
//! a repeated level. All of them are scans of their own; the person is told which to look at.

use super::DicomPlan;
use super::geometry::{Stack, is_axial};
use super::header::Frame;
use crate::report::Warning;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Millimetres that a whole head takes at the least.
const HEAD_MM: f64 = 90.0;
/// Slices of the usual thickness that a whole head takes at the least, where distances are not stated.
const HEAD_SLICES: usize = 18;
/// Thickness of the slices that the network was trained on.
const USUAL_MM: f64 = 5.0;

/// How well a series suits; the greatest of a study is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fitness {
    whole_head: bool,
    axial: bool,
    soft_kernel: bool,
    /// Tenths of a millimetre away from the usual slice distance.
    off_usual: Reverse<u32>,
    slices: usize,
}

/// Puts the best series of each study first among its own, and says which it is and why.
pub(super) fn choose(plans: &mut [DicomPlan]) {
    let mut studies: BTreeMap<(String, Option<String>), Vec<usize>> = BTreeMap::new();
    for (index, plan) in plans.iter().enumerate() {
        let Some(header) = plan.slices.first().map(|slice| &slice.header) else { continue };
        if let Some(uid) = header.study_uid.clone() {
            studies.entry((uid, header.patient_id.clone())).or_default().push(index);
        }
    }
    for places in studies.into_values().filter(|places| places.len() > 1) {
        let mut series: Vec<DicomPlan> = places.iter().filter_map(|&place| plans.get(place)).cloned().collect();
        series.sort_by_key(|plan| Reverse(fitness(plan)));
        let best = series.first().map(|plan| (plan.name.clone(), describe(plan))).unwrap_or_default();
        let count = series.len();
        for (rank, (mut plan, &place)) in series.into_iter().zip(&places).enumerate() {
            let (name, what) = &best;
            let message = if rank == 0 {
                format!(
                    "The study has {count} CT series; this one suits best ({what}): a whole head comes first, then axial slices, then a soft kernel, then slices of about {USUAL_MM:.0} mm."
                )
            } else {
                format!(
                    "The study has {count} CT series, and \"{name}\" ({what}) suits better than this one ({}).",
                    describe(&plan)
                )
            };
            plan.warnings.push(Warning::new("several_series", message));
            if let Some(slot) = plans.get_mut(place) {
                *slot = plan;
            }
        }
    }
}

/// Distance of neighbours, or the stated thickness, in millimetres.
fn distance_mm(plan: &DicomPlan) -> Option<f64> {
    let frames: Vec<Frame> = plan.slices.iter().map(super::Slice::geometry).collect();
    let stated = plan.slices.first().and_then(|slice| slice.header.slice_thickness);
    Stack::by_position(&frames).and_then(|stack| stack.slice_mm).or(stated)
}

fn fitness(plan: &DicomPlan) -> Fitness {
    let slices = plan.slices.len();
    let mm = distance_mm(plan);
    Fitness {
        whole_head: mm.map_or(slices >= HEAD_SLICES, |mm| mm * slices as f64 >= HEAD_MM),
        axial: plan.slices.first().is_some_and(|slice| is_axial(&slice.geometry())),
        soft_kernel: !plan.slices.first().is_some_and(|slice| {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            is_sharp(&text(&slice.header.kernel), &text(&slice.header.series_description))
        }),
        off_usual: Reverse(mm.map_or(u32::MAX, |mm| ((mm - USUAL_MM).abs() * 10.0).round() as u32)),
        slices,
    }
}

fn describe(plan: &DicomPlan) -> String {
    let distance = distance_mm(plan).map_or(String::new(), |mm| format!(", {mm:.1} mm apart"));
    let kernel = plan.slices.first().and_then(|slice| slice.header.kernel.as_ref());
    let kernel =
        kernel.map_or(String::new(), |kernel| format!(", kernel {}", kernel.chars().take(16).collect::<String>()));
    format!("{} slices{distance}{kernel}", plan.slices.len())
}

/// Whether the kernel is one for bone or lung, which drowns blood in noise. Names are the makers' own: GE's words,
/// Siemens' letter and number (50 and above is sharp), Canon's FC and number, Philips' letters.
fn is_sharp(kernel: &str, description: &str) -> bool {
    let (kernel, description) = (kernel.to_uppercase(), description.to_uppercase());
    let words = ["BONE", "EDGE", "LUNG", "SHARP", "KNOCHEN"];
    if words.iter().any(|word| kernel.contains(word) || description.contains(word)) {
        return true;
    }
    let digits: String = kernel.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let number: u32 = digits.parse().unwrap_or(0);
    match kernel.chars().next() {
        Some('F') => matches!(number, 30..=39 | 50..=59 | 80..=89),
        Some('H' | 'B' | 'J' | 'Q' | 'U') => number >= 50,
        _ => matches!(kernel.as_str(), "D" | "E" | "YC" | "YD" | "YE" | "DETAIL"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_sharp;

    #[test]
    fn kernels_for_bone_are_told_from_kernels_for_brain() {
        for kernel in ["BONEPLUS", "Bone", "EDGE", "LUNG", "H60s", "Hr68f", "FC30", "FC81", "YE"] {
            assert!(is_sharp(kernel, ""), "{kernel}");
        }
        for kernel in ["STANDARD", "SOFT", "H31s", "Hr38f", "J40s", "FC21", "FC64", "UB", ""] {
            assert!(!is_sharp(kernel, "Head 5.0"), "{kernel}");
        }
        assert!(is_sharp("", "Head bone 1.0"));
    }
}
