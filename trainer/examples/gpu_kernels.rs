//! Times the networks' convolutions on a GPU: our kernel against burn's own path, by turns in one run.
//!
//! ```text
//! cargo run --features ictus-trainer/wgpu -p ictus-trainer --example gpu_kernels -- [--compact-only] [--only-ours] [JSON]
//! ```
//!
//! `--compact-only` leaves out the published network and the batches of 8, which take a processor that plays a GPU minutes;
//! `--only-ours` leaves out burn's path. `cudnn.py` beside this file times the same shapes in PyTorch.

use std::time::Instant;

use burn::tensor::{Device, DeviceKind, Distribution, ExecutionError, Tensor};
use ictus::{
    kernels::{Conv3dOptions, conv_block, reference},
    network::{ConfigError, NetworkConfig},
};
use serde_json::{Value, json};

/// Rounds of which the median counts.
const ROUNDS: usize = 5;
/// Time that the calls queued before a wait should take.
const SECONDS: f64 = 0.2;

type Block = fn(Tensor<5>, Tensor<5>, Tensor<1>, Conv3dOptions, [usize; 3]) -> Tensor<5>;

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("running the convolutions: {0:?}; use another device")]
    Device(#[from] ExecutionError),
    #[error(transparent)]
    Network(#[from] ConfigError),
    #[error("writing the measurements: {0}")]
    Write(#[from] std::io::Error),
}

/// A convolution with all that it works on.
#[derive(Clone)]
struct Layer {
    name: String,
    input: Tensor<5>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    options: Conv3dOptions,
    window: [usize; 3],
    operations: f64,
}

fn random<const D: usize>(shape: [usize; D], scale: f64, device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, scale), device)
}

fn layers(config: &NetworkConfig, batch: usize, input: [usize; 3], device: &Device) -> Result<Vec<Layer>, ConfigError> {
    let rows = config.layers(input)?;
    let (mut channels, mut size) = (config.in_channels, input);
    let mut layers = Vec::new();
    for (index, block) in config.blocks.iter().enumerate() {
        let ([kd, kh, kw], [d, h, w]) = (block.kernel, size);
        let taps = channels * kd * kh * kw;
        layers.push(Layer {
            name: format!("{kd}x{kh}x{kw} {channels}->{} {d}x{h}x{w}", block.channels),
            input: random([batch, channels, d, h, w], 1.0, device),
            weight: random([block.channels, channels, kd, kh, kw], (2.0 / taps as f64).sqrt(), device),
            bias: random([block.channels], 1.0, device),
            options: Conv3dOptions { stride: block.stride, padding: block.padding_sides() },
            window: block.pool,
            operations: batch as f64 * rows[2 * index].flop as f64,
        });
        let [_, d, h, w] = rows[2 * index + 1].output;
        (channels, size) = (block.channels, [d, h, w]);
    }
    Ok(layers)
}

fn run(layers: &[Layer], block: Block) -> Option<Tensor<5>> {
    layers.iter().fold(None, |input: Option<Tensor<5>>, layer| {
        let input = input.unwrap_or_else(|| layer.input.clone());
        Some(block(input, layer.weight.clone(), layer.bias.clone(), layer.options, layer.window))
    })
}

/// Seconds of one call with a wait after it, and of one among many that are queued.
#[derive(Clone, Copy)]
struct Times {
    alone: f64,
    queued: f64,
}

fn time(layers: &[Layer], block: Block, repeats: usize, device: &Device) -> Result<f64, ExecutionError> {
    let start = Instant::now();
    for _ in 0..repeats {
        run(layers, block);
    }
    device.sync()?;
    Ok(start.elapsed().as_secs_f64() / repeats as f64)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Times of each path, measured by turns.
fn measure(layers: &[Layer], paths: &[Block], device: &Device) -> Result<Vec<Times>, ExecutionError> {
    let mut repeats = Vec::new();
    for &path in paths {
        // The first compiles the shaders.
        time(layers, path, 1, device)?;
        let rough = time(layers, path, 1, device)?;
        repeats.push(((SECONDS / rough) as usize).clamp(1, 2000));
    }
    let mut seconds = vec![(Vec::new(), Vec::new()); paths.len()];
    for _ in 0..ROUNDS {
        for ((&path, &repeats), (alone, queued)) in paths.iter().zip(&repeats).zip(&mut seconds) {
            alone.push(time(layers, path, 1, device)?);
            queued.push(time(layers, path, repeats, device)?);
        }
    }
    Ok(seconds.into_iter().map(|(alone, queued)| Times { alone: median(alone), queued: median(queued) }).collect())
}

fn report(
    net: &str,
    batch: usize,
    name: &str,
    layers: &[Layer],
    paths: &[(&str, Block)],
    device: &Device,
) -> Result<Value, ExecutionError> {
    let operations: f64 = layers.iter().map(|layer| layer.operations).sum();
    let blocks: Vec<Block> = paths.iter().map(|path| path.1).collect();
    let times = measure(layers, &blocks, device)?;
    let mut row = json!({ "net": net, "batch": batch, "layer": name, "gflop": operations / 1e9 });
    print!("{net:9} x{batch}  {name:30}");
    for (&(path, _), time) in paths.iter().zip(&times) {
        let gflops = operations / time.queued / 1e9;
        print!("  {path} {:9.3} ms ({:8.3} alone) {gflops:9.1} GFLOP/s", time.queued * 1e3, time.alone * 1e3);
        row[path] = json!({ "ms": time.queued * 1e3, "latency_ms": time.alone * 1e3, "gflops": gflops });
    }
    if let [ours, burn] = times[..] {
        print!("  {:.1}x", burn.queued / ours.queued);
    }
    println!();
    Ok(row)
}

fn main() -> Result<(), BenchError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let adapter = device.identity().map_or_else(String::new, |identity| identity.name);
    println!("{adapter}");
    let paths: &[(&str, Block)] = &[("ours", conv_block), ("burn", reference::conv_block)];
    let paths = if has("--only-ours") { &paths[..1] } else { paths };
    let nets = [
        ("compact", NetworkConfig::compact(), [28, 96, 80]),
        ("published", NetworkConfig::published(), [64, 128, 128]),
    ];
    let mut rows = Vec::new();
    for (net, config, input) in &nets[..if has("--compact-only") { 1 } else { 2 }] {
        for &batch in if has("--compact-only") { &[1][..] } else { &[1, 8] } {
            let layers = layers(config, batch, *input, &device)?;
            for layer in &layers {
                rows.push(report(net, batch, &layer.name, std::slice::from_ref(layer), paths, &device)?);
            }
            rows.push(report(net, batch, "all layers", &layers, paths, &device)?);
        }
    }
    let path = arguments.iter().find(|argument| !argument.starts_with("--"));
    path.map_or(Ok(()), |path| std::fs::write(path, json!({ "adapter": adapter, "rows": rows }).to_string()))?;
    Ok(())
}
