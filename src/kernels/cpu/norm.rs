//! Batch normalisation with the batch's own statistics, `ReLU` and max pooling in one operation, and its gradients
//! (Ioffe and Szegedy 2015, <https://arxiv.org/abs/1502.03167>).
//!
//! One channel is worked on at a time, so that what the first pass over it read is in the cache for the next ones.

use super::{
    machine::{Kernel, Lanes, dispatch, for_each},
    pool::Pool,
    shared::Shared,
};

/// Independent sums, which compilers turn into vectors.
const SUMS: usize = 16;

/// Shape of the operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    /// Samples.
    pub(crate) batch: usize,
    /// Channels.
    pub(crate) channels: usize,
    /// Depth, height, width.
    pub(crate) size: [usize; 3],
    /// Window of the pooling, none of its sides 0.
    pub(crate) window: [usize; 3],
    /// What is added to the variance.
    pub(crate) epsilon: f32,
}

/// Result of the forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Normalised {
    /// `[batch, channels, ..]` after pooling.
    pub(crate) output: Vec<f32>,
    /// Mean of each channel.
    pub(crate) mean: Vec<f32>,
    /// Biased variance of each channel.
    pub(crate) variance: Vec<f32>,
    /// Where in its image each maximum lies; empty without pooling.
    pub(crate) places: Vec<u32>,
}

/// Gradients of input, scale and shift.
pub(crate) struct Gradients {
    /// As the input.
    pub(crate) input: Vec<f32>,
    /// One a channel.
    pub(crate) gamma: Vec<f32>,
    /// One a channel.
    pub(crate) beta: Vec<f32>,
}

/// What a channel is multiplied by and what is added to it.
#[derive(Clone, Copy)]
struct Affine {
    scale: f32,
    shift: f32,
}

impl Affine {
    fn new(gamma: f32, beta: f32, mean: f32, variance: f32, epsilon: f32) -> Self {
        let scale = gamma / (variance + epsilon).sqrt();
        Self { scale, shift: beta - mean * scale }
    }

    // The same roundings forward and backward, so that both find the same values positive.
    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        x * self.scale + self.shift
    }
}

/// `ReLU` that keeps NaN.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

impl Norm {
    fn image(&self) -> usize {
        self.size.iter().product()
    }

    fn pool(&self) -> Pool {
        Pool { images: 1, size: self.size, window: self.window }
    }

    /// Whether there is a window at all.
    fn pools(&self) -> bool {
        self.window != [1; 3]
    }

    /// Length of an output image.
    fn output_image(&self) -> usize {
        self.pool().output().iter().product()
    }

    fn images<'a>(&'a self, values: &'a [f32], channel: usize, len: usize) -> impl Iterator<Item = &'a [f32]> + Clone {
        (0..self.batch).map(move |n| &values[(n * self.channels + channel) * len..][..len])
    }
}

/// Normalises `input` `[batch, channels, ..]`, then `ReLU` and pooling.
pub(crate) fn forward(norm: &Norm, input: &[f32], gamma: &[f32], beta: &[f32]) -> Normalised {
    let len = norm.output_image();
    let mut output = vec![0.0; norm.batch * norm.channels * len];
    let mut places = vec![0; if norm.pools() { output.len() } else { 0 }];
    let mut statistics = vec![[0.0; 2]; norm.channels];
    let shared_output = Shared::new(&mut output);
    let shared_places = Shared::new(&mut places);
    let shared_statistics = Shared::new(&mut statistics);
    for_each(norm.channels, |channel| {
        let run = |n: usize| (n * norm.channels + channel) * len;
        // SAFETY: every channel has its own runs.
        let (outputs, places, statistics) = unsafe {
            (
                (0..norm.batch).map(|n| shared_output.run(run(n), len)).collect(),
                (0..if norm.pools() { norm.batch } else { 0 }).map(|n| shared_places.run(run(n), len)).collect(),
                shared_statistics.run(channel, 1),
            )
        };
        dispatch(ForwardChannel {
            norm,
            input,
            channel,
            gamma: gamma[channel],
            beta: beta[channel],
            outputs,
            places,
            statistics: &mut statistics[0],
        });
    });
    Normalised {
        output,
        mean: statistics.iter().map(|s| s[0]).collect(),
        variance: statistics.iter().map(|s| s[1]).collect(),
        places,
    }
}

struct ForwardChannel<'a> {
    norm: &'a Norm,
    input: &'a [f32],
    channel: usize,
    gamma: f32,
    beta: f32,
    outputs: Vec<&'a mut [f32]>,
    places: Vec<&'a mut [u32]>,
    statistics: &'a mut [f32; 2],
}

impl Kernel for ForwardChannel<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { norm, .. } = self;
        let images = norm.images(self.input, self.channel, norm.image());
        let count = (norm.batch * norm.image()) as f64;
        let mean = (images.clone().map(|i| sum(i, |x| x)).sum::<f64>() / count) as f32;
        // Around the mean, so that a large one does not swallow the variance.
        let squares: f64 = images.clone().map(|i| sum(i, |x| (x - mean) * (x - mean))).sum();
        let variance = (squares / count) as f32;
        *self.statistics = [mean, variance];
        let affine = Affine::new(self.gamma, self.beta, mean, variance, norm.epsilon);
        if !norm.pools() {
            for (image, output) in images.zip(self.outputs) {
                for (y, &x) in output.iter_mut().zip(image) {
                    *y = relu(affine.at(x));
                }
            }
            return;
        }
        let pool = norm.pool();
        let mut values = vec![0.0; norm.image()];
        for ((image, output), places) in images.zip(self.outputs).zip(self.places) {
            for (value, &x) in values.iter_mut().zip(image) {
                *value = affine.at(x);
            }
            pool.image(&values, output, places);
            for y in output {
                *y = relu(*y);
            }
        }
    }
}

