//! The repository of our own in which a record's entries are kept.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, TreeWalkMode, TreeWalkResult};
use tracing::warn;

use super::RecordError;
use crate::model::EnvironmentName;
use crate::runtime::files::{own_directory, own_file};
use crate::source::tree_of;

/// The right to write a repository. The system lets it go when the process dies.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing alone doesn't: a program that is just being started by another thread
    /// holds a copy of every open file until it runs.
    fn drop(&mut self) {
        // What can't be unlocked is when the process ends.
        let _ = self.0.unlock();
    }
}

/// Locks a repository for this process.
pub(super) fn lock(path: &Path) -> Result<Lock, RecordError> {
    let disk = |source| disk(path, source);
    if let Some(parent) = path.parent() {
        own_directory(parent).map_err(disk)?;
    }
    let file = own_file(&path.with_extension("lock")).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::Error(source)) => Err(disk(source)),
        Err(TryLockError::WouldBlock) => Err(RecordError::Locked {
            path: path.display().to_string(),
        }),
    }
}

/// Opens a bare repository whose branch is whole, or begins one. The lock must be
/// held: what a killed process left locked is freed.
pub(super) fn open(
    path: &Path,
    branch: &str,
    environment: &EnvironmentName,
) -> Result<Repository, RecordError> {
    if path.exists() {
        match usable(path, branch) {
            Ok(repository) => return Ok(repository),
            Err(error) if is_systems(&error) || is_shut(path) => {
                return Err(RecordError::Git {
                    environment: environment.clone(),
                    path: path.display().to_string(),
                    act: "be read",
                    source: error,
                });
            }
            Err(error) => {
                let aside = free_name(path);
                warn!(repository = %path.display(), aside = %aside.display(), %error, "the record's own repository is damaged; it is set aside, and entries that were not pushed yet are lost");
                std::fs::rename(path, &aside).map_err(|source| disk(path, source))?;
            }
        }
    }
    Repository::init_bare(path).map_err(|source| RecordError::Git {
        environment: environment.clone(),
        path: path.display().to_string(),
        act: "be begun",
        source,
    })
}

/// What the system says where it can't read what may be whole: nothing is wrong with the
/// repository then.
const SYSTEMS: [rustix::io::Errno; 7] = [
    rustix::io::Errno::MFILE,
    rustix::io::Errno::NFILE,
    rustix::io::Errno::ACCESS,
    rustix::io::Errno::PERM,
    rustix::io::Errno::NOMEM,
    rustix::io::Errno::NOSPC,
    rustix::io::Errno::IO,
];

fn is_systems(error: &git2::Error) -> bool {
    let words = SYSTEMS.map(|errno| io::Error::from(errno).to_string());
    let said = |words: &str| words.split(" (os error").next().unwrap_or(words).to_owned();
    words
        .iter()
        .any(|words| error.message().contains(&said(words)))
}

/// Whether the system does not let us at a repository's files, which libgit2 says as if they
/// were not there.
fn is_shut(path: &Path) -> bool {
    let opened = [
        File::open(path.join("HEAD")).map(drop),
        File::open(path.join("config")).map(drop),
        std::fs::read_dir(path.join("objects")).map(drop),
        std::fs::read_dir(path.join("refs")).map(drop),
    ];
    let systems = |error: &io::Error| {
        let known = SYSTEMS.map(rustix::io::Errno::raw_os_error);
        error
            .raw_os_error()
            .is_some_and(|code| known.contains(&code))
    };
    opened.iter().any(|it| it.as_ref().is_err_and(systems))
}

/// Where a damaged repository can be kept beside those before it.
fn free_name(path: &Path) -> PathBuf {
    let first = path.with_extension("damaged");
    let others = (2..).map(|number| path.with_extension(format!("damaged-{number}")));
    let mut names = std::iter::once(first).chain(others);
    names
        .find(|name| !name.exists())
        .unwrap_or_else(|| path.with_extension("damaged"))
}

fn disk(path: &Path, source: io::Error) -> RecordError {
    RecordError::Disk {
        path: path.display().to_string(),
        source,
    }
}

fn usable(path: &Path, branch: &str) -> Result<Repository, git2::Error> {
    free(path, branch);
    let repository = Repository::open_bare(path)?;
    for reference in names(branch) {
        match repository.refname_to_id(&reference) {
            Ok(tip) => whole(&repository, tip)?,
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(repository)
}

fn whole(repository: &Repository, tip: git2::Oid) -> Result<(), git2::Error> {
    let tree = tree_of(repository, tip)?;
    tree.walk(TreeWalkMode::PreOrder, |_, _| TreeWalkResult::Ok)
}

fn names(branch: &str) -> [String; 2] {
    [
        format!("refs/heads/{branch}"),
        format!("refs/remotes/origin/{branch}"),
    ]
}

fn free(path: &Path, branch: &str) {
    for reference in names(branch) {
        let left: PathBuf = path.join(format!("{reference}.lock"));
        // Nothing to free is the usual case; what can't be freed fails later, aloud.
        let _ = std::fs::remove_file(left);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_refuses_is_no_damage() {
        for (words, systems) in [
            ("failed to open 'a.git/config': Too many open files", true),
            ("failed to read 'a.git/objects': Permission denied", true),
            ("failed to write: No space left on device", true),
            ("object not found - no match for id (0123)", false),
            (
                "failed to resolve path 'a.git': No such file or directory",
                false,
            ),
        ] {
            assert_eq!(
                is_systems(&git2::Error::from_str(words)),
                systems,
                "{words}"
            );
        }
    }

    #[test]
    fn what_was_set_aside_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("staging.git");
        for expected in ["staging.damaged", "staging.damaged-2", "staging.damaged-3"] {
            let name = free_name(&path);
            assert_eq!(name, place.path().join(expected));
            std::fs::create_dir(name).unwrap();
        }
    }
}
