//! Cycles in what comes after what.

use std::collections::{BTreeMap, BTreeSet};

/// Each cycle once, beginning with its first name in alphabetical order: `[a, b]` for
/// a that comes after b that comes after a. References to nothing are passed over.
/// Without recursion, since the depth is the user's.
pub fn cycles<'a>(after: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let mut found = BTreeSet::new();
    let mut done = BTreeSet::new();
    for start in after.keys() {
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((name, next)) = path.pop() {
            let reference = after.get(name).and_then(|names| names.get(next));
            let Some(reference) = reference.filter(|_| !done.contains(name)) else {
                done.insert(name);
                continue;
            };
            path.push((name, next + 1));
            match path.iter().position(|(name, _)| name == reference) {
                Some(first) => {
                    found.insert(rotated(
                        path[first..].iter().map(|(name, _)| *name).collect(),
                    ));
                }
                None => path.push((reference, 0)),
            }
        }
    }
    found
}

fn rotated(mut cycle: Vec<&str>) -> Vec<&str> {
    let smallest = cycle.iter().enumerate().min_by_key(|(_, name)| **name);
    if let Some((index, _)) = smallest {
        cycle.rotate_left(index);
    }
    cycle
}
