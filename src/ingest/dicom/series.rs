//! Files to series: which slices form a stack, and what is left over and why.

use super::geometry::{SAME_PLACE_MM, Stack};
use super::header::{Frame, Header, Rejection};
use super::{DicomPlan, Slice, choice};
use crate::ingest::fault::Fault;
use crate::ingest::group::natural_order;
use crate::ingest::source::{file_name, folder};
use crate::ingest::zip::Open;
use crate::ingest::{InputFile, RefusedScan, limits};
use crate::report::{Refusal, Warning};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

const OVERLAP: &str = "several lie at the same position, as of a perfusion or dual-energy series";

/// What DICOM files turned out to hold.
#[derive(Default)]
pub(in crate::ingest) struct Found {
    pub(in crate::ingest) plans: Vec<DicomPlan>,
    pub(in crate::ingest) refused: Vec<RefusedScan>,
    pub(in crate::ingest) set_aside: Vec<RefusedScan>,
}

/// Reads the headers of DICOM files and groups them.
pub(in crate::ingest) fn find_series(mut files: Vec<InputFile>) -> Found {
    files.sort_by(|a, b| natural_order(&a.path, &b.path));
    let mut found = Found::default();
    let mut rejected: BTreeMap<(String, &'static str), (Fault, Vec<String>)> = BTreeMap::new();
    let mut series: BTreeMap<String, Vec<Rc<Header>>> = BTreeMap::new();
    let open = Open::default();
    for file in &files {
        match Header::read(file, &open) {
            Ok(header) if header.frames.len() > 1 => add_multi_frame(&Rc::new(header), &mut found),
            Ok(header) => {
                let key = header.series_uid.clone().unwrap_or_else(|| folder(&file.path).to_owned());
                series.entry(key).or_default().push(Rc::new(header));
            }
            Err(rejection) => {
                let Rejection { fault, series_uid } = *rejection;
                let key = (series_uid.unwrap_or_else(|| file.path.clone()), fault.code());
                rejected.entry(key).or_insert_with(|| (fault, Vec::new())).1.push(file.path.clone());
            }
        }
    }
    for headers in series.into_values() {
        split_series(headers, &mut found);
    }
    for (fault, paths) in rejected.into_values() {
        let list = if fault.is_harmless() { &mut found.set_aside } else { &mut found.refused };
        list.push(refusal(&fault, paths));
    }
    tell_apart(&mut found.plans);
    choice::choose(&mut found.plans);
    found
}

fn refusal(fault: &Fault, paths: Vec<String>) -> RefusedScan {
    let first = paths.first().cloned().unwrap_or_default();
    let mut refusal = Refusal::from(fault);
    let mut name = first.clone();
    if paths.len() > 1 {
        refusal.message =
            format!("{} The same goes for {} more files of the series.", refusal.message, paths.len() - 1);
        name = if folder(&first).is_empty() { first } else { folder(&first).to_owned() };
    }
    RefusedScan { name, sources: paths, refusal }
}

fn add_multi_frame(header: &Rc<Header>, found: &mut Found) {
    let name = file_name(&header.path).to_owned();
    let is_copy = |other: &Header| {
        let same_uid = header.instance_uid.is_some() && header.instance_uid == other.instance_uid;
        same_uid && Identity::of(header) == Identity::of(other)
    };
    let known = found.plans.iter_mut().find(|plan| plan.slices.first().is_some_and(|slice| is_copy(&slice.header)));
    if let Some(plan) = known {
        plan.warnings = vec![Warning::new("duplicate_files", "The file was there more than once; it was used once.")];
        return;
    }
    let fault = if !alike(&header.frames, rounded_orientation) {
        Some("they lie at several angles")
    } else if !alike(&header.frames, rounded_spacing) {
        Some("their pixels differ in size")
    } else {
        Stack::by_position(&header.frames).filter(|stack| stack.overlaps).map(|_| OVERLAP)
    };
    if let Some(detail) = fault.map(str::to_owned) {
        found.refused.push(refusal(&Fault::NotAStack { name, detail }, vec![header.path.clone()]));
        return;
    }
    let slices = (0..header.frames.len()).map(|frame| Slice { header: Rc::clone(header), frame }).collect();
    found.plans.push(DicomPlan { name, slices, warnings: Vec::new() });
}

fn alike<T: PartialEq>(frames: &[Frame], of: impl Fn(&Frame) -> T) -> bool {
    frames.iter().zip(frames.iter().skip(1)).all(|(one, next)| of(one) == of(next))
}

/// What tells a copy of a file from another slice that was given the same UID, as some anonymisers do.
#[derive(PartialEq, Eq, Hash)]
struct Identity {
    instance_uid: Option<String>,
    instance_number: Option<i64>,
    positions: Vec<Option<[u64; 3]>>,
    /// Hash of the file, where it states neither number nor position.
    content: Option<[u8; 32]>,
}

impl Identity {
    fn of(header: &Header) -> Self {
        let bits = |frame: &Frame| frame.position.map(|position| position.map(f64::to_bits));
        let positions: Vec<_> = header.frames.iter().map(bits).collect();
        let unstated = header.instance_number.is_none() && positions.iter().any(Option::is_none);
        let length = usize::try_from(header.source.len()).unwrap_or(usize::MAX);
        let content = unstated.then(|| header.source.read_at(0, length).ok()).flatten();
        Self {
            instance_uid: header.instance_uid.clone(),
            instance_number: header.instance_number,
            positions,
            content: content.map(|bytes| Sha256::digest(bytes).into()),
        }
    }
}

/// Slices of one size, one direction and one size of pixels, which can be one stack.
type StackKey = (usize, usize, Option<[i64; 6]>, Option<[i64; 2]>);

fn stack_key(header: &Header) -> StackKey {
    let first = header.frames.first();
    let (orientation, spacing) = (first.and_then(rounded_orientation), first.and_then(rounded_spacing));
    (header.format.rows, header.format.columns, orientation, spacing)
}

/// Distances of pixels in hundredths of a millimetre.
fn rounded_spacing(frame: &Frame) -> Option<[i64; 2]> {
    frame.spacing.map(|spacing| spacing.map(|mm| (mm * 100.0).round() as i64))
}

/// Direction cosines, as far as slices of one stack agree in them.
fn rounded_orientation(frame: &Frame) -> Option<[i64; 6]> {
    let [[a, b, c], [d, e, f]] = frame.orientation?;
    Some([a, b, c, d, e, f].map(|cosine| (cosine * 100.0).round() as i64))
}

/// Splits a series into stacks: by size and direction, then, where slices lie at the same place, by acquisition.
fn split_series(headers: Vec<Rc<Header>>, found: &mut Found) {
    let mut seen = HashSet::new();
    let total = headers.len();
    let mut uses: HashMap<Option<String>, usize> = HashMap::new();
    for header in &headers {
        *uses.entry(header.instance_uid.clone()).or_default() += 1;
    }
    let alone = |header: &Header| header.instance_uid.is_none() || uses.get(&header.instance_uid) == Some(&1);
    let unique: Vec<Rc<Header>> =
        headers.into_iter().filter(|header| alone(header) || seen.insert(Identity::of(header))).collect();
    let mut copies = total - unique.len();
    let mut stacks: BTreeMap<StackKey, Vec<Rc<Header>>> = BTreeMap::new();
    for header in unique {
        stacks.entry(stack_key(&header)).or_default().push(header);
    }
    let largest = stacks.values().map(Vec::len).max().unwrap_or(0);
    for stack in stacks.into_values() {
        if let ([stray], true) = (stack.as_slice(), largest > 2) {
            // One slice of another angle, size or magnification in a series is a scout view without the mark of one.
            let fault = Fault::Localiser { name: stray.path.clone() };
            found.set_aside.push(refusal(&fault, vec![stray.path.clone()]));
            continue;
        }
        let twins = stack.len();
        let stack = without_twins(stack);
        copies += twins - stack.len();
        for part in split_acquisitions(stack) {
            add_stack(part, copies, found);
        }
    }
}

fn overlap(headers: &[Rc<Header>]) -> bool {
    let frames: Vec<Frame> = headers.iter().filter_map(|header| header.frames.first().copied()).collect();
    Stack::by_position(&frames).is_some_and(|stack| stack.overlaps)
}

/// Leaves out slices that show the same pixels at the same place under another identity, as an archive that was exported
/// twice has them. Pixels are compared as stored, and only where places agree.
fn without_twins(stack: Vec<Rc<Header>>) -> Vec<Rc<Header>> {
    if !overlap(&stack) {
        return stack;
    }
    let same_values = |a: &Header, b: &Header| {
        let scale = |header: &Header| header.frames.first().map(|frame| (frame.slope, frame.intercept));
        scale(a) == scale(b) && a.format == b.format && a.transfer_syntax == b.transfer_syntax
    };
    let mut kept: Vec<(Rc<Header>, Option<Vec<u8>>)> = Vec::new();
    for header in stack {
        let position = header.frames.first().and_then(|frame| frame.position);
        let mut pixels = None;
        let is_twin = kept.iter_mut().any(|(other, stored)| {
            let there = other.frames.first().and_then(|frame| frame.position);
            let near =
                position.zip(there).is_some_and(|(a, b)| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < SAME_PLACE_MM));
            near && same_values(other, &header) && {
                let stored = stored.get_or_insert_with(|| stored_pixels(other));
                let own = pixels.get_or_insert_with(|| stored_pixels(&header));
                !own.is_empty() && own == stored
            }
        });
        if !is_twin {
            kept.push((header, pixels));
        }
    }
    kept.into_iter().map(|(header, _)| header).collect()
}

