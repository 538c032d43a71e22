//! Paths on the command line as the page would get them: each path is one drop of files with relative names.

use ictus::ingest::{ByteSource, Discovery, InputFile, RefusedScan, discover};
use ictus::report::Refusal;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file on disk. It is opened for each read: a folder may hold more files than a process may keep open.
struct FileSource {
    path: PathBuf,
    length: u64,
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length.min(left));
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A path that cannot be listed or opened.
#[derive(Debug, thiserror::Error)]
#[error("looking for scans in {path}: {source}. Check that it exists and that you may read it")]
pub(crate) struct DropError {
    path: PathBuf,
    source: io::Error,
}

/// What a path holds. One that cannot be read is a refusal, so that the other paths go on; files set aside are named on
/// standard error.
pub(crate) fn discover_path(path: &Path) -> Discovery {
    let discovery = match gather(path) {
        Ok(files) => discover(files),
        Err(error) => {
            let name = path.display().to_string();
            let refusal = Refusal::new("unreadable", error.to_string());
            let refused = RefusedScan { sources: vec![name.clone()], name, refusal };
            Discovery { refused: vec![refused], ..Discovery::default() }
        }
    };
    for aside in &discovery.set_aside {
        eprintln!("set aside: {} ({})", aside.name, aside.refusal.message);
    }
    discovery
}

/// All files under `path`, named relative to its parent (`brain/72 (1).jpg` for the folder `brain`), in natural order.
///
/// # Errors
/// [`DropError`] for the first file or folder that cannot be listed.
pub(crate) fn gather(path: &Path) -> Result<Vec<InputFile>, DropError> {
    // `.` and `..` have no name of their own.
    let name =
        path.file_name().map(PathBuf::from).or_else(|| fs::canonicalize(path).ok()?.file_name().map(PathBuf::from));
    let mut files = Vec::new();
    collect(path, &name.unwrap_or_default(), &mut files)?;
    files.sort_by(|a, b| ictus::ingest::natural_order(&a.path, &b.path));
    Ok(files)
}

fn collect(path: &Path, relative: &Path, files: &mut Vec<InputFile>) -> Result<(), DropError> {
    let failed = |source| DropError { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_dir() {
        let names: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let source = Arc::new(FileSource { path: path.to_owned(), length: metadata.len() });
        files.push(InputFile { path: names.join("/"), source });
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A link to a folder could lead back to where it lies.
        let links_to_folder = entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir();
        if !links_to_folder {
            collect(&entry.path(), &relative.join(entry.file_name()), files)?;
        }
    }
    Ok(())
}

/// How a command over several scans ends: 0 all read, 2 some refused, 1 nothing could be done.
pub(crate) fn exit_code(done: usize, refused: usize) -> std::process::ExitCode {
    match (done, refused) {
        (0, _) => 1.into(),
        (_, 0) => 0.into(),
        _ => 2.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_drop_with_relative_names_in_natural_order() {
        let folder = std::env::temp_dir().join(format!("ictus-drop-{}", std::process::id()));
        fs::create_dir_all(folder.join("head")).unwrap();
        for name in ["head/7 (10).jpg", "head/7 (9).jpg"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let files = gather(&folder.join("head")).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["head/7 (9).jpg", "head/7 (10).jpg"]);
        assert_eq!(files[0].source.read_at(5, 100).unwrap(), b"7 (9).jpg");
        assert_eq!(files[0].source.read_at(500, 100).unwrap(), b"");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let Err(error) = gather(Path::new("no/such/folder")) else { panic!("gathered nothing from nowhere") };
        assert!(error.to_string().contains("folder"));
        let discovery = discover_path(Path::new("no/such/folder"));
        assert_eq!(discovery.refused[0].refusal.code, "unreadable");
        assert_eq!(discovery.refused[0].sources, ["no/such/folder"]);
    }
}
