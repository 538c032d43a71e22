//! A training run as data. Presets lie in `trainer/configs`.

use super::transforms::Transform;
use crate::data::{Preparation, Source, WholeSlices};
use ictus::network::{InputScaling, ModelHeader, NetworkConfig};
use ictus::preprocess::PreprocessConfig;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The presets that are built in.
const PRESETS: [(&str, &str); 12] = [
    ("ct-ich", include_str!("../../configs/ct-ich.json")),
    ("ct-ich-painted", include_str!("../../configs/ct-ich-painted.json")),
    ("both", include_str!("../../configs/both.json")),
    ("both-cut", include_str!("../../configs/both-cut.json")),
    ("both-distilled", include_str!("../../configs/both-distilled.json")),
    ("both-two-sided", include_str!("../../configs/both-two-sided.json")),
    ("published", include_str!("../../configs/published.json")),
    ("published-brain", include_str!("../../configs/published-brain.json")),
    ("seed-none", include_str!("../../configs/seed-none.json")),
    ("seed-basic", include_str!("../../configs/seed-basic.json")),
    ("seed-intermediate", include_str!("../../configs/seed-intermediate.json")),
    ("seed-advanced", include_str!("../../configs/seed-advanced.json")),
];

/// Everything that decides a training run, besides fold and seed. What a file leaves out is as in [`Recipe::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Recipe {
    /// The network.
    pub(crate) network: NetworkConfig,
    /// Slices, rows, columns that every scan is resampled to; the native slices if not given.
    pub(crate) resample: Option<[usize; 3]>,
    /// Whole slices instead of the brain alone; `preprocess`, `augment` and `paint` are without effect then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) whole_slices: Option<WholeSlices>,
    /// Random changes of resampled whole slices, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) transforms: Vec<Transform>,
    /// Keep the weights of the epoch with the best AUC on the fold that is left out, as the published pipeline does, and write the figures
    /// of every epoch. The figures of that fold are of patients whom the choice saw then. Without a fold left out the last epoch stays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) best_epoch: bool,
    /// The preprocessing.
    pub(crate) preprocess: PreprocessConfig,
    /// How Hounsfield units become the network's input.
    pub(crate) scaling: InputScaling,
    /// Sets trained on; the first one decides the figures.
    pub(crate) sources: Vec<Source>,
    /// Scans of phe-sich drawn in each epoch.
    pub(crate) phe_sich_per_epoch: usize,
    /// Share of them whose bleeding slices are cut out.
    pub(crate) phe_sich_cut: f32,
    /// Passes over the training scans.
    pub(crate) epochs: usize,
    /// Scans a batch.
    pub(crate) batch: usize,
    /// Neighbouring slices taken of each scan.
    pub(crate) crop: usize,
    /// The losses.
    pub(crate) loss: Loss,
    /// The optimizer.
    pub(crate) optimizer: Optimizer,
    /// Augmentation.
    pub(crate) augment: Augment,
    /// Painted lesions.
    pub(crate) paint: Paint,
    /// Networks to learn from besides the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) distill: Option<Distill>,
}

/// Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531): the networks of several seeds are made into one, which
/// costs no more than any of them and depends less on luck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Distill {
    /// Name of the run whose seeds are the teachers, in the same folder of runs. A training that leaves a fold out learns
    /// only from those that left out the same fold, so that its figures are of patients whom no teacher saw either.
    pub(crate) run: String,
    /// Share of their mean answer in a target; the label has the rest.
    pub(crate) share: f32,
}

/// Weights of the losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Loss {
    /// Cross-entropy of the slices.
    pub(crate) slice: f32,
    /// Cross-entropy of the patients of ct-ich.
    pub(crate) patient: f32,
    /// Cross-entropy of the evidence map, on ct-ich: painted lesions and slices without a bleed.
    pub(crate) pixel: f32,
    /// The same on phe-sich: lesion outlines.
    pub(crate) phe_sich_pixel: f32,
    /// Cross-entropy of the patients of phe-sich, relative to those of ct-ich. Needs `phe_sich_cut`: without scans that do
    /// not bleed it would teach which hospital a scan is from.
    pub(crate) phe_sich_patient: f32,
    /// Weight of a slice with a bleed against one without.
    pub(crate) positive_slice: f32,
    /// Weight of a cell on a lesion, above 1.
    pub(crate) positive_cell: f32,
    /// Targets are this far from 0 and 1.
    pub(crate) smoothing: f32,
}

