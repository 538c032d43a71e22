//! `layers`: the table of layers of a network.

use crate::Outcome;
use ictus::network::NetworkConfig;
use std::process::ExitCode;

/// Which network, on which input.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The network.
    #[arg(value_enum, default_value_t = Architecture::Compact)]
    network: Architecture,
    /// Slices, rows and columns of the input; the network's own if not given.
    #[arg(long, num_args = 3, value_names = ["SLICES", "ROWS", "COLUMNS"])]
    input: Option<Vec<usize>>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// The networks that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Architecture {
    /// Any number of slices, an evidence map a slice.
    Compact,
    /// The published network.
    Published,
}

/// Prints the table.
pub(crate) fn run(args: &Args) -> Outcome {
    let (config, own_input) = match args.network {
        Architecture::Compact => (NetworkConfig::compact(), [28, 96, 80]),
        Architecture::Published => (NetworkConfig::published(), [64, 128, 128]),
    };
    let input = match args.input.as_deref() {
        Some(&[slices, rows, columns]) => [slices, rows, columns],
        _ => own_input,
    };
    let rows = config.layers(input)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("input {} x {} x {} x {}", config.in_channels, input[0], input[1], input[2]);
    println!("{:<16} {:<34} {:>20} {:>11} {:>11} {:>10}", "layer", "", "output", "parameters", "statistics", "MFLOP");
    for row in &rows {
        let output = row.output.map(|side| side.to_string()).join(" x ");
        let mflop = row.flop as f64 / 1e6;
        println!(
            "{:<16} {:<34} {output:>20} {:>11} {:>11} {mflop:>10.1}",
            row.name, row.kind, row.parameters, row.statistics
        );
    }
    let parameters: usize = rows.iter().map(|row| row.parameters).sum();
    let statistics: usize = rows.iter().map(|row| row.statistics).sum();
    let flop: u64 = rows.iter().map(|row| row.flop).sum();
    println!("{:<72} {parameters:>11} {statistics:>11} {:>10.1}", "total", flop as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}
