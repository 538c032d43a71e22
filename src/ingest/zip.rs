//! Zip containers: their entries become files of the drop, unpacked in memory as they are read.
//!
//! Nothing is ever written, and `..` in an entry's name is left out, so no entry can be outside its container. What a
//! container may unpack to is limited ([`limits`]), and an entry never gives more bytes than the directory states.

use super::fault::Fault;
use super::source::SourceReader;
use super::{ByteSource, InputFile, RefusedScan, limits};
use ::zip::read::ZipFile;
use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};
use flate2::read::DeflateDecoder;
use flate2::{Crc, CrcReader};
use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;
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

/// The files of a container, in the order of its directory; an entry that cannot be read takes no other down.
pub(super) fn entries(file: &InputFile, budget: &mut Budget) -> Result<Vec<Result<InputFile, RefusedScan>>, Fault> {
    let damaged = |error: ZipError| match error {
        ZipError::Io(error) => Fault::unreadable(&file.path, &error),
        error => Fault::Damaged { path: file.path.clone(), detail: error.to_string() },
    };
    let mut archive = ZipArchive::new(SourceReader::new(file.source.as_ref(), 64 << 10)).map_err(damaged)?;
    let mut found = Vec::new();
    let open = Open::default();
    for index in 0..archive.len() {
        // Where the container does not say that a name is in UTF-8, it can be nevertheless; else it is in code page 437.
        let name = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
        let path = |name: &str| inner_path(&file.path, name);
        let (path, source) = match archive.by_index_raw(index) {
            Ok(entry) if entry.is_dir() => continue,
            Ok(entry) => {
                budget.spend(&file.path, entry.size().max(entry.compressed_size()))?;
                let path = path(std::str::from_utf8(entry.name_raw()).unwrap_or(&name));
                let source = entry_source(file, &entry, &path, &open);
                (path, source)
            }
            Err(error) => (path(&name), Err(Fault::Damaged { path: path(&name), detail: error.to_string() })),
        };
        found.push(match source {
            Ok(source) => Ok(InputFile { path, source }),
            Err(fault) => Err(RefusedScan::of_file(&path, &fault)),
        });
    }
    let locked = |entry: &Result<InputFile, RefusedScan>| {
        entry.as_ref().is_err_and(|refused| refused.refusal.code == "encrypted")
    };
    if !found.is_empty() && found.iter().all(locked) {
        return Err(Fault::Encrypted { path: file.path.clone() });
    }
    Ok(found)
}

/// The bytes of an entry, as they come out.
#[expect(clippy::arc_with_non_send_sync, reason = "byte sources are `Arc` by contract; browser files cannot be sent")]
fn entry_source<R: Read>(
    file: &InputFile,
    entry: &ZipFile<'_, R>,
    path: &str,
    open: &Open,
) -> Result<Arc<dyn ByteSource>, Fault> {
    let damaged = |detail: &str| Fault::Damaged { path: path.to_owned(), detail: detail.to_owned() };
    if entry.encrypted() {
        return Err(Fault::Encrypted { path: path.to_owned() });
    }
    if entry.size() > limits::expanded(entry.compressed_size()) {
        let detail = format!("it claims to unpack from {} to {} bytes", entry.compressed_size(), entry.size());
        return Err(Fault::ContainerTooLarge { path: path.to_owned(), detail });
    }
    let start = entry.data_start().ok_or_else(|| damaged("its container does not say where it begins"))?;
    let packed = Range::new(&file.source, start, entry.compressed_size());
    match entry.compression() {
        CompressionMethod::Stored if entry.size() != entry.compressed_size() => {
            Err(damaged("its container gives two lengths for it"))
        }
        CompressionMethod::Stored => {
            Ok(Arc::new(Stored { bytes: packed, sum: entry.crc32(), is_whole: Cell::new(false) }))
        }
        CompressionMethod::Deflated => {
            let (length, sum) = (entry.size(), Some(entry.crc32()));
            Ok(Arc::new(Deflated { packed, length, sum, open: Rc::clone(open) }))
        }
        method => {
            let (path, found) = (path.to_owned(), format!("packed {}", method_name(method)));
            Err(Fault::UnsupportedFormat { path, found, advice: "Unpack it and drop the files." })
        }
    }
}

