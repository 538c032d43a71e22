//! Input and output of the network as JavaScript has them.

use super::fault::Fault;
use crate::network::Logits;
use crate::preprocess::{Alignment, NetworkInput};
use wasm_bindgen::prelude::wasm_bindgen;

/// [`crate::network::Logits`] as JavaScript takes them.
#[wasm_bindgen(getter_with_clone)]
#[derive(Clone, Debug)]
pub struct LogitParts {
    /// Patient logit.
    #[wasm_bindgen(readonly)]
    pub patient: f32,
    /// One logit a slice of the input.
    #[wasm_bindgen(readonly)]
    pub slices: Vec<f32>,
    /// Evidence map `[slice, y, x]`.
    #[wasm_bindgen(readonly)]
    pub evidence: Vec<f32>,
    /// Slices, rows, columns of the map.
    #[wasm_bindgen(readonly)]
    pub shape: Vec<u32>,
}

impl From<Logits> for LogitParts {
    fn from(logits: Logits) -> Self {
        Self {
            patient: logits.patient,
            slices: logits.slices,
            evidence: logits.evidence,
            shape: logits.evidence_shape.iter().map(|&axis| axis as u32).collect(),
        }
    }
}

/// The `hounsfield`, `mask` and `shape` of a [`NetworkInput`], put together again.
pub(super) fn network_input(hounsfield: Vec<f32>, mask: Vec<u8>, shape: Vec<u32>) -> Result<NetworkInput, Fault> {
    let shape: Vec<usize> = shape.into_iter().map(|axis| axis as usize).collect();
    let voxels = shape.iter().try_fold(1_usize, |product, &axis| product.checked_mul(axis));
    let (Ok(shape), true) =
        (<[usize; 3]>::try_from(shape), voxels == Some(hounsfield.len()) && mask.len() == hounsfield.len())
    else {
        return Err(Fault::new("input_shape", "The input of the network does not fit its shape."));
    };
    Ok(NetworkInput {
        hounsfield,
        mask: mask.into_iter().map(|inside| inside != 0).collect(),
        shape,
        // Where the slices lie in the volume is known to the engine, and nothing to the network.
        slices: 0..shape[0],
        slabs: (0..shape[0]).map(|z| z..z + 1).collect(),
        slab_mm: None,
        alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
        brain_median_hu: 0.0,
        contrast_gain: 1.0,
    })
}
