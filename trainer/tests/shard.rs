//! A batch that two processes share is answered as one process answers it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn trainer(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ictus-trainer"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(words);
    command
}

/// Three heads in two folders.
fn batch(folder: &Path) -> [PathBuf; 2] {
    let ward = |name: &str| folder.join(name);
    for (seed, ward) in [("1", ward("a")), ("2", ward("a")), ("3", ward("b"))] {
        let out = ward.to_string_lossy().into_owned();
        let drawn = trainer(&["phantom", "--out", &out, "--format", "nifti", "--seed", seed]).output().unwrap();
        assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    }
    [ward("a"), ward("b")]
}

/// Answers without their times, which no two runs share.
fn answers(printed: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(printed).unwrap().lines();
    lines
        .map(|line| {
            let mut report: Value = serde_json::from_str(line).unwrap();
            report.as_object_mut().unwrap().remove("timing_ms").unwrap();
            report
        })
        .collect()
}

#[test]
fn the_lines_of_two_processes_are_together_those_of_one() {
    let folder = std::env::temp_dir().join(format!("ictus-shard-{}", std::process::id()));
    let [a, b] = batch(&folder);
    let missing = folder.join("missing");
    // The page's weights may be exchanged while this runs.
    let weights = folder.join("weights.safetensors");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/models/compact.safetensors");
    std::fs::copy(shipped, &weights).unwrap();
    let paths = [&a, &missing, &b].map(|path| path.to_string_lossy().into_owned());
    let predict = |more: &[&str]| {
        let mut command = trainer(&["predict", "--json"]);
        command.arg("--model").arg(&weights).args(more).args(&paths).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // Both at once, as a scheduler starts them.
    let parts = ["1/2", "2/2"].map(|part| predict(&["--shard", part]));
    let parts = parts.map(|part| answers(&part.wait_with_output().unwrap().stdout));
    let mut whole = answers(&predict(&[]).wait_with_output().unwrap().stdout);
    assert_eq!(parts.each_ref().map(Vec::len), [2, 2]);
    let mut merged = parts.concat();
    let by_scan = |report: &Value| report["scan"].to_string();
    merged.sort_by_key(by_scan);
    whole.sort_by_key(by_scan);
    assert_eq!(whole.iter().filter(|report| report["outcome"] == "classified").count(), 3);
    assert_eq!(merged, whole);

    // More parts than scans: one has nothing to do, which is no failure.
    assert!(predict(&["--shard", "7/7"]).wait().unwrap().success());
    let wrong = trainer(&["predict", "--shard", "3/2", "x"]).output().unwrap();
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("from 1/5 to 5/5"));
    std::fs::remove_dir_all(folder).unwrap();
}
