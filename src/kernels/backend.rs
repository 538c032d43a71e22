//! Our kernels as extensions of burn's backends: all operations, with gradients, of the CPU's, and the convolution at
//! inference also of the GPU's.
//!
//! Tensors of other devices and number formats go to [`super::reference`].

use burn::{
    backend::{
        Backend, DispatchDevice, Flex, TensorMetadata, backend_extension,
        flex::{FlexTensor, Layout},
        tensor::FloatTensor,
    },
    tensor::{Bytes, DType, Device, Shape, Tensor},
};

use super::cpu::{
    conv::{self, Conv},
    correlation::Epilogue,
    norm::{self, Norm},
    pool::{self, Pool},
};

/// Whether operations on this tensor, with gradients or without, run on our kernels for the CPU.
pub(super) fn ours<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(tensor.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether [`Inference`] runs this convolution where its tensors are.
pub(super) fn infers(input: &Tensor<5>, weight: &Tensor<5>, bias: &Tensor<1>, conv: &Conv, epilogue: Epilogue) -> bool {
    let device = input.device();
    let numbers = [input.dtype(), weight.dtype(), bias.dtype()] == [DType::F32; 3];
    if device.is_autodiff() || !numbers || bias.dims() != [conv.outputs] || weight.device() != device {
        return false;
    }
    matches!(device.as_dispatch(), DispatchDevice::Flex(_)) || infers_on_gpu(&device, conv, epilogue)
}

#[cfg(feature = "wgpu")]
fn infers_on_gpu(device: &Device, conv: &Conv, epilogue: Epilogue) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Cube(burn_cubecl::CubeDevice::Wgpu(_)))
        && super::gpu::runs(conv, epilogue)
}

#[cfg(not(feature = "wgpu"))]
fn infers_on_gpu(_: &Device, _: &Conv, _: Epilogue) -> bool {
    false
}

/// Operations at inference, without gradients.
#[backend_extension(Flex, Cube: cfg(feature = "wgpu"))]
pub(super) trait Inference: Backend {
    /// Convolution of shape `conv`, bias, and what `epilogue` says.
    fn infer(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        conv: Conv,
        epilogue: Epilogue,
    ) -> FloatTensor<Self>;
}

impl Inference for Flex {
    fn infer(input: FlexTensor, weight: FlexTensor, bias: FlexTensor, conv: Conv, epilogue: Epilogue) -> FlexTensor {
        let output = conv::forward(
            &conv,
            values(&input.to_contiguous()),
            values(&weight.to_contiguous()),
            Some(values(&bias.to_contiguous())),
            epilogue,
        );
        tensor(output, inferred(&conv, epilogue))
    }
}

