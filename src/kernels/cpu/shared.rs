//! One output written by several threads.

use std::marker::PhantomData;

/// A slice of which threads write different runs.
pub(super) struct Shared<'a, T = f32> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out nothing but runs that its users keep apart, see `run`.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The `len` values from `at` on.
    ///
    /// # Safety
    /// No two runs that are alive at the same time overlap.
    #[expect(clippy::mut_from_ref, reason = "this is what the type is for")]
    pub(super) unsafe fn run(&self, at: usize, len: usize) -> &mut [T] {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "a run lies outside the slice");
        // SAFETY: inside the slice that was borrowed for `'a`; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
