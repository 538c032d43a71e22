//! Files to scans: what was dropped is looked at, grouped into scans, read, and put in order; what cannot be read is
//! refused with a reason, and never takes another scan down with it.
//!
//! Two passes. [`discover`] reads as little as it can (names, headers) and says which scans a drop holds. [`ScanPlan::read`]
//! then reads one scan. Bytes come through [`ByteSource`], so that the same code runs on native files, on browser
//! `File` objects in a worker, and on bytes in memory.
//!
//! | kind | read | refused by name |
//! |---|---|---|
//! | DICOM | implicit, explicit, big-endian, deflated; RLE; JPEG baseline, extended, progressive and lossless; JPEG-LS; JPEG 2000, of high throughput without loss too; with or without preamble; multi-frame, in one file or in parts | HTJ2K with loss, JPEG XL, video; other modalities |
//! | NIfTI | versions 1 and 2, Analyze 7.5; one file or pair; gzip; both byte orders; all integer and real types | 4D, colours, complex numbers, half a pair |
//! | pictures | JPG, PNG, BMP, still WebP, TIFF and `BigTIFF` of one or many pages; grey or grey stored as colour; 8 bit, or 16 bit from black to white | colour, other 16 bit, mixed sizes, one slice; GIF, animated WebP, JPEG XL |
//! | containers | zip, tar, gzip, also in each other, within [`limits`] | password, bzip2, xz, 7-Zip, RAR |
//!
//! Every file of a drop ends in a scan, in a refusal with a [`Fault::code`], or, where it is harmless beside a scan, in
//! [`Discovery::set_aside`]. To add a kind: recognise it in `detect`, give it a plan with a `read` like that of
//! `images`, and name the plan in `discover`.

mod canonical;
mod detect;
mod dicom;
mod digest;
mod discover;
mod fault;
mod group;
pub mod images;
pub mod limits;
mod nifti;
pub mod order;
mod patient;
mod plausible;
mod source;
mod tar;
mod tiff;
mod webp;
mod zip;

pub use digest::{Digest, digest};
pub use discover::{Discovery, ScanPlan, discover};
pub use fault::Fault;
pub use group::natural_order;
pub use patient::{Patient, Salt, SaltError};

use crate::report::{Refusal, Warning};
use crate::volume::Volume;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Random access to the bytes of one file. Reads are synchronous: natively a file, in the browser a `FileReaderSync`.
pub trait ByteSource {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads `length` bytes from `offset`; fewer at the end of the file.
    ///
    /// # Errors
    /// Whatever the platform reports, such as a file that vanished after it was dropped.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.as_slice().len());
        Ok(self[start..start.saturating_add(length).min(self.as_slice().len())].to_vec())
    }
}

/// A file as it was dropped: its path relative to the drop, `/`-separated, and its bytes.
#[derive(Clone)]
pub struct InputFile {
    /// Relative path, `/`-separated: `brain/72 (1).jpg`.
    pub path: String,
    /// Where the bytes come from.
    pub source: Arc<dyn ByteSource>,
}

/// What kind of files a scan was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanKind {
    /// A DICOM series (single-frame files or one multi-frame file).
    Dicom,
    /// A NIfTI file.
    Nifti,
    /// A stack of pictures.
    Images,
}

/// What decided the order of the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBasis {
    /// Positions along the slice normal (DICOM).
    Position,
    /// DICOM instance numbers, where there are no positions.
    InstanceNumber,
    /// The order of storage inside one file (NIfTI, multi-frame).
    Stored,
    /// The file names, in natural order: the images agree with it, or the person asked for it (`order_by_request`).
    Name,
    /// The images themselves: the order by name was wrong and was repaired.
    Images,
}

/// The order of the slices and how it was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceOrder {
    /// What decided.
    pub basis: OrderBasis,
    /// `as_named[i]` is the place that slice `i` of the volume has in the order of the file names (or of storage).
    pub as_named: Vec<usize>,
    /// What the images changed; `None` where they changed nothing.
    pub unrepaired: Option<Unrepaired>,
}

/// The order of the slices before it was repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrepaired {
    /// What had decided it.
    pub basis: OrderBasis,
    /// `places[i]` is the place that slice `i` of the volume had in it.
    pub places: Vec<usize>,
}

impl SliceOrder {
    /// Whether the slices stand in another order than the files were named or stored.
    pub fn is_changed(&self) -> bool {
        self.as_named.iter().enumerate().any(|(place, &named)| place != named)
    }
}

/// Where one slice of a volume came from, and how its stored pixels map to the volume's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceSource {
    /// Path of the file, with `#frame` for a frame of a multi-frame file or a slice of a NIfTI file.
    pub path: String,
    /// The in-plane change from stored pixels to the canonical frame.
    pub in_plane: InPlane,
}

/// In-plane axis change between a stored slice and the canonical frame: transpose first, then flips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlane {
    /// Stored columns run along y.
    pub transpose: bool,
    /// x runs against the stored axis.
    pub flip_x: bool,
    /// y runs against the stored axis.
    pub flip_y: bool,
}

