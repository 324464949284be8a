//! Cycles in what comes after what.

use std::collections::{BTreeMap, BTreeSet};

/// The most cycles that are told: there may be as many as references, each as long as all.
const TOLD: usize = 20;

/// Each cycle once, beginning with its first name in alphabetical order: `[a, b]` for
/// a that comes after b that comes after a. References to nothing are passed over.
/// Without recursion, since the depth is the user's.
pub fn cycles<'a>(after: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let mut found = BTreeSet::new();
    let mut done = BTreeSet::new();
    for start in after.keys() {
        if found.len() == TOLD {
            break;
        }
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        let mut place = BTreeMap::from([(*start, 0)]);
        while found.len() < TOLD
            && let Some((name, next)) = path.pop()
        {
            let reference = after.get(name).and_then(|names| names.get(next));
            let Some(reference) = reference.filter(|_| !done.contains(name)) else {
                done.insert(name);
                place.remove(name);
                continue;
            };
            path.push((name, next + 1));
            if let Some(&first) = place.get(reference) {
                found.insert(rotated(
                    path[first..].iter().map(|(name, _)| *name).collect(),
                ));
            } else {
                place.insert(reference, path.len());
                path.push((reference, 0));
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
