//! The network alone, on WebGPU.

use super::fault::Fault;
use crate::network::Model;
use crate::preprocess::{Alignment, NetworkInput};
use burn::tensor::Device;
use wasm_bindgen::prelude::wasm_bindgen;

/// The network on the GPU. The page looks at the adapter first: without `timestamp-query` its runtime panics.
#[wasm_bindgen]
pub struct Network {
    model: Model,
}

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

#[wasm_bindgen]
impl Network {
    /// Opens the adapter and loads the weights file.
    ///
    /// # Errors
    /// A [`Fault`] if the browser gives no device, or the weights file is not right.
    pub async fn load(weights: Vec<u8>) -> Result<Self, Fault> {
        let device =
            Device::wgpu_options().init_async().await.map_err(|error| Fault::new("no_gpu", format!("{error:?}")))?;
        let model = Model::from_bytes(&weights, &device).map_err(|error| Fault::new("weights", error))?;
        Ok(Self { model })
    }

    /// Largest difference from the logits that the trainer's CPU computed for the golden input of the weights file.
    ///
    /// # Errors
    /// A [`Fault`] if the network cannot run here.
    #[wasm_bindgen(js_name = self_test)]
    pub async fn self_test(&self) -> Result<f32, Fault> {
        self.model.self_test().await.map_err(|error| Fault::new("network_failed", error))
    }

    /// Runs the network on the `hounsfield`, `mask` and `shape` of a [`NetworkInput`].
    ///
    /// # Errors
    /// A [`Fault`] if the parts do not fit, or the GPU fails.
    pub async fn infer(&self, hounsfield: Vec<f32>, mask: Vec<u8>, shape: Vec<u32>) -> Result<LogitParts, Fault> {
        let shape: Vec<usize> = shape.into_iter().map(|axis| axis as usize).collect();
        let voxels = shape.iter().try_fold(1_usize, |product, &axis| product.checked_mul(axis));
        let (Ok(shape), true) =
            (<[usize; 3]>::try_from(shape), voxels == Some(hounsfield.len()) && mask.len() == hounsfield.len())
        else {
            return Err(Fault::new("input_shape", "The input of the network does not fit its shape."));
        };
        let input = NetworkInput {
            hounsfield,
            mask: mask.into_iter().map(|inside| inside != 0).collect(),
            shape,
            // Where the slices lie in the volume is known to the engine, and nothing to the network.
            slices: 0..shape[0],
            slabs: (0..shape[0]).map(|z| z..z + 1).collect(),
            slab_mm: None,
            alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
            brain_median_hu: 0.0,
        };
        let logits = self.model.infer(&input).await.map_err(|error| Fault::new("network_failed", error))?;
        Ok(LogitParts {
            patient: logits.patient,
            slices: logits.slices,
            evidence: logits.evidence,
            shape: logits.evidence_shape.iter().map(|&axis| axis as u32).collect(),
        })
    }
}
