//! A network as data: blocks of convolution, normalisation and pooling, then a head.

use serde::{Deserialize, Serialize};

/// Zero padding of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Keeps the shape at stride 1.
    Same,
    /// None: the output shrinks by the kernel less one.
    Valid,
}

/// What follows the convolution of a block, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockOrder {
    /// Batch normalisation, `ReLU`, max pooling; the convolution has no bias.
    NormReluPool,
    /// `ReLU`, max pooling, batch normalisation; the convolution has a bias.
    ReluPoolNorm,
}

/// One block: convolution, batch normalisation, `ReLU`, max pooling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockConfig {
    /// Output channels.
    pub channels: usize,
    /// Kernel `[depth, height, width]`, odd.
    pub kernel: [usize; 3],
    /// Stride `[depth, height, width]`.
    pub stride: [usize; 3],
    /// Zero padding.
    pub padding: Padding,
    /// Window and stride of the max pooling; ones for none.
    pub pool: [usize; 3],
    /// What follows the convolution.
    pub order: BlockOrder,
}

/// What turns the last feature maps into logits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum HeadConfig {
    /// A convolution 1x1x1 to one evidence map a slice, pooled to slice logits and a patient logit.
    Evidence {
        /// Probability of dropping a channel in training.
        dropout: f32,
        /// Whether the convolution also sees by how much each feature exceeds that of the other hemisphere: the input is
        /// aligned on the mirror axis of the brain, and blood rarely lies on both sides alike.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        asymmetry: bool,
    },
    /// Global average pooling, a hidden layer with `ReLU` and dropout, one patient logit.
    Dense {
        /// Width of the hidden layer.
        hidden: usize,
        /// Probability of dropping a hidden unit in training.
        dropout: f32,
    },
}

/// Distribution of the initial weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialization {
    /// Uniform in `+-1 / sqrt(fan in)`, biases as well (the default of `PyTorch`).
    FanIn,
    /// Uniform in `+-sqrt(6 / (fan in + fan out))`, biases zero (the default of Keras).
    Glorot,
}

/// A network as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// The blocks, input first.
    pub blocks: Vec<BlockConfig>,
    /// What turns features into logits.
    pub head: HeadConfig,
    /// Added to the variance in batch normalisation.
    pub norm_epsilon: f64,
    /// Share of a batch's statistics in the running ones.
    pub norm_momentum: f64,
    /// Distribution of the initial weights.
    pub initialization: Initialization,
}

/// Why a configuration is no network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    /// A number is outside of what makes sense.
    #[error("checking the network's configuration: {what} is {value}, which is not within {range}")]
    OutOfRange {
        /// The number.
        what: String,
        /// Its value.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// A normalisation after pooling cannot be folded into a padded convolution.
    #[error(
        "checking the network's configuration: block {block} ends in a normalisation, so block {} may not be padded",
        block + 1
    )]
    NormBeforePadding {
        /// The block that ends in a normalisation.
        block: usize,
    },
    /// A normalisation before the comparison of the hemispheres cannot be folded into the convolution after it.
    #[error(
        "checking the network's configuration: the last block may not end in a normalisation where the head compares the hemispheres"
    )]
    NormBeforeAsymmetry,
    /// The input is too small for the network.
    #[error("checking the input's shape {input:?}: nothing of it is left after block {block}")]
    InputTooSmall {
        /// Slices, rows, columns of the input.
        input: [usize; 3],
        /// The block after which nothing is left.
        block: usize,
    },
}

/// A row of the table of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerRow {
    /// Name, as in the weights file.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// Channels, slices, rows, columns of its output.
    pub output: [usize; 4],
    /// Trained parameters.
    pub parameters: usize,
    /// Running statistics of the batch normalisation.
    pub statistics: usize,
    /// Multiplications and additions of one forward pass.
    pub flop: u64,
}

impl NetworkConfig {
    /// The compact network with a head that compares the hemispheres. 66,149 parameters.
    pub fn compact_two_sided() -> Self {
        let head = HeadConfig::Evidence { dropout: 0.1, asymmetry: true };
        Self { head, ..Self::compact() }
    }

    /// The compact network: any number of slices, an evidence map a slice. 66,101 parameters.
    pub fn compact() -> Self {
        let block = |channels, depth, stride: usize, pool: usize| BlockConfig {
            channels,
            kernel: [depth, 3, 3],
            stride: [1, stride, stride],
            padding: Padding::Same,
            pool: [1, pool, pool],
            order: BlockOrder::NormReluPool,
        };
        Self {
            in_channels: 1,
            blocks: vec![block(16, 1, 2, 1), block(24, 1, 1, 2), block(32, 3, 1, 2), block(48, 3, 1, 1)],
            head: HeadConfig::Evidence { dropout: 0.1, asymmetry: false },
            norm_epsilon: 1e-5,
            norm_momentum: 0.1,
            initialization: Initialization::FanIn,
        }
    }

