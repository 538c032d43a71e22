//! Figures of parts of the patients: what an average hides.

use crate::data::{BleedTypes, Source};
use crate::evaluate::{CrossFitted, SAMPLES, mean, patients, shipped};
use crate::metrics::{auc, bootstrap};
use crate::run::Prediction;
use ictus::phantom::BleedKind;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Figures of some of the patients of ct-ich.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Subgroup {
    /// Who is in it.
    pub(crate) name: String,
    /// Patients with a bleed.
    pub(crate) positive: usize,
    /// Patients without.
    pub(crate) negative: usize,
    /// Patient AUC by the shipped score, mean over the seeds.
    pub(crate) auc: f64,
    /// Its 95 % interval over patients, of the logits averaged over the seeds.
    pub(crate) interval: [f64; 2],
    /// Patients with a bleed who reach the lower threshold, first seed, calibration and threshold of the other folds.
    pub(crate) reach_lower: usize,
}

/// Fewer patients of a kind have no interval: three who all rank first would have one from 1 to 1.
const FEWEST: usize = 5;

impl Subgroup {
    /// The AUC with its interval, where there are enough patients for one.
    pub(crate) fn area(&self) -> String {
        let ([low, high], auc) = (self.interval, self.auc);
        if self.positive.min(self.negative) < FEWEST {
            format!("{auc:.3} (too few for an interval)")
        } else {
            format!("{auc:.3} [{low:.3}-{high:.3}]")
        }
    }
}

/// A name, and whether a patient belongs to it.
type Group<'a> = (String, Box<dyn Fn(&Prediction) -> bool + 'a>);

/// The subgroups that have patients with and without a bleed.
pub(crate) fn subgroups(
    runs: &BTreeMap<u64, Vec<Prediction>>,
    averaged: &[Prediction],
    fitted: &[CrossFitted],
    types: Option<&BleedTypes>,
) -> Vec<Subgroup> {
    let first = fitted.iter().map(|patient| patient.seed).min();
    let found: HashSet<u32> = fitted
        .iter()
        .filter(|patient| Some(patient.seed) == first && patient.positive && patient.reaches_lower)
        .map(|patient| patient.patient)
        .collect();
    let score = |p: &Prediction| (shipped(p.patient, &p.slices), p.record.positive());
    let row = |(name, belongs): Group| {
        let of = |predictions: &[Prediction]| -> Vec<Prediction> {
            predictions.iter().filter(|p| p.record.source == Source::CtIch && belongs(p)).cloned().collect()
        };
        let group = of(averaged);
        let aucs: Option<Vec<f64>> =
            runs.values().map(|predictions| auc(&patients(&of(predictions), Source::CtIch, shipped))).collect();
        let interval = bootstrap(&group, SAMPLES, |drawn| {
            auc(&drawn.iter().map(|prediction| score(prediction)).collect::<Vec<_>>())
        });
        let bleeding: Vec<&Prediction> = group.iter().filter(|p| p.record.positive()).collect();
        Some(Subgroup {
            name,
            positive: bleeding.len(),
            negative: group.len() - bleeding.len(),
            auc: mean(&aucs?),
            interval: interval?,
            reach_lower: bleeding.iter().filter(|p| found.contains(&p.record.patient)).count(),
        })
    };
    groups(types).into_iter().filter_map(row).collect()
}

fn groups(types: Option<&BleedTypes>) -> Vec<Group<'_>> {
    fn count(p: &Prediction) -> usize {
        p.record.labels.iter().filter(|&&label| label).count()
    }
    fn group<'a>(name: &str, belongs: impl Fn(&Prediction) -> bool + 'a) -> Group<'a> {
        (name.to_owned(), Box::new(belongs))
    }
    let mut groups = vec![
        group("bleed with fracture, all without bleed", |p| !p.record.positive() || p.record.fracture),
        group("bleed without fracture, all without bleed", |p| !p.record.positive() || !p.record.fracture),
        group("under 18 years", |p| p.record.age_years.is_some_and(|age| age < 18.0)),
        group("18 years and over", |p| p.record.age_years.is_some_and(|age| age >= 18.0)),
        group("bleed on 1 to 3 slices, all without bleed", |p| count(p) <= 3),
        group("bleed on 4 slices and more, all without bleed", |p| count(p) == 0 || count(p) >= 4),
    ];
    let Some(types) = types else { return groups };
    let of = |p: &Prediction| types.get(&p.record.patient);
    for kind in BleedKind::ALL {
        let has = move |p: &Prediction| of(p).is_some_and(|types| types.contains(&kind));
        groups
            .push(group(&format!("{} bleed, all without bleed", kind.name()), move |p| !p.record.positive() || has(p)));
    }
    let several = move |p: &Prediction| of(p).is_some_and(|types| types.len() > 1);
    groups.push(group("bleeds of several types, all without bleed", move |p| !p.record.positive() || several(p)));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::CaseRecord;
    use crate::evaluate::evaluate;

    /// Ten patients, of whom the even ones bleed on three slices; patient 2 is scored as if it did not.
    fn predictions() -> Vec<Prediction> {
        let one = |patient: u32| {
            let positive = patient.is_multiple_of(2);
            let logit = if positive && patient != 2 { patient as f32 } else { -(patient as f32) };
            Prediction {
                record: CaseRecord {
                    source: Source::CtIch,
                    patient,
                    fold: patient as usize / 2 % 5,
                    fracture: false,
                    age_years: Some(40.0),
                    labels: (0..6).map(|z| positive && z < 3).collect(),
                    kept: [0, 6],
                    shape: [6, 96, 80],
                },
                patient: logit,
                slices: vec![-4.0, logit, -4.0, -4.0, -4.0, -4.0],
                peak_on_lesion: None,
                without_bleed: None,
            }
        };
        (0..20).map(one).collect()
    }

    #[test]
    fn a_type_of_bleed_has_its_own_row_with_all_who_do_not_bleed() {
        let runs = BTreeMap::from([(0, predictions())]);
        let types: BleedTypes = (0..20)
            .map(|patient| {
                let kinds: &[BleedKind] = match patient {
                    2 => &[BleedKind::Epidural],
                    p if p % 2 == 1 => &[],
                    _ => &[BleedKind::Subdural, BleedKind::Subarachnoid],
                };
                (patient, kinds.iter().copied().collect())
            })
            .collect();
        let with = evaluate(&runs, Some(&types)).unwrap().unwrap().subgroups;
        let named = |name: &str| with.iter().find(|group| group.name.starts_with(name));
        let subdural = named("subdural").unwrap();
        assert_eq!((subdural.positive, subdural.negative), (9, 10));
        assert!(subdural.auc > 0.9 && subdural.interval[0] <= subdural.auc && subdural.reach_lower >= 8);
        let epidural = named("epidural").unwrap();
        assert_eq!((epidural.positive, epidural.negative), (1, 10));
        assert!(epidural.auc < subdural.auc);
        assert!(epidural.area().ends_with("(too few for an interval)") && subdural.area().ends_with(']'));
        assert_eq!(named("bleeds of several types").unwrap().positive, 9);
        assert_eq!(named("intraventricular"), None, "nobody has one");
        // Nobody is under 18, nobody has a fracture: no figure is made up for them.
        assert_eq!(named("under 18"), None);
        assert_eq!(named("bleed with fracture"), None);

        let without = evaluate(&runs, None).unwrap().unwrap().subgroups;
        assert!(without.iter().all(|group| !group.name.contains("subdural")) && !without.is_empty());
    }
}
