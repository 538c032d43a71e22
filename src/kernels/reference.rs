//! The operations in plain tensor code: what every other implementation has to equal, and what runs where there is no
//! kernel of our own.

use burn::{
    nn::BatchNorm,
    tensor::{
        Tensor,
        activation::relu,
        module::{conv3d as burn_conv3d, max_pool2d},
        ops::{ConvOptions, MaxPoolOptions},
    },
};

use super::Conv3dOptions;

/// [`super::conv3d`] through burn's own convolution.
///
/// # Panics
/// If the channels of `input`, `weight` and `bias` do not fit together.
pub fn conv3d(input: Tensor<5>, weight: Tensor<5>, bias: Option<Tensor<1>>, options: Conv3dOptions) -> Tensor<5> {
    let options = ConvOptions::new(options.stride, options.padding, [1; 3], 1);
    burn_conv3d(input, weight, bias, options)
}

/// [`super::max_pool3d`] as two 2D poolings: the maximum is separable, first within slices, then across them.
///
/// # Panics
/// If a side of `window` is 0.
pub fn max_pool3d(input: Tensor<5>, window: [usize; 3]) -> Tensor<5> {
    let [depth, height, width] = window;
    let [n, c, d, h, w] = input.dims();
    let (ho, wo) = (h / height, w / width);
    let planes = max_pool2d(input.reshape([n * c, d, h, w]), MaxPoolOptions::new([height, width]));
    if depth == 1 {
        return planes.reshape([n, c, d, ho, wo]);
    }
    max_pool2d(planes.reshape([n * c, 1, d, ho * wo]), MaxPoolOptions::new([depth, 1])).reshape([
        n,
        c,
        d / depth,
        ho,
        wo,
    ])
}

/// [`super::batch_norm_relu_pool`] through burn's own operations.
///
/// # Panics
/// As [`BatchNorm::forward`] and [`max_pool3d`].
pub fn batch_norm_relu_pool(norm: &BatchNorm, input: Tensor<5>, window: [usize; 3]) -> Tensor<5> {
    let activation = relu(norm.forward(input));
    if window == [1; 3] {
        return activation;
    }
    max_pool3d(activation, window)
}

/// [`super::conv_block`] as three operations.
///
/// # Panics
/// As [`conv3d`] and [`max_pool3d`].
pub fn conv_block(
    input: Tensor<5>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    options: Conv3dOptions,
    window: [usize; 3],
) -> Tensor<5> {
    let activation = relu(conv3d(input, weight, Some(bias), options));
    if window == [1; 3] {
        return activation;
    }
    max_pool3d(activation, window)
}
