//! Command line of ictus: one file a command.

mod card;
mod data;
mod device;
mod drop;
mod evaluate;
mod export;
mod figures;
mod files;
mod import;
mod inspect;
mod layers;
mod learn;
mod metrics;
mod onnx;
mod perturb;
mod phantom;
mod predict;
mod progress;
mod reproduce;
mod robustness;
mod run;
mod salt;
mod seed;
mod subgroups;
mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Trains, evaluates and runs the ictus networks on head CTs. Research and demonstration only, not a medical device.
#[derive(Parser)]
#[command(name = "cargo trainer", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what the readers make of files and folders.
    Inspect(inspect::Args),
    /// Prepares the data sets and says what is in them.
    Import(import::Args),
    /// Trains a recipe on folds or on everything.
    Train(train::Args),
    /// Prints and draws the out-of-fold figures of a run.
    Evaluate(evaluate::Args),
    /// Asks a run again on changed scans and painted lesions.
    Robustness(robustness::Args),
    /// Writes the weights file of a run, with its calibration, and its network for other runtimes.
    Export(export::Args),
    /// Writes the model card of a weights file.
    Card(card::Args),
    /// The published pipeline step by step: data, order, noise, split, transforms, arms, report.
    Seed(seed::Args),
    /// Lists the command that makes each result, with the time that it takes.
    Reproduce,
    /// Answers scans: bleeding or not, how sure, on which slices.
    Predict(predict::Args),
    /// Prints the layers of a network with shapes, parameters and FLOP.
    Layers(layers::Args),
    /// Draws a synthetic head CT as DICOM, NIfTI or pictures.
    Phantom(phantom::Args),
}

/// What a command ends with: an exit code, or an error that is printed with all its causes.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Robustness(args) => robustness::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Card(args) => card::run(&args),
        Command::Seed(args) => seed::run(&args),
        Command::Reproduce => Ok(reproduce::run()),
        Command::Layers(args) => layers::run(&args),
        Command::Phantom(args) => phantom::run(&args),
        Command::Predict(args) => predict::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            eprintln!("  because: {error}");
            cause = error.source();
        }
        ExitCode::FAILURE
    })
}
