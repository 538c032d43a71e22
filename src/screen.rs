//! The whole way for one scan: read, prepare, look, explain. The command line and the page both call it, so that they
//! cannot disagree.

use crate::assess::{answer, gate};
use crate::ingest::{ReadError, ReadProgress, ReadStep, RefusedScan, Scan, ScanPlan};
use crate::network::{Logits, Model, NetworkError};
use crate::preprocess::{NetworkInput, PreprocessError, prepare_stages};
use crate::report::{ModelReport, Outcome, Refusal, SCHEMA_VERSION, ScanReport};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What is going on with a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// Files are being read and decoded.
    Reading {
        /// Slices read.
        done: usize,
        /// Slices of the scan.
        total: usize,
    },
    /// The order of the slices is being found.
    Ordering,
    /// The brain is being found, aligned and resampled.
    Preparing,
    /// The network is running.
    Looking,
    /// The answer is being put together.
    Explaining,
}

/// The person (or the page) asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Clock and listener of a screening: milliseconds come from the platform (wasm has no clock of its own), progress
/// goes to it.
pub struct Watch<'a> {
    now_ms: &'a dyn Fn() -> f64,
    progress: &'a mut dyn FnMut(Step) -> ControlFlow<()>,
    timing_ms: BTreeMap<String, f64>,
    running: Option<(&'static str, f64)>,
}

impl<'a> Watch<'a> {
    /// `now_ms` gives milliseconds since any fixed moment; `progress` is told of each step before it starts, and
    /// cancels the scan by breaking.
    pub fn new(now_ms: &'a dyn Fn() -> f64, progress: &'a mut dyn FnMut(Step) -> ControlFlow<()>) -> Self {
        Self { now_ms, progress, timing_ms: BTreeMap::new(), running: None }
    }

    fn begin(&mut self, step: Step) -> Result<(), Cancelled> {
        let name = match step {
            Step::Reading { .. } => "read",
            Step::Ordering => "order",
            Step::Preparing => "prepare",
            Step::Looking => "network",
            Step::Explaining => "assess",
        };
        if self.running.is_none_or(|(running, _)| running != name) {
            self.end();
            self.running = Some((name, (self.now_ms)()));
        }
        match (self.progress)(step) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Cancelled),
        }
    }

    fn end(&mut self) {
        if let Some((name, since)) = self.running.take() {
            *self.timing_ms.entry(name.to_owned()).or_default() += (self.now_ms)() - since;
        }
    }

    fn take_timing(&mut self) -> BTreeMap<String, f64> {
        self.end();
        std::mem::take(&mut self.timing_ms)
    }
}

/// What the network saw and said: the heat map is drawn from it.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The network input, with its alignment to the volume.
    pub input: NetworkInput,
    /// The raw logits and the evidence map.
    pub logits: Logits,
}

/// A scan after the whole way.
#[derive(Clone, Debug)]
pub struct Screened {
    /// The report, complete whether the scan was answered or refused.
    pub report: ScanReport,
    /// Missing when the scan was refused before the network ran.
    pub evidence: Option<Evidence>,
}

/// The report of a scan that could not even be read.
pub fn refused_report(refused: &RefusedScan) -> ScanReport {
    let mut report = empty_report(&refused.name, refused.sources.clone());
    report.refusal = Some(refused.refusal.clone());
    report
}

/// Reads a scan; the time goes to `read` and `order` of the report that [`screen`] writes with the same watch.
///
/// A refusal comes back as its report.
///
/// # Errors
/// [`Cancelled`] if the listener broke off.
pub fn read(plan: &ScanPlan, watch: &mut Watch<'_>) -> Result<Result<Scan, Box<ScanReport>>, Cancelled> {
    let read = plan.read(&mut |ReadProgress { step, done, total }| {
        let step = match step {
            ReadStep::Reading => Step::Reading { done, total },
            ReadStep::Ordering => Step::Ordering,
        };
        match watch.begin(step) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Cancelled) => ControlFlow::Break(()),
        }
    });
    watch.end();
    match read {
        Ok(scan) => Ok(Ok(scan)),
        Err(ReadError::Cancelled) => Err(Cancelled),
        Err(ReadError::Refused(refused)) => {
            let mut report = refused_report(&refused);
            report.timing_ms = watch.take_timing();
            Ok(Err(Box::new(report)))
        }
    }
}

/// Prepares, checks, looks at and explains a scan that was read, on the device that holds the model.
///
/// What is not a head CT, or cannot be prepared, comes back as a refused report.
///
/// # Errors
/// [`Cancelled`] if the listener broke off.
pub async fn screen(scan: &Scan, model: &Model, backend: &str, watch: &mut Watch<'_>) -> Result<Screened, Cancelled> {
    let infer = async |input: &NetworkInput| Ok((model.infer(input).await?, backend.to_owned()));
    screen_with(scan, model, infer, watch).await
}

