//! Whether anything was taken from or added to the objects of a repository, told without
//! reading any: of a hundred thousand, looking for each takes tens of milliseconds, and a
//! poll that brings nothing is to cost nothing.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use git2::Repository;

/// Names, sizes and times of packs, and the times of the directories of other objects: a
/// file that comes or goes changes that of its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// That of a repository; `None` where it can't be told.
    pub(super) fn of(repository: &Repository) -> Option<Self> {
        let objects = repository.commondir().join("objects");
        let mut hasher = DefaultHasher::new();
        let packs = names(&objects.join("pack")).ok()?;
        for path in packs.iter().map(|name| objects.join("pack").join(name)) {
            one(&path, &mut hasher).ok()?;
        }
        for path in names(&objects).ok()?.iter().map(|name| objects.join(name)) {
            one(&path, &mut hasher).ok()?;
        }
        Some(Self(hasher.finish()))
    }
}

fn names(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(directory)?;
    let mut names: Vec<_> = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn one(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let found: Metadata = fs::symlink_metadata(path)?;
    path.hash(hasher);
    let times = (
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    );
    (found.ino(), found.size(), times).hash(hasher);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::source::scratch::Scratch;

    #[test]
    fn it_changes_with_what_is_there() {
        let scratch = Scratch::bare();
        scratch.commit("a", "1");
        let repository = Repository::open_bare(&scratch.repository).unwrap();
        let stamp = || Stamp::of(&repository).unwrap();
        let loose = stamp();
        assert_eq!(stamp(), loose);
        scratch.git(&["repack", "-ad", "--quiet"]);
        let packed = stamp();
        assert_ne!(packed, loose);
        let pack = fs::read_dir(scratch.repository.join("objects/pack")).unwrap();
        let pack = pack.map(|entry| entry.unwrap().path());
        let pack = pack
            .into_iter()
            .find(|path| path.extension().unwrap() == "pack");
        fs::remove_file(pack.unwrap()).unwrap();
        assert_ne!(stamp(), packed);
    }
}
