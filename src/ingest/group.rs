//! Which pictures belong together: natural order of names, and stacks of several patients told apart by their names.

use super::source::{file_name, folder};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// Pictures that are one stack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PictureGroup {
    /// Patient number, name prefix or folder.
    pub(super) name: String,
    /// Indices of the paths, in natural order of the names.
    pub(super) members: Vec<usize>,
}

/// A run of digits, or what stands between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Text(&'a str),
    Number(&'a str),
}

fn tokens(name: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        found.push(if digits { Token::Number(token) } else { Token::Text(token) });
        rest = after;
    }
    found
}

/// Compares names as people count: `9.jpg` before `10.jpg`, letters without regard to case.
pub fn natural_order(left: &str, right: &str) -> Ordering {
    let (left_tokens, right_tokens) = (tokens(left), tokens(right));
    for pair in left_tokens.iter().zip(&right_tokens) {
        let order = match pair {
            (Token::Number(a), Token::Number(b)) => {
                let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            }
            (Token::Text(a), Token::Text(b)) => a.to_lowercase().cmp(&b.to_lowercase()),
            (Token::Number(_), Token::Text(_)) => Ordering::Less,
            (Token::Text(_), Token::Number(_)) => Ordering::Greater,
        };
        if order.is_ne() {
            return order;
        }
    }
    left_tokens.len().cmp(&right_tokens.len()).then_with(|| left.cmp(right))
}

/// A name without its extension.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Sorts pictures into stacks: by folder, then by the pattern of the name (`58 (12).jpg`, `ID_0001_z03.png`), the last
/// number that varies being the slice.
pub(super) fn group_pictures(paths: &[&str]) -> Vec<PictureGroup> {
    let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        folders.entry(folder(path)).or_default().push(index);
    }
    let mut groups: Vec<(&str, PictureGroup)> = Vec::new();
    for (folder, members) in folders {
        groups.extend(group_folder(folder, &members, paths).into_iter().map(|group| (folder, group)));
    }
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (_, group) in &groups {
        *uses.entry(group.name.clone()).or_default() += 1;
    }
    let mut groups: Vec<PictureGroup> = groups
        .into_iter()
        .map(|(folder, mut group)| {
            // The same patient number in two folders is two stacks; the folder tells them apart.
            if uses.get(&group.name).is_some_and(|&count| count > 1) && !folder.is_empty() {
                group.name = if file_name(folder) == group.name {
                    folder.to_owned()
                } else {
                    format!("{folder}/{}", group.name)
                };
            }
            group.members.sort_by(|&a, &b| match (paths.get(a), paths.get(b)) {
                (Some(a), Some(b)) => natural_order(a, b),
                _ => a.cmp(&b),
            });
            group.members = lowest_first(&group.members, paths);
            group
        })
        .collect();
    groups.sort_by(|a, b| natural_order(&a.name, &b.name));
    groups
}

fn group_folder(folder: &str, members: &[usize], paths: &[&str]) -> Vec<PictureGroup> {
    // `None` stands for a number: every character that could stand for one can also be in a name.
    let mut patterns: BTreeMap<Vec<Option<String>>, Vec<usize>> = BTreeMap::new();
    for &member in members {
        let pattern = stem_of(paths, member).into_iter().map(|token| match token {
            // `z-5` is of the stack of `z0`.
            Token::Text(text) => Some(text.to_lowercase().trim_end_matches('-').to_owned()),
            Token::Number(_) => None,
        });
        patterns.entry(pattern.collect()).or_default().push(member);
    }
    let mut groups: Vec<PictureGroup> =
        patterns.values().flat_map(|members| group_pattern(folder, members, paths)).collect();
    // Names without a common pattern (a.jpg, b.jpg): the folder is all that they share.
    if groups.len() > 1 && groups.iter().all(|group| group.members.len() == 1) {
        return vec![PictureGroup { name: folder_name(folder), members: members.to_vec() }];
    }
    // Stacks of one folder that would be called by it (`Rossi-1`, `Bianchi-1`) are called by their first file as well.
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    for group in &mut groups {
        let first = group.members.first().and_then(|&member| paths.get(member)).map(|path| stem(file_name(path)));
        if let (Some(first), true) = (first, names.iter().filter(|&name| *name == group.name).count() > 1) {
            group.name = format!("{}: {first}", group.name);
        }
    }
    groups
}

