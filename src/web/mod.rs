//! The page's API: the only place with wasm-bindgen, web-sys and js-sys.
//!
//! Two files are built from this crate. The CPU one exports [`Engine`], which holds the scans and does everything. The
//! WebGPU one exports [`Network`] alone: it gets the network's input from the engine and gives back logits, so that a GPU
//! that fails takes no scan with it. Both live in workers of their own (`www/worker.js`, `www/gpu-worker.js`).

#[cfg(not(feature = "wgpu"))]
mod engine;
mod fault;
#[cfg(not(feature = "wgpu"))]
mod files;
#[cfg(feature = "wgpu")]
mod network;
mod parts;
#[cfg(not(feature = "wgpu"))]
mod remote;
#[cfg(not(feature = "wgpu"))]
mod shelf;
#[cfg(not(feature = "wgpu"))]
mod view;

#[cfg(not(feature = "wgpu"))]
pub use engine::Engine;
pub use fault::Fault;
#[cfg(feature = "wgpu")]
pub use network::Network;
pub use parts::LogitParts;
#[cfg(not(feature = "wgpu"))]
pub use view::{LayerPicture, Thumbnail};

use wasm_bindgen::prelude::wasm_bindgen;

/// A panic is a mistake of ours: it is said in full on the console before the engine stops.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}
