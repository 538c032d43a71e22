//! The parameters of a network by name, as plain numbers.

use super::config::{BlockOrder, ConfigError, HeadConfig, Initialization, NetworkConfig};
use super::random::SplitMix64;
use std::collections::BTreeMap;

/// A tensor of plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor32 {
    /// Shape, outermost axis first.
    pub shape: Vec<usize>,
    /// Values, innermost axis last.
    pub values: Vec<f32>,
}

/// The parameters of a network by name, as plain numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub BTreeMap<String, Tensor32>);

/// Why weights do not fit a configuration.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum WeightsError {
    /// The configuration is no network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A parameter is missing.
    #[error("fitting the weights to the network: `{name}` is missing")]
    Missing {
        /// Name of the parameter.
        name: String,
    },
    /// There is a parameter that the network does not have.
    #[error("fitting the weights to the network: it has no `{name}`")]
    Unknown {
        /// Name of the parameter.
        name: String,
    },
    /// A parameter has another shape than the network says.
    #[error("fitting the weights to the network: `{name}` has shape {found:?}, not {expected:?}")]
    Shape {
        /// Name of the parameter.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the configuration says.
        expected: Vec<usize>,
    },
    /// A parameter holds NaN or infinity, or a negative variance.
    #[error("fitting the weights to the network: `{name}` holds a value that is no weight ({value})")]
    Value {
        /// Name of the parameter.
        name: String,
        /// The value.
        value: f32,
    },
}

/// What a parameter is, for its initial values.
#[derive(Clone, Copy)]
enum Role {
    Kernel { fan_in: usize, fan_out: usize },
    Bias { fan_in: usize },
    Constant(f32),
    Pair(f32, f32),
}

impl Weights {
    /// Names and shapes of all parameters of a network, in the order of the file.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is no network.
    pub fn shapes(config: &NetworkConfig) -> Result<Vec<(String, Vec<usize>)>, ConfigError> {
        Ok(roles(config)?.into_iter().map(|(name, shape, _)| (name, shape)).collect())
    }

    /// Fresh weights from a seed.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is no network.
    pub fn init(config: &NetworkConfig, seed: u64) -> Result<Self, ConfigError> {
        let mut random = SplitMix64::new(seed);
        let mut fill = |count: usize, bound: f32| (0..count).map(|_| random.uniform(-bound, bound)).collect();
        let weights = roles(config)?.into_iter().map(|(name, shape, role)| {
            let count = shape.iter().product();
            let values = match (role, config.initialization) {
                (Role::Constant(value), _) => vec![value; count],
                (Role::Pair(first, second), _) => vec![first, second],
                (Role::Kernel { fan_in, .. } | Role::Bias { fan_in }, Initialization::FanIn) => {
                    fill(count, 1.0 / (fan_in as f32).sqrt())
                }
                (Role::Kernel { fan_in, fan_out }, Initialization::Glorot) => {
                    fill(count, (6.0 / (fan_in + fan_out) as f32).sqrt())
                }
                (Role::Bias { .. }, Initialization::Glorot) => vec![0.0; count],
            };
            (name, Tensor32 { shape, values })
        });
        Ok(Self(weights.collect()))
    }

    /// Checks names, shapes and values against a configuration.
    ///
    /// # Errors
    /// [`WeightsError`] naming the first parameter that does not fit.
    pub fn validate(&self, config: &NetworkConfig) -> Result<(), WeightsError> {
        let shapes: BTreeMap<_, _> = Self::shapes(config)?.into_iter().collect();
        if let Some(name) = self.0.keys().find(|name| !shapes.contains_key(*name)) {
            return Err(WeightsError::Unknown { name: name.clone() });
        }
        for (name, expected) in shapes {
            let tensor = self.get(&name)?;
            if tensor.shape != expected || tensor.values.len() != expected.iter().product::<usize>() {
                return Err(WeightsError::Shape { name, found: tensor.shape.clone(), expected });
            }
            let variance = name.ends_with("running_var");
            if let Some(&value) = tensor.values.iter().find(|x| !x.is_finite() || (variance && **x < 0.0)) {
                return Err(WeightsError::Value { name, value });
            }
        }
        Ok(())
    }