/// Splits files of one pattern at the numbers before the slice number.
fn group_pattern(folder: &str, members: &[usize], paths: &[&str]) -> Vec<PictureGroup> {
    let numbers = |member: usize| -> Vec<&str> {
        let number = |token| if let Token::Number(number) = token { Some(number) } else { None };
        stem_of(paths, member).into_iter().filter_map(number).collect()
    };
    let first = members.first().map(|&member| numbers(member)).unwrap_or_default();
    let slice = (0..first.len())
        .rev()
        .find(|&place| members.iter().any(|&member| numbers(member).get(place) != first.get(place)))
        .or(first.len().checked_sub(1));
    let Some(slice) = slice else {
        return vec![PictureGroup { name: folder_or_stem(folder, members, paths), members: members.to_vec() }];
    };
    let mut stacks: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for &member in members {
        let key = numbers(member).into_iter().enumerate().filter(|&(place, _)| place != slice);
        stacks.entry(key.map(|(_, number)| number).collect()).or_default().push(member);
    }
    if stacks.len() > 1 && stacks.values().all(|stack| stack.len() == 1) {
        return vec![PictureGroup { name: folder_or_stem(folder, members, paths), members: members.to_vec() }];
    }
    let several = stacks.len() > 1;
    let name = |stack: &[usize]| {
        let prefix = stack.first().map(|&member| prefix_before(&stem_of(paths, member), slice)).unwrap_or_default();
        // A prefix with a number names a patient; without one the folder says more, unless there is none.
        if prefix.chars().any(|c| c.is_ascii_digit()) || (several && !prefix.is_empty()) {
            prefix
        } else {
            folder_or_stem(folder, stack, paths)
        }
    };
    stacks.into_values().map(|stack| PictureGroup { name: name(&stack), members: stack }).collect()
}

/// Puts numbers below zero, which stand behind the others in natural order, in front of them and the right way round.
/// Where every name has a minus sign, it is a separator.
fn lowest_first(members: &[usize], paths: &[&str]) -> Vec<usize> {
    let is_below = |&member: &usize| {
        stem_of(paths, member).iter().any(|token| matches!(token, Token::Text(text) if text.ends_with('-')))
    };
    let (below, others): (Vec<usize>, Vec<usize>) = members.iter().copied().partition(is_below);
    if others.is_empty() { below } else { below.into_iter().rev().chain(others).collect() }
}

fn stem_of<'a>(paths: &[&'a str], member: usize) -> Vec<Token<'a>> {
    paths.get(member).map(|path| tokens(stem(file_name(path)))).unwrap_or_default()
}

