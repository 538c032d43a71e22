//! The wasm engines of the page: one crate, compiled with and without WebGPU, and bound to JavaScript.

use crate::error::{Doing, Error, Result};
use crate::pack;
use crate::progress;
use crate::setup::wasm_target::WasmTarget;
use crate::workspace::Workspace;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasm_bindgen_cli_support::Bindgen;

/// Cargo profile of both engines.
const PROFILE: &str = "wasm";
/// The page imports `pkg/<engine>/ictus.js`.
const NAME: &str = "ictus";
const WASM: &str = "ictus_bg.wasm";

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
            // The aim is 1.2 MB: the readers of JPEG 2000, JPEG-LS and TIFF came. `wasm-opt -Oz` (binaryen 132) makes the file
            // 7 % smaller and its gzip 8 % larger, so it is not used.
            Self::Cpu => 1_250_000,
            Self::Gpu => 2_500_000,
        }
    }

    pub(crate) fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.engines().join(self.name())
    }

    pub(crate) fn wasm(self, workspace: &Workspace) -> PathBuf {
        self.folder(workspace).join(WASM)
    }
}

/// Compiles `engine` and binds it into its folder, which is replaced in one go so that a running server never hands out halves.
pub(crate) fn build(workspace: &Workspace, target: &WasmTarget, engine: Engine) -> Result<()> {
    let compiled = compile(workspace, target, engine)?;
    if !is_bound(workspace, engine, &compiled) {
        let folder = engine.folder(workspace);
        let fresh = workspace.engines().join(format!("{}.new", engine.name()));
        bind_compiled(workspace, engine, &fresh)?;
        remove(&folder)?;
        fs::rename(&fresh, &folder).doing("move into place", &folder)?;
    }
    let (bytes, zipped) = sizes(&engine.wasm(workspace))?;
    progress::stage(format_args!("{} engine: {}, {} with gzip", engine.name(), megabytes(bytes), megabytes(zipped)));
    Ok(())
}

/// The engine in place was made from this file by this program.
fn is_bound(workspace: &Workspace, engine: Engine, compiled: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let this = std::env::current_exe().ok();
    let made_of: Option<SystemTime> =
        written(compiled).zip(this.as_deref().and_then(written)).map(|(wasm, program)| wasm.max(program));
    made_of.zip(written(&engine.wasm(workspace))).is_some_and(|(made_of, bound)| bound > made_of)
}

/// Both engines are built in one folder, so that what they share is compiled once. They are called alike there: each is put aside at once.
fn compile(workspace: &Workspace, target: &WasmTarget, engine: Engine) -> Result<PathBuf> {
    let folder = workspace.target.join("wasm-engines");
    progress::timed(format!("compiling the {} engine to wasm", engine.name()), || {
        let mut cargo = target.cargo(&workspace.root, "build");
        cargo.args(["--package", "ictus", "--lib", "--profile", PROFILE, "--features", engine.features()]);
        crate::process::run(cargo.arg("--target-dir").arg(&folder))
    })?;
    let built = folder.join(format!("wasm32-unknown-unknown/{PROFILE}/{NAME}.wasm"));
    let bytes = fs::read(&built).doing("read", &built)?;
    let aside = compiled(workspace, engine);
    // One that did not change keeps its time, by which binding it again is spared.
    if fs::read(&aside).ok().as_ref() != Some(&bytes) {
        fs::create_dir_all(workspace.engines()).doing("create", &workspace.engines())?;
        fs::write(&aside, bytes).doing("write", &aside)?;
    }
    Ok(aside)
}

fn compiled(workspace: &Workspace, engine: Engine) -> PathBuf {
    workspace.engines().join(format!("{}.wasm", engine.name()))
}

/// Binds an engine that is compiled into `folder`, which is replaced.
pub(crate) fn bind_compiled(workspace: &Workspace, engine: Engine, folder: &Path) -> Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder).doing("create", folder)?;
    bind(&compiled(workspace, engine), folder)?;
    pack::pack(&folder.join(WASM))
}

fn bind(compiled: &Path, folder: &Path) -> Result<()> {
    let why = |error: &dyn std::fmt::Display| Error::Bind { path: compiled.to_path_buf(), why: format!("{error:#}") };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(compiled).out_name(NAME).typescript(true).remove_producers_section(true);
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
