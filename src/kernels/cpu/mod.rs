//! The operations on plain `f32` slices, for the processor.
#![allow(
    unsafe_code,
    reason = "vector instructions and the disjoint writes of several threads; each block says why it holds"
)]

pub(super) mod conv;
pub(super) mod geometry;
mod machine;
pub(super) mod norm;
pub(super) mod peak;
pub(super) mod pool;
mod shared;
