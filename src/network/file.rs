//! The weights file: safetensors, with a JSON header under the metadata key `ictus`.
//!
//! A file from anywhere may be opened: sizes, names, shapes, values and the hash are checked before anything is built
//! from it.

use super::config::{ConfigError, HeadConfig, NetworkConfig};
use super::weights::{Tensor32, Weights, WeightsError};
use crate::assess::Calibration;
use crate::preprocess::PreprocessConfig;
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Version of the header; grows when a field changes its meaning.
const FORMAT: u32 = 1;

/// Metadata key of the header.
const HEADER_KEY: &str = "ictus";

/// Largest file that is looked at, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// How relative Hounsfield units become the network's input: clamped, then divided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputScaling {
    /// Lowest and highest value kept, in Hounsfield units relative to the brain's median.
    pub clamp: [f32; 2],
    /// What the clamped values are divided by.
    pub divide: f32,
}

impl Default for InputScaling {
    fn default() -> Self {
        Self { clamp: [-25.0, 45.0], divide: 15.0 }
    }
}

impl InputScaling {
    /// The network's input for one value.
    pub fn apply(&self, hounsfield: f32) -> f32 {
        hounsfield.max(self.clamp[0]).min(self.clamp[1]) / self.divide
    }
}

/// Data that the weights were trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Name of the set.
    pub name: String,
    /// Patients used.
    pub patients: usize,
    /// Slices used.
    pub slices: usize,
    /// SHA-256 of the prepared inputs and labels.
    pub fingerprint: String,
    /// Licence of the set.
    pub licence: String,
}

/// A small input made from a seed, and what the native CPU said of it: a backend has to agree before it is trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Seed of the input.
    pub seed: u64,
    /// Slices, rows, columns of the input.
    pub shape: [usize; 3],
    /// Patient logit.
    pub patient: f32,
    /// Slice logits.
    pub slices: Vec<f32>,
    /// Evidence map; empty for a network without one, and in files from before it was kept.
    #[serde(default)]
    pub evidence: Vec<f32>,
}

impl SelfTest {
    /// A self-test of a network, not yet answered.
    pub(super) fn unanswered(config: &NetworkConfig) -> Self {
        let shape = match config.head {
            HeadConfig::Evidence { .. } => [6, 48, 40],
            HeadConfig::Dense { .. } => [46; 3],
        };
        Self { seed: 20_230_615, shape, patient: 0.0, slices: Vec::new(), evidence: Vec::new() }
    }
}

/// What a weights file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelHeader {
    /// Version of this header.
    pub format: u32,
    /// Name of the weights.
    pub name: String,
    /// Version of the weights.
    pub version: String,
    /// The network.
    pub architecture: NetworkConfig,
    /// Slices, rows, columns of the input; 0 slices for any number.
    pub input_shape: [usize; 3],
    /// The preprocessing that the weights were trained with.
    pub preprocess: PreprocessConfig,
    /// How Hounsfield units become the network's input.
    pub scaling: InputScaling,
    /// How logits become probabilities and words; none for weights that were never evaluated.
    pub calibration: Option<Calibration>,
    /// Data that the weights were trained on.
    pub data: Vec<DatasetRecord>,
    /// Figures of the evaluation, by name.
    pub metrics: BTreeMap<String, f64>,
    /// What the weights may be used for.
    pub licence: String,
    /// SHA-256 of the tensors' bytes, in hexadecimal.
    pub payload_sha256: String,
    /// A small input and its answer.
    pub self_test: SelfTest,
}

impl ModelHeader {
    /// A header with what a network needs to run; the rest is filled in by whoever trained it.
    pub fn new(name: &str, version: &str, architecture: NetworkConfig, input_shape: [usize; 3]) -> Self {
        let self_test = SelfTest::unanswered(&architecture);
        Self {
            format: FORMAT,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture,
            input_shape,
            preprocess: PreprocessConfig::default(),
            scaling: InputScaling::default(),
            calibration: None,
            data: Vec::new(),
            metrics: BTreeMap::new(),
            licence: String::new(),
            payload_sha256: String::new(),
            self_test,
        }
    }

