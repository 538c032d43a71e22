//! The site as files: the page's sources with the engines beside them under `pkg/`.

use crate::workspace::Workspace;
use std::path::{Component, Path, PathBuf};

/// Engines live outside the sources, under this folder of the site.
pub(crate) const PKG: &str = "pkg";

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
