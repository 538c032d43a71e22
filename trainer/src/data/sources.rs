//! Reads the data sets as they are laid out on disk, in true slice order and with true labels.

use super::{Case, CaseRecord, DataError, FOLDS, Source, region};
use ictus::phantom::BleedKind;
use ictus::preprocess::{NetworkInput, PreprocessConfig, prepare};
use ictus::volume::{Orientation, Spacing, ValueScale, Volume};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Level and width that 8-bit pictures are taken to be windowed by; the page assumes the same.
const WINDOW: (f32, f32) = (40.0, 120.0);

/// A scan before it is read: its pictures, bottom to top, and what is known of it.
pub(crate) struct Listed {
    /// What is known; `kept` and `shape` are found by preparing it.
    pub(crate) record: CaseRecord,
    /// Whether the folder that it lies in says that the patient bleeds, where there is such a folder.
    pub(crate) filed_with_bleed: Option<bool>,
    pictures: Vec<PathBuf>,
    masks: Vec<Option<PathBuf>>,
}

impl Listed {
    /// Its pictures, bottom to top.
    pub(crate) fn pictures(&self) -> &[PathBuf] {
        &self.pictures
    }
}

/// What the files of a patient of ct-ich are called.
pub(crate) struct DiskStack {
    /// Number of the patient.
    pub(crate) patient: u32,
    /// Folder that the patient is filed under.
    pub(crate) folder: String,
    /// Whether the published split holds the patient out.
    pub(crate) held_out: bool,
    /// Numbers of the files, bottom to top.
    pub(crate) numbers: Vec<u32>,
}

/// All 82 patients of ct-ich, those of the published validation split included, whose slices are not there.
pub(crate) fn partition(data: &Path) -> Result<Vec<DiskStack>, DataError> {
    let folder = data.join("ct-ich");
    let mut order = orders(&folder)?;
    let mut stacks = Vec::new();
    rows(&folder.join("patients.csv"), |cells| {
        let patient = number(cells, 0)?;
        stacks.push(DiskStack {
            patient,
            folder: (*cells.get(1)?).to_owned(),
            held_out: *cells.get(6)? == "held_out",
            numbers: order.remove(&patient).map(|(_, numbers)| numbers).unwrap_or_default(),
        });
        Some(())
    })?;
    Ok(stacks)
}

/// Folder and numbers of the files of each patient of ct-ich, bottom to top.
fn orders(folder: &Path) -> Result<BTreeMap<u32, (String, Vec<u32>)>, DataError> {
    let mut order = BTreeMap::new();
    rows(&folder.join("slice_order.csv"), |cells| {
        let numbers = cells.get(2)?.split_whitespace().map(|n| n.parse().ok()).collect::<Option<Vec<u32>>>()?;
        order.insert(number(cells, 0)?, ((*cells.get(1)?).to_owned(), numbers));
        Some(())
    })?;
    Ok(order)
}

/// All scans of a set, without their pixels.
pub(crate) fn list(source: Source, data: &Path) -> Result<Vec<Listed>, DataError> {
    match source {
        Source::CtIch => list_ct_ich(&data.join("ct-ich")),
        Source::PheSich => list_phe_sich(&data.join("phe-sich")),
    }
}

/// Tables and preparation decide what a set looks like: their text keys the cache.
pub(super) fn tables(source: Source, data: &Path) -> Result<String, DataError> {
    let names: &[&str] = match source {
        Source::CtIch => &["ct-ich/patients.csv", "ct-ich/slice_order.csv", "ct-ich/hemorrhage_diagnosis.csv"],
        Source::PheSich => &["phe-sich/slices.csv"],
    };
    names.iter().map(|name| text(&data.join(name))).collect()
}

