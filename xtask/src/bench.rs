//! `cargo xtask bench`: sizes of what is sent, and times in a real browser.

use crate::browser;
use crate::error::{Doing, Result};
use crate::wasm::{self, Engine, megabytes};
use crate::workspace::Workspace;
use std::fs;

pub(crate) fn bench(workspace: &Workspace) -> Result<()> {
    browser::run(workspace, "bench.mjs")?;
    println!("\n{:<28} {:>10} {:>10}", "file", "size", "gzip");
    let row = |name: &str, (bytes, zipped)| println!("{name:<28} {:>10} {:>10}", megabytes(bytes), megabytes(zipped));
    for engine in Engine::ALL {
        row(&format!("{} engine", engine.name()), wasm::sizes(&engine.wasm(workspace))?);
    }
    let models = workspace.www().join("models");
    for entry in fs::read_dir(&models).doing("list", &models)? {
        let path = entry.doing("list", &models)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        row(&name, wasm::sizes(&path)?);
    }
    Ok(())
}
