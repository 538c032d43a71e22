//! Max pooling over non-overlapping windows, and its gradient.

use super::{
    machine::{Kernel, Lanes, dispatch, for_each},
    shared::Shared,
};

/// Shape and window of a pooling; depth, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Samples times channels.
    pub(crate) images: usize,
    /// Size of an image.
    pub(crate) size: [usize; 3],
    /// Sides of a window, none of them 0.
    pub(crate) window: [usize; 3],
}

impl Pool {
    /// Size of a pooled image.
    pub(crate) fn output(&self) -> [usize; 3] {
        std::array::from_fn(|i| self.size[i] / self.window[i])
    }

    fn input_len(&self) -> usize {
        self.size.iter().product()
    }

    fn output_len(&self) -> usize {
        self.output().iter().product()
    }

    /// Pools one image: `output` gets the maxima and `places` where in the image they lie.
    #[inline(always)]
    pub(super) fn image(&self, image: &[f32], output: &mut [f32], places: &mut [u32]) {
        let [_, height, width] = self.size;
        let [depth, rows, columns] = self.window;
        let [_, pooled_height, pooled_width] = self.output();
        if output.is_empty() {
            return;
        }
        for (row, (output, places)) in
            output.chunks_exact_mut(pooled_width).zip(places.chunks_exact_mut(pooled_width)).enumerate()
        {
            let (z, y) = (row / pooled_height * depth, row % pooled_height * rows);
            output.fill(f32::NEG_INFINITY);
            places.fill(((z * height + y) * width) as u32);
            for z in z..z + depth {
                for y in y..y + rows {
                    let start = (z * height + y) * width;
                    let source = &image[start..][..pooled_width * columns];
                    // Windows of a size known to the compiler become vectors.
                    match columns {
                        1 => pool_row::<1>(source, start, output, places),
                        2 => pool_row::<2>(source, start, output, places),
                        3 => pool_row::<3>(source, start, output, places),
                        _ => pool_wide_row(source, columns, start, output, places),
                    }
                }
            }
        }
    }
}

/// Takes the maxima of `output` and the windows of `row`, which starts at `start` of the image.
#[inline(always)]
fn pool_row<const COLUMNS: usize>(row: &[f32], start: usize, output: &mut [f32], places: &mut [u32]) {
    let (windows, _) = row.as_chunks::<COLUMNS>();
    for (x, ((best, place), window)) in output.iter_mut().zip(places.iter_mut()).zip(windows).enumerate() {
        for (dx, &value) in window.iter().enumerate() {
            let wins = wins(value, *best);
            *place = if wins { (start + x * COLUMNS + dx) as u32 } else { *place };
            *best = if wins { value } else { *best };
        }
    }
}

fn pool_wide_row(row: &[f32], columns: usize, start: usize, output: &mut [f32], places: &mut [u32]) {
    for (x, ((best, place), window)) in
        output.iter_mut().zip(places.iter_mut()).zip(row.chunks_exact(columns)).enumerate()
    {
        for (dx, &value) in window.iter().enumerate() {
            if wins(value, *best) {
                *best = value;
                *place = (start + x * columns + dx) as u32;
            }
        }
    }
}

/// Whether `value` replaces the maximum so far. NaN does, so that a broken input stays visible.
#[inline(always)]
fn wins(value: f32, best: f32) -> bool {
    (value > best) | value.is_nan()
}

/// Maxima of all images, and where they lie.
pub(crate) fn forward(pool: &Pool, input: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let len = pool.output_len();
    let mut output = vec![0.0; pool.images * len];
    let mut places = vec![0; pool.images * len];
    let (shared_output, shared_places) = (Shared::new(&mut output), Shared::new(&mut places));
    for_each(pool.images, |index| {
        // SAFETY: every image has its own run.
        let (output, places) = unsafe { (shared_output.run(index * len, len), shared_places.run(index * len, len)) };
        dispatch(PoolImage { pool, image: &input[index * pool.input_len()..][..pool.input_len()], output, places });
    });
    (output, places)
}

struct PoolImage<'a> {
    pool: &'a Pool,
    image: &'a [f32],
    output: &'a mut [f32],
    places: &'a mut [u32],
}

impl Kernel for PoolImage<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        self.pool.image(self.image, self.output, self.places);
    }
}

/// Gradient of the input from `gradient`, that of the output: it goes to where the maxima lie.
pub(crate) fn backward(pool: &Pool, places: &[u32], gradient: &[f32]) -> Vec<f32> {
    let (input_len, len) = (pool.input_len(), pool.output_len());
    let mut output = vec![0.0; pool.images * input_len];
    let shared = Shared::new(&mut output);
    for_each(pool.images, |index| {
        // SAFETY: every image has its own run.
        let image = unsafe { shared.run(index * input_len, input_len) };
        let run = index * len..(index + 1) * len;
        for (&place, &gradient) in places[run.clone()].iter().zip(&gradient[run]) {
            image[place as usize] += gradient;
        }
    });
    output
}
