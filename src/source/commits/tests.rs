#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;

use super::*;
use crate::source::scratch::Scratch;

/// A commit of any content on some parents.
fn raw(repository: &Repository, parents: &[Oid], time: &str) -> Oid {
    let tree = repository.treebuilder(None).unwrap().write().unwrap();
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        let _ = writeln!(text, "parent {parent}");
    }
    let person = format!("A <a> {time}");
    let _ = write!(text, "author {person}\ncommitter {person}\n\nOne\n");
    let objects = repository.odb().unwrap();
    objects.write(ObjectType::Commit, text.as_bytes()).unwrap()
}

fn opened(scratch: &Scratch) -> Repository {
    Repository::open(&scratch.repository).unwrap()
}

#[test]
fn what_cannot_be_read_is_no_end() {
    let scratch = Scratch::bare();
    let repository = opened(&scratch);
    let first = raw(&repository, &[], "1 +0000");
    let odd = raw(&repository, &[first], "not-a-time");
    let last = raw(&repository, &[odd], "3 +0000");
    assert!(repository.find_commit(odd).is_err());
    let walk = Walk::from(&repository, [last]).unwrap();
    let all: Vec<Oid> = walk.map(|walked| walked.id).collect();
    assert_eq!(all, [last, odd, first]);
    assert!(contains(&repository, last, first).unwrap());
    assert!(!contains(&repository, first, last).unwrap());
    assert!(oddity(&repository, odd).unwrap().contains("not-a-time"));
    assert_eq!(oddity(&repository, last), None);
    assert!(tree_of(&repository, odd).is_ok());
}

#[test]
fn what_is_not_there_is_named_and_is_no_error() {
    let scratch = Scratch::bare();
    let repository = opened(&scratch);
    let gone = Oid::from_str(&"1".repeat(40)).unwrap();
    let tip = raw(&repository, &[gone], "1 +0000");
    let found = between(&repository, tip, []).unwrap();
    let found: Vec<(Oid, Content)> = found.iter().map(|one| (one.id, one.content)).collect();
    assert_eq!(found[0], (gone, Content::Absent));
    assert_eq!(found[1].0, tip);
    assert_eq!(first_parents(&repository, tip, []).unwrap(), [tip]);
    assert!(tree_of(&repository, gone).is_err());
}

/// Clocks that go wrong do not change what lies below what.
#[test]
fn what_lies_between_is_told_by_parents_and_not_by_clocks() {
    let scratch = Scratch::bare();
    let repository = opened(&scratch);
    let mut chain = vec![raw(&repository, &[], "5 +0000")];
    for time in [9, 100, 2, 50, 1, 70, 3] {
        let parent = *chain.last().unwrap();
        chain.push(raw(&repository, &[parent], &format!("{time} +0000")));
    }
    let side = raw(&repository, &[chain[2]], "4 +0000");
    let merge = raw(&repository, &[chain[7], side], "60 +0000");
    for (at, base) in chain.iter().enumerate() {
        let found = between(&repository, merge, [*base]).unwrap();
        let mut found: Vec<Oid> = found.into_iter().map(|one| one.id).collect();
        assert_eq!(found.pop(), Some(merge), "it comes after its parents");
        let later: Vec<Oid> = found.iter().copied().filter(|id| *id != side).collect();
        assert_eq!(later, chain[at + 1..], "from {at}");
        assert!(found.contains(&side));
        let mut expected = chain[at + 1..].to_vec();
        expected.push(merge);
        assert_eq!(
            first_parents(&repository, merge, [*base]).unwrap(),
            expected
        );
    }
    assert!(related(&repository, side, chain[7]).unwrap());
    assert!(!related(&repository, side, raw(&repository, &[], "8 +0000")).unwrap());
}
