//! `card`: the model card of a weights file, from the run that made it.

use crate::Outcome;
use crate::evaluate::{Evaluation, Score, by_seed, evaluate};
use crate::robustness::Robustness;
use crate::run::{RunRecord, file_error, read_json};
use ictus::assess::OperatingPoint;
use ictus::network::{Model, ModelHeader};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Figures of a run that the card shows.
const FIGURES: [(&str, &str); 4] = [
    ("roc", "ROC curve with its 95 % band over patients"),
    ("precision-recall", "Precision and recall"),
    ("reliability", "Reliability of the calibrated probabilities"),
    ("scores", "Probabilities of patients with and without a bleed"),
];

/// What the card is of.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the run.
    run: PathBuf,
    /// The weights file that was exported from it.
    #[arg(long, default_value = "www/models/compact.safetensors")]
    weights: PathBuf,
    /// Where the card goes.
    #[arg(long, default_value = "MODEL_CARD.md")]
    output: PathBuf,
    /// Where its figures go, relative to the card's folder.
    #[arg(long, default_value = "docs/figures")]
    figures: PathBuf,
}

/// Writes the card.
pub(crate) fn run(args: &Args) -> Outcome {
    let record: RunRecord = read_json(&args.run.join("run.json"))?;
    let runs = by_seed(&args.run)?;
    let Some(evaluation) = evaluate(&runs)? else {
        return Err(
            format!("{}: no seed has all five folds: there are no figures for a card", args.run.display()).into()
        );
    };
    let robustness = args.run.join("robustness.json");
    let robustness: Option<Robustness> = if robustness.exists() { Some(read_json(&robustness)?) } else { None };
    let bytes = std::fs::read(&args.weights).map_err(|error| file_error(&args.weights, &error))?;
    let model = Model::from_bytes(&bytes, &burn::tensor::Device::flex())?;
    if model.header().calibration.as_ref() != Some(&evaluation.calibration) {
        return Err(format!(
            "{} is not calibrated by the run {}: export it first, so that the card speaks of the file that ships",
            args.weights.display(),
            args.run.display()
        )
        .into());
    }
    crate::figures::draw(&args.run, &runs, &evaluation)?;
    let folder = args.output.parent().unwrap_or(std::path::Path::new("")).join(&args.figures);
    std::fs::create_dir_all(&folder).map_err(|error| file_error(&folder, &error))?;
    for (name, _) in FIGURES {
        let (from, to) = (args.run.join(format!("{name}.svg")), folder.join(format!("{name}.svg")));
        std::fs::copy(&from, &to).map_err(|error| file_error(&from, &error))?;
    }
    let card = Card { record: &record, evaluation: &evaluation, robustness: robustness.as_ref(), model: &model };
    let text = card.write(bytes.len(), &args.figures.display().to_string());
    crate::files::write_whole(&args.output, text.as_bytes()).map_err(|error| file_error(&args.output, &error))?;
    println!("{}", args.output.display());
    Ok(ExitCode::SUCCESS)
}

struct Card<'a> {
    record: &'a RunRecord,
    evaluation: &'a Evaluation,
    robustness: Option<&'a Robustness>,
    model: &'a Model,
}

