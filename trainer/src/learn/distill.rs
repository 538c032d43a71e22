//! Targets softened by networks that were trained before.

use super::batch::{Batch, Goal};
use super::fit::FitError;
use burn::tensor::{Device, Tensor, TensorData};
use ictus::network::{Network, NetworkConfig, Weights};

/// Networks whose mean answer is learned from.
pub(crate) struct Teachers {
    networks: Vec<Network>,
    share: f32,
    device: Device,
}

impl Teachers {
    /// Networks of a configuration on a device without autodiff, where they use their running statistics.
    pub(crate) fn new(
        config: &NetworkConfig,
        weights: &[Weights],
        share: f32,
        device: &Device,
    ) -> Result<Self, FitError> {
        let networks = weights.iter().map(|weights| Network::from_weights(config, weights, device));
        Ok(Self { networks: networks.collect::<Result<_, _>>()?, share, device: device.clone() })
    }

    /// Moves the targets of a batch towards the mean of the teachers' logits. Weights stay, so that nothing is learned
    /// where the labels have nothing to say.
    pub(crate) fn soften(&self, batch: &mut Batch) -> Result<(), FitError> {
        let [scans, slices, rows, columns] = batch.shape;
        let [mut patient, mut slice, mut pixel] = [const { Vec::new() }; 3];
        for network in &self.networks {
            let tensor = |values: &[f32], shape: Vec<usize>| TensorData::new(values.to_vec(), shape);
            let input = Tensor::from_data(tensor(&batch.input, vec![scans, 1, slices, rows, columns]), &self.device);
            let valid = Tensor::from_data(tensor(&batch.valid, vec![scans, slices]), &self.device);
            let output = network.forward(input, valid, None);
            add(&mut patient, output.patient)?;
            output.slices.map_or(Ok(()), |logits| add(&mut slice, logits))?;
            output.evidence.map_or(Ok(()), |map| add(&mut pixel, map))?;
        }
        let count = self.networks.len() as f32;
        for (goal, sums) in [(&mut batch.patient, patient), (&mut batch.slice, slice), (&mut batch.pixel, pixel)] {
            move_targets(goal, &sums, count, self.share);
        }
        Ok(())
    }
}

fn add<const D: usize>(sums: &mut Vec<f32>, logits: Tensor<D>) -> Result<(), FitError> {
    let data = logits.try_into_data()?;
    sums.resize(data.num_elements(), 0.0);
    sums.iter_mut().zip(data.iter::<f32>()).for_each(|(sum, logit)| *sum += logit);
    Ok(())
}

/// A goal that the recipe leaves out has no targets.
fn move_targets(goal: &mut Goal, sums: &[f32], count: f32, share: f32) {
    for (target, sum) in goal.targets.iter_mut().zip(sums) {
        let taught = 1.0 / (1.0 + (-sum / count).exp());
        *target += share * (taught - *target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_move_by_the_share_towards_the_mean_of_the_teachers() {
        let mut goal = Goal { targets: vec![0.0, 1.0, 1.0], weights: vec![1.0; 3] };
        move_targets(&mut goal, &[0.0, 0.0, 200.0], 2.0, 0.5);
        assert_eq!(goal.targets, [0.25, 0.75, 1.0]);
    }

    #[test]
    fn a_teacher_alone_is_what_is_learned_at_a_share_of_one() {
        let device = Device::flex();
        let config = NetworkConfig::compact();
        let weights = [1, 2].map(|seed| Weights::init(&config, seed).unwrap());
        let batch = Batch {
            input: (0..2 * 5 * 96 * 80).map(|i| ((i * 7) % 31) as f32 / 15.0 - 1.0).collect(),
            shape: [2, 5, 96, 80],
            valid: vec![1.0; 10],
            keep: vec![1.0; 2 * 48],
            slice: Goal { targets: vec![0.0; 10], weights: vec![0.1; 10] },
            patient: Goal { targets: vec![1.0; 2], weights: vec![0.5; 2] },
            pixel: Goal::default(),
            map: [12, 10],
        };
        let taught = |weights: &[Weights]| {
            let mut batch = batch.clone();
            Teachers::new(&config, weights, 1.0, &device).unwrap().soften(&mut batch).unwrap();
            batch
        };
        let logit = |target: f32| (target / (1.0 - target)).ln();
        let (first, second, both) = (taught(&weights[..1]), taught(&weights[1..]), taught(&weights));
        for ((a, b), mean) in first.slice.targets.iter().zip(&second.slice.targets).zip(&both.slice.targets) {
            assert!(a != b && (f32::midpoint(logit(*a), logit(*b)) - logit(*mean)).abs() < 1e-3);
        }
        assert_ne!(first.patient, batch.patient);
        assert_eq!((&both.pixel, &both.slice.weights), (&batch.pixel, &batch.slice.weights));
    }
}
