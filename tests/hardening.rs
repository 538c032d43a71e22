//! Damaged files, by the thousand: whatever the bytes, the readers answer, soon, and within bounds of memory.
//!
//! By default a quick run over phantoms. `ICTUS_FUZZ_SECONDS=3600 cargo test --workspace --test hardening` goes on for an
//! hour, over the files of `ICTUS_DATA` too, and writes what fails to the folder `ICTUS_FUZZ_OUT`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use ictus::ingest::{InputFile, discover};
use ictus::phantom::{PhantomConfig, draw, write};
use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for one damaged file.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seeds above this are left out, since a mutation there hits pixels only.
const LARGEST_SEED: u64 = 4 << 20;

type Seed = (String, Vec<u8>);

/// A small generator of our own, so that a run can be repeated by its number (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One file of each kind that the phantoms can be written as.
fn phantoms() -> Vec<Seed> {
    let phantom = draw(&PhantomConfig { seed: 5, ..PhantomConfig::small() }).unwrap();
    let jpg = write::pictures(&phantom, &write::PictureOptions::default()).unwrap();
    let options = write::PictureOptions { format: write::PictureFormat::Png, ..write::PictureOptions::default() };
    let png = write::pictures(&phantom, &options).unwrap();
    let mut seeds = vec![write::nifti(&phantom, false).unwrap(), write::nifti(&phantom, true).unwrap()];
    seeds.extend(write::dicom(&phantom).unwrap().into_iter().take(1));
    seeds.extend(jpg.into_iter().skip(7).take(1));
    seeds.extend(png.into_iter().skip(7).take(1));
    seeds
}

fn corpus(folder: &Path, seeds: &mut Vec<Seed>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let small = path.metadata().unwrap().len() <= LARGEST_SEED;
        if path.is_dir() {
            // One slice of a series is like another.
            let before = seeds.len();
            corpus(&path, seeds);
            let several = seeds.len() - before > 20 && !path.join("manifest.csv").exists();
            seeds.truncate(if several { before + 2 } else { seeds.len() });
        } else if small && path.extension().is_none_or(|extension| extension != "npy" && extension != "csv") {
            seeds.push((path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()));
        }
    }
}

/// Numbers that lengths and counts go wrong at.
const EDGES: [u32; 9] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let mark = |pair: &[u8]| matches!(pair, [0xff, 0xd8 | 0x4f]);
    let stream = bytes.windows(2).position(mark).unwrap_or(0);
    for _ in 0..=random.below(6) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        // Headers matter most: that of the file at the front, and that of compressed pixels.
        let (start, span) = match random.below(3) {
            0 => (0, length),
            1 => (0, length.min(2048)),
            _ => (stream.min(length - 1), 192.min(length - stream.min(length - 1))),
        };
        let place = start + random.below(span);
        match random.below(7) {
            0 => bytes[place] = random.next() as u8,
            1 => bytes[place] ^= 1 << random.below(8),
            2 => bytes.truncate(place),
            3 => {
                let edge = EDGES[random.below(EDGES.len())];
                let edge = if random.below(2) == 0 { edge.to_be_bytes() } else { edge.to_le_bytes() };
                let width = [1, 2, 4][random.below(3)].min(length - place);
                bytes[place..place + width].copy_from_slice(&edge[..width]);
            }
            4 => {
                let end = (place + 1 + random.below(64)).min(length);
                bytes.drain(place..end);
            }
            5 => {
                let end = (place + 1 + random.below(64)).min(length);
                let copy = bytes[place..end].to_vec();
                bytes.splice(place..place, copy);
            }
            _ => {
                let end = (place + 1 + random.below(16)).min(length);
                bytes[place..end].fill(if random.below(2) == 0 { 0 } else { 0xff });
            }
        }
    }
}

/// Bytes that Linux states for this process; `None` elsewhere.
fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix(field))?.trim().trim_end_matches(" kB").parse::<u64>();
    Some(kib.ok()? << 10)
}

/// Bytes by which the peak of the memory during `run` is above `base`; `None` where the system does not say.
fn growth(base: Option<u64>, run: impl FnOnce()) -> Option<u64> {
    // Starts the count of the peak anew.
    let counted = fs::write("/proc/self/clear_refs", "5").is_ok();
    run();
    memory("VmHWM:").zip(base).filter(|_| counted).map(|(peak, base)| peak.saturating_sub(base))
}

/// Reads a drop to its end; every file must end in a scan or a refusal.
fn open(path: &str, bytes: Vec<u8>) {
    // Twice, so that pictures are a stack.
    let copy = format!("2-{path}");
    let files = [(path.to_owned(), bytes.clone()), (copy, bytes)];
    let discovery =
        discover(files.map(|(path, bytes)| InputFile { path, source: Arc::new(bytes) }).into_iter().collect());
    let answers = discovery.scans.len() + discovery.refused.len() + discovery.set_aside.len() + discovery.ignored;
    assert!(answers > 0, "no answer");
    for plan in &discovery.scans {
        if let Ok(scan) = plan.read(&mut |_| ControlFlow::Continue(())) {
            assert!(scan.volume.voxels().iter().all(|voxel| voxel.is_finite()), "a voxel is not a number");
            assert_eq!(scan.slices.len(), scan.volume.slices());
        }
    }
}

#[test]
fn damaged_files_of_every_kind_are_answered_soon_and_within_bounds() {
    let seconds = std::env::var("ICTUS_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    let out = std::env::var_os("ICTUS_FUZZ_OUT").map(PathBuf::from);
    let mut seeds = phantoms();
    match std::env::var_os("ICTUS_DATA") {
        Some(data) => corpus(&PathBuf::from(data).join("corpus"), &mut seeds),
        None => println!("ICTUS_DATA is not set: damaged phantoms only"),
    }
    // Before anything was read: what the allocator keeps of earlier runs counts as well.
    let base = memory("VmRSS:");
    for (path, bytes) in &seeds {
        open(path, bytes.clone());
    }
    let start = Instant::now();
    let number = if seconds > 60 { start.elapsed().subsec_nanos() } else { 1 };
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(number));
    let mut faults = Vec::new();
    let (mut runs, mut slowest, mut most) = (0_u64, Duration::ZERO, None);
    while start.elapsed() < Duration::from_secs(seconds) && faults.len() < 20 {
        let (path, bytes) = &seeds[random.below(seeds.len())];
        let mut bytes = bytes.clone();
        mutate(&mut bytes, &mut random);
        let begun = Instant::now();
        let mut fine = false;
        let grown = growth(base, || fine = catch_unwind(AssertUnwindSafe(|| open(path, bytes.clone()))).is_ok());
        let taken = begun.elapsed();
        // Twice the file and its copy in the loop, the decoded slices, and what a header of a few bytes may honestly claim.
        let allowed = 8 * bytes.len() as u64 + (256 << 20);
        runs += 1;
        slowest = slowest.max(taken);
        most = most.max(grown);
        if !fine || taken > PATIENCE || grown.is_some_and(|grown| grown > allowed) {
            let what = format!("{runs}-{path}");
            if let Some(out) = &out {
                fs::create_dir_all(out).unwrap();
                fs::write(out.join(&what), &bytes).unwrap();
            }
            faults.push(format!("{what}: panic {}, {taken:?}, {grown:?} bytes", !fine));
        }
    }
    println!("{} seeds, {runs} damaged files, slowest {slowest:?}", seeds.len());
    match most {
        Some(bytes) => println!("most memory for one: {} MiB", bytes >> 20),
        None => println!("SKIPPED: this system does not say how much memory was taken"),
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
