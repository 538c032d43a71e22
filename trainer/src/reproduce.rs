//! `reproduce`: which command makes which result.

use std::process::ExitCode;

/// Result, command, and about the time it takes on two idle cores of an EPYC: trainings of `both-cut` and `ct-ich-painted` reckoned from
/// single folds on a Zen 2, the rest measured on a machine with AVX-512.
const RESULTS: [(&str, &str, &str); 21] = [
    ("the data as the trainer sees it", "cargo trainer import", "1 min"),
    (
        "recipe of the shipped weights, five folds",
        "cargo trainer train --config both-cut --folds all --seeds 0",
        "14 min",
    ),
    ("the same with five seeds", "cargo trainer train --config both-cut --folds all --seeds 0,1,2,3,4", "70 min"),
    ("the same, trained on every patient", "cargo trainer train --config both-cut --folds none --seeds 0", "6 min"),
    ("their figures", "cargo trainer evaluate runs/both-cut", "10 s"),
    ("their table of robustness", "cargo trainer robustness runs/both-cut", "10 min"),
    ("the weights file", "cargo trainer export runs/both-cut", "5 s"),
    ("the model card", "cargo trainer card runs/both-cut", "5 s"),
    (
        "weights of ct-ich and painted lesions alone",
        "cargo trainer train --config ct-ich-painted --folds all --seeds 0",
        "9 min",
    ),
    (
        "the same, trained on every patient",
        "cargo trainer train --config ct-ich-painted --folds none --seeds 0",
        "4 min",
    ),
    (
        "their file",
        "cargo trainer export runs/ct-ich-painted --output www/models/compact-ct-ich.safetensors --name compact-ct-ich",
        "5 s",
    ),
    ("ct-ich alone, as the recipe began", "cargo trainer train --config ct-ich --folds all --seeds 0", "6 min"),
    ("seed: slices of every patient, contact sheet", "cargo trainer seed explore", "2 s"),
    ("seed: ct-ich in true order", "cargo trainer seed order", "5 s"),
    ("seed: noise removal", "cargo trainer seed noise", "2 s"),
    ("seed: the published split", "cargo trainer seed split", "1 s"),
    ("seed: the seven transforms", "cargo trainer seed transforms", "2 s"),
    ("seed: an arm (of four) on a fold", "cargo trainer train --config seed-advanced --folds 0 --seeds 42", SEED_ARM),
    (
        "seed: the same at its size, on a GPU",
        "cargo trainer train --config seed-advanced --resample 64 128 128 --name seed-advanced-full --seeds 42 --device cuda",
        "unknown",
    ),
    ("seed: all arms in one figure", "cargo trainer seed arms runs/seed-none runs/seed-advanced", "1 s"),
    ("seed: its report", "cargo trainer seed report", "5 s"),
];

/// Time of an arm: 150 epochs of 24 s, reckoned from two of them on a busy machine.
const SEED_ARM: &str = "1 h";

/// Prints the list.
pub(crate) fn run() -> ExitCode {
    println!(
        "Set ICTUS_DATA to the folder that holds ct-ich and phe-sich. Interrupted trainings go on where they stopped."
    );
    for (result, command, time) in RESULTS {
        println!("{result:<44} {time:>7}   {command}");
    }
    ExitCode::SUCCESS
}
