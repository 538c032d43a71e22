//! The data set as it is numbered, and in its true order.

use super::SeedError;
use crate::data::{Source, list, partition, picture};
use ictus::phantom::{Bleed, BleedKind, PhantomConfig, draw};
use image::GrayImage;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Numbers of the synthetic scan from the first on: as in the real set, some are missing.
const MISSING: [u32; 6] = [5, 17, 18, 25, 29, 33];
/// Its bottom slice has the number in this place, as if the upper part had been stored first.
const FIRST: usize = 10;

/// The slices of a scan with the numbers of their files, bottom to top.
pub(super) struct Stack {
    /// Numbers of the files.
    pub(super) numbers: Vec<u32>,
    /// The slices.
    pub(super) slices: Vec<GrayImage>,
}

impl Stack {
    /// A slice, or the middle one.
    pub(super) fn slice(&self, index: Option<usize>) -> Result<&GrayImage, SeedError> {
        let slice = index.unwrap_or(self.slices.len() / 2);
        self.slices.get(slice).ok_or(SeedError::Slice { slice, slices: self.slices.len() })
    }
}

/// The scan of a patient of ct-ich.
pub(super) fn stack(data: &Path, patient: u32) -> Result<Stack, SeedError> {
    let listed = list(Source::CtIch, data)?;
    let scan = listed.iter().find(|scan| scan.record.patient == patient).ok_or(SeedError::Patient(patient))?;
    let all = partition(data)?;
    let numbers = all.iter().find(|stack| stack.patient == patient).map(|stack| stack.numbers.clone());
    let slices = scan.pictures().iter().map(|path| picture(path)).collect::<Result<_, _>>()?;
    Ok(Stack { numbers: numbers.ok_or(SeedError::Patient(patient))?, slices })
}

/// A synthetic head with a bleed, in a head holder, with a mark of the scanner in the corner; its numbers begin in the middle and
/// have holes.
pub(super) fn synthetic() -> Result<Stack, SeedError> {
    let bleeds = vec![Bleed::new(BleedKind::Subdural, 40.0)];
    let config = PhantomConfig { seed: 4, rows: 256, columns: 256, pixel_mm: 0.9, bleeds, ..PhantomConfig::default() };
    let phantom = draw(&config)?;
    let [slices, rows, columns] = phantom.volume.shape();
    let grey = |hounsfield: f32| ((hounsfield + 20.0) / 120.0 * 255.0).clamp(0.0, 255.0) as u8;
    let pictures = (0..slices).map(|z| {
        let values = phantom.volume.slice(z).unwrap_or_default();
        let mut picture = GrayImage::new(columns as u32, rows as u32);
        picture.pixels_mut().zip(values).for_each(|(pixel, &value)| pixel.0 = [grey(value)]);
        // Bars of a scale, which stand for what a scanner writes into the corner.
        for bar in 0..6 {
            for y in 12..if bar % 5 == 0 { 24 } else { 18 } {
                picture.put_pixel(columns as u32 - 12 - 4 * bar, y, image::Luma([255]));
            }
        }
        picture
    });
    let mut numbers: Vec<u32> = (1..).filter(|number| !MISSING.contains(number)).take(slices).collect();
    numbers.rotate_left(FIRST.min(slices));
    Ok(Stack { numbers, slices: pictures.collect() })
}

/// The slices of every patient whose scan is there, and what is odd about their numbers.
pub(super) fn count(data: &Path) -> Result<String, SeedError> {
    let mut text = "patient  folder  slices  numbers  missing  bottom slice has number\n".to_owned();
    let (mut patients, mut slices, mut with_holes, mut turned) = (0, 0, 0, 0);
    for stack in partition(data)?.iter().filter(|stack| !stack.held_out) {
        let (first, last) = (stack.numbers.iter().min(), stack.numbers.iter().max());
        let (Some(first), Some(last), Some(bottom)) = (first, last, stack.numbers.first()) else { continue };
        let there: BTreeSet<&u32> = stack.numbers.iter().collect();
        let missing = (1..=*last).filter(|number| !there.contains(number)).count();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            text,
            "{:>7}  {:<6}  {:>6}  {first:>3}-{last:<3}  {missing:>7}  {bottom:>6}",
            stack.patient,
            stack.folder,
            stack.numbers.len()
        );
        patients += 1;
        slices += stack.numbers.len();
        with_holes += usize::from(missing > 0);
        turned += usize::from(bottom != first);
    }
    let _ = writeln!(
        text,
        "{patients} patients, {slices} slices; {with_holes} with missing numbers, {turned} that do not begin at the bottom"
    );
    Ok(text)
}

