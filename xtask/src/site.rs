//! The site as files: the page's sources with the engines beside them under `pkg/`.

use crate::error::{Doing, Result};
use crate::progress;
use crate::setup::wasm_target::WasmTarget;
use crate::wasm::{self, Engine};
use crate::workspace::Workspace;
use clap::Args;
use std::fs;
use std::path::{Component, Path, PathBuf};

#[derive(Args)]
pub(crate) struct DistArguments {
    /// Folder to make; what it holds is replaced. Default: `site` in cargo's build folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Leave the WebGPU engine out: the page then answers with the CPU everywhere.
    #[arg(long)]
    cpu_only: bool,
}

/// Engines live outside the sources, under this folder of the site.
const PKG: &str = "pkg";

/// Builds both engines and copies the whole site to one folder.
pub(crate) fn dist(workspace: &Workspace, arguments: &DistArguments) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    let engines = if arguments.cpu_only { &Engine::ALL[..1] } else { &Engine::ALL[..] };
    for &engine in engines {
        wasm::build(workspace, &target, engine)?;
    }
    let site = arguments.out.clone().unwrap_or_else(|| workspace.target.join("site"));
    let fresh = site.with_extension("new");
    for folder in [&fresh, &site] {
        if folder.exists() {
            fs::remove_dir_all(folder).doing("remove", folder)?;
        }
    }
    copy(&workspace.www(), &fresh)?;
    for &engine in engines {
        copy(&engine.folder(workspace), &fresh.join(PKG).join(engine.name()))?;
    }
    fs::rename(&fresh, &site).doing("move into place", &site)?;
    progress::stage(format_args!("the site is in {}; upload the folder to any static host", site.display()));
    Ok(())
}

/// The file that a request for `path`, relative to the site, is answered with; sources are served where they lie, so that a reload shows an edit.
pub(crate) fn file(workspace: &Workspace, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    if !path.components().all(|component| matches!(component, Component::Normal(_))) {
        return None;
    }
    let file = match path.strip_prefix(PKG) {
        Ok(engine) => workspace.engines().join(engine),
        Err(_) => workspace.www().join(path),
    };
    let file = if file.is_dir() { file.join("index.html") } else { file };
    file.is_file().then_some(file)
}

/// Media type by file extension; browsers refuse modules and streamed wasm under a wrong one.
pub(crate) fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).doing("create", to)?;
    for entry in fs::read_dir(from).doing("list", from)? {
        let path = entry.doing("list", from)?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name)).doing("copy", &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace {
            root: folder.path().join("checkout"),
            target: folder.path().join("target"),
            cache: folder.path().join("cache"),
        };
        for (path, text) in
            [("checkout/www/index.html", "page"), ("checkout/secret", "no"), ("target/engines/cpu/ictus.js", "engine")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, workspace)
    }

    #[test]
    fn the_root_is_the_page_and_pkg_is_the_engines() {
        let (_folder, workspace) = workspace();
        let text = |path: &str| file(&workspace, path).map(|file| fs::read_to_string(file).unwrap());
        assert_eq!(text("").as_deref(), Some("page"));
        assert_eq!(text("pkg/cpu/ictus.js").as_deref(), Some("engine"));
        assert_eq!(text("pkg/gpu/ictus.js"), None);
    }

    #[test]
    fn nothing_outside_the_site_is_served() {
        let (_folder, workspace) = workspace();
        for path in ["../secret", "pkg/../../../checkout/secret", "/etc/passwd"] {
            assert_eq!(file(&workspace, path), None, "{path}");
        }
    }
}
