//! How libgit2 is led around commits that it can't read, or that aren't there: by
//! `info/grafts`, which gives the commits above other parents. That is Git's own file for
//! it, and is written only where the repository is a copy of ours.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use git2::{ErrorClass, Oid, Repository};

use super::commits::{Content, Walk, Walked};

/// Whether an error may be that of a walk that came to such a commit.
pub(crate) fn may_help(error: &git2::Error) -> bool {
    matches!(
        error.class(),
        ErrorClass::Invalid | ErrorClass::Object | ErrorClass::Odb
    )
}

/// Leads around them in a repository of ours, below all of its refs. Says whether that is
/// new; the repository has to be opened again then.
///
/// # Errors
/// When its refs can't be listed or the file not be written.
pub(crate) fn mend(repository: &Repository) -> Result<bool, git2::Error> {
    let mut tips = BTreeSet::new();
    for reference in repository.references()? {
        tips.extend(reference.ok().and_then(|reference| reference.target()));
    }
    write(repository, &tips)
}

/// A repository beside another, with the same objects, in which libgit2 gets from a commit
/// to all below it. It is kept in a directory that has to live as long.
///
/// # Errors
/// When it can't be made.
pub(crate) fn beside(
    repository: &Repository,
    directory: &Path,
    tip: Oid,
) -> Result<Repository, git2::Error> {
    let fresh = Repository::init_bare(directory)?;
    let objects = repository.commondir().join("objects");
    let mut list = objects.into_os_string().into_encoded_bytes();
    list.push(b'\n');
    let alternates = fresh.path().join("objects/info/alternates");
    std::fs::write(alternates, list).map_err(|error| failed(&error))?;
    write(&Repository::open(directory)?, &BTreeSet::from([tip]))?;
    Repository::open(directory)
}

fn write(repository: &Repository, tips: &BTreeSet<Oid>) -> Result<bool, git2::Error> {
    let text = grafts(repository, tips)?;
    let directory = repository.commondir().join("info");
    let path = directory.join("grafts");
    if std::fs::read_to_string(&path).unwrap_or_default() == text {
        return Ok(false);
    }
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| failed(&error))?;
    Ok(true)
}

fn failed(error: &std::io::Error) -> git2::Error {
    git2::Error::new(
        git2::ErrorCode::GenericError,
        ErrorClass::Filesystem,
        error.to_string(),
    )
}

/// A line for each commit that has one of them as a parent.
fn grafts(repository: &Repository, tips: &BTreeSet<Oid>) -> Result<String, git2::Error> {
    let walk = || Walk::from(repository, tips.iter().copied());
    let odd: HashMap<Oid, Vec<Oid>> = walk()?
        .filter(is_odd)
        .map(|walked| (walked.id, walked.parents))
        .collect();
    let mut lines = BTreeMap::new();
    if !odd.is_empty() {
        for walked in walk()?.filter(|walked| !is_odd(walked)) {
            if walked.parents.iter().any(|parent| odd.contains_key(parent)) {
                lines.insert(walked.id, around(&walked.parents, &odd));
            }
        }
    }
    let mut text = String::new();
    for (id, parents) in lines {
        let _ = write!(text, "{id}");
        for parent in parents {
            let _ = write!(text, " {parent}");
        }
        text.push('\n');
    }
    Ok(text)
}

fn is_odd(walked: &Walked) -> bool {
    !matches!(walked.content, Content::Tree(_))
}

/// The nearest commits that can be read.
fn around(parents: &[Oid], odd: &HashMap<Oid, Vec<Oid>>) -> Vec<Oid> {
    let (mut near, mut seen) = (Vec::new(), HashSet::new());
    let mut open: Vec<Oid> = parents.iter().rev().copied().collect();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        match odd.get(&id) {
            Some(below) => open.extend(below.iter().rev()),
            None => near.push(id),
        }
    }
    near
}
