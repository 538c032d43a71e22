//! `typos` and `cargo-deny`, in the cache where the person does not have them.

use crate::error::{Error, Result};
use crate::process::{self, cargo, find};
use crate::progress;
use crate::workspace::Workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

const TYPOS: &str = "1.52.0";
/// Reads the current form of advisories and of `deny.toml`.
const OLDEST_DENY: (u32, u32) = (0, 18);

/// The spelling checker: the person's own, or its wheel from `PyPI`, or built from source.
pub(crate) fn typos(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(own) = find(&["typos"]).filter(|own| answers(own)) {
        return Ok(own);
    }
    let folder = workspace.cache.join(format!("typos-{TYPOS}"));
    let wheel = folder.join("bin").join(format!("typos{}", std::env::consts::EXE_SUFFIX));
    if answers(&wheel) {
        return Ok(wheel);
    }
    let python = find(&["python3", "python"]);
    let installed = python.is_some_and(|python| {
        let pip = progress::timed("installing typos with pip", || {
            process::quiet(
                Command::new(python)
                    .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
                    .arg(&folder)
                    .arg(format!("typos=={TYPOS}")),
            )
        });
        pip.is_ok() && answers(&wheel)
    });
    if !installed {
        cargo_install(workspace, &folder, "typos-cli", Some(TYPOS))?;
    }
    Ok(wheel)
}

/// The checker of licences, sources and advisories: the person's own if it is recent, or built from source.
pub(crate) fn deny(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(own) = find(&["cargo-deny"]).filter(|own| is_recent(own)) {
        return Ok(own);
    }
    let folder = workspace.cache.join("cargo-deny");
    let built = folder.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !is_recent(&built) {
        cargo_install(workspace, &folder, "cargo-deny", None)?;
    }
    Ok(built)
}

fn answers(program: &Path) -> bool {
    process::quiet(Command::new(program).arg("--version")).is_ok()
}

fn is_recent(deny: &Path) -> bool {
    process::capture(Command::new(deny).arg("--version"))
        .is_ok_and(|said| release(&said).is_some_and(|release| release >= OLDEST_DENY))
}

/// Major and minor number of a line such as `cargo-deny 0.19.1`.
fn release(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn cargo_install(workspace: &Workspace, folder: &Path, package: &'static str, version: Option<&str>) -> Result<()> {
    let remedy = format!("cargo install {package} --locked");
    progress::timed(format!("building {package} (once a machine)"), || {
        let mut install = cargo(&workspace.cache);
        install.args(["install", package, "--locked", "--force", "--root"]).arg(folder);
        // It reads a few files: compiling it quickly is worth more than its speed.
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
        install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        install.env("CARGO_TARGET_DIR", workspace.cache.join("tools-target")).env_remove("RUSTFLAGS");
        if let Some(version) = version {
            install.args(["--version", version]);
        }
        process::run(&mut install)
    })
    .map_err(|error| Error::Missing { what: package, why: error.to_string(), remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_from_what_the_tool_says() {
        assert_eq!(release("cargo-deny 0.19.1\n"), Some((0, 19)));
        assert_eq!(release("cargo-deny"), None);
        assert!(release("cargo-deny 0.14.2").unwrap() < OLDEST_DENY);
    }
}
