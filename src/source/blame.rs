//! Who last touched a line of a file, as `git blame` tells it.

use std::path::Path;

use git2::{BlameOptions, Oid, Repository};

use super::checkout::{CheckoutError, commit};
use super::{commits, grafts};
use crate::model::{Origin, Revision, SourceCommit};

/// Why that can't be told.
#[derive(Debug, thiserror::Error)]
pub enum BlameError {
    /// The commit can't be read.
    #[error(transparent)]
    Commit(#[from] CheckoutError),
    /// libgit2.
    #[error("who set {origin} can't be told from {path}")]
    Git {
        /// The line.
        origin: Origin,
        /// The repository.
        path: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
}

/// Who last touched a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blamed {
    /// The commit.
    pub commit: SourceCommit,
    /// Whether those before it are not here, as in a shallow clone: it may have been one of
    /// them.
    pub cut: bool,
}

/// The commit that made a line of a file what it is at a revision; line 0 stands for the
/// first. `None` where the file has no such line.
///
/// # Errors
/// When the repository can't be read, or has no such file at that revision.
pub fn blame(
    repository: &Path,
    revision: &Revision,
    origin: &Origin,
) -> Result<Option<Blamed>, BlameError> {
    let failed = |source| BlameError::Git {
        origin: origin.clone(),
        path: repository.display().to_string(),
        source,
    };
    let found = of_line(repository, revision, origin).map_err(failed)?;
    let Some(id) = found else { return Ok(None) };
    let cut = is_cut(repository, &id).map_err(failed)?;
    let commit = commit(repository, &id)?;
    Ok(Some(Blamed { commit, cut }))
}

/// Whether a commit's parents are not there.
fn is_cut(repository: &Path, id: &Revision) -> Result<bool, git2::Error> {
    let opened = Repository::open(repository)?;
    let objects = opened.odb()?;
    let parents = commits::read(&opened, Oid::from_str(id.as_str())?, |raw| {
        raw.parents.clone()
    })?;
    Ok(parents.iter().any(|parent| !objects.exists(*parent)))
}

fn of_line(
    repository: &Path,
    revision: &Revision,
    origin: &Origin,
) -> Result<Option<Revision>, git2::Error> {
    let opened = Repository::open(repository)?;
    let id = Oid::from_str(revision.as_str())?;
    match in_repository(&opened, id, origin) {
        Err(error) if grafts::may_help(&error) => {
            let directory = tempfile::tempdir().map_err(|_| error)?;
            let around = grafts::beside(&opened, directory.path(), id)?;
            in_repository(&around, id, origin)
        }
        found => found,
    }
}

fn in_repository(
    repository: &Repository,
    revision: Oid,
    origin: &Origin,
) -> Result<Option<Revision>, git2::Error> {
    let line = origin.line.max(1) as usize;
    let mut options = BlameOptions::new();
    options
        .newest_commit(revision)
        .min_line(line)
        .max_line(line);
    let blame = repository.blame_file(Path::new(&origin.path), Some(&mut options))?;
    let hunk = blame.get_line(line);
    Ok(hunk.and_then(|hunk| hunk.final_commit_id().to_string().parse().ok()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::source::scratch::{Scratch, git};

    #[test]
    fn a_commit_that_cannot_be_read_is_stepped_over() {
        let scratch = Scratch::bare();
        let first = scratch.commit("a", "one\ntwo\n");
        scratch.odd_commit();
        let second = scratch.commit_by_git("a", "one\nTWO\n", "Change it");
        scratch.odd_commit();
        let head = scratch.commit_by_git("b", "b\n", "Another");
        for (line, expected) in [(1, &first), (2, &second)] {
            let origin = Origin {
                path: "a".to_owned(),
                line,
            };
            let found = blame(&scratch.repository, &head, &origin).unwrap().unwrap();
            assert_eq!(found.commit.revision, *expected, "line {line}");
            assert!(!found.cut);
        }
        assert!(!scratch.repository.join("info/grafts").exists());
    }

    #[test]
    fn a_shallow_clone_says_that_it_may_have_been_an_older_commit() {
        let scratch = Scratch::bare();
        scratch.commit("a", "one\n");
        let head = scratch.commit("b", "one\n");
        let clone = scratch.directory.path().join("shallow");
        let url = format!("file://{}", scratch.repository.display());
        let to = clone.to_string_lossy();
        git(
            scratch.directory.path(),
            &["clone", "--quiet", "--depth=1", &url, &to],
        );
        let origin = Origin {
            path: "a".to_owned(),
            line: 1,
        };
        let found = blame(&clone, &head, &origin).unwrap().unwrap();
        assert_eq!((found.commit.revision, found.cut), (head, true));
    }
}
