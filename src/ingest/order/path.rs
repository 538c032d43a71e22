//! Short ways through all slices: a travelling-salesman path or tour of a few dozen stops, by local search.

/// Moves compared in one round of local search; longer runs than this allows are not moved in very large stacks.
const MOVES_A_ROUND: usize = 4_000_000;
/// Paths from nothing that are polished; the rest of the nearest-neighbour starts are too long to be worth it.
const POLISHED: usize = 4;

/// Whether the way leads back to its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It has two ends.
    Path,
    /// It is a circle, written down from any of its slices.
    Tour,
}

/// Distances between all pairs of slices.
pub(super) struct Steps {
    n: usize,
    distance: Vec<f32>,
}

/// Takes the `length` slices from place `from`, turns them round if `turned`, and puts them back before place `to` of
/// the remaining ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    from: usize,
    length: usize,
    to: usize,
    turned: bool,
}

impl Steps {
    /// Root mean square differences of equally long pictures.
    pub(super) fn between(pictures: &[Vec<f32>]) -> Self {
        let n = pictures.len();
        let mut distance = vec![0.0; n * n];
        for (i, a) in pictures.iter().enumerate() {
            for (j, b) in pictures.iter().enumerate().skip(i + 1) {
                let step = root_mean_square(a, b);
                for place in [i * n + j, j * n + i] {
                    if let Some(entry) = distance.get_mut(place) {
                        *entry = step;
                    }
                }
            }
        }
        Self { n, distance }
    }

    pub(super) fn get(&self, a: usize, b: usize) -> f32 {
        self.distance.get(a * self.n + b).copied().unwrap_or(0.0)
    }

    /// Mean distance of all pairs.
    pub(super) fn mean(&self) -> f32 {
        self.distance.iter().sum::<f32>() / (self.n * self.n.saturating_sub(1)).max(1) as f32
    }

    /// Sum of the steps along `order`.
    pub(super) fn length(&self, order: &[usize]) -> f32 {
        order.iter().zip(order.iter().skip(1)).map(|(&a, &b)| self.get(a, b)).sum()
    }

    /// Median of the steps along `order` that are steps at all: blank slices at an end are alike.
    pub(super) fn median_step(&self, order: &[usize]) -> f32 {
        let mut steps: Vec<f32> = order.iter().zip(order.iter().skip(1)).map(|(&a, &b)| self.get(a, b)).collect();
        steps.retain(|&step| step > f32::EPSILON);
        steps.sort_by(f32::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or(0.0)
    }

    /// Makes `order` shorter by moving and turning runs of slices, as long as one move gains more than `least`.
    pub(super) fn shorten(&self, order: &mut Vec<usize>, way: Way, least: f32) {
        while let Some((gain, best)) = self.best_move(order, way) {
            if gain <= least.max(self.rounding(order)) {
                break;
            }
            let run: Vec<usize> = order.drain(best.from..best.from + best.length).collect();
            let tail = order.split_off(best.to);
            if best.turned {
                order.extend(run.into_iter().rev());
            } else {
                order.extend(run);
            }
            order.extend(tail);
        }
    }

    /// How much shorter the best single move would make `order`; below 0 where every move makes it longer.
    pub(super) fn best_gain(&self, order: &[usize], way: Way) -> f32 {
        self.best_move(order, way).map_or(0.0, |(gain, _)| gain)
    }

    /// A short path that knows nothing of names.
    pub(super) fn rebuild(&self) -> Vec<usize> {
        let mut paths: Vec<Vec<usize>> = (0..self.n).map(|start| self.nearest_neighbours(start)).collect();
        paths.sort_by(|a, b| self.length(a).total_cmp(&self.length(b)));
        paths.truncate(POLISHED);
        for path in &mut paths {
            self.shorten(path, Way::Path, 0.0);
        }
        paths.into_iter().min_by(|a, b| self.length(a).total_cmp(&self.length(b))).unwrap_or_default()
    }

    fn nearest_neighbours(&self, start: usize) -> Vec<usize> {
        let mut rest: Vec<usize> = (0..self.n).filter(|&slice| slice != start).collect();
        let mut path = vec![start];
        let mut last = start;
        while let Some(nearest) =
            (0..rest.len()).min_by(|&a, &b| self.from(last, rest.get(a)).total_cmp(&self.from(last, rest.get(b))))
        {
            last = rest.remove(nearest);
            path.push(last);
        }
        path
    }

    fn from(&self, a: usize, b: Option<&usize>) -> f32 {
        b.map_or(0.0, |&b| self.get(a, b))
    }

    /// A gain below this may be an error of rounding, and would let the search go in circles.
    fn rounding(&self, order: &[usize]) -> f32 {
        1e-5 * self.length(order)
    }

    fn best_move(&self, order: &[usize], way: Way) -> Option<(f32, Move)> {
        let n = order.len();
        let longest = (MOVES_A_ROUND / (2 * n * n).max(1)).clamp(3, n.max(3));
        // A step beyond an end of a path costs nothing.
        let link = |a: Option<&usize>, b: Option<&usize>| a.zip(b).map_or(0.0, |(&a, &b)| self.get(a, b));
        let ends = |list_end: Option<usize>| list_end.filter(|_| way == Way::Tour).and_then(|place| order.get(place));
        // On a tour, what moves all but two slices is no move, or the move of those two.
        let most = n.saturating_sub(if way == Way::Tour { 3 } else { 1 });
        let mut best: Option<(f32, Move)> = None;
        for from in 0..n {
            for length in 1..=longest.min(n - from).min(most) {
                let (first, last) = (order.get(from), order.get(from + length - 1));
                let rest = n - length;
                // Neighbours at place `to` of the way without the run.
                let skip = |place: usize| if place < from { place } else { place + length };
                let above = |to: usize| match to.checked_sub(1) {
                    Some(place) => order.get(skip(place)),
                    None => ends(rest.checked_sub(1).map(skip)),
                };
                let below = |to: usize| if to < rest { order.get(skip(to)) } else { ends(Some(skip(0))) };
                let (left, right) = (above(from), below(from));
                let freed = link(left, first) + link(last, right) - link(left, right);
                for to in 0..=rest {
                    let (above, below) = (above(to), below(to));
                    let gap = link(above, below);
                    for turned in [false, true] {
                        let nothing = if turned { length == 1 } else { above == left && below == right };
                        // The whole path turned round is the same path.
                        let whole = turned && length + 1 == n && to != from;
                        if nothing || whole {
                            continue;
                        }
                        let (head, tail) = if turned { (last, first) } else { (first, last) };
                        let gain = freed - (link(above, head) + link(tail, below) - gap);
                        if best.is_none_or(|(most, _)| gain > most) {
                            best = Some((gain, Move { from, length, to, turned }));
                        }
                    }
                }
            }
        }
        best
    }
}

fn root_mean_square(a: &[f32], b: &[f32]) -> f32 {
    let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (squares / a.len().max(1) as f32).sqrt()
}
