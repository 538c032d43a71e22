//! A Rust toolchain that compiles for `wasm32-unknown-unknown`.
//!
//! The usual way is `rustup target add`. Where rustup cannot download (an offline machine, a mirror of Debian only) Debian's
//! `rustc-web` compiles instead: it has no std for wasm, which is built once from `rust-web-src` and kept in the cache.

use super::apt;
use crate::error::{Doing, Error, Result};
use crate::process::{self, cargo, find};
use crate::progress;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// In Debian from 12 on; Debian's security updates keep them at a current Rust.
const PACKAGES: [&str; 4] = ["rustc-web", "rust-web-src", "rust-web-clippy", "lld-22"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// How cargo reaches the wasm target.
#[derive(Debug)]
pub(crate) enum WasmTarget {
    /// The person's own toolchain has it.
    Own,
    /// Debian's compiler, behind a script that names the cached std.
    Debian { sysroot: PathBuf, linker: PathBuf },
}

impl WasmTarget {
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        if own_target_is_installed() {
            return Ok(Self::Own);
        }
        let rustup = progress::timed("adding the wasm target with rustup", || {
            process::quiet(Command::new("rustup").args(["target", "add", TARGET]))
        });
        match rustup {
            Ok(()) if own_target_is_installed() => Ok(Self::Own),
            Ok(()) => debian(workspace, "rustup added it to another toolchain than the one in use"),
            Err(error) => debian(workspace, &error.to_string()),
        }
    }

    /// A cargo command that compiles for wasm.
    pub(crate) fn cargo(&self, folder: &Path, subcommand: &str) -> Command {
        let mut command = cargo(folder);
        command.args([subcommand, "--target", TARGET]);
        if let Some(flags) = nameless_sources() {
            command.arg("--config").arg(flags);
        }
        if let Self::Debian { sysroot, linker } = self {
            command.env("RUSTC", compiler(sysroot)).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    /// Clippy for wasm on what `arguments` select, with every warning an error.
    pub(crate) fn clippy(&self, folder: &Path, arguments: &[&str]) -> Command {
        let Self::Debian { sysroot, .. } = self else {
            let mut command = self.cargo(folder, "clippy");
            command.args(arguments).args(["--", "-Dwarnings"]);
            return command;
        };
        // Clippy is a compiler itself and has to be of the release that built std; `cargo clippy` would take rustup's.
        let mut command = self.cargo(folder, "check");
        command.args(arguments).env("RUSTC_WORKSPACE_WRAPPER", DEBIAN_CLIPPY).env("SYSROOT", sysroot);
        // How `cargo clippy` hands arguments to its driver.
        command.env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
        command
    }
}

/// An engine names the file of each of its panics. Crates lie below the home folder of whoever builds it, which is nobody's business and
/// differs from machine to machine, so they are called `crates` there. Our own files are named from the checkout on anyway.
fn nameless_sources() -> Option<String> {
    let sources = cargo_home()?.join("registry/src");
    let mut registries: Vec<PathBuf> = fs::read_dir(sources).ok()?.flatten().map(|entry| entry.path()).collect();
    registries.sort();
    let flags: Vec<String> =
        registries.iter().map(|folder| format!("--remap-path-prefix={}=crates", folder.display())).collect();
    // A list of strings is the same in TOML; cargo adds it to the flags of `.cargo/config.toml`.
    (!flags.is_empty()).then(|| format!("target.{TARGET}.rustflags={}", serde_json::json!(flags)))
}

/// Where cargo keeps the crates.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

fn own_target_is_installed() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    process::capture(Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|folder| has_core(Path::new(folder.trim())))
}

fn has_core(folder: &Path) -> bool {
    fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-")))
}

fn debian(workspace: &Workspace, why: &str) -> Result<WasmTarget> {
    let missing = |why: String| Error::Missing {
        what: "the wasm32-unknown-unknown target",
        why,
        remedy: format!("rustup target add {TARGET}"),
    };
    if !Path::new("/etc/debian_version").exists() {
        return Err(missing(why.to_owned()));
    }
    let present = [DEBIAN_RUSTC, DEBIAN_CLIPPY, DEBIAN_LIBRARY].iter().all(|file| Path::new(file).exists());
    if !present || linker().is_none() {
        apt::install("a compiler for wasm", &PACKAGES)?;
    }
    let linker = linker().ok_or_else(|| missing("the package lld-22 brought no wasm-ld".into()))?;
    let version = process::capture(Command::new(DEBIAN_RUSTC).arg("-V"))?;
    // "rustc 1.96.0 (ac68faa20 2026-05-25) ..": std has to be of this very build.
    let release: Vec<&str> = version.split([' ', '(']).filter(|word| !word.is_empty()).skip(1).take(2).collect();
    let sysroot = workspace.cache.join(format!("wasm-std-{}", release.join("-")));
    // The script comes last, so that a build which was interrupted is not taken for a whole one.
    if !compiler(&sysroot).exists() {
        progress::timed("building Rust's standard library for wasm (once a machine)", || {
            build_std(workspace, &sysroot)
        })?;
    }
    Ok(WasmTarget::Debian { sysroot, linker })
}

/// The script that starts Debian's compiler with the cached std.
fn compiler(sysroot: &Path) -> PathBuf {
    sysroot.join("rustc")
}

/// The newest wasm linker of the machine.
fn linker() -> Option<PathBuf> {
    (19..=40).rev().find_map(|version| find(&[&format!("wasm-ld-{version}")])).or_else(|| find(&["wasm-ld"]))
}

fn build_std(workspace: &Workspace, sysroot: &Path) -> Result<()> {
    let seed = workspace.cache.join("std-seed");
    let source = seed.join("src");
    fs::create_dir_all(&source).doing("create", &source)?;
    let manifest = "[package]\nname = \"std_seed\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    for (file, text) in [(seed.join("Cargo.toml"), manifest), (source.join("lib.rs"), "")] {
        fs::write(&file, text).doing("write", &file)?;
    }
    let target = seed.join("target");
    process::run(
        cargo(&seed)
            .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET, "--target-dir"])
            .arg(&target)
            .env("RUSTC", DEBIAN_RUSTC)
            // -Zbuild-std is unstable; nothing else here is.
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTFLAGS"),
    )?;

    let rustlib = sysroot.join("lib/rustlib");
    let libraries = rustlib.join(TARGET).join("lib");
    fs::create_dir_all(&libraries).doing("create", &libraries)?;
    let built = target.join(TARGET).join("release/deps");
    for entry in fs::read_dir(&built).doing("list", &built)? {
        let path = entry.doing("list", &built)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "rlib") && !name.starts_with("libstd_seed") {
            fs::copy(&path, libraries.join(name)).doing("copy", &path)?;
        }
    }
    link_host_libraries(&rustlib)?;
    write_script(
        &compiler(sysroot),
        &format!("#!/bin/sh\nexec {DEBIAN_RUSTC} --sysroot '{}' \"$@\"\n", sysroot.display()),
    )?;
    // The std sources' own build is of no more use.
    fs::remove_dir_all(&seed).doing("remove", &seed)
}

/// Build scripts and macros run on the machine itself: the sysroot leads to Debian's std for that.
#[cfg(unix)]
fn link_host_libraries(rustlib: &Path) -> Result<()> {
    let sysroot = process::capture(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
    let own = Path::new(sysroot.trim()).join("lib/rustlib");
    for entry in fs::read_dir(&own).doing("list", &own)? {
        let path = entry.doing("list", &own)?.path();
        let Some(name) = path.file_name() else { continue };
        let link = rustlib.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(&path, &link).doing("link", &link)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn write_script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).doing("write", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).doing("make executable", path)
}

// Debian is Unix; elsewhere `debian` has returned before these are reached.
#[cfg(not(unix))]
fn link_host_libraries(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn write_script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing("write", path)
}