    fn validate(&self) -> Result<(), FileError> {
        let wrong = |what: &str| Err(FileError::Header { what: what.to_owned() });
        if self.format != FORMAT {
            return Err(FileError::Format { found: self.format });
        }
        self.architecture.validate()?;
        let [slices, rows, columns] = self.input_shape;
        if slices > 512 || !(1..=1024).contains(&rows) || !(1..=1024).contains(&columns) {
            return wrong("the input's shape is out of proportion");
        }
        self.architecture.layers([if slices == 0 { 1 } else { slices }, rows, columns])?;
        if self.architecture.in_channels != 1 {
            return wrong("the network takes more than one input channel, and a scan has one");
        }
        if let Some(what) = self.preprocess.fault() {
            return wrong(what);
        }
        let prepared = [self.preprocess.rows, self.preprocess.columns];
        if slices == 0 && [rows, columns] != prepared {
            return wrong("the preprocessing gives another shape than the network takes");
        }
        if let Some(what) = self.calibration.as_ref().and_then(|calibration| calibration.fault(&self.architecture.head))
        {
            return wrong(what);
        }
        let InputScaling { clamp: [low, high], divide } = self.scaling;
        if !(low.is_finite() && high.is_finite() && low < high && divide.is_finite() && divide > 0.0) {
            return wrong("the input's scaling is no scaling");
        }
        if self.self_test.shape.iter().any(|&side| !(1..=128).contains(&side)) {
            return wrong("the self-test's shape is out of proportion");
        }
        self.architecture.layers(self.self_test.shape)?;
        Ok(())
    }
}

/// Number format of the convolutions in the file; the rest is always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// 16 bits a weight.
    #[default]
    Half,
    /// 32 bits a weight.
    Single,
}

/// Why a weights file was refused or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Larger than any weights of this project.
    #[error("reading the weights file: it has {bytes} bytes, more than any weights file of this program")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a safetensors file, or cut short.
    #[error("reading the weights file: it is no complete safetensors file ({0}); download it again")]
    Container(#[from] safetensors::SafeTensorError),
    /// A safetensors file of another program.
    #[error("reading the weights file: it has no header of this program, so it is not known how to use it")]
    NoHeader,
    /// The header is no JSON of the right form.
    #[error("reading the header of the weights file: {0}")]
    Json(#[from] serde_json::Error),
    /// The header is of another version of this program.
    #[error("reading the weights file: its header has version {found}, this program knows version {FORMAT}; update it")]
    Format {
        /// Version found.
        found: u32,
    },
    /// The header says something impossible.
    #[error("reading the header of the weights file: {what}")]
    Header {
        /// What is impossible.
        what: String,
    },
    /// The network that the header describes is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tensors do not fit the header.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tensor has a number format that is not read.
    #[error("reading the weights file: `{name}` is stored as {dtype}, only F16 and F32 are read")]
    Dtype {
        /// Name of the tensor.
        name: String,
        /// Its number format.
        dtype: String,
    },
    /// The bytes are not those that were written.
    #[error("reading the weights file: its SHA-256 is {found}, the header says {expected}; download it again")]
    Hash {
        /// Hash of the bytes.
        found: String,
        /// Hash in the header.
        expected: String,
    },
}

/// A header and the weights that it describes, as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// What the file says of itself.
    pub header: ModelHeader,
    /// The weights, as read: rounded if they are stored in half precision.
    pub weights: Weights,
}

impl ModelFile {
    /// Reads and checks a weights file.
    ///
    /// # Errors
    /// [`FileError`] saying what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > MAX_BYTES {
            return Err(FileError::TooLarge { bytes: bytes.len() });
        }
        let (header_length, metadata) = SafeTensors::read_metadata(bytes)?;
        let json = metadata.metadata().as_ref().and_then(|map| map.get(HEADER_KEY)).ok_or(FileError::NoHeader)?;
        let header: ModelHeader = serde_json::from_str(json)?;
        header.validate()?;
        let payload = bytes.get(header_length + 8..).unwrap_or_default();
        let found = hex(&Sha256::digest(payload));
        if found != header.payload_sha256 {
            return Err(FileError::Hash { found, expected: header.payload_sha256 });
        }
        let mut weights = Weights::default();
        for (name, view) in SafeTensors::deserialize(bytes)?.iter() {
            weights.0.insert(name.to_owned(), read_tensor(name, &view)?);
        }
        weights.validate(&header.architecture)?;
        Ok(Self { header, weights })
    }

    /// The bytes of the file; the hash in the header is made anew.
    ///
    /// # Errors
    /// [`FileError`] if header and weights do not make a file that could be read again.
    pub fn to_bytes(&self, storage: Storage) -> Result<Vec<u8>, FileError> {
        self.header.validate()?;
        self.weights.validate(&self.header.architecture)?;
        let stored: Vec<(&str, Dtype, &[usize], Vec<u8>)> = self
            .weights
            .0
            .iter()
            .map(|(name, tensor)| {
                let (dtype, bytes) = if halved(tensor, storage) {
                    let bytes = tensor.values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
                    (Dtype::F16, bytes)
                } else {
                    (Dtype::F32, tensor.values.iter().flat_map(|x| x.to_le_bytes()).collect())
                };
                (name.as_str(), dtype, tensor.shape.as_slice(), bytes)
            })
            .collect();
        let views = || -> Result<Vec<(&str, TensorView<'_>)>, FileError> {
            stored
                .iter()
                .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.to_vec(), bytes)?)))
                .collect()
        };
        // The hash covers the tensors' bytes in the order in which the container lays them out.
        let draft = safetensors::serialize(views()?, None)?;
        let (header_length, _) = SafeTensors::read_metadata(&draft)?;
        let mut header = self.header.clone();
        header.payload_sha256 = hex(&Sha256::digest(draft.get(header_length + 8..).unwrap_or_default()));
        let metadata = HashMap::from([(HEADER_KEY.to_owned(), serde_json::to_string(&header)?)]);
        Ok(safetensors::serialize(views()?, Some(metadata))?)
    }
}

