//! The first commits of a history. Two histories have a commit in common exactly if they
//! have a first one in common, whatever was rewritten in between.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::Path;

use git2::{Odb, Oid, Repository};

use super::checkout::{CheckoutError, revision};
use super::commit::RawCommit;
use crate::model::{Lineage, Revision};

/// What is known of where a history begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The history is that of this commit.
    pub of: Revision,
    /// First commits of it: all, or some where that was enough.
    pub found: BTreeSet<Revision>,
    /// The first one, where always the first parent is followed; `None` where that was not
    /// gone after, or is not here.
    pub first: Option<Revision>,
    /// Whether the rest of it is not here, as in a shallow clone.
    pub cut: bool,
}

impl Roots {
    /// The first of these histories that has no commit in common with this one, and is not
    /// among those that somebody has `adopted`.
    pub fn strange<'a>(
        &self,
        histories: impl IntoIterator<Item = &'a Lineage>,
        adopted: &BTreeSet<Revision>,
    ) -> Option<&'a Lineage> {
        let known = |root: &Revision| self.found.contains(root) || adopted.contains(root);
        histories.into_iter().find(|history| !known(&history.root))
    }
}

/// Where the history of a commit begins. It is gone after no further than to `near`, of
/// which that is known. Blocks, for as long as reading every commit takes.
///
/// # Errors
/// When the repository can't be opened, or has not the commit itself.
pub fn roots(
    repository: &Path,
    of: &Revision,
    near: Option<&Roots>,
) -> Result<Roots, CheckoutError> {
    let failed = |source| CheckoutError::Read {
        revision: of.clone(),
        path: repository.display().to_string(),
        source,
    };
    let opened = Repository::open(repository).map_err(failed)?;
    let odb = opened.odb().map_err(failed)?;
    let start = Oid::from_str(of.as_str()).map_err(failed)?;
    odb.read_header(start).map_err(failed)?;
    Ok(walk(&odb, start, near))
}

/// Breadth first, so that what lies near is found soon.
fn walk(odb: &Odb<'_>, start: Oid, near: Option<&Roots>) -> Roots {
    let stop = near.and_then(|near| Oid::from_str(near.of.as_str()).ok());
    let mut roots = Roots {
        of: revision(start),
        found: BTreeSet::new(),
        first: None,
        cut: false,
    };
    let mut seen = HashSet::from([start]);
    let mut waiting = VecDeque::from([start]);
    while let Some(id) = waiting.pop_front() {
        if let Some(near) = near.filter(|_| stop == Some(id)) {
            return Roots {
                of: roots.of,
                ..near.clone()
            };
        }
        match parents(odb, id) {
            None => roots.cut = true,
            Some(parents) if parents.is_empty() => drop(roots.found.insert(revision(id))),
            Some(parents) => waiting.extend(parents.into_iter().filter(|id| seen.insert(*id))),
        }
    }
    roots.first = first(odb, start);
    roots
}

fn first(odb: &Odb<'_>, start: Oid) -> Option<Revision> {
    let mut id = start;
    loop {
        match parents(odb, id)?.first() {
            Some(parent) => id = *parent,
            None => return Some(revision(id)),
        }
    }
}

/// The parents that a commit names, whatever is odd about it; `None` for one that is not
/// here.
fn parents(odb: &Odb<'_>, id: Oid) -> Option<Vec<Oid>> {
    let object = odb.read(id).ok()?;
    Some(RawCommit::parse(object.data()).parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::scratch::{Scratch, commit_on, git};

    fn of(scratch: &Scratch, of: &Revision) -> Roots {
        roots(&scratch.repository, of, None).expect("it is there")
    }

    #[test]
    fn histories_that_share_a_commit_share_where_they_begin() {
        let scratch = Scratch::bare();
        let root = scratch.commit("a", "1");
        let head = scratch.commit("a", "2");
        let only = BTreeSet::from([root.clone()]);
        assert_eq!(of(&scratch, &head).found, only);
        assert_eq!(of(&scratch, &root).first, Some(root.clone()));

        // Rewritten, but for the first commit.
        scratch.git(&["branch", "rewritten", root.as_str()]);
        let rewritten = commit_on(&scratch.repository, "rewritten", "b", "1");
        assert_eq!(of(&scratch, &rewritten).found, only);

        // Begun apart; merged, it has both.
        let apart = commit_on(&scratch.repository, "apart", "c", "1");
        assert_eq!(of(&scratch, &apart).found, BTreeSet::from([apart.clone()]));
        let tree = format!("{head}^{{tree}}");
        let parents = ["-p", head.as_str(), "-p", apart.as_str()];
        let merge = git(
            &scratch.repository,
            &[&["commit-tree", &tree, "-m", "merge"][..], &parents].concat(),
        );
        let merged = of(&scratch, &merge.trim().parse().expect("git prints it"));
        assert_eq!(merged.found, BTreeSet::from([root.clone(), apart]));
        assert_eq!(merged.first, Some(root));
    }

    #[test]
    fn nothing_behind_what_is_known_is_read() {
        let scratch = Scratch::bare();
        let known = scratch.commit("a", "1");
        let head = scratch.commit("a", "2");
        let claimed: Revision = "c".repeat(40).parse().expect("a hash");
        let near = Roots {
            of: known,
            found: BTreeSet::from([claimed.clone()]),
            first: None,
            cut: false,
        };
        let found = roots(&scratch.repository, &head, Some(&near)).expect("it is there");
        assert_eq!((found.of, found.found), (head, BTreeSet::from([claimed])));
    }

    #[test]
    fn a_shallow_clone_says_that_its_history_is_cut() {
        let scratch = Scratch::bare();
        scratch.commit("a", "1");
        let head = scratch.commit("a", "2");
        let clone = scratch.directory.path().join("shallow");
        let url = format!("file://{}", scratch.repository.display());
        let clone = clone.to_str().expect("it is UTF-8");
        git(
            scratch.directory.path(),
            &["clone", "-q", "--depth=1", &url, clone],
        );
        let found = roots(Path::new(clone), &head, None).expect("it is there");
        assert_eq!((found.found.len(), found.cut), (0, true));
    }
}
