//! Zip containers: their entries become files of the drop, unpacked in memory as they are read.
//!
//! Nothing is ever written, and `..` in an entry's name is left out, so no entry can be outside its container. What a
//! container may unpack to is limited ([`limits`]), and an entry never gives more bytes than the directory states.

use super::fault::Fault;
use super::source::SourceReader;
use super::{ByteSource, InputFile, limits};
use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};
use flate2::read::DeflateDecoder;
use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;

/// What the containers of one drop may still unpack to.
pub(super) struct Budget {
    entries: usize,
    bytes: u64,
    memory: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { entries: limits::CONTAINER_ENTRIES, bytes: limits::CONTAINER_BYTES, memory: limits::UNPACKED_BYTES }
    }
}

impl Budget {
    /// Counts a file of `bytes` unpacked bytes.
    pub(super) fn spend(&mut self, path: &str, bytes: u64) -> Result<(), Fault> {
        let over = |detail: String| Fault::ContainerTooLarge { path: path.to_owned(), detail };
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or_else(|| over(format!("it holds more than {} files", limits::CONTAINER_ENTRIES)))?;
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or_else(|| over(format!("it would unpack to more than {} GiB", limits::CONTAINER_BYTES >> 30)))?;
        Ok(())
    }

    /// Bytes that may still be unpacked into memory.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// Counts bytes that were unpacked into memory, up to one more than `limit`.
    pub(super) fn keep(&mut self, path: &str, bytes: u64, limit: u64) -> Result<(), Fault> {
        if bytes > limit {
            let detail = format!("it unpacks to more than {} MiB, as CT never does", limit >> 20);
            return Err(Fault::ContainerTooLarge { path: path.to_owned(), detail });
        }
        self.memory = self.memory.saturating_sub(bytes);
        Ok(())
    }
}

/// The files of a container, in the order of its directory.
#[expect(clippy::arc_with_non_send_sync, reason = "byte sources are `Arc` by contract; browser files cannot be sent")]
pub(super) fn entries(file: &InputFile, budget: &mut Budget) -> Result<Vec<Result<InputFile, Fault>>, Fault> {
    let damaged = |error: ZipError| match error {
        ZipError::Io(error) => Fault::unreadable(&file.path, &error),
        error => Fault::Damaged { path: file.path.clone(), detail: error.to_string() },
    };
    let mut archive = ZipArchive::new(SourceReader::new(file.source.as_ref(), 64 << 10)).map_err(damaged)?;
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        if entry.is_dir() {
            continue;
        }
        budget.spend(&file.path, entry.size())?;
        if entry.encrypted() {
            return Err(Fault::Encrypted { path: file.path.clone() });
        }
        let path = inner_path(&file.path, &String::from_utf8_lossy(entry.name_raw()));
        if entry.size() > limits::expanded(entry.compressed_size()) {
            let detail = format!("it claims to unpack from {} to {} bytes", entry.compressed_size(), entry.size());
            found.push(Err(Fault::ContainerTooLarge { path, detail }));
            continue;
        }
        let start = entry.data_start().ok_or_else(|| Fault::Damaged {
            path: file.path.clone(),
            detail: format!("the directory does not say where {path} begins"),
        })?;
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            method => {
                let advice = "Unpack it and drop the files.";
                found.push(Err(Fault::UnsupportedFormat { path, found: format!("packed as {method:?}"), advice }));
                continue;
            }
        };
        let container = Arc::clone(&file.source);
        let packed = Range::new(container, start, entry.compressed_size());
        let source: Arc<dyn ByteSource> = if deflated {
            Arc::new(Deflated { packed, length: entry.size(), open: RefCell::new(None) })
        } else {
            Arc::new(packed)
        };
        found.push(Ok(InputFile { path, source }));
    }
    Ok(found)
}

/// A container that lies in a container, ready for random access.
pub(super) fn unpacked(file: &InputFile, budget: &mut Budget) -> Result<InputFile, Fault> {
    budget.keep(&file.path, file.source.len(), budget.memory())?;
    let bytes = super::source::read_whole(file, limits::UNPACKED_BYTES)?;
    Ok(InputFile { path: file.path.clone(), source: Arc::new(bytes) })
}

/// Where an entry lies in the drop; `..` is left out.
pub(super) fn inner_path(container: &str, name: &str) -> String {
    let name = name.replace('\\', "/");
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    std::iter::once(container).chain(parts).collect::<Vec<_>>().join("/")
}

/// Bytes of a container that an entry takes; as a reader it starts at the first.
#[derive(Clone)]
pub(super) struct Range {
    container: Arc<dyn ByteSource>,
    start: u64,
    length: u64,
    position: u64,
}

