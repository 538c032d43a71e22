//! The convolution at inference on a GPU, through CubeCL.

mod conv;
mod plan;
#[cfg(test)]
mod tests;

use burn::backend::{Cube, TensorMetadata, tensor::FloatTensor, wgpu::CubeTensor};
use burn_cubecl::{kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype};

use self::plan::Plan;
use super::{
    backend::{Inference, inferred},
    cpu::{conv::Conv, correlation::Epilogue},
};

/// Whether our kernel runs this convolution.
pub(super) fn runs(conv: &Conv, epilogue: Epilogue) -> bool {
    Plan::new(conv, epilogue).is_some()
}

impl Inference for Cube {
    fn infer(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        conv: Conv,
        epilogue: Epilogue,
    ) -> FloatTensor<Self> {
        run(input, weight, bias, &conv, epilogue)
    }
}

fn run(input: CubeTensor, weight: CubeTensor, bias: CubeTensor, conv: &Conv, epilogue: Epilogue) -> CubeTensor {
    let shape = inferred(conv, epilogue);
    let [input, weight, bias] = [input, weight, bias].map(into_contiguous);
    let (client, device, dtype) = (input.client.clone(), input.device.clone(), input.dtype());
    let output = empty_device_contiguous_dtype(client, device, shape.into(), dtype);
    if let Some(plan) = Plan::new(conv, epilogue) {
        conv::launch(plan, conv, input, weight, bias, output.clone());
    }
    output
}
