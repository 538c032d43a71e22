//! Everything that can be wrong with what was dropped, with its stable code and its sentence for the person.

use super::limits;
use crate::report::Refusal;

/// Why a file or a scan was not read. The text says what was found and what to do; [`Fault::code`] is stable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No file at all, or nothing but what operating systems leave behind.
    #[error(
        "There was nothing to read in the drop{}. Drop a head CT: a folder of DICOM files, a NIfTI file (.nii, .nii.gz), or the JPG or PNG slices of a patient.",
        if *.ignored > 0 { format!(" but {ignored} system files such as .DS_Store") } else { String::new() }
    )]
    EmptyDrop {
        /// Files left behind by operating systems.
        ignored: usize,
    },
    /// A file of no bytes.
    #[error("The file {path} is empty (0 bytes). Copy it again from where it came from.")]
    EmptyFile {
        /// The file.
        path: String,
    },
    /// A file that is none of the kinds that hold a scan.
    #[error(
        "{path} is {found}, which holds no scan. Drop DICOM files, a NIfTI file (.nii, .nii.gz), JPG, PNG or TIFF slices, or a zip or tar of them."
    )]
    NotAScan {
        /// The file.
        path: String,
        /// What it is, with its article.
        found: String,
    },
    /// Named as DICOM, but the content is something else.
    #[error(
        "{path} is named like a DICOM file, but its content is not DICOM (no DICM mark, and no data element where the first one should stand). Export it again."
    )]
    NotDicom {
        /// The file.
        path: String,
    },
    /// A known format that no reader is here for.
    #[error("{path} is {found}, which cannot be read here. {advice}")]
    UnsupportedFormat {
        /// The file.
        path: String,
        /// What it is, with its article.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// The platform could not give the bytes.
    #[error("{path} could not be read ({reason}). Check that it is still there and readable, and drop it again.")]
    Unreadable {
        /// The file.
        path: String,
        /// What the platform said.
        reason: String,
    },
    /// The file ends before its content does.
    #[error("{path} is cut off: {detail}. Copy it again from where it came from.")]
    Truncated {
        /// The file.
        path: String,
        /// What is missing.
        detail: String,
    },
    /// The content contradicts itself.
    #[error("{path} is damaged: {detail}. Export or copy it again.")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// Over one of the [`limits`].
    #[error("{path} is too large: {detail}. Drop one head CT as exported by the scanner or the archive.")]
    TooLarge {
        /// The file or scan.
        path: String,
        /// What is over which limit.
        detail: String,
    },
    /// A picture in colour.
    #[error(
        "{path} is a colour picture ({percent} % of it is coloured); CT slices are grey. Drop the grey slices of a head CT, exported without overlays."
    )]
    ColourPicture {
        /// The file.
        path: String,
        /// Percentage of coloured pixels.
        percent: u32,
    },
    /// A picture with more than 8 bits, whose grey levels have no stated meaning.
    #[error(
        "{path} has 16-bit grey levels that do not run from black to white, and nothing in a picture says what they mean. Export the scan as DICOM or NIfTI, or as 8-bit pictures with the brain window (level 40, width 120)."
    )]
    DeepPicture {
        /// The file.
        path: String,
    },
    /// Slices of different sizes in one stack.
    #[error(
        "The slices of {name} differ in size ({first} is {first_size}, {other} is {other_size}), so they are not one scan. Drop the slices of one scan in a folder of its own."
    )]
    MixedSizes {
        /// The scan.
        name: String,
        /// A file.
        first: String,
        /// Its size.
        first_size: String,
        /// A file of another size.
        other: String,
        /// Its size.
        other_size: String,
    },
    /// One picture only.
    #[error(
        "{path} is a single slice. A bleed is looked for in the whole head: drop the folder with all slices of the scan."
    )]
    SingleSlice {
        /// The file.
        path: String,
    },
    /// NIfTI with a time axis.
    #[error(
        "{path} holds {volumes} volumes (a 4D file, as of perfusion or functional imaging). Export one volume as 3D NIfTI."
    )]
    FourDimensional {
        /// The file.
        path: String,
        /// Number of volumes.
        volumes: u64,
    },
    /// A header without its data file.
    #[error(
        "{path} is only the header of an image; its voxels are in {missing}, which was not dropped. Drop both files together."
    )]
    MissingImage {
        /// The file.
        path: String,
        /// Name of the missing file.
        missing: String,
    },
    /// A data file without its header.
    #[error(
        "{path} holds voxels without a header; the header is {missing}, which was not dropped. Drop both files together."
    )]
    MissingHeader {
        /// The file.
        path: String,
        /// Name of the missing file.
        missing: String,
    },
    /// A voxel type that is no CT value.
    #[error("{path} stores its voxels as {found}; CT values are integers or real numbers. Export the CT itself.")]
    UnsupportedVoxels {
        /// The file.
        path: String,
        /// The type.
        found: String,
    },
    /// DICOM of another modality.
    #[error("{name} is {found}, not CT. Drop the CT series of the study.")]
    NotCt {
        /// The series or file.
        name: String,
        /// What it is, with its article.
        found: String,
    },
    /// DICOM without pixels.
    #[error("{name} is {found}, which has no image in it. Drop the image files of the CT series.")]
    NoPixels {
        /// The file.
        name: String,
        /// What it is, with its article.
        found: String,
    },
    /// A scout view.
    #[error("{name} is a localiser (scout view), not the scan itself. Drop the axial series of the study.")]
    Localiser {
        /// The series or file.
        name: String,
    },
    /// A colour image in a CT series.
    #[error(
        "{name} is a colour image ({photometric}), such as a dose report or a screenshot, not a CT slice. Drop the axial series of the study."
    )]
    ScreenCapture {
        /// The series or file.
        name: String,
        /// Photometric interpretation.
        photometric: String,
    },
    /// DICOM pixels compressed in a way without a decoder here.
    #[error(
        "{name} is compressed as {syntax}, which cannot be decoded here. Export it uncompressed (Explicit VR Little Endian), for example with `dcmdjpeg` or `gdcmconv --raw`."
    )]
    UnsupportedTransferSyntax {
        /// The series or file.
        name: String,
        /// Name of the transfer syntax.
        syntax: String,
    },
    /// A DICOM feature that changes the values and is not handled.
    #[error("{name} {detail}. Export it as original CT images.")]
    UnsupportedPixels {
        /// The series or file.
        name: String,
        /// What it has.
        detail: String,
    },
    /// Slices of a series that cannot be one stack.
    #[error("The slices of {name} do not form one stack: {detail}. Drop one axial series.")]
    NotAStack {
        /// The series.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A container that needs a password.
    #[error("{path} is locked with a password. Unpack it and drop the files.")]
    Encrypted {
        /// The container.
        path: String,
    },
    /// A container over a limit, as made to fill a disk.
    #[error("{path} was not unpacked: {detail}. Unpack it yourself if you trust it, and drop the files of one scan.")]
    ContainerTooLarge {
        /// The container.
        path: String,
        /// What is over which limit.
        detail: String,
    },
    /// A container without anything readable.
    #[error("{path} holds no scan. Drop DICOM files, a NIfTI file, JPG, PNG or TIFF slices, or a zip or tar of them.")]
    EmptyContainer {
        /// The container.
        path: String,
    },
}

