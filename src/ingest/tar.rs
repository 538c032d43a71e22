//! Tar archives (POSIX.1-1988 ustar, GNU long names, pax paths) and gzip around anything: their files become files of
//! the drop.
//!
//! The entries of a tar archive are read in place. What is gzip-compressed is unpacked into memory, since a scan is read
//! here and there; how far is limited ([`super::limits`]).

use super::fault::Fault;
use super::zip::{Budget, Range, inner_path};
use super::{InputFile, RefusedScan, limits};
use crate::ingest::source::SourceReader;
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::sync::Arc;

const BLOCK: u64 = 512;
/// Longest name that an extended header may give.
const LONGEST_NAME: u64 = 16 << 10;

/// The files of a tar archive, in order.
#[expect(clippy::arc_with_non_send_sync, reason = "byte sources are `Arc` by contract; browser files cannot be sent")]
pub(super) fn entries(file: &InputFile, budget: &mut Budget) -> Result<Vec<Result<InputFile, RefusedScan>>, Fault> {
    let end = file.source.len();
    let mut found = Vec::new();
    let mut position = 0;
    let mut long_name: Option<String> = None;
    while position < end {
        let block = read(file, position, BLOCK)?;
        if block.iter().all(|&byte| byte == 0) {
            break;
        }
        let header = Header::parse(&block).ok_or_else(|| Fault::Damaged {
            path: file.path.clone(),
            detail: format!("there is no valid tar header at byte {position}"),
        })?;
        let start = position + BLOCK;
        if header.size > end.saturating_sub(start) {
            let detail = format!("{} ends after the end of the archive", header.name);
            // What came before the cut is whole.
            found.push(Err(RefusedScan::of_file(&file.path, &Fault::Truncated { path: file.path.clone(), detail })));
            break;
        }
        budget.spend(&file.path, 0)?;
        match header.kind {
            b'L' | b'x' => {
                let bytes = read(file, start, header.size.min(LONGEST_NAME))?;
                let name = if header.kind == b'L' { Some(text(&bytes)) } else { pax_path(&bytes) };
                long_name = name.or(long_name);
            }
            b'0' | 0 | b'7' => {
                let path = inner_path(&file.path, &long_name.take().unwrap_or(header.name));
                let source = Arc::new(Range::new(&file.source, start, header.size));
                found.push(Ok(InputFile { path, source }));
            }
            // Folders, links, devices and headers for the whole archive hold no scan.
            _ => long_name = None,
        }
        position = start + header.size.next_multiple_of(BLOCK);
    }
    Ok(found)
}

/// What a gzip-compressed file holds, in memory, and where it is cut off, a refusal beside what came.
pub(super) fn gunzipped(file: &InputFile, budget: &mut Budget) -> Result<Vec<Result<InputFile, RefusedScan>>, Fault> {
    let limit = limits::unpacked_bytes(file.source.len()).min(budget.memory());
    let mut bytes = Vec::new();
    let reader = MultiGzDecoder::new(SourceReader::new(file.source.as_ref(), 64 << 10));
    let read = reader.take(limit + 1).read_to_end(&mut bytes);
    let fault = read.err().map(|error| Fault::unreadable(&file.path, &error));
    let cut = match fault {
        Some(cut @ Fault::Truncated { .. }) if !bytes.is_empty() => Some(Err(RefusedScan::of_file(&file.path, &cut))),
        Some(fault) => return Err(fault),
        None => None,
    };
    budget.keep(&file.path, bytes.len() as u64, limit)?;
    let path = match file.path.rsplit_once('.') {
        Some((bare, extension)) if extension.eq_ignore_ascii_case("gz") => bare.to_owned(),
        Some((bare, extension)) if extension.eq_ignore_ascii_case("tgz") => format!("{bare}.tar"),
        _ => file.path.clone(),
    };
    Ok(std::iter::once(Ok(InputFile { path, source: Arc::new(bytes) })).chain(cut).collect())
}

struct Header {
    name: String,
    size: u64,
    kind: u8,
}

impl Header {
    /// Parses a header block; `None` unless its check sum is right.
    fn parse(block: &[u8]) -> Option<Self> {
        let stated = octal(block.get(148..156)?)?;
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        // The check sum counts itself as eight spaces.
        if sum(block.get(..148)?) + 8 * u64::from(b' ') + sum(block.get(156..512)?) != stated {
            return None;
        }
        let name = text(block.get(..100)?);
        // GNU's own format has times where ustar has the start of a long name.
        let prefix = if block.get(257..263)? == b"ustar\0" { text(block.get(345..500)?) } else { String::new() };
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        Some(Self { name, size: number(block.get(124..136)?)?, kind: *block.get(156)? })
    }
}

