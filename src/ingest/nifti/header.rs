//! The NIfTI-1, NIfTI-2 and Analyze 7.5 headers, as far as a CT volume needs them.
//!
//! Written by hand rather than with the `nifti` crate, which knows NIfTI-1 only and trusts the sizes that it reads.
//! Field offsets: `nifti1.h` and `nifti2.h` of the NIfTI Data Format Working Group (<https://nifti.nimh.nih.gov>).

use crate::ingest::canonical::{Direction, cross, dot, norm};
use crate::ingest::fault::Fault;

/// Bytes that hold any of the three headers.
pub(super) const HEADER_BYTES: usize = 540;

/// Volume that unit vectors along the axes span, below which they say nothing: 1 at right angles, .87 for a gantry tilt of
/// 30 degrees, 0 in a plane.
const LEAST_VOLUME: f64 = 0.1;

/// How a voxel is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VoxelType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl VoxelType {
    fn of_code(code: i16) -> Result<Self, &'static str> {
        Ok(match code {
            2 => Self::U8,
            256 => Self::I8,
            512 => Self::U16,
            4 => Self::I16,
            768 => Self::U32,
            8 => Self::I32,
            1280 => Self::U64,
            1024 => Self::I64,
            16 => Self::F32,
            64 => Self::F64,
            1 => return Err("single bits (a mask)"),
            128 | 2304 => return Err("colours"),
            32 | 1792 | 2048 => return Err("complex numbers"),
            1536 => return Err("128-bit numbers"),
            _ => return Err("an unknown type"),
        })
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// A header that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// Numbers are big-endian.
    pub(super) big_endian: bool,
    pub(super) voxel: VoxelType,
    /// Extents of the stored axes, first axis fastest.
    pub(super) extent: [usize; 3],
    /// Distances along the stored axes in millimetres; `None` where the header has none.
    pub(super) spacing: [Option<f64>; 3],
    /// Directions of the stored axes, LPS; `None` without sform and qform.
    pub(super) directions: Option<[Direction; 3]>,
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// Where the voxels begin in their file.
    pub(super) offset: u64,
    /// The voxels are in an `.img` file of their own.
    pub(super) pair: bool,
}

/// Numbers at offsets of a header.
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    path: &'a str,
}

impl Fields<'_> {
    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], Fault> {
        let mut field: [u8; N] =
            self.bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(|| {
                let detail = "the header is incomplete".to_owned();
                Fault::Truncated { path: self.path.to_owned(), detail }
            })?;
        if self.big_endian {
            field.reverse();
        }
        Ok(field)
    }

    fn short(&self, offset: usize) -> Result<i16, Fault> {
        Ok(i16::from_le_bytes(self.array(offset)?))
    }

    fn int(&self, offset: usize) -> Result<i32, Fault> {
        Ok(i32::from_le_bytes(self.array(offset)?))
    }

    fn long(&self, offset: usize) -> Result<i64, Fault> {
        Ok(i64::from_le_bytes(self.array(offset)?))
    }

    fn float(&self, offset: usize) -> Result<f64, Fault> {
        Ok(f64::from(f32::from_le_bytes(self.array(offset)?)))
    }

    fn double(&self, offset: usize) -> Result<f64, Fault> {
        Ok(f64::from_le_bytes(self.array(offset)?))
    }

    /// Consecutive numbers of one kind, read by `number` every `size` bytes.
    fn series<T: Copy + Default, const N: usize>(
        &self,
        offset: usize,
        size: usize,
        number: impl Fn(&Self, usize) -> Result<T, Fault>,
    ) -> Result<[T; N], Fault> {
        let mut values = [T::default(); N];
        for (place, value) in values.iter_mut().enumerate() {
            *value = number(self, offset + place * size)?;
        }
        Ok(values)
    }
}

/// What the three formats have in common, before it is checked.
struct Raw {
    dim: [i64; 8],
    pixdim: [f64; 8],
    datatype: i16,
    slope: f64,
    intercept: f64,
    offset: f64,
    /// Where voxels begin if they follow the header in one file; 0 in a pair.
    header_end: f64,
    units: i32,
    qform: bool,
    sform: bool,
    quaternion: [f64; 3],
    rows: [[f64; 4]; 3],
    pair: bool,
}

impl Header {
    /// Parses a header from the first [`HEADER_BYTES`] bytes of a file (fewer where it is shorter).
    pub(super) fn parse(bytes: &[u8], path: &str) -> Result<Self, Fault> {
        let size: [u8; 4] = Fields { bytes, big_endian: false, path }.array(0)?;
        let big_endian = matches!(u32::from_be_bytes(size), 348 | 540);
        let fields = Fields { bytes, big_endian, path };
        let second = fields.int(0)? == 540;
        let raw = if second { nifti2(&fields)? } else { nifti1(&fields)? };
        raw.check(big_endian, path)
    }
}

fn nifti1(fields: &Fields<'_>) -> Result<Raw, Fault> {
    let magic = fields.bytes.get(344..347).unwrap_or_default();
    // Analyze 7.5 shares the layout up to byte 112; SPM keeps a scale factor there, and orientation is not stated.
    let analyze = magic != b"n+1" && magic != b"ni1";
    let pair = magic != b"n+1";
    let forms = |offset: usize| Ok::<_, Fault>(!analyze && fields.short(offset)? > 0);
    Ok(Raw {
        dim: fields.series(40, 2, |fields, at| Ok(i64::from(fields.short(at)?)))?,
        pixdim: fields.series(76, 4, Fields::float)?,
        datatype: fields.short(70)?,
        slope: fields.float(112)?,
        intercept: if analyze { 0.0 } else { fields.float(116)? },
        offset: fields.float(108)?,
        header_end: if pair { 0.0 } else { 352.0 },
        units: if analyze { 0 } else { i32::from(fields.bytes.get(123).copied().unwrap_or(0)) },
        qform: forms(252)?,
        sform: forms(254)?,
        quaternion: fields.series(256, 4, Fields::float)?,
        rows: [
            fields.series(280, 4, Fields::float)?,
            fields.series(296, 4, Fields::float)?,
            fields.series(312, 4, Fields::float)?,
        ],
        pair,
    })
}

