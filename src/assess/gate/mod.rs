//! Is this a head CT that we can answer? Cheap rules with names, so that a refusal says what is wrong.
//!
//! The network answers anything, and an answer on a chest, an MR or a shuffled scan looks as right as any. So every rule
//! below must hold before it is asked. Limits lie between what 124 heads (two hospitals, an average head, a third
//! scanner) and what other things were measured to show.

mod measure;
#[cfg(test)]
mod tests;

use crate::preprocess::{Preparation, PreprocessError};
use crate::report::{Refusal, Warning};
use crate::volume::{ValueScale, Volume};
use measure::{Measures, measure};
use serde::Serialize;

/// One rule and whether the scan keeps it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Stable machine-readable code in `snake_case`: that of the refusal or the warning if it fails.
    pub code: &'static str,
    /// Whether the scan keeps the rule.
    pub passed: bool,
    /// One or two sentences for a person: what was found and, where it failed, what to do.
    pub message: String,
}

/// The verdict on a scan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// Every rule that could be looked at, in the order of the questions; those after a missing brain could not.
    pub checks: Vec<Check>,
    /// The first rule broken that forbids an answer.
    pub refusal: Option<Refusal>,
    /// Broken rules that allow an answer, with a word of caution.
    pub warnings: Vec<Warning>,
}

impl Gate {
    /// Whether the network may be asked.
    pub fn is_open(&self) -> bool {
        self.refusal.is_none()
    }
}

/// Fewest slices of a scan. Heads have 19 and more, at 5 mm.
const FEWEST_SLICES: usize = 8;
/// Fewest slabs with brain. Heads have 9 and more.
const FEWEST_KEPT: usize = 6;
/// Path through the slices over the shortest one. Heads stay below 1.02; four swaps of two slices reach 1.5.
const MOST_DISORDER: f32 = 1.3;
/// Median of the brain in Hounsfield units. Heads, windows guessed wrong included: 17 to 46.
const MEDIAN_HU: (f32, f32) = (8.0, 60.0);
/// Share of the brain within 12 HU of its median. Heads: .56 and more; chest .34, noise .38.
const LEAST_NEAR: f32 = 0.45;
/// Share of black pixels inside. Heads: .025 and less; inverted pictures .15.
const MOST_BLACK: f32 = 0.1;
/// Brain over all tissue. Heads: .54 and more; chest .02, a head cut in half .28.
const LEAST_OF_TISSUE: f32 = 0.35;
/// Area over that of the fitted ellipse. Heads: .96 and more; noise .6.
const LEAST_ELLIPSE: f32 = 0.88;
/// Long over short axis. Heads: 1.4 and less.
const MOST_ELONGATION: f32 = 1.8;
/// Share of the outline beside bone. Heads: .92 and more, .60 after a craniectomy; magnetic resonance mostly below .5.
const LEAST_RING: f32 = 0.5;
/// Bone inside the brain over the brain. Heads: .03 and less.
const MOST_BRIGHT: f32 = 0.1;
/// Share of an edge of the picture that soft tissue touches. Heads: .10 and less; coronal and cut-off ones mostly .25.
const MOST_AT_EDGE: f32 = 0.2;

/// Below this share of bone around the brain a part of the skull is said to be missing.
const CLOSED_RING: f32 = 0.85;
/// Share of slabs with wide gaps from which sutures are said to be open.
const MANY_BRIDGED: f32 = 0.25;
/// Area of an end slab over the largest from which the scan is said to stop inside the brain.
const CUT_END: f32 = 0.5;
/// Median of pictures in Hounsfield units if the assumed window is about right.
const USUAL_MEDIAN_HU: (f32, f32) = (15.0, 48.0);
/// Difference of the quartiles of pictures if the assumed window is about right.
const USUAL_QUARTILES_HU: (f32, f32) = (5.0, 15.0);
/// Difference of the quartiles below which nothing in a brain can be told apart. Heads: 5.5 and more.
const PLAIN_QUARTILES_HU: f32 = 5.0;
/// Difference of neighbouring pixels in Hounsfield units of scans as they come. Heads: .59 to 2.1, with kernels for soft
/// tissue at 5 mm; averages and smoothed scans have less, kernels for bone more.
const USUAL_TEXTURE_HU: (f32, f32) = (0.45, 3.0);
/// Share of fluid below which there is none. Heads: .007 and more.
const NO_FLUID: f32 = 0.004;
/// Bone inside the upper brain over the brain from which blood may have been taken for bone, or is not alone in being
/// bright. Heads: .0002 in the middle, .015 in the one whose blood saturates.
const BRIGHT_TO_SAY: f32 = 0.01;

