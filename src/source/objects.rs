//! Objects of Git, from one repository on this machine's disk to another. libgit2 would
//! pack all of the history for that, each time.

use std::collections::HashSet;

use git2::{ObjectType, Odb, OdbLookupFlags, Oid, PackBuilder, Repository, Sort};

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
    let mut walk = from.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(tip)?;
    if let Some(known) = known {
        walk.hide(known)?;
    }
    let there = to.odb()?;
    // Nobody adds what we need meanwhile, so packs aren't looked for anew each time.
    let has = |id| there.exists_ext(id, OdbLookupFlags::NO_REFRESH);
    let mut missing = Added::new(from, &has);
    for id in walk {
        let id = id?;
        let commit = from.find_commit(id)?;
        // A parent is there already, or goes before.
        let parent = commit.parent(0).ok().map(|parent| parent.tree_id());
        missing.tree(commit.tree_id(), parent)?;
        missing.one(id);
    }
    if missing.found.len() < PACKED {
        return write_each(&from.odb()?, &there, &missing.found);
    }
    let mut pack = from.packbuilder()?;
    for id in missing.found {
        pack.insert_object(id, None)?;
    }
    write_pack(&mut pack, to)
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

/// The files and directories that a tree has and another has not in the same place, what
/// is in a directory before it.
pub(super) fn added(
    repository: &Repository,
    tree: Oid,
    before: Oid,
) -> Result<Vec<Oid>, git2::Error> {
    let mut added = Added::new(repository, &|_| false);
    added.tree(tree, Some(before))?;
    Ok(added.found)
}

struct Added<'a> {
    repository: &'a Repository,
    has: &'a dyn Fn(Oid) -> bool,
    seen: HashSet<Oid>,
    found: Vec<Oid>,
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

    fn tree(&mut self, id: Oid, before: Option<Oid>) -> Result<(), git2::Error> {
        if before == Some(id) || (self.has)(id) || !self.seen.insert(id) {
            return Ok(());
        }
        let tree = self.repository.find_tree(id)?;
        // Of a shallow clone it may be missing.
        let before = before.and_then(|before| self.repository.find_tree(before).ok());
        for entry in &tree {
            let before = before.as_ref();
            let known = before.and_then(|before| before.get_name_bytes(entry.name_bytes()));
            let known = known.map(|known| known.id());
            match entry.kind() {
                _ if known == Some(entry.id()) => {}
                Some(ObjectType::Tree) => self.tree(entry.id(), known)?,
                Some(ObjectType::Blob) => self.one(entry.id()),
                _ => {}
            }
        }
        self.found.push(id);
        Ok(())
    }
}
