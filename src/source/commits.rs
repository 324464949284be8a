//! The commits of a repository, whatever stands in them: the one way to read one, and to
//! walk from one to those below it. libgit2's walks end at the first commit that it can't
//! read, or that isn't there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use git2::{ErrorClass, ErrorCode, ObjectType, Odb, Oid, Repository, Tree};

use super::commit::RawCommit;

/// How many commits more are looked at where those that are left can't matter, unless
/// somebody's clock was wrong. Git's own number.
const SLOP: usize = 5;

/// A commit on a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) id: Oid,
    pub(crate) content: Content,
    pub(crate) parents: Vec<Oid>,
    time: i64,
}

/// What is known of a commit on a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// The tree that it names.
    Tree(Oid),
    /// It is there, and libgit2 can't read it; it may name a tree.
    Odd(Option<Oid>),
    /// It isn't there, or no commit.
    Absent,
}

/// Reads one commit.
///
/// # Errors
/// When it isn't there, is damaged, or is no commit.
pub(crate) fn read<T>(
    repository: &Repository,
    id: Oid,
    with: impl FnOnce(&RawCommit<'_>) -> T,
) -> Result<T, git2::Error> {
    read_from(&repository.odb()?, id, with)
}

fn read_from<T>(
    objects: &Odb<'_>,
    id: Oid,
    with: impl FnOnce(&RawCommit<'_>) -> T,
) -> Result<T, git2::Error> {
    let object = objects.read(id)?;
    match object.kind() {
        ObjectType::Commit => Ok(with(&RawCommit::parse(object.data()))),
        kind => Err(git2::Error::new(
            ErrorCode::Invalid,
            ErrorClass::Object,
            format!("it is no commit but a {}", kind.str()),
        )),
    }
}

/// The id of a commit's tree.
///
/// # Errors
/// When the commit can't be read, or names none.
pub(crate) fn tree_id(repository: &Repository, id: Oid) -> Result<Oid, git2::Error> {
    let tree = read(repository, id, |commit| {
        commit.tree.ok_or_else(|| odd(commit))
    })?;
    tree.map_err(|why| {
        let message = format!("commit {id} can't be read: {why}");
        git2::Error::new(ErrorCode::Invalid, ErrorClass::Object, message)
    })
}

/// A commit's tree.
///
/// # Errors
/// When either can't be read.
pub(crate) fn tree_of(repository: &Repository, id: Oid) -> Result<Tree<'_>, git2::Error> {
    repository.find_tree(tree_id(repository, id)?)
}

/// What is odd about a commit, if libgit2 can't read it.
pub(crate) fn oddity(repository: &Repository, id: Oid) -> Option<String> {
    let error = repository.find_commit(id).err()?;
    let odd = read(repository, id, odd);
    Some(match odd {
        Ok(odd) if !odd.is_empty() => odd,
        Ok(_) => error.message().to_owned(),
        Err(error) => error.message().to_owned(),
    })
}

fn odd(commit: &RawCommit<'_>) -> String {
    commit.to_string()
}

/// A walk from a commit to all below it, by time, newest first.
pub(crate) struct Walk<'r> {
    repository: &'r Repository,
    objects: Odb<'r>,
    seen: HashSet<Oid>,
    queue: Queue,
}

/// What is still to be looked at; of the same time, what was found first goes first.
#[derive(Default)]
struct Queue {
    commits: BinaryHeap<(i64, Reverse<usize>, Oid)>,
    found: HashMap<Oid, Walked>,
    count: usize,
}

impl<'r> Walk<'r> {
    /// From some commits.
    pub(crate) fn from(
        repository: &'r Repository,
        tips: impl IntoIterator<Item = Oid>,
    ) -> Result<Self, git2::Error> {
        let mut walk = Self {
            repository,
            objects: repository.odb()?,
            seen: HashSet::new(),
            queue: Queue::default(),
        };
        for tip in tips {
            walk.see(tip, i64::MAX);
        }
        Ok(walk)
    }

