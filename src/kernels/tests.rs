use crate::network::SplitMix64;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

#[cfg(feature = "autodiff")]
use super::batch_norm_relu_pool;
use super::{Conv3dOptions, conv_block, conv3d, max_pool3d, reference};
#[cfg(feature = "autodiff")]
use burn::nn::{BatchNorm, BatchNormConfig};

/// Largest difference, as a share of the largest value.
fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let scale = b.clone().abs().max().into_scalar::<f32>().max(1e-3);
    (a - b).abs().max().into_scalar::<f32>() / scale
}

/// Normal numbers that follow from a seed, so that a case that fails can be run again.
struct Normal(SplitMix64);

impl Normal {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    fn tensor<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.0.normal()).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Input shape, kernel, output channels and options of a convolution that has at least one output.
fn convolutions() -> impl Strategy<Value = ([usize; 5], [usize; 5], Conv3dOptions)> {
    let odd = prop::sample::select(vec![1_usize, 3, 5]);
    (
        (1..3_usize, 1..6_usize, 1..8_usize, 1..13_usize, 1..30_usize),
        1..10_usize,
        [odd.clone(), odd.clone(), odd],
        [1..3_usize, 1..3_usize, 1..4_usize],
        [0..3_usize, 0..3_usize, 0..3_usize],
    )
        .prop_map(|((n, i, d, h, w), o, kernel, stride, padding)| {
            let [kd, kh, kw] = kernel;
            ([n, i, d, h, w], [o, i, kd, kh, kw], Conv3dOptions { stride, padding })
        })
        .prop_filter("no output", |(input, weight, options)| {
            (0..3).all(|a| input[a + 2] + 2 * options.padding[a] >= weight[a + 2])
        })
}

