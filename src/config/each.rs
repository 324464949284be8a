//! Paths and patterns of directories. `*` stands for one level, or for a part of its
//! name; as in a shell, it doesn't match names that begin with a dot.

use crate::model::{EntryKind, Exceeded, Measure, Tree, TreeError, UnitBudget};

/// A directory that matches, and what the first `*` stands for in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// From the repository's root.
    pub path: String,
    /// The unit's name, not yet looked at.
    pub name: String,
}

/// A path from the repository's root in its one spelling (empty for the root), or
/// what is wrong with it.
pub fn normal(path: &str) -> Result<String, &'static str> {
    if path.starts_with('/') {
        return Err("must be relative to the repository's root");
    }
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !matches!(*segment, "" | "."))
        .collect();
    if segments.contains(&"..") {
        return Err("must not contain `..`");
    }
    Ok(segments.join("/"))
}

/// What is wrong with a normalised pattern.
pub fn check(pattern: &str) -> Result<(), &'static str> {
    if !pattern.contains('*') {
        return Err("has no `*`: for one directory, write `name` and `path`");
    }
    if pattern.contains("**") {
        return Err("has `**`: write one `*` for each level of directories");
    }
    if pattern.split('/').any(|s| s.matches('*').count() > 1) {
        return Err("has two `*` in one name");
    }
    if pattern.contains(['?', '[', '{']) {
        return Err("has `?`, `[` or `{`: only `*` is a wildcard");
    }
    Ok(())
}

/// Why it can't be told which directories match.
#[derive(Debug, thiserror::Error)]
pub enum Unmatched {
    /// The tree can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// There are too many to look at: links that lead to where they are make as many of a
    /// few as there are stars.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
}

/// The directories that match a checked pattern, sorted.
pub fn matches(
    tree: &dyn Tree,
    pattern: &str,
    budget: &mut UnitBudget,
) -> Result<Vec<Match>, Unmatched> {
    let mut found = vec![(String::new(), None)];
    for segment in pattern.split('/') {
        let mut deeper = Vec::new();
        for (directory, name) in found {
            step(tree, &directory, name, segment, budget, &mut deeper)?;
        }
        found = deeper;
    }
    let named = found.into_iter();
    let mut matches: Vec<Match> = named
        .filter_map(|(path, name)| Some(Match { path, name: name? }))
        .collect();
    matches.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(matches)
}

fn step(
    tree: &dyn Tree,
    directory: &str,
    name: Option<String>,
    segment: &str,
    budget: &mut UnitBudget,
    deeper: &mut Vec<(String, Option<String>)>,
) -> Result<(), Unmatched> {
    let Some((before, after)) = segment.split_once('*') else {
        let path = join(directory, segment);
        budget.draw(Measure::Paths, 1)?;
        if tree.kind(&path)? == Some(EntryKind::Directory) {
            deeper.push((path, name));
        }
        return Ok(());
    };
    let entries = tree.list(directory)?;
    budget.draw(Measure::Paths, entries.len() as u64)?;
    for (entry, kind) in entries {
        let hidden = entry.starts_with('.') && before.is_empty();
        if let Some(star) = between(&entry, before, after)
            && kind == EntryKind::Directory
            && !hidden
        {
            let name = name.clone().unwrap_or_else(|| star.to_owned());
            deeper.push((join(directory, &entry), Some(name)));
        }
    }
    Ok(())
}

fn between<'e>(entry: &'e str, before: &str, after: &str) -> Option<&'e str> {
    let star = entry.strip_prefix(before)?.strip_suffix(after)?;
    (!star.is_empty()).then_some(star)
}

/// A path below a directory.
pub fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}