/// Gradients from `gradient`, that of the output.
pub(crate) fn backward(
    norm: &Norm,
    [input, gamma, beta]: [&[f32]; 3],
    forward: &Normalised,
    gradient: &[f32],
) -> Gradients {
    let image = norm.image();
    let mut input_gradient = vec![0.0; norm.batch * norm.channels * image];
    let mut sums = vec![[0.0; 2]; norm.channels];
    let shared_input = Shared::new(&mut input_gradient);
    let shared_sums = Shared::new(&mut sums);
    for_each(norm.channels, |channel| {
        // SAFETY: every channel has its own runs.
        let (outputs, sums) = unsafe {
            (
                (0..norm.batch).map(|n| shared_input.run((n * norm.channels + channel) * image, image)).collect(),
                shared_sums.run(channel, 1),
            )
        };
        let (mean, variance) = (forward.mean[channel], forward.variance[channel]);
        dispatch(BackwardChannel {
            norm,
            input,
            channel,
            affine: Affine::new(gamma[channel], beta[channel], mean, variance, norm.epsilon),
            mean,
            deviation: (variance + norm.epsilon).sqrt(),
            places: &forward.places,
            gradient,
            outputs,
            sums: &mut sums[0],
        });
    });
    Gradients {
        input: input_gradient,
        gamma: sums.iter().map(|s| s[0]).collect(),
        beta: sums.iter().map(|s| s[1]).collect(),
    }
}

struct BackwardChannel<'a> {
    norm: &'a Norm,
    input: &'a [f32],
    channel: usize,
    affine: Affine,
    mean: f32,
    deviation: f32,
    places: &'a [u32],
    gradient: &'a [f32],
    outputs: Vec<&'a mut [f32]>,
    sums: &'a mut [f32; 2],
}

impl Kernel for BackwardChannel<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { norm, affine, .. } = self;
        let inputs = norm.images(self.input, self.channel, norm.image());
        let len = norm.output_image();
        let gradients = norm.images(self.gradient, self.channel, len);
        let places = (0..norm.batch).map(|n| self.places.get((n * norm.channels + self.channel) * len..));
        // Sums of the gradient that passes the `ReLU`, alone and times the normalised input.
        let (mut alone, mut product) = (0.0_f64, 0.0_f64);
        for ((image, gradient), places) in inputs.clone().zip(gradients.clone()).zip(places.clone()) {
            if let (true, Some(places)) = (norm.pools(), places) {
                for (&place, &dy) in places.iter().zip(gradient) {
                    let x = image[place as usize];
                    if affine.at(x) > 0.0 {
                        alone += f64::from(dy);
                        product += f64::from(dy * (x - self.mean));
                    }
                }
            } else {
                let (a, p) = sums(image, gradient, affine, self.mean);
                alone += a;
                product += p;
            }
        }
        let product = product / f64::from(self.deviation);
        *self.sums = [product as f32, alone as f32];
        // The gradient of the input is affine in the input, plus the scaled gradient of the output.
        let count = (norm.batch * norm.image()) as f64;
        let slope = -f64::from(affine.scale) * product / count / f64::from(self.deviation);
        let offset = -f64::from(affine.scale) * alone / count - slope * f64::from(self.mean);
        let line = Affine { scale: slope as f32, shift: offset as f32 };
        for (((image, gradient), places), output) in inputs.zip(gradients).zip(places).zip(self.outputs) {
            if let (true, Some(places)) = (norm.pools(), places) {
                for (dx, &x) in output.iter_mut().zip(image) {
                    *dx = line.at(x);
                }
                for (&place, &dy) in places.iter().zip(gradient) {
                    if affine.at(image[place as usize]) > 0.0 {
                        output[place as usize] += affine.scale * dy;
                    }
                }
            } else {
                for ((dx, &x), &dy) in output.iter_mut().zip(image).zip(gradient) {
                    let passed = if affine.at(x) > 0.0 { dy } else { 0.0 };
                    *dx = line.at(x) + affine.scale * passed;
                }
            }
        }
    }
}

/// Sum of `of` over `values`.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    let mut sums = [0.0_f32; SUMS];
    let chunks = values.chunks_exact(SUMS);
    let rest: f32 = chunks.remainder().iter().map(|&x| of(x)).sum();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += of(x);
        }
    }
    sums.iter().map(|&s| f64::from(s)).sum::<f64>() + f64::from(rest)
}

/// Sums of the gradient where the activation is positive, alone and times the distance from `mean`.
#[inline(always)]
fn sums(image: &[f32], gradient: &[f32], affine: Affine, mean: f32) -> (f64, f64) {
    let (mut alone, mut product) = ([0.0_f32; SUMS], [0.0_f32; SUMS]);
    for (image, gradient) in image.chunks(SUMS).zip(gradient.chunks(SUMS)) {
        for (((alone, product), &x), &dy) in alone.iter_mut().zip(&mut product).zip(image).zip(gradient) {
            let passed = if affine.at(x) > 0.0 { dy } else { 0.0 };
            *alone += passed;
            *product += passed * (x - mean);
        }
    }
    let total = |sums: [f32; SUMS]| sums.iter().map(|&s| f64::from(s)).sum();
    (total(alone), total(product))
}