proptest! {
    #[test]
    fn a_convolution_equals_the_plain_one((input, weight, options) in convolutions(), seed: u64) {
        let mut normal = Normal::new(seed);
        let device = Device::flex();
        let bias = normal.tensor([weight[0]], &device);
        let (input, weight) = (normal.tensor(input, &device), normal.tensor(weight, &device));
        let expected = reference::conv3d(input.clone(), weight.clone(), Some(bias.clone()), options);
        let got = conv3d(input, weight, Some(bias), options);
        prop_assert!(difference(got, expected) < 1e-5);
    }

    #[test]
    fn a_block_equals_its_three_operations(
        (input, weight, options) in convolutions(),
        window in [1..3_usize, 1..3_usize, 1..4_usize],
        seed: u64,
    ) {
        let mut normal = Normal::new(seed);
        let device = Device::flex();
        let bias = normal.tensor([weight[0]], &device);
        let (input, weight) = (normal.tensor(input, &device), normal.tensor(weight, &device));
        let whole = conv3d(input.clone(), weight.clone(), Some(bias.clone()), options).dims();
        prop_assume!((0..3).all(|a| whole[a + 2] >= window[a]));
        let expected =
            reference::conv_block(input.clone(), weight.clone(), bias.clone(), options, window);
        let got = conv_block(input, weight, bias, options, window);
        prop_assert!(difference(got, expected) < 1e-5);
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn gradients_of_a_convolution_equal_the_plain_ones((input, weight, options) in convolutions(), seed: u64) {
        let mut normal = Normal::new(seed);
        let device = Device::flex().autodiff();
        let run = |convolve: fn(Tensor<5>, Tensor<5>, Option<Tensor<1>>, Conv3dOptions) -> Tensor<5>,
                   values: [Tensor<5>; 2]| {
            let [input, weight] = values.map(|v| Tensor::from_inner(v).require_grad());
            let output = convolve(input.clone(), weight.clone(), None, options);
            // A loss whose gradient differs from output to output.
            let gradients = (output.clone() * output).sum().backward();
            [input, weight].map(|v| v.grad(&gradients).expect("a gradient"))
        };
        let plain = device.clone().inner();
        let values = [normal.tensor(input, &plain), normal.tensor(weight, &plain)];
        let got = run(conv3d, values.clone());
        let expected = run(reference::conv3d, values);
        for (got, expected) in got.into_iter().zip(expected) {
            prop_assert!(difference(got, expected) < 1e-4);
        }
    }

    #[test]
    fn pooling_equals_the_plain_one(
        shape in [1..3_usize, 1..4_usize, 1..7_usize, 1..11_usize, 1..20_usize],
        window in [1..4_usize, 1..4_usize, 1..4_usize],
        seed: u64,
    ) {
        let mut normal = Normal::new(seed);
        prop_assume!((0..3).all(|a| shape[a + 2] >= window[a]));
        let input = normal.tensor(shape, &Device::flex());
        let expected = reference::max_pool3d(input.clone(), window);
        prop_assert_eq!(
            max_pool3d(input, window).into_data(),
            expected.into_data()
        );
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn gradients_of_pooling_equal_the_plain_ones(
        shape in [1..3_usize, 1..4_usize, 1..7_usize, 1..11_usize, 1..20_usize],
        window in [1..4_usize, 1..4_usize, 1..4_usize],
        seed: u64,
    ) {
        let mut normal = Normal::new(seed);
        prop_assume!((0..3).all(|a| shape[a + 2] >= window[a]));
        let input = normal.tensor(shape, &Device::flex());
        let run = |pool: fn(Tensor<5>, [usize; 3]) -> Tensor<5>| {
            let input = Tensor::from_inner(input.clone()).require_grad();
            let output = pool(input.clone(), window);
            let gradients = (output.clone() * output).sum().backward();
            input.grad(&gradients).expect("a gradient")
        };
        prop_assert!(difference(run(max_pool3d), run(reference::max_pool3d)) < 1e-6);
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn batch_normalisation_equals_the_plain_one_with_gradients_and_running_statistics(
        shape in [1..4_usize, 1..5_usize, 1..7_usize, 3..11_usize, 3..20_usize],
        window in [1..3_usize, 1..3_usize, 1..4_usize],
        mean in -5.0..5.0_f32,
        seed: u64,
    ) {
        type Normalise = fn(&BatchNorm, Tensor<5>, [usize; 3]) -> Tensor<5>;
        let mut normal = Normal::new(seed);
        prop_assume!((0..3).all(|a| shape[a + 2] >= window[a]));
        let device = Device::flex();
        let channels = shape[1];
        let input = normal.tensor(shape, &device) + mean;
        let [gamma, beta] = [normal.tensor([channels], &device), normal.tensor([channels], &device)];
        let [n, c, d, h, w] = shape;
        let weighting = normal.tensor([n, c, d / window[0], h / window[1], w / window[2]], &device);
        let run = |normalise: Normalise| {
            let mut norm = BatchNormConfig::new(channels).init(&device.clone().autodiff());
            norm.gamma = norm.gamma.map(|_| Tensor::from_inner(gamma.clone()).require_grad());
            norm.beta = norm.beta.map(|_| Tensor::from_inner(beta.clone()).require_grad());
            let input = Tensor::from_inner(input.clone()).require_grad();
            let output = normalise(&norm, input.clone(), window);
            // Without weights, a channel that ReLU nowhere cuts has no gradient but rounding.
            let weighted = output.clone() * output.clone() * Tensor::from_inner(weighting.clone());
            let gradients = weighted.sum().backward();
            (
                [output.inner(), input.grad(&gradients).expect("a gradient")],
                [
                    norm.gamma.grad(&gradients).expect("a gradient"),
                    norm.beta.grad(&gradients).expect("a gradient"),
                    norm.running_mean.value_sync().inner(),
                    norm.running_var.value_sync().inner(),
                ],
            )
        };
        let (got, got_small) = run(batch_norm_relu_pool);
        let (expected, expected_small) = run(reference::batch_norm_relu_pool);
        for (got, expected) in got.into_iter().zip(expected) {
            prop_assert!(difference(got, expected) < 1e-3);
        }
        for (got, expected) in got_small.into_iter().zip(expected_small) {
            prop_assert!(difference(got, expected) < 1e-3);
        }
    }
}

/// With enough channels to run by tiles, see `cpu::winograd`.
#[test]
fn a_block_of_many_channels_equals_its_three_operations() {
    let mut normal = Normal::new(7);
    let device = Device::flex();
    for (kernel, window) in [([1, 3, 3], [1, 2, 2]), ([3, 3, 3], [1; 3]), ([3, 3, 3], [2; 3])] {
        let options = Conv3dOptions { padding: [kernel[0] / 2, 1, 0], stride: [1; 3] };
        let input = normal.tensor([2, 24, 5, 26, 19], &device);
        let weight = normal.tensor([30, 24, kernel[0], kernel[1], kernel[2]], &device);
        let bias = normal.tensor([30], &device);
        let expected = reference::conv_block(input.clone(), weight.clone(), bias.clone(), options, window);
        assert!(difference(conv_block(input, weight, bias, options, window), expected) < 1e-5);
    }
}

/// Gradients against differences of the loss itself, without the help of any other implementation.
#[cfg(feature = "autodiff")]
#[test]
fn gradients_are_slopes() {
    // Small, so that few maxima and signs change on the way.
    const STEP: f32 = 1e-3;
    let mut normal = Normal::new(1);
    let device = Device::flex();
    let channels = 3;
    let values: [Tensor<1>; 4] = [
        normal.tensor([2 * 3 * 7 * 9 * 2], &device),
        normal.tensor([channels * 2 * 3 * 3 * 3], &device),
        normal.tensor([channels], &device),
        normal.tensor([channels], &device),
    ];
    let weighting = normal.tensor([2, channels, 3, 3, 4], &device);
    let loss = |values: [Tensor<1>; 4]| {
        let [input, weight, gamma, beta] = values;
        let mut norm = BatchNormConfig::new(channels).init(&device.clone().autodiff());
        norm.gamma = norm.gamma.map(|_| gamma.clone());
        norm.beta = norm.beta.map(|_| beta.clone());
        let features = conv3d(
            input.reshape([2, 2, 3, 7, 9]),
            weight.reshape([channels, 2, 3, 3, 3]),
            None,
            Conv3dOptions::same([3; 3]),
        );
        let output = batch_norm_relu_pool(&norm, features, [1, 2, 2]);
        (output * Tensor::from_inner(weighting.clone())).sum()
    };
    let lifted = values.clone().map(|v| Tensor::from_inner(v).require_grad());
    let gradients = loss(lifted.clone()).backward();
    for (at, (value, lifted)) in values.iter().zip(&lifted).enumerate() {
        let gradient = lifted.grad(&gradients).expect("a gradient");
        let direction = normal.tensor(value.dims(), &device);
        let direction = direction.clone() / direction.powi_scalar(2).sum().sqrt();
        let expected = (gradient * direction.clone()).sum().into_scalar::<f32>();
        let [ahead, behind] = [STEP, -STEP].map(|step| {
            let mut moved = values.clone();
            moved[at] = value.clone() + direction.clone() * step;
            loss(moved.map(Tensor::from_inner)).inner().into_scalar::<f32>()
        });
        let slope = (ahead - behind) / (2.0 * STEP);
        assert!((slope - expected).abs() < 0.05 * expected.abs().max(1.0), "value {at}: {slope} against {expected}");
    }
}