/// What stands before number `slice` of a name, without separators and without a word for slice.
fn prefix_before(tokens: &[Token<'_>], slice: usize) -> String {
    const SEPARATORS: [char; 7] = [' ', '_', '-', '.', '(', '[', '#'];
    const SLICE_WORDS: [&str; 9] = ["z", "s", "sl", "slice", "im", "img", "image", "i", "frame"];
    let mut prefix = String::new();
    let mut number = 0;
    for token in tokens {
        match token {
            Token::Number(_) if number == slice => break,
            Token::Number(text) => {
                number += 1;
                prefix.push_str(text);
            }
            Token::Text(text) => prefix.push_str(text),
        }
    }
    let trimmed = prefix.trim_end_matches(SEPARATORS);
    let without_word = match trimmed.rsplit_once(SEPARATORS) {
        Some((before, word)) if SLICE_WORDS.contains(&word.to_lowercase().as_str()) => before,
        None if SLICE_WORDS.contains(&trimmed.to_lowercase().as_str()) => "",
        _ => trimmed,
    };
    without_word.trim_end_matches(SEPARATORS).to_owned()
}

fn folder_name(folder: &str) -> String {
    if folder.is_empty() { "pictures".to_owned() } else { file_name(folder).to_owned() }
}

/// The folder, or for a single picture its own name.
fn folder_or_stem(folder: &str, members: &[usize], paths: &[&str]) -> String {
    match members {
        [member] => paths.get(*member).map(|path| file_name(path).to_owned()).unwrap_or_default(),
        _ => folder_name(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names_and_members(paths: &[&str]) -> Vec<(String, Vec<String>)> {
        group_pictures(paths)
            .into_iter()
            .map(|group| (group.name, group.members.iter().map(|&m| paths[m].to_owned()).collect()))
            .collect()
    }

    #[test]
    fn ten_comes_after_nine() {
        let mut names = ["10.jpg", "9.jpg", "a2.jpg", "A1.jpg", "009.jpg"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["009.jpg", "9.jpg", "10.jpg", "A1.jpg", "a2.jpg"]);
    }

    #[test]
    fn stacks_of_one_folder_have_names_of_their_own() {
        let groups = names_and_members(&["x/Rossi-1.png", "x/Rossi-2.png", "x/Bianchi-1.png", "x/Bianchi-2.png"]);
        assert_eq!(groups.iter().map(|g| g.0.as_str()).collect::<Vec<_>>(), ["x: Bianchi-1", "x: Rossi-1"]);
    }

    #[test]
    fn heights_below_zero_are_of_the_same_stack() {
        let groups = names_and_members(&["h/z0.png", "h/z-5.png", "h/z-10.png", "h/z5.png"]);
        assert_eq!(groups[0].1, ["h/z-10.png", "h/z-5.png", "h/z0.png", "h/z5.png"]);
        let groups = names_and_members(&["h/IM-1.png", "h/IM-2.png"]);
        assert_eq!(groups[0].1, ["h/IM-1.png", "h/IM-2.png"]);
    }

    #[test]
    fn the_kaggle_layout_gives_a_stack_a_patient() {
        let groups =
            names_and_members(&["Normal/49 (10).jpg", "Normal/49 (9).jpg", "Normal/50 (1).jpg", "Normal/50 (2).jpg"]);
        assert_eq!(groups[0], ("49".into(), vec!["Normal/49 (9).jpg".into(), "Normal/49 (10).jpg".into()]));
        assert_eq!(groups[1].0, "50");
    }

    #[test]
    fn a_patient_of_one_slice_does_not_join_the_next() {
        let groups = names_and_members(&["49 (1).jpg", "50 (1).jpg", "50 (2).jpg"]);
        assert_eq!(groups.len(), 2);
    }

    #[test]
    fn underscored_names_are_split_at_the_slice_number() {
        let groups = names_and_members(&["ID_0001_z03.png", "ID_0001_z04.png", "ID_0002_z03.png", "ID_0002_z04.png"]);
        assert_eq!(groups.iter().map(|g| g.0.as_str()).collect::<Vec<_>>(), ["ID_0001", "ID_0002"]);
    }

    #[test]
    fn plain_numbers_are_one_stack_named_by_their_folder() {
        assert_eq!(names_and_members(&["head/1.jpg", "head/2.jpg", "head/10.jpg"])[0].0, "head");
        assert_eq!(names_and_members(&["png_stack/slice_01.png", "png_stack/slice_02.png"])[0].0, "png_stack");
    }

    #[test]
    fn a_constant_last_number_is_not_the_slice() {
        let groups = names_and_members(&["IM-0001-0007-0001.jpg", "IM-0001-0008-0001.jpg"]);
        assert_eq!(groups.len(), 1);
    }

    #[test]
    fn the_same_number_in_two_folders_is_two_stacks() {
        let groups = names_and_members(&["A/7 (1).jpg", "A/7 (2).jpg", "B/7 (1).jpg", "B/7 (2).jpg"]);
        assert_eq!(groups.iter().map(|g| g.0.as_str()).collect::<Vec<_>>(), ["A/7", "B/7"]);
    }

    #[test]
    fn subfolders_are_stacks_of_their_own() {
        let groups =
            names_and_members(&["scans/0002/01.jpg", "scans/0002/02.jpg", "scans/0004/01.jpg", "scans/0004/02.jpg"]);
        assert_eq!(groups.iter().map(|g| g.0.as_str()).collect::<Vec<_>>(), ["0002", "0004"]);
    }

    #[test]
    fn names_without_a_pattern_are_one_stack() {
        assert_eq!(
            names_and_members(&["x/a.jpg", "x/b.jpg", "x/c.jpg"]),
            vec![("x".into(), vec!["x/a.jpg".into(), "x/b.jpg".into(), "x/c.jpg".into()])]
        );
    }

    #[test]
    fn a_hash_in_a_name_is_no_number() {
        let groups = names_and_members(&["x/1.jpg", "x/2.jpg", "x/#.jpg"]);
        assert_eq!(groups.iter().map(|group| group.1.len()).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn every_picture_is_in_one_stack(names in prop::collection::vec("[ab#.]?[0-9]{0,2}[ #_(]?[0-9]{0,2}", 1..12)) {
            let names: Vec<String> = names.iter().map(|name| format!("{name}.jpg")).collect();
            let paths: Vec<&str> = names.iter().map(String::as_str).collect();
            let groups = group_pictures(&paths);
            let mut members: Vec<usize> = groups.into_iter().flat_map(|group| group.members).collect();
            members.sort_unstable();
            prop_assert!(members.into_iter().eq(0..paths.len()));
        }
    }
}
