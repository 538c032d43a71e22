//! NIfTI-1 and NIfTI-2, in one file or as `.hdr`/`.img` pair, gzip-compressed or not, and Analyze 7.5 pairs.

mod header;
#[cfg(test)]
mod tests;

use super::canonical::Axes;
use super::fault::Fault;
use super::source::{SourceReader, file_name, folder};
use super::{
    InPlane, InputFile, OrderBasis, Progress, ReadError, Scan, ScanKind, SliceOrder, SliceSource, limits, plausible,
};
use crate::report::Warning;
use crate::volume::{Orientation, Spacing, Volume};
use flate2::read::MultiGzDecoder;
use header::{HEADER_BYTES, Header, VoxelType};
use std::io::{self, Read};

/// Deflate expands at most 1032 times (RFC 1951); a header that promises more is wrong.
const DEFLATE_EXPANSION: u64 = 1032;
/// CT compresses to a third or so; masks and templates to a tenth.
const USUAL_COMPRESSION: u64 = 10;
/// Voxels converted at a time.
const CHUNK_VOXELS: usize = 32 << 10;

/// A NIfTI volume that was found.
#[derive(Clone)]
pub(super) struct NiftiPlan {
    header: Header,
    header_file: InputFile,
    data_file: InputFile,
}

impl NiftiPlan {
    /// A volume in one file.
    pub(super) fn of_file(file: &InputFile) -> Result<Self, Fault> {
        Self::of_pair(file, file)
    }

    /// A volume in a header and a data file.
    pub(super) fn of_pair(header_file: &InputFile, data_file: &InputFile) -> Result<Self, Fault> {
        let header = Header::parse(&head(header_file)?, &header_file.path)?;
        let [columns, rows, slices] = header.extent;
        Fault::check_shape(&header_file.path, [slices, rows, columns])?;
        Ok(Self { header, header_file: header_file.clone(), data_file: data_file.clone() })
    }

    pub(super) fn name(&self) -> &str {
        file_name(&self.header_file.path)
    }

    pub(super) fn slices(&self) -> usize {
        self.axes().permute(self.header.extent)[2]
    }

    pub(super) fn sources(&self) -> Vec<String> {
        let mut sources = vec![self.header_file.path.clone()];
        if self.data_file.path != self.header_file.path {
            sources.push(self.data_file.path.clone());
        }
        sources
    }

    /// Without a stated orientation rows are taken to run to the patient's left and columns to the front, as nibabel
    /// and SPM do.
    fn axes(&self) -> Axes {
        Axes::nearest(&self.header.directions.unwrap_or([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]))
    }

    pub(super) fn read(&self, progress: &mut Progress<'_>) -> Result<Scan, ReadError> {
        let header = &self.header;
        let mut voxels = self.read_voxels(progress)?;
        let mut warnings: Vec<Warning> = plausible::fill_gaps(&mut voxels).into_iter().collect();
        let (scale, doubt) = plausible::scale_of(&voxels);
        warnings.extend(doubt);
        let axes = self.axes();
        let (voxels, shape) = axes.arrange(voxels, header.extent);
        if !axes.slices_stay() {
            warnings.push(Warning::new(
                "not_axial",
                "The slices were stored as sagittal or coronal; they were turned to axial ones, which match no stored slice.",
            ));
        }
        let [column_mm, row_mm, slice_mm] = axes.permute(header.spacing).map(|mm| mm.map(|mm| mm as f32));
        let orientation = if header.directions.is_some() { Orientation::Stated } else { Orientation::Assumed };
        if header.directions.is_none() {
            warnings.push(Warning::new(
                "orientation_assumed",
                "The file does not say where left, front and up are: rows are taken to run to the patient's left, columns to the front, slices to the top.",
            ));
        }
        if slice_mm.is_none() || row_mm.is_none() || column_mm.is_none() {
            warnings.push(Warning::new("spacing_unknown", "The file does not state all voxel sizes."));
        }
        let spacing = Spacing { slice_mm, row_mm, column_mm };
        let volume = Volume::new(voxels, shape, spacing, scale, orientation)
            .map_err(|error| Fault::Damaged { path: self.data_file.path.clone(), detail: error.to_string() })?;
        let slices = volume.slices();
        // Where slices were cut along another axis, sources are planes of the canonical volume.
        let stored = |z: usize| if axes.slices_stay() && axes.slices_flipped() { slices - 1 - z } else { z };
        let as_named: Vec<usize> = (0..slices).map(stored).collect();
        let in_plane: InPlane = axes.in_plane();
        let source = |&k: &usize| SliceSource { path: format!("{}#{k}", self.data_file.path), in_plane };
        Ok(Scan {
            name: self.name().to_owned(),
            kind: ScanKind::Nifti,
            volume,
            slices: as_named.iter().map(source).collect(),
            order: SliceOrder { basis: OrderBasis::Stored, as_named, unrepaired: None },
            warnings,
        })
    }

