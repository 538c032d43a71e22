//! Phantoms as files: DICOM series, NIfTI-1, and stacks of JPG or PNG pictures.
//!
//! Every writer gives paths (relative, `/`-separated) with bytes, and leaves it to the caller where they go.

mod dicom;
mod nifti;
mod pictures;

pub use dicom::dicom;
pub use nifti::{nifti, nifti_mask};
pub use pictures::{PictureFormat, PictureOptions, pictures};

/// A relative path and what the file holds.
pub type File = (String, Vec<u8>);

#[cfg(test)]
mod tests;