impl Card<'_> {
    fn write(&self, bytes: usize, figures: &str) -> String {
        let mut text = String::new();
        self.head(&mut text, bytes);
        self.data(&mut text);
        self.figures(&mut text, figures);
        self.robustness(&mut text);
        text.push_str(LIMITS);
        self.reporting(&mut text);
        text
    }

    fn head(&self, text: &mut String, bytes: usize) {
        let header: &ModelHeader = self.model.header();
        let layers = header.architecture.layers([28, header.input_shape[1], header.input_shape[2]]).unwrap_or_default();
        let parameters: usize = layers.iter().map(|row| row.parameters).sum();
        let flop: u64 = layers.iter().map(|row| row.flop).sum();
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            text,
            "# Model card: {} {}\n\n\
             Written by `cargo trainer card`; not edited by hand. **Research and demonstration only: not a medical device.**\n\n\
             | | |\n|---|---|\n\
             | file | {bytes} bytes, SHA-256 `{}` |\n\
             | answers | is there intracranial haemorrhage on this non-contrast head CT, how likely, on which slices, where |\n\
             | network | compact 3D CNN, any number of slices of {} x {} pixels, {parameters} parameters, {:.2} GFLOP for 28 slices |\n\
             | input | brain only, aligned on its mirror axis, Hounsfield units relative to the brain's median (preprocessing version {}) |\n\
             | licence | {} |\n\n",
            header.name,
            header.version,
            self.model.sha256(),
            header.input_shape[1],
            header.input_shape[2],
            flop as f64 / 1e9,
            header.preprocess.version,
            header.licence,
        );
    }

    fn data(&self, text: &mut String) {
        text.push_str(
            "## Data\n\n| set | patients | slices looked at | fingerprint of inputs and labels |\n|---|---|---|---|\n",
        );
        for set in &self.record.data {
            let short = set.fingerprint.get(..16).unwrap_or(&set.fingerprint);
            let _ = writeln!(text, "| {} | {} | {} | `{short}` |", set.name, set.patients, set.slices);
        }
        text.push_str(DATA);
    }

    fn figures(&self, text: &mut String, figures: &str) {
        let evaluation = self.evaluation;
        let _ = write!(
            text,
            "## Out of fold\n\n\
             Five folds by patient, {} seed{}; a figure is the mean over the seeds +- their standard deviation, and the interval is a \
             patient bootstrap of the logits averaged over the seeds. Sex alone reaches a patient AUC of .77 on ct-ich.\n\n\
             | ct-ich, {} patients, {} with a bleed | |\n|---|---|\n",
            evaluation.seeds.len(),
            if evaluation.seeds.len() == 1 { "" } else { "s" },
            evaluation.patients,
            evaluation.positive
        );
        for (name, score) in &evaluation.patient_auc {
            let _ = writeln!(text, "| patient AUC by `{name}` | {} |", of_seeds(score));
        }
        let _ = writeln!(text, "| slice AUC | {} |", of_seeds(&evaluation.slice_auc));
        let [value, low, high] = evaluation.patient_auc_interval;
        let _ = writeln!(text, "| patient AUC of the mean logits, shipped score | {value:.3} [{low:.3}-{high:.3}] |");
        let [value, low, high] = evaluation.slice_auc_interval;
        let _ = writeln!(text, "| slice AUC of the mean logits | {value:.3} [{low:.3}-{high:.3}] |");
        let calibration = &evaluation.calibration;
        for (name, point) in [("lower", calibration.lower), ("upper", calibration.upper)] {
            let _ = writeln!(
                text,
                "| {name} threshold {:.3}, seed {} | {} |",
                point.threshold,
                self.first(),
                counts(point)
            );
        }
        let [lower, upper] = evaluation.alarms_without_bleed;
        let _ = writeln!(
            text,
            "| alarms on bleeding patients without their bleeding slices | lower {lower:.3}, upper {upper:.3} |"
        );
        let _ = writeln!(
            text,
            "| Brier score, expected calibration error | {:.3}, {:.3} |",
            evaluation.brier, evaluation.calibration_error
        );
        text.push_str("\nPatient AUC by the shipped score in subgroups:\n\n| subgroup | with | without | AUC |\n|---|---|---|---|\n");
        for (name, positive, negative, auc) in &evaluation.subgroups {
            let _ = writeln!(text, "| {name} | {positive} | {negative} | {auc:.3} |");
        }
        if let Some(phe) = &evaluation.phe_sich {
            let _ = write!(
                text,
                "\n| phe-sich, {} patients, all with a bleed | |\n|---|---|\n\
                 | slice AUC | {:.3} |\n| peak of the map on the lesion | {:.3} |\n\
                 | sensitivity | lower {:.3}, upper {:.3} |\n\
                 | alarms without the bleeding slices and their neighbours | lower {:.3}, upper {:.3} |\n",
                phe.patients,
                phe.slice_auc,
                phe.peak_on_lesion,
                phe.sensitivity_lower,
                phe.sensitivity_upper,
                phe.false_alarms_lower,
                phe.false_alarms_upper
            );
        }
        text.push('\n');
        for (name, what) in FIGURES {
            let _ = writeln!(text, "![{what}]({figures}/{name}.svg)");
        }
        text.push('\n');
    }

    fn first(&self) -> u64 {
        self.evaluation.seeds.first().copied().unwrap_or_default()
    }

    fn robustness(&self, text: &mut String) {
        let Some(robustness) = self.robustness else { return };
        let _ = write!(
            text,
            "## Under other conditions\n\n\
             The scans changed as another hospital, scanner or viewer would change them, asked of the networks of seed {} that were \
             not trained on them (`cargo trainer robustness`). Sensitivity and alarms are of ct-ich at the thresholds above, \
             `phe-sich` is its sensitivity at the upper one, `change` the median change of the probability.\n\n\
             | change of the scan | refused | patient AUC | slice AUC | sensitivity, lower | alarms, upper | phe-sich | change |\n\
             |---|---|---|---|---|---|---|---|\n",
            robustness.seed
        );
        for row in &robustness.rows {
            let phe = row.phe_sich_sensitivity_upper.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"));
            let _ = writeln!(
                text,
                "| {} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {phe} | {:+.3} |",
                row.name,
                row.refused,
                row.patient_auc,
                row.slice_auc,
                row.sensitivity_lower,
                row.false_alarms_upper,
                row.median_change
            );
        }
        let painted = &robustness.painted;
        let _ = write!(
            text,
            "\n{} lesions painted into brains without one: the map peaks on the lesion in {:.3}, in the right hemisphere in {:.3}; \
             {:.3} of the scans reach the lower threshold.\n\n",
            painted.lesions, painted.peak_on_lesion, painted.right_side, painted.sensitivity_lower
        );
    }

    fn reporting(&self, text: &mut String) {
        let recipe = serde_json::to_string_pretty(&self.record.recipe).unwrap_or_default();
        let _ =
            write!(text, "{REPORTING}<details><summary>The recipe</summary>\n\n```json\n{recipe}\n```\n\n</details>\n");
    }
}