/// Names of compressions that are not unpacked here (APPNOTE 4.4.5).
fn method_name(method: CompressionMethod) -> &'static str {
    match method {
        CompressionMethod::DEFLATE64 => "with Deflate64",
        CompressionMethod::BZIP2 => "with bzip2",
        CompressionMethod::LZMA => "with LZMA",
        CompressionMethod::XZ => "with xz",
        CompressionMethod::ZSTD => "with Zstandard",
        _ => "in an unusual way",
    }
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
    pub(super) fn new(container: &Arc<dyn ByteSource>, start: u64, length: u64) -> Self {
        Self { container: Arc::clone(container), start, length, position: 0 }
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.container, &other.container) && (self.start, self.length) == (other.start, other.length)
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

/// Bytes that stand in their container as they are.
struct Stored {
    bytes: Range,
    /// Check sum (CRC-32) that the bytes have if they are whole.
    sum: u32,
    /// They were looked at, and are.
    is_whole: Cell<bool>,
}

impl Stored {
    /// What can be read without a look at all of it: enough to find out what it is, and whether it is wanted.
    const HEAD: u64 = 64 << 10;
    /// Bytes looked at in one go.
    const PART: usize = 1 << 20;

    /// Looks at all of it; gives it out where it fits into one part.
    fn look(&self) -> io::Result<Option<Vec<u8>>> {
        let mut crc = Crc::new();
        let mut offset = 0;
        let mut part = Vec::new();
        while offset < self.bytes.length {
            part = self.bytes.read_at(offset, Self::PART)?;
            if part.is_empty() {
                return Err(other_sum());
            }
            crc.update(&part);
            offset += part.len() as u64;
        }
        if crc.sum() != self.sum {
            return Err(other_sum());
        }
        self.is_whole.set(true);
        Ok((part.len() as u64 == self.bytes.length).then_some(part))
    }
}

impl ByteSource for Stored {
    fn len(&self) -> u64 {
        self.bytes.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(length as u64);
        if end > Self::HEAD.min(self.bytes.length / 2)
            && !self.is_whole.get()
            && let Some(whole) = self.look()?
        {
            return whole.read_at(offset, length);
        }
        self.bytes.read_at(offset, length)
    }
}

fn other_sum() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the check sum of its container is another one")
}

/// The stream that was read last, and how far. The entries of a container share one: each takes some 80 KB, and there may
/// be a hundred thousand entries.
pub(super) type Open = Rc<RefCell<Option<(u64, CrcReader<DeflateDecoder<Range>>)>>>;

/// Deflated bytes. Reading on continues where the last read ended; reading back starts anew.
pub(super) struct Deflated {
    packed: Range,
    length: u64,
    /// Check sum (CRC-32) that the bytes have if they are whole.
    sum: Option<u32>,
    open: Open,
}

impl Deflated {
    /// A stream of unknown length: it is inflated once to find out, up to `limit` bytes. One that is cut or damaged is as
    /// long as it can be read.
    pub(super) fn measured(packed: Range, limit: u64, open: &Open) -> Self {
        let mut stream = DeflateDecoder::new(packed.clone()).take(limit);
        let mut chunk = vec![0; 32 << 10];
        let mut length = 0;
        while let Ok(bytes @ 1..) = stream.read(&mut chunk) {
            length += bytes as u64;
        }
        Self { packed, length, sum: None, open: Rc::clone(open) }
    }
}

