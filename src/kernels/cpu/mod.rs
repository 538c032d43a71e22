//! The operations on plain `f32` slices, for the processor.
#![allow(
    unsafe_code,
    reason = "vector instructions and the disjoint writes of several threads; each block says why it holds"
)]
#![allow(
    clippy::inline_always,
    reason = "what a kernel calls must be compiled with the instructions of its vectors, see `machine::Kernel`"
)]
#![cfg_attr(
    not(feature = "autodiff"),
    allow(
        dead_code,
        unused_imports,
        reason = "backward passes are called by autodiff only, which the page is built without"
    )
)]

pub(super) mod conv;
pub(super) mod correlation;
pub(super) mod geometry;
mod machine;
pub(super) mod norm;
pub(super) mod peak;
pub(super) mod pool;
mod shared;
mod weight_gradient;
mod winograd;
