//! `import`: prepares the data sets and says what is in them.

use crate::Outcome;
use crate::data::{Dataset, FOLDS};
use crate::learn::recipe::Recipe;
use crate::train::DataArgs;
use std::process::ExitCode;

/// What to prepare.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Recipe whose sets and preprocessing are used: a preset or a JSON file.
    #[arg(long, default_value = "both")]
    config: String,
    #[command(flatten)]
    data: DataArgs,
}

/// Prepares and counts.
pub(crate) fn run(args: &Args) -> Outcome {
    let recipe = Recipe::find(&args.config)?;
    for set in args.data.load(&recipe)? {
        describe(&set);
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(set: &Dataset) {
    let positive = set.cases.iter().filter(|case| case.record.positive()).count();
    let slices: usize = set.cases.iter().map(|case| case.record.labels.len()).sum();
    let kept: usize = set.cases.iter().map(|case| case.record.shape[0]).sum();
    let bleeding: usize = set.cases.iter().map(|case| count(&case.record.labels)).sum();
    let bleeding_kept: usize = set.cases.iter().map(|case| count(case.record.kept_labels())).sum();
    println!("{}: {} scans, {positive} with a bleed", set.source.name(), set.cases.len());
    println!("  slices {slices}, kept {kept}; with a bleed {bleeding}, kept {bleeding_kept}");
    for fold in 0..FOLDS {
        let of_fold = set.cases.iter().filter(|case| case.record.fold == fold);
        let (all, positive) =
            of_fold.fold((0, 0), |(all, positive), case| (all + 1, positive + usize::from(case.record.positive())));
        println!("  fold {fold}: {all} scans, {positive} with a bleed");
    }
    println!("  fingerprint {}", set.fingerprint);
}

fn count(labels: &[bool]) -> usize {
    labels.iter().filter(|&&label| label).count()
}
