//! The trainable network as burn modules.

use super::config::{BlockOrder, HeadConfig, NetworkConfig};
use super::weights::{Tensor32, Weights, WeightsError};
use crate::kernels::{self, Conv3dOptions};
use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor, TensorData, activation::relu};

/// A convolution `[out, in, depth, height, width]` with an optional bias.
#[derive(Module, Debug)]
pub struct Convolution {
    /// Kernel.
    pub weight: Param<Tensor<5>>,
    /// Bias.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride `[depth, height, width]`.
    #[module(skip)]
    pub stride: [usize; 3],
    /// Zeros before and after each axis.
    #[module(skip)]
    pub padding: [usize; 3],
}

impl Convolution {
    /// Applies the convolution.
    ///
    /// # Shapes
    /// - input `[batch, in, depth, height, width]`
    /// - output `[batch, out, depth', height', width']`
    pub fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let options = Conv3dOptions { stride: self.stride, padding: self.padding };
        kernels::conv3d(input, self.weight.val(), self.bias.as_ref().map(Param::val), options)
    }
}

/// Convolution, batch normalisation, `ReLU` and max pooling, in the order of the configuration.
#[derive(Module, Debug)]
pub struct Block {
    /// The convolution.
    pub conv: Convolution,
    /// The batch normalisation.
    pub norm: BatchNorm,
    /// Window of the max pooling.
    #[module(skip)]
    pub pool: [usize; 3],
    /// Whether the normalisation comes last.
    #[module(skip)]
    pub norm_last: bool,
}

impl Block {
    /// Applies the block.
    ///
    /// # Shapes
    /// - input `[batch, in, depth, height, width]`
    /// - output `[batch, out, depth', height', width']`
    pub fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let features = self.conv.forward(input);
        if self.norm_last {
            self.norm.forward(kernels::max_pool3d(relu(features), self.pool))
        } else {
            kernels::batch_norm_relu_pool(&self.norm, features, self.pool)
        }
    }
}

/// Turns the last feature maps into logits. Which fields are set follows from [`HeadConfig`].
#[derive(Module, Debug)]
pub struct Head {
    #[module(skip)]
    asymmetry: bool,
    evidence: Option<Convolution>,
    slice: Option<Param<Tensor<1>>>,
    patient: Option<Param<Tensor<1>>>,
    hidden_weight: Option<Param<Tensor<2>>>,
    hidden_bias: Option<Param<Tensor<1>>>,
    output_weight: Option<Param<Tensor<2>>>,
    output_bias: Option<Param<Tensor<1>>>,
}

/// The trainable network.
#[derive(Module, Debug)]
pub struct Network {
    blocks: Vec<Block>,
    head: Head,
}

/// What the network says of a batch.
#[derive(Debug)]
pub struct NetworkOutput {
    /// Evidence map `[batch, slice, y, x]` of a network that has one.
    pub evidence: Option<Tensor<4>>,
    /// Slice logits `[batch, slice]` of a network that has an evidence map.
    pub slices: Option<Tensor<2>>,
    /// Patient logits `[batch]`.
    pub patient: Tensor<1>,
}

/// Gives parameters their values and their identities: counted from 1, so that the optimizer's state of a run fits the
/// network of the run that resumes it.
struct Builder<'a> {
    weights: &'a Weights,
    device: &'a Device,
    next: u64,
}

impl Builder<'_> {
    fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<D>, WeightsError> {
        let tensor = self.weights.get(name)?;
        Ok(Tensor::from_data(TensorData::new(tensor.values.clone(), tensor.shape.clone()), self.device))
    }

    fn param<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<D>>, WeightsError> {
        let value = self.tensor(name)?;
        let id = ParamId::from(self.next);
        self.next += 1;
        Ok(Param::initialized(id, value).set_require_grad(true))
    }
}