/// Kernels and dense layers are halved; vectors hold the numerically delicate rest.
fn halved(tensor: &Tensor32, storage: Storage) -> bool {
    storage == Storage::Half && tensor.shape.len() > 1
}

impl Weights {
    /// The weights as they come back from a file of that storage.
    #[must_use]
    pub fn rounded(mut self, storage: Storage) -> Self {
        for tensor in self.0.values_mut().filter(|tensor| halved(tensor, storage)) {
            tensor.values.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
        }
        self
    }
}

fn read_tensor(name: &str, view: &TensorView<'_>) -> Result<Tensor32, FileError> {
    let values = match view.dtype() {
        Dtype::F32 => {
            let (words, _) = view.data().as_chunks::<4>();
            words.iter().map(|&word| f32::from_le_bytes(word)).collect()
        }
        Dtype::F16 => {
            let (words, _) = view.data().as_chunks::<2>();
            words.iter().map(|&word| f16::from_le_bytes(word).to_f32()).collect()
        }
        other => return Err(FileError::Dtype { name: name.to_owned(), dtype: format!("{other:?}") }),
    };
    Ok(Tensor32 { shape: view.shape().to_vec(), values })
}

/// Bytes in hexadecimal, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file() -> ModelFile {
        let config = NetworkConfig::compact();
        let weights = Weights::init(&config, 1).unwrap();
        ModelFile { header: ModelHeader::new("test", "0", config, [0, 96, 80]), weights }
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let bytes = file().to_bytes(Storage::Single).unwrap();
        assert_eq!(ModelFile::from_bytes(&bytes).unwrap().weights, file().weights);
        let half = file().to_bytes(Storage::Half).unwrap();
        assert_eq!(ModelFile::from_bytes(&half).unwrap().weights, file().weights.rounded(Storage::Half));
        assert!(half.len() < 150_000 && bytes.len() < 300_000, "{} {}", half.len(), bytes.len());
    }

    #[test]
    fn a_changed_weight_is_noticed() {
        let mut bytes = file().to_bytes(Storage::Half).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(matches!(ModelFile::from_bytes(&bytes), Err(FileError::Hash { .. })));
    }

    #[test]
    fn files_of_other_programs_are_refused() {
        let plain = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).unwrap();
        assert!(matches!(ModelFile::from_bytes(&plain), Err(FileError::NoHeader)));
        assert!(matches!(ModelFile::from_bytes(b"not weights"), Err(FileError::Container(_))));
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let mut file = file();
        file.header.architecture.blocks[2].channels = 40;
        assert!(matches!(file.to_bytes(Storage::Half), Err(FileError::Weights(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_file_cut_short_or_damaged_is_refused_without_a_panic(at in 0.0_f64..1.0, byte: u8, cut: bool) {
            let mut bytes = file().to_bytes(Storage::Half).unwrap();
            // Damage is drawn to the front, where the container and the header are.
            let place = ((bytes.len() - 1) as f64 * at * at * at) as usize;
            if cut {
                bytes.truncate(place);
                prop_assert!(ModelFile::from_bytes(&bytes).is_err());
            } else if bytes[place] != byte {
                bytes[place] = byte;
                // A changed name or figure in the header is still a header; what must not happen is a panic.
                let _ = ModelFile::from_bytes(&bytes);
            }
        }
    }
}
