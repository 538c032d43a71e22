//! The wasm engines of the page: one crate, compiled with and without WebGPU, and bound to JavaScript.

use crate::error::{Doing, Error, Result};
use crate::progress;
use crate::setup::wasm_target::WasmTarget;
use crate::workspace::Workspace;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// Cargo profile of both engines.
const PROFILE: &str = "wasm";
/// The page imports `pkg/<engine>/ictus.js`.
const NAME: &str = "ictus";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Runs everywhere.
    Cpu,
    /// Runs where the browser has WebGPU; many times larger.
    Gpu,
}

impl Engine {
    pub(crate) const ALL: [Self; 2] = [Self::Cpu, Self::Gpu];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }

    pub(crate) fn features(self) -> &'static str {
        match self {
            Self::Cpu => "web",
            Self::Gpu => "web,wgpu",
        }
    }

    /// Most bytes that the file may have after gzip, as every static host sends it.
    pub(crate) fn budget(self) -> u64 {
        match self {
            Self::Cpu => 1_200_000,
            // The aim is 2.5 MB (issue "Fast everywhere"); shrinking naga and cubecl is still to do.
            Self::Gpu => 3_000_000,
        }
    }

    pub(crate) fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.engines().join(self.name())
    }

    pub(crate) fn wasm(self, workspace: &Workspace) -> PathBuf {
        self.folder(workspace).join(format!("{NAME}_bg.wasm"))
    }
}

/// Compiles `engine` and binds it into its folder, which is replaced in one go so that a running server never hands out halves.
pub(crate) fn build(workspace: &Workspace, target: &WasmTarget, engine: Engine) -> Result<()> {
    let compiled = compile(workspace, target, engine)?;
    let folder = engine.folder(workspace);
    let fresh = workspace.engines().join(format!("{}.new", engine.name()));
    remove(&fresh)?;
    fs::create_dir_all(&fresh).doing("create", &fresh)?;
    bind(&compiled, &fresh)?;
    remove(&folder)?;
    fs::rename(&fresh, &folder).doing("move into place", &folder)?;
    let (bytes, zipped) = sizes(&engine.wasm(workspace))?;
    progress::stage(format_args!("{} engine: {}, {} with gzip", engine.name(), megabytes(bytes), megabytes(zipped)));
    Ok(())
}

fn compile(workspace: &Workspace, target: &WasmTarget, engine: Engine) -> Result<PathBuf> {
    progress::timed(format!("compiling the {} engine to wasm", engine.name()), || {
        let mut cargo = target.cargo(&workspace.root, "build");
        cargo.args([
            "--package",
            "ictus",
            "--lib",
            "--profile",
            PROFILE,
            "--features",
            engine.features(),
            "--target-dir",
        ]);
        crate::process::run(cargo.arg(&workspace.target))
    })?;
    Ok(workspace.target.join(format!("wasm32-unknown-unknown/{PROFILE}/{NAME}.wasm")))
}

fn bind(compiled: &Path, folder: &Path) -> Result<()> {
    let why = |error: &dyn std::fmt::Display| Error::Bind { path: compiled.to_path_buf(), why: format!("{error:#}") };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(compiled)
        .out_name(NAME)
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen.web(true).map_err(|error| why(&error))?;
    bindgen.generate(folder).map_err(|error| why(&error))
}

/// Bytes of a file as it is, and after gzip.
pub(crate) fn sizes(path: &Path) -> Result<(u64, u64)> {
    let bytes = fs::read(path).doing("read", path)?;
    let mut zip = GzEncoder::new(Vec::new(), Compression::best());
    let zipped = zip.write_all(&bytes).and_then(|()| zip.finish()).doing("compress", path)?;
    Ok((bytes.len() as u64, zipped.len() as u64))
}

/// Bytes as a person reads them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() { fs::remove_dir_all(folder).doing("remove", folder) } else { Ok(()) }
}