    fn read_voxels(&self, progress: &mut Progress<'_>) -> Result<Vec<f32>, ReadError> {
        let header = &self.header;
        let path = &self.data_file.path;
        let [columns, rows, slices] = header.extent;
        let count = columns * rows * slices;
        let expected = header.offset.saturating_add((count * header.voxel.bytes()) as u64);
        let length = self.data_file.source.len();
        let too_short = || {
            let detail = format!("{columns} x {rows} x {slices} voxels need {expected} bytes");
            Fault::Truncated { path: path.clone(), detail }
        };
        let mut reader = open(&self.data_file).map_err(|error| Fault::unreadable(path, &error))?;
        let available = if reader.compressed { length.saturating_mul(DEFLATE_EXPANSION) } else { length };
        if available < expected {
            return Err(too_short().into());
        }
        if length > limits::WHOLE_FILE_BYTES {
            return Err(Fault::too_many_bytes(path, length, limits::WHOLE_FILE_BYTES).into());
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => too_short(),
            _ => Fault::unreadable(path, &error),
        };
        let skipped = io::copy(&mut reader.by_ref().take(header.offset), &mut io::sink()).map_err(failed)?;
        if skipped < header.offset {
            return Err(too_short().into());
        }
        let mut voxels = Vec::new();
        // What compresses better than CT does grows with what arrives, so that a header cannot ask for memory that no
        // data follow.
        if expected < length.saturating_mul(USUAL_COMPRESSION) {
            Fault::make_room(path, &mut voxels, count)?;
        }
        let mut chunk = vec![0; CHUNK_VOXELS.min(count) * header.voxel.bytes()];
        while voxels.len() < count {
            progress.reading(voxels.len() / (columns * rows), slices)?;
            let bytes = chunk.len().min((count - voxels.len()) * header.voxel.bytes());
            let part = chunk.get_mut(..bytes).unwrap_or_default();
            reader.read_exact(part).map_err(failed)?;
            convert(part, header, &mut voxels);
        }
        // The check sum follows the last byte. What follows it, if no gzip member, is padding and nobody's concern.
        let after = if reader.compressed { reader.read(&mut [0]).err() } else { None };
        if let Some(error) = after.filter(|error| error.to_string().contains("checksum")) {
            return Err(Fault::unreadable(path, &error).into());
        }
        Ok(voxels)
    }
}

