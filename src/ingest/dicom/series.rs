//! Files to series: which slices form a stack, and what is left over and why.

use super::geometry::{SAME_PLACE_MM, Stack, is_axial};
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

/// Cosines and millimetres that slices of one stack differ in at most: writers round each slice for itself.
const SAME_COSINE: f64 = 0.01;
const SAME_PIXEL_MM: f64 = 0.01;
/// A series has a few scout views at the most, as from the front and from the side.
const MOST_SCOUTS: usize = 3;
/// One slice of so many may lie where another does, as where two runs of the table meet or one slice was repeated.
const SLICES_A_REPEAT: usize = 10;
const OVERLAP: &str = "several lie at the same position, as of a perfusion or dual-energy series";

/// UIDs of series and study, and the patient: anonymisers give the series of several patients one UID.
type SeriesKey = (String, Option<String>, Option<String>);

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
    let mut series: BTreeMap<SeriesKey, Vec<Rc<Header>>> = BTreeMap::new();
    let mut multi_frame: Vec<Vec<Rc<Header>>> = Vec::new();
    let mut concatenations: HashMap<String, usize> = HashMap::new();
    let open = Open::default();
    for file in &files {
        match Header::read(file, &open) {
            Ok(header) if header.frames.len() > 1 || header.concatenation.is_some() => {
                let next = multi_frame.len();
                let uid = header.concatenation.as_ref().map(|(uid, _)| uid.clone());
                let place = uid.map_or(next, |uid| *concatenations.entry(uid).or_insert(next));
                match multi_frame.get_mut(place) {
                    Some(parts) => parts.push(Rc::new(header)),
                    None => multi_frame.push(vec![Rc::new(header)]),
                }
            }
            Ok(header) => {
                let uid = header.series_uid.clone().unwrap_or_else(|| folder(&file.path).to_owned());
                let key = (uid, header.study_uid.clone(), header.patient_id.clone());
                series.entry(key).or_default().push(Rc::new(header));
            }
            Err(rejection) => {
                let Rejection { fault, series_uid } = *rejection;
                let key = (series_uid.unwrap_or_else(|| file.path.clone()), fault.code());
                rejected.entry(key).or_insert_with(|| (fault, Vec::new())).1.push(file.path.clone());
            }
        }
    }
    for parts in multi_frame {
        add_multi_frame(parts, &mut found);
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
        refusal.same_goes_for(paths.len() - 1, "series");
        name = if folder(&first).is_empty() { first } else { folder(&first).to_owned() };
    }
    RefusedScan { name, sources: paths, refusal }
}

/// Adds a multi-frame image: a file, or the parts of one that was cut (a concatenation).
fn add_multi_frame(mut parts: Vec<Rc<Header>>, found: &mut Found) {
    let total = parts.len();
    if total > 1 {
        let mut seen = HashSet::new();
        parts.retain(|part| seen.insert(Identity::of(part)));
    }
    parts.sort_by_key(|part| part.concatenation.as_ref().map(|&(_, number)| number));
    let Some(header) = parts.first() else { return };
    let name = file_name(&header.path).to_owned();
    let copies = Warning::new("duplicate_files", "The file was there more than once; it was used once.");
    let is_copy = |other: &Header| {
        let same_uid = header.instance_uid.is_some() && header.instance_uid == other.instance_uid;
        same_uid && Identity::of(header) == Identity::of(other)
    };
    let known = found.plans.iter_mut().find(|plan| plan.slices.first().is_some_and(|slice| is_copy(&slice.header)));
    if let Some(plan) = known {
        plan.warnings = vec![copies];
        return;
    }
    let slices: Vec<Slice> = parts
        .iter()
        .flat_map(|header| (0..header.frames.len()).map(|frame| Slice { header: Rc::clone(header), frame }))
        .collect();
    let frames: Vec<Frame> = slices.iter().map(Slice::geometry).collect();
    let size = |header: &Header| (header.format.rows, header.format.columns);
    let fault = if parts.iter().any(|part| size(part) != size(header)) {
        Some("they differ in size")
    } else if !alike(&frames, same_direction) {
        Some("they lie at several angles")
    } else if !alike(&frames, same_spacing) {
        Some("their pixels differ in size")
    } else {
        Stack::by_position(&frames).filter(|stack| stack.overlaps).map(|_| OVERLAP)
    };
    if let Some(detail) = fault.map(str::to_owned) {
        let paths = parts.iter().map(|part| part.path.clone()).collect();
        found.refused.push(refusal(&Fault::NotAStack { name, detail }, paths));
        return;
    }
    let warnings = if parts.len() < total { vec![copies] } else { Vec::new() };
    found.plans.push(DicomPlan { name, slices, warnings });
}

fn alike(frames: &[Frame], same: impl Fn(&Frame, &Frame) -> bool) -> bool {
    frames.first().is_none_or(|first| frames.iter().all(|frame| same(first, frame)))
}

