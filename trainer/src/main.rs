//! Command line of ictus: one file a command.

mod layers;

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
    /// Prints the layers of a network with shapes, parameters and FLOP.
    Layers(layers::Args),
}

/// What a command ends with: an exit code, or an error that is printed with all its causes.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Layers(args) => layers::run(&args),
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