/// A number in octal digits, or, beyond what these can state, in binary with the highest bit set.
fn number(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, rest @ ..] if rest.iter().take(3).all(|&byte| byte == 0) => {
            Some(rest.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
        }
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let mut digits = field.iter().skip_while(|&&byte| byte == b' ').take_while(|byte| byte.is_ascii_digit());
    digits.try_fold(0_u64, |number, &digit| {
        (digit < b'8').then(|| number.checked_mul(8)?.checked_add(u64::from(digit - b'0'))).flatten()
    })
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

/// The path in the records of a pax header: each is its length, a space, a key, an equals sign, a value, a line end.
fn pax_path(records: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(records);
    text.lines().find_map(|record| record.split_once(' ')?.1.strip_prefix("path=").map(str::to_owned))
}

fn read(file: &InputFile, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes = file.source.read_at(offset, length).map_err(|error| Fault::unreadable(&file.path, &error))?;
    if bytes.len() < length {
        let detail = format!("the archive ends inside the block at byte {offset}");
        return Err(Fault::Truncated { path: file.path.clone(), detail });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{ScanPlan, discover};
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    fn block(name: &str, size: usize, kind: u8) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = block(name, content.len(), kind);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
        [entries.concat(), vec![0; 1024]].concat()
    }

    fn picture() -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn drop_of(path: &str, bytes: Vec<u8>) -> Vec<InputFile> {
        vec![InputFile { path: path.to_owned(), source: Arc::new(bytes) }]
    }

    fn stack() -> Vec<u8> {
        let long = format!("{}/7 (2).png", "deep".repeat(30));
        archive(&[
            entry("heads/", b'5', b""),
            entry("heads/7 (1).png", b'0', &picture()),
            entry("._x", b'0', b"junk"),
            entry("././@LongLink", b'L', format!("{long}\0").as_bytes()),
            entry("cut off", b'0', &picture()),
            entry("link", b'2', b""),
        ])
    }

    #[test]
    fn a_tar_is_read_whether_gzip_is_around_it_or_not() {
        for (path, bytes) in [("a.tar", stack()), ("a.tar.gz", gzip(&stack())), ("a.tgz", gzip(&stack()))] {
            let discovery = discover(drop_of(path, bytes));
            let sources: Vec<String> = discovery.scans.iter().flat_map(ScanPlan::sources).collect();
            let long = format!("a.tar/{}/7 (2).png", "deep".repeat(30));
            assert_eq!(sources, [long, "a.tar/heads/7 (1).png".to_owned()], "{path}");
            assert_eq!(discovery.ignored, 1);
        }
    }

    #[test]
    fn the_first_tar_format_is_known_by_its_name() {
        let old = |name: &str| {
            let mut bytes = entry(name, 0, &picture());
            bytes[257..265].fill(0);
            bytes[148..156].fill(b' ');
            let sum: u32 = bytes[..512].iter().map(|&byte| u32::from(byte)).sum();
            bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            bytes
        };
        let bytes = archive(&[old("7 (1).png"), old("7 (2).png")]);
        for (path, bytes) in [("a.tar", bytes.clone()), ("a.tar.gz", gzip(&bytes))] {
            assert_eq!(discover(drop_of(path, bytes)).scans[0].sources().len(), 2, "{path}");
        }
        assert_eq!(discover(drop_of("a.tar", vec![7; 2000])).refused[0].refusal.code, "damaged");
    }

    #[test]
    fn a_pax_header_gives_the_path() {
        assert_eq!(pax_path(b"20 mtime=1700000000\n14 path=a/b.c\n").unwrap(), "a/b.c");
    }

    #[test]
    fn a_compressed_picture_stays_in_its_folder() {
        let packed = gzip(&picture());
        let files = ["s/1.png.gz", "s/2.png.gz"].map(|path| drop_of(path, packed.clone()).remove(0));
        let discovery = discover(files.to_vec());
        assert_eq!(discovery.scans[0].sources(), ["s/1.png", "s/2.png"]);
    }

    #[test]
    fn no_path_leaves_the_archive() {
        let bytes = archive(&[entry("../../x/1.png", b'0', &picture()), entry("/x/2.png", b'0', &picture())]);
        assert_eq!(discover(drop_of("a.tar", bytes)).scans[0].sources(), ["a.tar/x/1.png", "a.tar/x/2.png"]);
    }

    #[test]
    fn a_bomb_is_stopped_at_the_stated_limit() {
        let bomb = gzip(&archive(&[entry("1.png", b'0', &vec![0; 80 << 20])]));
        assert!(bomb.len() < 1 << 20);
        assert_eq!(discover(drop_of("a.tar.gz", bomb)).refused[0].refusal.code, "container_too_large");
    }

    #[test]
    fn a_cut_archive_is_refused() {
        let cut = stack()[..1050].to_vec();
        assert_eq!(discover(drop_of("a.tar", cut)).refused[0].refusal.code, "truncated");
    }

    #[test]
    fn what_lies_before_the_cut_is_read_and_the_cut_is_said() {
        let names = ["7 (1).png", "7 (2).png", "7 (3).png"];
        let whole = archive(&names.map(|name| entry(name, b'0', &picture())));
        let cut = whole[..2 * 1024 + 530].to_vec();
        let mut stored = GzEncoder::new(Vec::new(), Compression::none());
        stored.write_all(&whole).unwrap();
        let packed = stored.finish().unwrap()[..2 * 1024 + 550].to_vec();
        for (path, bytes) in [("a.tar", cut), ("a.tar.gz", packed)] {
            let discovery = discover(drop_of(path, bytes));
            assert_eq!(discovery.scans.iter().map(ScanPlan::slices).collect::<Vec<_>>(), [2], "{path}");
            assert!(discovery.refused.iter().all(|refused| refused.refusal.code == "truncated"), "{path}");
            assert!(!discovery.refused.is_empty(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn damaged_archives_never_panic(changes in prop::collection::vec((0..4096_usize, any::<u8>()), 1..6)) {
            let mut bytes = stack();
            for (place, value) in changes {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            let discovery = discover(drop_of("a.tar", bytes));
            prop_assert!(!discovery.refused.is_empty() || !discovery.scans.is_empty());
        }
    }
}