/// Looks at a scan before the network is asked.
///
/// `prepared` is what [`prepare_stages`](crate::preprocess::prepare_stages) made of the volume.
pub fn check(volume: &Volume, prepared: Result<&Preparation, &PreprocessError>) -> Gate {
    let mut gate = Gate { checks: Vec::new(), refusal: None, warnings: Vec::new() };
    gate.must("values_not_hounsfield", volume.scale != ValueScale::Unknown, || {
        "The values are not Hounsfield units, so this is not known to be a CT. Export the scan with its original CT values.".to_owned()
    });
    let slices = volume.slices();
    gate.must("too_few_slices", slices >= FEWEST_SLICES, || {
        let noun = if slices == 1 { "slice" } else { "slices" };
        format!("The scan has {slices} {noun}; at least {FEWEST_SLICES} are needed. Give the whole series of the head.")
    });
    let measures = match prepared {
        Ok(preparation) => measure(volume, preparation),
        Err(PreprocessError::TooManySlices { slabs, most, .. }) => {
            gate.must("too_many_slices", false, || {
                format!(
                    "The scan has {slices} slices, which make {slabs} of about 5 mm; a head has at most {most}. Give the \
                     axial series of the head alone."
                )
            });
            return gate;
        }
        Err(PreprocessError::TooFewSlices { kept, .. }) => {
            gate.must("too_little_brain", false, || too_little_brain(*kept, slices));
            return gate;
        }
        Err(PreprocessError::NoBrain { .. }) => None,
    };
    gate.must("no_brain", measures.is_some(), || {
        format!(
            "None of the {slices} slices shows soft tissue inside a skull. Only axial CT of the head can be answered; \
             check that it is one, and that pictures were made with the brain window."
        )
    });
    if let Some(measures) = measures {
        gate.refuse_what_is_no_head(&measures, slices, volume.scale);
        gate.warn_of_what_is_unusual(&measures, volume.scale);
    }
    gate
}

fn too_little_brain(kept: usize, slices: usize) -> String {
    format!(
        "Brain inside a skull was found on only {kept} of {slices} slices; at least {FEWEST_KEPT} are needed. Give the \
         whole series of an axial head CT."
    )
}

impl Gate {
    fn note(&mut self, code: &'static str, passed: bool, message: impl FnOnce() -> String) -> Option<String> {
        let message = if passed { PASSED.to_owned() } else { message() };
        self.checks.push(Check { code, passed, message: message.clone() });
        (!passed).then_some(message)
    }

    /// A rule without which there is no answer.
    fn must(&mut self, code: &'static str, passed: bool, message: impl FnOnce() -> String) {
        if let Some(message) = self.note(code, passed, message) {
            self.refusal.get_or_insert_with(|| Refusal::new(code, message));
        }
    }

    /// A rule whose breach is said beside the answer.
    fn should(&mut self, code: &'static str, passed: bool, message: impl FnOnce() -> String) {
        if let Some(message) = self.note(code, passed, message) {
            self.warnings.push(Warning::new(code, message));
        }
    }

    fn refuse_what_is_no_head(&mut self, seen: &Measures, slices: usize, scale: ValueScale) {
        self.must("too_little_brain", seen.kept >= FEWEST_KEPT, || too_little_brain(seen.kept, slices));
        self.must("cut_off", seen.at_edge <= MOST_AT_EDGE, || {
            format!(
                "Tissue fills {:.0} % of an edge of the picture on most slices: the head is cut off, or the slices are \
                 not axial. Give axial slices that show the whole head.",
                100.0 * seen.at_edge
            )
        });
        let (low, high) = MEDIAN_HU;
        let in_range = seen.median >= low && seen.median <= high;
        self.must("values_unlike_brain", in_range && seen.near >= LEAST_NEAR && seen.black <= MOST_BLACK, || {
            let found = format!(
                "What the skull encloses does not have the values of brain (median {:.0} HU, {:.0} % of it near that).",
                seen.median,
                100.0 * seen.near
            );
            match scale {
                ValueScale::Windowed { level, width } => {
                    format!("{found} Make the pictures with level {level} and width {width}, from a CT of the head.")
                }
                _ => format!("{found} Check that this is a CT of the head, with its original values."),
            }
        });
        let round = seen.ellipse >= LEAST_ELLIPSE && seen.elongation <= MOST_ELONGATION;
        let brain = round && seen.of_tissue >= LEAST_OF_TISSUE && seen.ring >= LEAST_RING;
        self.must("not_a_head", brain && seen.bright_inside <= MOST_BRIGHT, || {
            format!(
                "This does not look like an axial CT of a head: what bone encloses is {:.0} % of the tissue, {:.0} % of \
                 its outline is bone, and its shape is {}. Only axial CT of the head can be answered.",
                100.0 * seen.of_tissue,
                100.0 * seen.ring,
                if round { "round" } else { "not that of a brain" }
            )
        });
        self.must("slices_out_of_order", seen.disorder <= MOST_DISORDER, || {
            format!(
                "Neighbouring slices do not follow each other: sorted by what they show, the way through them would be \
                 {:.0} % shorter. Give the slices in the order of their positions.",
                100.0 * (1.0 - 1.0 / seen.disorder)
            )
        });
    }

