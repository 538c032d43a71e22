//! What the network runs on.

use burn::tensor::Device;

/// What the network runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DeviceChoice {
    /// The first that works: CUDA, wgpu, CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU through WebGPU, Vulkan, Metal or DX12.
    Wgpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// The device cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    /// The program was built without it.
    #[error("using the device {name}: this program was built without it; build with --features {name}")]
    NotBuilt {
        /// The feature.
        name: &'static str,
    },
    /// It is there but does not compute.
    #[error("using the device {name}: it does not compute; use --device cpu")]
    Fails {
        /// The device.
        name: &'static str,
    },
}

impl DeviceChoice {
    /// The device, after it has computed something, and its name for reports (`backend` in docs/report.md).
    pub(crate) fn open(self) -> Result<(Device, &'static str), DeviceError> {
        match self {
            Self::Auto => Ok(working(CUDA, "cuda").or_else(|_| wgpu()).unwrap_or_else(|_| (Device::flex(), "cpu"))),
            Self::Cpu => Ok((Device::flex(), "cpu")),
            Self::Wgpu => wgpu(),
            Self::Cuda => working(CUDA, "cuda"),
        }
    }
}

/// The feature has the name of the crate, the report that of the interface, as in the page.
fn wgpu() -> Result<(Device, &'static str), DeviceError> {
    working(WGPU, "wgpu").map(|(device, _)| (device, "webgpu"))
}

/// burn panics where a driver is missing: a small sum says whether the device can be used.
fn working(open: Open, name: &'static str) -> Result<(Device, &'static str), DeviceError> {
    let open = open.ok_or(DeviceError::NotBuilt { name })?;
    let attempt = std::panic::catch_unwind(|| {
        let device = open();
        let sum = burn::tensor::Tensor::<1>::ones([4], &device).sum().into_data();
        (sum.iter::<f32>().next() == Some(4.0)).then_some(device)
    });
    attempt.ok().flatten().map(|device| (device, name)).ok_or(DeviceError::Fails { name })
}

/// Opens a device that the program may have been built without.
type Open = Option<fn() -> Device>;

#[cfg(feature = "wgpu")]
const WGPU: Open = Some(|| Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
#[cfg(not(feature = "wgpu"))]
const WGPU: Open = None;

#[cfg(feature = "cuda")]
const CUDA: Open = Some(|| Device::cuda(0));
#[cfg(not(feature = "cuda"))]
const CUDA: Open = None;
