//! `export`: the weights file of a run, with the calibration of its out-of-fold predictions, and the network of a weights file
//! as ONNX.

use crate::Outcome;
use crate::data::Source;
use crate::evaluate::{by_seed, evaluate};
use crate::run::{Job, RunRecord, file_error, read_json};
use ictus::network::{Model, ModelFile, ModelHeader, NetworkConfig, Storage, Weights};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to export.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of a run that has all folds of a seed, and a training on everything (`train --folds none`).
    #[arg(required_unless_present_any = ["onnx", "untrained"])]
    run: Option<PathBuf>,
    /// Where the weights file goes; without a run, the one that is there.
    #[arg(long, default_value = "www/models/compact.safetensors")]
    output: PathBuf,
    /// Name of the weights.
    #[arg(long, default_value = "compact")]
    name: String,
    /// Seed of the training on everything.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Store 32 bits a weight instead of 16.
    #[arg(long)]
    single: bool,
    /// Also write the network of the weights file as an ONNX model.
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    /// Instead of a run's weights those that its training would begin with: they answer nothing and serve to time the network.
    #[arg(long, value_name = "NETWORK", conflicts_with = "run", requires = "output")]
    untrained: Option<Untrained>,
}

/// Networks to time.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Untrained {
    /// The published network, on the 48 x 64 x 64 voxels of its recipe.
    Published,
}

/// Writes the files.
pub(crate) fn run(args: &Args) -> Outcome {
    if let Some(run) = &args.run {
        write(&args.output, &weights_file(args, run)?)?;
    }
    if let Some(Untrained::Published) = args.untrained {
        let input @ [_, rows, columns] = [48, 64, 64];
        let config = NetworkConfig::published();
        let weights = Weights::init(&config, args.seed)?;
        let mut header = ModelHeader::new("published, untrained", "0", config, input);
        (header.preprocess.rows, header.preprocess.columns) = (rows, columns);
        write(&args.output, &Model::save(ModelFile { header, weights }, Storage::Single)?)?;
    }
    if let Some(onnx) = &args.onnx {
        let bytes = fs::read(&args.output).map_err(|error| file_error(&args.output, &error))?;
        let file = ModelFile::from_bytes(&bytes).map_err(|error| file_error(&args.output, &error))?;
        write(onnx, &crate::onnx::model(&file)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
    }
    crate::files::write_whole(path, bytes).map_err(|error| file_error(path, &error))?;
    println!("{}: {} bytes", path.display(), bytes.len());
    Ok(())
}

fn weights_file(args: &Args, run: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let record: RunRecord = read_json(&run.join("run.json"))?;
    let Some(evaluation) = evaluate(&by_seed(run)?, None)? else {
        return Err(format!("{}: no seed has all five folds: nothing to calibrate on", run.display()).into());
    };
    if record.recipe.whole_slices.is_some() {
        return Err("the page prepares the brain alone: weights that take whole slices are not for it".into());
    }
    let weights = Job { fold: None, seed: args.seed }.weights(run)?;
    let mut header = record.header(&args.name);
    let mut metric = |name: &str, value: f64| header.metrics.insert(name.to_owned(), value);
    for (name, score) in &evaluation.patient_auc {
        metric(&format!("ct_ich_patient_auc_{name}"), score.mean);
    }
    metric("ct_ich_slice_auc", evaluation.slice_auc.mean);
    metric("seeds", evaluation.seeds.len() as f64);
    metric("brier", evaluation.brier);
    metric("calibration_error", evaluation.calibration_error);
    if let Some(phe) = &evaluation.phe_sich {
        metric("phe_sich_slice_auc", phe.slice_auc);
        metric("phe_sich_peak_on_lesion", phe.peak_on_lesion);
        metric("phe_sich_false_alarms_lower", phe.false_alarms_lower);
        metric("phe_sich_false_alarms_upper", phe.false_alarms_upper);
    }
    header.calibration = Some(evaluation.calibration);
    let licences =
        record.recipe.sources.iter().map(|source: &Source| format!("{}: {}", source.name(), source.licence()));
    header.licence = format!(
        "Weights for research and demonstration, not a medical device. Trained on {}.",
        licences.collect::<Vec<_>>().join("; ")
    );
    let storage = if args.single { Storage::Single } else { Storage::Half };
    Ok(Model::save(ModelFile { header, weights }, storage)?)
}