/// A hash of the pixel data as stored; empty if they cannot be read.
fn stored_pixels(header: &Header) -> Vec<u8> {
    let rest = header.source.len().saturating_sub(header.pixels.offset);
    let length = header.pixels.length.unwrap_or(rest).min(rest).min(limits::PICTURE_BYTES);
    let bytes = header.source.read_at(header.pixels.offset, usize::try_from(length).unwrap_or(0));
    bytes.map(|bytes| Sha256::digest(bytes).to_vec()).unwrap_or_default()
}

fn split_acquisitions(stack: Vec<Rc<Header>>) -> Vec<Vec<Rc<Header>>> {
    if !overlap(&stack) {
        return vec![stack];
    }
    let mut parts: BTreeMap<Option<String>, Vec<Rc<Header>>> = BTreeMap::new();
    for header in stack {
        parts.entry(header.acquisition.clone()).or_default().push(header);
    }
    parts.into_values().collect()
}

fn add_stack(headers: Vec<Rc<Header>>, copies: usize, found: &mut Found) {
    let name = headers.first().map(|header| series_name(header, headers.len())).unwrap_or_default();
    if overlap(&headers) {
        let detail = OVERLAP.to_owned();
        let paths = headers.iter().map(|header| header.path.clone()).collect();
        found.refused.push(refusal(&Fault::NotAStack { name, detail }, paths));
        return;
    }
    let mut warnings = Vec::new();
    if copies > 0 {
        let message = format!("{copies} files were there twice; each slice was used once.");
        warnings.push(Warning::new("duplicate_files", message));
    }
    let slices = headers.into_iter().map(|header| Slice { header, frame: 0 }).collect();
    found.plans.push(DicomPlan { name, slices, warnings });
}

