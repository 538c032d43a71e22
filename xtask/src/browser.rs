//! The page in a real browser: tests and timings, against the server of `cargo xtask serve`.

use crate::bench;
use crate::dist;
use crate::error::{Doing, Error, Result};
use crate::process::{self, cargo};
use crate::progress;
use crate::serve::{self, Site};
use crate::setup::wasm_target::WasmTarget;
use crate::setup::{browser, firefox, node, webkit};
use crate::test::Tally;
use crate::wasm::{self, Engine};
use crate::workspace::Workspace;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// The site is tested under a path as project pages have it, so that a URL from the root would fail.
const BASE: &str = "/some/path/";

/// Runs `tests/browser/*.test.mjs`; also tells whether the runner ended as its tests say.
pub(crate) fn test(workspace: &Workspace, only: Option<&str>) -> Result<(Tally, bool)> {
    let files = files(workspace, ".test.mjs")?;
    let tap = workspace.target.join("browser-tests.tap");
    let firefox = firefox::ready().inspect_err(|error| println!("NOT TESTED in Firefox: {error}")).ok();
    let webkit = webkit::ready().inspect_err(|error| println!("NOT TESTED in WebKit: {error}")).ok();
    let whole = with_page(workspace, &Engine::ALL, |command| {
        command.envs(firefox.map(|path| (firefox::VARIABLE, path))).envs(webkit.into_iter().flatten());
        command.args(["--test", "--test-concurrency=1", "--test-reporter=spec", "--test-reporter-destination=stdout"]);
        command.arg("--test-reporter=tap").arg(format!("--test-reporter-destination={}", tap.display()));
        if let Some(pattern) = only {
            command.args(["--test-name-pattern", pattern]);
        }
        process::run_reading(command.args(&files), |_| ())
    })?;
    let said = fs::read_to_string(&tap).doing("read", &tap)?;
    let tally =
        tap_result(&said).ok_or(Error::Failed { what: "browser tests", which: "the runner gave no counts".into() })?;
    Ok((tally, whole))
}

/// Times the page; returns what `bench.mjs` measured.
pub(crate) fn bench(workspace: &Workspace, engines: &[Engine]) -> Result<Value> {
    let measured = workspace.target.join("bench-page.json");
    with_page(workspace, engines, |command| {
        command.env("ICTUS_BENCH", &measured);
        process::run(command.arg(workspace.root.join("tests/browser/bench.mjs")))
    })?;
    bench::read(&measured)
}

/// Builds the engines and the command line, serves the page, and hands `work` a `node` that knows of all this by its environment.
fn with_page<T>(workspace: &Workspace, engines: &[Engine], work: impl FnOnce(&mut Command) -> Result<T>) -> Result<T> {
    let target = WasmTarget::ready(workspace)?;
    let node = node::ready(workspace)?;
    let chromium = browser::ready()?;
    for &engine in engines {
        wasm::build(workspace, &target, engine)?;
    }
    let dist = workspace.target.join("browser-site");
    dist::assemble(workspace, engines, &dist)?;
    let trainer = trainer(workspace)?;
    let server = serve::listen(0)?;
    let site = Site { workspace, base: BASE };
    thread::scope(|scope| {
        scope.spawn(|| server.answer(&site));
        let mut command = Command::new(node);
        command.current_dir(&workspace.root);
        command.env("ICTUS_URL", format!("{}{}", server.origin(), BASE));
        command.env(browser::VARIABLE, chromium).env("ICTUS_TRAINER", trainer);
        command.env("ICTUS_SITE", &dist);
        command.env("ICTUS_SCRATCH", workspace.target.join("browser-tests"));
        let result = work(&mut command);
        server.stop();
        result
    })
}

/// The native command line, which draws the phantoms and gives the answers that the page is held to.
fn trainer(workspace: &Workspace) -> Result<PathBuf> {
    progress::timed("building the command line", || {
        process::run(cargo(&workspace.root).arg("build").args(crate::check::PRODUCT).args(["--bins", "--tests"]))
    })?;
    Ok(workspace.target.join("debug").join(format!("ictus-trainer{}", std::env::consts::EXE_SUFFIX)))
}

fn files(workspace: &Workspace, ending: &str) -> Result<Vec<PathBuf>> {
    let folder = workspace.root.join("tests/browser");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).doing("list", &folder)? {
        let path = entry.doing("list", &folder)?.path();
        if has_ending(&path, ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ending))
}

/// Reads the counts at the end of TAP as node writes it: `# pass 12`.
fn tap_result(tap: &str) -> Option<Tally> {
    let count = |what: &str| tap.lines().rev().find_map(|line| line.strip_prefix(what)?.trim().parse::<u64>().ok());
    Some(Tally {
        passed: count("# pass ")?,
        failed: count("# fail ")? + count("# cancelled ")?,
        skipped: count("# skipped ")? + count("# todo ")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_were_cut_short_count_as_failed() {
        let tap = "ok 1 - a\n# tests 5\n# suites 0\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n# duration_ms 5\n";
        assert_eq!(tap_result(tap), Some(Tally { passed: 2, failed: 2, skipped: 1 }));
        assert_eq!(tap_result("TAP version 13\n"), None);
    }
}