fn list_ct_ich(folder: &Path) -> Result<Vec<Listed>, DataError> {
    let mut labels: BTreeMap<u32, BTreeMap<u32, bool>> = BTreeMap::new();
    rows(&folder.join("hemorrhage_diagnosis.csv"), |cells| {
        let bleed = cells.get(2..7)?.contains(&"1");
        labels.entry(number(cells, 0)?).or_default().insert(number(cells, 1)?, bleed);
        Some(())
    })?;
    let order = orders(folder)?;
    let mut listed = Vec::new();
    let mut mismatch = None;
    rows(&folder.join("patients.csv"), |cells| {
        if *cells.get(6)? != "train" {
            return Some(());
        }
        let patient: u32 = number(cells, 0)?;
        let (kind, numbers) = order.get(&patient)?;
        let labels: Vec<bool> = labels.get(&patient)?.values().copied().collect();
        if labels.len() != numbers.len() {
            mismatch = Some((patient, labels.len(), numbers.len()));
        }
        let file = |n: &u32| folder.join("brain_ct_data").join(kind).join(format!("{patient} ({n}).jpg"));
        listed.push(Listed {
            masks: vec![None; numbers.len()],
            filed_with_bleed: Some(kind == "Stroke"),
            pictures: numbers.iter().map(file).collect(),
            record: CaseRecord {
                source: Source::CtIch,
                patient,
                fold: cells.get(7)?.parse().ok()?,
                fracture: *cells.get(4)? == "1",
                age_years: cells.get(5)?.parse().ok(),
                labels,
                kept: [0; 2],
                shape: [0; 3],
            },
        });
        Some(())
    })?;
    match mismatch {
        Some((patient, labels, slices)) => Err(DataError::Scan {
            scan: format!("ct-ich/{patient}"),
            what: format!("{slices} slices have {labels} labels"),
        }),
        None => Ok(listed),
    }
}

/// Types of bleed by patient number.
pub(crate) type BleedTypes = BTreeMap<u32, HashSet<BleedKind>>;

/// The types of bleed of each patient of ct-ich, none for one without; `None` where the set is not in the folder.
pub(crate) fn bleed_types(data: &Path) -> Result<Option<BleedTypes>, DataError> {
    // The order of the table's columns.
    const COLUMNS: [BleedKind; 5] = [
        BleedKind::Intraventricular,
        BleedKind::Intraparenchymal,
        BleedKind::Subarachnoid,
        BleedKind::Epidural,
        BleedKind::Subdural,
    ];
    let table = data.join("ct-ich/hemorrhage_diagnosis.csv");
    if !table.exists() {
        return Ok(None);
    }
    let mut types = BleedTypes::new();
    rows(&table, |cells| {
        let seen = COLUMNS.into_iter().zip(cells.get(2..7)?).filter(|(_, cell)| **cell == "1");
        types.entry(number(cells, 0)?).or_default().extend(seen.map(|(kind, _)| kind));
        Some(())
    })?;
    Ok(Some(types))
}

fn list_phe_sich(folder: &Path) -> Result<Vec<Listed>, DataError> {
    let mut patients: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    rows(&folder.join("slices.csv"), |cells| {
        let slice = ((*cells.get(1)?).to_owned(), *cells.get(2)? == "1");
        let patient = (*cells.first()?).to_owned();
        patient.parse::<u32>().ok()?;
        patients.entry(patient).or_default().push(slice);
        Some(())
    })?;
    let listed = patients.into_iter().enumerate().map(|(index, (patient, slices))| {
        let pictures = folder.join("scans").join(&patient);
        let masks = folder.join("masks").join(&patient);
        Listed {
            filed_with_bleed: None,
            pictures: slices.iter().map(|(slice, _)| pictures.join(format!("{slice}.jpg"))).collect(),
            masks: slices.iter().map(|(slice, masked)| masked.then(|| masks.join(format!("{slice}.png")))).collect(),
            record: CaseRecord {
                source: Source::PheSich,
                patient: patient.parse().unwrap_or_default(),
                fold: index % FOLDS,
                fracture: false,
                age_years: None,
                labels: slices.iter().map(|(_, masked)| *masked).collect(),
                kept: [0; 2],
                shape: [0; 3],
            },
        }
    });
    Ok(listed.collect())
}

/// Reads the pictures of a scan.
pub(crate) fn volume(listed: &Listed) -> Result<Volume, DataError> {
    let scan = listed.record.name();
    let mut voxels = Vec::new();
    let mut size = None;
    for path in &listed.pictures {
        let picture = picture(path)?;
        if *size.get_or_insert(picture.dimensions()) != picture.dimensions() {
            return Err(DataError::Scan { scan, what: format!("{} has another size", path.display()) });
        }
        let (level, width) = WINDOW;
        voxels.extend(picture.as_raw().iter().map(|&grey| f32::from(grey) * width / 255.0 + level - width / 2.0));
    }
    let (columns, rows) = size.unwrap_or_default();
    let shape = [listed.pictures.len(), rows as usize, columns as usize];
    let scale = ValueScale::Windowed { level: WINDOW.0, width: WINDOW.1 };
    Volume::new(voxels, shape, Spacing::default(), scale, Orientation::Assumed)
        .map_err(|error| DataError::Scan { scan, what: error.to_string() })
}

