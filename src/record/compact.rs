//! Keeps the record's own repository from growing by a file for each object.
//!
//! libgit2 writes each object to a file of its own and never packs. What became
//! entries since the last time is put into one pack, and the files are removed.

use std::path::Path;

use git2::{Oid, Repository};

use crate::source::{loose, reached, write_pack};

/// Up to where everything is packed.
const PACKED: &str = "refs/agent/packed";

/// More in one of 256 directories mean about 7,000 files.
const MOST_LOOSE: usize = 27;

/// Before where libgit2 keeps objects by itself.
const FIRST: i32 = 1_000;

/// Packs what isn't packed yet, if it is much. Call it while nobody writes: what `tip` doesn't
/// reach is thrown away.
pub(super) fn if_due(repository: &Repository, tip: Oid) -> Result<(), git2::Error> {
    if loose(repository) > MOST_LOOSE {
        now(repository, tip)?;
    }
    Ok(())
}

pub(super) fn now(repository: &Repository, tip: Oid) -> Result<(), git2::Error> {
    pack(repository, tip, repository.refname_to_id(PACKED).ok())?;
    repository.reference(PACKED, tip, true, "packed")?;
    remove_loose(&repository.path().join("objects"));
    Ok(())
}

/// What is written here reaches the disk as one pack: see [`pack`].
pub(super) fn in_memory(path: &Path) -> Result<Repository, git2::Error> {
    let repository = Repository::open_bare(path)?;
    repository.odb()?.add_new_mempack_backend(FIRST)?;
    Ok(repository)
}

/// Writes a pack of what `tip` has and `before` has not.
pub(super) fn pack(
    repository: &Repository,
    tip: Oid,
    before: Option<Oid>,
) -> Result<(), git2::Error> {
    let mut pack = repository.packbuilder()?;
    for id in reached(repository, tip, before, &|_| false)? {
        pack.insert_object(id, None)?;
    }
    if pack.object_count() > 0 {
        write_pack(&mut pack, repository)?;
    }
    Ok(())
}

/// The directories stay, as new files come into them. What can't be removed costs a file,
/// and nothing else.
fn remove_loose(objects: &Path) {
    for first in 0..=u8::MAX {
        let files = std::fs::read_dir(objects.join(format!("{first:02x}")));
        for file in files.into_iter().flatten().flatten() {
            let _ = std::fs::remove_file(file.path());
        }
    }
}
