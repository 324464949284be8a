//! Following a path from the root, one component at a time, links included.

use std::collections::VecDeque;

use crate::model::{EntryKind, TreeError, cut};

/// What stands at a path itself, no link followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    File,
    Directory,
    /// A symbolic link and its target.
    Link(String),
    Submodule,
}

/// Something that can tell what stands at a path that contains no links.
pub(super) trait Nodes {
    /// `path` is normalised, relative, and every component but the last is a directory.
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError>;

    /// The same where that is found at once, for a normalised path with maybe a link on it.
    fn straight(&self, _path: &str) -> Result<Straight, TreeError> {
        Ok(Straight::Unknown)
    }
}

/// What stands at a path if there is no link on it, as on most.
pub(super) enum Straight {
    Is(Node),
    Absent,
    Unknown,
}

/// The longest path (Linux: `PATH_MAX`), which bounds how deep directories are.
pub(super) const MAX_PATH: usize = 4096;

/// The most names that are looked up for one path, those of its links' targets included.
/// A few links could ask for a million otherwise.
const MAX_NAMES: usize = 1_000;

/// As Linux: the links followed on one path before it is taken for a loop.
const MAX_LINKS: usize = 40;

/// The real path of `path` and what stands there (never a link); `None` where nothing does.
pub(super) fn resolve(nodes: &impl Nodes, path: &str) -> Result<Option<(String, Node)>, TreeError> {
    if path.len() > MAX_PATH {
        return Err(too_long(path, "bytes in its path", MAX_PATH));
    }
    if is_normalised(path) {
        match nodes.straight(path)? {
            Straight::Is(node) => return Ok(Some((path.to_owned(), node))),
            Straight::Absent => return Ok(None),
            Straight::Unknown => {}
        }
    }
    let mut todo: VecDeque<String> = components(path, path)?;
    let mut done: Vec<String> = Vec::new();
    let (mut links, mut names) = (0, 0);
    // What is blamed where the root is left: the path, or the last link followed.
    let mut via = path.to_owned();
    let mut here = Node::Directory;
    while let Some(component) = todo.pop_front() {
        match here {
            Node::Directory => {}
            Node::Submodule => return Err(submodule(path)),
            Node::File | Node::Link(_) => return Ok(None),
        }
        if component == ".." {
            if done.pop().is_none() {
                return Err(escapes(path, &via));
            }
            continue;
        }
        names += 1;
        if names > MAX_NAMES {
            return Err(too_long(path, "names on the way to it", MAX_NAMES));
        }
        done.push(component);
        match nodes.node(&done.join("/"))? {
            None => return Ok(None),
            Some(Node::Link(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(TreeError::LinkLoop {
                        path: path.to_owned(),
                    });
                }
                done.pop();
                for component in components(path, &target)?.into_iter().rev() {
                    todo.push_front(component);
                }
                via = target;
                here = Node::Directory;
            }
            Some(node) => here = node,
        }
    }
    Ok(Some((done.join("/"), here)))
}

/// As [`resolve`], where a submodule is an error and so only files and directories remain.
pub(super) fn entry(
    nodes: &impl Nodes,
    path: &str,
) -> Result<Option<(String, EntryKind)>, TreeError> {
    match resolve(nodes, path)? {
        None => Ok(None),
        Some((real, Node::Directory)) => Ok(Some((real, EntryKind::Directory))),
        Some((_, Node::Submodule)) => Err(submodule(path)),
        Some((real, _)) => Ok(Some((real, EntryKind::File))),
    }
}

/// The real path of what must be there and be of that kind.
pub(super) fn expect(
    nodes: &impl Nodes,
    path: &str,
    wanted: EntryKind,
) -> Result<String, TreeError> {
    match entry(nodes, path)? {
        None => Err(TreeError::NotFound {
            path: path.to_owned(),
        }),
        Some((real, kind)) if kind == wanted => Ok(real),
        Some(_) => Err(TreeError::WrongKind {
            path: path.to_owned(),
            wanted: match wanted {
                EntryKind::File => "file",
                EntryKind::Directory => "directory",
            },
        }),
    }
}

/// Whether every component of a path is a name.
fn is_normalised(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn components(path: &str, text: &str) -> Result<VecDeque<String>, TreeError> {
    if text.starts_with('/') {
        return Err(escapes(path, text));
    }
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    Ok(parts.map(str::to_owned).collect())
}

fn escapes(path: &str, via: &str) -> TreeError {
    TreeError::Escapes {
        path: path.to_owned(),
        via: via.to_owned(),
    }
}

/// Told by its beginning.
fn too_long(path: &str, what: &'static str, limit: usize) -> TreeError {
    let (path, limit) = (cut(path, 200).into_owned(), limit as u64);
    TreeError::TooMany { path, what, limit }
}

fn submodule(path: &str) -> TreeError {
    TreeError::Submodule {
        path: path.to_owned(),
    }
}
