//! The convolution at inference on a GPU, through CubeCL.

mod conv;
mod plan;
#[cfg(test)]
mod tests;

use burn::backend::{Cube, TensorMetadata, tensor::FloatTensor, wgpu::CubeTensor};
use burn_cubecl::{cubecl::client::Client, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype};

use self::plan::{Adapter, Plan};
use super::{
    backend::{Inference, pooled},
    cpu::{conv::Conv, correlation::Epilogue},
};

/// Whether our kernel runs this convolution.
pub(super) fn runs(conv: &Conv, epilogue: Epilogue) -> bool {
    Plan::new(conv, epilogue, Adapter::Gpu).is_some()
}

/// Natively burn knows no card behind an adapter that is none; in the browser the few lanes of a processor tell it.
fn adapter(client: &Client) -> Adapter {
    let properties = client.properties();
    if properties.identity.physical.is_none() || properties.hardware.plane_size_max <= 8 {
        Adapter::Processor
    } else {
        Adapter::Gpu
    }
}

impl Inference for Cube {
    fn infer(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        conv: Conv,
        epilogue: Epilogue,
    ) -> FloatTensor<Self> {
        let adapter = adapter(&input.client);
        run(input, weight, bias, &conv, epilogue, adapter)
    }
}

fn run(
    input: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    conv: &Conv,
    epilogue: Epilogue,
    adapter: Adapter,
) -> CubeTensor {
    let shape = match epilogue {
        Epilogue::Store => conv.output_shape(),
        Epilogue::ReluPool(window) => pooled(conv.output_shape(), window),
    };
    let [input, weight, bias] = [input, weight, bias].map(into_contiguous);
    let (client, device, dtype) = (input.client.clone(), input.device.clone(), input.dtype());
    let output = empty_device_contiguous_dtype(client, device, shape.into(), dtype);
    if let Some(plan) = Plan::new(conv, epilogue, adapter) {
        conv::launch(plan, conv, input, weight, bias, output.clone());
    }
    output
}