/// Writes the scans that are there with consecutive numbers from the bottom up. The pictures are copied as they are.
pub(super) fn put_in_order(data: &Path, output: &Path) -> Result<String, SeedError> {
    let all = partition(data)?;
    let mut table = "patient,folder,number,was\n".to_owned();
    let (mut patients, mut renamed) = (0, 0);
    for scan in list(Source::CtIch, data)? {
        let patient = scan.record.patient;
        let stack = all.iter().find(|stack| stack.patient == patient).ok_or(SeedError::Patient(patient))?;
        let folder = output.join(&stack.folder);
        let error = |path: &Path| {
            let path = path.display().to_string();
            |source| SeedError::File { path, source }
        };
        std::fs::create_dir_all(&folder).map_err(error(&folder))?;
        for (index, (was, path)) in stack.numbers.iter().zip(scan.pictures()).enumerate() {
            let number = index as u32 + 1;
            std::fs::copy(path, folder.join(format!("{patient} ({number}).jpg"))).map_err(error(path))?;
            let _ = writeln!(table, "{patient},{},{number},{was}", stack.folder);
            renamed += u32::from(number != *was);
        }
        patients += 1;
    }
    super::write(&output.join("order.csv"), table.as_bytes())?;
    Ok(format!("{patients} scans, {renamed} slices with another number than before, in {}", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two patients whose scans are there, one of whom is numbered from the middle with a hole, and one who is held out.
    pub(crate) fn data_set(name: &str) -> std::path::PathBuf {
        let data = std::env::temp_dir().join(format!("ictus-seed-{name}-{}", std::process::id()));
        let set = data.join("ct-ich");
        std::fs::create_dir_all(set.join("brain_ct_data/Normal")).unwrap();
        std::fs::create_dir_all(set.join("brain_ct_data/Stroke")).unwrap();
        let tables = [
            (
                "patients.csv",
                "patient,folder,slices,haemorrhage,fracture,age_years,split,fold\n\
                 7,Stroke,3,1,0,30,train,1\n8,Normal,2,1,0,9,train,0\n9,Normal,2,0,0,40,held_out,\n",
            ),
            ("slice_order.csv", "patient,folder,slices_in_order\n7,Stroke,4 1 2\n8,Normal,1 2\n9,Normal,1 2\n"),
            (
                "hemorrhage_diagnosis.csv",
                "P,S,Iv,Ip,Sa,E,Sd,N,F\n7,1,0,0,0,0,1,0,0\n7,2,0,0,0,0,0,1,0\n7,3,0,0,0,0,0,1,0\n8,1,0,0,0,1,0,0,0\n8,2,0,0,0,0,0,1,0\n",
            ),
        ];
        for (name, text) in tables {
            std::fs::write(set.join(name), text).unwrap();
        }
        for (folder, patient, numbers) in [("Stroke", 7, &[4_u8, 1, 2][..]), ("Normal", 8, &[1, 2])] {
            for &number in numbers {
                let path = set.join(format!("brain_ct_data/{folder}/{patient} ({number}).jpg"));
                GrayImage::from_pixel(64, 64, image::Luma([40 * number])).save(path).unwrap();
            }
        }
        data
    }

    #[test]
    fn holes_and_turned_stacks_are_counted() {
        let data = data_set("count");
        let text = count(&data).unwrap();
        assert!(
            text.ends_with("2 patients, 5 slices; 1 with missing numbers, 1 that do not begin at the bottom\n"),
            "{text}"
        );
        let stack = stack(&data, 7).unwrap();
        assert_eq!((stack.numbers, stack.slices.len()), (vec![4, 1, 2], 3));
        assert!(matches!(super::stack(&data, 9), Err(SeedError::Patient(9))));
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn the_set_in_order_has_consecutive_numbers_and_the_same_bytes() {
        let data = data_set("order");
        let output = data.join("fixed");
        let said = put_in_order(&data, &output).unwrap();
        assert!(said.starts_with("2 scans, 3 slices"), "{said}");
        for (new, old) in [(1, 4), (2, 1), (3, 2)] {
            let new = std::fs::read(output.join(format!("Stroke/7 ({new}).jpg"))).unwrap();
            let old = std::fs::read(data.join(format!("ct-ich/brain_ct_data/Stroke/7 ({old}).jpg"))).unwrap();
            assert_eq!(new, old);
        }
        let table = std::fs::read_to_string(output.join("order.csv")).unwrap();
        assert!(table.contains("7,Stroke,1,4\n") && table.contains("8,Normal,2,2\n"));
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn the_synthetic_scan_is_numbered_as_badly_as_a_real_one() {
        let stack = synthetic().unwrap();
        assert_eq!(stack.numbers.len(), stack.slices.len());
        let sorted: BTreeSet<&u32> = stack.numbers.iter().collect();
        assert_eq!(sorted.len(), stack.numbers.len());
        assert!(stack.numbers.iter().all(|number| !MISSING.contains(number)) && stack.numbers[0] != 1);
        assert!(matches!(stack.slice(Some(99)), Err(SeedError::Slice { slice: 99, slices: 30 })));
    }

    #[test]
    fn a_label_of_the_folder_is_learned_where_the_recipe_asks_for_it() {
        use crate::data::{Preparation, WholeSlices, load};
        let data = data_set("labels");
        let learned = |json: &str| -> Vec<bool> {
            let whole: WholeSlices = serde_json::from_str(json).unwrap();
            let cases =
                load(Source::CtIch, &data, &data.join("cache"), Preparation::Whole(&whole, [20, 24])).unwrap().cases;
            assert!(cases.iter().all(|case| case.record.positive() && case.record.shape[1..] == [20, 24]));
            cases.iter().map(crate::data::Case::target).collect()
        };
        // Patient 8 bleeds and is filed under Normal.
        assert_eq!(learned("{}"), [true, false]);
        // The second time from the cache.
        assert_eq!(learned(r#"{"labels": "true"}"#), [true, true]);
        std::fs::remove_dir_all(data).unwrap();
    }
}