impl Fault {
    /// The stable machine-readable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::EmptyDrop { .. } => "empty_drop",
            Self::EmptyFile { .. } => "empty_file",
            Self::NotAScan { .. } => "not_a_scan",
            Self::NotDicom { .. } => "not_dicom",
            Self::UnsupportedFormat { .. } => "unsupported_format",
            Self::Unreadable { .. } => "unreadable",
            Self::Truncated { .. } => "truncated",
            Self::Damaged { .. } => "damaged",
            Self::TooLarge { .. } => "too_large",
            Self::ColourPicture { .. } => "colour_picture",
            Self::DeepPicture { .. } => "deep_picture",
            Self::MixedSizes { .. } => "mixed_sizes",
            Self::SingleSlice { .. } => "single_slice",
            Self::FourDimensional { .. } => "4d",
            Self::MissingImage { .. } => "missing_img",
            Self::MissingHeader { .. } => "missing_hdr",
            Self::UnsupportedVoxels { .. } => "unsupported_voxels",
            Self::NotCt { .. } => "not_ct",
            Self::NoPixels { .. } => "no_pixels",
            Self::Localiser { .. } => "localiser",
            Self::ScreenCapture { .. } => "screen_capture",
            Self::UnsupportedTransferSyntax { .. } => "unsupported_ts",
            Self::UnsupportedPixels { .. } => "unsupported_pixels",
            Self::NotAStack { .. } => "not_a_stack",
            Self::Encrypted { .. } => "encrypted",
            Self::ContainerTooLarge { .. } => "container_too_large",
            Self::EmptyContainer { .. } => "empty_container",
        }
    }

    /// Whether nobody misses the file beside a scan.
    pub(super) fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::NotAScan { .. } | Self::NoPixels { .. } | Self::Localiser { .. } | Self::ScreenCapture { .. }
        )
    }

    pub(super) fn unreadable(path: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Self::Truncated { path: path.to_owned(), detail: "the data end too early".to_owned() }
            }
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
                Self::Damaged { path: path.to_owned(), detail: error.to_string() }
            }
            _ => Self::Unreadable { path: path.to_owned(), reason: error.to_string() },
        }
    }

    pub(super) fn too_many_bytes(path: &str, found: u64, limit: u64) -> Self {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        Self::TooLarge {
            path: path.to_owned(),
            detail: format!("it has {} MiB, the limit is {} MiB", mib(found), mib(limit)),
        }
    }

    /// Makes room for the voxels of a scan whose data are known to be there.
    pub(super) fn make_room(path: &str, voxels: &mut Vec<f32>, count: usize) -> Result<(), Self> {
        voxels.try_reserve_exact(count).map_err(|_| Self::TooLarge {
            path: path.to_owned(),
            detail: format!("there is not enough memory for its {} million voxels", count >> 20),
        })
    }

    /// Checks the shape of a scan (slices, rows, columns) against the limits.
    pub(super) fn check_shape(path: &str, shape: [usize; 3]) -> Result<(), Self> {
        let [slices, rows, columns] = shape;
        let voxels = slices.saturating_mul(rows).saturating_mul(columns);
        if voxels == 0 {
            let detail = format!("it claims {slices} x {rows} x {columns} voxels");
            return Err(Self::Damaged { path: path.to_owned(), detail });
        }
        if slices > limits::SLICES
            || rows > limits::SLICE_SIDE
            || columns > limits::SLICE_SIDE
            || voxels > limits::VOXELS
        {
            let detail = format!(
                "{slices} slices of {columns} x {rows}; the limits are {} slices, {} pixels a side and {} million voxels",
                limits::SLICES,
                limits::SLICE_SIDE,
                limits::VOXELS >> 20,
            );
            return Err(Self::TooLarge { path: path.to_owned(), detail });
        }
        Ok(())
    }
}

impl From<&Fault> for Refusal {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.code(), fault.to_string())
    }
}
