//! Thumbnails of slices in the brain window, and what in them tells the skull base from the vertex.

use super::Stack;

/// Side of a thumbnail in pixels. A head then spans some 50, enough to tell 5 mm neighbours apart.
const SIDE: usize = 64;
/// The brain window in which thumbnails are compared (level 40, width 120): the only part that 8-bit stacks have.
const WINDOW: (f32, f32) = (-20.0, 100.0);
/// Grey above which a pixel belongs to the head.
const TISSUE: f32 = 20.0;
/// Pixels of tissue on a slice that shows a head; slices beyond its ends can be alike without being copies.
const LEAST_HEAD: usize = SIDE * SIDE / 50;
/// Grey below which a pixel inside the head is air (or fat, where the values reach that low).
const AIR: f32 = 15.0;
/// Pixels from the skin to the inner table of the skull, about 15 mm: edges deeper than this are mostly the base's.
const SHELL: usize = 5;

/// A slice of `SIDE * SIDE` area means, grey 0..255 of the brain window, row after row.
pub(super) struct Thumb(Vec<f32>);

impl Thumb {
    /// One thumbnail a slice. Slices are `rows * columns` long.
    pub(super) fn of_stack(stack: &Stack<'_>) -> Vec<Self> {
        let window = grey_window(stack);
        stack.slices.iter().map(|slice| Self::of(slice, stack.rows, stack.columns, window)).collect()
    }

    fn of(slice: &[f32], rows: usize, columns: usize, (low, high): (f32, f32)) -> Self {
        let mut thumb = Vec::with_capacity(SIDE * SIDE);
        let scale = 255.0 / (high - low);
        let mut sums = vec![0.0_f32; columns];
        for row in 0..SIDE {
            let (top, bottom) = span(row, rows);
            sums.fill(0.0);
            for line in slice.get(top * columns..bottom * columns).unwrap_or_default().chunks_exact(columns.max(1)) {
                for (sum, value) in sums.iter_mut().zip(line) {
                    // `max` first: it turns NaN into air.
                    *sum += value.max(low).min(high) - low;
                }
            }
            thumb.extend((0..SIDE).map(|column| {
                let (left, right) = span(column, columns);
                let sum: f32 = sums.get(left..right).unwrap_or_default().iter().sum();
                sum * scale / ((bottom - top) * (right - left)) as f32
            }));
        }
        Self(thumb)
    }

    /// Blurred by a binomial filter of about one pixel, so that a shift by less than a pixel hardly counts.
    pub(super) fn blurred(&self) -> Vec<f32> {
        let along_rows = blur(&self.0, 1);
        blur(&along_rows, SIDE)
    }

    /// Whether there is more on it than air, a head rest and a few letters.
    pub(super) fn shows_a_head(&self) -> bool {
        self.0.iter().filter(|&&grey| grey > TISSUE).count() > LEAST_HEAD
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        self.0.get(row * SIDE + column).copied().unwrap_or(0.0)
    }
}

/// Values from 0 to beyond the brain window are grey already: no Hounsfield slice is without air.
fn grey_window(stack: &Stack<'_>) -> (f32, f32) {
    // A sample will do: air is everywhere.
    let values = stack.slices.iter().flat_map(|slice| slice.iter().copied().step_by(13));
    let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
    if low >= 0.0 && high > WINDOW.1 { (0.0, 255.0) } else { WINDOW }
}

/// Pixels `from..to` of `length` under thumbnail pixel `bin`: never none.
fn span(bin: usize, length: usize) -> (usize, usize) {
    let from = bin * length / SIDE;
    (from, ((bin + 1) * length / SIDE).max(from + 1))
}

/// Binomial filter of five taps along one axis (`stride` 1: along a row, `SIDE`: along a column), edges repeated.
fn blur(grey: &[f32], stride: usize) -> Vec<f32> {
    (0..grey.len())
        .map(|at| {
            let place = at / stride % SIDE;
            let tap = |offset: isize| {
                let moved = place.saturating_add_signed(offset).min(SIDE - 1);
                grey.get(at - place * stride + moved * stride).copied().unwrap_or(0.0)
            };
            (tap(-2) + tap(2) + 4.0 * (tap(-1) + tap(1)) + 6.0 * tap(0)) / 16.0
        })
        .collect()
}

