//! Operations of the network on `[batch, channels, depth, height, width]` tensors: convolution, max pooling and batch
//! normalisation with `ReLU`, differentiable on autodiff devices.
//!
//! [`mod@reference`] holds them in plain tensor code, which runs on every device. `f32` tensors run on kernels of our own instead,
//! which `backend` makes known to burn: on the CPU all of them (`cpu`), on a GPU the convolution at inference (`gpu`).

mod backend;
mod cpu;
#[cfg(feature = "wgpu")]
mod gpu;
pub mod reference;

use backend::{Inference as _, Kernels as _, infers, ours};
use burn::{backend::Dispatch, nn::BatchNorm, tensor::Tensor};

use self::cpu::{conv::Conv, correlation::Epilogue};

/// Stride and zero padding of a 3D convolution, each as `[depth, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv3dOptions {
    /// Step between neighbouring outputs, at least 1.
    pub stride: [usize; 3],
    /// Zeros put before and after the input along each axis.
    pub padding: [usize; 3],
}

impl Conv3dOptions {
    /// Stride 1 and the padding that keeps the input's shape under a kernel of odd sides.
    #[must_use]
    pub fn same(kernel: [usize; 3]) -> Self {
        Self { stride: [1; 3], padding: kernel.map(|k| k / 2) }
    }

    /// The same padding with another stride.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }
}

/// 3D convolution (cross-correlation, as in every deep-learning framework).
///
/// `input` is `[batch, in, depth, height, width]`, `weight` is `[out, in, depth, height, width]`, `bias` is `[out]`.
///
/// # Panics
/// If the channels of `input`, `weight` and `bias` do not fit together.
pub fn conv3d(input: Tensor<5>, weight: Tensor<5>, bias: Option<Tensor<1>>, options: Conv3dOptions) -> Tensor<5> {
    let conv = Conv::new(input.dims(), weight.dims(), options.stride, options.padding);
    if let (Some(conv), Some(bias)) = (conv, &bias)
        && infers(&input, &weight, bias, &conv, Epilogue::Store)
    {
        return infer(input, weight, bias.clone(), conv, Epilogue::Store);
    }
    let Some(conv) = conv.filter(|_| ours(&input) && ours(&weight)) else {
        return reference::conv3d(input, weight, bias, options);
    };
    let output = Dispatch::convolve(input.into_dispatch(), weight.into_dispatch(), conv);
    let output = Tensor::from_dispatch(output);
    match bias {
        Some(bias) => output + bias.reshape([1, -1, 1, 1, 1]),
        None => output,
    }
}

/// Maximum over non-overlapping windows `[depth, height, width]`; what does not fill a window at the end is left out.
///
/// # Panics
/// If a side of `window` is 0.
pub fn max_pool3d(input: Tensor<5>, window: [usize; 3]) -> Tensor<5> {
    let whole = !input.dims().contains(&0) && !window.contains(&0);
    if !whole || !ours(&input) {
        return reference::max_pool3d(input, window);
    }
    Tensor::from_dispatch(Dispatch::pool(input.into_dispatch(), window))
}

/// Batch normalisation followed by `ReLU`.
///
/// As [`BatchNorm::forward`]: on an autodiff device with `norm` in training the batch's own statistics are used and the
/// running ones are updated; otherwise the running statistics are used.
///
/// # Panics
/// If the channels of `input` are not those of `norm`.
pub fn batch_norm_relu(norm: &BatchNorm, input: Tensor<5>) -> Tensor<5> {
    batch_norm_relu_pool(norm, input, [1; 3])
}

/// [`batch_norm_relu`] followed by [`max_pool3d`], in one operation.
///
/// # Panics
/// If the channels of `input` are not those of `norm`, or a side of `window` is 0.
pub fn batch_norm_relu_pool(norm: &BatchNorm, input: Tensor<5>, window: [usize; 3]) -> Tensor<5> {
    let device = input.device();
    let whole = !input.dims().contains(&0) && !window.contains(&0);
    let trains = device.is_autodiff() && norm.training.is_enabled();
    if !trains || !whole || !ours(&input) || norm.gamma.dims() != [input.dims()[1]] {
        return reference::batch_norm_relu_pool(norm, input, window);
    }
    let (output, mean, variance) = Dispatch::normalise(
        input.into_dispatch(),
        norm.gamma.val().into_dispatch(),
        norm.beta.val().into_dispatch(),
        norm.epsilon,
        window,
    );
    for (running, batch) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let batch = Tensor::<1>::from_dispatch(batch).detach();
        let old = running.value_sync().to_device(&device);
        let new = old * (1.0 - norm.momentum) + batch * norm.momentum;
        running.update(new.detach());
    }
    Tensor::from_dispatch(output)
}

/// A block of the network at inference, in one pass: convolution, bias, `ReLU` and max pooling over `window`.
///
/// Batch normalisation is folded into `weight` and `bias` beforehand.
///
/// # Panics
/// If the channels of `input`, `weight` and `bias` do not fit together, or a side of `window` is 0.
pub fn conv_block(
    input: Tensor<5>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    options: Conv3dOptions,
    window: [usize; 3],
) -> Tensor<5> {
    let epilogue = Epilogue::ReluPool(window);
    let conv = Conv::new(input.dims(), weight.dims(), options.stride, options.padding);
    let conv = conv.filter(|conv| !window.contains(&0) && infers(&input, &weight, &bias, conv, epilogue));
    match conv {
        Some(conv) => infer(input, weight, bias, conv, epilogue),
        None => reference::conv_block(input, weight, bias, options, window),
    }
}

fn infer(input: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>, conv: Conv, epilogue: Epilogue) -> Tensor<5> {
    let (input, weight, bias) = (input.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::infer(input, weight, bias, conv, epilogue))
}

/// Multiplies and adds in registers on one thread, `rounds` times, and returns the number of floating-point operations done.
/// Timed, it gives the peak by which to judge the other operations.
pub fn multiply_add(rounds: usize) -> usize {
    cpu::peak::multiply_add(rounds)
}

#[cfg(test)]
mod tests;
