//! A Vulkan driver, which native wgpu needs on Linux.

use super::apt;
use crate::error::Result;
use std::fs;
use std::path::Path;

/// Where Vulkan drivers register themselves.
const DRIVERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/// Makes sure that there is an adapter: the machine's own, or Mesa's, which computes on the CPU.
pub(crate) fn ready() -> Result<()> {
    // Metal and DirectX come with their systems.
    if !cfg!(target_os = "linux") || DRIVERS.iter().any(|folder| has_entries(Path::new(folder))) {
        return Ok(());
    }
    apt::install("a Vulkan driver", &["libvulkan1", "mesa-vulkan-drivers"])
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
