//! Brings what a chore needs, once: what is on the machine is used, what is missing is installed or the one command that installs it is named.

mod apt;
pub(crate) mod browser;
pub(crate) mod firefox;
pub(crate) mod linters;
pub(crate) mod node;
pub(crate) mod vulkan;
pub(crate) mod wasm_target;
pub(crate) mod webkit;