    /// One whose time can't be read has that of the commit that led to it.
    fn see(&mut self, id: Oid, after: i64) {
        if self.seen.insert(id) {
            let walked = walked(self.repository, &self.objects, id, after);
            self.queue.add(walked);
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Walked;

    fn next(&mut self) -> Option<Walked> {
        let walked = self.queue.take()?;
        for parent in &walked.parents {
            self.see(*parent, walked.time);
        }
        Some(walked)
    }
}

impl Queue {
    fn add(&mut self, walked: Walked) {
        self.count += 1;
        let place = (walked.time, Reverse(self.count), walked.id);
        self.commits.push(place);
        self.found.insert(walked.id, walked);
    }

    fn take(&mut self) -> Option<Walked> {
        let (_, _, id) = self.commits.pop()?;
        self.found.remove(&id)
    }
}

fn walked(repository: &Repository, objects: &Odb<'_>, id: Oid, after: i64) -> Walked {
    let found = read_from(objects, id, |commit| {
        let content = match commit.tree {
            Some(tree) if commit.oddities.is_empty() => Content::Tree(tree),
            // What only seems odd to us is not.
            Some(tree) if repository.find_commit(id).is_ok() => Content::Tree(tree),
            tree => Content::Odd(tree),
        };
        (content, commit.parents.clone(), commit.seconds())
    });
    let (content, parents, time) = found.unwrap_or((Content::Absent, Vec::new(), None));
    let time = time.unwrap_or(after);
    Walked {
        id,
        content,
        parents,
        time,
    }
}

/// Whether a commit is another one or has it below itself.
pub(crate) fn contains(repository: &Repository, tip: Oid, base: Oid) -> Result<bool, git2::Error> {
    Ok(tip == base || Walk::from(repository, [tip])?.any(|walked| walked.id == base))
}

/// Whether two commits have one below them, or are such, that is the same.
pub(crate) fn related(repository: &Repository, one: Oid, other: Oid) -> Result<bool, git2::Error> {
    let beneath: HashSet<Oid> = Walk::from(repository, [one])?.map(|one| one.id).collect();
    Ok(Walk::from(repository, [other])?.any(|walked| beneath.contains(&walked.id)))
}

/// The commits from one to its first parent, and so on, up to what some others lead to;
/// oldest first.
pub(crate) fn first_parents(
    repository: &Repository,
    tip: Oid,
    hidden: impl IntoIterator<Item = Oid>,
) -> Result<Vec<Oid>, git2::Error> {
    let commits = between(repository, tip, hidden)?;
    let parents: HashMap<Oid, Option<Oid>> = commits
        .iter()
        .filter(|one| one.content != Content::Absent)
        .map(|one| (one.id, one.parents.first().copied()))
        .collect();
    let mut chain = Vec::new();
    let mut next = Some(tip);
    while let Some(id) = next {
        let Some(parent) = parents.get(&id) else {
            break;
        };
        chain.push(id);
        next = *parent;
    }
    chain.reverse();
    Ok(chain)
}

/// The commits that one leads to and some others don't, each after its parents. What is
/// named and isn't there is among them.
pub(crate) fn between(
    repository: &Repository,
    tip: Oid,
    hidden: impl IntoIterator<Item = Oid>,
) -> Result<Vec<Walked>, git2::Error> {
    let mut painted = Painted {
        repository,
        objects: repository.odb()?,
        hidden: HashMap::new(),
        queue: Queue::default(),
    };
    for base in hidden {
        painted.paint(base, i64::MAX, true);
    }
    painted.paint(tip, i64::MAX, false);
    let mut found = painted.walk();
    found.retain(|id, _| painted.hidden.get(id) == Some(&false));
    Ok(parents_first(tip, found))
}

/// Commits, and whether one of the hidden leads to them.
struct Painted<'r> {
    repository: &'r Repository,
    objects: Odb<'r>,
    hidden: HashMap<Oid, bool>,
    queue: Queue,
}

impl Painted<'_> {
    fn paint(&mut self, id: Oid, after: i64, hidden: bool) {
        match self.hidden.get_mut(&id) {
            Some(known) if *known || !hidden => return,
            // Those below were painted otherwise.
            Some(known) => *known = true,
            None => {
                self.hidden.insert(id, hidden);
            }
        }
        if !self.queue.found.contains_key(&id) {
            let walked = walked(self.repository, &self.objects, id, after);
            self.queue.add(walked);
        }
    }

    fn walk(&mut self) -> HashMap<Oid, Walked> {
        let (mut found, mut oldest, mut slop) = (HashMap::new(), i64::MAX, SLOP);
        while let Some(walked) = self.queue.take() {
            let hidden = self.hidden.get(&walked.id) == Some(&true);
            for parent in &walked.parents {
                self.paint(*parent, walked.time, hidden);
            }
            let time = walked.time;
            if !hidden {
                oldest = oldest.min(time);
                found.insert(walked.id, walked);
            }
            if self.is_all_hidden() {
                if time < oldest {
                    slop -= 1;
                }
                if slop == 0 {
                    break;
                }
            } else {
                slop = SLOP;
            }
        }
        found
    }

    fn is_all_hidden(&self) -> bool {
        let mut waiting = self.queue.found.keys();
        waiting.all(|id| self.hidden.get(id) == Some(&true))
    }
}

fn parents_first(tip: Oid, mut found: HashMap<Oid, Walked>) -> Vec<Walked> {
    let mut ordered = Vec::with_capacity(found.len());
    let mut seen = HashSet::new();
    let mut open = vec![(tip, 0)];
    while let Some((id, next)) = open.pop() {
        let Some(walked) = found.get(&id) else {
            continue;
        };
        if next == 0 && !seen.insert(id) {
            continue;
        }
        if let Some(parent) = walked.parents.get(next) {
            open.push((id, next + 1));
            if !seen.contains(parent) {
                open.push((*parent, 0));
            }
        } else {
            ordered.push(id);
        }
    }
    ordered
        .into_iter()
        .filter_map(|id| found.remove(&id))
        .collect()
}

#[cfg(test)]
mod tests;