impl Network {
    /// The network of a configuration with the given weights.
    ///
    /// # Errors
    /// [`WeightsError`] if they do not fit.
    pub fn from_weights(config: &NetworkConfig, weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        weights.validate(config)?;
        let mut build = Builder { weights, device, next: 1 };
        let mut blocks = Vec::new();
        for (index, block) in config.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            let norm_last = block.order == BlockOrder::ReluPoolNorm;
            blocks.push(Block {
                conv: Convolution {
                    weight: build.param(&name("conv.weight"))?,
                    bias: norm_last.then(|| build.param(&name("conv.bias"))).transpose()?,
                    stride: block.stride,
                    padding: block.padding_sides(),
                },
                norm: BatchNorm {
                    gamma: build.param(&name("norm.gamma"))?,
                    beta: build.param(&name("norm.beta"))?,
                    training: Param::from_bool(true),
                    running_mean: RunningState::new(build.tensor(&name("norm.running_mean"))?),
                    running_var: RunningState::new(build.tensor(&name("norm.running_var"))?),
                    momentum: config.norm_momentum,
                    epsilon: config.norm_epsilon,
                },
                pool: block.pool,
                norm_last,
            });
        }
        let (map, dense) = match config.head {
            HeadConfig::Evidence { .. } => (true, false),
            HeadConfig::Dense { .. } => (false, true),
        };
        let evidence = if map {
            let (weight, bias) = (build.param("head.evidence.weight")?, Some(build.param("head.evidence.bias")?));
            Some(Convolution { weight, bias, stride: [1; 3], padding: [0; 3] })
        } else {
            None
        };
        let head = Head {
            asymmetry: matches!(config.head, HeadConfig::Evidence { asymmetry: true, .. }),
            evidence,
            slice: map.then(|| build.param("head.slice")).transpose()?,
            patient: map.then(|| build.param("head.patient")).transpose()?,
            hidden_weight: dense.then(|| build.param("head.hidden.weight")).transpose()?,
            hidden_bias: dense.then(|| build.param("head.hidden.bias")).transpose()?,
            output_weight: dense.then(|| build.param("head.output.weight")).transpose()?,
            output_bias: dense.then(|| build.param("head.output.bias")).transpose()?,
        };
        Ok(Self { blocks, head })
    }

    /// A fresh network.
    ///
    /// # Errors
    /// [`WeightsError::Config`] if the configuration is no network.
    pub fn init(config: &NetworkConfig, seed: u64, device: &Device) -> Result<Self, WeightsError> {
        Self::from_weights(config, &Weights::init(config, seed)?, device)
    }

    /// All parameters and running statistics as plain numbers. Reads the device.
    ///
    /// # Errors
    /// The device's error if it cannot be read.
    pub fn weights(&self) -> Result<Weights, burn::tensor::ExecutionError> {
        let mut out = Weights::default();
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            read(&mut out, name("conv.weight"), block.conv.weight.val())?;
            read_some(&mut out, &name("conv.bias"), block.conv.bias.as_ref())?;
            read(&mut out, name("norm.gamma"), block.norm.gamma.val())?;
            read(&mut out, name("norm.beta"), block.norm.beta.val())?;
            read(&mut out, name("norm.running_mean"), block.norm.running_mean.value_sync())?;
            read(&mut out, name("norm.running_var"), block.norm.running_var.value_sync())?;
        }
        let head = &self.head;
        read_some(&mut out, "head.evidence.weight", head.evidence.as_ref().map(|conv| &conv.weight))?;
        read_some(&mut out, "head.evidence.bias", head.evidence.as_ref().and_then(|conv| conv.bias.as_ref()))?;
        read_some(&mut out, "head.slice", head.slice.as_ref())?;
        read_some(&mut out, "head.patient", head.patient.as_ref())?;
        read_some(&mut out, "head.hidden.weight", head.hidden_weight.as_ref())?;
        read_some(&mut out, "head.hidden.bias", head.hidden_bias.as_ref())?;
        read_some(&mut out, "head.output.weight", head.output_weight.as_ref())?;
        read_some(&mut out, "head.output.bias", head.output_bias.as_ref())?;
        Ok(out)
    }

    /// Runs the network.
    ///
    /// `valid` is 1 for slices that are there and 0 for those that only fill a crop; `keep` scales channels (hidden units
    /// of a dense head) and is 0 for dropped ones, 1 / (1 - p) for the others. The mask comes from outside so that a
    /// training run is the same on every device.
    ///
    /// # Shapes
    /// - `input` `[batch, channels, slices, rows, columns]`
    /// - `valid` `[batch, slices]`
    /// - `keep` `[batch, channels of the last block or hidden units]`
    pub fn forward(&self, input: Tensor<5>, valid: Tensor<2>, keep: Option<Tensor<2>>) -> NetworkOutput {
        let features = self.blocks.iter().fold(input, |features, block| block.forward(features));
        self.head.forward(features, valid, keep)
    }
}

impl Head {
    fn forward(&self, features: Tensor<5>, valid: Tensor<2>, keep: Option<Tensor<2>>) -> NetworkOutput {
        if let (Some(evidence), Some(slice), Some(patient)) = (&self.evidence, &self.slice, &self.patient) {
            let features = match keep {
                Some(keep) => features * keep.unsqueeze_dims(&[2, 3, 4]),
                None => features,
            };
            let features = if self.asymmetry { with_asymmetry(features) } else { features };
            let map: Tensor<4> = evidence.forward(features).squeeze_dim(1);
            let slices = affine(mean_exp_log(map.clone().flatten::<3>(2, 3), None).squeeze_dim(2), slice.val());
            let patient = affine(mean_exp_log(neighbour_mean(slices.clone(), &valid), Some(valid)), patient.val());
            return NetworkOutput { evidence: Some(map), slices: Some(slices), patient: patient.squeeze_dim(1) };
        }
        let mut hidden: Tensor<2> = features.flatten::<3>(2, 4).mean_dim(2).squeeze_dim(2);
        if let (Some(weight), Some(bias)) = (&self.hidden_weight, &self.hidden_bias) {
            hidden = relu(hidden.matmul(weight.val()) + bias.val().unsqueeze_dim(0));
        }
        if let Some(keep) = keep {
            hidden = hidden * keep;
        }
        if let (Some(weight), Some(bias)) = (&self.output_weight, &self.output_bias) {
            hidden = hidden.matmul(weight.val()) + bias.val().unsqueeze_dim(0);
        }
        NetworkOutput { evidence: None, slices: None, patient: hidden.squeeze_dim(1) }
    }
}

