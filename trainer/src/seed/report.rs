//! `docs/seed.md`: the protocol, how each step is made again, what it hides, and what came of runs.

use super::arms::{self, Arm};
use super::protocol::{EPOCHS, PUBLISHED, VALIDATION, best_of_noise, interval};
use super::{drawing, explore, keep, pictures, write as write_file};
use crate::learn::recipe::Recipe;
use crate::metrics::auc;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Trials of the best epoch of noise.
const TRIALS: usize = 500;
/// Epochs at the end whose mean is reported beside the best one.
const LAST: usize = 10;

/// Writes the report and its figures.
pub(super) fn write(runs: &[PathBuf], output: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let figures = output.with_extension("");
    let stack = explore::synthetic()?;
    let slice = stack.slice(None)?;
    keep(&pictures::contact_sheet(&stack), &figures.join("contact-sheet.png"))?;
    keep(&pictures::noise(slice), &figures.join("noise-removal.png"))?;
    let transforms = figures.join("transforms.png");
    let advanced = Recipe::find("seed-advanced")?.transforms;
    keep(&pictures::transforms(slice, &advanced).map_err(|what| drawing(&transforms, what))?, &transforms)?;
    let arms = arms::read(runs)?;
    if !arms.is_empty() {
        let path = figures.join("arms.svg");
        write_file(&path, arms::draw(&arms).map_err(|what| drawing(&path, what))?.as_bytes())?;
    }
    let folder = figures.file_name().and_then(|name| name.to_str()).unwrap_or("seed");
    write_file(output, text(&arms, folder).as_bytes())?;
    Ok(())
}

fn text(arms: &[Arm], folder: &str) -> String {
    let mut text = STEPS.replace("FOLDER", folder);
    text.push_str(&hidden());
    text.push_str(&results(arms, folder));
    text
}

fn hidden() -> String {
    let mut text = format!(
        "## What the protocol hides\n\n\
         - **The epoch is picked on the patients that it reports.** The best of {EPOCHS} epochs is a maximum, not an estimate. {EPOCHS} epochs that \
         know nothing, independent of each other, reach a best AUC of {:.2} on {} patients with and {} without a bleed (mean of {TRIALS} trials); \
         neighbouring epochs are alike, so that the truth lies below it, and the mean of the last ten epochs shows by how much.\n",
        best_of_noise(EPOCHS, VALIDATION, TRIALS),
        VALIDATION[0],
        VALIDATION[1],
    );
    text.push_str(
        "- **No interval.** None was published. From AUC and number of patients alone (Hanley and McNeil 1982), as if the epoch had not been \
         picked:\n\n  | arm | best AUC (epoch) | 95 % interval | accuracy there | best accuracy | mean AUC, last ten epochs |\n  |---|---|---|---|---|---|\n",
    );
    for (name, best, epoch, accuracy, highest, last) in PUBLISHED {
        let [low, high] = interval(best, VALIDATION);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            text,
            "  | {name} | {best:.3} ({epoch}) | {low:.2}-{high:.2} | {accuracy:.3} | {highest:.3} | {last:.3} |"
        );
    }
    text.push_str(HIDDEN);
    text
}

fn results(arms: &[Arm], folder: &str) -> String {
    let mut text = "\n## What came of it here\n\n".to_owned();
    if arms.is_empty() {
        text.push_str(
            "No arm was trained for this report: the commands are above, and `cargo trainer seed report RUN..` adds table and curves.\n",
        );
        return text;
    }
    text.push_str(
        "Folds of the 58 patients of the published training split; the 24 of its validation split are not here. By the protocol an epoch is \
         kept for its AUC on the fold that is left out, by the labels of the folders. Beside it: the mean of the last epochs, which nobody \
         picked, and the kept epoch by the true labels.\n\n\
         | arm | folds | epochs | best AUC, mean of folds | mean AUC, last epochs | kept epoch, true labels |\n|---|---|---|---|---|---|\n",
    );
    for arm in arms {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let aucs = |fold: &[crate::learn::epoch::EpochFigures]| -> Vec<f64> {
            fold.iter().map(|epoch| epoch.validation.auc).collect()
        };
        let best: Vec<f64> = arm.folds.iter().map(|fold| aucs(fold).into_iter().fold(0.0, f64::max)).collect();
        let last: Vec<f64> =
            arm.folds.iter().map(|fold| mean(&aucs(&fold[fold.len().saturating_sub(LAST)..]))).collect();
        let kept: Vec<f64> = arm.kept.iter().filter_map(|patients| auc(patients)).collect();
        let epochs: Vec<usize> = arm.folds.iter().map(Vec::len).collect();
        let (fewest, most) = (epochs.iter().min().unwrap_or(&0), epochs.iter().max().unwrap_or(&0));
        let epochs = if fewest == most { most.to_string() } else { format!("{fewest}-{most}") };
        let _ = writeln!(
            text,
            "| {} | {} | {epochs} | {:.3} | {:.3} | {:.3} |",
            arm.name,
            arm.folds.len(),
            mean(&best),
            mean(&last),
            mean(&kept)
        );
    }
    let _ = write!(
        text,
        "\nThe last epochs are the last {LAST}, or all where there are fewer. A fold has 11 to 12 patients: an AUC of one moves by .03 with a \
         single pair of them. A training of fewer than {EPOCHS} epochs says what the code does, not what the pipeline can do.\n\n\
         ![AUC and loss over the epochs, training and validation, mean over the folds]({folder}/arms.svg)\n"
    );
    text
}

