//! The network alone, on WebGPU.

use super::fault::Fault;
use super::parts::{LogitParts, network_input};
use crate::network::Model;
use burn::tensor::Device;
use wasm_bindgen::prelude::wasm_bindgen;

/// The network on the GPU. The page looks at the adapter first: without `timestamp-query` its runtime panics.
#[wasm_bindgen]
pub struct Network {
    model: Model,
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

    /// Runs the network on the `hounsfield`, `mask` and `shape` of a [`crate::preprocess::NetworkInput`].
    ///
    /// # Errors
    /// A [`Fault`] if the parts do not fit, or the GPU fails.
    pub async fn infer(&self, hounsfield: Vec<f32>, mask: Vec<u8>, shape: Vec<u32>) -> Result<LogitParts, Fault> {
        let input = network_input(hounsfield, mask, shape)?;
        let logits = self.model.infer(&input).await.map_err(|error| Fault::new("network_failed", error))?;
        Ok(logits.into())
    }
}