/// As [`screen`], with the network run by `infer`, which gives the logits and names the backend that computed them: the
/// page runs it on a GPU elsewhere, and falls back to the CPU within the same scan.
///
/// # Errors
/// [`Cancelled`] if the listener broke off.
pub async fn screen_with<F>(scan: &Scan, model: &Model, infer: F, watch: &mut Watch<'_>) -> Result<Screened, Cancelled>
where
    F: AsyncFnOnce(&NetworkInput) -> Result<(Logits, String), NetworkError>,
{
    let mut report = empty_report(&scan.name, scan.slices.iter().map(|slice| slice.path.clone()).collect());
    report.warnings.clone_from(&scan.warnings);
    report.model = Some(ModelReport {
        name: model.header().name.clone(),
        version: model.header().version.clone(),
        sha256: model.sha256().to_owned(),
    });
    let evidence = match look(scan, model, infer, &mut report, watch).await? {
        Ok(evidence) => Some(evidence),
        Err(refusal) => {
            report.refusal = Some(refusal);
            None
        }
    };
    report.timing_ms = watch.take_timing();
    Ok(Screened { report, evidence })
}

async fn look<F>(
    scan: &Scan,
    model: &Model,
    infer: F,
    report: &mut ScanReport,
    watch: &mut Watch<'_>,
) -> Result<Result<Evidence, Refusal>, Cancelled>
where
    F: AsyncFnOnce(&NetworkInput) -> Result<(Logits, String), NetworkError>,
{
    let Some(calibration) = &model.header().calibration else {
        return Ok(Err(Refusal::new(
            "model_not_calibrated",
            "These weights were never evaluated, so their scores mean no probability. Choose other weights, or finish \
             their training with `cargo trainer evaluate`.",
        )));
    };

    watch.begin(Step::Preparing)?;
    let prepared = prepare_stages(&scan.volume, &model.header().preprocess);
    let gate = gate::check(&scan.volume, prepared.as_ref());
    report.warnings.extend(gate.warnings);
    if let Some(refusal) = gate.refusal {
        return Ok(Err(refusal));
    }
    let preparation = match prepared {
        Ok(preparation) => preparation,
        Err(error) => return Ok(Err(unprepared(&error))),
    };
    report.warnings.extend(preparation.warnings());
    let input = preparation.input;

    watch.begin(Step::Looking)?;
    let logits = match infer(&input).await {
        Ok((logits, backend)) => {
            report.backend = Some(backend);
            logits
        }
        Err(error) => return Ok(Err(Refusal::new("network_failed", format!("The network failed: {error}.")))),
    };

    watch.begin(Step::Explaining)?;
    let answer = answer(scan, &input, &logits, calibration);
    report.outcome = Outcome::Classified;
    report.probability = Some(answer.probability);
    report.finding = Some(answer.finding);
    report.slices = answer.slices;
    Ok(Ok(Evidence { input, logits }))
}

fn unprepared(error: &PreprocessError) -> Refusal {
    let code = match error {
        PreprocessError::NoBrain { .. } => "no_brain",
        PreprocessError::TooManySlices { .. } => "too_many_slices",
        PreprocessError::TooFewSlices { .. } => "too_few_slices",
    };
    Refusal::new(code, error.to_string())
}

fn empty_report(scan: &str, sources: Vec<String>) -> ScanReport {
    ScanReport {
        schema: SCHEMA_VERSION,
        scan: scan.to_owned(),
        sources,
        patient_hash: None,
        outcome: Outcome::Refused,
        probability: None,
        finding: None,
        slices: Vec::new(),
        warnings: Vec::new(),
        refusal: None,
        model: None,
        backend: None,
        timing_ms: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn time_goes_to_the_step_that_ran() {
        let clock = Cell::new(0.0);
        let now = || clock.get();
        let mut progress = |_| ControlFlow::Continue(());
        let mut watch = Watch::new(&now, &mut progress);
        watch.begin(Step::Reading { done: 0, total: 2 }).unwrap();
        clock.set(3.0);
        watch.begin(Step::Reading { done: 1, total: 2 }).unwrap();
        clock.set(5.0);
        watch.begin(Step::Preparing).unwrap();
        clock.set(12.0);
        let timing = watch.take_timing();
        assert_eq!(timing["read"], 5.0);
        assert_eq!(timing["prepare"], 7.0);
    }

    #[test]
    fn breaking_off_cancels() {
        let mut progress = |_| ControlFlow::Break(());
        assert_eq!(Watch::new(&|| 0.0, &mut progress).begin(Step::Preparing), Err(Cancelled));
    }
}
