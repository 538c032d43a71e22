//! Slice-order repair on real stacks: ct-ich with its table of true orders, and phe-sich, which is in order.
//!
//! Needs the data folder named by `ICTUS_DATA`; says so and passes without it. Run with `--nocapture` for the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure is the test's result")]

use ictus::ingest::order::{Repair, Stack, repair};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A stack in true order, bottom to top, with the place by name of each slice.
struct Case {
    name: String,
    slices: Vec<Vec<f32>>,
    rows: usize,
    columns: usize,
    as_named: Vec<usize>,
}

impl Case {
    fn read(name: String, files: &[PathBuf], as_named: Vec<usize>) -> Self {
        let mut size = (0, 0);
        let slices = files
            .iter()
            .map(|file| {
                let picture = image::open(file).unwrap().to_luma8();
                size = (picture.height() as usize, picture.width() as usize);
                picture.as_raw().iter().map(|&grey| f32::from(grey) / 255.0 * 120.0 - 20.0).collect()
            })
            .collect();
        Self { name, slices, rows: size.0, columns: size.1, as_named }
    }

    /// Repairs the stack when slice `i` of the names is slice `shown[i]` of the truth; says whether the truth came out.
    fn repaired_from(&self, shown: &[usize]) -> (bool, Repair) {
        let slices: Vec<&[f32]> = shown.iter().map(|&place| self.slices[place].as_slice()).collect();
        let repair = repair(&Stack { slices: &slices, rows: self.rows, columns: self.columns });
        let found: Vec<usize> = repair.as_named.iter().map(|&named| shown[named]).collect();
        // Blank slices of one scan are the same picture: which comes first cannot matter.
        let exact = found.iter().enumerate().all(|(place, &slice)| self.slices[slice] == self.slices[place]);
        (exact, repair)
    }

    /// The stack as its files are named.
    fn by_name(&self) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.slices.len()).collect();
        shown.sort_by_key(|&place| self.as_named[place]);
        shown
    }
}

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("ICTUS_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("SKIPPED: set ICTUS_DATA to the data folder to test slice order on real scans");
    }
    folder
}

fn ct_ich(data: &Path) -> Vec<Case> {
    let table = fs::read_to_string(data.join("ct-ich/slice_order.csv")).unwrap();
    let mut cases = Vec::new();
    for line in table.lines().skip(1) {
        let mut fields = line.trim().split(',');
        let (patient, folder, order) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        let numbers: Vec<usize> = order.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let folder = data.join("ct-ich/brain_ct_data").join(folder);
        let files: Vec<PathBuf> = numbers.iter().map(|n| folder.join(format!("{patient} ({n}).jpg"))).collect();
        if !files[0].exists() {
            continue;
        }
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let as_named = numbers.iter().map(|n| sorted.binary_search(n).unwrap()).collect();
        cases.push(Case::read(format!("ct-ich {patient}"), &files, as_named));
    }
    cases
}

fn phe_sich(data: &Path) -> Vec<Case> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(data.join("phe-sich/scans")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
        .iter()
        .map(|folder| {
            let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            let as_named = (0..files.len()).collect();
            Case::read(format!("phe-sich {}", folder.file_name().unwrap().to_string_lossy()), &files, as_named)
        })
        .collect()
}

/// Numbers that look random and are the same in each run (Steele et al., `SplitMix64`, 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last + 1));
        }
    }
}

/// The orders a stack of `n` is tried in, by name of the damage.
fn damaged(n: usize, dice: &mut Dice) -> BTreeMap<&'static str, Vec<usize>> {
    let upright: Vec<usize> = (0..n).collect();
    let mut tries = BTreeMap::from([("1 as it is", upright.clone())]);
    let mut turned = upright.clone();
    turned.rotate_left(1 + dice.below(n - 1));
    tries.insert("2 rotated", turned.clone());
    turned.reverse();
    tries.insert("4 rotated and reversed", turned);
    tries.insert("3 reversed", upright.iter().rev().copied().collect());
    let mut misplaced = upright.clone();
    for _ in 0..2 {
        let slice = misplaced.remove(dice.below(n));
        misplaced.insert(dice.below(n), slice);
    }
    tries.insert("5 two slices misplaced", misplaced);
    let mut shuffled = upright;
    dice.shuffle(&mut shuffled);
    tries.insert("6 shuffled", shuffled);
    tries
}

#[test]
fn real_stacks_come_out_in_anatomical_order() {
    let Some(data) = data() else { return };
    let mut dice = Dice(3);
    for (set, cases, fewest) in [("ct-ich", ct_ich(&data), 57), ("phe-sich", phe_sich(&data), 63)] {
        let mut exact = 0;
        for case in &cases {
            let (right, repair) = case.repaired_from(&case.by_name());
            exact += usize::from(right);
            let truth: Vec<usize> = (0..case.slices.len()).collect();
            if !right || repair.changed == (case.as_named == truth) {
                println!("{}: {right} {repair:?}, truth {:?}", case.name, case.as_named);
            }
        }
        println!("{set}, as named: {exact} of {} exact", cases.len());
        assert!(exact >= fewest, "{set}: {exact} of {} stacks as named came out in true order", cases.len());

        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for case in &cases {
            for (damage, shown) in damaged(case.slices.len(), &mut dice) {
                let (right, repair) = case.repaired_from(&shown);
                let count = counts.entry(damage).or_default();
                count.0 += usize::from(right);
                count.1 += usize::from(repair.warning.is_some());
                if !right {
                    let found: Vec<usize> = repair.as_named.iter().map(|&named| shown[named]).collect();
                    println!("{} {damage}: confidence {:.2}, found {found:?}", case.name, repair.confidence);
                }
                if damage == "6 shuffled" {
                    let again: Vec<usize> = repair.as_named.iter().map(|&named| shown[named]).collect();
                    let changed = case.repaired_from(&again).1.changed;
                    assert!(!changed, "{} {damage}: repair changes its own result", case.name);
                }
            }
        }
        for (damage, (exact, warned)) in &counts {
            println!("{set}, {damage}: {exact} of {} exact, {warned} with a warning", cases.len());
        }
        assert_eq!(counts["1 as it is"].0, cases.len(), "{set}: a stack in order was changed");
        assert_eq!(counts["2 rotated"].0, cases.len(), "{set}: a rotated stack was not restored");
    }
}
