//! The first pass: which scans a drop holds.

use super::detect::{Content, detect, is_junk};
use super::group::group_pictures;
use super::images::PicturePlan;
use super::{Fault, InputFile, Progress, ReadError, ReadProgress, RefusedScan, Scan, ScanKind};
use std::ops::ControlFlow;

/// What a drop holds.
#[derive(Clone, Default)]
pub struct Discovery {
    /// Scans that can be read, in natural order of their names.
    pub scans: Vec<ScanPlan>,
    /// Scans and files that cannot be read.
    pub refused: Vec<RefusedScan>,
    /// Files beside the scans that nobody needs to worry about, with the reason: localisers, `DICOMDIR`, text files.
    /// Where nothing else was dropped they are in `refused` instead.
    pub set_aside: Vec<RefusedScan>,
    /// Number of files left behind by operating systems (`.DS_Store`, `Thumbs.db`).
    pub ignored: usize,
}

/// A scan that was found and can be read.
#[derive(Clone)]
pub struct ScanPlan {
    reader: Reader,
}

#[derive(Clone)]
enum Reader {
    Pictures(PicturePlan),
}

impl ScanPlan {
    /// Name for the person: folder, file, or patient number of a stack.
    pub fn name(&self) -> &str {
        match &self.reader {
            Reader::Pictures(plan) => &plan.name,
        }
    }

    /// What it will be read from.
    pub fn kind(&self) -> ScanKind {
        match &self.reader {
            Reader::Pictures(_) => ScanKind::Images,
        }
    }

    /// Number of slices, as far as the headers say.
    pub fn slices(&self) -> usize {
        match &self.reader {
            Reader::Pictures(plan) => plan.files.len(),
        }
    }

    /// Paths of the files it will be read from.
    pub fn sources(&self) -> Vec<String> {
        match &self.reader {
            Reader::Pictures(plan) => plan.files.iter().map(|file| file.path.clone()).collect(),
        }
    }

    /// Reads the scan. `progress` is called before each step; returning [`ControlFlow::Break`] cancels.
    ///
    /// # Errors
    /// [`ReadError::Refused`] with what was found and what to do, or [`ReadError::Cancelled`].
    pub fn read(&self, progress: &mut dyn FnMut(ReadProgress) -> ControlFlow<()>) -> Result<Scan, ReadError> {
        let mut progress = Progress::new(progress);
        let result = match &self.reader {
            Reader::Pictures(plan) => plan.read(&mut progress),
        };
        result.map_err(|error| match error {
            ReadError::Refused(refused) if refused.name.is_empty() => ReadError::Refused(RefusedScan {
                name: self.name().to_owned(),
                sources: self.sources(),
                refusal: refused.refusal,
            }),
            error => error,
        })
    }
}

/// Finds the scans of a drop: by content first, by name second. Reads file heads and DICOM headers only.
pub fn discover(files: Vec<InputFile>) -> Discovery {
    let mut discovery = Discovery::default();
    let mut pictures = Vec::new();
    for file in files {
        if is_junk(&file.path) {
            discovery.ignored += 1;
            continue;
        }
        match detect(&file) {
            Ok(Content::Jpeg | Content::Png) => pictures.push(file),
            Ok(content) => discovery.file_away(&file, content),
            Err(error) => discovery.refuse(&file.path, &Fault::unreadable(&file.path, &error)),
        }
    }
    discovery.add_pictures(&pictures);
    discovery.settle();
    discovery
}

impl Discovery {
    fn refuse(&mut self, path: &str, fault: &Fault) {
        self.refused.push(RefusedScan::of_file(path, fault));
    }

    /// A file that is no scan: aside if it is harmless, refused if somebody may miss it.
    fn file_away(&mut self, file: &InputFile, content: Content) {
        let path = file.path.clone();
        match content {
            Content::Empty => self.refuse(&file.path, &Fault::EmptyFile { path }),
            Content::FalseDicom => self.refuse(&file.path, &Fault::NotDicom { path }),
            Content::Unsupported(found, advice) => {
                self.refuse(&file.path, &Fault::UnsupportedFormat { path, found: found.to_owned(), advice });
            }
            Content::Other(found) => {
                let fault = Fault::NotAScan { path, found: found.to_owned() };
                self.set_aside.push(RefusedScan::of_file(&file.path, &fault));
            }
            Content::Dicom => self.refuse(&file.path, &not_yet(path, "a DICOM file")),
            Content::Nifti | Content::PairHeader | Content::PairData => {
                self.refuse(&file.path, &not_yet(path, "a NIfTI file"));
            }
            Content::Zip => self.refuse(&file.path, &not_yet(path, "a zip archive")),
            Content::Jpeg | Content::Png => self.add_pictures(std::slice::from_ref(file)),
        }
    }

    fn add_pictures(&mut self, pictures: &[InputFile]) {
        let paths: Vec<&str> = pictures.iter().map(|file| file.path.as_str()).collect();
        for group in group_pictures(&paths) {
            let files = group.members.iter().filter_map(|&member| pictures.get(member)).cloned().collect();
            self.scans.push(ScanPlan { reader: Reader::Pictures(PicturePlan { name: group.name, files }) });
        }
    }

    /// A drop always gets an answer: with nothing else in it, what was set aside is what the person meant.
    fn settle(&mut self) {
        if self.scans.is_empty() && self.refused.is_empty() {
            self.refused = std::mem::take(&mut self.set_aside);
        }
        if self.scans.is_empty() && self.refused.is_empty() {
            self.refused.push(RefusedScan::of_file("", &Fault::EmptyDrop { ignored: self.ignored }));
        }
    }
}

fn not_yet(path: String, found: &str) -> Fault {
    Fault::UnsupportedFormat { path, found: found.to_owned(), advice: "Export the slices as JPG or PNG." }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn codes(files: &[(&str, &[u8])]) -> Vec<String> {
        let files = files
            .iter()
            .map(|&(path, bytes)| InputFile { path: path.to_owned(), source: Arc::new(bytes.to_vec()) })
            .collect();
        discover(files).refused.into_iter().map(|refused| refused.refusal.code).collect()
    }

    #[test]
    fn an_empty_drop_is_answered() {
        assert_eq!(codes(&[]), ["empty_drop"]);
        assert_eq!(codes(&[("a/.DS_Store", b"x")]), ["empty_drop"]);
    }

    #[test]
    fn a_text_file_alone_is_refused_by_name() {
        assert_eq!(codes(&[("notes.txt", b"hello")]), ["not_a_scan"]);
    }

    #[test]
    fn a_text_file_beside_something_else_is_set_aside() {
        assert_eq!(codes(&[("notes.txt", b"hello"), ("x.dcm", b"no dicom")]), ["not_dicom"]);
    }
}
