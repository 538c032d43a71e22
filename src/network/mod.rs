//! The 3D CNN: configuration, modules, weights file, inference.

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