/// The channels of `[batch, channel, slice, y, x]`, and by how much each exceeds its own mirror image.
pub(super) fn with_asymmetry(features: Tensor<5>) -> Tensor<5> {
    let excess = relu(features.clone() - features.clone().flip([4]));
    Tensor::cat(vec![features, excess], 1)
}

/// `ln(mean(exp(x)))` over the last axis, of which 1 is left; over the entries with `valid` 1 where that is given.
fn mean_exp_log<const D: usize>(values: Tensor<D>, valid: Option<Tensor<D>>) -> Tensor<D> {
    let axis = D - 1;
    // The maximum only keeps the exponentials finite; no gradient has to pass through it.
    let largest = values.clone().detach().max_dim(axis);
    let exponentials = (values - largest.clone()).exp();
    let mean = match valid {
        Some(valid) => {
            let sum = (exponentials * valid.clone()).sum_dim(axis).clamp_min(1e-20);
            sum / valid.sum_dim(axis)
        }
        None => exponentials.mean_dim(axis),
    };
    mean.log() + largest
}

/// Means of each slice logit and its neighbours that are there. `[batch, slices]`, both.
fn neighbour_mean(slices: Tensor<2>, valid: &Tensor<2>) -> Tensor<2> {
    let three = |values: Tensor<2>| {
        let [batch, depth] = values.dims();
        let end = Tensor::zeros([batch, 1], &values.device());
        let padded = Tensor::cat(vec![end.clone(), values, end], 1);
        padded.clone().slice([0..batch, 0..depth])
            + padded.clone().slice([0..batch, 1..depth + 1])
            + padded.slice([0..batch, 2..depth + 2])
    };
    three(slices * valid.clone()) / three(valid.clone()).clamp_min(1.0)
}

/// `values * pair[0] + pair[1]`.
fn affine(values: Tensor<2>, pair: Tensor<1>) -> Tensor<2> {
    let scale = pair.clone().narrow(0, 0, 1).unsqueeze_dim(0);
    values * scale + pair.narrow(0, 1, 1).unsqueeze_dim(0)
}

fn read<const D: usize>(
    out: &mut Weights,
    name: String,
    tensor: Tensor<D>,
) -> Result<(), burn::tensor::ExecutionError> {
    let shape = tensor.dims().to_vec();
    let values = tensor.try_into_data()?.iter::<f32>().collect();
    out.0.insert(name, Tensor32 { shape, values });
    Ok(())
}

fn read_some<const D: usize>(
    out: &mut Weights,
    name: &str,
    param: Option<&Param<Tensor<D>>>,
) -> Result<(), burn::tensor::ExecutionError> {
    param.map_or(Ok(()), |param| read(out, name.to_owned(), param.val()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::pooling;

    #[test]
    fn weights_survive_a_trip_through_the_modules() {
        let device = Device::flex();
        for config in [NetworkConfig::compact(), NetworkConfig::published()] {
            let weights = Weights::init(&config, 5).unwrap();
            let network = Network::from_weights(&config, &weights, &device).unwrap();
            assert_eq!(network.weights().unwrap(), weights);
            let trained: usize = config.layers([64, 128, 128]).unwrap().iter().map(|row| row.parameters).sum();
            let statistics: usize = config.layers([64, 128, 128]).unwrap().iter().map(|row| row.statistics).sum();
            assert_eq!(network.num_params(), trained + statistics);
        }
    }

    #[test]
    fn only_what_lies_on_one_side_exceeds_its_mirror_image() {
        let features = Tensor::<5>::from_floats([[[[[2.0, 1.0, 1.0, 2.0], [0.0, 5.0, 3.0, 0.0]]]]], &Device::flex());
        let both: Vec<f32> = with_asymmetry(features).into_data().iter().collect();
        assert_eq!(both[..8], [2.0, 1.0, 1.0, 2.0, 0.0, 5.0, 3.0, 0.0]);
        assert_eq!(both[8..], [0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn slices_that_only_fill_the_crop_do_not_change_the_patient() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[1.0, -2.0, 0.5, 9.0, 9.0]], &device);
        let valid = Tensor::<2>::from_floats([[1.0, 1.0, 1.0, 0.0, 0.0]], &device);
        let patient = mean_exp_log(neighbour_mean(logits, &valid), Some(valid));
        let expected = pooling::patient_logit(&[1.0, -2.0, 0.5], [1.0, 0.0]);
        let found = patient.into_data().iter::<f32>().next().unwrap();
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}
