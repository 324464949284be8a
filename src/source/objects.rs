//! Objects of Git, from one repository on this machine's disk to another. libgit2 would
//! pack all of the history for that, each time.

use git2::{ObjectType, Odb, OdbLookupFlags, Oid, Repository, Sort};

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
    let (from, to) = (Objects::of(from)?, Objects::of(to)?);
    for id in walk {
        let id = id?;
        from.tree_to(from.repository.find_commit(id)?.tree_id(), &to)?;
        from.object_to(id, &to)?;
    }
    Ok(())
}

struct Objects<'a> {
    repository: &'a Repository,
    store: Odb<'a>,
}

impl<'a> Objects<'a> {
    fn of(repository: &'a Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            repository,
            store: repository.odb()?,
        })
    }

    /// Nobody adds what we need meanwhile, so packs aren't looked for anew each time.
    fn has(&self, id: Oid) -> bool {
        self.store.exists_ext(id, OdbLookupFlags::NO_REFRESH)
    }

    fn tree_to(&self, id: Oid, to: &Self) -> Result<(), git2::Error> {
        if to.has(id) {
            return Ok(());
        }
        for entry in &self.repository.find_tree(id)? {
            match entry.kind() {
                Some(ObjectType::Tree) => self.tree_to(entry.id(), to)?,
                Some(ObjectType::Blob) => self.object_to(entry.id(), to)?,
                _ => {}
            }
        }
        self.object_to(id, to)
    }

    fn object_to(&self, id: Oid, to: &Self) -> Result<(), git2::Error> {
        if to.has(id) {
            return Ok(());
        }
        let object = self.store.read(id)?;
        to.store.write(object.kind(), object.data()).map(|_| ())
    }
}