    fn warn_of_what_is_unusual(&mut self, seen: &Measures, scale: ValueScale) {
        let [lowest, highest] = seen.ends;
        self.should("partial_head", lowest <= CUT_END && highest <= CUT_END, || {
            let end = match (lowest > CUT_END, highest > CUT_END) {
                (true, true) => "lower and the upper part",
                (true, false) => "lower part",
                _ => "upper part",
            };
            format!("The {end} of the brain is not in the scan, or was not found: bleeding there cannot be seen.")
        });
        self.should("skull_open", seen.ring >= CLOSED_RING, || {
            format!(
                "Only {:.0} % of the brain's outline is bone, as after an operation on the skull: the edge of the brain \
                 is less sure there.",
                100.0 * seen.ring
            )
        });
        self.should("skull_gaps", seen.bridged <= MANY_BRIDGED, || {
            "The skull has wide gaps on many slices, as the open sutures of an infant: slices may be missing and the \
             edge of the brain is less sure. The network has seen few infants."
                .to_owned()
        });
        let within = |value: f32, (low, high): (f32, f32)| value >= low && value <= high;
        self.should("coarse_pixels", !seen.coarse, || {
            "The pixels are larger than those that the network looks at, about 2 mm, as in scans that were resampled or \
             averaged: small bleeds may be lost, and the network has seen no such scans."
                .to_owned()
        });
        if let Some(texture) = seen.texture {
            let (smooth, sharp) = USUAL_TEXTURE_HU;
            self.should("smoothed", texture >= smooth, || {
                format!(
                    "Neighbouring pixels of the brain differ by {texture:.1} HU only, less than in any scan as it comes: it \
                     was smoothed, averaged or made by a program. The network has seen no such scans."
                )
            });
            self.should("sharp_kernel", texture <= sharp, || {
                format!(
                    "Neighbouring pixels of the brain differ by {texture:.1} HU, as with a kernel for bone or a very low \
                     dose: noise may hide blood or look like it. The series with the kernel for soft tissue is better."
                )
            });
        }
        if let ValueScale::Windowed { level, width } = scale {
            let usual = within(seen.median, USUAL_MEDIAN_HU) && within(seen.quartiles, USUAL_QUARTILES_HU);
            self.should("window_doubtful", usual, || {
                format!(
                    "The brightness or contrast of the brain does not fit the assumed window (level {level}, width \
                     {width}): the answer is less sure. Pictures made with that window, or the original CT, are better."
                )
            });
            self.should("saturated_inside", seen.bright_inside <= BRIGHT_TO_SAY, || {
                "A part of the brain is as white as bone in these pictures. Blood that saturates like bone is left out \
                 of what the network sees: look there yourself."
                    .to_owned()
            });
        } else {
            self.should("bright_inside", seen.bright_inside <= BRIGHT_TO_SAY, || {
                "A part of the inside of the skull is as bright as bone: contrast medium, calcification or metal. The \
                 network has seen no scan with contrast medium, and leaves out what is that bright."
                    .to_owned()
            });
            let plain = seen.quartiles < PLAIN_QUARTILES_HU && seen.fluid < NO_FLUID;
            self.should("test_object", !plain, || {
                "The inside of the skull is uniform and holds no fluid, as in a plastic test object.".to_owned()
            });
        }
    }
}

const PASSED: &str = "As expected of a head CT.";
