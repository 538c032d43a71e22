//! Connected regions of a picture as runs of pixels.

/// Neighbouring pixels of one row: columns `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Run {
    /// The run's pixels of a picture that is `columns` wide.
    pub(super) fn of<T>(self, picture: &[T], columns: usize) -> &[T] {
        &picture[self.row * columns + self.start..self.row * columns + self.end]
    }

    /// The run's pixels of a picture that is `columns` wide, to write to.
    pub(super) fn of_mut<T>(self, picture: &mut [T], columns: usize) -> &mut [T] {
        &mut picture[self.row * columns + self.start..self.row * columns + self.end]
    }
}

/// A region in which every pixel has a neighbour beside, above or below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) runs: Vec<Run>,
    pub(super) area: usize,
    /// Whether it reaches the edge of the picture.
    pub(super) open: bool,
}

/// The 4-connected regions of the pixels of a `columns` wide picture that `inside` accepts, in reading order.
pub(super) fn regions<T: Copy>(picture: &[T], columns: usize, inside: impl Fn(T) -> bool) -> Vec<Region> {
    let columns = columns.max(1);
    let rows = picture.len() / columns;
    let mut runs: Vec<Run> = Vec::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut above = 0..0;
    for (row, line) in picture.chunks_exact(columns).enumerate() {
        let first = runs.len();
        let mut start = 0;
        while let Some(skipped) = line[start..].iter().position(|&pixel| inside(pixel)) {
            start += skipped;
            let length = line[start..].iter().position(|&pixel| !inside(pixel)).unwrap_or(columns - start);
            parents.push(runs.len());
            runs.push(Run { row, start, end: start + length });
            start += length;
        }
        let mut candidate = above.start;
        for index in first..runs.len() {
            let run = runs[index];
            while candidate < above.end && runs[candidate].end <= run.start {
                candidate += 1;
            }
            let touching = runs[candidate..above.end].iter().take_while(|other| other.start < run.end).count();
            for other in candidate..candidate + touching {
                join(&mut parents, other, index);
            }
        }
        above = first..runs.len();
    }
    let mut found: Vec<Region> = Vec::new();
    let mut places = vec![usize::MAX; runs.len()];
    for (index, &run) in runs.iter().enumerate() {
        let root = root(&mut parents, index);
        if places[root] == usize::MAX {
            places[root] = found.len();
            found.push(Region::default());
        }
        let region = &mut found[places[root]];
        region.area += run.end - run.start;
        region.open |= run.row == 0 || run.row + 1 == rows || run.start == 0 || run.end == columns;
        region.runs.push(run);
    }
    found
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

/// Joins two trees; the earlier run becomes the root, which keeps regions in reading order.
fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
}

/// Sets every region of `false` that does not reach the edge.
pub(super) fn fill_holes(picture: &mut [bool], columns: usize) {
    for hole in regions(picture, columns, |pixel| !pixel).iter().filter(|region| !region.open) {
        for run in &hole.runs {
            run.of_mut(picture, columns).fill(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(text: &str) -> Vec<bool> {
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c == '#').collect()
    }

    #[test]
    fn regions_that_only_touch_at_a_corner_are_two() {
        let found = regions(&picture("#.. .#. .##"), 3, |pixel| pixel);
        assert_eq!(found.iter().map(|region| region.area).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn arms_that_meet_further_down_are_one_region() {
        let found = regions(&picture("#.#.# #.#.# #####"), 5, |pixel| pixel);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].area, 11);
    }

    #[test]
    fn a_hole_is_filled_and_a_bay_is_not() {
        let mut ring = picture(".##### .#...# .#.#.# .#...# .#####");
        fill_holes(&mut ring, 6);
        assert_eq!(ring, picture(".##### .##### .##### .##### .#####"));
        let mut bay = picture("##### #...# #.#.# #...# ##.##");
        let before = bay.clone();
        fill_holes(&mut bay, 5);
        assert_eq!(bay, before);
    }
}
