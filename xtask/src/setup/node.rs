//! Node.js and the packages of `package-lock.json`: TypeScript's checker and the library that drives the browser.

use super::apt;
use crate::error::{Doing, Error, Result};
use crate::process::{self, find};
use crate::progress;
use crate::workspace::Workspace;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// `node --test` takes file patterns and runs modules well from here on.
const OLDEST: u32 = 20;

/// Node with the packages installed under `node_modules`.
pub(crate) fn ready(workspace: &Workspace) -> Result<PathBuf> {
    if find(&["node"]).is_none() || find(&["npm"]).is_none() {
        apt::install("Node.js", &["nodejs", "npm"])?;
    }
    let missing = |why: String| Error::Missing {
        what: "Node.js",
        why,
        remedy: format!("install Node.js {OLDEST} or newer (https://nodejs.org)"),
    };
    let node = find(&["node"]).ok_or_else(|| missing("there is no `node`".into()))?;
    let version = process::capture(Command::new(&node).arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST) {
        return Err(missing(format!("{} is {}, older than {OLDEST}", node.display(), version.trim())));
    }
    packages(workspace)?;
    Ok(node)
}

fn packages(workspace: &Workspace) -> Result<()> {
    let lock = workspace.root.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).doing("read", &lock)?;
    let stamp = workspace.root.join("node_modules/.installed-lock.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    progress::timed("installing the packages of package-lock.json", || {
        let npm = find(&["npm"]).unwrap_or_else(|| "npm".into());
        process::quiet(
            Command::new(npm)
                .current_dir(&workspace.root)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--cache"])
                .arg(workspace.cache.join("npm")),
        )
    })?;
    fs::write(&stamp, wanted).doing("write", &stamp)
}
