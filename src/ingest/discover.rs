//! The first pass: which scans a drop holds.

use super::detect::{Content, detect, is_junk};
use super::dicom::{DicomPlan, find_series};
use super::group::{group_pictures, natural_order};
use super::images::PicturePlan;
use super::nifti::{NiftiPlan, pair_up};
use super::source::folder;
use super::zip::{self, Budget};
use super::{
    Fault, InputFile, Patient, Progress, ReadError, ReadProgress, RefusedScan, Scan, ScanKind, limits, tar, tiff,
};
use std::cmp::Reverse;
use std::collections::HashMap;
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
    Nifti(Box<NiftiPlan>),
    Dicom(DicomPlan),
}

impl ScanPlan {
    /// Name for the person: folder, file, or patient number of a stack.
    pub fn name(&self) -> &str {
        match &self.reader {
            Reader::Pictures(plan) => &plan.name,
            Reader::Nifti(plan) => plan.name(),
            Reader::Dicom(plan) => &plan.name,
        }
    }

    /// What it will be read from.
    pub fn kind(&self) -> ScanKind {
        match &self.reader {
            Reader::Pictures(_) => ScanKind::Images,
            Reader::Nifti(_) => ScanKind::Nifti,
            Reader::Dicom(_) => ScanKind::Dicom,
        }
    }

    /// Number of slices, as far as the headers say.
    pub fn slices(&self) -> usize {
        match &self.reader {
            Reader::Pictures(plan) => plan.slices.len(),
            Reader::Nifti(plan) => plan.slices(),
            Reader::Dicom(plan) => plan.slices(),
        }
    }

    /// Paths of the files it will be read from.
    pub fn sources(&self) -> Vec<String> {
        match &self.reader {
            Reader::Pictures(plan) => plan.sources(),
            Reader::Nifti(plan) => plan.sources(),
            Reader::Dicom(plan) => plan.sources(),
        }
    }

