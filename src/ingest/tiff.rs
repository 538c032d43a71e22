//! The pages of a TIFF file (TIFF 6.0, section 2) or a `BigTIFF` file, whose offsets have 64 bits. What is on a page is decoded by the `image` crate, which reads the
//! first page of a file only: [`turn_to`] makes any page the first.

use super::InputFile;
use super::fault::Fault;
use super::limits;

/// Entries of a directory: a page has some twenty.
const MOST_ENTRIES: u64 = 4096;
/// Tag that says what a page is for; its lowest bit marks a reduced copy of another page.
const SUBFILE_TYPE: u16 = 254;

/// Where the directories of the pages begin, without thumbnails.
pub(super) fn pages(file: &InputFile) -> Result<Vec<u64>, Fault> {
    let read = |offset: u64, length: usize| {
        let bytes = file.source.read_at(offset, length);
        bytes.map_err(|error| Fault::unreadable(&file.path, &error))
    };
    let cut = || Fault::Truncated { path: file.path.clone(), detail: "a directory of pages ends too early".to_owned() };
    let head = read(0, 16)?;
    let numbers = Numbers::of_file(&head);
    // Bytes of an offset, of the number of entries, and of an entry, whose value ends it.
    let (offset_bytes, count_bytes, entry_bytes) = if numbers.wide { (8, 8, 20) } else { (4, 2, 12) };
    let mut next = numbers.offset(&head, offset_bytes).ok_or_else(cut)?;
    let mut pages = Vec::new();
    let mut directories = 0;
    while next != 0 {
        directories += 1;
        if directories > limits::SLICES {
            let detail = format!("it has more than {} pages", limits::SLICES);
            return Err(Fault::TooLarge { path: file.path.clone(), detail });
        }
        let count = read(next, count_bytes)?;
        let entries = if numbers.wide { numbers.offset(&count, 0) } else { numbers.short(&count, 0).map(u64::from) };
        let entries = entries.ok_or_else(cut)?;
        if entries > MOST_ENTRIES {
            let detail = format!("a page claims {entries} entries");
            return Err(Fault::Damaged { path: file.path.clone(), detail });
        }
        let entries = entries as usize;
        let directory = read(next.saturating_add(count_bytes as u64), entries * entry_bytes + offset_bytes)?;
        let is_copy = (0..entries).any(|entry| {
            let at = entry * entry_bytes;
            numbers.short(&directory, at) == Some(SUBFILE_TYPE)
                && numbers.long(&directory, at + entry_bytes - offset_bytes).is_some_and(|kind| kind & 1 == 1)
        });
        if !is_copy {
            pages.push(next);
        }
        next = numbers.offset(&directory, entries * entry_bytes).ok_or_else(cut)?;
    }
    Ok(pages)
}

/// Makes the page whose directory begins at `page` the first of the file in `bytes`.
pub(super) fn turn_to(bytes: &mut [u8], page: u64) {
    let numbers = Numbers::of_file(bytes);
    let width = if numbers.wide { 8 } else { 4 };
    if let Some(first) = bytes.get_mut(width..2 * width) {
        let little = page.to_le_bytes();
        for (place, byte) in little.iter().take(width).enumerate() {
            let place = if numbers.big_endian { width - 1 - place } else { place };
            first.get_mut(place).into_iter().for_each(|to| *to = *byte);
        }
    }
}

/// Whether a file begins like a `BigTIFF` file.
pub(super) fn is_big(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+")
}

struct Numbers {
    big_endian: bool,
    /// Offsets have 64 bits.
    wide: bool,
}

impl Numbers {
    fn of_file(bytes: &[u8]) -> Self {
        Self { big_endian: bytes.starts_with(b"MM"), wide: is_big(bytes) }
    }

