//! The scans that the page holds, with their slices as long as there is room.

use super::fault::Fault;
use crate::ingest::{Scan, ScanPlan};
use crate::report::ScanReport;
use crate::screen::Evidence;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Volumes are let go, the one looked at longest ago first, when together they have more bytes than this, unless the page
/// says otherwise: an engine has 4 GiB of memory at most, and reading a scan again takes about a second.
const ROOM_BYTES: usize = 512 * 1024 * 1024;

/// One scan of the work list.
pub(super) struct Entry {
    pub(super) plan: Rc<ScanPlan>,
    pub(super) synthetic: bool,
    /// The person asked for the order before the repair.
    pub(super) named_order: bool,
    /// The slices; none before the scan is read and after they were let go.
    pub(super) scan: Option<Rc<Scan>>,
    pub(super) evidence: Option<Rc<Evidence>>,
    pub(super) report: Option<ScanReport>,
    last_use: u64,
}

/// All scans by their number; the page sees to it that none is used twice.
pub(super) struct Shelf {
    entries: BTreeMap<usize, Entry>,
    next: usize,
    clock: u64,
    room_bytes: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), next: 0, clock: 0, room_bytes: ROOM_BYTES }
    }
}

impl Shelf {
    pub(super) fn hold_at_most(&mut self, bytes: usize) {
        self.room_bytes = bytes;
    }

    pub(super) fn add(&mut self, plan: ScanPlan, synthetic: bool) -> usize {
        let id = self.next;
        self.next += 1;
        let entry = Entry {
            plan: Rc::new(plan),
            synthetic,
            named_order: false,
            scan: None,
            evidence: None,
            report: None,
            last_use: 0,
        };
        self.entries.insert(id, entry);
        id
    }

    /// The next scan gets this number: an engine that takes over from a crashed one gives the scans their numbers again.
    pub(super) fn number_from(&mut self, first: usize) {
        self.next = first;
    }

    pub(super) fn remove(&mut self, id: usize) {
        self.entries.remove(&id);
    }

    pub(super) fn get(&self, id: usize) -> Result<&Entry, Fault> {
        self.entries.get(&id).ok_or_else(|| Fault::unknown_scan(id))
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Result<&mut Entry, Fault> {
        self.entries.get_mut(&id).ok_or_else(|| Fault::unknown_scan(id))
    }

    /// Keeps the slices of a scan and makes room for them. Does nothing for a scan that was removed meanwhile.
    pub(super) fn keep(&mut self, id: usize, scan: Rc<Scan>) {
        self.clock += 1;
        let now = self.clock;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.scan = Some(scan);
            entry.last_use = now;
        }
        while self.held_bytes() > self.room_bytes {
            let held = self.entries.iter_mut().filter(|(other, entry)| **other != id && entry.scan.is_some());
            let Some((_, oldest)) = held.min_by_key(|(_, entry)| entry.last_use) else { break };
            oldest.scan = None;
        }
    }

    /// Marks a scan as looked at now.
    pub(super) fn touch(&mut self, id: usize) {
        self.clock += 1;
        let now = self.clock;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.last_use = now;
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.entries
            .values()
            .filter_map(|entry| entry.scan.as_ref())
            .map(|scan| size_of_val(scan.volume.voxels()))
            .sum()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
