//! What differs between machines: vector instructions and threads. The only file of the kernels that asks for the target.
//!
//! A kernel is written once over [`Lanes`]; [`dispatch`] runs it with the widest instructions this processor has.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A vector of `f32` in one register.
///
/// A value can only be made through the unsafe constructors, so that holding one proves that the processor has the
/// instructions its methods use.
pub(super) trait Lanes: Copy {
    /// Number of `f32` in the vector.
    const WIDTH: usize;
    /// Vectors of outputs in a register tile of four channels: as many as leave registers for the operands.
    const VECTORS: usize;
    /// All lanes the same.
    ///
    /// # Safety
    /// The processor has the instructions of this implementation.
    unsafe fn splat(value: f32) -> Self;
    /// Reads [`Self::WIDTH`] values; no alignment needed.
    ///
    /// # Safety
    /// As [`Self::splat`], and `WIDTH` values can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes [`Self::WIDTH`] values; no alignment needed.
    ///
    /// # Safety
    /// `WIDTH` values can be written at `to`.
    unsafe fn store(self, to: *mut f32);
    /// `self * factor + summand`, rounded once where the processor can.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// Lane by lane.
    fn add(self, other: Self) -> Self;
    /// Lane by lane.
    fn sub(self, other: Self) -> Self;
    /// Lane by lane.
    fn mul(self, other: Self) -> Self;
    /// The larger of each two lanes; that of `self` if either is NaN.
    fn max(self, other: Self) -> Self;
    /// Sum over the lanes.
    fn sum(self) -> f32;
}

/// A computation written over any [`Lanes`].
pub(super) trait Kernel {
    /// Runs it. Implementations and all they call are `#[inline(always)]`, so that they are compiled with the
    /// instructions of `L`.
    ///
    /// # Safety
    /// The processor has the instructions of `L`.
    unsafe fn run<L: Lanes>(self);
}

/// Runs `kernel` with the widest vectors of this processor.
pub(super) fn dispatch(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just detected.
        return unsafe { x86::run_avx512(kernel) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: both features were just detected.
        return unsafe { x86::run_avx2(kernel) };
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    // SAFETY: a module compiled with simd128 is only accepted by an engine that has it.
    return unsafe { kernel.run::<wasm::Simd128>() };
    #[allow(unreachable_code)]
    // SAFETY: portable lanes use no special instructions.
    unsafe {
        kernel.run::<Portable>();
    }
}

/// Neighbouring outputs of a register tile with the vectors of this processor.
pub(super) fn step() -> usize {
    let mut step = 0;
    dispatch(Step(&mut step));
    step
}

struct Step<'a>(&'a mut usize);

impl Kernel for Step<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        *self.0 = L::VECTORS * L::WIDTH;
    }
}

/// Names of the vectors this machine can run.
#[cfg(test)]
pub(super) fn vectors() -> Vec<&'static str> {
    let mut names = vec!["portable"];
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            names.push("AVX2");
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            names.push("AVX-512");
        }
    }
    names
}

/// Runs `kernel` with the vectors of a name from [`vectors`].
#[cfg(test)]
pub(super) fn run_with(name: &str, kernel: impl Kernel) {
    // SAFETY: names are listed only where their features were detected.
    match name {
        #[cfg(target_arch = "x86_64")]
        "AVX2" => unsafe { x86::run_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        "AVX-512" => unsafe { x86::run_avx512(kernel) },
        _ => unsafe { kernel.run::<Portable>() },
    }
}

/// Calls `job` with every index below `count`, on all threads there are.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn for_each(count: usize, job: impl Fn(usize) + Sync) {
    let threads = rayon::current_num_threads().min(count);
    if threads <= 1 {
        return (0..count).for_each(job);
    }
    // A shared counter instead of rayon's splitting: jobs are few and of equal size, and go out in order.
    let next = AtomicUsize::new(0);
    rayon::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    job(index);
                }
            });
        }
    });
}

/// Calls `job` with every index below `count`: a page's worker has one thread.
#[cfg(target_arch = "wasm32")]
pub(super) fn for_each(count: usize, job: impl Fn(usize) + Sync) {
    (0..count).for_each(job);
}

/// Four lanes in plain Rust, which compilers turn into the vectors every 64-bit processor has.
#[derive(Clone, Copy)]
struct Portable([f32; 4]);

impl Lanes for Portable {
    const WIDTH: usize = 4;
    const VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four readable values.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for four writable values.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    // Separate roundings: `f32::mul_add` is a library call where the baseline has no fused instruction.
    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + summand.0[i]))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] < other.0[i] { other.0[i] } else { self.0[i] }))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps,
        _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    use super::{Kernel, Lanes};

    /// # Safety
    /// The processor has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2(kernel: impl Kernel) {
        // SAFETY: the caller vouches for the features.
        unsafe { kernel.run::<Avx2>() }
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn run_avx512(kernel: impl Kernel) {
        // SAFETY: the caller vouches for the feature.
        unsafe { kernel.run::<Avx512>() }
    }

    #[derive(Clone, Copy)]
    struct Avx512(__m512);

    // SAFETY of the arithmetic below: a value of `Avx512` exists only where the feature does, see [`Lanes`].
    impl Lanes for Avx512 {
        const WIDTH: usize = 16;
        const VECTORS: usize = 3;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller vouches for the feature.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for the feature and the memory.
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for the memory.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, summand: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, summand.0) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }

        // The instruction gives its second operand if either is NaN.
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_max_ps(other.0, self.0) })
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe { _mm512_reduce_add_ps(self.0) }
        }
    }

    #[derive(Clone, Copy)]
    struct Avx2(__m256);

    // SAFETY of the arithmetic below: a value of `Avx2` exists only where the features do, see [`Lanes`].
    impl Lanes for Avx2 {
        const WIDTH: usize = 8;
        const VECTORS: usize = 2;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller vouches for the features.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for the features and the memory.
            Self(unsafe { _mm256_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for the memory.
            unsafe { _mm256_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, summand: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, summand.0) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }

        // The instruction gives its second operand if either is NaN.
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_max_ps(other.0, self.0) })
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use std::arch::wasm32::{
        f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_pmax, f32x4_splat, f32x4_sub, v128, v128_load, v128_store,
    };

    use super::Lanes;

    #[derive(Clone, Copy)]
    pub(super) struct Simd128(v128);

    impl Lanes for Simd128 {
        const WIDTH: usize = 4;
        const VECTORS: usize = 2;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(f32x4_splat(value))
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for the memory.
            Self(unsafe { v128_load(from.cast()) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for the memory.
            unsafe { v128_store(to.cast(), self.0) }
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, summand: Self) -> Self {
            Self(f32x4_add(f32x4_mul(self.0, factor.0), summand.0))
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(f32x4_add(self.0, other.0))
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(f32x4_sub(self.0, other.0))
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(f32x4_mul(self.0, other.0))
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(f32x4_pmax(self.0, other.0))
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            (f32x4_extract_lane::<0>(self.0) + f32x4_extract_lane::<2>(self.0))
                + (f32x4_extract_lane::<1>(self.0) + f32x4_extract_lane::<3>(self.0))
        }
    }
}
