//! The pages of a TIFF file (TIFF 6.0, section 2). What is on a page is decoded by the `image` crate, which reads the
//! first page of a file only: [`turn_to`] makes any page the first.

use super::InputFile;
use super::fault::Fault;
use super::limits;

/// Bytes of an entry of a directory.
const ENTRY_BYTES: usize = 12;
/// Tag that says what a page is for; its lowest bit marks a reduced copy of another page.
const SUBFILE_TYPE: u16 = 254;

/// Where the directories of the pages begin, without thumbnails.
pub(super) fn pages(file: &InputFile) -> Result<Vec<u32>, Fault> {
    let read = |offset: u32, length: usize| {
        let bytes = file.source.read_at(offset.into(), length);
        bytes.map_err(|error| Fault::unreadable(&file.path, &error))
    };
    let cut = || Fault::Truncated { path: file.path.clone(), detail: "a directory of pages ends too early".to_owned() };
    let head = read(0, 8)?;
    let numbers = Numbers { big_endian: head.starts_with(b"MM") };
    let mut next = numbers.long(&head, 4).ok_or_else(cut)?;
    let mut pages = Vec::new();
    let mut directories = 0;
    while next != 0 {
        directories += 1;
        if directories > limits::SLICES {
            let detail = format!("it has more than {} pages", limits::SLICES);
            return Err(Fault::TooLarge { path: file.path.clone(), detail });
        }
        let entries = usize::from(numbers.short(&read(next, 2)?, 0).ok_or_else(cut)?);
        let directory = read(next.saturating_add(2), entries * ENTRY_BYTES + 4)?;
        let is_copy = (0..entries).any(|entry| {
            let at = entry * ENTRY_BYTES;
            numbers.short(&directory, at) == Some(SUBFILE_TYPE)
                && numbers.long(&directory, at + 8).is_some_and(|kind| kind & 1 == 1)
        });
        if !is_copy {
            pages.push(next);
        }
        next = numbers.long(&directory, entries * ENTRY_BYTES).ok_or_else(cut)?;
    }
    Ok(pages)
}

/// Makes the page whose directory begins at `page` the first of the file in `bytes`.
pub(super) fn turn_to(bytes: &mut [u8], page: u32) {
    let numbers = Numbers { big_endian: bytes.starts_with(b"MM") };
    if let Some(first) = bytes.get_mut(4..8) {
        first.copy_from_slice(&if numbers.big_endian { page.to_be_bytes() } else { page.to_le_bytes() });
    }
}

struct Numbers {
    big_endian: bool,
}

impl Numbers {
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