/// The folder of a series, or the name of its only file, or what the series calls itself.
fn series_name(header: &Header, files: usize) -> String {
    let folder = folder(&header.path);
    if files == 1 {
        file_name(&header.path).to_owned()
    } else if folder.is_empty() {
        label(header).unwrap_or_else(|| "CT series".to_owned())
    } else {
        file_name(folder).to_owned()
    }
}

fn label(header: &Header) -> Option<String> {
    let number = header.series_number.as_ref().map(|number| format!("series {number}"));
    header.series_description.clone().or(number)
}

/// Series that would be called the same are told apart by what they call themselves, then by a number.
fn tell_apart(plans: &mut [DicomPlan]) {
    for by_number in [false, true] {
        let mut uses: HashMap<String, usize> = HashMap::new();
        for plan in plans.iter() {
            *uses.entry(plan.name.clone()).or_default() += 1;
        }
        for (index, plan) in plans.iter_mut().enumerate() {
            if uses.get(&plan.name).is_none_or(|&count| count < 2) {
                continue;
            }
            let addition = plan.slices.first().and_then(|slice| label(&slice.header));
            match addition {
                _ if by_number => plan.name = format!("{} ({})", plan.name, index + 1),
                Some(label) => plan.name = format!("{}: {label}", plan.name),
                None => {}
            }
        }
    }
}
