//! The network at inference, on a device.

use super::config::{BlockConfig, NetworkConfig};
use super::fold::{FoldedHead, FoldedLayer, FoldedWeights};
use super::module::with_asymmetry;
use super::weights::{Tensor32, Weights, WeightsError};
use crate::kernels::{self, Conv3dOptions};
use burn::tensor::{Device, Tensor, TensorData, activation::relu};

/// A convolution with its normalisation folded in, then `ReLU` and max pooling.
struct FoldedBlock {
    weight: Tensor<5>,
    bias: Tensor<1>,
    options: Conv3dOptions,
    pool: [usize; 3],
}

impl FoldedBlock {
    fn forward(&self, features: Tensor<5>) -> Tensor<5> {
        kernels::conv_block(features, self.weight.clone(), self.bias.clone(), self.options, self.pool)
    }
}

/// The last step on the device.
enum Head {
    /// Convolution 1x1x1 to the evidence map.
    Evidence(Box<EvidenceHead>),
    /// Patient logit without a map.
    Dense(Box<DenseHead>),
}

/// Weight and bias, and whether they see the hemispheres compared.
struct EvidenceHead {
    weight: Tensor<5>,
    bias: Tensor<1>,
    asymmetry: bool,
}

/// Global average pooling and two dense layers, each a weight `[in, out]` and a bias.
struct DenseHead {
    hidden: (Tensor<2>, Tensor<1>),
    output: (Tensor<2>, Tensor<1>),
}

/// The network at inference.
pub(super) struct FoldedNetwork {
    blocks: Vec<FoldedBlock>,
    head: Head,
}

impl FoldedNetwork {
    pub(super) fn new(config: &NetworkConfig, weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let folded = FoldedWeights::new(config, weights)?;
        let block = |(block, layer): (&BlockConfig, FoldedLayer)| FoldedBlock {
            weight: tensor(layer.weight, device),
            bias: tensor(layer.bias, device),
            options: Conv3dOptions { stride: block.stride, padding: block.padding_sides() },
            pool: block.pool,
        };
        let blocks = config.blocks.iter().zip(folded.blocks).map(block).collect();
        let head = match folded.head {
            FoldedHead::Evidence { layer, asymmetry } => {
                let (weight, bias) = (tensor(layer.weight, device), tensor(layer.bias, device));
                Head::Evidence(Box::new(EvidenceHead { weight, bias, asymmetry }))
            }
            FoldedHead::Dense { hidden, output } => Head::Dense(Box::new(DenseHead {
                hidden: (tensor(hidden.weight, device), tensor(hidden.bias, device)),
                output: (tensor(output.weight, device), tensor(output.bias, device)),
            })),
        };
        Ok(Self { blocks, head })
    }

    /// The evidence map `[batch, 1, slices, y, x]`, or the patient logits `[batch, 1, 1, 1, 1]` of a dense head.
    pub(super) fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        self.head(self.blocks.iter().fold(input, |features, block| block.forward(features)))
    }

    /// What leaves each block, `[batch, channels, slices, y, x]`, and then what [`Self::forward`] gives.
    pub(super) fn layers(&self, input: Tensor<5>) -> Vec<Tensor<5>> {
        let mut features = input;
        let mut layers = Vec::with_capacity(self.blocks.len() + 1);
        for block in &self.blocks {
            features = block.forward(features);
            layers.push(features.clone());
        }
        layers.push(self.head(features));
        layers
    }

    fn head(&self, features: Tensor<5>) -> Tensor<5> {
        match &self.head {
            Head::Evidence(head) => {
                let features = if head.asymmetry { with_asymmetry(features) } else { features };
                let (weight, bias) = (&head.weight, &head.bias);
                let options = Conv3dOptions { stride: [1; 3], padding: [0; 3] };
                kernels::conv3d(features, weight.clone(), Some(bias.clone()), options)
            }
            Head::Dense(dense) => {
                let mean: Tensor<2> = features.flatten::<3>(2, 4).mean_dim(2).squeeze_dim(2);
                let hidden = relu(mean.matmul(dense.hidden.0.clone()) + dense.hidden.1.clone().unsqueeze_dim(0));
                let logits = hidden.matmul(dense.output.0.clone()) + dense.output.1.clone().unsqueeze_dim(0);
                logits.unsqueeze_dims(&[2, 3, 4])
            }
        }
    }
}

fn tensor<const D: usize>(tensor: Tensor32, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(tensor.values, tensor.shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, SplitMix64};

    /// Weights whose normalisations do something.
    fn worn_weights(config: &NetworkConfig) -> Weights {
        let mut weights = Weights::init(config, 11).unwrap();
        let mut random = SplitMix64::new(12);
        for (name, tensor) in &mut weights.0 {
            let (low, high) = match name.rsplit('.').next() {
                Some("gamma" | "running_var") => (0.4, 1.8),
                Some("beta" | "running_mean") => (-0.5, 0.5),
                _ => continue,
            };
            tensor.values.iter_mut().for_each(|x| *x = random.uniform(low, high));
        }
        weights
    }

    fn input([slices, rows, columns]: [usize; 3], device: &Device) -> Tensor<5> {
        let mut random = SplitMix64::new(13);
        let values: Vec<f32> = (0..slices * rows * columns).map(|_| random.uniform(-1.5, 3.0)).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, slices, rows, columns]), device)
    }

    fn equal(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }

    fn folded(config: &NetworkConfig, shape: [usize; 3], device: &Device) -> Vec<f32> {
        let network = FoldedNetwork::new(config, &worn_weights(config), device).unwrap();
        network.forward(input(shape, device)).into_data().iter().collect()
    }

    fn agree(config: &NetworkConfig, shape: [usize; 3]) {
        let device = Device::flex();
        let trained = Network::from_weights(config, &worn_weights(config), &device).unwrap().forward(
            input(shape, &device),
            Tensor::ones([1, shape[0]], &device),
            None,
        );
        let expected: Vec<f32> = match trained.evidence {
            Some(map) => map.into_data().iter().collect(),
            None => trained.patient.into_data().iter().collect(),
        };
        equal(&folded(config, shape, &device), &expected);
    }

    #[test]
    fn folding_does_not_change_the_compact_network() {
        agree(&NetworkConfig::compact(), [5, 32, 24]);
        agree(&NetworkConfig::compact_two_sided(), [5, 32, 24]);
    }

    #[test]
    fn folding_does_not_change_the_published_network() {
        agree(&NetworkConfig::published(), [46, 46, 46]);
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn a_gpu_does_not_change_the_networks() {
        let gpu = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
        for (config, shape) in [
            (NetworkConfig::compact(), [28, 96, 80]),
            (NetworkConfig::compact_two_sided(), [5, 32, 24]),
            (NetworkConfig::published(), [46, 46, 46]),
        ] {
            equal(&folded(&config, shape, &gpu), &folded(&config, shape, &Device::flex()));
        }
    }
}
