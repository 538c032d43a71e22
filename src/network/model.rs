//! A network ready to answer.

use super::Logits;
use super::config::HeadConfig;
use super::file::{FileError, ModelFile, ModelHeader, SelfTest, Storage, hex};
use super::folded::FoldedNetwork;
use super::pooling::{patient_logit, slice_logit};
use super::random::SplitMix64;
use super::resample::resample;
use super::weights::WeightsError;
use crate::preprocess::NetworkInput;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use sha2::{Digest, Sha256};

/// Most slices of one input.
const MAX_SLICES: usize = 512;

/// Why the network gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The weights file was refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The weights do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The input is not what the weights were trained on.
    #[error(
        "running the network on {found:?} slices, rows and columns: it takes {expected:?} (0 for 1 to {MAX_SLICES})"
    )]
    Input {
        /// Shape of the input.
        found: [usize; 3],
        /// Shape that the weights take.
        expected: [usize; 3],
    },
    /// The device failed.
    #[error("running the network: the device failed ({0}); use another one")]
    Device(#[from] ExecutionError),
    /// The network said something that is no number.
    #[error("running the network: it gave a logit that is no number")]
    NotFinite,
}

/// What leaves one layer of the network on one slice of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerMaps {
    /// Maps, rows and columns.
    pub shape: [usize; 3],
    /// `[map, y, x]`: after `ReLU` for a block, logits for the head.
    pub values: Vec<f32>,
}

/// A network ready to answer: weights from a file, on a device.
pub struct Model {
    header: ModelHeader,
    sha256: String,
    network: FoldedNetwork,
    slice: [f32; 2],
    patient: [f32; 2],
    device: Device,
}

