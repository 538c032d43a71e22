//! Files that are whole or not there.

use std::io;
use std::path::Path;

/// Writes a file beside its place and moves it there: a run that is killed leaves no half of it behind.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes)?;
    std::fs::rename(draft, path)
}
