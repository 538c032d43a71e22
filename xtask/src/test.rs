//! `cargo xtask test`: every test, native and in the browser, and one true line at the end.

use crate::browser;
use crate::check::PARTS;
use crate::error::{Error, Result};
use crate::process::{self, cargo};
use crate::progress;
use crate::setup::vulkan;
use crate::workspace::Workspace;
use clap::Args;
use std::env;

#[derive(Args)]
pub(crate) struct TestArguments {
    /// Only the tests that run without a browser.
    #[arg(long, conflicts_with = "browser")]
    native: bool,
    /// Only the tests in the browser.
    #[arg(long)]
    browser: bool,
    /// Only browser tests whose name matches this pattern.
    #[arg(long, requires = "browser")]
    only: Option<String>,
}

/// What came of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Marked as ignored or skipped, with their reasons in the output.
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs the tests; fails when one failed, or when a suite ended in another way than its tests say.
pub(crate) fn test(workspace: &Workspace, arguments: &TestArguments) -> Result<()> {
    if env::var_os("ICTUS_DATA").is_none() {
        println!("ICTUS_DATA is not set: tests on real scans are skipped");
    }
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    if !arguments.browser {
        let (native, whole) = progress::timed("native tests", || native(workspace))?;
        tally.add(native);
        if !whole {
            broken.push("native tests");
        }
    }
    if !arguments.native {
        // The native result is told even if the browser cannot be brought up.
        match progress::timed("browser tests", || browser::test(workspace, arguments.only.as_deref())) {
            Ok((browser, whole)) => {
                tally.add(browser);
                if !whole {
                    broken.push("browser tests");
                }
            }
            Err(error) => {
                eprintln!("error: {error}");
                broken.push("browser tests (they did not run)");
            }
        }
    }
    if tally.skipped > 0 {
        println!("{} skipped (named above)", tally.skipped);
    }
    if broken.is_empty() && tally.failed == 0 {
        println!("{} passed, 0 failed", tally.passed);
        return Ok(());
    }
    // A suite that does not compile or ends early has no failed test to count.
    let failed = tally.failed.max(broken.len() as u64);
    println!("{} passed, {failed} failed", tally.passed);
    Err(Error::Failed { what: "test", which: broken.join("; ") })
}

fn native(workspace: &Workspace) -> Result<(Tally, bool)> {
    vulkan::ready()?;
    let mut tally = Tally::default();
    let mut whole = true;
    for part in PARTS {
        let mut command = cargo(&workspace.root);
        command.arg("test").args(part).arg("--no-fail-fast");
        whole &= process::run_reading(&mut command, |line| {
            if let Some(suite) = cargo_result(line) {
                tally.add(suite);
            }
        })?;
    }
    Ok((tally, whole))
}

/// Reads cargo's `test result: ok. 12 passed; 0 failed; 1 ignored; ..`.
fn cargo_result(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |what: &str| {
        counts.split("; ").find_map(|part| part.strip_suffix(what)).and_then(|number| number.trim().parse().ok())
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_counted_from_cargos_line() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(cargo_result(line), Some(Tally { passed: 12, failed: 3, skipped: 1 }));
        assert_eq!(cargo_result("test volume::turns ... ok"), None);
    }
}