    fn offset(&self, bytes: &[u8], at: usize) -> Option<u64> {
        if !self.wide {
            return self.long(bytes, at).map(u64::from);
        }
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn short(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Scan, discover};
    use std::ops::ControlFlow;
    use std::sync::Arc;

    /// A file of grey pages of 2 x 2 pixels, by hand: (levels, kind of page).
    fn tiff(pages: &[([u8; 4], u32)], big: bool) -> Vec<u8> {
        let short = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        bytes.extend(long(8));
        for (place, (levels, kind)) in pages.iter().enumerate() {
            let start = bytes.len() as u32;
            let entries = [
                (254, 4, *kind),
                (256, 4, 2),
                (257, 4, 2),
                (258, 4, 8),
                (259, 4, 1),
                (262, 4, 1),
                (273, 4, start + 2 + 9 * 12 + 4),
                (278, 4, 2),
                (279, 4, 4),
            ];
            bytes.extend(short(entries.len() as u16));
            for (tag, kind, value) in entries {
                bytes.extend([short(tag), short(kind)].concat());
                bytes.extend([long(1), long(value)].concat());
            }
            let more = place + 1 < pages.len();
            bytes.extend(long(if more { start + 2 + 9 * 12 + 4 + 4 } else { 0 }));
            bytes.extend(levels);
        }
        bytes
    }

    fn read(path: &str, bytes: Vec<u8>) -> Result<Scan, String> {
        let discovery = discover(vec![InputFile { path: path.to_owned(), source: Arc::new(bytes) }]);
        let plan = discovery.scans.first().ok_or_else(|| discovery.refused[0].refusal.code.clone())?;
        plan.read(&mut |_| ControlFlow::Continue(())).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_file_of_many_pages_is_a_stack_without_its_thumbnails() {
        for big in [false, true] {
            let pages = [([0, 0, 255, 255], 0), ([9, 9, 9, 9], 1), ([255, 0, 0, 255], 0)];
            let scan = read("head.tif", tiff(&pages, big)).unwrap();
            assert_eq!(scan.volume.shape(), [2, 2, 2]);
            assert_eq!(scan.volume.voxels(), [-20.0, -20.0, 100.0, 100.0, 100.0, -20.0, -20.0, 100.0]);
            assert_eq!(scan.slices[1].path, "head.tif#1");
            assert_eq!(scan.name, "head.tif");
        }
    }

    #[test]
    fn files_with_wide_offsets_are_read() {
        for big in [false, true] {
            let number = |value: u64, width: usize| -> Vec<u8> {
                if big { value.to_be_bytes()[8 - width..].to_vec() } else { value.to_le_bytes()[..width].to_vec() }
            };
            let mut bytes = if big { b"MM\0+".to_vec() } else { b"II+\0".to_vec() };
            bytes.extend([number(8, 2), number(0, 2), number(16, 8)].concat());
            for (place, level) in [0_u8, 255].into_iter().enumerate() {
                let start = bytes.len() as u64;
                let data = start + 8 + 8 * 20 + 8;
                let entries = [(256, 2), (257, 2), (258, 8), (259, 1), (262, 1), (273, data), (278, 2), (279, 4)];
                bytes.extend(number(entries.len() as u64, 8));
                for (tag, value) in entries {
                    bytes.extend([number(tag, 2), number(16, 2), number(1, 8), number(value, 8)].concat());
                }
                bytes.extend(number(if place == 0 { data + 4 } else { 0 }, 8));
                bytes.extend([level; 4]);
            }
            let scan = read("head.tif", bytes).unwrap();
            assert_eq!(scan.volume.voxels(), [-20.0, -20.0, -20.0, -20.0, 100.0, 100.0, 100.0, 100.0]);
        }
    }

    #[test]
    fn pages_that_lead_in_a_circle_end() {
        let mut bytes = tiff(&[([0; 4], 0), ([0; 4], 0)], false);
        let last = bytes.len() - 8;
        bytes[last..last + 4].copy_from_slice(&8_u32.to_le_bytes());
        assert_eq!(read("head.tif", bytes).unwrap_err(), "too_large");
    }

    #[test]
    fn a_cut_file_is_truncated() {
        assert_eq!(read("head.tif", tiff(&[([0; 4], 0)], false)[..60].to_vec()).unwrap_err(), "truncated");
    }
}
