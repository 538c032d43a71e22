//! The report of a scan: one JSON object, the same from `cargo trainer predict`, `inspect` and the page's export.
//!
//! The schema is documented in `docs/report.md`; [`SCHEMA_VERSION`] grows when a field changes its meaning.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the report's JSON schema.
pub const SCHEMA_VERSION: u32 = 1;

/// Something the person should know, that did not stop the scan from being read or answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable machine-readable code in `snake_case`, such as `slices_reordered`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

impl Warning {
    /// A warning with its code and its sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// Why a scan (or a file) was not answered: what was found, and what the person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable machine-readable code in `snake_case`, such as `not_ct` or `truncated`.
    pub code: String,
    /// One or two sentences for a person.
    pub message: String,
}

impl Refusal {
    /// A refusal with its code and its sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// Says that `more` other files of the series or folder were refused for the same reason.
    pub(crate) fn same_goes_for(&mut self, more: usize, of: &str) {
        let files = if more == 1 { "one more file".to_owned() } else { format!("{more} more files") };
        self.message = format!("{} The same goes for {files} of the {of}.", self.message);
    }
}

/// Whether a scan got an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Read and answered.
    Classified,
    /// Not answered; [`ScanReport::refusal`] says why.
    Refused,
}

/// The answer in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// The probability is at or above the upper operating point.
    #[serde(rename = "bleeding likely")]
    BleedingLikely,
    /// Between the two operating points.
    #[serde(rename = "uncertain")]
    Uncertain,
    /// Below the lower operating point.
    #[serde(rename = "no bleeding seen")]
    NoBleedingSeen,
}

/// The answer for one slice of the volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceReport {
    /// Index in the volume, 0 is the lowest slice.
    pub position: usize,
    /// File (or file and frame) that the slice came from.
    pub source: String,
    /// Probability of a bleed on this slice; `None` where the slice holds too little brain to be looked at.
    pub probability: Option<f32>,
    /// Maximum of the evidence map in pixels `[x, y]` of the source slice, as stored in the file.
    pub peak: Option<[f32; 2]>,
}

/// The network that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Name of the weights.
    pub name: String,
    /// Version of the weights.
    pub version: String,
    /// SHA-256 of the weights file, in hexadecimal.
    pub sha256: String,
}

/// The report of one scan: a line of `predict --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanReport {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Name of the scan: its folder or file, or patient number of a stack.
    pub scan: String,
    /// Files that the scan was read from.
    pub sources: Vec<String>,
    /// Salted hash of the patient's number, where the files state one.
    pub patient_hash: Option<String>,
    /// Answered or refused.
    pub outcome: Outcome,
    /// Calibrated probability of intracranial bleeding.
    pub probability: Option<f32>,
    /// The answer in words.
    pub finding: Option<Finding>,
    /// One entry a slice, bottom to top.
    pub slices: Vec<SliceReport>,
    /// What the person should know.
    pub warnings: Vec<Warning>,
    /// Why there is no answer.
    pub refusal: Option<Refusal>,
    /// The network that answered.
    pub model: Option<ModelReport>,
    /// What computed the answer: `cpu`, `webgpu`, `vulkan`, `cuda`.
    pub backend: Option<String>,
    /// Wall-clock milliseconds of each step: `read`, `order`, `prepare`, `network`, `assess`.
    pub timing_ms: BTreeMap<String, f64>,
}
