//! Stated limits on what is read, so that no drop, however made, fills the memory of the tab.
//!
//! Each is far above what a head CT needs. What is over one is refused by name, never cut.

/// Bytes in one picture file.
pub const PICTURE_BYTES: u64 = 64 << 20;
/// Rows or columns of a picture or slice.
pub const SLICE_SIDE: usize = 4096;
/// Slices of one scan.
pub const SLICES: usize = 4096;
/// Voxels of one scan: 1 GiB as `f32`.
pub const VOXELS: usize = 256 << 20;
/// Bytes of a file that is read whole (compressed or not).
pub const WHOLE_FILE_BYTES: u64 = 1 << 30;
/// Bytes that the containers of one drop may unpack into memory.
pub const UNPACKED_BYTES: u64 = 512 << 20;
/// Files in one container.
pub const CONTAINER_ENTRIES: usize = 100_000;
/// Bytes that all files of one container may unpack to.
pub const CONTAINER_BYTES: u64 = 8 << 30;
/// Containers inside containers.
pub const CONTAINER_DEPTH: usize = 5;
/// How many times its size a file may unpack to; CT reaches ten, a bomb a thousand.
pub const EXPANSION: u64 = 32;
/// Bytes that any file may unpack to, however small it is.
pub const SMALL_BYTES: u64 = 64 << 20;

/// Bytes that `packed` bytes may unpack to.
pub const fn expanded(packed: u64) -> u64 {
    let bytes = packed.saturating_mul(EXPANSION);
    if bytes > SMALL_BYTES { bytes } else { SMALL_BYTES }
}

/// Bytes that `packed` bytes may unpack to in memory.
pub const fn unpacked_bytes(packed: u64) -> u64 {
    let bytes = expanded(packed);
    if bytes < UNPACKED_BYTES { bytes } else { UNPACKED_BYTES }
}
