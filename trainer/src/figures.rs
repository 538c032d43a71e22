//! Drawings of a run, as SVG.

use crate::data::Source;
use crate::evaluate::{Evaluation, patients, shipped};
use crate::metrics::{precision_recall, reliability, roc};
use crate::run::{Prediction, RunError, file_error};
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Bootstrap curves that make the band.
const CURVES: usize = 500;
/// Places along the axis where the band is drawn.
const STEPS: usize = 50;

type Points = Vec<(f64, f64)>;

/// Draws ROC, precision and recall, reliability, scores, and the losses of all trainings.
pub(crate) fn draw(
    folder: &Path,
    runs: &BTreeMap<u64, Vec<Prediction>>,
    evaluation: &Evaluation,
) -> Result<(), RunError> {
    let by_seed: Vec<Vec<(f32, bool)>> =
        runs.values().map(|predictions| patients(predictions, Source::CtIch, shipped)).collect();
    let calibrated = &evaluation.probabilities;

    let curves: Vec<Points> = by_seed.iter().map(|scores| roc(scores)).collect();
    let band = roc_band(by_seed.first().map_or(&[], Vec::as_slice));
    unit_plot(
        &folder.join("roc.svg"),
        "ROC, patients of ct-ich, out of fold",
        ["1 - specificity", "sensitivity"],
        &curves,
        &band,
    )?;
    let curves: Vec<Points> = by_seed.iter().map(|scores| precision_recall(scores)).collect();
    unit_plot(
        &folder.join("precision-recall.svg"),
        "Precision and recall, out of fold",
        ["recall", "precision"],
        &curves,
        &[],
    )?;
    let groups: Points = reliability(calibrated, 6).into_iter().map(|(mean, share, _)| (mean, share)).collect();
    let path = folder.join("reliability.svg");
    unit_plot(&path, "Reliability, out of fold", ["calibrated probability", "share with a bleed"], &[groups], &[])?;
    histogram(&folder.join("scores.svg"), calibrated)
}

/// The middle 95 % of ROC curves over bootstrap samples of the patients: the outline of the band.
fn roc_band(scores: &[(f32, bool)]) -> Points {
    let mut random = ictus::network::SplitMix64::new(1);
    let mut at_step: Vec<Vec<f64>> = vec![Vec::new(); STEPS + 1];
    for _ in 0..CURVES {
        let drawn: Vec<(f32, bool)> =
            (0..scores.len()).filter_map(|_| scores.get(random.below(scores.len())).copied()).collect();
        let curve = roc(&drawn);
        for (step, values) in at_step.iter_mut().enumerate() {
            let x = step as f64 / STEPS as f64;
            let reached = curve.iter().filter(|point| point.0 <= x).map(|point| point.1).fold(0.0, f64::max);
            values.push(reached);
        }
    }
    let edge = |share: f64| {
        let points = at_step.iter().enumerate().filter_map(move |(step, values)| {
            let mut values = values.clone();
            values.sort_by(f64::total_cmp);
            let value = *values.get((share * (values.len().max(1) - 1) as f64) as usize)?;
            Some((step as f64 / STEPS as f64, value))
        });
        points.collect::<Points>()
    };
    let mut outline = edge(0.025);
    outline.extend(edge(0.975).into_iter().rev());
    outline
}

/// Curves in the unit square, the diagonal, and a band.
fn unit_plot(
    path: &Path,
    title: &str,
    axes: [&str; 2],
    curves: &[Points],
    band: &[(f64, f64)],
) -> Result<(), RunError> {
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, (520, 520)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart.configure_mesh().x_desc(axes[0]).y_desc(axes[1]).draw()?;
        chart.draw_series(std::iter::once(Polygon::new(band.to_vec(), BLUE.mix(0.12))))?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.3)))?;
        for curve in curves {
            chart.draw_series(LineSeries::new(curve.iter().copied(), BLUE.stroke_width(2)))?;
        }
        area.present()
    })();
    keep(path, drawn.map_err(|error: DrawingAreaErrorKind<_>| error.to_string()), &svg)
}

/// Calibrated probabilities of patients with and without a bleed.
fn histogram(path: &Path, scores: &[(f32, bool)]) -> Result<(), RunError> {
    const BARS: usize = 10;
    let count = |positive: bool, bar: usize| {
        let inside = |p: f32| ((p * BARS as f32) as usize).min(BARS - 1) == bar;
        scores.iter().filter(|&&(p, label)| label == positive && inside(p)).count() as f64
    };
    let highest = (0..BARS).flat_map(|bar| [count(true, bar), count(false, bar)]).fold(1.0, f64::max);
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, (640, 400)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Probabilities, out of fold: with a bleed (right, red), without (left, blue)", ("sans-serif", 16))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..1.0, 0.0..highest * 1.1)?;
        chart.configure_mesh().x_desc("calibrated probability").y_desc("patients, all seeds").draw()?;
        for (positive, colour, start) in [(false, BLUE, 0.1), (true, RED, 0.5)] {
            chart.draw_series((0..BARS).map(|bar| {
                let left = (bar as f64 + start) / BARS as f64;
                let corners = [(left, 0.0), (left + 0.4 / BARS as f64, count(positive, bar))];
                Rectangle::new(corners, colour.mix(0.7).filled())
            }))?;
        }
        area.present()
    })();
    keep(path, drawn.map_err(|error: DrawingAreaErrorKind<_>| error.to_string()), &svg)
}

/// Draws the losses of a training.
pub(crate) fn losses(path: &Path, losses: &[crate::learn::fit::EpochLoss]) -> Result<(), RunError> {
    let highest = losses.iter().map(|loss| loss.total).fold(0.1_f32, f32::max);
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, (640, 400)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Losses: all, slices, patients, map", ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(48)
            .build_cartesian_2d(1.0..losses.len().max(2) as f32, 0.0..highest)?;
        chart.configure_mesh().x_desc("epoch").draw()?;
        let series: [(LossOf, RGBColor); 4] = [
            (|loss| loss.total, BLACK),
            (|loss| loss.slice, BLUE),
            (|loss| loss.patient, RED),
            (|loss| loss.pixel, GREEN),
        ];
        for (value, colour) in series {
            let points = losses.iter().enumerate().map(|(epoch, loss)| ((epoch + 1) as f32, value(loss)));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        }
        area.present()
    })();
    keep(path, drawn.map_err(|error: DrawingAreaErrorKind<_>| error.to_string()), &svg)
}

/// One of the losses of an epoch.
type LossOf = fn(&crate::learn::fit::EpochLoss) -> f32;

fn keep(path: &Path, drawn: Result<(), String>, svg: &str) -> Result<(), RunError> {
    drawn.map_err(|error| file_error(path, &error))?;
    crate::files::write_whole(path, svg.as_bytes()).map_err(|error| file_error(path, &error))
}
