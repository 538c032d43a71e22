//! DICOM CT series: single-frame files grouped by series, and multi-frame files.
//!
//! | step | file |
//! |---|---|
//! | bytes to data elements, up to the pixel data | `elements` |
//! | data elements to what a slice is, or why it is none | `header` |
//! | files to series | `series` |
//! | positions to order, spacing and warnings | `geometry` |
//! | several series of one study to the one that suits best | `choice` |
//! | compressed frames to stored pixels | `codecs` |
//! | stored pixels to Hounsfield units | `pixels`, `lut` |

mod choice;
mod codecs;
mod elements;
mod geometry;
mod header;
mod lut;
mod pixels;
mod series;
#[cfg(test)]
mod tests;

pub(super) use series::find_series;

use super::fault::Fault;
use super::images::in_order;
use super::{OrderBasis, Patient, Progress, ReadError, Scan, ScanKind, SliceOrder, SliceSource, Unrepaired, plausible};
use crate::report::Warning;
use crate::volume::{Orientation, Spacing, ValueScale, Volume};
use geometry::Stack;
use header::{Frame, Header};
use std::rc::Rc;

/// A frame of a file.
#[derive(Clone)]
struct Slice {
    header: Rc<Header>,
    frame: usize,
}

impl Slice {
    fn geometry(&self) -> Frame {
        self.header.frames.get(self.frame).copied().unwrap_or_default()
    }
}

/// A series that was found.
#[derive(Clone)]
pub(super) struct DicomPlan {
    pub(super) name: String,
    /// In natural order of the paths, or of the frames of one file.
    slices: Vec<Slice>,
    /// Found while grouping, such as files that were dropped twice.
    warnings: Vec<Warning>,
}

impl DicomPlan {
    pub(super) fn slices(&self) -> usize {
        self.slices.len()
    }

    pub(super) fn sources(&self) -> Vec<String> {
        let mut sources: Vec<String> = self.slices.iter().map(|slice| slice.header.path.clone()).collect();
        sources.dedup();
        sources
    }

    pub(super) fn patient(&self) -> Option<&Patient> {
        self.slices.first()?.header.patient.as_ref()
    }

    pub(super) fn read(&self, progress: &mut Progress<'_>) -> Result<Scan, ReadError> {
        let frames: Vec<Frame> = self.slices.iter().map(Slice::geometry).collect();
        let (stack, basis) = self.stack(&frames);
        let first = self.slices.first().ok_or_else(|| self.damaged("it has no slices".to_owned()))?;
        let format = first.header.format;
        Fault::check_shape(&self.name, [self.slices.len(), format.rows, format.columns])?;
        let mut voxels = Vec::new();
        if self.slices.iter().all(|slice| pixels::fills_its_claim(&slice.header)) {
            Fault::make_room(&self.name, &mut voxels, self.slices.len() * format.rows * format.columns)?;
        }
        for (done, &place) in stack.order.iter().enumerate() {
            progress.reading(done, stack.order.len())?;
            if let Some(slice) = self.slices.get(place) {
                pixels::read_frame(&slice.header, slice.frame, &slice.geometry(), &mut voxels)?;
            }
        }
        let mut warnings = self.warnings.clone();
        warnings.extend(stack.warnings());
        warnings.extend(plausible::fill_gaps(&mut voxels));
        let other_scale = self.slices.iter().find_map(|slice| slice.header.other_scale.as_deref());
        let (scale, doubt) = scale_of(other_scale, &voxels);
        warnings.extend(doubt);

        let (voxels, shape) = stack.axes.arrange(voxels, [format.columns, format.rows, self.slices.len()]);
        let (spacing, orientation) = self.spacing_and_orientation(&frames, &stack, &mut warnings);
        let mut volume =
            Volume::new(voxels, shape, spacing, scale, orientation).map_err(|error| self.damaged(error.to_string()))?;
        volume.gaps_mm = stack.uneven_gaps();
        let (as_named, slices) = self.sources_in_order(&stack, volume.slices(), &mut warnings);
        let (volume, slices, order) = if basis == OrderBasis::Position || !stack.axes.slices_stay() {
            (volume, slices, SliceOrder { basis, as_named, unrepaired: None })
        } else {
            progress.ordering(volume.slices())?;
            by_images(volume, &slices, &as_named, basis, &mut warnings)
        };
        Ok(Scan { name: self.name.clone(), kind: ScanKind::Dicom, volume, slices, order, warnings })
    }

    fn damaged(&self, detail: String) -> Fault {
        Fault::Damaged { path: self.name.clone(), detail }
    }

