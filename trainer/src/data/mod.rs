//! The data sets: what is on disk, as prepared inputs with labels.

mod cache;
mod region;
mod sources;
mod whole;

pub(crate) use cache::{Dataset, Preparation, load};
pub(crate) use region::{box_mean, depth};
pub(crate) use sources::{BleedTypes, Listed, bleed_types, list, partition, picture, volume};
pub(crate) use whole::{WholeSlices, prepare_slice, remove_noise};

use ictus::preprocess::{Alignment, NetworkInput};
use serde::{Deserialize, Serialize};

/// Where a scan comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// Head trauma, Al Hilla (Hssayeni 2020): with and without a bleed.
    CtIch,
    /// Spontaneous haemorrhage (Ma 2023): every patient has a bleed, and a mask of the oedema around it.
    PheSich,
}

impl Source {
    /// Name of the folder, and of the set in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CtIch => "ct-ich",
            Self::PheSich => "phe-sich",
        }
    }

    /// What the owners allow.
    pub(crate) fn licence(self) -> &'static str {
        match self {
            Self::CtIch => "research and demonstration; cite Hssayeni et al., Data 2020, 5, 14",
            Self::PheSich => "non-commercial research and demonstration; cite Ma et al. 2023, arXiv 2308.10521",
        }
    }
}

/// Number of cross-validation folds.
pub(crate) const FOLDS: usize = 5;

/// What is known of a scan besides its pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseRecord {
    /// Where it comes from.
    pub(crate) source: Source,
    /// Patient number.
    pub(crate) patient: u32,
    /// Cross-validation fold.
    pub(crate) fold: usize,
    /// Whether a skull fracture is recorded.
    pub(crate) fracture: bool,
    /// Age in years.
    pub(crate) age_years: Option<f32>,
    /// For each slice of the scan, bottom to top, whether it shows a bleed.
    pub(crate) labels: Vec<bool>,
    /// Slices of the scan that were kept: first, and one past the last.
    pub(crate) kept: [usize; 2],
    /// Kept slices, rows, columns.
    pub(crate) shape: [usize; 3],
}

impl CaseRecord {
    /// Whether any slice shows a bleed.
    pub(crate) fn positive(&self) -> bool {
        self.labels.contains(&true)
    }

    /// The labels of the kept slices.
    pub(crate) fn kept_labels(&self) -> &[bool] {
        self.labels.get(self.kept[0]..self.kept[1]).unwrap_or_default()
    }

    /// Name for files and messages.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.source.name(), self.patient)
    }
}

/// A prepared scan.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What is known of it.
    pub(crate) record: CaseRecord,
    /// Relative Hounsfield units, 0 outside the brain: `[slice, y, x]`.
    pub(crate) hounsfield: Vec<f32>,
    /// 1 in the brain: `[slice, y, x]`.
    pub(crate) mask: Vec<f32>,
    /// 1 on the lesion, [`UNSURE`] on oedema that may hide some of it, 0 elsewhere; empty where no outline is known.
    pub(crate) region: Vec<f32>,
    /// Distance to the edge of the brain in pixels, 0 outside: `[slice, y, x]`.
    pub(crate) depth: Vec<f32>,
    /// Whether the patient is learned to bleed, where that is not what the slices say.
    pub(crate) target: Option<bool>,
}

impl Case {
    /// Whether the patient is learned to bleed.
    pub(crate) fn target(&self) -> bool {
        self.target.unwrap_or(self.record.positive())
    }

    /// Some slices of the scan as network input.
    pub(crate) fn input(&self, slices: &[usize]) -> NetworkInput {
        let [_, rows, columns] = self.record.shape;
        let area = rows * columns;
        let pick = |values: &[f32]| -> Vec<f32> {
            slices.iter().filter_map(|&z| values.get(z * area..(z + 1) * area)).flatten().copied().collect()
        };
        let shape = [slices.len(), rows, columns];
        NetworkInput {
            hounsfield: pick(&self.hounsfield),
            mask: pick(&self.mask).iter().map(|&inside| inside > 0.5).collect(),
            slices: 0..shape[0],
            slabs: (0..shape[0]).map(|z| z..z + 1).collect(),
            slab_mm: None,
            shape,
            alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
            brain_median_hu: 0.0,
            contrast_gain: 1.0,
        }
    }
}

/// Value of [`Case::region`] where it is not known whether there is blood.
pub(crate) const UNSURE: f32 = 0.3;

/// Why a data set could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    /// No folder was given.
    #[error("looking for the data sets: give --data or set ICTUS_DATA to the folder that holds ct-ich and phe-sich")]
    NoFolder,
    /// A file could not be read.
    #[error("reading {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A table has a row of another form.
    #[error("reading {path}: line {line} is `{text}`, which is no row of this table")]
    Row {
        /// The file.
        path: String,
        /// Number of the line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
    /// A picture could not be decoded.
    #[error("decoding {path}")]
    Picture {
        /// The file.
        path: String,
        /// Why.
        source: image::ImageError,
    },
    /// The slices of a scan do not fit together or to their labels.
    #[error("putting together {scan}: {what}")]
    Scan {
        /// The scan.
        scan: String,
        /// What does not fit.
        what: String,
    },
    /// The preprocessing found no brain.
    #[error("preparing {scan}")]
    Prepare {
        /// The scan.
        scan: String,
        /// Why.
        source: ictus::preprocess::PreprocessError,
    },
    /// The cache holds something else than was written.
    #[error("reading the cache {path}: {what}; delete it")]
    Cache {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
}