impl ByteSource for Deflated {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut open = self.open.borrow_mut();
        let (position, mut decoder) = match open.take() {
            Some((position, decoder)) if position <= offset && decoder.get_ref().get_ref().is_same(&self.packed) => {
                (position, decoder)
            }
            _ => (0, CrcReader::new(DeflateDecoder::new(self.packed.clone()))),
        };
        let wanted = offset.min(self.length) - position.min(offset.min(self.length));
        let skipped = io::copy(&mut decoder.by_ref().take(wanted), &mut io::sink())?;
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        if skipped == wanted {
            decoder.by_ref().take(length.min(left) as u64).read_to_end(&mut bytes)?;
        }
        let position = position + skipped + bytes.len() as u64;
        if position == self.length && self.sum.is_some_and(|sum| sum != decoder.crc().sum()) {
            return Err(other_sum());
        }
        *open = Some((position, decoder));
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
    fn containers_in_containers_that_would_fill_the_memory_are_not_unpacked() {
        let file = drop_of(vec![0; 100]).remove(0);
        let mut budget = Budget { memory: 250, ..Budget::default() };
        assert!(unpacked(&file, &mut budget).is_ok() && unpacked(&file, &mut budget).is_ok());
        let fault = unpacked(&file, &mut budget).map(|_| ()).unwrap_err();
        assert_eq!(fault.code(), "container_too_large");
    }

    /// Where the directory describes entry `index`.
    fn directory(container: &[u8], index: usize) -> usize {
        container.windows(4).enumerate().filter(|(_, mark)| mark == b"PK\x01\x02").nth(index).unwrap().0
    }

    /// Three pictures, of which the second is changed in its container by `change`, which gets the place of its directory
    /// entry.
    fn with_second_changed(change: impl Fn(&mut [u8], usize)) -> crate::ingest::Discovery {
        let picture = picture();
        let mut bytes = pack(
            &[("7 (1).png", &picture), ("7 (2).png", &picture), ("7 (3).png", &picture)],
            CompressionMethod::Stored,
        );
        let place = directory(&bytes, 1);
        change(&mut bytes, place);
        discover(drop_of(bytes))
    }

    fn assert_only_the_second_is_refused(discovery: &crate::ingest::Discovery, code: &str) {
        let refused: Vec<_> = discovery.refused.iter().map(|refused| refused.refusal.code.as_str()).collect();
        assert_eq!(refused, [code]);
        assert_eq!(discovery.refused[0].name, "heads.zip/7 (2).png");
        assert_eq!(discovery.scans[0].sources(), ["heads.zip/7 (1).png", "heads.zip/7 (3).png"]);
    }

    #[test]
    fn a_damaged_a_locked_and_a_lying_entry_take_no_other_down() {
        let damaged = with_second_changed(|bytes, place| {
            let local = u32::from_le_bytes(bytes[place + 42..place + 46].try_into().unwrap()) as usize;
            bytes[local] = b'X';
        });
        assert_only_the_second_is_refused(&damaged, "damaged");
        assert_only_the_second_is_refused(&with_second_changed(|bytes, place| bytes[place + 8] |= 1), "encrypted");
        // A stored entry that is said to hold nothing, so that nothing is counted for it.
        let lying = with_second_changed(|bytes, place| bytes[place + 24..place + 28].fill(0));
        assert_only_the_second_is_refused(&lying, "damaged");
    }

    #[test]
    fn an_entry_whose_bytes_changed_is_damaged() {
        let picture = picture();
        let mut bytes = pack(&[("1.png", &picture), ("2.png", &picture)], CompressionMethod::Deflated);
        let place = directory(&bytes, 1);
        bytes[place + 16] ^= 1;
        // So small a file is read whole to see what it is.
        let refused = discover(drop_of(bytes)).refused;
        assert_eq!((refused[0].name.as_str(), refused[0].refusal.code.as_str()), ("heads.zip/2.png", "damaged"));
    }

