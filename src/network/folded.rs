//! The network at inference: batch normalisation folded into the convolutions around it.

use super::config::{BlockOrder, HeadConfig, NetworkConfig};
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

/// The last step on the device.
enum FoldedHead {
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
    head: FoldedHead,
}

/// A factor and a summand for each channel: a batch normalisation with its running statistics.
#[derive(Clone)]
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl FoldedNetwork {
    pub(super) fn new(config: &NetworkConfig, weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        weights.validate(config)?;
        let mut pending: Option<Affine> = None;
        let mut blocks = Vec::new();
        for (index, block) in config.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            let mut weight = weights.get(&name("conv.weight"))?.clone();
            let norm = norm(weights, &name("norm"), config.norm_epsilon)?;
            let mut bias = match block.order {
                BlockOrder::ReluPoolNorm => weights.get(&name("conv.bias"))?.values.clone(),
                BlockOrder::NormReluPool => vec![0.0; block.channels],
            };
            // A normalisation at the end of the block before acts on this block's input; `validate` sees to it that no
            // zero padding comes in between.
            fold_input(&mut weight, &mut bias, pending.take());
            match block.order {
                BlockOrder::NormReluPool => fold_output(&mut weight, &mut bias, &norm),
                BlockOrder::ReluPoolNorm => pending = Some(norm),
            }
            blocks.push(FoldedBlock {
                weight: tensor(&weight, device),
                bias: vector(bias, device),
                options: Conv3dOptions { stride: block.stride, padding: block.padding_sides() },
                pool: block.pool,
            });
        }
        let head = match config.head {
            HeadConfig::Evidence { asymmetry, .. } => {
                let mut weight = weights.get("head.evidence.weight")?.clone();
                let mut bias = weights.get("head.evidence.bias")?.values.clone();
                fold_input(&mut weight, &mut bias, pending);
                let (weight, bias) = (tensor(&weight, device), vector(bias, device));
                FoldedHead::Evidence(Box::new(EvidenceHead { weight, bias, asymmetry }))
            }
            HeadConfig::Dense { .. } => {
                let mut weight = weights.get("head.hidden.weight")?.clone();
                let mut bias = weights.get("head.hidden.bias")?.values.clone();
                fold_dense(&mut weight, &mut bias, pending);
                let output = weights.get("head.output.weight")?;
                let output_bias = weights.get("head.output.bias")?.values.clone();
                FoldedHead::Dense(Box::new(DenseHead {
                    hidden: (tensor(&weight, device), vector(bias, device)),
                    output: (tensor(output, device), vector(output_bias, device)),
                }))
            }
        };
        Ok(Self { blocks, head })
    }

    /// The evidence map `[batch, 1, slices, y, x]`, or the patient logits `[batch, 1, 1, 1, 1]` of a dense head.
    pub(super) fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let features = self.blocks.iter().fold(input, |features, block| {
            kernels::conv_block(features, block.weight.clone(), block.bias.clone(), block.options, block.pool)
        });
        match &self.head {
            FoldedHead::Evidence(head) => {
                let features = if head.asymmetry { with_asymmetry(features) } else { features };
                let (weight, bias) = (&head.weight, &head.bias);
                let options = Conv3dOptions { stride: [1; 3], padding: [0; 3] };
                kernels::conv3d(features, weight.clone(), Some(bias.clone()), options)
            }
            FoldedHead::Dense(dense) => {
                let mean: Tensor<2> = features.flatten::<3>(2, 4).mean_dim(2).squeeze_dim(2);
                let hidden = relu(mean.matmul(dense.hidden.0.clone()) + dense.hidden.1.clone().unsqueeze_dim(0));
                let logits = hidden.matmul(dense.output.0.clone()) + dense.output.1.clone().unsqueeze_dim(0);
                logits.unsqueeze_dims(&[2, 3, 4])
            }
        }
    }
}

fn norm(weights: &Weights, name: &str, epsilon: f64) -> Result<Affine, WeightsError> {
    let get = |part: &str| weights.get(&format!("{name}.{part}")).map(|tensor| &tensor.values);
    let (gamma, beta, mean, variance) = (get("gamma")?, get("beta")?, get("running_mean")?, get("running_var")?);
    let scale: Vec<f32> = gamma
        .iter()
        .zip(variance)
        .map(|(&gamma, &variance)| (f64::from(gamma) / (f64::from(variance) + epsilon).sqrt()) as f32)
        .collect();
    let shift = beta.iter().zip(mean).zip(&scale).map(|((beta, mean), scale)| beta - mean * scale).collect();
    Ok(Affine { scale, shift })
}

/// Folds what follows the convolution into it.
fn fold_output(weight: &mut Tensor32, bias: &mut [f32], norm: &Affine) {
    let taps = weight.values.len() / bias.len().max(1);
    for (kernel, scale) in weight.values.chunks_mut(taps.max(1)).zip(&norm.scale) {
        for weight in kernel {
            *weight *= scale;
        }
    }
    for ((bias, scale), shift) in bias.iter_mut().zip(&norm.scale).zip(&norm.shift) {
        *bias = bias.mul_add(*scale, *shift);
    }
}

/// Folds what precedes the convolution `[out, in, ..]` into it.
fn fold_input(weight: &mut Tensor32, bias: &mut [f32], before: Option<Affine>) {
    let Some(before) = before else { return };
    let taps = weight.values.len() / (bias.len() * before.scale.len()).max(1);
    let kernels = weight.values.chunks_mut((taps * before.scale.len()).max(1));
    for (kernel, bias) in kernels.zip(bias) {
        for ((taps, scale), shift) in kernel.chunks_mut(taps.max(1)).zip(&before.scale).zip(&before.shift) {
            *bias += taps.iter().sum::<f32>() * shift;
            for weight in taps {
                *weight *= scale;
            }
        }
    }
}

/// Folds what precedes a dense layer `[in, out]` into it.
fn fold_dense(weight: &mut Tensor32, bias: &mut [f32], before: Option<Affine>) {
    let Some(before) = before else { return };
    for ((row, scale), shift) in weight.values.chunks_mut(bias.len().max(1)).zip(&before.scale).zip(&before.shift) {
        for (weight, bias) in row.iter_mut().zip(bias.iter_mut()) {
            *bias += *weight * shift;
            *weight *= scale;
        }
    }
}

fn tensor<const D: usize>(tensor: &Tensor32, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(tensor.values.clone(), tensor.shape.clone()), device)
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
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

    fn agree(config: &NetworkConfig, shape: [usize; 3]) {
        let device = Device::flex();
        let weights = worn_weights(config);
        let mut random = SplitMix64::new(13);
        let [slices, rows, columns] = shape;
        let values: Vec<f32> = (0..slices * rows * columns).map(|_| random.uniform(-1.5, 3.0)).collect();
        let input = Tensor::<5>::from_data(TensorData::new(values, [1, 1, slices, rows, columns]), &device);
        let trained = Network::from_weights(config, &weights, &device).unwrap().forward(
            input.clone(),
            Tensor::ones([1, slices], &device),
            None,
        );
        let folded = FoldedNetwork::new(config, &weights, &device).unwrap().forward(input);
        let expected: Vec<f32> = match trained.evidence {
            Some(map) => map.into_data().iter().collect(),
            None => trained.patient.into_data().iter().collect(),
        };
        let found: Vec<f32> = folded.into_data().iter().collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
        }
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
}
