//! The files of a revision ([`GitTree`]) and of a working tree ([`DirTree`]), read
//! alike. Neither ever leaves its root: links are followed one component at a time,
//! by us, and one that leads outside is an error.

mod dir;
mod directories;
mod git;
mod resolve;
mod sparse;
#[cfg(test)]
mod tests;

use crate::model::{EntryKind, TreeError};
use resolve::Node;

pub use dir::DirTree;
pub use directories::Directories;
pub use git::GitTree;

/// The most bytes that a file may have: room for the largest generated CRD bundle,
/// and far below what would hurt a small container.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// How every Git LFS pointer begins, by its specification.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1";

fn check_size(path: &str, size: u64) -> Result<(), TreeError> {
    if size > MAX_FILE {
        return Err(TreeError::TooLarge {
            path: path.to_owned(),
            size,
            limit: MAX_FILE,
        });
    }
    Ok(())
}

fn refuse_lfs(path: &str, content: Vec<u8>) -> Result<Vec<u8>, TreeError> {
    if content.starts_with(LFS) {
        return Err(TreeError::LfsPointer {
            path: path.to_owned(),
        });
    }
    Ok(content)
}

/// The kind under which a directory lists an entry; see [`Tree::list`].
///
/// [`Tree::list`]: crate::model::Tree::list
fn listed_kind(nodes: &impl resolve::Nodes, path: &str, node: &Node) -> EntryKind {
    match node {
        Node::File => EntryKind::File,
        Node::Directory | Node::Submodule => EntryKind::Directory,
        Node::Link(_) => match resolve::resolve(nodes, path) {
            Ok(Some((_, Node::File))) => EntryKind::File,
            _ => EntryKind::Directory,
        },
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}