fn nifti2(fields: &Fields<'_>) -> Result<Raw, Fault> {
    let pair = fields.bytes.get(4..7) == Some(b"ni2");
    Ok(Raw {
        dim: fields.series(16, 8, Fields::long)?,
        pixdim: fields.series(104, 8, Fields::double)?,
        datatype: fields.short(12)?,
        slope: fields.double(176)?,
        intercept: fields.double(184)?,
        offset: fields.long(168)? as f64,
        header_end: if pair { 0.0 } else { 544.0 },
        units: fields.int(500)?,
        qform: fields.int(344)? > 0,
        sform: fields.int(348)? > 0,
        quaternion: fields.series(352, 8, Fields::double)?,
        rows: [
            fields.series(400, 8, Fields::double)?,
            fields.series(432, 8, Fields::double)?,
            fields.series(464, 8, Fields::double)?,
        ],
        pair,
    })
}

impl Raw {
    fn check(&self, big_endian: bool, path: &str) -> Result<Header, Fault> {
        let damaged = |detail: String| Fault::Damaged { path: path.to_owned(), detail };
        let [rank, extents @ ..] = self.dim;
        let used = usize::try_from(rank).ok().filter(|rank| (1..=7).contains(rank));
        let used = used.ok_or_else(|| damaged(format!("its header claims {rank} dimensions")))?;
        let mut sizes = [1_u64; 7];
        for (axis, (size, &extent)) in sizes.iter_mut().zip(extents.iter().take(used)).enumerate() {
            // Some writers state more axes than they fill in.
            if axis > 2 && extent == 0 {
                continue;
            }
            *size = u64::try_from(extent)
                .ok()
                .filter(|&extent| extent > 0)
                .ok_or_else(|| damaged(format!("its header claims an axis of {extent} voxels")))?;
        }
        let [columns, rows, slices, more @ ..] = sizes;
        let volumes = more.into_iter().fold(1_u64, u64::saturating_mul);
        if volumes > 1 {
            return Err(Fault::FourDimensional { path: path.to_owned(), volumes });
        }
        let extent = [columns, rows, slices].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let voxel = VoxelType::of_code(self.datatype)
            .map_err(|found| Fault::UnsupportedVoxels { path: path.to_owned(), found: found.to_owned() })?;
        // Writers that leave the field empty mean the end of the header; anything else before it would show the header
        // as voxels.
        let offset = if self.offset == 0.0 { self.header_end } else { self.offset };
        if !(offset.is_finite() && (self.header_end..1e15).contains(&offset)) {
            return Err(damaged(format!("its header says that voxels begin at byte {offset}")));
        }
        let affine = self.affine();
        let unit = match self.units & 7 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        };
        let [_, pixdims @ ..] = self.pixdim;
        let mut spacing = [None; 3];
        for (axis, distance) in spacing.iter_mut().enumerate() {
            let of_affine = affine.and_then(|columns| columns.get(axis).map(|&column| norm(column)));
            let of_header = pixdims.get(axis).map(|distance| distance.abs());
            *distance = of_affine.or(of_header).map(|mm| mm * unit).filter(|mm| mm.is_finite() && *mm > 0.0);
        }
        let has_slope = self.slope.is_finite() && self.slope != 0.0 && self.intercept.is_finite();
        Ok(Header {
            big_endian,
            voxel,
            extent,
            spacing,
            // NIfTI's patient coordinates are RAS: x and y run the other way.
            directions: affine.map(|columns| columns.map(|[x, y, z]| [-x, -y, z])),
            slope: if has_slope { self.slope } else { 1.0 },
            intercept: if has_slope { self.intercept } else { 0.0 },
            offset: offset as u64,
            pair: self.pair,
        })
    }

    /// Columns of the affine (RAS) by sform, else qform, as long as they span space.
    fn affine(&self) -> Option<[Direction; 3]> {
        let sform = || {
            let column = |axis: usize| self.rows.map(|row| row.get(axis).copied().unwrap_or(0.0));
            [column(0), column(1), column(2)]
        };
        let usable = |columns: &[Direction; 3]| {
            let [a, b, c] = columns.map(|column| column.map(|v| v / norm(column)));
            // Written so that NaN, from a column of no length, is not usable.
            dot(cross(a, b), c).abs() > LEAST_VOLUME
        };
        let by_sform = self.sform.then(sform).filter(usable);
        by_sform.or_else(|| self.qform.then(|| self.qform_columns()).filter(usable))
    }

    fn qform_columns(&self) -> [Direction; 3] {
        let [b, c, d] = self.quaternion;
        let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
        let [qfac, dx, dy, dz, ..] = self.pixdim;
        let dz = if qfac < 0.0 { -dz } else { dz };
        let scaled = |column: Direction, by: f64| column.map(|v| v * by);
        [
            scaled([a * a + b * b - c * c - d * d, 2.0 * (b * c + a * d), 2.0 * (b * d - a * c)], dx),
            scaled([2.0 * (b * c - a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d + a * b)], dy),
            scaled([2.0 * (b * d + a * c), 2.0 * (c * d - a * b), a * a + d * d - b * b - c * c], dz),
        ]
    }
}
