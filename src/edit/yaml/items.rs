//! Which items of a list become which.

use serde_json::{Map, Value};

use crate::fields::same;

/// Fields by which items of a list are told apart, the likeliest first.
const IDENTITIES: [&[&str]; 9] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["key"],
    &["mountPath"],
    &["path"],
    &["host"],
    &["ip"],
    &["topologyKey"],
];

/// So many pairs of items are lined up; a longer list only where its ends are the same.
const MAX_PAIRS: usize = 250_000;

pub(in crate::edit) type Pair = (Option<usize>, Option<usize>);

/// Which item becomes which, in the order of what is to be: with an index of what is, of
/// what is to be, or of both.
pub(in crate::edit) fn lined_up(old: &[Value], new: &[Value]) -> Vec<Pair> {
    let alike = |was: &Value, is: &Value| same(was, is) || identified(was, is);
    let head = old
        .iter()
        .zip(new)
        .take_while(|(was, is)| alike(was, is))
        .count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = tail.take_while(|(was, is)| alike(was, is)).count();
    let (olds, news) = (
        &old_rest[..old_rest.len() - tail],
        &new_rest[..new_rest.len() - tail],
    );
    let mut pairs: Vec<Pair> = (0..head).map(|at| (Some(at), Some(at))).collect();
    let middle = if olds.len() * news.len() <= MAX_PAIRS {
        longest_common(olds, news, &alike)
    } else {
        Vec::new()
    };
    let (mut was, mut is) = (0, 0);
    for (next_was, next_is) in middle.into_iter().chain([(olds.len(), news.len())]) {
        // What has no partner stays in its place as far as it goes.
        while was < next_was && is < next_is {
            pairs.push((Some(head + was), Some(head + is)));
            (was, is) = (was + 1, is + 1);
        }
        pairs.extend((was..next_was).map(|at| (Some(head + at), None)));
        pairs.extend((is..next_is).map(|at| (None, Some(head + at))));
        if next_was < olds.len() {
            pairs.push((Some(head + next_was), Some(head + next_is)));
        }
        (was, is) = (next_was + 1, next_is + 1);
    }
    let (olds, news) = (old.len() - tail, new.len() - tail);
    pairs.extend((0..tail).map(|at| (Some(olds + at), Some(news + at))));
    pairs
}

/// The longest common subsequence, as pairs of places.
fn longest_common(
    old: &[Value],
    new: &[Value],
    alike: &impl Fn(&Value, &Value) -> bool,
) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut best = vec![0_u32; (old.len() + 1) * width];
    for was in (0..old.len()).rev() {
        for is in (0..new.len()).rev() {
            best[was * width + is] = if alike(&old[was], &new[is]) {
                best[(was + 1) * width + is + 1] + 1
            } else {
                best[(was + 1) * width + is].max(best[was * width + is + 1])
            };
        }
    }
    let (mut was, mut is, mut found) = (0, 0, Vec::new());
    while was < old.len() && is < new.len() {
        if alike(&old[was], &new[is]) {
            found.push((was, is));
            (was, is) = (was + 1, is + 1);
        } else if best[(was + 1) * width + is] >= best[was * width + is + 1] {
            was += 1;
        } else {
            is += 1;
        }
    }
    found
}

/// Whether two items are two states of the same.
pub(in crate::edit) fn identified(was: &Value, is: &Value) -> bool {
    let (Some(was), Some(is)) = (was.as_object(), is.as_object()) else {
        return false;
    };
    let by = IDENTITIES
        .iter()
        .find(|names| was.contains_key(names[0]) || is.contains_key(names[0]));
    by.is_some_and(|names| names.iter().all(|name| was.get(*name) == is.get(*name)))
}

/// The fields of an item that tell it from others.
pub(in crate::edit) fn identity(item: &Value) -> Option<Map<String, Value>> {
    let item = item.as_object()?;
    let names = IDENTITIES
        .iter()
        .find(|names| item.contains_key(names[0]))?;
    let fields = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())));
    Some(fields.collect())
}