    /// The parameter of that name.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] if there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor32, WeightsError> {
        self.0.get(name).ok_or_else(|| WeightsError::Missing { name: name.to_owned() })
    }

    /// A pair of numbers: scale and offset of a pooling.
    ///
    /// # Errors
    /// [`WeightsError`] if it is missing or no pair.
    pub fn pair(&self, name: &str) -> Result<[f32; 2], WeightsError> {
        let tensor = self.get(name)?;
        <[f32; 2]>::try_from(tensor.values.as_slice()).map_err(|_| WeightsError::Shape {
            name: name.to_owned(),
            found: tensor.shape.clone(),
            expected: vec![2],
        })
    }

    /// Moves each number towards another set of weights of the same network: `self = keep * self + (1 - keep) * other`.
    pub fn average_with(&mut self, other: &Self, keep: f32) {
        for (tensor, new) in self.0.iter_mut().filter_map(|(name, t)| other.0.get(name).map(|o| (t, o))) {
            for (value, &new) in tensor.values.iter_mut().zip(&new.values) {
                *value = keep.mul_add(*value, (1.0 - keep) * new);
            }
        }
    }
}

fn roles(config: &NetworkConfig) -> Result<Vec<(String, Vec<usize>, Role)>, ConfigError> {
    config.validate()?;
    let mut out = Vec::new();
    let mut channels = config.in_channels;
    for (index, block) in config.blocks.iter().enumerate() {
        let taps: usize = block.kernel.iter().product();
        let (fan_in, fan_out) = (channels * taps, block.channels * taps);
        let name = |part: &str| format!("blocks.{index}.{part}");
        let [depth, height, width] = block.kernel;
        let shape = vec![block.channels, channels, depth, height, width];
        out.push((name("conv.weight"), shape, Role::Kernel { fan_in, fan_out }));
        let vector = vec![block.channels];
        if block.order == BlockOrder::ReluPoolNorm {
            out.push((name("conv.bias"), vector.clone(), Role::Bias { fan_in }));
        }
        for (part, value) in [("gamma", 1.0), ("beta", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            out.push((name(&format!("norm.{part}")), vector.clone(), Role::Constant(value)));
        }
        channels = block.channels;
    }
    let mut head = |name: &str, shape: Vec<usize>, role| out.push((format!("head.{name}"), shape, role));
    match config.head {
        HeadConfig::Evidence { asymmetry, .. } => {
            let channels = if asymmetry { 2 * channels } else { channels };
            head("evidence.weight", vec![1, channels, 1, 1, 1], Role::Kernel { fan_in: channels, fan_out: 1 });
            // Most cells are healthy: the map starts out low, so that the first steps are spent on the lesions.
            head("evidence.bias", vec![1], Role::Constant(-3.0));
            // Scale and offset that put the logit of an untouched map near that of a rare finding.
            head("slice", vec![2], Role::Pair(1.0, 1.9));
            head("patient", vec![2], Role::Pair(1.0, 3.0));
        }
        HeadConfig::Dense { hidden, .. } => {
            let kernel = |fan_in, fan_out| Role::Kernel { fan_in, fan_out };
            head("hidden.weight", vec![channels, hidden], kernel(channels, hidden));
            head("hidden.bias", vec![hidden], Role::Bias { fan_in: channels });
            head("output.weight", vec![hidden, 1], kernel(hidden, 1));
            head("output.bias", vec![1], Role::Bias { fan_in: hidden });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_weights_fit_their_network_and_follow_from_the_seed() {
        for config in [NetworkConfig::compact(), NetworkConfig::published()] {
            let weights = Weights::init(&config, 3).unwrap();
            weights.validate(&config).unwrap();
            assert_eq!(weights, Weights::init(&config, 3).unwrap());
            assert_ne!(weights, Weights::init(&config, 4).unwrap());
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_named() {
        let config = NetworkConfig::compact();
        let good = Weights::init(&config, 0).unwrap();

        let mut missing = good.clone();
        missing.0.remove("head.slice");
        assert_eq!(missing.validate(&config), Err(WeightsError::Missing { name: "head.slice".into() }));

        let mut infinite = good.clone();
        infinite.0.get_mut("head.slice").unwrap().values[1] = f32::INFINITY;
        assert!(matches!(infinite.validate(&config), Err(WeightsError::Value { .. })));

        let mut unknown = good;
        unknown.0.insert("extra".into(), Tensor32 { shape: vec![], values: vec![1.0] });
        assert_eq!(unknown.validate(&config), Err(WeightsError::Unknown { name: "extra".into() }));
    }

    #[test]
    fn an_average_lies_between_its_two_weights() {
        let config = NetworkConfig::compact();
        let mut average = Weights::init(&config, 0).unwrap();
        let (first, other) = (average.clone(), Weights::init(&config, 1).unwrap());
        average.average_with(&other, 0.25);
        let at = |weights: &Weights| weights.0["blocks.2.conv.weight"].values[5];
        assert!((at(&average) - (0.25 * at(&first) + 0.75 * at(&other))).abs() < 1e-7);
    }
}
