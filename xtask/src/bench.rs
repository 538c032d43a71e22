//! `cargo xtask bench`: the kernels natively, the page in a real browser, a batch on two cores, its network against ONNX Runtime Web, and the sizes of
//! what is sent. What it prints is also written as JSON, and its ratios are drawn.

use crate::browser;
use crate::chart;
use crate::check::PRODUCT;
use crate::error::{Doing, Error, Result};
use crate::process::{self, cargo};
use crate::progress;
use crate::wasm::{self, Engine, megabytes};
use crate::workspace::Workspace;
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub(crate) struct BenchArguments {
    /// Leave the WebGPU engine, of which only the size is told, out.
    #[arg(long)]
    cpu_only: bool,
    /// File to write, with a picture beside it. Default: `bench.json` in cargo's build folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn bench(workspace: &Workspace, arguments: &BenchArguments) -> Result<()> {
    let engines = if arguments.cpu_only { &Engine::ALL[..1] } else { &Engine::ALL[..] };
    let kernels = kernels(workspace)?;
    let page = browser::bench(workspace, engines)?;
    print(&page);
    let sizes = sizes(workspace, engines)?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.target.join("bench.json"));
    let all = json!({ "kernels": kernels, "browser": page, "sizes": sizes });
    fs::write(&out, format!("{all:#}\n")).doing("write", &out)?;
    let picture = out.with_extension("svg");
    fs::write(&picture, chart::svg(&all)).doing("write", &picture)?;
    println!("\nwritten to {}, ratios drawn in {}", out.display(), picture.display());
    Ok(())
}

/// Times the kernels natively, printed by their own program.
fn kernels(workspace: &Workspace) -> Result<Value> {
    progress::timed("building the bench of the kernels", || {
        process::run(cargo(&workspace.root).arg("build").args(PRODUCT).args(["--example", "kernels"]))
    })?;
    let measured = workspace.target.join("bench-kernels.json");
    let program = workspace.target.join("debug/examples").join(format!("kernels{}", std::env::consts::EXE_SUFFIX));
    process::run(Command::new(program).arg(&measured))?;
    read(&measured)
}

/// Reads what a program measured.
pub(crate) fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).doing("read", path)?;
    serde_json::from_str(&text)
        .map_err(|error| Error::Failed { what: "bench", which: format!("{} is no JSON: {error}", path.display()) })
}

fn print(page: &Value) {
    let of = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    println!(
        "\n{}, {} cores, load {:.1}; CPU engine, {} runs",
        page["processor"].as_str().unwrap_or("unknown processor"),
        page["cores"],
        of(page, "load"),
        page["runs"]
    );
    println!("{:<40} {:>12} {:>12}", "milliseconds", "median", "least");
    for part in page["page"].as_array().into_iter().flatten() {
        println!("{}", part["what"].as_str().unwrap_or_default());
        for step in part["steps"].as_array().into_iter().flatten() {
            let name = step["step"].as_str().unwrap_or_default();
            println!("  {name:<38} {:>12.0} {:>12.0}", of(step, "median_ms"), of(step, "least_ms"));
        }
    }
    let thread = &page["thread"];
    println!("\nthe page's own thread, processor time: medians (quartiles)");
    println!("  longest task from a drop to its answer {} ms, to stay under 50", spread(&thread["longest_task_ms"], 0));
    println!(
        "  a slice of 64 of 512 x 512 that are walked through {} ms, to stay under 16.7",
        spread(&thread["slice_ms"], 1)
    );
    println!("\na batch with one engine and with two, by turns: medians (quartiles)");
    for batch in page["batches"].as_array().into_iter().flatten() {
        println!("{}", with_two_engines(batch));
    }
    println!("\nthe network alone, one thread, by turns in one tab: medians (quartiles)");
    for network in page["networks"].as_array().into_iter().flatten() {
        println!("{}", against_onnx_runtime(network));
    }
}

fn with_two_engines(batch: &Value) -> String {
    format!(
        "  {} scans ({}), {} pairs of runs: one engine {} ms, two {} ms, {} times as fast",
        batch["scans"],
        batch["what"].as_str().unwrap_or_default(),
        batch["pairs"],
        spread(&batch["one_ms"], 0),
        spread(&batch["two_ms"], 0),
        spread(&batch["ratio"], 2)
    )
}

fn against_onnx_runtime(network: &Value) -> String {
    format!(
        "  {} network on {} voxels, {} pairs of runs: ours {} ms, ONNX Runtime Web {} ms, {} times as fast; \
         outputs differ by at most {:.0e}",
        network["name"].as_str().unwrap_or_default(),
        network["shape"].as_array().into_iter().flatten().map(Value::to_string).collect::<Vec<_>>().join(" x "),
        network["pairs"],
        spread(&network["ours_ms"], 1),
        spread(&network["onnx_runtime_web_ms"], 1),
        spread(&network["ratio"], 2),
        network["difference"].as_f64().unwrap_or(f64::NAN)
    )
}

/// A median with its quartiles.
fn spread(value: &Value, digits: usize) -> String {
    let of = |part: &str| value[part].as_f64().unwrap_or(f64::NAN);
    format!("{:.digits$} ({:.digits$} to {:.digits$})", of("median"), of("lower"), of("upper"))
}

fn sizes(workspace: &Workspace, engines: &[Engine]) -> Result<Value> {
    println!("\n{:<28} {:>10} {:>10}", "file", "size", "gzip");
    let mut all = Vec::new();
    let mut row = |name: String, path: &Path| -> Result<()> {
        let (bytes, zipped) = wasm::sizes(path)?;
        println!("{name:<28} {:>10} {:>10}", megabytes(bytes), megabytes(zipped));
        all.push(json!({ "file": name, "bytes": bytes, "gzip_bytes": zipped }));
        Ok(())
    };
    for engine in engines {
        row(format!("{} engine", engine.name()), &engine.wasm(workspace))?;
    }
    let models = workspace.www().join("models");
    for entry in fs::read_dir(&models).doing("list", &models)? {
        let path = entry.doing("list", &models)?.path();
        row(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(), &path)?;
    }
    Ok(Value::Array(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(median: f64) -> Value {
        json!({ "lower": median - 0.25, "median": median, "upper": median + 0.25 })
    }

    #[test]
    fn a_batch_tells_what_the_second_engine_is_worth() {
        let batch = json!({ "what": "JPG", "scans": 12, "pairs": 5, "one_ms": around(9000.0), "two_ms": around(6000.0), "ratio": around(1.5) });
        let text = with_two_engines(&batch);
        for part in ["12 scans (JPG), 5 pairs", "one engine 9000 (", "two 6000 (", "1.50 (1.25 to 1.75) times"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_comparison_tells_ratio_and_spread() {
        let network = json!({
            "name": "shipped", "shape": [28, 96, 80], "pairs": 60, "difference": 2e-6,
            "ours_ms": around(40.0), "onnx_runtime_web_ms": around(90.0), "ratio": around(2.25),
        });
        let text = against_onnx_runtime(&network);
        for part in [
            "shipped",
            "28 x 96 x 80 voxels",
            "60 pairs",
            "ours 40.0 (39.8 to 40.2) ms",
            "Web 90.0",
            "2.25 (2.00 to 2.50)",
            "2e-6",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
