//! What the published pipeline logs of an epoch.

use crate::metrics::{auc, average_precision};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The names of the figures, as columns of a table.
const NAMES: [&str; 10] = ["loss", "tp", "fp", "tn", "fn", "accuracy", "precision", "recall", "roc_auc", "pr_auc"];

/// Figures on some patients. A figure that is not defined (an AUC of one class alone) is 0, as it is in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Mean binary cross-entropy.
    pub(crate) loss: f64,
    /// Patients with a bleed at or above a probability of .5.
    pub(crate) true_positives: u32,
    /// Patients without one at or above it.
    pub(crate) false_positives: u32,
    /// Patients without one below it.
    pub(crate) true_negatives: u32,
    /// Patients with a bleed below it.
    pub(crate) false_negatives: u32,
    /// Share of the patients on the right side of it.
    pub(crate) accuracy: f64,
    /// Share of those at or above it who bleed.
    pub(crate) precision: f64,
    /// Share of those who bleed that are at or above it.
    pub(crate) recall: f64,
    /// Area under the ROC curve.
    pub(crate) auc: f64,
    /// Area under the precision-recall curve.
    pub(crate) pr_auc: f64,
}

impl Figures {
    /// The figures of patient logits.
    pub(crate) fn of(logits: &[(f32, bool)]) -> Self {
        let count = |above: bool, bleeds: bool| {
            logits.iter().filter(|&&(z, b)| (z >= 0.0) == above && b == bleeds).count() as u32
        };
        let (tp, fp, tn, fne) = (count(true, true), count(true, false), count(false, false), count(false, true));
        let share = |part: u32, all: u32| if all == 0 { 0.0 } else { f64::from(part) / f64::from(all) };
        let loss = |&(logit, bleeds): &(f32, bool)| {
            let z = f64::from(logit);
            z.max(0.0) + (-z.abs()).exp().ln_1p() - if bleeds { z } else { 0.0 }
        };
        Self {
            loss: logits.iter().map(loss).sum::<f64>() / logits.len().max(1) as f64,
            true_positives: tp,
            false_positives: fp,
            true_negatives: tn,
            false_negatives: fne,
            accuracy: share(tp + tn, tp + fp + tn + fne),
            precision: share(tp, tp + fp),
            recall: share(tp, tp + fne),
            auc: auc(logits).unwrap_or_default(),
            pr_auc: average_precision(logits).unwrap_or_default(),
        }
    }

    fn values(&self) -> [f64; 10] {
        let [tp, fp, tn, fne] =
            [self.true_positives, self.false_positives, self.true_negatives, self.false_negatives].map(f64::from);
        [self.loss, tp, fp, tn, fne, self.accuracy, self.precision, self.recall, self.auc, self.pr_auc]
    }

    fn from_values([loss, tp, fp, tn, fne, accuracy, precision, recall, auc, pr_auc]: [f64; 10]) -> Self {
        let [true_positives, false_positives, true_negatives, false_negatives] = [tp, fp, tn, fne].map(|n| n as u32);
        Self {
            loss,
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
            accuracy,
            precision,
            recall,
            auc,
            pr_auc,
        }
    }
}

/// An epoch: what the network said while it learned, and of the patients who were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochFigures {
    /// While it learned: with augmentation and dropout, and weights that change from batch to batch, as Keras counts.
    pub(crate) train: Figures,
    /// Patients who were left out, after the epoch.
    pub(crate) validation: Figures,
}

impl EpochFigures {
    /// A table with a row an epoch.
    pub(crate) fn table(epochs: &[Self]) -> String {
        let mut text = "epoch".to_owned();
        for set in ["train", "validation"] {
            for name in NAMES {
                text.extend([",", set, "_", name]);
            }
        }
        text.push('\n');
        for (index, epoch) in epochs.iter().enumerate() {
            let _ = write!(text, "{}", index + 1);
            for value in epoch.train.values().into_iter().chain(epoch.validation.values()) {
                // Writing to a String cannot fail.
                let _ = if value.fract() == 0.0 { write!(text, ",{value}") } else { write!(text, ",{value:.6}") };
            }
            text.push('\n');
        }
        text
    }

    /// The rows of such a table; `None` if it is none.
    pub(crate) fn read(table: &str) -> Option<Vec<Self>> {
        let row = |line: &str| {
            let values = line.split(',').skip(1).map(|cell| cell.parse().ok()).collect::<Option<Vec<f64>>>()?;
            let (train, validation) = values.split_first_chunk::<10>()?;
            let validation = <[f64; 10]>::try_from(validation).ok()?;
            Some(Self { train: Figures::from_values(*train), validation: Figures::from_values(validation) })
        };
        table.lines().skip(1).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::reference::reference;

    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let expected = reference("metrics");
        let scores: Vec<f32> = serde_json::from_value(expected["scores"].clone()).unwrap();
        let labels: Vec<u8> = serde_json::from_value(expected["labels"].clone()).unwrap();
        // .5 has to stay on its side, and ties have to stay ties: the logit of a score.
        let logits: Vec<(f32, bool)> = scores.iter().zip(&labels).map(|(&p, &y)| (p - 0.5, y == 1)).collect();
        let found = Figures::of(&logits);
        let counts = [found.true_positives, found.false_positives, found.true_negatives, found.false_negatives];
        assert_eq!(serde_json::json!(counts), serde_json::json!(["tp", "fp", "tn", "fn"].map(|name| &expected[name])));
        for (name, value) in [
            ("accuracy", found.accuracy),
            ("precision", found.precision),
            ("recall", found.recall),
            ("roc_auc", found.auc),
            ("pr_auc", found.pr_auc),
        ] {
            let expected = expected[name].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-9, "{name}: {value} {expected}");
        }
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let epochs: Vec<EpochFigures> = [0.3_f32, -0.2]
            .map(|shift| EpochFigures {
                train: Figures::of(&[(1.0 + shift, true), (shift, false), (-2.0, true)]),
                validation: Figures::of(&[(shift, true), (0.1, false)]),
            })
            .to_vec();
        let table = EpochFigures::table(&epochs);
        let read = EpochFigures::read(&table).unwrap();
        assert_eq!(EpochFigures::table(&read), table);
        assert_eq!(read[1].validation.true_negatives, 0);
        assert_eq!(EpochFigures::read("epoch,train_loss\n1,0.5\n"), None);
    }

    #[test]
    fn one_class_alone_has_no_area() {
        let found = Figures::of(&[(1.0, true), (2.0, true)]);
        assert_eq!((found.auc, found.precision), (0.0, 1.0));
        assert_eq!(Figures::of(&[]).loss, 0.0);
    }
}
