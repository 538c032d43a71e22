//! What the processor could do at best, to judge the kernels by.

use std::hint::black_box;

use super::machine::{Kernel, Lanes, dispatch};

/// Enough independent sums to hide the latency of one.
const SUMS: usize = 12;

/// Multiplies and adds in registers, `rounds` times, and returns the number of floating-point operations done: timed, it
/// gives the peak of one thread.
pub(crate) fn multiply_add(rounds: usize) -> usize {
    let mut operations = 0;
    dispatch(MultiplyAdd { rounds, operations: &mut operations });
    operations
}

struct MultiplyAdd<'a> {
    rounds: usize,
    operations: &'a mut usize,
}

impl Kernel for MultiplyAdd<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: `L` is the caller's promise.
        let (mut sums, factor, summand) =
            unsafe { ([L::splat(1.0); SUMS], L::splat(black_box(0.999)), L::splat(black_box(0.001))) };
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, summand);
            }
        }
        for sum in sums {
            black_box(sum.sum());
        }
        *self.operations = self.rounds * SUMS * L::WIDTH * 2;
    }
}