impl Range {
    pub(super) fn new(container: Arc<dyn ByteSource>, start: u64, length: u64) -> Self {
        Self { container, start, length, position: 0 }
    }
}

impl ByteSource for Range {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.container.read_at(self.start.saturating_add(offset), length.min(left))
    }
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.read_at(self.position, buffer.len())?;
        for (to, from) in buffer.iter_mut().zip(&bytes) {
            *to = *from;
        }
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// A deflated entry. Reading on continues where the last read ended; reading back starts anew.
struct Deflated {
    packed: Range,
    length: u64,
    open: RefCell<Option<(u64, DeflateDecoder<Range>)>>,
}

impl ByteSource for Deflated {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut open = self.open.borrow_mut();
        let (position, mut decoder) = match open.take() {
            Some((position, decoder)) if position <= offset => (position, decoder),
            _ => (0, DeflateDecoder::new(self.packed.clone())),
        };
        let wanted = offset.min(self.length) - position.min(offset.min(self.length));
        let skipped = io::copy(&mut decoder.by_ref().take(wanted), &mut io::sink())?;
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        if skipped == wanted {
            decoder.by_ref().take(length.min(left) as u64).read_to_end(&mut bytes)?;
        }
        *open = Some((position + skipped + bytes.len() as u64, decoder));
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{ScanPlan, discover};
    use ::zip::ZipWriter;
    use ::zip::write::SimpleFileOptions;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    fn pack(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for &(path, bytes) in files {
            writer.start_file(path, SimpleFileOptions::default().compression_method(method)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn picture() -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn drop_of(bytes: Vec<u8>) -> Vec<InputFile> {
        vec![InputFile { path: "heads.zip".to_owned(), source: Arc::new(bytes) }]
    }

    #[test]
    fn a_stack_in_a_zip_in_a_zip_is_found_and_junk_is_counted() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let picture = picture();
            let inner = pack(&[("a b/7 (1).png", &picture), ("a b/7 (2).png", &picture)], method);
            let outer = pack(&[("in/x.zip", &inner), ("__MACOSX/._x.zip", b"?"), ("Thumbs.db", b"?")], method);
            let discovery = discover(drop_of(outer));
            assert_eq!(discovery.scans.iter().map(ScanPlan::name).collect::<Vec<_>>(), ["7"]);
            assert_eq!(discovery.scans[0].sources()[0], "heads.zip/in/x.zip/a b/7 (1).png");
            assert_eq!(discovery.ignored, 2);
            assert!(discovery.scans[0].read(&mut |_| std::ops::ControlFlow::Continue(())).is_ok());
        }
    }

    #[test]
    fn no_path_leaves_its_container() {
        assert_eq!(inner_path("a.zip", "../../etc/./passwd"), "a.zip/etc/passwd");
        assert_eq!(inner_path("a.zip", "C:\\x\\..\\1.jpg"), "a.zip/C:/x/1.jpg");
    }

    #[test]
    fn a_zip_of_nothing_readable_is_refused() {
        let refused = discover(drop_of(pack(&[], CompressionMethod::Stored))).refused;
        assert_eq!(refused[0].refusal.code, "empty_container");
    }

    #[test]
    fn more_than_the_limit_is_not_unpacked() {
        let mut budget = Budget { entries: 2, bytes: 100, memory: 0 };
        assert!(budget.spend("a.zip", 60).is_ok());
        assert_eq!(budget.spend("a.zip", 60).unwrap_err().code(), "container_too_large");
    }

    #[test]
    fn a_deflated_entry_reads_at_any_place_in_any_order() {
        let content: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
        let file = drop_of(pack(&[("x", &content)], CompressionMethod::Deflated)).remove(0);
        let entry = entries(&file, &mut Budget::default()).unwrap().remove(0).unwrap();
        for (offset, length) in [(0, 10), (5, 10), (50_000, 20_000), (3, 4), (99_990, 100), (200_000, 5)] {
            let start = offset.min(content.len());
            let end = (offset + length).min(content.len());
            assert_eq!(entry.source.read_at(offset as u64, length).unwrap(), content[start..end]);
        }
    }

    proptest! {
        #[test]
        fn damaged_containers_never_panic(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
            let mut bytes = pack(&[("1.txt", b"some text"), ("2.txt", b"more")], CompressionMethod::Deflated);
            for (place, value) in changes {
                let place = usize::from(place) % bytes.len();
                bytes[place] = value;
            }
            let discovery = discover(drop_of(bytes));
            prop_assert!(!discovery.refused.is_empty());
        }
    }
}
