//! What a file is: by its content first, by its name where the content does not say.

use super::images::EXPORT_PICTURES;
use super::source::{SourceReader, file_name};
use super::{ByteSource, InputFile};
use flate2::read::GzDecoder;
use std::io::{self, Read};

/// Bytes looked at: enough for the DICOM mark, a NIfTI-1 header and a tar header.
const HEAD_BYTES: usize = 560;

/// What a file was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No bytes.
    Empty,
    /// DICOM with the DICM mark, or without it but starting like a data set.
    Dicom,
    /// NIfTI in one file, gzip-compressed or not.
    Nifti,
    /// Header of a NIfTI or Analyze 7.5 pair.
    PairHeader,
    /// Voxels of a pair, known by name only.
    PairData,
    /// JPEG picture.
    Jpeg,
    /// PNG or BMP picture.
    Picture,
    /// TIFF, of one or many pages.
    Tiff,
    /// Zip container.
    Zip,
    /// Tar container.
    Tar,
    /// Something gzip-compressed that is not NIfTI.
    Gzip,
    /// Named as DICOM with a content that is not.
    FalseDicom,
    /// Known, but without a reader: what it is with its article, and what to do.
    Unsupported(&'static str, &'static str),
    /// Holds no scan: what it is with its article.
    Other(&'static str),
}

const UNPACK: &str = "Unpack it and drop the files.";

/// Looks at the first bytes and the name.
pub(super) fn detect(file: &InputFile) -> io::Result<Content> {
    let head = file.source.read_at(0, HEAD_BYTES)?;
    let name = file_name(&file.path).to_lowercase();
    Ok(if head.is_empty() {
        Content::Empty
    } else if head.starts_with(&[0x1f, 0x8b]) {
        of_gzip(file.source.as_ref(), &name)
    } else {
        of_head(&head).unwrap_or_else(|| of_name(&name, &head))
    })
}

/// Files that operating systems and viewers leave behind, which nobody means to drop.
pub(super) fn is_junk(path: &str) -> bool {
    let name = file_name(path);
    let lower = name.to_lowercase();
    path.split('/').any(|part| part == "__MACOSX" || part == ".git")
        || name.starts_with("._")
        || matches!(lower.as_str(), ".ds_store" | "thumbs.db" | "desktop.ini" | ".localized" | "ehthumbs.db")
}

fn of_head(head: &[u8]) -> Option<Content> {
    let at = |offset: usize, mark: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    let other = |found| Some(Content::Other(found));
    let picture = |found| Some(Content::Unsupported(found, EXPORT_PICTURES));
    let archive = |found| Some(Content::Unsupported(found, UNPACK));
    if at(128, b"DICM") || at(0, b"DICM") {
        Some(Content::Dicom)
    } else if let Some(nifti) = of_nifti(head) {
        Some(nifti)
    } else if at(0, &[0xff, 0xd8, 0xff]) {
        Some(Content::Jpeg)
    } else if at(0, b"\x89PNG\r\n\x1a\n") {
        Some(Content::Picture)
    } else if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") {
        Some(Content::Zip)
    } else if at(0, b"BM") && at(6, &[0; 4]) {
        Some(Content::Picture)
    } else if at(0, b"II*\0") || at(0, b"MM\0*") {
        Some(Content::Tiff)
    } else if at(0, b"GIF8") {
        picture("a GIF picture")
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        picture("a WebP picture")
    } else if at(4, b"ftyp") {
        picture("a video or a phone photo")
    } else if at(0, b"\0\0\0\x0cjP  ") {
        picture("a JPEG 2000 picture")
    } else if at(257, b"ustar") {
        Some(Content::Tar)
    } else if at(0, b"7z\xbc\xaf\x27\x1c") {
        archive("a 7-Zip archive")
    } else if at(0, b"Rar!") {
        archive("a RAR archive")
    } else if at(0, b"BZh") {
        archive("a bzip2 file")
    } else if at(0, b"\xfd7zXZ\0") {
        archive("an xz file")
    } else if at(0, &[0x28, 0xb5, 0x2f, 0xfd]) {
        archive("a Zstandard file")
    } else if at(0, b"NRRD") {
        Some(Content::Unsupported("an NRRD file", "Export the scan as DICOM or NIfTI."))
    } else if at(0, b"\x89HDF") {
        Some(Content::Unsupported("an HDF5 or MINC file", "Export the scan as DICOM or NIfTI."))
    } else if at(0, b"%PDF") {
        other("a PDF document")
    } else if at(0, b"MZ") || at(0, b"\x7fELF") {
        other("a program")
    } else if starts_like_a_data_set(head) {
        Some(Content::Dicom)
    } else {
        None
    }
}