/// Reads and prepares one scan.
pub(super) fn read(listed: &Listed, config: &PreprocessConfig) -> Result<Case, DataError> {
    let scan = listed.record.name();
    let volume = volume(listed)?;
    let input = prepare(&volume, config).map_err(|source| DataError::Prepare { scan: scan.clone(), source })?;
    if input.slabs.iter().any(|slab| slab.len() != 1) || input.slabs.len() != input.slices.len() {
        return Err(DataError::Scan {
            scan,
            what: "its slices were merged or interpolated, which the labels do not follow".into(),
        });
    }
    let mut record = listed.record.clone();
    record.kept = [input.slices.start, input.slices.end];
    record.shape = input.shape;
    let region = if listed.masks.iter().any(Option::is_some) {
        let oedema = oedema(listed, &input)?;
        region::lesion(&input, &oedema)
    } else {
        Vec::new()
    };
    let depth = region::depth(&input.mask, input.shape);
    let mask = input.mask.iter().map(|&inside| f32::from(u8::from(inside))).collect();
    Ok(Case { record, hounsfield: input.hounsfield, mask, region, depth, target: None })
}

/// The masks of a scan on the grid of its network input.
fn oedema(listed: &Listed, input: &NetworkInput) -> Result<Vec<bool>, DataError> {
    let [_, rows, columns] = input.shape;
    let mut out = vec![false; input.hounsfield.len()];
    for (z, plane) in input.slices.clone().zip(out.chunks_mut(rows * columns)) {
        let Some(Some(path)) = listed.masks.get(z) else { continue };
        let mask = picture(path)?;
        for (index, pixel) in plane.iter_mut().enumerate() {
            let (x, y) = input.alignment.to_volume((index % columns) as f32, (index / columns) as f32);
            // A pixel of the input covers several of the mask: one of them is enough.
            *pixel = [-1.0, 0.0, 1.0].iter().any(|dy| {
                [-1.0, 0.0, 1.0].iter().any(|dx| {
                    let (x, y) = ((x + dx).round(), (y + dy).round());
                    x >= 0.0 && y >= 0.0 && mask.get_pixel_checked(x as u32, y as u32).is_some_and(|p| p.0[0] > 0)
                })
            });
        }
    }
    Ok(out)
}

/// A picture in grey.
pub(crate) fn picture(path: &Path) -> Result<image::GrayImage, DataError> {
    let error = |source| DataError::Picture { path: path.display().to_string(), source };
    Ok(image::open(path).map_err(error)?.into_luma8())
}

fn text(path: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|source| DataError::Io { path: path.display().to_string(), source })
}

/// Calls `row` with the cells of each line after the heading; a row that it cannot read is an error.
fn rows(path: &Path, mut row: impl FnMut(&[&str]) -> Option<()>) -> Result<(), DataError> {
    for (index, line) in text(path)?.lines().enumerate().skip(1) {
        let cells: Vec<&str> = line.trim().split(',').collect();
        if row(&cells).is_none() {
            return Err(DataError::Row {
                path: path.display().to_string(),
                line: index + 1,
                text: line.chars().take(80).collect(),
            });
        }
    }
    Ok(())
}

fn number(cells: &[&str], index: usize) -> Option<u32> {
    cells.get(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_a_patient_are_those_of_all_slices() {
        let folder = std::env::temp_dir().join(format!("ictus-types-{}", std::process::id()));
        assert_eq!(bleed_types(&folder).unwrap(), None);
        std::fs::create_dir_all(folder.join("ct-ich")).unwrap();
        let heading =
            "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,No,Fracture";
        let table = format!("{heading}\n7,1,0,0,0,1,0,0,1\n7,2,1,0,0,0,0,0,0\n8,1,0,0,0,0,0,1,0\n");
        std::fs::write(folder.join("ct-ich/hemorrhage_diagnosis.csv"), table).unwrap();
        let types = bleed_types(&folder).unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(types[&7], HashSet::from([BleedKind::Epidural, BleedKind::Intraventricular]));
        assert!(types[&8].is_empty());
    }
}
