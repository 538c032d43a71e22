//! Head-CT screening for intracranial bleeding, from files to an answer, the same code natively and in the browser.
//!
//! Data flows one way, a module a step:
//! [`ingest`] (files to a [`volume::Volume`]) → [`preprocess`] (volume to network input) → [`network`] (the 3D CNN) →
//! [`assess`] (logits to a calibrated answer). [`kernels`] holds the convolution operations of the network, [`phantom`]
//! draws synthetic head CTs, and `web` is the page's API.
//!
//! Not a medical device: for research and demonstration only.

pub mod assess;
pub mod ingest;
pub mod kernels;
pub mod network;
pub mod phantom;
pub mod preprocess;
pub mod report;
pub mod screen;
pub mod volume;
#[cfg(feature = "web")]
pub mod web;