fn of_nifti(head: &[u8]) -> Option<Content> {
    let size: [u8; 4] = head.get(..4)?.try_into().ok()?;
    let sized = |value: u32| u32::from_le_bytes(size) == value || u32::from_be_bytes(size) == value;
    if sized(540) {
        return match head.get(4..7)? {
            b"n+2" => Some(Content::Nifti),
            b"ni2" => Some(Content::PairHeader),
            _ => None,
        };
    }
    if !sized(348) {
        return None;
    }
    match head.get(344..347) {
        Some(b"n+1") => Some(Content::Nifti),
        Some(b"ni1") => Some(Content::PairHeader),
        // Analyze 7.5 has no mark; its header is always exactly 348 bytes.
        _ if head.len() == 348 => Some(Content::PairHeader),
        _ => None,
    }
}

/// Whether the bytes can be the start of a DICOM data set without preamble (PS3.10 asks for one, old archives omit it):
/// a first element of group 0002 or 0008 with a plausible length.
fn starts_like_a_data_set(head: &[u8]) -> bool {
    let Some(&[g0, g1, e0, e1, v0, v1, l0, l1, ..]) = head.first_chunk::<10>().map(<[u8; 10]>::as_slice) else {
        return false;
    };
    let explicit = v0.is_ascii_uppercase() && v1.is_ascii_uppercase();
    let implicit_length = u32::from_le_bytes([v0, v1, l0, l1]);
    match (g0, g1) {
        (0x02 | 0x08, 0) => e1 == 0 && (explicit || implicit_length < 1024),
        (0, 0x02 | 0x08) => e0 == 0 && explicit,
        _ => false,
    }
}

fn of_gzip(source: &dyn ByteSource, name: &str) -> Content {
    let mut head = Vec::new();
    // A cut stream still gives its first bytes.
    let _ = GzDecoder::new(SourceReader::new(source, 4096)).take(HEAD_BYTES as u64).read_to_end(&mut head);
    match of_head(&head) {
        // Read as they are, since a NIfTI reader unpacks as it goes.
        Some(found @ (Content::Nifti | Content::PairHeader)) => found,
        Some(Content::Other(_)) | None if name.ends_with(".img.gz") => Content::PairData,
        Some(Content::Other(_)) | None if [".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end)) => Content::Gzip,
        Some(Content::Other(_)) | None => Content::Unsupported("a gzip-compressed file without a scan in it", UNPACK),
        Some(_) => Content::Gzip,
    }
}

fn of_name(name: &str, head: &[u8]) -> Content {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "dcm" | "dicom" | "ima" => Content::FalseDicom,
        "img" => Content::PairData,
        // The first tar format has no mark; whether it is one its check sums tell.
        "tar" => Content::Tar,
        "nii" => Content::Other("named like a NIfTI file, but has no NIfTI header"),
        "jpg" | "jpeg" | "png" => Content::Other("named like a picture, but is none"),
        _ if is_text(head) => Content::Other("a text file"),
        _ => Content::Other("of an unknown kind"),
    }
}

fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut by the end of the head is no fault.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !whole.chars().any(|character| character.is_control() && !character.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn content(path: &str, bytes: &[u8]) -> Content {
        detect(&InputFile { path: path.to_owned(), source: Arc::new(bytes.to_vec()) }).unwrap()
    }

    #[test]
    fn content_goes_before_the_name() {
        assert_eq!(content("scan.dcm", &[0xff, 0xd8, 0xff, 0xe0]), Content::Jpeg);
        assert_eq!(content("slice.jpg", b"PK\x03\x04 and more"), Content::Zip);
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM");
        assert_eq!(content("readme.txt", &dicom), Content::Dicom);
    }

    #[test]
    fn what_is_no_scan_is_named() {
        assert_eq!(content("a", b""), Content::Empty);
        assert_eq!(content("notes", "Gr\u{fc}\u{df}e\n".as_bytes()), Content::Other("a text file"));
        assert_eq!(content("x.dcm", b"\x20\x08\x00\x05\x00CS\n\0ISO"), Content::FalseDicom);
        assert_eq!(content("x.bin", &[1, 2, 3]), Content::Other("of an unknown kind"));
    }

    #[test]
    fn dicom_without_preamble_is_known_by_its_first_element() {
        assert_eq!(content("IM1", b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"), Content::Dicom);
        assert_eq!(content("IM1", b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100"), Content::Dicom);
        assert_eq!(content("IM1", b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100"), Content::Dicom);
    }

    #[test]
    fn what_operating_systems_leave_behind_is_junk() {
        for path in ["a/.DS_Store", "__MACOSX/a/._1.jpg", "Thumbs.db", "a/._x.dcm"] {
            assert!(is_junk(path), "{path}");
        }
        assert!(!is_junk("a/1.jpg"));
    }
}
