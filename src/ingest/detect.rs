//! What a file is: by its content first, by its name where the content does not say.

use super::images::EXPORT_PICTURES;
use super::source::{SourceReader, file_name};
use super::{ByteSource, InputFile, tiff};
use flate2::read::MultiGzDecoder;
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
    /// PNG, BMP or WebP picture.
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

/// Folders of operating systems, network drives and version control.
const JUNK_FOLDERS: [&str; 7] =
    ["__MACOSX", ".git", ".Spotlight-V100", ".Trashes", "@eaDir", "$RECYCLE.BIN", "System Volume Information"];

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
    path.split('/').any(|part| JUNK_FOLDERS.contains(&part))
        || name.starts_with("._")
        || matches!(lower.as_str(), ".ds_store" | "thumbs.db" | "desktop.ini" | ".localized" | "ehthumbs.db")
}

fn of_head(head: &[u8]) -> Option<Content> {
    let at = |offset: usize, mark: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    let other = |found| Some(Content::Other(found));
    let picture = |found| Some(Content::Unsupported(found, EXPORT_PICTURES));
    let archive = |found| Some(Content::Unsupported(found, UNPACK));
    let volume = |found| Some(Content::Unsupported(found, "Export the scan as DICOM or NIfTI."));
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
    } else if at(0, b"II*\0") || at(0, b"MM\0*") || tiff::is_big(head) {
        Some(Content::Tiff)
    } else if at(0, b"GIF8") {
        picture("a GIF picture")
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        if is_animated(head) { picture("an animated WebP picture") } else { Some(Content::Picture) }
    } else if at(4, b"ftyp") {
        picture("a video or a phone photo")
    } else if at(0, b"\0\0\0\x0cjP  ") || at(0, &[0xff, 0x4f, 0xff, 0x51]) {
        picture("a JPEG 2000 picture")
    } else if at(0, b"\0\0\0\x0cJXL ") {
        picture("a JPEG XL picture")
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
        volume("an NRRD file")
    } else if at(0, b"ObjectType") || at(0, b"NDims = 3") {
        volume("a MetaImage file")
    } else if at(0, b"\x89HDF") || at(0, b"CDF\x01") || at(0, b"CDF\x02") {
        volume("an HDF5 or MINC file")
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

/// Whether a WebP file says that it holds several pictures: a flag of its extended header.
fn is_animated(head: &[u8]) -> bool {
    head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0)
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
        (0x02 | 0x08, 0) if explicit => e1 == 0,
        // The group's length, which is a number.
        (0x02, 0) => (e0, e1, implicit_length) == (0, 0, 4),
        (0x08, 0) => e1 == 0 && implicit_length < 1024 && goes_on(head, [g0, e0], implicit_length),
        (0, 0x02 | 0x08) => e0 == 0 && explicit,
        _ => false,
    }
}

/// Whether an element of implicit VR after which `first` (group and element) is followed by a higher one: small numbers, as
/// voxels are, look like a first element by themselves.
fn goes_on(head: &[u8], first: [u8; 2], length: u32) -> bool {
    let next = usize::try_from(length).ok().and_then(|length| head.get(8 + length..)).and_then(<[u8]>::first_chunk);
    match next {
        Some(&[g0, g1, e0, e1]) => g1 == 0 && g0 <= 0x20 && (g0, e1, e0) > (first[0], 0, first[1]),
        None => true,
    }
}

fn of_gzip(source: &dyn ByteSource, name: &str) -> Content {
    let mut head = Vec::new();
    // A cut stream still gives its first bytes.
    let _ = MultiGzDecoder::new(SourceReader::new(source, 4096)).take(HEAD_BYTES as u64).read_to_end(&mut head);
    if head.starts_with(&[0x1f, 0x8b]) {
        return Content::Gzip;
    }
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
        // Its mark is two bytes, which voxels can be as well.
        "jxl" => Content::Unsupported("a JPEG XL picture", EXPORT_PICTURES),
        // The first tar format has no mark; whether it is one its check sums tell.
        "tar" => Content::Tar,
        "nii" => Content::Other("named like a NIfTI file, but has no NIfTI header"),
        "jpg" | "jpeg" | "png" | "webp" => Content::Other("named like a picture, but is none"),
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
    use std::io::Write;
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
    fn voxels_that_are_small_numbers_are_no_dicom() {
        for voxels in [[8_i16, 5, 0, 0, 2, 3, 4, 5, 6, 7], [2, 0, 0, 0, 2, 3, 4, 5, 6, 7]] {
            let bytes: Vec<u8> = voxels.iter().flat_map(|voxel| voxel.to_le_bytes()).collect();
            assert_eq!(content("head.img", &bytes), Content::PairData);
        }
        let file = b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100\x08\x00\x08\x00\x00\x00\x00\x00";
        assert_eq!(content("head.img", file), Content::Dicom);
    }

    #[test]
    fn gzip_in_several_members_or_twice_is_looked_through() {
        let packed = |bytes: &[u8]| {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        };
        let mut header = vec![0; 352];
        header[..4].copy_from_slice(&348_u32.to_le_bytes());
        header[344..347].copy_from_slice(b"n+1");
        let members = [packed(b""), packed(&header[..10]), packed(&header[10..])].concat();
        assert_eq!(content("head.nii.gz", &members), Content::Nifti);
        assert_eq!(content("head.nii.gz", &packed(&members)), Content::Gzip);
    }

    #[test]
    fn volumes_of_other_programs_are_named() {
        for (bytes, name) in [(b"ObjectType = Image\n".as_slice(), "MetaImage"), (b"CDF\x01", "MINC")] {
            let Content::Unsupported(found, _) = content("head", bytes) else { panic!("{name} is not known") };
            assert!(found.contains(name), "{found}");
        }
    }

    #[test]
    fn what_operating_systems_leave_behind_is_junk() {
        for path in ["a/@eaDir/1.jpg", "a/.DS_Store", "__MACOSX/a/._1.jpg", "Thumbs.db", "a/._x.dcm"] {
            assert!(is_junk(path), "{path}");
        }
        assert!(!is_junk("a/1.jpg"));
    }
}