    /// The order of the slices: by position, else by instance number, else as stored.
    fn stack(&self, frames: &[Frame]) -> (Stack, OrderBasis) {
        if let Some(stack) = Stack::by_position(frames) {
            return (stack, OrderBasis::Position);
        }
        let mut stack = Stack::as_given(frames);
        let number = |place: &usize| self.slices.get(*place).map(|slice| (slice.header.instance_number, slice.frame));
        let numbered = self.slices.iter().all(|slice| slice.header.instance_number.is_some());
        if numbered {
            stack.order.sort_by_key(number);
        }
        (stack, if numbered { OrderBasis::InstanceNumber } else { OrderBasis::Stored })
    }

    fn spacing_and_orientation(
        &self,
        frames: &[Frame],
        stack: &Stack,
        warnings: &mut Vec<Warning>,
    ) -> (Spacing, Orientation) {
        let first = frames.first().copied().unwrap_or_default();
        let thickness = self.slices.first().and_then(|slice| slice.header.slice_thickness);
        let [row_mm, column_mm] = first.spacing.map_or([None; 2], |spacing| spacing.map(Some));
        let stored = [column_mm, row_mm, stack.slice_mm.or(thickness)];
        let [column_mm, row_mm, slice_mm] = stack.axes.permute(stored).map(|mm| mm.map(|mm| mm as f32));
        if column_mm.is_none() || row_mm.is_none() || slice_mm.is_none() {
            warnings.push(Warning::new("spacing_unknown", "The files do not state all distances."));
        }
        let stated = first.orientation.is_some() && frames.iter().all(|frame| frame.position.is_some());
        if !stated {
            warnings.push(Warning::new(
                "orientation_assumed",
                "The files do not state where the slices lie: axial slices, nose up, patient's left on the right are assumed.",
            ));
        }
        let orientation = if stated { Orientation::Stated } else { Orientation::Assumed };
        (Spacing { slice_mm, row_mm, column_mm }, orientation)
    }

    /// For each slice of the volume its place in the order of the names, and its file.
    fn sources_in_order(
        &self,
        stack: &Stack,
        slices: usize,
        warnings: &mut Vec<Warning>,
    ) -> (Vec<usize>, Vec<SliceSource>) {
        if !stack.axes.slices_stay() {
            warnings.push(Warning::new(
                "not_axial",
                "The slices were stored as sagittal or coronal; they were turned to axial ones, which match no single file.",
            ));
            let source = |z| SliceSource { path: format!("{}#{z}", self.name), in_plane: stack.axes.in_plane() };
            return ((0..slices).collect(), (0..slices).map(source).collect());
        }
        let mut as_named = stack.order.clone();
        if stack.axes.slices_flipped() {
            as_named.reverse();
        }
        let source = |slice: &Slice| {
            let path = &slice.header.path;
            let path = if slice.header.frames.len() > 1 { format!("{path}#{}", slice.frame) } else { path.clone() };
            SliceSource { path, in_plane: stack.axes.in_plane() }
        };
        let sources = as_named.iter().filter_map(|&place| self.slices.get(place)).map(source).collect();
        (as_named, sources)
    }
}

/// Without positions the numbers are checked against what the slices show, as the names of pictures are.
fn by_images(
    volume: Volume,
    slices: &[SliceSource],
    as_named: &[usize],
    basis: OrderBasis,
    warnings: &mut Vec<Warning>,
) -> (Volume, Vec<SliceSource>, SliceOrder) {
    let (volume, repair) = in_order(volume);
    warnings.extend(repair.warning);
    let slices = repair.as_named.iter().filter_map(|&place| slices.get(place)).cloned().collect();
    let as_named = repair.as_named.iter().filter_map(|&place| as_named.get(place)).copied().collect();
    let unrepaired = repair.changed.then_some(Unrepaired { basis, places: repair.as_named });
    let basis = if unrepaired.is_some() { OrderBasis::Images } else { basis };
    (volume, slices, SliceOrder { basis, as_named, unrepaired })
}

/// CT values are Hounsfield units unless a file says otherwise or they cannot be.
fn scale_of(other_scale: Option<&str>, voxels: &[f32]) -> (ValueScale, Option<Warning>) {
    match other_scale {
        None => plausible::scale_of(voxels),
        Some(kind) => {
            let message = format!(
                "The values are stated to be something else than Hounsfield units ({kind}). Drop the original CT series."
            );
            (ValueScale::Unknown, Some(Warning::new("values_not_hounsfield", message)))
        }
    }
}
