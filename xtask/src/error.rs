//! What can go wrong in a chore, said so that the person knows what to do next.

use std::io;
use std::path::{Path, PathBuf};

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("could not start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` failed ({status}){output}")]
    Command { command: String, status: String, output: String },
    #[error("{what} is missing and could not be installed: {why}\n  do this once: {remedy}")]
    Missing { what: &'static str, why: String, remedy: String },
    #[error("wasm-bindgen could not bind {}: {why}", path.display())]
    Bind { path: PathBuf, why: String },
    #[error("{} could not be made smaller: {why}", path.display())]
    Pack { path: PathBuf, why: String },
    #[error("what is shipped of `{name}` could not be told: {why}")]
    Supply { name: String, why: String },
    #[error("{what} failed: {which}")]
    Failed { what: &'static str, which: String },
    #[error("could not listen on 127.0.0.1:{port}: {why}; choose another with --port")]
    Listen { port: u16, why: String },
}

/// Names what was being done on which file when an input or output fails.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File { doing, path: path.to_path_buf(), source })
    }
}
