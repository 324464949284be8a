//! Objects of Git, from one repository on this machine's disk to another. libgit2 would
//! pack all of the history for that, each time.

use std::collections::{HashMap, HashSet};

use git2::{ObjectType, Odb, OdbLookupFlags, Oid, PackBuilder, Repository};

use super::commits::{self, Content};

/// So many objects are copied as one pack: as files they would take a block of the disk
/// each, and far longer.
const PACKED: usize = 1_000;

/// How packs are readable, as Git makes them.
const PACK_MODE: u32 = 0o444;

/// libgit2 writes a pack for each fetch and never joins them; each costs a file that
/// is held open. A copy with more than this many is fetched anew, as one.
pub(super) const MOST_PACKS: usize = 200;

/// Whether a copy has got so many packs that it wants to be fetched anew.
pub(crate) fn has_many_packs(repository: &Repository) -> bool {
    packs(repository) > MOST_PACKS
}

pub(super) fn packs(repository: &Repository) -> usize {
    let directory = std::fs::read_dir(repository.commondir().join("objects/pack"));
    let names = directory.into_iter().flatten().flatten();
    names
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "pack"))
        .count()
}

/// How many objects lie in files of their own in one of the 256 directories for them,
/// which stands for all, as in `git gc --auto`.
pub(crate) fn loose(repository: &Repository) -> usize {
    let directory = std::fs::read_dir(repository.commondir().join("objects/17"));
    directory.into_iter().flatten().count()
}

/// Copies a commit with all that it needs and the other side doesn't have. What an
/// object names goes before it, so an object that is there is there with all below.
pub(crate) fn copy(
    from: &Repository,
    to: &Repository,
    tip: Oid,
    known: Option<Oid>,
) -> Result<(), git2::Error> {
    let there = to.odb()?;
    // Nobody adds what we need meanwhile, so packs aren't looked for anew each time.
    let has = |id| there.exists_ext(id, OdbLookupFlags::NO_REFRESH);
    let found = reached(from, tip, known, &has)?;
    if found.len() < PACKED && known.is_some() {
        return write_each(&from.odb()?, &there, &found);
    }
    if found.is_empty() {
        return Ok(());
    }
    let mut pack = from.packbuilder()?;
    for id in found {
        pack.insert_object(id, None)?;
    }
    write_pack(&mut pack, to)
}

/// What a commit leads to and another doesn't: commits, directories and files, but for
/// what `has` says is there already. What isn't here ends it.
pub(crate) fn reached(
    from: &Repository,
    tip: Oid,
    known: Option<Oid>,
    has: &dyn Fn(Oid) -> bool,
) -> Result<Vec<Oid>, git2::Error> {
    let mut missing = Added::new(from, has);
    let tree = |id| commits::tree_id(from, id).ok();
    for commit in commits::between(from, tip, known)? {
        let (Content::Tree(own) | Content::Odd(Some(own))) = commit.content else {
            if commit.content == Content::Odd(None) {
                missing.one(commit.id);
            }
            continue;
        };
        // A parent is there already, or goes before.
        let parent = commit.parents.first().and_then(|parent| tree(*parent));
        missing.tree(own, parent)?;
        missing.one(commit.id);
    }
    Ok(missing.found)
}

fn write_each(from: &Odb<'_>, to: &Odb<'_>, objects: &[Oid]) -> Result<(), git2::Error> {
    for id in objects {
        let object = from.read(*id)?;
        to.write(object.kind(), object.data())?;
    }
    Ok(())
}

/// Puts a pack into a repository.
pub(crate) fn write_pack(pack: &mut PackBuilder<'_>, into: &Repository) -> Result<(), git2::Error> {
    pack.write(&into.commondir().join("objects/pack"), PACK_MODE)
}

/// The files and directories that a tree has and another has not in the same place, each
/// once, what is in a directory before it.
pub(super) fn added(
    repository: &Repository,
    tree: Oid,
    before: Option<Oid>,
) -> Result<Vec<Oid>, git2::Error> {
    let mut added = Added::new(repository, &|_| false);
    added.tree(tree, before)?;
    Ok(added.found)
}

/// How many paths a tree has, each object as often as it is reached.
pub(super) fn paths(repository: &Repository, tree: Oid) -> Result<u64, git2::Error> {
    let objects = repository.odb()?;
    let mut counts: HashMap<Oid, u64> = HashMap::new();
    // What is in a directory stands before it.
    for id in added(repository, tree, None)? {
        if objects.read_header(id)?.1 != ObjectType::Tree {
            continue;
        }
        let below = repository.find_tree(id)?;
        let below = below.iter().map(|entry| counts.get(&entry.id()).copied());
        let count = below.fold(0, |sum: u64, below| {
            sum.saturating_add(below.unwrap_or(0)).saturating_add(1)
        });
        counts.insert(id, count);
    }
    Ok(counts.get(&tree).copied().unwrap_or(0))
}

/// Objects that are missing. They are walked, not their paths: twelve directories, each
/// many times in the next, have more paths than can be counted.
struct Added<'a> {
    repository: &'a Repository,
    has: &'a dyn Fn(Oid) -> bool,
    seen: HashSet<Oid>,
    found: Vec<Oid>,
}

/// What is still to be done about a directory.
enum Visit {
    Enter { id: Oid, before: Option<Oid> },
    Leave(Oid),
}

impl<'a> Added<'a> {
    fn new(repository: &'a Repository, has: &'a dyn Fn(Oid) -> bool) -> Self {
        Self {
            repository,
            has,
            seen: HashSet::new(),
            found: Vec::new(),
        }
    }

    fn one(&mut self, id: Oid) {
        if !(self.has)(id) && self.seen.insert(id) {
            self.found.push(id);
        }
    }

    /// Without recursion: a tree is as deep as somebody made it.
    fn tree(&mut self, id: Oid, before: Option<Oid>) -> Result<(), git2::Error> {
        let mut todo = vec![Visit::Enter { id, before }];
        while let Some(visit) = todo.pop() {
            match visit {
                Visit::Enter { id, before } => self.enter(id, before, &mut todo)?,
                Visit::Leave(id) => self.found.push(id),
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        id: Oid,
        before: Option<Oid>,
        todo: &mut Vec<Visit>,
    ) -> Result<(), git2::Error> {
        if before == Some(id) || (self.has)(id) || !self.seen.insert(id) {
            return Ok(());
        }
        let tree = self.repository.find_tree(id)?;
        // Of a shallow clone it may be missing.
        let before = before.and_then(|before| self.repository.find_tree(before).ok());
        todo.push(Visit::Leave(id));
        for entry in &tree {
            let before = before.as_ref();
            let known = before.and_then(|before| before.get_name_bytes(entry.name_bytes()));
            let (id, before) = (entry.id(), known.map(|known| known.id()));
            match entry.kind() {
                _ if before == Some(id) => {}
                Some(ObjectType::Tree) => todo.push(Visit::Enter { id, before }),
                Some(ObjectType::Blob) => self.one(id),
                _ => {}
            }
        }
        Ok(())
    }
}
