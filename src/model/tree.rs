//! The files of a snapshot or a working tree, seen alike.

use super::Digest;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// A tree of files that nothing can leave: paths are relative to its root, `/`
/// separates, and a link or `..` that leads outside is an error, never followed.
/// Implemented by a Git tree and by a directory.
pub trait Tree: Send + Sync {
    /// The names directly in a directory (`""` is the root), sorted; `.git` left out.
    /// What can't be followed (a submodule, a link that leads nowhere or outside) is
    /// listed as a directory, so that whoever walks on meets the error rather than
    /// taking it for absent.
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError>;

    /// What stands at a path, links followed; `None` where nothing does.
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError>;

    /// The path with every link on it followed, and what stands there; `None` where
    /// nothing does. As given here, for a tree without links.
    fn resolve(&self, path: &str) -> Result<Option<(String, EntryKind)>, TreeError> {
        Ok(self.kind(path)?.map(|kind| (path.to_owned(), kind)))
    }

    /// A file's content, bounded in size.
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError>;

    /// A digest that changes when anything at or below a path does.
    fn digest(&self, path: &str) -> Result<Digest, TreeError>;
}

/// Why a path of the repository can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Nothing stands there.
    #[error("{path}: no such file or directory in the repository")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// A directory where a file was wanted, or the other way round.
    #[error("{path}: is not a {wanted}")]
    WrongKind {
        /// The path asked for.
        path: String,
        /// `file` or `directory`.
        wanted: &'static str,
    },
    /// `..` or a link leads outside the repository.
    #[error("{path}: leads outside the repository ({via})")]
    Escapes {
        /// The path asked for.
        path: String,
        /// The link's target or the component that does.
        via: String,
    },
    /// Links that lead to each other.
    #[error("{path}: too many levels of links")]
    LinkLoop {
        /// The path asked for.
        path: String,
    },
    /// A file larger than a manifest may be.
    #[error("{path}: is {size} bytes, more than the {limit} that a file may have")]
    TooLarge {
        /// The path asked for.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More of something than is walked.
    #[error("{path}: has more than {limit} {what}")]
    TooMany {
        /// The path asked for.
        path: String,
        /// What there is too much of, in the plural.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// A pointer of Git LFS stands in the file's place.
    #[error(
        "{path}: is a Git LFS pointer, and its content is not in the repository; commit the file itself"
    )]
    LfsPointer {
        /// The path asked for.
        path: String,
    },
    /// A name that no path has.
    #[error("{path}: its name is not UTF-8; rename it")]
    Misnamed {
        /// The path, with what is no text in it replaced.
        path: String,
    },
    /// A submodule, which the agent does not fetch.
    #[error("{path}: is a submodule, which is not fetched; commit the files themselves")]
    Submodule {
        /// The path asked for.
        path: String,
    },
    /// The disk or the object database failed.
    #[error("{path}: cannot be read: {reason}")]
    Unreadable {
        /// The path asked for.
        path: String,
        /// What the system said.
        reason: String,
    },
}