/// Operations of training, with gradients.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub(super) trait Kernels: Backend {
    /// Convolution of shape `conv`.
    fn convolve(input: FloatTensor<Self>, weight: FloatTensor<Self>, conv: Conv) -> FloatTensor<Self>;

    /// Max pooling of a tensor of rank 5.
    fn pool(input: FloatTensor<Self>, window: [usize; 3]) -> FloatTensor<Self>;

    /// Batch normalisation with the batch's own statistics, `ReLU` and max pooling over `window`; the mean and the biased
    /// variance of each channel come along, without gradients.
    fn normalise(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        window: [usize; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl Kernels for Flex {
    fn convolve(input: FlexTensor, weight: FlexTensor, conv: Conv) -> FlexTensor {
        let output = conv::forward(
            &conv,
            values(&input.to_contiguous()),
            values(&weight.to_contiguous()),
            None,
            Epilogue::Store,
        );
        tensor(output, conv.output_shape())
    }

    fn pool(input: FlexTensor, window: [usize; 3]) -> FlexTensor {
        let shape = input.shape().dims();
        let (output, _) = pool::forward(&pool_of(shape, window), values(&input.to_contiguous()));
        tensor(output, pooled(shape, window))
    }

    fn normalise(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
        window: [usize; 3],
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let shape = input.shape().dims();
        let result = norm::forward(
            &norm_of(shape, epsilon, window),
            values(&input.to_contiguous()),
            values(&gamma.to_contiguous()),
            values(&beta.to_contiguous()),
        );
        (
            tensor(result.output, pooled(shape, window)),
            tensor(result.mean, [shape[1]]),
            tensor(result.variance, [shape[1]]),
        )
    }
}

/// Shape of what [`Inference::infer`] gives.
pub(super) fn inferred(conv: &Conv, epilogue: Epilogue) -> [usize; 5] {
    match epilogue {
        Epilogue::Store => conv.output_shape(),
        Epilogue::ReluPool(window) => pooled(conv.output_shape(), window),
    }
}

/// Shape after pooling.
fn pooled([n, c, d, h, w]: [usize; 5], [depth, height, width]: [usize; 3]) -> [usize; 5] {
    [n, c, d / depth, h / height, w / width]
}

fn pool_of([n, c, d, h, w]: [usize; 5], window: [usize; 3]) -> Pool {
    Pool { images: n * c, size: [d, h, w], window }
}

fn norm_of([batch, channels, d, h, w]: [usize; 5], epsilon: f64, window: [usize; 3]) -> Norm {
    Norm { batch, channels, size: [d, h, w], window, epsilon: epsilon as f32 }
}

/// The numbers of a contiguous `f32` tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

#[cfg(feature = "autodiff")]
mod autodiff {
    use std::sync::Arc;

    use burn::backend::{
        Autodiff, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
        tensor::FloatTensor,
    };

    use super::{Conv, Kernels, Norm, Pool, conv, norm, norm_of, pool, pool_of, pooled, tensor, values};

    #[derive(Debug)]
    struct Convolve;

    impl Backward<Flex, 2> for Convolve {
        type State = (FlexTensor, FlexTensor, Conv);

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
            let (input, weight, conv) = ops.state;
            let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
            let [input_node, weight_node] = ops.parents;
            if let Some(node) = input_node {
                let gradient = conv::input_gradient(&conv, values(&gradient), values(&weight));
                grads.register::<Flex>(node.id, tensor(gradient, conv.input_shape()));
            }
            if let Some(node) = weight_node {
                let gradient = conv::weight_gradient(&conv, values(&input), values(&gradient));
                grads.register::<Flex>(node.id, tensor(gradient, conv.weight_shape()));
            }
        }
    }

    impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
        fn convolve(input: FloatTensor<Self>, weight: FloatTensor<Self>, conv: Conv) -> FloatTensor<Self> {
            let nodes = [input.node(), weight.node()];
            let input = input.into_primitive().to_contiguous();
            let weight = weight.into_primitive().to_contiguous();
            match Convolve.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let output = Flex::convolve(input.clone(), weight.clone(), conv);
                    prep.finish((input, weight, conv), output)
                }
                OpsKind::UnTracked(prep) => prep.finish(Flex::convolve(input, weight, conv)),
            }
        }

        fn pool(input: FloatTensor<Self>, window: [usize; 3]) -> FloatTensor<Self> {
            let nodes = [input.node()];
            let input = input.into_primitive().to_contiguous();
            match MaxPool.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let shape = input.shape().dims();
                    let pool = pool_of(shape, window);
                    let (output, places) = pool::forward(&pool, values(&input));
                    prep.finish((pool, shape, Arc::new(places)), tensor(output, pooled(shape, window)))
                }
                OpsKind::UnTracked(prep) => prep.finish(Flex::pool(input, window)),
            }
        }

        fn normalise(
            input: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            epsilon: f64,
            window: [usize; 3],
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let nodes = [input.node(), gamma.node(), beta.node()];
            let input = input.into_primitive().to_contiguous();
            let gamma = gamma.into_primitive().to_contiguous();
            let beta = beta.into_primitive().to_contiguous();
            let shape = input.shape().dims();
            let norm = norm_of(shape, epsilon, window);
            let mut result = norm::forward(&norm, values(&input), values(&gamma), values(&beta));
            let output = tensor(std::mem::take(&mut result.output), pooled(shape, window));
            let [mean, variance] = [&result.mean, &result.variance]
                .map(|values| FloatTensor::<Self>::new(tensor(values.clone(), [shape[1]])));
            let output = match Normalise.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((norm, [input, gamma, beta], Arc::new(result)), output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            };
            (output, mean, variance)
        }
    }

    #[derive(Debug)]
    struct MaxPool;

    impl Backward<Flex, 1> for MaxPool {
        type State = (Pool, [usize; 5], Arc<Vec<u32>>);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
            let (pool, shape, places) = ops.state;
            let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
            let [node] = ops.parents;
            if let Some(node) = node {
                let gradient = pool::backward(&pool, &places, values(&gradient));
                grads.register::<Flex>(node.id, tensor(gradient, shape));
            }
        }
    }

    #[derive(Debug)]
    struct Normalise;

    impl Backward<Flex, 3> for Normalise {
        /// Input, scale and shift, and what the forward pass found.
        type State = (Norm, [FlexTensor; 3], Arc<norm::Normalised>);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
            let (norm, parents, forward) = ops.state;
            let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
            let found = norm::backward(&norm, parents.each_ref().map(values), &forward, values(&gradient));
            for ((node, parent), gradient) in
                ops.parents.into_iter().zip(parents).zip([found.input, found.gamma, found.beta])
            {
                if let Some(node) = node {
                    grads.register::<Flex>(node.id, tensor(gradient, parent.shape()));
                }
            }
        }
    }
}
