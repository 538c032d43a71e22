//! The sample scans of the page.

use super::{Bleed, BleedKind, PhantomConfig, Side};
use serde::Serialize;

/// A synthetic scan that a person can try the page with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Stable name in `snake_case`, for links and tests.
    pub name: &'static str,
    /// A few words.
    pub title: &'static str,
    /// One sentence on what is to be seen.
    pub sentence: &'static str,
    /// What to draw.
    pub config: PhantomConfig,
}

/// The samples, each said to be synthetic in its title or sentence.
pub fn samples() -> Vec<Sample> {
    vec![
        Sample {
            name: "no_bleed",
            title: "Synthetic head, no bleeding",
            sentence: "A computed drawing of a 45-year-old's head without any blood in it; no patient was scanned.",
            config: PhantomConfig { seed: 11, ..PhantomConfig::default() },
        },
        Sample {
            name: "intraparenchymal",
            title: "Synthetic head, bleeding in the brain",
            sentence: "A computed drawing with 25 ml of blood in the left basal ganglia and a rim of oedema; no patient \
                       was scanned.",
            config: PhantomConfig {
                seed: 23,
                age_years: 64.0,
                rotation_deg: 4.0,
                bleeds: vec![Bleed { kind: BleedKind::Intraparenchymal, volume_ml: 25.0, side: Some(Side::Left) }],
                ..PhantomConfig::default()
            },
        },
        Sample {
            name: "subdural",
            title: "Synthetic head, subdural bleeding",
            sentence: "A computed drawing with a crescent of 60 ml of blood along the right side of the brain; no \
                       patient was scanned.",
            config: PhantomConfig {
                seed: 37,
                age_years: 58.0,
                rotation_deg: -6.0,
                bleeds: vec![Bleed { kind: BleedKind::Subdural, volume_ml: 60.0, side: Some(Side::Right) }],
                ..PhantomConfig::default()
            },
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_says_that_it_is_synthetic_and_can_be_drawn() {
        for sample in samples() {
            assert!(sample.title.contains("Synthetic") && sample.sentence.contains("no patient"));
            assert!(sample.config.check().is_ok());
        }
    }
}