/// The protocol, step by step.
const STEPS: &str = "# The published pipeline, made again

Written by `cargo trainer seed report`; not edited by hand. The pipeline is G. Pecoraro, \"Brain stroke detection from CT scans via 3D
Convolutional Neural Network\" (2023, a notebook), after H. Zunair's Keras example. It is here to be compared with, not to be used: what it
calls stroke is bleeding, and no figure of it is one of the page.

Every figure on this page is of a synthetic head. With `--patient` the same commands draw a real one, into `target/seed`.

| step | command | where it is |
|---|---|---|
| 1 explore: slices a patient, contact sheet | `cargo trainer seed explore` | `trainer/src/seed/explore.rs` |
| 2 true order, consecutive numbers | `cargo trainer seed order` | the same |
| 3 noise removal | `cargo trainer seed noise` | `trainer/src/data/whole.rs` |
| 4, 5 grey / 255, a quarter turn, linear zoom | `whole_slices` and `resample` of a recipe | the same |
| 6 published split | `cargo trainer seed split` | `trainer/src/seed/protocol.rs` |
| 7 seven transforms, four arms | `cargo trainer seed transforms`; `transforms` of a recipe | `trainer/src/learn/transforms.rs` |
| 8 network, 1,352,897 parameters | `cargo trainer layers published` | `src/network/config.rs` |
| 9 training, figures of every epoch | `cargo trainer train --config seed-advanced --folds all --seeds 42` | `trainer/configs/seed-*.json`, `trainer/src/learn` |
| 10 all arms in one figure | `cargo trainer seed arms RUN..` | `trainer/src/seed/arms.rs` |

The arms are `seed-none`, `seed-basic`, `seed-intermediate` and `seed-advanced`: recipes like any other, with the published network, batch 2, Adam
at 1e-4 x .96 every 100,000 steps, 150 epochs, the labels of the folders, and the epoch kept that is best on the patients who are left
out. They take 48 x 64 x 64 voxels, which fits a CPU; `--resample 64 128 128` is the published size, for a GPU. Each writes `epochs.csv`: loss,
TP, FP, TN, FN, accuracy, precision, recall, ROC AUC and PR AUC of every epoch, training and validation.

Each step is compared in the tests with what SciPy, scikit-image, scikit-learn or Keras gives (`trainer/src/seed/reference.rs` says how the
numbers were made): noise removal pixel by pixel, turn and zoom, all seven transforms, the figures of an epoch, and five training steps of the
network with its running statistics.

Where the source leaves a choice: a shift and a zoom are filled by reflection, as the Keras layers do when nothing is said; brightness and
contrast keep values from 0 to 1; a shear has the sign that is written (the Keras layer also draws one); the AUCs are exact, where Keras
takes 200 thresholds; Adam adds its epsilon where the paper does, Keras before it corrects the bias; the last batch of an odd number of
scans is left out, since batch normalisation needs two.

![A synthetic scan as it is numbered: 4 x 10 places, missing numbers left blank](FOLDER/contact-sheet.png)

A scan as it is numbered: it begins in the middle of the head, and missing numbers stay blank.

![Noise removal on a synthetic slice](FOLDER/noise-removal.png)

As it is; after grey dilation 3 x 3; foreground from 25 on; its largest part; that one dilated 5 x 5, filled, dilated 3 x 3; what is left.
The head holder stays where it touches the head, which is what this method does.

![The seven transforms on a synthetic slice](FOLDER/transforms.png)

From the top: brightness, contrast, rotation, vertical flip, shift, zoom, shear; from the lowest to the highest of their numbers.

";

/// What the tables do not say.
const HIDDEN: &str = "
- **Five wrong labels.** Patients 49-53 bleed and are filed under Normal: 27 of the 58 training patients bleed, not 22. The net is taught that
  these five bleeds are none. A recipe with `\"whole_slices\": {\"labels\": \"true\"}` is taught the truth.
- **No threshold, no calibration.** At its best epoch the best arm calls 10 of 15 patients without a bleed positive: specificity .33.
- **Sex alone reaches .77** on this set, and holes in the numbers of the files, which 35 of 36 bleeding patients have and no
  other, .99: an AUC near .8 is little evidence of having seen blood.
- **30 slices become 64.** Nearly every slice that the net sees is interpolated, and a bleed on one slice is smeared over several.
- **252 MB after the first convolution** and 32.45 GFLOP a scan, at a batch of one: not for a browser. The compact net takes 1.22 GFLOP.
- **A split of 58 and 24** is one draw. The folds here say how much a figure moves with the patients.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::epoch::{EpochFigures, Figures};

    #[test]
    fn the_report_says_what_was_trained_and_what_was_not() {
        let bare = text(&[], "seed");
        assert!(bare.contains("No arm was trained") && bare.contains("Five wrong labels") && !bare.contains("FOLDER"));
        let epoch = |auc| EpochFigures { validation: Figures { auc, ..Figures::default() }, ..EpochFigures::default() };
        let arm = Arm {
            name: "seed-none".into(),
            folds: vec![vec![epoch(0.5), epoch(0.8), epoch(0.6)], vec![epoch(0.7), epoch(0.6), epoch(0.5)]],
            kept: vec![vec![(1.0, true), (0.0, false)], vec![(0.0, true), (1.0, false)]],
        };
        let told = text(&[arm], "seed");
        assert!(told.contains("| seed-none | 2 | 3 | 0.750 | 0.617 | 0.500 |"), "{told}");
    }
}
