//! Batch normalisation folded into the convolutions around it, on plain numbers.

use super::config::{BlockOrder, HeadConfig, NetworkConfig};
use super::weights::{Tensor32, Weights, WeightsError};

/// A layer with the normalisation beside it folded in.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedLayer {
    /// `[out, in, depth, height, width]` of a convolution, `[in, out]` of a dense layer.
    pub weight: Tensor32,
    /// `[out]`.
    pub bias: Tensor32,
}

/// The layers behind the last block.
#[derive(Clone, Debug, PartialEq)]
pub enum FoldedHead {
    /// Convolution 1x1x1 to the evidence map.
    Evidence {
        /// The convolution.
        layer: FoldedLayer,
        /// Whether it sees the hemispheres compared.
        asymmetry: bool,
    },
    /// Global average pooling and two dense layers with `ReLU` in between.
    Dense {
        /// The first.
        hidden: FoldedLayer,
        /// The second.
        output: FoldedLayer,
    },
}

/// The layers of a network at inference, which has no normalisations.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedWeights {
    /// Convolution of each block, input first.
    pub blocks: Vec<FoldedLayer>,
    /// What follows them.
    pub head: FoldedHead,
}

/// A factor and a summand for each channel: a batch normalisation with its running statistics.
#[derive(Clone)]
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl FoldedWeights {
    /// Folds the normalisations of a network.
    ///
    /// # Errors
    /// [`WeightsError`] if the weights are not of this network.
    pub fn new(config: &NetworkConfig, weights: &Weights) -> Result<Self, WeightsError> {
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
            blocks.push(FoldedLayer::new(weight, bias));
        }
        let layer = |name: &str| -> Result<(Tensor32, Vec<f32>), WeightsError> {
            let [weight, bias] = ["weight", "bias"].map(|part| weights.get(&format!("head.{name}.{part}")));
            Ok((weight?.clone(), bias?.values.clone()))
        };
        let head = match config.head {
            HeadConfig::Evidence { asymmetry, .. } => {
                let (mut weight, mut bias) = layer("evidence")?;
                fold_input(&mut weight, &mut bias, pending);
                FoldedHead::Evidence { layer: FoldedLayer::new(weight, bias), asymmetry }
            }
            HeadConfig::Dense { .. } => {
                let (mut weight, mut bias) = layer("hidden")?;
                fold_dense(&mut weight, &mut bias, pending);
                let (output, output_bias) = layer("output")?;
                FoldedHead::Dense {
                    hidden: FoldedLayer::new(weight, bias),
                    output: FoldedLayer::new(output, output_bias),
                }
            }
        };
        Ok(Self { blocks, head })
    }
}

impl FoldedLayer {
    fn new(weight: Tensor32, bias: Vec<f32>) -> Self {
        Self { weight, bias: Tensor32 { shape: vec![bias.len()], values: bias } }
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
