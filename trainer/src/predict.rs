//! `predict`: the whole way for every scan of every path, a JSON object a scan.

use crate::Outcome;
use crate::device::DeviceChoice;
use crate::drop::{discover_path, exit_code};
use crate::salt::SaltArgs;
use ictus::ingest::{Salt, ScanPlan};
use ictus::network::Model;
use ictus::report::{Finding, Outcome as ScanOutcome, ScanReport};
use ictus::screen::{self, Cancelled, Watch};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

/// Scans and the weights to look at them with.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files and folders; each one is a drop of its own, and may hold several scans.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Weights file.
    #[arg(long, default_value = "www/models/compact.safetensors")]
    model: PathBuf,
    /// Print one JSON object a scan, a line each (docs/report.md), instead of a sentence.
    #[arg(long)]
    json: bool,
    /// What computes.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    #[command(flatten)]
    salt: SaltArgs,
    /// Answer only a part of the scans, such as 2/5: five processes with 1/5 to 5/5 and the same paths answer each scan once,
    /// and their lines together are those of one process.
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<Shard>,
}

/// One part of a batch that several processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    /// From 1.
    part: usize,
    parts: usize,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading `{text}` as a part of a batch: write the number of the part and of all parts, from 1/5 to 5/5")]
struct NoShard {
    text: String,
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let numbers = text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
        match numbers {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Self { part, parts }),
            _ => Err(NoShard { text: text.to_owned() }),
        }
    }
}

impl Shard {
    /// Whether the scan at this place of the batch, from 0, is in this part. Neighbours go to different parts, because the scans
    /// of one folder are often alike in size.
    fn takes(self, place: usize) -> bool {
        place % self.parts == self.part - 1
    }
}

#[derive(Debug, thiserror::Error)]
#[error("reading the weights file {}: train one with `cargo trainer train`, or name one with --model", path.display())]
struct WeightsMissing {
    path: PathBuf,
    source: std::io::Error,
}

/// Largest difference from the answers of the self-test.
const SELF_TEST: f32 = 1e-4;

#[derive(Debug, thiserror::Error)]
#[error("testing the device {backend}: its answers are off by {difference}; use --device cpu")]
struct Untrusted {
    backend: &'static str,
    difference: f32,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let bytes = std::fs::read(&args.model).map_err(|source| WeightsMissing { path: args.model.clone(), source })?;
    let (device, backend) = args.device.open()?;
    let model = Model::from_bytes(&bytes, &device)?;
    // Kernels of a graphics card can be wrong without an error: none is trusted before it has given the answer of the file.
    let difference = burn::tensor::try_read_sync(model.self_test()).unwrap_or(Ok(f32::INFINITY))?;
    if difference.is_nan() || difference > SELF_TEST {
        return Err(Box::new(Untrusted { backend, difference }));
    }
    let salt = args.salt.salt()?;
    let mut out = std::io::stdout().lock();
    let (mut read, mut refused, mut place) = (0, 0, 0);
    for path in &args.paths {
        let discovery = discover_path(path);
        for found in discovery.scans.iter().map(Ok).chain(discovery.refused.iter().map(Err)) {
            let taken = args.shard.is_none_or(|shard| shard.takes(place));
            place += 1;
            if !taken {
                continue;
            }
            let report = match found {
                Ok(plan) => answer(plan, &model, backend, &salt)?,
                Err(unread) => screen::refused_report(unread),
            };
            match report.outcome {
                ScanOutcome::Classified => read += 1,
                ScanOutcome::Refused => refused += 1,
            }
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&report)?)?;
            } else {
                writeln!(out, "{}", sentence(&report))?;
            }
        }
    }
    // A batch may have fewer scans than parts.
    let nothing_to_do = args.shard.is_some() && place > 0 && read + refused == 0;
    Ok(if nothing_to_do { ExitCode::SUCCESS } else { exit_code(read, refused) })
}

/// Nothing cancels on the command line, but the library may.
fn answer(plan: &ScanPlan, model: &Model, backend: &str, salt: &Salt) -> Result<ScanReport, Cancelled> {
    let start = Instant::now();
    let now_ms = || start.elapsed().as_secs_f64() * 1000.0;
    let mut progress = |_| ControlFlow::Continue(());
    let mut watch = Watch::new(&now_ms, &mut progress);
    let mut report = match screen::read(plan, &mut watch)? {
        Ok(scan) => pollster::block_on(screen::screen(&scan, model, backend, &mut watch))?.report,
        Err(report) => *report,
    };
    report.patient_hash = plan.patient().map(|patient| patient.hash(salt));
    Ok(report)
}

/// A probability as the page words it.
fn percent(probability: f32) -> String {
    if probability < 0.01 {
        "under 1 %".to_owned()
    } else if probability > 0.99 {
        "over 99 %".to_owned()
    } else {
        format!("{:.0} %", probability * 100.0)
    }
}

/// The answer for a person at a terminal.
fn sentence(report: &ScanReport) -> String {
    let warnings =
        report.warnings.iter().fold(String::new(), |text, warning| text + "\n  warning: " + &warning.message);
    let answer = match (&report.refusal, report.probability, report.finding) {
        (Some(refusal), ..) => format!("not answered: {}", refusal.message),
        (None, Some(probability), Some(finding)) => {
            let words = match finding {
                Finding::BleedingLikely => "bleeding likely",
                Finding::Uncertain => "uncertain",
                Finding::NoBleedingSeen => "no bleeding seen",
            };
            let highest = report
                .slices
                .iter()
                .filter_map(|slice| slice.probability.map(|probability| (probability, slice)))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map_or_else(String::new, |(_, slice)| format!(", most suspicious slice {}", slice.source));
            format!("{words}, probability {}{highest}", percent(probability))
        }
        _ => "not answered".to_owned(),
    };
    format!("{}: {answer}{warnings}", report.scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_batch_take_every_scan_once() {
        for parts in 1..=7 {
            for place in 0..20 {
                assert_eq!((1..=parts).filter(|&part| Shard { part, parts }.takes(place)).count(), 1);
            }
        }
    }

    #[test]
    fn a_part_is_written_as_a_number_of_all() {
        assert_eq!("2/5".parse(), Ok(Shard { part: 2, parts: 5 }));
        for text in ["", "2", "0/5", "6/5", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert_eq!(text.parse::<Shard>(), Err(NoShard { text: text.to_owned() }));
        }
    }

    #[test]
    fn a_percentage_is_never_nothing_or_all() {
        let words = [0.0, 0.0099, 0.01, 0.437, 0.99, 0.9901, 1.0].map(percent);
        assert_eq!(words, ["under 1 %", "under 1 %", "1 %", "44 %", "99 %", "over 99 %", "over 99 %"]);
    }
}