    #[test]
    fn a_stored_entry_whose_bytes_changed_is_damaged_when_it_is_read() {
        let picture = picture();
        let files = [("7 (1).png", picture.as_slice()), ("7 (2).png", &picture)];
        let bytes = pack(&files, CompressionMethod::Stored);
        let place = bytes.windows(4).rposition(|window| window == b"IDAT").unwrap();
        let mut changed = bytes;
        changed[place + 6] ^= 4;
        let refused = discover(drop_of(changed)).refused;
        assert_eq!((refused[0].name.as_str(), refused[0].refusal.code.as_str()), ("heads.zip/7 (2).png", "damaged"));
        assert!(refused[0].refusal.message.contains("check sum"), "{}", refused[0].refusal.message);

        let content: Vec<u8> = (0..300_000_u32).map(|n| (n / 7) as u8).collect();
        let mut large = pack(&[("x", &content)], CompressionMethod::Stored);
        large[250_000] ^= 1;
        let entry = entries(&drop_of(large).remove(0), &mut Budget::default()).unwrap().remove(0).unwrap();
        assert_eq!(entry.source.read_at(0, 560).unwrap(), content[..560], "the head tells what it is");
        assert!(entry.source.read_at(100_000, 10).is_err());
        assert!(entry.source.read_at(299_990, 10).is_err());
    }

    #[test]
    fn names_in_code_page_437_and_in_unmarked_utf8_stay_apart() {
        let picture = picture();
        let names = ["Ros1 (1).png", "Ros1 (2).png", "Ros2 (1).png", "Ros2 (2).png", "Ros34 (1).png", "Ros34 (2).png"];
        let mut bytes = pack(&names.map(|name| (name, picture.as_slice())), CompressionMethod::Stored);
        for (from, to) in
            [(b"Ros1 ".as_slice(), b"Ros\x81 ".as_slice()), (b"Ros2 ", b"Ros\x82 "), (b"Ros34", b"Ros\xc3\xa9")]
        {
            for at in 0..bytes.len() - from.len() {
                if bytes[at..].starts_with(from) {
                    bytes[at..at + from.len()].copy_from_slice(to);
                }
            }
        }
        let discovery = discover(drop_of(bytes));
        let sources: Vec<_> = discovery.scans.iter().map(|plan| plan.sources()[0].clone()).collect();
        assert_eq!(sources.len(), 2, "{sources:?}");
        assert!(sources.iter().any(|path| path == "heads.zip/Ros\u{fc} (1).png"), "{sources:?}");
    }

    #[test]
    fn a_container_of_locked_files_is_refused_once() {
        let mut bytes = pack(&[("1.png", b"?"), ("2.png", b"?")], CompressionMethod::Stored);
        for index in 0..2 {
            let place = directory(&bytes, index);
            bytes[place + 8] |= 1;
        }
        let discovery = discover(drop_of(bytes));
        assert_eq!(discovery.refused.iter().map(|refused| &refused.refusal.code).collect::<Vec<_>>(), ["encrypted"]);
        assert_eq!(discovery.refused[0].name, "heads.zip");
    }

    #[test]
    fn deflated_entries_read_at_any_place_in_any_order_and_in_turns() {
        let contents: [Vec<u8>; 2] = [7, 13].map(|step| (0..100_000_u32).map(|n| (n / step) as u8).collect());
        let file = drop_of(pack(&[("x", &contents[0]), ("y", &contents[1])], CompressionMethod::Deflated)).remove(0);
        let entries = entries(&file, &mut Budget::default()).unwrap();
        for (offset, length) in [(0, 10), (5, 10), (50_000, 20_000), (3, 4), (99_990, 100), (200_000, 5)] {
            for (entry, content) in entries.iter().zip(&contents) {
                let start = offset.min(content.len());
                let end = (offset + length).min(content.len());
                assert_eq!(entry.as_ref().unwrap().source.read_at(offset as u64, length).unwrap(), content[start..end]);
            }
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