impl Model {
    /// Reads a weights file and puts it on a device.
    ///
    /// # Errors
    /// [`NetworkError::File`] saying what is wrong with the file.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self, NetworkError> {
        let mut model = Self::new(ModelFile::from_bytes(bytes)?, device)?;
        model.sha256 = hex(&Sha256::digest(bytes));
        Ok(model)
    }

    /// Puts weights on a device. [`Self::sha256`] is empty: there is no file.
    ///
    /// # Errors
    /// [`NetworkError::Weights`] if weights and header do not fit.
    pub fn new(file: ModelFile, device: &Device) -> Result<Self, NetworkError> {
        let ModelFile { header, weights } = file;
        let network = FoldedNetwork::new(&header.architecture, &weights, device)?;
        let (slice, patient) = match header.architecture.head {
            HeadConfig::Evidence { .. } => (weights.pair("head.slice")?, weights.pair("head.patient")?),
            HeadConfig::Dense { .. } => ([1.0, 0.0], [1.0, 0.0]),
        };
        Ok(Self { header, sha256: String::new(), network, slice, patient, device: device.clone() })
    }

    /// Makes the bytes of a weights file: rounds the weights, answers the self-test on the CPU, hashes.
    ///
    /// # Errors
    /// [`NetworkError`] if header and weights do not make a working network.
    pub fn save(mut file: ModelFile, storage: Storage) -> Result<Vec<u8>, NetworkError> {
        file.weights = file.weights.rounded(storage);
        file.header.self_test = SelfTest::unanswered(&file.header.architecture);
        let model = Self::new(file.clone(), &Device::flex())?;
        let (values, shape) = model.self_test_input();
        let logits = model.read(&model.run(values, shape).try_into_data()?)?;
        file.header.self_test.patient = logits.patient;
        file.header.self_test.slices = logits.slices;
        file.header.self_test.evidence = logits.evidence;
        Ok(file.to_bytes(storage)?)
    }

    /// What the weights file says of itself.
    pub fn header(&self) -> &ModelHeader {
        &self.header
    }

    /// SHA-256 of the weights file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Runs the network on one scan.
    ///
    /// # Errors
    /// [`NetworkError`] if the input has the wrong shape or the device fails.
    pub async fn infer(&self, input: &NetworkInput) -> Result<Logits, NetworkError> {
        let (values, shape) = self.scale(input)?;
        let map = self.run(values, shape);
        self.read(&map.into_data_async().await?)
    }

    /// As [`Self::infer`], waiting for the device. Not for a GPU in the browser, which cannot be waited for.
    ///
    /// # Errors
    /// As [`Self::infer`].
    pub fn infer_blocking(&self, input: &NetworkInput) -> Result<Logits, NetworkError> {
        let (values, shape) = self.scale(input)?;
        let map = self.run(values, shape);
        self.read(&map.try_into_data()?)
    }

    /// What leaves each layer on slice `z` of the input, the head last. A layer with fewer slices gives the one that `z` went into.
    ///
    /// # Errors
    /// As [`Self::infer`].
    pub async fn layer_maps(&self, input: &NetworkInput, z: usize) -> Result<Vec<LayerMaps>, NetworkError> {
        let (values, shape) = self.scale(input)?;
        let mut maps = Vec::new();
        for layer in self.network.layers(self.tensor(values, shape)) {
            let [_, channels, slices, rows, columns] = layer.dims();
            let at = (z * slices / input.shape[0]).min(slices.saturating_sub(1));
            let data = layer.narrow(2, at, 1).into_data_async().await?;
            maps.push(LayerMaps { shape: [channels, rows, columns], values: data.iter().collect() });
        }
        Ok(maps)
    }

    /// Answers the file's self-test: the largest difference of a logit or of a cell of the map from the answer in the file, made on a native CPU.
    ///
    /// # Errors
    /// [`NetworkError`] if the device fails.
    pub async fn self_test(&self) -> Result<f32, NetworkError> {
        let (values, shape) = self.self_test_input();
        let logits = self.read(&self.run(values, shape).into_data_async().await?)?;
        let expected = &self.header.self_test;
        if logits.slices.len() != expected.slices.len() {
            return Ok(f32::INFINITY);
        }
        // The map is compared cell by cell: its pooling does not see a map that is turned or shifted.
        let cells: &[f32] = if expected.evidence.is_empty() { &[] } else { &logits.evidence };
        if cells.len() != expected.evidence.len() {
            return Ok(f32::INFINITY);
        }
        let pairs = logits.slices.iter().zip(&expected.slices).chain(cells.iter().zip(&expected.evidence));
        Ok(pairs.map(|(a, b)| (a - b).abs()).fold((logits.patient - expected.patient).abs(), f32::max))
    }

    fn self_test_input(&self) -> (Vec<f32>, [usize; 3]) {
        let SelfTest { seed, shape, .. } = self.header.self_test;
        let mut random = SplitMix64::new(seed);
        let [low, high] = self.header.scaling.clamp;
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.header.scaling.apply(random.uniform(low, high))).collect();
        (values, shape)
    }

    /// The values that the network takes, and their shape. A network of a fixed number of slices gets them resampled.
    fn scale(&self, input: &NetworkInput) -> Result<(Vec<f32>, [usize; 3]), NetworkError> {
        let [slices, rows, columns] = input.shape;
        let ModelHeader { input_shape, preprocess, scaling, .. } = &self.header;
        let expected = if input_shape[0] == 0 { *input_shape } else { [0, preprocess.rows, preprocess.columns] };
        let fits = (1..=MAX_SLICES).contains(&slices)
            && [rows, columns] == expected[1..]
            && input.hounsfield.len() == slices * rows * columns;
        if !fits {
            return Err(NetworkError::Input { found: input.shape, expected });
        }
        let scale = |values: &[f32]| values.iter().map(|&hounsfield| scaling.apply(hounsfield)).collect();
        if input_shape[0] == 0 {
            return Ok((scale(&input.hounsfield), input.shape));
        }
        Ok((scale(&resample(&input.hounsfield, input.shape, *input_shape)), *input_shape))
    }

    fn run(&self, values: Vec<f32>, shape: [usize; 3]) -> Tensor<5> {
        self.network.forward(self.tensor(values, shape))
    }

    fn tensor(&self, values: Vec<f32>, [slices, rows, columns]: [usize; 3]) -> Tensor<5> {
        Tensor::from_data(TensorData::new(values, [1, 1, slices, rows, columns]), &self.device)
    }

    fn read(&self, map: &TensorData) -> Result<Logits, NetworkError> {
        let shape: Vec<usize> = map.shape().iter().copied().collect();
        let values: Vec<f32> = map.iter::<f32>().collect();
        if values.iter().any(|x| !x.is_finite()) {
            return Err(NetworkError::NotFinite);
        }
        if let HeadConfig::Dense { .. } = self.header.architecture.head {
            let patient = values.first().copied().ok_or(NetworkError::NotFinite)?;
            return Ok(Logits { patient, slices: Vec::new(), evidence: Vec::new(), evidence_shape: [0; 3] });
        }
        let evidence_shape = match shape.as_slice() {
            &[_, _, slices, rows, columns] => [slices, rows, columns],
            _ => [0; 3],
        };
        let cells = (evidence_shape[1] * evidence_shape[2]).max(1);
        let slices: Vec<f32> = values.chunks(cells).map(|map| slice_logit(map, self.slice)).collect();
        let patient = patient_logit(&slices, self.patient);
        Ok(Logits { patient, slices, evidence: values, evidence_shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, NetworkConfig, Weights};
    use crate::preprocess::Alignment;

    fn input(shape: [usize; 3]) -> NetworkInput {
        let count = shape.iter().product();
        let mut random = SplitMix64::new(1);
        NetworkInput {
            hounsfield: (0..count).map(|_| random.uniform(-60.0, 80.0)).collect(),
            mask: vec![true; count],
            shape,
            slices: 0..shape[0],
            slabs: (0..shape[0]).map(|z| z..z + 1).collect(),
            slab_mm: None,
            alignment: Alignment { x0: 0.0, y0: 0.0, xx: 1.0, xy: 0.0, yx: 0.0, yy: 1.0 },
            brain_median_hu: 35.0,
            contrast_gain: 1.0,
        }
    }

    fn file(config: NetworkConfig, input_shape: [usize; 3]) -> ModelFile {
        let weights = Weights::init(&config, 9).unwrap();
        ModelFile { header: ModelHeader::new("test", "0.0.1", config, input_shape), weights }
    }

    #[test]
    fn a_saved_model_passes_its_own_self_test() {
        let bytes = Model::save(file(NetworkConfig::compact(), [0, 96, 80]), Storage::Half).unwrap();
        let model = Model::from_bytes(&bytes, &Device::flex()).unwrap();
        let difference = burn::tensor::try_read_sync(model.self_test()).unwrap().unwrap();
        assert!(difference < 1e-6, "{difference}");
        assert_eq!(model.sha256().len(), 64);
    }

    #[test]
    fn a_device_that_computes_something_else_fails_the_self_test() {
        let mut file = file(NetworkConfig::compact(), [0, 96, 80]);
        file.header.self_test.slices = vec![0.5; 5];
        let model = Model::new(file, &Device::flex()).unwrap();
        assert!(burn::tensor::try_read_sync(model.self_test()).unwrap().unwrap() > 0.01);
    }

    #[test]
    fn inference_agrees_with_the_trainable_network() {
        let config = NetworkConfig::compact();
        let file = file(config.clone(), [0, 96, 80]);
        let input = input([6, 96, 80]);
        let scaled: Vec<f32> = input.hounsfield.iter().map(|&x| file.header.scaling.apply(x)).collect();
        let network = Network::from_weights(&config, &file.weights, &Device::flex()).unwrap();
        let device = Device::flex();
        let tensor = Tensor::from_data(TensorData::new(scaled, [1, 1, 6, 96, 80]), &device);
        let output = network.forward(tensor, Tensor::ones([1, 6], &device), None);
        let logits = Model::new(file, &device).unwrap().infer_blocking(&input).unwrap();
        let slices: Vec<f32> = output.slices.unwrap().into_data().iter().collect();
        for (found, expected) in logits.slices.iter().zip(&slices) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        let patient = output.patient.into_data().iter::<f32>().next().unwrap();
        assert!((logits.patient - patient).abs() < 1e-4, "{} {patient}", logits.patient);
        assert_eq!(logits.evidence_shape, [6, 12, 10]);
    }

    #[test]
    fn a_network_of_a_fixed_number_of_slices_takes_any_scan() {
        let model = Model::new(file(NetworkConfig::published(), [48, 64, 64]), &Device::flex()).unwrap();
        for slices in [5, 30] {
            assert!(model.infer_blocking(&input([slices, 96, 80])).unwrap().patient.is_finite());
        }
    }

    #[test]
    fn the_maps_of_a_slice_end_in_its_evidence() {
        let model = Model::new(file(NetworkConfig::compact(), [0, 96, 80]), &Device::flex()).unwrap();
        let input = input([6, 96, 80]);
        let logits = model.infer_blocking(&input).unwrap();
        for z in [0, 4] {
            let maps = burn::tensor::try_read_sync(model.layer_maps(&input, z)).unwrap().unwrap();
            let shapes: Vec<[usize; 3]> = maps.iter().map(|layer| layer.shape).collect();
            assert_eq!(shapes, [[16, 48, 40], [24, 24, 20], [32, 12, 10], [48, 12, 10], [1, 12, 10]]);
            assert_eq!(maps.last().unwrap().values, logits.evidence[z * 120..(z + 1) * 120]);
        }
    }

    #[test]
    fn a_network_that_halves_its_slices_has_maps_of_each() {
        let model = Model::new(file(NetworkConfig::published(), [48, 64, 64]), &Device::flex()).unwrap();
        let maps = burn::tensor::try_read_sync(model.layer_maps(&input([30, 96, 80]), 29)).unwrap().unwrap();
        assert_eq!(maps.last().unwrap().shape, [1, 1, 1]);
        assert!(maps.iter().all(|layer| layer.values.len() == layer.shape.iter().product::<usize>()));
    }

    #[test]
    fn an_input_of_another_shape_is_refused() {
        let model = Model::new(file(NetworkConfig::compact(), [0, 96, 80]), &Device::flex()).unwrap();
        for shape in [[6, 80, 96], [0, 96, 80], [600, 96, 80]] {
            let error = model.infer_blocking(&input(shape)).unwrap_err();
            assert!(matches!(error, NetworkError::Input { .. }), "{error}");
        }
    }
}
