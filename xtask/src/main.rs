//! Chores of the repository: `cargo xtask serve | test | check | dist | bench`.
//!
//! Every chore first brings what it needs (see [`setup`]) and prints a line of progress, with the time since the start, for each stage.

mod bench;
mod browser;
mod chart;
mod check;
mod dist;
mod error;
mod pack;
mod process;
mod progress;
mod serve;
mod setup;
mod site;
mod supply;
mod test;
mod wasm;
mod workspace;

use clap::{Parser, Subcommand};
use error::Result;
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about, version)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the page and open it in a browser; it works as soon as the CPU engine is built, the WebGPU engine follows.
    Serve(serve::ServeArguments),
    /// Run every test, native and in the browser.
    Test(test::TestArguments),
    /// Format, spelling, lints, documentation, dependencies, types of the scripts, sizes of the engines.
    Check,
    /// Measure the kernels, the page in a real browser, and the sizes of what is sent.
    Bench(bench::BenchArguments),
    /// Make the folder to upload to any static host, and the page as one file.
    Dist(dist::DistArguments),
}

fn main() -> ExitCode {
    let outcome = Workspace::find().and_then(|workspace| run(&workspace, Arguments::parse().chore));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(workspace: &Workspace, chore: Chore) -> Result<()> {
    match chore {
        Chore::Serve(arguments) => serve::serve(workspace, &arguments),
        Chore::Test(arguments) => test::test(workspace, &arguments),
        Chore::Check => check::check(workspace),
        Chore::Bench(arguments) => bench::bench(workspace, &arguments),
        Chore::Dist(arguments) => dist::dist(workspace, &arguments),
    }
}
