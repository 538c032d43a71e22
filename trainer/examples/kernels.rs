//! Times the network's operations: ours against burn's own, and a whole training step of a network of its shape.
//!
//! `cargo xtask bench` runs it; `RAYON_NUM_THREADS=1` for one thread. With a path it also writes what it measured there, as JSON.

use std::time::Instant;

use burn::{
    module::{Initializer, Module, Param},
    nn::{BatchNorm, BatchNormConfig},
    optim::{AdamWConfig, GradientsParams},
    tensor::{Device, Distribution, Tensor},
};
use ictus::kernels::{self, Conv3dOptions, batch_norm_relu_pool, conv3d};
use serde_json::{Value, json};

/// Name, channels in and out, kernel, stride, slices, rows and columns of the input.
type Layer = (&'static str, usize, usize, [usize; 3], usize, [usize; 3]);

const LAYERS: [Layer; 4] = [
    ("1x3x3/2  1->16  96x80", 1, 16, [1, 3, 3], 2, [20, 96, 80]),
    ("1x3x3   16->24  48x40", 16, 24, [1, 3, 3], 1, [20, 48, 40]),
    ("3x3x3   24->32  24x20", 24, 32, [3, 3, 3], 1, [20, 24, 20]),
    ("3x3x3   32->48  12x10", 32, 48, [3, 3, 3], 1, [20, 12, 10]),
];
const BATCH: usize = 4;

/// Median of seven runs, in seconds, after one that warms up.
fn time(mut run: impl FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[3]
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

type Convolve = fn(Tensor<5>, Tensor<5>, Option<Tensor<1>>, Conv3dOptions) -> Tensor<5>;

/// Seconds of a forward pass and of the gradients.
fn layer(convolve: Convolve, (_, inputs, outputs, kernel, stride, size): Layer) -> (f64, f64) {
    let plain = Device::flex();
    let [d, h, w] = size;
    let input = random([BATCH, inputs, d, h, w], &plain);
    let weight = random([outputs, inputs, kernel[0], kernel[1], kernel[2]], &plain);
    let options = Conv3dOptions::same(kernel).with_stride([1, stride, stride]);
    let forward = time(|| {
        convolve(input.clone(), weight.clone(), None, options);
    });
    let input = Tensor::from_inner(input).require_grad();
    let weight = Tensor::from_inner(weight).require_grad();
    let both = time(|| {
        let output = convolve(input.clone(), weight.clone(), None, options);
        output.backward();
    });
    (forward, both - forward)
}

type Block = fn(Tensor<5>, Tensor<5>, Tensor<1>, Conv3dOptions, [usize; 3]) -> Tensor<5>;

/// Seconds of a block at inference, pooled as in the network that ships.
fn block(block: Block, (_, inputs, outputs, kernel, stride, [d, h, w]): Layer) -> f64 {
    let device = Device::flex();
    let input = random([BATCH, inputs, d, h, w], &device);
    let weight = random([outputs, inputs, kernel[0], kernel[1], kernel[2]], &device);
    let bias = random([outputs], &device);
    let options = Conv3dOptions::same(kernel).with_stride([1, stride, stride]);
    time(|| {
        block(input.clone(), weight.clone(), bias.clone(), options, window(outputs));
    })
}

/// The pooling after the layer of so many outputs.
fn window(outputs: usize) -> [usize; 3] {
    if matches!(outputs, 24 | 32) { [1, 2, 2] } else { [1; 3] }
}

#[derive(Module, Debug)]
struct Network {
    weights: Vec<Param<Tensor<5>>>,
    norms: Vec<BatchNorm>,
    head: Param<Tensor<5>>,
}

impl Network {
    fn new(device: &Device) -> Self {
        let kaiming = Initializer::KaimingUniform { gain: 2.0_f64.sqrt(), fan_out_only: false };
        Self {
            weights: LAYERS
                .iter()
                .map(|&(_, i, o, [d, h, w], ..)| kaiming.init_with([o, i, d, h, w], Some(i * d * h * w), None, device))
                .collect(),
            norms: LAYERS.iter().map(|layer| BatchNormConfig::new(layer.2).init(device)).collect(),
            head: kaiming.init_with([1, 48, 1, 1, 1], Some(48), None, device),
        }
    }

    fn forward(&self, mut x: Tensor<5>) -> Tensor<5> {
        for (&(_, _, outputs, kernel, stride, _), (weight, norm)) in
            LAYERS.iter().zip(self.weights.iter().zip(&self.norms))
        {
            let options = Conv3dOptions::same(kernel).with_stride([1, stride, stride]);
            x = batch_norm_relu_pool(norm, conv3d(x, weight.val(), None, options), window(outputs));
        }
        conv3d(x, self.head.val(), None, Conv3dOptions::same([1; 3]))
    }
}

fn main() -> std::io::Result<()> {
    // `step` times the training step alone, for a profiler.
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("step") {
        step();
        return Ok(());
    }
    let mut measured = layers();
    measured["training_step_ms"] = step().into();
    argument.map_or(Ok(()), |path| std::fs::write(path, measured.to_string()))
}

fn layers() -> Value {
    let rounds = 5_000_000;
    let peak = kernels::multiply_add(rounds) as f64
        / time(|| {
            kernels::multiply_add(rounds);
        });
    let threads = rayon::current_num_threads();
    println!("peak of one thread {:.0} GFLOP/s, {threads} threads", peak / 1e9);
    println!(
        "layer                    forward GFLOP/s (share)   backward GFLOP/s   burn: forward, backward   block at inference, burn"
    );
    let mut measured = Vec::new();
    for shape in LAYERS {
        let (name, inputs, outputs, kernel, stride, [d, h, w]) = shape;
        let taps: usize = kernel.iter().product();
        let outputs = BATCH * outputs * d * (h / stride) * (w / stride);
        let operations = (2 * outputs * inputs * taps) as f64;
        let (forward, backward) = layer(conv3d, shape);
        let (burn_forward, burn_backward) = layer(kernels::reference::conv3d, shape);
        let (whole, burn_whole) = (block(kernels::conv_block, shape), block(kernels::reference::conv_block, shape));
        println!(
            "{name:24} {:5.1} ms {:5.1} ({:3.0} %)   {:5.1} ms {:5.1}   {:.1}x {:.1}x   {:5.1} ms {:.1}x",
            forward * 1e3,
            operations / forward / 1e9,
            100.0 * operations / forward / peak / threads as f64,
            backward * 1e3,
            2.0 * operations / backward / 1e9,
            burn_forward / forward,
            burn_backward / backward,
            whole * 1e3,
            burn_whole / whole,
        );
        measured.push(json!({
            "layer": name,
            "forward_gflops": operations / forward / 1e9,
            "forward_share_of_peak": operations / forward / peak / threads as f64,
            "backward_gflops": 2.0 * operations / backward / 1e9,
            "block_ms": whole * 1e3,
            "times_faster_than_burn": {
                "forward": burn_forward / forward, "backward": burn_backward / backward, "block": burn_whole / whole,
            },
        }));
    }
    json!({ "threads": threads, "peak_gflops_of_a_thread": peak / 1e9, "layers": measured })
}

/// Milliseconds of a training step.
fn step() -> f64 {
    let device = Device::flex().autodiff();
    let mut network = Network::new(&device);
    let mut optimizer = AdamWConfig::new().init();
    let input = random([BATCH, 1, 20, 96, 80], &device);
    let step = time(|| {
        let loss = network.forward(input.clone()).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(1e-3, network.clone(), gradients);
    });
    println!("training step of 4 x 20 slices of 96 x 80: {:.0} ms", step * 1e3);
    step * 1e3
}