/// What tells the skull base from the vertex, on one slice.
pub(super) struct BaseSigns {
    /// Area of the head: it closes towards the vertex.
    area: f32,
    /// Air inside the head: sinuses, mastoid cells, airways.
    air: f32,
    /// Edges deep inside the head: petrous bones, orbits, cisterns. Bone itself is no sign: the vertex is full of it.
    edges: f32,
}

impl BaseSigns {
    pub(super) fn of(thumb: &Thumb) -> Self {
        let head = filled_head(thumb);
        let deep = eroded(&head, SHELL);
        let area = head.iter().filter(|&&inside| inside).count() as f32;
        let mut signs = Self { area, air: 0.0, edges: 0.0 };
        for row in 1..SIDE - 1 {
            for column in 1..SIDE - 1 {
                let place = row * SIDE + column;
                if head.get(place) == Some(&true) && thumb.at(row, column) < AIR {
                    signs.air += 1.0;
                }
                if deep.get(place) == Some(&true) {
                    let across = thumb.at(row, column + 1) - thumb.at(row, column - 1);
                    let down = thumb.at(row + 1, column) - thumb.at(row - 1, column);
                    signs.edges += across.hypot(down) / 2.0;
                }
            }
        }
        signs
    }
}

/// Log-odds that the base is at the start of `order` and not at its end.
///
/// The centres of air, deep edges and area along the stack (-1 the first slice, 1 the last), negated and weighed. The
/// weights are a logistic regression on 121 real scans and 260 phantoms, whole and with a part of either end cut off;
/// all whole real scans come out right (least 0.7, 98 of 100 above 2.9).
pub(super) fn baseness(order: &[usize], signs: &[BaseSigns]) -> f32 {
    let last = order.len().saturating_sub(1).max(1) as f32;
    let centre = |sign: fn(&BaseSigns) -> f32, prior: f32| {
        let (mut moment, mut total) = (0.0, f32::EPSILON + prior * order.len() as f32);
        for (place, slice) in order.iter().filter_map(|&named| signs.get(named)).enumerate() {
            moment += sign(slice) * (2.0 * place as f32 / last - 1.0);
            total += sign(slice);
        }
        moment / total
    };
    // A few pixels of air are no sign: they weigh against this many a slice.
    -(3.2 * centre(|s| s.air, 2.0) + 14.0 * centre(|s| s.edges, 0.0) + 11.0 * centre(|s| s.area, 0.0))
}

/// The head with its holes filled: everything that air outside cannot reach.
fn filled_head(thumb: &Thumb) -> Vec<bool> {
    let mut head = vec![true; SIDE * SIDE];
    let rim = (0..SIDE).flat_map(|i| [i, (SIDE - 1) * SIDE + i, i * SIDE, i * SIDE + SIDE - 1]);
    let mut front: Vec<usize> = rim.collect();
    while let Some(place) = front.pop() {
        let (row, column) = (place / SIDE, place % SIDE);
        let Some(inside) = head.get_mut(place) else { continue };
        if !*inside || thumb.at(row, column) > TISSUE {
            continue;
        }
        *inside = false;
        if row > 0 {
            front.push(place - SIDE);
        }
        if row + 1 < SIDE {
            front.push(place + SIDE);
        }
        if column > 0 {
            front.push(place - 1);
        }
        if column + 1 < SIDE {
            front.push(place + 1);
        }
    }
    head
}

/// The mask without its outermost `steps` pixels (city-block distance); beyond the picture counts as outside.
fn eroded(mask: &[bool], steps: usize) -> Vec<bool> {
    let mut mask = mask.to_vec();
    for _ in 0..steps {
        let at = |place: Option<usize>| place.and_then(|p| mask.get(p).copied()).unwrap_or(false);
        mask = (0..SIDE * SIDE)
            .map(|place| {
                let column = place % SIDE;
                at(Some(place))
                    && at(place.checked_sub(SIDE))
                    && at(Some(place + SIDE))
                    && column > 0
                    && at(place.checked_sub(1))
                    && column + 1 < SIDE
                    && at(Some(place + 1))
            })
            .collect();
    }
    mask
}
