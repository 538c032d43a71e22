//! Prepared scans on disk, so that a run starts in seconds.

use super::sources::Listed;
use super::whole::{self, Labels, WholeSlices};
use super::{Case, CaseRecord, DataError, Source, region, sources};
use ictus::network::hex;
use ictus::preprocess::PreprocessConfig;
use indicatif::ProgressBar;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// A set with its prepared scans.
pub(crate) struct Dataset {
    /// Which one.
    pub(crate) source: Source,
    /// Its scans, in the order of the patient numbers.
    pub(crate) cases: Vec<Case>,
    /// SHA-256 of the prepared inputs and labels, in hexadecimal.
    pub(crate) fingerprint: String,
}

/// What a scan is prepared as.
#[derive(Clone, Copy)]
pub(crate) enum Preparation<'a> {
    /// The brain alone.
    Brain(&'a PreprocessConfig),
    /// Whole slices of so many rows and columns.
    Whole(&'a WholeSlices, [usize; 2]),
}

impl Preparation<'_> {
    /// Two preparations that differ have different keys.
    fn key(self) -> String {
        match self {
            Self::Brain(config) => format!("{:?}3", learned_from(config)),
            // Which label is learned is not in the prepared pixels.
            Self::Whole(WholeSlices { remove_noise, rotate, labels: _ }, size) => {
                format!("whole slices 1 {remove_noise} {rotate} {size:?}")
            }
        }
    }

    fn read(self, listed: &Listed) -> Result<Case, DataError> {
        match self {
            Self::Brain(config) => sources::read(listed, &learned_from(config)),
            Self::Whole(config, size) => whole::read(listed, config, size),
        }
    }
}

/// Networks learn from the contrasts as they are; only what they are asked about is brought within bounds.
fn learned_from(config: &PreprocessConfig) -> PreprocessConfig {
    PreprocessConfig { contrast_hu: None, ..config.clone() }
}

/// Reads a set, from the cache if it was prepared before in the same way.
pub(crate) fn load(source: Source, data: &Path, cache: &Path, preparation: Preparation) -> Result<Dataset, DataError> {
    let key = format!("{}{}", sources::tables(source, data)?, preparation.key());
    let key = hex(&Sha256::digest(key.as_bytes()));
    let path = cache.join(format!("{}-{}.safetensors", source.name(), key.get(..16).unwrap_or(&key)));
    let mut cases = if path.exists() { read(&path)? } else { prepare(source, data, preparation, &path)? };
    if let Preparation::Whole(WholeSlices { labels: Labels::Folder, .. }, _) = preparation {
        let listed = sources::list(source, data)?;
        for case in &mut cases {
            let of_case = listed.iter().find(|listed| listed.record.patient == case.record.patient);
            case.target = of_case.and_then(|listed| listed.filed_with_bleed);
        }
    }
    let mut hash = Sha256::new();
    for case in &cases {
        hash.update(case.record.name());
        hash.update(case.record.labels.iter().map(|&label| u8::from(label)).collect::<Vec<_>>());
        hash.update(bytes(&case.hounsfield));
        hash.update(bytes(&case.region));
    }
    Ok(Dataset { source, cases, fingerprint: hex(&hash.finalize()) })
}

fn prepare(source: Source, data: &Path, preparation: Preparation, path: &Path) -> Result<Vec<Case>, DataError> {
    let listed = sources::list(source, data)?;
    let bar = ProgressBar::new(listed.len() as u64)
        .with_style(crate::progress::style(&format!("preparing {}", source.name())));
    let cases = listed
        .par_iter()
        .map(|listed| preparation.read(listed).inspect(|_| bar.inc(1)))
        .collect::<Result<Vec<_>, _>>()?;
    bar.finish();
    write(path, &cases)?;
    Ok(cases)
}

fn write(path: &Path, cases: &[Case]) -> Result<(), DataError> {
    let wrong = |what: String| DataError::Cache { path: path.display().to_string(), what };
    let mut stored = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        for (name, values) in [("hounsfield", &case.hounsfield), ("mask", &case.mask), ("region", &case.region)] {
            stored.push((format!("{index}.{name}"), values.len(), bytes(values)));
        }
    }
    let views = stored
        .iter()
        .map(|(name, length, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![*length], bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| wrong(error.to_string()))?;
    let records: Vec<&CaseRecord> = cases.iter().map(|case| &case.record).collect();
    let records = serde_json::to_string(&records).map_err(|error| wrong(error.to_string()))?;
    let metadata = HashMap::from([("cases".to_owned(), records)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| wrong(error.to_string()))?;
    let io = |source| DataError::Io { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    crate::files::write_whole(path, &bytes).map_err(io)
}

fn read(path: &Path) -> Result<Vec<Case>, DataError> {
    let wrong = |what: String| DataError::Cache { path: path.display().to_string(), what };
    let bytes = std::fs::read(path).map_err(|source| DataError::Io { path: path.display().to_string(), source })?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| wrong(error.to_string()))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
    let records = metadata.metadata().as_ref().and_then(|map| map.get("cases"));
    let records = records.ok_or_else(|| wrong("it holds no list of scans".into()))?;
    let records: Vec<CaseRecord> = serde_json::from_str(records).map_err(|error| wrong(error.to_string()))?;
    records
        .into_iter()
        .enumerate()
        .map(|(index, record)| {
            let get = |name: &str| -> Result<Vec<f32>, DataError> {
                let view = tensors.tensor(&format!("{index}.{name}")).map_err(|error| wrong(error.to_string()))?;
                Ok(view.data().as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect())
            };
            let mask = get("mask")?;
            let inside: Vec<bool> = mask.iter().map(|&x| x > 0.5).collect();
            let depth = region::depth(&inside, record.shape);
            Ok(Case { hounsfield: get("hounsfield")?, region: get("region")?, record, mask, depth, target: None })
        })
        .collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}
