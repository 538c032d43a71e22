//! `reproduce`: which command makes which result.

use std::process::ExitCode;

/// Result, command, and the time it takes on two cores of an EPYC with AVX-512.
const RESULTS: [(&str, &str, &str); 9] = [
    ("the data as the trainer sees it", "cargo trainer import", "1 min"),
    ("recipe of the shipped weights, five folds", "cargo trainer train --config both --folds all --seeds 0", "8 min"),
    ("the same with three seeds", "cargo trainer train --config both --folds all --seeds 0,1,2", "25 min"),
    ("the same, trained on every patient", "cargo trainer train --config both --folds none --seeds 0", "3 min"),
    ("their figures", "cargo trainer evaluate runs/both", "10 s"),
    ("their table of robustness", "cargo trainer robustness runs/both", "10 min"),
    ("the weights file", "cargo trainer export runs/both", "5 s"),
    ("the model card", "cargo trainer card runs/both", "5 s"),
    ("ct-ich alone, as the recipe began", "cargo trainer train --config ct-ich --folds all --seeds 0", "6 min"),
];

/// Prints the list.
pub(crate) fn run() -> ExitCode {
    println!(
        "The shipped weights are seed 0 of `both` with preprocessing version 3; it is 4 now, so figures differ a little."
    );
    println!(
        "Set ICTUS_DATA to the folder that holds ct-ich and phe-sich. Interrupted trainings go on where they stopped."
    );
    for (result, command, time) in RESULTS {
        println!("{result:<44} {time:>7}   {command}");
    }
    ExitCode::SUCCESS
}