/// `AdamW` with warm-up and cosine decay, and an average of the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Optimizer {
    /// Largest learning rate.
    pub(crate) learning_rate: f64,
    /// Share of the steps in which the learning rate rises.
    pub(crate) warm_up: f64,
    /// Weight decay of kernels and dense layers.
    pub(crate) weight_decay: f32,
    /// Decay of the mean gradient.
    pub(crate) beta_1: f32,
    /// Decay of the mean squared gradient.
    pub(crate) beta_2: f32,
    /// Added to the root of the mean squared gradient.
    pub(crate) epsilon: f32,
    /// How the learning rate goes on after the rise.
    pub(crate) schedule: Schedule,
    /// Largest norm of all gradients together; 0 for no limit.
    pub(crate) clip_norm: f32,
    /// Share of the average that a step keeps.
    pub(crate) average_keep: f32,
    /// Share of the epochs before the average begins.
    pub(crate) average_from: f32,
}

/// How the learning rate goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub(crate) enum Schedule {
    /// Half a cosine down to a hundredth.
    Cosine,
    /// Multiplied by a factor every so many steps.
    Staircase {
        /// The factor.
        factor: f64,
        /// The steps.
        every: usize,
    },
}

/// Random changes of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Augment {
    /// Probability of swapping left and right.
    pub(crate) flip: f32,
    /// Largest rotation in degrees.
    pub(crate) rotation_degrees: f32,
    /// Largest change of size.
    pub(crate) scale: f32,
    /// Largest shear, and largest change of size of the rows alone.
    pub(crate) shear: f32,
    /// Largest shift in pixels.
    pub(crate) shift: f32,
    /// Largest change of contrast.
    pub(crate) gain: f32,
    /// Probability of a contrast between 0.7 and 1.5 instead: pictures saved with another window than the usual one.
    pub(crate) other_window: f32,
    /// Standard deviation of a shift of all values, in Hounsfield units.
    pub(crate) offset_hu: f32,
    /// Probability of a slight blur.
    pub(crate) blur: f32,
    /// Probability of a change of sharpness.
    pub(crate) sharpen: f32,
    /// Weights of the detail that is added (or, below 0, taken away) then.
    pub(crate) sharpness: [f32; 2],
    /// Largest standard deviation of the noise in Hounsfield units.
    pub(crate) noise_hu: f32,
    /// Probabilities of cutting 1, 2, .. more pixels beside the bone.
    pub(crate) rim: Vec<f32>,
    /// Probability of reversing the order of the slices.
    pub(crate) reverse: f32,
    /// Probability of a stretch of the rim as bright as the partial volume of bone, which is no bleed.
    pub(crate) bright_rim: f32,
}

/// Lesions painted into crops without a bleed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Paint {
    /// Probability of painting one.
    pub(crate) probability: f32,
    /// Probability of a second one.
    pub(crate) second: f32,
    /// Share of the extra-axial ones that are old and dark.
    pub(crate) dark: f32,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            network: NetworkConfig::compact(),
            resample: None,
            whole_slices: None,
            transforms: Vec::new(),
            best_epoch: false,
            preprocess: PreprocessConfig::default(),
            scaling: InputScaling::default(),
            sources: vec![Source::CtIch],
            phe_sich_per_epoch: 23,
            phe_sich_cut: 0.0,
            epochs: 40,
            batch: 4,
            crop: 20,
            loss: Loss::default(),
            optimizer: Optimizer::default(),
            augment: Augment::default(),
            paint: Paint::default(),
            distill: None,
        }
    }
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            slice: 1.0,
            patient: 0.5,
            pixel: 0.0,
            phe_sich_pixel: 0.0,
            phe_sich_patient: 0.0,
            positive_slice: 3.0,
            positive_cell: 9.0,
            smoothing: 0.02,
        }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            warm_up: 0.1,
            weight_decay: 1e-2,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            schedule: Schedule::Cosine,
            clip_norm: 3.0,
            average_keep: 0.98,
            average_from: 0.4,
        }
    }
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            flip: 0.5,
            rotation_degrees: 15.0,
            scale: 0.12,
            shear: 0.06,
            shift: 5.0,
            gain: 0.15,
            other_window: 0.0,
            offset_hu: 1.5,
            blur: 0.3,
            sharpen: 0.0,
            sharpness: [-0.7, 1.0],
            noise_hu: 2.0,
            rim: vec![0.25],
            reverse: 0.3,
            bright_rim: 0.0,
        }
    }
}