fn of_seeds(score: &Score) -> String {
    match score.spread() {
        Some(spread) => format!("{:.3} +- {spread:.3}", score.mean),
        None => format!("{:.3}", score.mean),
    }
}

fn counts(point: OperatingPoint) -> String {
    let (bleed, clean) = (point.true_positives + point.false_negatives, point.true_negatives + point.false_positives);
    format!("sensitivity {} of {bleed}, specificity {} of {clean}", point.true_positives, point.true_negatives)
}

/// What no run can say of its data.
const DATA: &str = "
- **ct-ich**: head trauma, Al Hilla, Iraq, 2018 (Hssayeni et al., Data 2020, 5, 14), 8-bit pictures with the brain window; the published
  training split only. The labels are those of PhysioNet's table: patients 49-53 bleed although the folder says Normal. File numbers,
  whose holes give the label away, are never an input; the order of the slices is the true one. The 24 patients of the published
  validation split were never looked at.
- **phe-sich**, where it is in the table: spontaneous haemorrhage, another hospital (Ma et al. 2023, arXiv 2308.10521). Every patient bleeds, so
  scans whose bleeding slices were cut out stand for patients who do not.
- No patient is in two folds. Network, recipe, patient score and thresholds were chosen on these folds, so the figures are slightly
  optimistic.

";

/// Known failures.
const LIMITS: &str = "## Known failures

- Small bleeds of one to three slices, thin extra-axial blood along the vault, old dark collections and the posterior fossa are missed
  first; the table of subgroups says how often.
- Bright partial volume beside bone and a narrow window raise false alarms.
- No ischaemic stroke, tumour, contrast medium or operated head was learned from; a probability on those means nothing.
- 58 and 63 patients of two hospitals are few. The interval of a figure is the honest reading of it.

";

/// CLAIM and TRIPOD+AI items that the sections above do not hold.
const REPORTING: &str = "## Reporting items (CLAIM 2024, TRIPOD+AI)

| item | |
|---|---|
| study design | retrospective, public data, internal validation by cross-validation; blind evaluation on 24 held-out patients and another hospital is done elsewhere |
| intended use | demonstration of private screening in a browser, teaching, research; not diagnosis, triage or any clinical decision |
| reference standard | ct-ich: two radiologists, a label a slice; phe-sich: masks of the oedema around the clot |
| eligibility | non-contrast axial head CT; what is not one is refused by a gate before the network |
| missing data | slices without enough brain are not looked at and count as without a bleed in the slice AUC |
| sample size | whatever was public; no calculation |
| class imbalance | weights in the loss; probabilities are calibrated to 27 of 58, the share of bleeding patients in ct-ich, which is far above that of a screened population |
| interpretability | the evidence map is what the slice score is pooled from, not an explanation made afterwards |
| fairness | sex and origin are not in the tables that are shipped with the data; age is, as a subgroup |
| code and reproduction | this repository; `cargo trainer reproduce` lists the commands |

";
