#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::source::scratch::{Scratch, commit_on};

fn loose(scratch: &Scratch) -> String {
    scratch.git(&["count-objects"])
}

fn pulls<'a>(scratch: &'a Scratch, remote: &'a Remote) -> Pulls<'a> {
    Pulls {
        repository: &scratch.repository,
        remote,
    }
}

/// Two commits on top of one: `main` and a branch.
fn parted(main: (&str, &str), branch: (&str, &str)) -> (Scratch, Revision, Revision) {
    let scratch = Scratch::bare();
    scratch.commit("a.yaml", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    scratch.git(&["branch", "topic", "main"]);
    let base = scratch.commit(main.0, main.1);
    let head = commit_on(&scratch.repository, "topic", branch.0, branch.1);
    (scratch, base, head)
}

#[test]
fn both_sides_are_in_the_result_and_nothing_of_it_on_disk() {
    let changed = "1\n2\n3\n4\n5\n6\n7\n8\nnine\n";
    let (scratch, base, head) = parted(("a.yaml", changed), ("b/c.yaml", "new\n"));
    let (before, remote) = (loose(&scratch), scratch.remote());
    let merge = pulls(&scratch, &remote).merge(&base, &head).unwrap();
    let Merge::Clean(merged) = merge else {
        panic!("a conflict");
    };
    assert_eq!(merged.tree.read("a.yaml").unwrap(), changed.as_bytes());
    assert_eq!(merged.tree.read("b/c.yaml").unwrap(), b"new\n");
    assert_eq!(loose(&scratch), before);
    // The other way round the files are the same.
    let Merge::Clean(other) = pulls(&scratch, &remote).merge(&head, &base).unwrap() else {
        panic!("a conflict");
    };
    assert_eq!(other.id, merged.id);
}

#[test]
fn a_conflict_names_its_files() {
    let (scratch, base, head) = parted(("a.yaml", "x\n"), ("a.yaml", "y\n"));
    let remote = scratch.remote();
    let merge = pulls(&scratch, &remote).merge(&base, &head).unwrap();
    let Merge::Conflict(files) = merge else {
        panic!("no conflict");
    };
    assert_eq!(files, ["a.yaml"]);
}

#[test]
fn a_head_is_fetched_once_and_let_go_of_when_closed() {
    let (scratch, _, head) = parted(("a.yaml", "x\n"), ("b.yaml", "y\n"));
    scratch.git(&["update-ref", "refs/pull/3/head", head.as_str()]);
    let mirror = Scratch::bare();
    let remote = scratch.remote();
    let here = pulls(&mirror, &remote);
    let pull = |head: &Revision| Pull {
        number: 3,
        reference: "refs/pull/3/head".to_owned(),
        head: head.clone(),
    };
    here.fetch(&pull(&head)).unwrap();
    let refs = || mirror.git(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs().trim(), "refs/agent/pulls/3");
    // What is here is not asked for again.
    scratch.git(&["update-ref", "-d", "refs/pull/3/head"]);
    here.fetch(&pull(&head)).unwrap();
    let other: Revision = "1".repeat(40).parse().unwrap();
    assert!(matches!(
        here.fetch(&pull(&other)),
        Err(MergeError::Gone(_))
    ));
    here.keep(&BTreeSet::from([3])).unwrap();
    assert_eq!(refs().trim(), "refs/agent/pulls/3");
    here.keep(&BTreeSet::new()).unwrap();
    assert_eq!(refs().trim(), "");
}