/// Appends voxels with slope and intercept applied.
fn convert(bytes: &[u8], header: &Header, voxels: &mut Vec<f32>) {
    fn each<const N: usize>(bytes: &[u8], header: &Header, voxels: &mut Vec<f32>, number: impl Fn([u8; N]) -> f64) {
        let (items, _) = bytes.as_chunks::<N>();
        voxels.extend(items.iter().map(|&(mut item)| {
            if header.big_endian {
                item.reverse();
            }
            (number(item) * header.slope + header.intercept) as f32
        }));
    }
    match header.voxel {
        VoxelType::U8 => each(bytes, header, voxels, |[byte]: [u8; 1]| f64::from(byte)),
        VoxelType::I8 => each(bytes, header, voxels, |item| f64::from(i8::from_le_bytes(item))),
        VoxelType::U16 => each(bytes, header, voxels, |item| f64::from(u16::from_le_bytes(item))),
        VoxelType::I16 => each(bytes, header, voxels, |item| f64::from(i16::from_le_bytes(item))),
        VoxelType::U32 => each(bytes, header, voxels, |item| f64::from(u32::from_le_bytes(item))),
        VoxelType::I32 => each(bytes, header, voxels, |item| f64::from(i32::from_le_bytes(item))),
        VoxelType::U64 => each(bytes, header, voxels, |item| u64::from_le_bytes(item) as f64),
        VoxelType::I64 => each(bytes, header, voxels, |item| i64::from_le_bytes(item) as f64),
        VoxelType::F32 => each(bytes, header, voxels, |item| f64::from(f32::from_le_bytes(item))),
        VoxelType::F64 => each(bytes, header, voxels, f64::from_le_bytes),
    }
}

/// The bytes of a file, unpacked where it is gzip-compressed.
struct Unpacked<'a> {
    reader: Box<dyn Read + 'a>,
    compressed: bool,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

fn open(file: &InputFile) -> io::Result<Unpacked<'_>> {
    let compressed = file.source.read_at(0, 2)?.starts_with(&[0x1f, 0x8b]);
    let plain = SourceReader::new(file.source.as_ref(), 1 << 20);
    let reader: Box<dyn Read + '_> = if compressed { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
    Ok(Unpacked { reader, compressed })
}

fn head(file: &InputFile) -> Result<Vec<u8>, Fault> {
    let mut head = Vec::new();
    let compressed = file.source.read_at(0, 2).map_err(|error| Fault::unreadable(&file.path, &error))?;
    let plain = SourceReader::new(file.source.as_ref(), 4096);
    let reader: Box<dyn Read + '_> =
        if compressed.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
    let read = reader.take(HEADER_BYTES as u64).read_to_end(&mut head);
    // What came is a header or too short for one; the rest of a small file is met again with its voxels.
    match read {
        Err(error) if head.is_empty() => Err(Fault::unreadable(&file.path, &error)),
        _ => Ok(head),
    }
}

/// Brings headers and data files of pairs together: the same folder and name without extension.
pub(super) fn pair_up(headers: &[InputFile], data: &[InputFile]) -> Vec<(String, Result<NiftiPlan, Fault>)> {
    let mut found = Vec::new();
    let mut used = Vec::new();
    for header in headers {
        let partner = data.iter().find(|file| pair_key(&file.path) == pair_key(&header.path));
        let plan = match partner {
            Some(partner) => {
                used.push(partner.path.as_str());
                NiftiPlan::of_pair(header, partner)
            }
            None => Err(Fault::MissingImage { path: header.path.clone(), missing: partner_name(&header.path, "img") }),
        };
        found.push((header.path.clone(), plan));
    }
    for file in data.iter().filter(|file| !used.contains(&file.path.as_str())) {
        let missing = partner_name(&file.path, "hdr");
        found.push((file.path.clone(), Err(Fault::MissingHeader { path: file.path.clone(), missing })));
    }
    found
}

fn pair_key(path: &str) -> (String, String) {
    (folder(path).to_owned(), bare_name(path).to_lowercase())
}

fn bare_name(path: &str) -> &str {
    let name = file_name(path);
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".GZ")).unwrap_or(name);
    name.rsplit_once('.').map_or(name, |(bare, _)| bare)
}

fn partner_name(path: &str, extension: &str) -> String {
    format!("{}.{extension}", bare_name(path))
}
