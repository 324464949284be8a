//! Watches the refs of a repository on this machine's disk, so that a commit is seen
//! when it is made.

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Keeps calling `wake` while refs of the repository change; ends when dropped.
pub(super) struct RefsWatch {
    _watcher: RecommendedWatcher,
}

impl RefsWatch {
    /// Watches a repository, bare or not. `None` where that can't be done: then
    /// polling alone sees its commits.
    pub(super) fn start(repository: &Path, wake: impl Fn() + Send + 'static) -> Option<Self> {
        let opened = git2::Repository::open(repository).ok()?;
        let git_dir = opened.commondir().to_owned();
        let refs = git_dir.join("refs");
        let concerned = Concerned::of(&git_dir);
        let mut watcher = notify::recommended_watcher(move |event| match event {
            Ok(event) if !concerned.by(&event) => {}
            _ => wake(),
        })
        .ok()?;
        // packed-refs is replaced by renaming, so its directory is watched.
        watcher.watch(&git_dir, RecursiveMode::NonRecursive).ok()?;
        watcher.watch(&refs, RecursiveMode::Recursive).ok()?;
        Some(Self { _watcher: watcher })
    }
}

/// Of which changes the follower wants to hear.
struct Concerned {
    packed: PathBuf,
    refs: PathBuf,
    /// What the agent itself writes.
    ours: [PathBuf; 2],
}

impl Concerned {
    fn of(git_dir: &Path) -> Self {
        Self {
            packed: git_dir.join("packed-refs"),
            refs: git_dir.join("refs"),
            ours: ["refs/heads/live", "refs/notes/agent"].map(|prefix| git_dir.join(prefix)),
        }
    }

    /// Reading a ref, which the follower itself does, is an event as well.
    fn by(&self, event: &notify::Event) -> bool {
        let written = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Access(_) => false,
            _ => true,
        };
        // No path: the watch lost events, so anything may have happened.
        written && (event.paths.is_empty() || event.paths.iter().any(|path| self.by_path(path)))
    }

    fn by_path(&self, path: &Path) -> bool {
        let ours = || self.ours.iter().any(|prefix| path.starts_with(prefix));
        // A lock is only on the way to the change.
        let lock = || path.extension().is_some_and(|end| end == "lock");
        path == self.packed || (path.starts_with(&self.refs) && !ours() && !lock())
    }
}

#[cfg(test)]
mod tests;