impl Default for Paint {
    fn default() -> Self {
        Self { probability: 0.0, second: 0.3, dark: 0.0 }
    }
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipeError {
    /// Neither a preset nor a file.
    #[error("looking for the recipe {name}: it is no file and none of the presets {presets}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        presets: String,
    },
    /// Not of the right form.
    #[error("reading the recipe {name}")]
    Json {
        /// Which one.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A recipe builds on one that builds on another, and so on.
    #[error("reading the recipe {name}: too many recipes build on one another")]
    Nested {
        /// The last one.
        name: String,
    },
    /// A number makes no sense.
    #[error("checking the recipe: {0}")]
    Number(String),
    /// The network is none.
    #[error("checking the recipe")]
    Network(#[from] ictus::network::ConfigError),
}

impl Recipe {
    /// The preset of that name, or the file. With `"like": "name"` it is that one with the fields that it names itself.
    pub(crate) fn find(name: &str) -> Result<Self, RecipeError> {
        let recipe: Self = serde_json::from_value(Self::layered(name, 4)?)
            .map_err(|source| RecipeError::Json { name: name.to_owned(), source })?;
        recipe.check()?;
        Ok(recipe)
    }

    fn layered(name: &str, deepest: usize) -> Result<serde_json::Value, RecipeError> {
        let text = match PRESETS.iter().find(|(preset, _)| *preset == name) {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(Path::new(name)).map_err(|_| RecipeError::Unknown {
                name: name.to_owned(),
                presets: PRESETS.map(|(preset, _)| preset).join(", "),
            })?,
        };
        let json = |source| RecipeError::Json { name: name.to_owned(), source };
        let mut own: serde_json::Value = serde_json::from_str(&text).map_err(json)?;
        let Some(like) = own.as_object_mut().and_then(|own| own.remove("like")) else { return Ok(own) };
        if deepest == 0 {
            return Err(RecipeError::Nested { name: name.to_owned() });
        }
        let like: String = serde_json::from_value(like).map_err(json)?;
        let mut base = Self::layered(&like, deepest - 1)?;
        lay_over(&mut base, own);
        Ok(base)
    }

    /// The recipe at another shape of its input.
    pub(crate) fn resampled(mut self, shape: [usize; 3]) -> Result<Self, RecipeError> {
        if self.resample.is_none() {
            return Err(RecipeError::Number("resample is for a recipe that resamples its scans".to_owned()));
        }
        self.resample = Some(shape);
        self.check()?;
        Ok(self)
    }

    /// How scans are prepared.
    pub(crate) fn preparation(&self) -> Preparation<'_> {
        match (&self.whole_slices, self.resample) {
            (Some(whole), Some([_, rows, columns])) => Preparation::Whole(whole, [rows, columns]),
            _ => Preparation::Brain(&self.preprocess),
        }
    }

    /// A header for weights of this recipe.
    pub(crate) fn header(&self, name: &str, version: &str) -> ModelHeader {
        let mut header = ModelHeader::new(name, version, self.network.clone(), self.input_shape(0));
        header.preprocess = self.preprocess.clone();
        header.scaling = self.scaling;
        if let Preparation::Whole(_, [rows, columns]) = self.preparation() {
            (header.preprocess.rows, header.preprocess.columns) = (rows, columns);
            header.preprocess.contrast_hu = None;
        }
        header
    }

    fn check(&self) -> Result<(), RecipeError> {
        self.network.layers(self.input_shape(self.crop))?;
        let wrong = |what: &str| Err(RecipeError::Number(what.to_owned()));
        if self.epochs == 0 || self.batch == 0 || self.crop < 4 {
            return wrong("epochs and batch have to be at least 1, crop at least 4");
        }
        if !self.sources.contains(&Source::CtIch) {
            return wrong("sources have to hold ct-ich: no other set has scans without a bleed");
        }
        if self.loss.phe_sich_patient > 0.0 && self.phe_sich_cut < 0.2 {
            return wrong(
                "a patient loss on phe-sich needs phe_sich_cut of 0.2 or more: no scan of it is without a bleed",
            );
        }
        if self.whole_slices.is_some() {
            if self.resample.is_none() || self.scaling != (InputScaling { clamp: [0.0, 1.0], divide: 1.0 }) {
                return wrong("whole_slices need resample, and a scaling that leaves values from 0 to 1 as they are");
            }
            if self.sources != [Source::CtIch] || self.paint.probability > 0.0 || self.loss.pixel > 0.0 {
                return wrong(
                    "whole_slices are for ct-ich alone, without painted lesions and without a loss of the map",
                );
            }
        } else if !self.transforms.is_empty() {
            return wrong("transforms are for whole_slices: the brain alone has augment");
        }
        if self.distill.as_ref().is_some_and(|distill| !(0.0..=1.0).contains(&distill.share)) {
            return wrong("the share of the teachers has to lie between 0 and 1");
        }
        if self.network.in_channels != 1 {
            return wrong("the network has to have one input channel");
        }
        Ok(())
    }

    /// Slices, rows, columns of a sample.
    pub(crate) fn input_shape(&self, slices: usize) -> [usize; 3] {
        self.resample.unwrap_or([slices, self.preprocess.rows, self.preprocess.columns])
    }
}

/// Fields of `over` replace those of `base`, within objects one by one.
fn lay_over(base: &mut serde_json::Value, over: serde_json::Value) {
    match (base, over) {
        (serde_json::Value::Object(base), serde_json::Value::Object(over)) => {
            for (key, value) in over {
                lay_over(base.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_like_another_has_its_fields_but_for_its_own() {
        let folder = std::env::temp_dir().join(format!("ictus-like-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("own.json");
        std::fs::write(&path, r#"{"like": "seed-basic", "epochs": 3, "optimizer": {"beta_1": 0.8}}"#).unwrap();
        let own = Recipe::find(path.to_str().unwrap()).unwrap();
        let base = Recipe::find("seed-basic").unwrap();
        assert_eq!((own.epochs, own.optimizer.beta_1), (3, 0.8));
        assert_eq!(own.optimizer.learning_rate, base.optimizer.learning_rate);
        assert_eq!(own.transforms, base.transforms);
        let endless = format!(r#"{{"like": {path:?}}}"#);
        std::fs::write(&path, endless).unwrap();
        assert!(matches!(Recipe::find(path.to_str().unwrap()), Err(RecipeError::Nested { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_four_arms_differ_in_their_transforms_alone() {
        let arms =
            ["none", "basic", "intermediate", "advanced"].map(|arm| Recipe::find(&format!("seed-{arm}")).unwrap());
        let names = |recipe: &Recipe| recipe.transforms.iter().map(Transform::name).collect::<Vec<_>>();
        assert_eq!(names(&arms[0]), [""; 0]);
        assert_eq!(names(&arms[1]), ["brightness", "contrast"]);
        assert_eq!(names(&arms[2]), ["brightness", "contrast", "rotation", "vertical flip", "shift"]);
        assert_eq!(names(&arms[3])[..5], names(&arms[2]));
        assert_eq!(names(&arms[3])[5..], ["zoom", "shear"]);
        for arm in &arms {
            let plain = Recipe { transforms: Vec::new(), ..arm.clone() };
            assert_eq!(plain, arms[0]);
            assert_eq!(arm.network, NetworkConfig::published());
        }
        assert_eq!(arms[0].clone().resampled([64, 128, 128]).unwrap().input_shape(1), [64, 128, 128]);
        assert!(arms[0].clone().resampled([20, 30, 30]).is_err(), "nothing is left of that after four blocks");
        assert!(Recipe::default().resampled([64, 128, 128]).is_err());
    }

    #[test]
    fn every_preset_is_a_recipe() {
        for (name, _) in PRESETS {
            Recipe::find(name).unwrap();
        }
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_str::<Recipe>(r#"{"epoch": 3}"#).is_err());
    }
}
