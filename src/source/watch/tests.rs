#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::scratch::{Scratch, git, until};
use super::*;

fn watched(scratch: &Scratch, path: &Path) -> (RefsWatch, impl Fn() -> usize + use<>) {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&wakes);
    let count = move || {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    let watch = RefsWatch::start(path, count).unwrap();
    scratch.git(&["for-each-ref"]);
    (watch, move || wakes.load(Ordering::SeqCst))
}

#[test]
fn moving_a_branch_wakes_and_reading_or_recording_does_not() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    // Once, so that the directories are there and watched.
    scratch.git(&["update-ref", "refs/heads/live/staging", head.as_str()]);
    let (_watch, wakes) = watched(&scratch, &scratch.repository);
    scratch.git(&["rev-parse", "main"]);
    scratch.git(&["update-ref", "-d", "refs/heads/live/staging"]);
    scratch.git(&["update-ref", "refs/heads/live/staging", head.as_str()]);
    let before = wakes();
    scratch.commit("a", "2");
    until("a wake", || wakes() > before);
    assert_eq!(before, 0);
}

#[test]
fn a_linked_working_tree_watches_the_repository_it_belongs_to() {
    let scratch = Scratch::new();
    scratch.commit("a", "1");
    let linked = scratch.directory.path().join("linked");
    scratch.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
        "main",
    ]);
    let (_watch, wakes) = watched(&scratch, &linked);
    let before = wakes();
    git(&linked, &["update-ref", "refs/heads/other", "HEAD"]);
    until("a wake", || wakes() > before);
}

#[test]
fn where_no_repository_is_nothing_is_watched() {
    assert!(RefsWatch::start(Path::new("/nowhere"), || ()).is_none());
}
