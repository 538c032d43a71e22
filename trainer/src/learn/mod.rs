//! Learning: recipes, samples, batches and the training loop.

pub(crate) mod augment;
pub(crate) mod batch;
pub(crate) mod distill;
pub(crate) mod epoch;
pub(crate) mod fit;
pub(crate) mod paint;
pub(crate) mod recipe;
pub(crate) mod transforms;