    /// The published network (G. Pecoraro 2023, after H. Zunair): 1,352,897 parameters, running statistics included.
    pub fn published() -> Self {
        let block = |channels| BlockConfig {
            channels,
            kernel: [3; 3],
            stride: [1; 3],
            padding: Padding::Valid,
            pool: [2; 3],
            order: BlockOrder::ReluPoolNorm,
        };
        Self {
            in_channels: 1,
            blocks: vec![block(64), block(64), block(128), block(256)],
            head: HeadConfig::Dense { hidden: 512, dropout: 0.3 },
            norm_epsilon: 1e-3,
            norm_momentum: 0.01,
            initialization: Initialization::Glorot,
        }
    }

    /// Checks that the numbers make a network of a reasonable size.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first number that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("number of input channels", self.in_channels, 1..=16, "1..=16")?;
        within("number of blocks", self.blocks.len(), 1..=16, "1..=16")?;
        for (index, block) in self.blocks.iter().enumerate() {
            within(&format!("number of channels of block {index}"), block.channels, 1..=1024, "1..=1024")?;
            for axis in 0..3 {
                within(&format!("a kernel side of block {index}"), block.kernel[axis], 1..=7, "1..=7")?;
                within(&format!("oddness of a kernel side of block {index}"), block.kernel[axis] % 2, 1..=1, "1..=1")?;
                within(&format!("a stride of block {index}"), block.stride[axis], 1..=4, "1..=4")?;
                within(&format!("a pooling side of block {index}"), block.pool[axis], 1..=4, "1..=4")?;
            }
            let padded_next = self.blocks.get(index + 1).is_some_and(|next| next.padding == Padding::Same);
            if block.order == BlockOrder::ReluPoolNorm && padded_next {
                return Err(ConfigError::NormBeforePadding { block: index });
            }
        }
        let dropout = match self.head {
            HeadConfig::Evidence { dropout, asymmetry } => {
                let last = self.blocks.last().map(|block| block.order);
                if asymmetry && last == Some(BlockOrder::ReluPoolNorm) {
                    return Err(ConfigError::NormBeforeAsymmetry);
                }
                let deep = self.blocks.iter().all(|b| b.stride[0] == 1 && b.pool[0] == 1);
                within("depth stride of a network with slice logits", usize::from(deep), 1..=1, "1")?;
                let padded = self.blocks.iter().all(|b| b.padding == Padding::Same || b.kernel[0] == 1);
                within("depth padding of a network with slice logits", usize::from(padded), 1..=1, "1")?;
                dropout
            }
            HeadConfig::Dense { hidden, dropout } => {
                within("width of the hidden layer", hidden, 1..=4096, "1..=4096")?;
                dropout
            }
        };
        within("dropout", dropout, 0.0..=0.9, "0..=0.9")?;
        within("epsilon of the normalisation", self.norm_epsilon, 1e-9..=0.1, "1e-9..=0.1")?;
        within("momentum of the normalisation", self.norm_momentum, 0.0..=1.0, "0..=1")
    }

    /// The layers with their output for an input of `input = [slices, rows, columns]`.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is no network or the input is too small for it.
    pub fn layers(&self, input: [usize; 3]) -> Result<Vec<LayerRow>, ConfigError> {
        self.validate()?;
        let mut rows = Vec::new();
        let (mut channels, mut shape) = (self.in_channels, input);
        for (index, block) in self.blocks.iter().enumerate() {
            let taps = channels * block.kernel.iter().product::<usize>();
            let padding = block.padding_sides();
            let mut out = [0; 3];
            for axis in 0..3 {
                let padded = shape[axis] + 2 * padding[axis];
                if padded < block.kernel[axis] {
                    return Err(ConfigError::InputTooSmall { input, block: index });
                }
                out[axis] = (padded - block.kernel[axis]) / block.stride[axis] + 1;
            }
            let bias = if block.order == BlockOrder::ReluPoolNorm { block.channels } else { 0 };
            rows.push(LayerRow {
                name: format!("blocks.{index}.conv"),
                kind: format!("conv {} stride {}", sides(block.kernel), sides(block.stride)),
                output: [block.channels, out[0], out[1], out[2]],
                parameters: taps * block.channels + bias,
                statistics: 0,
                flop: 2 * (taps * block.channels * out.iter().product::<usize>()) as u64,
            });
            for (side, window) in out.iter_mut().zip(block.pool) {
                *side /= window;
            }
            if out.contains(&0) {
                return Err(ConfigError::InputTooSmall { input, block: index });
            }
            rows.push(LayerRow {
                name: format!("blocks.{index}.norm"),
                kind: match block.order {
                    BlockOrder::NormReluPool => format!("norm, ReLU, max pool {}", sides(block.pool)),
                    BlockOrder::ReluPoolNorm => format!("ReLU, max pool {}, norm", sides(block.pool)),
                },
                output: [block.channels, out[0], out[1], out[2]],
                parameters: 2 * block.channels,
                statistics: 2 * block.channels,
                flop: 0,
            });
            (channels, shape) = (block.channels, out);
        }
        let row = |name: &str, kind: &str, output, parameters, flop| LayerRow {
            name: name.to_owned(),
            kind: kind.to_owned(),
            output,
            parameters,
            statistics: 0,
            flop,
        };
        match self.head {
            HeadConfig::Evidence { asymmetry, .. } => {
                let channels = if asymmetry { 2 * channels } else { channels };
                let cells: usize = shape.iter().product();
                let output = [1, shape[0], shape[1], shape[2]];
                rows.push(row("head.evidence", "conv 1x1x1", output, channels + 1, 2 * (channels * cells) as u64));
                rows.push(row("head.pooling", "LSE over map and slices", [1, shape[0], 1, 1], 4, 0));
            }
            HeadConfig::Dense { hidden, .. } => {
                let flop = 2 * (channels * hidden) as u64;
                rows.push(row("head.hidden", "average, dense, ReLU", [hidden, 1, 1, 1], (channels + 1) * hidden, flop));
                rows.push(row("head.output", "dense", [1; 4], hidden + 1, 2 * hidden as u64));
            }
        }
        Ok(rows)
    }

    /// Slices, rows, columns of the last feature maps.
    ///
    /// # Errors
    /// As [`Self::layers`].
    pub fn feature_shape(&self, input: [usize; 3]) -> Result<[usize; 3], ConfigError> {
        let rows = self.layers(input)?;
        let last = rows.iter().rev().find(|row| row.name.starts_with("blocks."));
        Ok(last.map_or(input, |row| [row.output[1], row.output[2], row.output[3]]))
    }
}