/// A scan that was read: the volume, where its slices came from, and what the person should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Name for the person: folder, file, or patient number of a stack.
    pub name: String,
    /// What it was read from.
    pub kind: ScanKind,
    /// The volume in the canonical frame, slices bottom to top.
    pub volume: Volume,
    /// One entry a slice of the volume.
    pub slices: Vec<SliceSource>,
    /// How the order of the slices was decided.
    pub order: SliceOrder,
    /// What the person should know.
    pub warnings: Vec<Warning>,
}

impl Scan {
    /// The scan with its slices in the order in which they stood before the images changed it, as a person may ask for;
    /// the scan as it is where nothing was changed. Warns `order_by_request`, since the images speak against that order.
    #[must_use]
    pub fn unrepaired(&self) -> Self {
        let mut scan = self.clone();
        let Some(Unrepaired { basis, places }) = scan.order.unrepaired.take() else { return scan };
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&slice| places.get(slice));
        scan.volume = self.volume.with_slice_order(&order);
        scan.slices = order.iter().filter_map(|&slice| self.slices.get(slice)).cloned().collect();
        scan.order.as_named = order.iter().filter_map(|&slice| self.order.as_named.get(slice)).copied().collect();
        scan.order.basis = basis;
        scan.warnings.retain(|warning| warning.code != "slices_reordered");
        scan.warnings.push(Warning::new(
            "order_by_request",
            "The slices stand as before the repair, because you asked for it. By the pictures this is not the order of the head: neighbouring slices may be far apart, and the answer may be wrong.",
        ));
        scan
    }
}

/// A scan or a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedScan {
    /// Name for the person.
    pub name: String,
    /// Files concerned.
    pub sources: Vec<String>,
    /// Why, and what to do.
    pub refusal: Refusal,
}

impl RefusedScan {
    /// The refusal of one file, named by its path.
    fn of_file(path: &str, fault: &Fault) -> Self {
        let sources = if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
        Self { name: path.to_owned(), sources, refusal: fault.into() }
    }
}

/// How a read ended without a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The progress callback asked to stop.
    Cancelled,
    /// The scan cannot be read.
    Refused(RefusedScan),
}

impl From<Fault> for ReadError {
    /// The scan that was being read is filled in by [`ScanPlan::read`].
    fn from(fault: Fault) -> Self {
        Self::Refused(RefusedScan { name: String::new(), sources: Vec::new(), refusal: (&fault).into() })
    }
}

/// What a reader is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadStep {
    /// Reading and decoding slices.
    Reading,
    /// Deciding the order of the slices.
    Ordering,
}

/// How far a read has come: `done` of `total` slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadProgress {
    /// The step that begins or goes on.
    pub step: ReadStep,
    /// Slices done.
    pub done: usize,
    /// Slices in all.
    pub total: usize,
}

/// The progress callback as readers use it: a cancel becomes an error that `?` carries out.
struct Progress<'a> {
    callback: &'a mut dyn FnMut(ReadProgress) -> ControlFlow<()>,
}

impl<'a> Progress<'a> {
    fn new(callback: &'a mut dyn FnMut(ReadProgress) -> ControlFlow<()>) -> Self {
        Self { callback }
    }

    fn reading(&mut self, done: usize, total: usize) -> Result<(), ReadError> {
        self.report(ReadProgress { step: ReadStep::Reading, done, total })
    }

    fn ordering(&mut self, total: usize) -> Result<(), ReadError> {
        self.report(ReadProgress { step: ReadStep::Ordering, done: total, total })
    }

    fn report(&mut self, progress: ReadProgress) -> Result<(), ReadError> {
        if (self.callback)(progress).is_break() { Err(ReadError::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Orientation, Spacing, ValueScale};

    #[test]
    fn before_the_repair_slices_stand_as_they_were_read_whatever_their_files_are_called() {
        // Read by instance number as c, a, b; repaired to a, b, c.
        let volume = Volume::new(
            vec![1.0, 2.0, 0.0],
            [3, 1, 1],
            Spacing::default(),
            ValueScale::Hounsfield,
            Orientation::Stated,
        );
        let source = |path: &str| SliceSource { path: path.to_owned(), in_plane: InPlane::default() };
        let repaired = Scan {
            name: "head".to_owned(),
            kind: ScanKind::Dicom,
            volume: volume.unwrap(),
            slices: ["a", "b", "c"].map(source).to_vec(),
            order: SliceOrder {
                basis: OrderBasis::Images,
                as_named: vec![0, 1, 2],
                unrepaired: Some(Unrepaired { basis: OrderBasis::InstanceNumber, places: vec![1, 2, 0] }),
            },
            warnings: ["slices_reordered", "spacing_unknown"].map(|code| Warning::new(code, "")).to_vec(),
        };
        let scan = repaired.unrepaired();
        assert_eq!(scan.volume.voxels(), [0.0, 1.0, 2.0]);
        assert_eq!(scan.slices, ["c", "a", "b"].map(source));
        assert_eq!(
            scan.order,
            SliceOrder { basis: OrderBasis::InstanceNumber, as_named: vec![2, 0, 1], unrepaired: None }
        );
        let codes: Vec<&str> = scan.warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["spacing_unknown", "order_by_request"]);
        assert_eq!(scan.unrepaired(), scan);
    }
}
