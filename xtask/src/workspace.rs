//! Where things are: the checkout, the build folder, and the cache that outlives both.

use crate::error::{Doing, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Workspace {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's build folder.
    pub(crate) target: PathBuf,
    /// Tools that were installed for this project only; shared by all checkouts of this person.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().map(Path::to_path_buf).unwrap_or(manifest);
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        let cache = cache_home().unwrap_or_else(|| target.clone()).join("ictus");
        fs::create_dir_all(&cache).doing("create", &cache)?;
        Ok(Self { root, target, cache })
    }

    /// The page's sources.
    pub(crate) fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    /// The wasm engines with their JavaScript, a folder each.
    pub(crate) fn engines(&self) -> PathBuf {
        self.target.join("engines")
    }
}

fn cache_home() -> Option<PathBuf> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CACHE_HOME").or_else(|| named("LOCALAPPDATA")).or_else(|| named("HOME").map(|home| home.join(".cache")))
}

/// Nobody is there to answer a question.
pub(crate) fn unattended() -> bool {
    use std::io::IsTerminal;
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false") || !std::io::stdin().is_terminal()
}
