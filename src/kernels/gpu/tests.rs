//! The kernel against plain tensor code on the CPU. Every shape is a shader to compile, so there are not many.

use burn::{
    backend::{Cube, DispatchTensorKind, TensorMetadata, ops::FloatTensorOps, wgpu::CubeTensor},
    tensor::{Device, DeviceKind, Tensor, TensorData, try_read_sync},
};
use proptest::prelude::*;

use super::run;
use crate::kernels::{
    Conv3dOptions,
    backend::infers,
    conv3d,
    cpu::{conv::Conv, correlation::Epilogue},
    reference,
};
use crate::network::SplitMix64;

fn gpu() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

fn values<const D: usize>(shape: [usize; D], random: &mut SplitMix64) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    match tensor.to_device(&gpu()).into_dispatch().kind {
        DispatchTensorKind::Cube(tensor) => tensor.float(),
        other => panic!("not on the GPU: {other:?}"),
    }
}

/// Largest difference between kernel and plain code, as a share of the largest value.
fn difference(
    input: [usize; 5],
    weight: [usize; 5],
    options: Conv3dOptions,
    window: Option<[usize; 3]>,
    seed: u64,
) -> f32 {
    let mut random = SplitMix64::new(seed);
    let bias = values([weight[0]], &mut random);
    let (input, weight) = (values(input, &mut random), values(weight, &mut random));
    let conv = Conv::new(input.dims(), weight.dims(), options.stride, options.padding).unwrap();
    let epilogue = window.map_or(Epilogue::Store, Epilogue::ReluPool);
    let [i, w, b] = [primitive(input.clone()), primitive(weight.clone()), primitive(bias.clone())];
    let expected = match window {
        Some(window) => reference::conv_block(input, weight, bias, options, window),
        None => reference::conv3d(input, weight, Some(bias), options),
    };
    let scale = expected.clone().abs().max().into_scalar::<f32>().max(1e-3);
    let shape = expected.dims();
    let expected: Vec<f32> = expected.into_data().iter().collect();
    let got = run(i, w, b, &conv, epilogue);
    assert_eq!(got.shape().dims(), shape);
    let got = try_read_sync(Cube::float_into_data(got)).unwrap().unwrap();
    // Not `f32::max`, which passes over what is no number.
    let most = got.iter::<f32>().zip(expected).fold(0.0, |most, (got, expected)| {
        let difference = (got - expected).abs();
        if difference <= most { most } else { difference }
    });
    most / scale
}

#[test]
fn layers_of_the_networks_equal_the_plain_ones() {
    let same = |kernel: [usize; 3], stride| Conv3dOptions::same(kernel).with_stride([1, stride, stride]);
    let valid = Conv3dOptions { stride: [1; 3], padding: [0; 3] };
    for (input, weight, options, window) in [
        ([1, 1, 3, 96, 80], [16, 1, 1, 3, 3], same([1, 3, 3], 2), Some([1; 3])),
        ([2, 16, 3, 48, 40], [24, 16, 1, 3, 3], same([1, 3, 3], 1), Some([1, 2, 2])),
        ([1, 24, 5, 24, 20], [32, 24, 3, 3, 3], same([3; 3], 1), Some([1, 2, 2])),
        ([3, 32, 4, 12, 10], [48, 32, 3, 3, 3], same([3; 3], 1), Some([1; 3])),
        ([2, 48, 4, 12, 10], [1, 48, 1, 1, 1], valid, None),
        ([1, 1, 11, 20, 22], [64, 1, 3, 3, 3], valid, Some([2; 3])),
        ([1, 64, 9, 13, 12], [64, 64, 3, 3, 3], valid, Some([2; 3])),
        ([2, 64, 7, 9, 8], [128, 64, 3, 3, 3], valid, Some([2; 3])),
    ] {
        let difference = difference(input, weight, options, window, 7);
        assert!(difference < 1e-5, "{input:?} {weight:?} {options:?} {window:?}: {difference}");
    }
}

#[test]
fn windows_that_leave_a_remainder_and_large_ones_equal_the_plain_ones() {
    for (outputs, window) in [(5, [2, 3, 2]), (3, [4, 4, 4]), (70, [1, 1, 2])] {
        let options = Conv3dOptions { stride: [1, 1, 1], padding: [1, 0, 2] };
        let difference = difference([2, 3, 9, 13, 15], [outputs, 3, 3, 1, 5], options, Some(window), 8);
        assert!(difference < 1e-5, "{outputs} {window:?}: {difference}");
    }
}

#[test]
fn a_tensor_that_is_not_contiguous_is_read_right() {
    let mut random = SplitMix64::new(9);
    let (input, weight) = (values([1, 3, 6, 5, 7], &mut random), values([4, 3, 3, 3, 3], &mut random));
    let bias = values([4], &mut random);
    let options = Conv3dOptions::same([3; 3]);
    let run = |device: &Device, convolve: fn(_, _, _, _) -> Tensor<5>| {
        let input = input.clone().to_device(device).permute([0, 1, 4, 2, 3]);
        let (weight, bias) = (weight.clone().to_device(device), bias.clone().to_device(device));
        let conv = Conv::new(input.dims(), weight.dims(), options.stride, options.padding).unwrap();
        assert!(infers(&input, &weight, &bias, &conv, Epilogue::Store), "not our kernel");
        convolve(input, weight, Some(bias), options).into_data()
    };
    let (got, expected) = (run(&gpu(), conv3d), run(&Device::flex(), reference::conv3d));
    for (got, expected) in got.iter::<f32>().zip(expected.iter::<f32>()) {
        assert!((got - expected).abs() < 1e-4, "{got} {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn any_convolution_equals_the_plain_one(
        input in [1..3_usize, 1..6_usize, 1..9_usize, 1..13_usize, 1..20_usize],
        outputs in 1..40_usize,
        kernel in [0..3_usize, 0..3_usize, 0..4_usize],
        stride in [1..3_usize, 1..3_usize, 1..4_usize],
        padding in [0..3_usize, 0..3_usize, 0..3_usize],
        window in prop::option::of([1..4_usize, 1..3_usize, 1..4_usize]),
        seed: u64,
    ) {
        let kernel = kernel.map(|half| 2 * half + 1);
        for axis in 0..3 {
            let padded = input[axis + 2] + 2 * padding[axis];
            prop_assume!(padded >= kernel[axis]);
            let side = window.map_or(1, |window: [usize; 3]| window[axis]);
            prop_assume!((padded - kernel[axis]) / stride[axis] + 1 >= side);
        }
        let weight = [outputs, input[1], kernel[0], kernel[1], kernel[2]];
        let difference = difference(input, weight, Conv3dOptions { stride, padding }, window, seed);
        prop_assert!(difference < 1e-5, "{difference}");
    }
}
