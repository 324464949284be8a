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

/// What cannot be read lies below both sides, and on one of them.
#[test]
fn a_commit_that_cannot_be_read_is_merged_around() {
    let scratch = Scratch::bare();
    scratch.commit("a.yaml", "1\n");
    scratch.odd_commit();
    scratch.commit_by_git("c.yaml", "c\n", "on top of it");
    scratch.git(&["branch", "topic", "main"]);
    let digest = format!("sha256:{}", "a".repeat(64));
    scratch.commit_by_git(
        "a.yaml",
        "2\n",
        &format!("Change\n\nApprove-Plan: {digest}"),
    );
    scratch.odd_commit();
    let base = scratch.commit_by_git("d.yaml", "d\n", "and on");
    let head = commit_on(&scratch.repository, "topic", "b.yaml", "b\n");
    let remote = scratch.remote();
    let Merge::Clean(merged) = pulls(&scratch, &remote).merge(&base, &head).unwrap() else {
        panic!("a conflict");
    };
    for (file, content) in [
        ("a.yaml", "2\n"),
        ("b.yaml", "b\n"),
        ("c.yaml", "c\n"),
        ("d.yaml", "d\n"),
    ] {
        assert_eq!(
            merged.tree.read(file).unwrap(),
            content.as_bytes(),
            "{file}"
        );
    }
    let approved: Vec<String> = merged
        .approved
        .plans
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(approved, [digest]);
}

#[test]
fn a_side_of_more_paths_than_can_be_listed_is_not_merged() {
    let scratch = Scratch::bare();
    let base = scratch.commit("a.yaml", "1\n");
    let head = scratch.commit_endless("beside", ("end", 0o100_644, "x"));
    let remote = scratch.remote();
    let merge = |one, other| pulls(&scratch, &remote).merge(one, other).unwrap();
    assert!(matches!(merge(&base, &head), Merge::TooLarge(_)));
    assert!(matches!(merge(&head, &base), Merge::TooLarge(_)));
}
