//! Our kernels as an extension of burn's CPU backend, and with gradients of its autodiff form.
//!
//! Tensors of other devices and number formats go to [`super::reference`].

use burn::{
    backend::{
        Backend, DispatchDevice, Flex, backend_extension,
        flex::{FlexTensor, Layout},
        tensor::FloatTensor,
    },
    tensor::{Bytes, DType, Tensor},
};

use super::cpu::conv::{self, Conv, Epilogue};

/// Whether operations on this tensor run on our kernels.
pub(super) fn ours<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(tensor.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Operations beyond those burn's backends have.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub(super) trait Kernels: Backend {
    /// Convolution of shape `conv`.
    fn convolve(input: FloatTensor<Self>, weight: FloatTensor<Self>, conv: Conv) -> FloatTensor<Self>;

    /// Convolution of shape `conv`, bias, ReLU and max pooling over `window`; without gradients.
    fn convolve_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        conv: Conv,
        window: [usize; 3],
    ) -> FloatTensor<Self>;
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

    fn convolve_block(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        conv: Conv,
        window: [usize; 3],
    ) -> FlexTensor {
        let output = conv::forward(
            &conv,
            values(&input.to_contiguous()),
            values(&weight.to_contiguous()),
            Some(values(&bias.to_contiguous())),
            Epilogue::ReluPool(window),
        );
        let [n, c, d, h, w] = conv.output_shape();
        let [depth, height, width] = window;
        tensor(output, [n, c, d / depth, h / height, w / width])
    }
}

/// The numbers of a contiguous `f32` tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

#[cfg(feature = "autodiff")]
mod autodiff {
    use burn::backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
        tensor::FloatTensor,
    };

    use super::{Conv, Kernels, conv, tensor, values};

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

        fn convolve_block(
            input: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            conv: Conv,
            window: [usize; 3],
        ) -> FloatTensor<Self> {
            FloatTensor::<Self>::new(Flex::convolve_block(
                input.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
                conv,
                window,
            ))
        }
    }
}
