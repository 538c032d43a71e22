//! The 3D CNN: configuration, trainable modules, weights file, inference.
//!
//! | step | type |
//! |---|---|
//! | a network as data, its layers, parameters and FLOP | [`NetworkConfig`] |
//! | its parameters by name, as plain numbers | [`Weights`] |
//! | the same without batch normalisations | [`FoldedWeights`] |
//! | the trainable burn module | [`Network`] |
//! | the weights file and its header | [`ModelHeader`], [`ModelFile`] |
//! | inference | [`Model`] |
//!
//! [`Network`] and [`Model`] are built from the same configuration and the same weights; a test holds them together.

mod config;
mod file;
mod fold;
mod folded;
mod model;
mod module;
mod pooling;
mod random;
mod resample;
mod weights;

pub use config::{BlockConfig, BlockOrder, ConfigError, HeadConfig, Initialization, LayerRow, NetworkConfig, Padding};
pub use file::{DatasetRecord, FileError, InputScaling, ModelFile, ModelHeader, SelfTest, Storage, hex};
pub use fold::{FoldedHead, FoldedLayer, FoldedWeights};
pub use model::{LayerMaps, Model, NetworkError};
pub use module::{Block, Convolution, Head, Network, NetworkOutput};
pub use pooling::{log_sum_exp, patient_logit, slice_logit};
pub use random::SplitMix64;
pub use resample::resample;
pub use weights::{Tensor32, Weights, WeightsError};

/// What the network says of one scan, before calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// Patient logit.
    pub patient: f32,
    /// One logit a slice of the network input, bottom to top.
    pub slices: Vec<f32>,
    /// Evidence map `[slice, y, x]`; empty for a network without one.
    pub evidence: Vec<f32>,
    /// Slices, rows, columns of the evidence map.
    pub evidence_shape: [usize; 3],
}
