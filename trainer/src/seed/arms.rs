//! The arms side by side: AUC and loss over the epochs, training and validation.

use super::SeedError;
use crate::learn::epoch::EpochFigures;
use plotters::prelude::*;
use std::path::{Path, PathBuf};

/// A colour an arm, told apart by people who do not see red and green as two (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
];

/// A figure of an epoch.
type FigureOf = fn(&EpochFigures) -> f64;

/// The four panels: title, figure, whether it is a share.
const PANELS: [(&str, FigureOf, bool); 4] = [
    ("AUC, training", |epoch| epoch.train.auc, true),
    ("AUC, validation", |epoch| epoch.validation.auc, true),
    ("loss, training", |epoch| epoch.train.loss, false),
    ("loss, validation", |epoch| epoch.validation.loss, false),
];

/// What an arm did on each of its folds.
pub(super) struct Arm {
    /// Name of the run.
    pub(super) name: String,
    /// Epochs of each training.
    pub(super) folds: Vec<Vec<EpochFigures>>,
    /// Patient logit of the kept epoch and the true label, of the patients of each training who were left out.
    pub(super) kept: Vec<Vec<(f32, bool)>>,
}

impl Arm {
    /// A figure of each epoch, mean over the trainings that came so far.
    fn mean(&self, figure: FigureOf) -> Vec<f64> {
        let longest = self.folds.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest)
            .map(|epoch| {
                let values: Vec<f64> = self.folds.iter().filter_map(|fold| fold.get(epoch)).map(figure).collect();
                values.iter().sum::<f64>() / values.len() as f64
            })
            .collect()
    }
}

/// Reads the figures of all trainings of some runs.
pub(super) fn read(runs: &[PathBuf]) -> Result<Vec<Arm>, SeedError> {
    runs.iter().map(|run| arm(run)).collect()
}

fn arm(run: &Path) -> Result<Arm, SeedError> {
    let wrong = |what: &str| SeedError::Run { run: run.display().to_string(), what: what.to_owned() };
    let jobs = crate::run::Job::done(run).map_err(|error| wrong(&error.to_string()))?;
    let (mut folds, mut kept) = (Vec::new(), Vec::new());
    for job in jobs.into_iter().filter(|job| job.fold.is_some()) {
        let path = job.folder(run).join("epochs.csv");
        let table = std::fs::read_to_string(&path)
            .map_err(|source| SeedError::File { path: path.display().to_string(), source })?;
        folds.push(EpochFigures::read(&table).ok_or_else(|| wrong("epochs.csv is no table of epochs"))?);
        let predictions = job.predictions(run).map_err(|error| wrong(&error.to_string()))?;
        kept.push(predictions.iter().map(|p| (p.patient, p.record.positive())).collect());
    }
    if folds.iter().all(Vec::is_empty) {
        return Err(wrong("no training of a fold is done"));
    }
    let name = run.file_name().and_then(|name| name.to_str()).unwrap_or("run");
    Ok(Arm { name: name.to_owned(), folds, kept })
}

/// Draws all arms as SVG.
///
/// # Errors
/// What plotters says.
pub(super) fn draw(arms: &[Arm]) -> Result<String, String> {
    let epochs = arms.iter().flat_map(|arm| &arm.folds).map(Vec::len).max().unwrap_or(0).max(2);
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, (900, 640)).into_drawing_area();
        area.fill(&WHITE)?;
        for (place, (title, figure, share)) in area.split_evenly((2, 2)).iter().zip(PANELS) {
            let curves: Vec<Vec<f64>> = arms.iter().map(|arm| arm.mean(figure)).collect();
            // A loss that runs away in one epoch would flatten all others.
            let mut losses: Vec<f64> = curves.iter().flatten().copied().collect();
            losses.sort_by(f64::total_cmp);
            let high = losses.get(losses.len() * 19 / 20).copied().unwrap_or(1.0).max(0.1) * 1.3;
            let range = if share { 0.0..1.0 } else { 0.0..high };
            let mut chart = ChartBuilder::on(place)
                .caption(title, ("sans-serif", 16))
                .margin(8)
                .x_label_area_size(34)
                .y_label_area_size(42)
                .build_cartesian_2d(1.0..epochs as f64, range)?;
            chart.configure_mesh().x_desc("epoch").max_light_lines(1).draw()?;
            if share {
                chart.draw_series(LineSeries::new([(1.0, 0.5), (epochs as f64, 0.5)], BLACK.mix(0.3)))?;
            }
            for ((arm, curve), colour) in arms.iter().zip(curves).zip(COLOURS.iter().cycle()) {
                let points = curve.into_iter().enumerate().map(|(epoch, value)| ((epoch + 1) as f64, value));
                let colour = *colour;
                chart
                    .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                    .label(&arm.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            }
            chart
                .configure_series_labels()
                .position(if share { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight })
                .background_style(WHITE.mix(0.8))
                .draw()?;
        }
        area.present()
    })();
    drawn.map_err(|error: DrawingAreaErrorKind<_>| error.to_string())?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::epoch::Figures;

    #[test]
    fn a_curve_is_the_mean_of_the_folds_that_came_so_far() {
        let epoch = |auc| EpochFigures { validation: Figures { auc, ..Figures::default() }, ..EpochFigures::default() };
        let arm = Arm {
            name: "none".into(),
            folds: vec![vec![epoch(0.5), epoch(0.7), epoch(0.9)], vec![epoch(0.6), epoch(0.8)]],
            kept: Vec::new(),
        };
        let mean = arm.mean(|epoch| epoch.validation.auc);
        assert!(mean.iter().zip([0.55, 0.75, 0.9]).all(|(a, b)| (a - b).abs() < 1e-12), "{mean:?}");
        let svg = draw(&[arm]).unwrap();
        for title in ["AUC, training", "AUC, validation", "loss, training", "loss, validation", "none"] {
            assert!(svg.contains(title), "{title}");
        }
    }

    #[test]
    fn a_run_without_folds_is_no_arm() {
        let folder = std::env::temp_dir().join(format!("ictus-arm-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(matches!(arm(&folder), Err(SeedError::Run { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