/// Whether two slices are cut in one direction, or neither says.
fn same_direction(one: &Frame, other: &Frame) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < SAME_COSINE;
    match (one.orientation, other.orientation) {
        (Some(one), Some(other)) => one.as_flattened().iter().zip(other.as_flattened()).all(near),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether two slices have pixels of one size, or neither says.
fn same_spacing(one: &Frame, other: &Frame) -> bool {
    match (one.spacing, other.spacing) {
        (Some(one), Some(other)) => one.iter().zip(&other).all(|(a, b)| (a - b).abs() < SAME_PIXEL_MM),
        (one, other) => one.is_none() && other.is_none(),
    }
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

/// Whether two slices can be of one stack: of one size, one direction and one size of pixels.
fn can_be_one_stack(one: &Header, other: &Header) -> bool {
    let geometry = |header: &Header| header.frames.first().copied().unwrap_or_default();
    let (first, second) = (geometry(one), geometry(other));
    (one.format.rows, one.format.columns) == (other.format.rows, other.format.columns)
        && same_direction(&first, &second)
        && same_spacing(&first, &second)
}

/// Splits a series into stacks: by size and direction, then, where slices lie at the same place, by what tells them apart.
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
    let mut stacks: Vec<Vec<Rc<Header>>> = Vec::new();
    for header in unique {
        match stacks.iter_mut().find(|stack| stack.first().is_some_and(|first| can_be_one_stack(first, &header))) {
            Some(stack) => stack.push(header),
            None => stacks.push(vec![header]),
        }
    }
    let largest = stacks.iter().map(Vec::len).max().unwrap_or(0);
    for stack in stacks {
        if are_scouts(&stack, largest) {
            let paths: Vec<String> = stack.iter().map(|header| header.path.clone()).collect();
            let fault = Fault::Localiser { name: paths.first().cloned().unwrap_or_default() };
            found.set_aside.push(refusal(&fault, paths));
            continue;
        }
        let twins = stack.len();
        let stack = without_twins(stack);
        let (stack, repeats) = without_repeats(stack);
        copies += twins - stack.len() - repeats.len();
        for part in split_overlap(stack) {
            add_stack(part, copies, &repeats, found);
        }
    }
}

/// One slice of another angle, size or magnification in a series, or a few across it, are scout views without the mark
/// of one.
fn are_scouts(stack: &[Rc<Header>], largest: usize) -> bool {
    let across = |header: &Rc<Header>| header.frames.first().is_some_and(|frame| !is_axial(frame));
    match stack.len() {
        1 => largest > 2,
        few => few <= MOST_SCOUTS && largest > 3 * MOST_SCOUTS && stack.iter().all(across),
    }
}

fn positions(headers: &[Rc<Header>]) -> Option<Stack> {
    let frames: Vec<Frame> = headers.iter().filter_map(|header| header.frames.first().copied()).collect();
    Stack::by_position(&frames)
}

fn overlap(headers: &[Rc<Header>]) -> bool {
    positions(headers).is_some_and(|stack| stack.overlaps)
}

/// Leaves out the few slices that lie where another one does; their paths.
fn without_repeats(stack: Vec<Rc<Header>>) -> (Vec<Rc<Header>>, Vec<String>) {
    let repeated = positions(&stack).map(|stack| stack.repeated()).unwrap_or_default();
    let of_one_kernel = stack.iter().zip(stack.iter().skip(1)).all(|(one, next)| one.kernel == next.kernel);
    if repeated.is_empty() || !of_one_kernel || repeated.len() * SLICES_A_REPEAT > stack.len() {
        return (stack, Vec::new());
    }
    let paths = repeated.iter().filter_map(|&place| stack.get(place)).map(|header| header.path.clone()).collect();
    let kept = stack.into_iter().enumerate().filter(|(place, _)| !repeated.contains(place));
    (kept.map(|(_, header)| header).collect(), paths)
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

/// Slices at the same places are several scans under one UID, told apart by the first thing that sets each of them apart.
fn split_overlap(stack: Vec<Rc<Header>>) -> Vec<Vec<Rc<Header>>> {
    if !overlap(&stack) {
        return vec![stack];
    }
    let of: [fn(&Header) -> Option<String>; 6] = [
        |header| header.acquisition.clone(),
        |header| header.kernel.clone(),
        |header| header.series_number.clone(),
        |header| header.slice_thickness.map(|mm| mm.to_string()),
        |header| header.image_type.clone(),
        |header| Some(folder(&header.path).to_owned()),
    ];
    let split = |of: &fn(&Header) -> Option<String>| {
        let mut parts: BTreeMap<Option<String>, Vec<Rc<Header>>> = BTreeMap::new();
        for header in &stack {
            parts.entry(of(header)).or_default().push(Rc::clone(header));
        }
        parts.into_values().collect::<Vec<_>>()
    };
    let apart = of.iter().map(split).find(|parts| !parts.iter().any(|part| overlap(part)));
    apart.or_else(|| of.first().map(split)).unwrap_or_default()
}

fn add_stack(headers: Vec<Rc<Header>>, copies: usize, repeats: &[String], found: &mut Found) {
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
    if let [first, ..] = repeats {
        let message = format!("{} slices lie where another one does, and were not used: {first} first.", repeats.len());
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
