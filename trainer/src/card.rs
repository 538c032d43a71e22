//! `card`: the model card of a weights file, from the run that made it.

use crate::Outcome;
use crate::data::{CaseRecord, FOLDS, Source};
use crate::evaluate::{Evaluation, Score, by_seed, evaluate};
use crate::robustness::Robustness;
use crate::run::{Prediction, RunRecord, file_error, read_json};
use crate::train::DataArgs;
use ictus::assess::OperatingPoint;
use ictus::network::{Model, ModelHeader};
use std::collections::BTreeMap;
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
    #[command(flatten)]
    data: DataArgs,
}

/// Writes the card.
pub(crate) fn run(args: &Args) -> Outcome {
    let record: RunRecord = read_json(&args.run.join("run.json"))?;
    let runs = by_seed(&args.run)?;
    let types = args.data.bleed_types()?;
    let Some(evaluation) = evaluate(&runs, types.as_ref())? else {
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
    let card = Card {
        record: &record,
        runs: &runs,
        evaluation: &evaluation,
        by_type: types.is_some(),
        robustness: robustness.as_ref(),
        model: &model,
    };
    let text = card.write(bytes.len(), &args.figures.display().to_string());
    crate::files::write_whole(&args.output, text.as_bytes()).map_err(|error| file_error(&args.output, &error))?;
    println!("{}", args.output.display());
    Ok(ExitCode::SUCCESS)
}

struct Card<'a> {
    record: &'a RunRecord,
    runs: &'a BTreeMap<u64, Vec<Prediction>>,
    evaluation: &'a Evaluation,
    by_type: bool,
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
             | input | brain only, aligned on its mirror axis, Hounsfield units relative to the brain's median (preprocessing version {}){} |\n\
             | licence | {} |\n\n",
            header.name,
            header.version,
            self.model.sha256(),
            header.input_shape[1],
            header.input_shape[2],
            flop as f64 / 1e9,
            header.preprocess.version,
            header.preprocess.contrast_hu.map_or_else(String::new, |[low, high]| format!(
                "; learned from as it is, asked with the contrast of the brain brought to {low} to {high} HU"
            )),
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
        self.partitions(text);
    }

    /// Who is in which fold.
    fn partitions(&self, text: &mut String) {
        let cases: Vec<&CaseRecord> = self.runs.values().next().into_iter().flatten().map(|p| &p.record).collect();
        text.push_str(
            "| ct-ich | patients | with a bleed | with a fracture | under 18 | median age | slices | with a bleed | looked at |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        let mut line = |name: &str, belongs: &dyn Fn(&CaseRecord) -> bool| {
            let chosen: Vec<&CaseRecord> =
                cases.iter().copied().filter(|case| case.source == Source::CtIch && belongs(case)).collect();
            let count = |has: &dyn Fn(&CaseRecord) -> bool| chosen.iter().filter(|case| has(case)).count();
            let sum = |of: &dyn Fn(&CaseRecord) -> usize| chosen.iter().map(|case| of(case)).sum::<usize>();
            let mut ages: Vec<f32> = chosen.iter().filter_map(|case| case.age_years).collect();
            ages.sort_by(f32::total_cmp);
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
                chosen.len(),
                count(&CaseRecord::positive),
                count(&|case| case.fracture),
                count(&|case| case.age_years.is_some_and(|age| age < 18.0)),
                ages.get(ages.len() / 2).map_or_else(|| "-".to_owned(), |age| format!("{age:.0}")),
                sum(&|case| case.labels.len()),
                sum(&|case| case.labels.iter().filter(|&&label| label).count()),
                sum(&|case| case.kept_labels().len()),
            );
        };
        for fold in 0..FOLDS {
            line(&format!("fold {fold}"), &|case| case.fold == fold);
        }
        line("all", &|_| true);
        text.push('\n');
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
        self.calibration(text);
        self.subgroups(text);
        if let Some(phe) = &evaluation.phe_sich {
            let _ = write!(
                text,
                "\n| phe-sich, {} patients, all with a bleed | |\n|---|---|\n\
                 | slice AUC | {:.3} |\n| peak of the map on the lesion | {:.3} |\n\
                 | sensitivity | lower {:.3}, upper {:.3} |\n\
                 | alarms without the bleeding slices and their neighbours | lower {:.3}, upper {:.3} |\n\
                 | the same, as if the slices cut out looked like the rest: nearer to what a whole scan of that hospital without a bleed does | lower {:.3}, upper {:.3} |\n",
                phe.patients,
                phe.slice_auc,
                phe.peak_on_lesion,
                phe.sensitivity_lower,
                phe.sensitivity_upper,
                phe.false_alarms_lower,
                phe.false_alarms_upper,
                phe.false_alarms_filled_lower,
                phe.false_alarms_filled_upper
            );
        }
        text.push('\n');
        for (name, what) in FIGURES {
            let _ = writeln!(text, "![{what}]({figures}/{name}.svg)");
        }
        text.push('\n');
    }

    fn calibration(&self, text: &mut String) {
        let quality = &self.evaluation.quality;
        text.push_str(
            "\n### Are the probabilities right?\n\n\
             Before calibration: the logistic function of the patient score. After: each patient by a calibration fitted on the other folds. \
             Intervals are of a patient bootstrap; drawing patients again makes a calibration error larger, so its interval leans upwards.\n\n\
             | ct-ich | before | after |\n|---|---|---|\n",
        );
        for (name, before, after) in [
            ("Brier score", quality.brier_before, quality.brier_after),
            ("expected calibration error, five groups of equal size", quality.error_before, quality.error_after),
        ] {
            let cell = |[value, low, high]: [f64; 3]| format!("{value:.3} [{low:.3}-{high:.3}]");
            let _ = writeln!(text, "| {name} | {} | {} |", cell(before), cell(after));
        }
        if let Some(bounds) = self.evaluation.calibration.bounds {
            let _ = writeln!(
                text,
                "\nNo answer is surer than {:.1} % or {:.1} %: of n patients beyond a score, of whom k bleed, the next one bleeds with \
                 probability (k + 1) / (n + 2), and no score of these patients gives more than that. A slice is never surer of \
                 blood than {:.1} % either.",
                100.0 * bounds.lowest,
                100.0 * bounds.highest,
                100.0 * bounds.highest
            );
        }
    }

    fn subgroups(&self, text: &mut String) {
        text.push_str(
            "\n### Subgroups\n\n\
             Patient AUC by the shipped score, with the interval of a patient bootstrap of the mean logits, and how many of those with a bleed \
             reach the lower threshold (first seed, calibration and threshold of the other folds).\n\n\
             | subgroup | with | without | AUC | found |\n|---|---|---|---|---|\n",
        );
        for group in &self.evaluation.subgroups {
            let with = group.positive;
            let _ = writeln!(
                text,
                "| {} | {with} | {} | {} | {} of {with} |",
                group.name,
                group.negative,
                group.area(),
                group.reach_lower
            );
        }
        text.push_str(if self.by_type {
            "\nA patient with several types is in the row of each. "
        } else {
            "\nTypes of bleed: the table of ct-ich was not there when this was written. "
        });
        text.push_str(
            "By sex: no figure, because neither set says the sex of its patients (of ct-ich only totals are published, from which sex \
             alone reaches an AUC of .77). By origin: none either; each set is of one hospital.\n",
        );
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
             `phe-sich` is its sensitivity at the upper one, `cut` its alarms there without the bleeding slices and their neighbours, \
             `change` the median change of the probability.\n\n\
             | change of the scan | refused | patient AUC | slice AUC | sensitivity, lower | alarms, upper | phe-sich | cut | change |\n\
             |---|---|---|---|---|---|---|---|---|\n",
            robustness.seed
        );
        for row in &robustness.rows {
            let [phe, cut] = row.phe_sich();
            let _ = writeln!(
                text,
                "| {} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {phe} | {cut} | {:+.3} |",
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
- Bright partial volume beside bone raises false alarms; thick slices do too, and missing ones and a wide window hide bleeds.
- No ischaemic stroke, tumour, contrast medium or operated head was learned from; a probability on those means nothing.
- 58 and 63 patients of two hospitals are few. The interval of a figure is the honest reading of it.

";

/// The items of both checklists: where they are, or what is to be said.
const REPORTING: &str = "## Reporting items

C: item of CLAIM 2024 (Tejani et al., Radiology: Artificial Intelligence 2024), T: item of TRIPOD+AI (Collins et al., BMJ 2024).

| C | T | item | |
|---|---|---|---|
| 1, 2 | 1, 2 | title, abstract | the table at the top; development and internal validation of a diagnostic model |
| 3 | 3 | background | a private second look at a head CT where no radiologist is at hand; one hospital each, one of them with children and infants |
| 4, 6 | 4 | objective | probability of intracranial haemorrhage on a non-contrast head CT, the slices and the place |
| 5 | 5 | design | retrospective, public data; no new data were collected |
| 7 | 5 | sources | section Data; ct-ich 2018, phe-sich as published in 2023 |
| 8, 35 | 6, 20 | eligibility, flow | ct-ich: 82 patients were published, the 58 of the published training split were used, none was left out; phe-sich: the 63 patients that are here. What is no axial head CT is refused before the network |
| 9 | 7 | preparation | preprocessing version in the table at the top; steps in `src/preprocess`; the same code prepares a scan on the page |
| 10 | 9 | predictors | the pixels of the slices alone; no age, sex, file number or header field |
| 11 | 17 | de-identification, ethics | done and approved as the two publications say; the page sends nothing anywhere |
| 12 | 11 | missing data | slices without enough brain are not looked at and count as without a bleed in the slice AUC; holes in a stack are closed in true order |
| 13 | 5 | acquisition | ct-ich: slices of about 5 mm, saved as 8-bit pictures with level 40, width 120; phe-sich: 8-bit pictures; scanners and kernels are not given |
| 14, 15 | 8 | reference standard | what a radiologist sees on the same slices; no surgery, follow-up or second modality |
| 16, 17 | 8 | annotation | ct-ich: two radiologists, a label a slice; phe-sich: masks of the oedema around the clot |
| 18 | 8 | raters | agreement between raters is not given with the labels; not measured here |
| 19, 20 | 12 | partitions | five fixed folds by patient, stratified by the label; the blind test is done elsewhere on patients who are not here |
| 21 | 10 | sample size | whatever was public; no calculation. An AUC of .9 on 27 and 31 patients has an interval of about +-.08 |
| 22 | 12, 22 | model | `cargo trainer layers`; the weights file holds architecture, preprocessing, calibration and thresholds |
| 23 | 12 | software | Rust, burn 0.22; versions in `Cargo.lock` |
| 24 | 12 | initialisation | random from the seed; no pretraining |
| 25 | 12 | training | the recipe below: losses, augmentation, painted lesions, optimizer |
| 26 | 12 | selection | the average of the weights at the end of training; no epoch is chosen by its figures |
| 27 | 12 | ensembles | none: one network ships |
| - | 13 | class imbalance | weights in the loss; probabilities are calibrated to 27 of 58, the share of bleeding patients in ct-ich, far above that of people who are screened |
| - | 14 | fairness | subgroups by age; sex and origin are not in the data |
| - | 15 | output | a probability, two thresholds and words for the three ranges; section Out of fold |
| - | 16 | training against evaluation | the same hospitals; the section Under other conditions stands in for others until the blind test |
| 28, 29 | 12 | figures and intervals | AUC by ranks, Brier score, calibration error, counts at the thresholds; intervals by patient bootstrap, spread over seeds |
| 30 | 12, 23 | robustness | section Under other conditions |
| 31 | 12 | interpretability | the evidence map is what the slice score is pooled from, not an explanation made afterwards; its peak is compared with the lesion on phe-sich |
| 32, 37, 38 | 23 | performance | section Out of fold; readers were not compared |
| 33 | 23 | external testing | none yet: 24 held-out patients and scans of other hospitals are judged blind elsewhere |
| 34 | 18 | registration | none |
| 36 | 20 | participants by partition | table of folds |
| - | 21 | numbers in development | section Data |
| - | 24 | updating | none; a later file has another version and another card |
| 39 | 23 | failures | section Known failures, subgroups by size and type of the bleed |
| 40 | 26 | limitations | two hospitals, few patients, labels a slice, no ischaemic stroke; the folds chose recipe and score |
| 41 | 25, 27 | use | demonstration of private screening in a browser, teaching, research; not diagnosis, triage or any clinical decision |
| 42 | 18 | protocol | none was registered; recipes, seeds and commands are in this repository |
| 43 | 18 | availability | code and weights here (`cargo trainer reproduce`); the data from their publishers |
| 44 | 18 | funding, interests | none |
| - | 19 | patients and public | not involved |

";