impl BlockConfig {
    /// Zeros before and after each axis.
    pub fn padding_sides(&self) -> [usize; 3] {
        match self.padding {
            Padding::Same => self.kernel.map(|side| side / 2),
            Padding::Valid => [0; 3],
        }
    }
}

fn sides(sides: [usize; 3]) -> String {
    let [depth, height, width] = sides;
    format!("{depth}x{height}x{width}")
}

fn within<T: PartialOrd + std::fmt::Display + Copy>(
    what: &str,
    value: T,
    allowed: std::ops::RangeInclusive<T>,
    range: &'static str,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { what: what.to_owned(), value: value.to_string(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(config: &NetworkConfig, input: [usize; 3]) -> (usize, usize, u64) {
        let rows = config.layers(input).unwrap();
        let parameters = rows.iter().map(|row| row.parameters).sum();
        let statistics = rows.iter().map(|row| row.statistics).sum();
        (parameters, statistics, rows.iter().map(|row| row.flop).sum())
    }

    #[test]
    fn the_compact_network_has_its_stated_size() {
        let (parameters, _, flop) = totals(&NetworkConfig::compact(), [28, 96, 80]);
        assert_eq!(parameters, 66_101);
        assert_eq!(totals(&NetworkConfig::compact_two_sided(), [28, 96, 80]).0, 66_149);
        assert!((flop as f64 / 1e9 - 1.22).abs() < 0.01, "{flop} FLOP");
    }

    #[test]
    fn the_compact_network_keeps_the_slices() {
        assert_eq!(NetworkConfig::compact().feature_shape([17, 96, 80]).unwrap(), [17, 12, 10]);
    }

    #[test]
    fn the_published_network_has_its_published_size() {
        let (parameters, statistics, flop) = totals(&NetworkConfig::published(), [64, 128, 128]);
        assert_eq!(parameters + statistics, 1_352_897);
        assert!((flop as f64 / 1e9 - 32.45).abs() < 0.01, "{flop} FLOP");
    }

    #[test]
    fn an_input_that_vanishes_on_the_way_is_refused() {
        let error = NetworkConfig::published().layers([20, 128, 128]).unwrap_err();
        assert_eq!(error, ConfigError::InputTooSmall { input: [20, 128, 128], block: 2 });
    }

    #[test]
    fn a_configuration_out_of_proportion_is_refused() {
        let mut config = NetworkConfig::compact();
        config.blocks[1].channels = 1_000_000;
        assert!(matches!(config.validate(), Err(ConfigError::OutOfRange { .. })));
    }
}