    /// Whose scan it is, where the files say it: DICOM does.
    pub fn patient(&self) -> Option<&Patient> {
        match &self.reader {
            Reader::Pictures(_) | Reader::Nifti(_) => None,
            Reader::Dicom(plan) => plan.patient(),
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
            Reader::Nifti(plan) => plan.read(&mut progress),
            Reader::Dicom(plan) => plan.read(&mut progress),
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

/// Files of one kind, gathered before they are grouped to scans.
#[derive(Default)]
struct Gathered {
    dicom: Vec<InputFile>,
    pictures: Vec<InputFile>,
    pair_headers: Vec<InputFile>,
    pair_data: Vec<InputFile>,
    budget: Budget,
}

/// Finds the scans of a drop: by content first, by name second. Reads file heads and DICOM headers only.
pub fn discover(files: Vec<InputFile>) -> Discovery {
    let mut discovery = Discovery::default();
    let mut gathered = Gathered::default();
    for file in files {
        discovery.gather(file, 0, &mut gathered);
    }
    discovery.add_dicom(gathered.dicom);
    for (path, plan) in pair_up(&gathered.pair_headers, &gathered.pair_data) {
        discovery.add_nifti(&path, plan);
    }
    discovery.add_pictures(&gathered.pictures);
    discovery.settle();
    discovery
}

impl Discovery {
    /// Puts a file, or the files of a container, with their kind.
    fn gather(&mut self, file: InputFile, depth: usize, gathered: &mut Gathered) {
        if is_junk(&file.path) {
            self.ignored += 1;
            return;
        }
        let content = match detect(&file) {
            Ok(content) => content,
            Err(error) => return self.refuse(&file.path, &Fault::unreadable(&file.path, &error)),
        };
        let path = file.path.clone();
        match content {
            Content::Jpeg | Content::Picture => gathered.pictures.push(file),
            Content::Tiff => self.gather_tiff(file, gathered),
            Content::Dicom => gathered.dicom.push(file),
            Content::Nifti => self.add_nifti(&file.path, NiftiPlan::of_file(&file)),
            Content::PairHeader => gathered.pair_headers.push(file),
            Content::PairData => gathered.pair_data.push(file),
            Content::Zip | Content::Tar | Content::Gzip => {
                if let Err(fault) = self.gather_container(&file, content, depth, gathered) {
                    self.refuse(&file.path, &fault);
                }
            }
            Content::Empty => self.refuse(&file.path, &Fault::EmptyFile { path }),
            Content::FalseDicom => self.refuse(&file.path, &Fault::NotDicom { path }),
            Content::Unsupported(found, advice) => {
                self.refuse(&file.path, &Fault::UnsupportedFormat { path, found: found.to_owned(), advice });
            }
            Content::Other(found) => {
                let fault = Fault::NotAScan { path, found: with_size(found, file.source.len()) };
                self.set_aside.push(RefusedScan::of_file(&file.path, &fault));
            }
        }
    }

    /// A file of many pages is a stack of its own; one of a single page is a slice like any picture.
    fn gather_tiff(&mut self, file: InputFile, gathered: &mut Gathered) {
        match tiff::pages(&file) {
            Ok(pages) if pages.len() > 1 => {
                self.scans.push(ScanPlan { reader: Reader::Pictures(PicturePlan::of_pages(&file, pages)) });
            }
            Ok(_) => gathered.pictures.push(file),
            Err(fault) => self.refuse(&file.path, &fault),
        }
    }

    fn gather_container(
        &mut self,
        file: &InputFile,
        content: Content,
        depth: usize,
        gathered: &mut Gathered,
    ) -> Result<(), Fault> {
        if depth >= limits::CONTAINER_DEPTH {
            let detail = format!("it lies in {depth} other containers");
            return Err(Fault::ContainerTooLarge { path: file.path.clone(), detail });
        }
        let budget = &mut gathered.budget;
        let entries = match content {
            Content::Gzip => tar::gunzipped(file, budget)?,
            Content::Tar => tar::entries(file, budget)?,
            _ if depth == 0 => zip::entries(file, budget)?,
            _ => zip::entries(&zip::unpacked(file, budget)?, budget)?,
        };
        if entries.is_empty() {
            return Err(Fault::EmptyContainer { path: file.path.clone() });
        }
        for entry in entries {
            match entry {
                Ok(entry) => self.gather(entry, depth + 1, gathered),
                Err(refused) => self.refused.push(refused),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, path: &str, fault: &Fault) {
        self.refused.push(RefusedScan::of_file(path, fault));
    }

    fn add_dicom(&mut self, files: Vec<InputFile>) {
        let found = find_series(files);
        self.scans.extend(found.plans.into_iter().map(|plan| ScanPlan { reader: Reader::Dicom(plan) }));
        self.refused.extend(found.refused);
        self.set_aside.extend(found.set_aside);
    }

    fn add_nifti(&mut self, path: &str, plan: Result<NiftiPlan, Fault>) {
        match plan {
            Ok(plan) => self.scans.push(ScanPlan { reader: Reader::Nifti(Box::new(plan)) }),
            Err(fault) => self.refuse(path, &fault),
        }
    }

    fn add_pictures(&mut self, pictures: &[InputFile]) {
        let paths: Vec<&str> = pictures.iter().map(|file| file.path.as_str()).collect();
        let mut stacks: Vec<PicturePlan> = Vec::new();
        let mut groups = group_pictures(&paths);
        // Of a stack and copies of it the one with more files is kept, as copies are seldom made of all.
        groups.sort_by_key(|group| Reverse(group.members.len()));
        for group in groups {
            let files = group.members.iter().filter_map(|&member| pictures.get(member)).cloned().collect();
            let stack = PicturePlan::of_files(group.name, files);
            if !stacks.iter_mut().any(|kept| kept.absorbs(&stack)) {
                stacks.push(stack);
            }
        }
        stacks.sort_by(|a, b| natural_order(&a.name, &b.name));
        self.scans.extend(stacks.into_iter().map(|stack| ScanPlan { reader: Reader::Pictures(stack) }));
    }

    /// A folder full of files of one kind that cannot be read is one thing to be told, not hundreds.
    fn gather_refusals(&mut self) {
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        let mut gathered: Vec<RefusedScan> = Vec::new();
        for refused in std::mem::take(&mut self.refused) {
            let kind = refused.refusal.message.replace(&refused.name, "");
            let is_kind = refused.refusal.code == "unsupported_format" && refused.sources == [refused.name.as_str()];
            let key = (folder(&refused.name).to_owned(), kind);
            let first = places.get(&key).filter(|_| is_kind).and_then(|&place| gathered.get_mut(place));
            if let Some(first) = first {
                first.sources.extend(refused.sources);
                continue;
            }
            if is_kind {
                places.insert(key, gathered.len());
            }
            gathered.push(refused);
        }
        for refused in &mut gathered {
            let more = refused.sources.len().saturating_sub(1);
            if refused.refusal.code == "unsupported_format" && more > 0 {
                refused.refusal.same_goes_for(more, "folder");
            }
        }
        self.refused = gathered;
    }

    /// A drop always gets an answer: with nothing else in it, what was set aside is what the person meant.
    fn settle(&mut self) {
        self.gather_refusals();
        if self.scans.is_empty() && self.refused.is_empty() {
            self.refused = std::mem::take(&mut self.set_aside);
        }
        if self.scans.is_empty() && self.refused.is_empty() {
            self.refused.push(RefusedScan::of_file("", &Fault::EmptyDrop { ignored: self.ignored }));
        }
    }
}

/// What a file is, with its size where that is worth a word.
fn with_size(found: &str, bytes: u64) -> String {
    match bytes >> 20 {
        0 => found.to_owned(),
        mib @ 1..10_240 => format!("{found} ({mib} MiB)"),
        mib => format!("{found} ({} GiB)", mib >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::ByteSource;
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
    fn files_of_one_kind_that_cannot_be_read_are_refused_once_a_folder() {
        let gif: &[u8] = b"GIF89a";
        let files = [("a/1.gif", gif), ("a/2.gif", gif), ("b/1.gif", gif), ("a/3.7z", b"7z\xbc\xaf\x27\x1c")];
        let files = files.map(|(path, bytes)| InputFile { path: path.to_owned(), source: Arc::new(bytes.to_vec()) });
        let refused = discover(files.to_vec()).refused;
        assert_eq!(refused.iter().map(|refused| refused.sources.len()).collect::<Vec<_>>(), [2, 1, 1]);
        assert!(refused[0].refusal.message.ends_with("The same goes for one more file of the folder."), "{refused:?}");
    }

    #[test]
    fn a_text_file_alone_is_refused_by_name() {
        assert_eq!(codes(&[("notes.txt", b"hello")]), ["not_a_scan"]);
    }

    /// A file of 4 GiB that must not be read whole.
    struct Huge(Vec<u8>);

    impl ByteSource for Huge {
        fn len(&self) -> u64 {
            4 << 30
        }

        fn read_at(&self, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
            assert!(length <= 1 << 20, "{length} bytes were asked for at once");
            assert!(offset <= 4 << 20 || offset >= (4 << 30) - (4 << 20), "{offset} is far into the file");
            let mut bytes = vec![0; length];
            for (place, byte) in bytes.iter_mut().enumerate() {
                let at = usize::try_from(offset).unwrap().saturating_add(place);
                *byte = self.0.get(at).copied().unwrap_or(0);
            }
            Ok(bytes)
        }
    }

    #[test]
    fn four_gigabytes_of_anything_are_refused_without_being_read() {
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM");
        let heads: [(&str, &[u8]); 5] = [
            ("x.bin", &[7, 7]),
            ("x.jpg", &[0xff, 0xd8, 0xff, 0xe0]),
            ("x.nii", b"\x5c\x01\0\0"),
            ("x.dcm", &dicom),
            ("x.gz", &[0x1f, 0x8b, 8]),
        ];
        for (path, head) in heads {
            let file = InputFile { path: path.to_owned(), source: Arc::new(Huge(head.to_vec())) };
            let discovery = discover(vec![file]);
            let refused_late =
                discovery.scans.iter().all(|plan| plan.read(&mut |_| ControlFlow::Continue(())).is_err());
            assert!(refused_late && discovery.refused.len() + discovery.scans.len() == 1, "{path}");
        }
    }

    #[test]
    fn a_text_file_beside_something_else_is_set_aside() {
        assert_eq!(codes(&[("notes.txt", b"hello"), ("x.dcm", b"no dicom")]), ["not_dicom"]);
    }
}
