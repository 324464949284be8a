#![expect(clippy::unwrap_used, reason = "a test may panic")]

use git2::{ObjectType, Repository};
use proptest::prelude::*;

use super::*;

const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const ADA: &str = "Ada <ada@example.com> 1790000000 +0100";

fn raw(headers: &[&str], message: &str) -> Vec<u8> {
    format!("{}\n\n{message}", headers.join("\n")).into_bytes()
}

fn usual() -> [String; 3] {
    [
        format!("tree {TREE}"),
        format!("author {ADA}"),
        format!("committer {ADA}"),
    ]
}

/// The usual headers, one of them otherwise.
fn with(at: usize, header: &str) -> Vec<u8> {
    let mut headers = usual();
    headers[at] = header.to_owned();
    raw(&headers.each_ref().map(String::as_str), "Subject\n")
}

#[test]
fn a_usual_commit_is_read_as_it_is() {
    let [tree, author, committer] = usual();
    let parent = format!("parent {TREE}");
    let headers = [
        &*tree, &parent, &parent, &author, &committer, "gpgsig x", " y",
    ];
    let bytes = raw(&headers, "One\nand more\n\nBody\n");
    let commit = RawCommit::parse(&bytes);
    assert_eq!(commit.oddities, []);
    assert_eq!(commit.tree.unwrap().to_string(), TREE);
    assert_eq!(commit.parents.len(), 2);
    assert_eq!(commit.author().name, "Ada");
    assert_eq!(commit.author().email, "ada@example.com");
    assert_eq!(commit.committed().as_second(), 1_790_000_000);
    assert_eq!(commit.subject(), "One and more");
    assert_eq!(commit.message(), "One\nand more\n\nBody\n");
    assert!(commit.is_committed_by("ada@example.com"));
}

#[test]
fn what_is_odd_is_named_and_the_rest_is_read() {
    let time = "author Ada <ada@example.com> not-a-time +0000";
    let cases = [
        (with(1, time), format!("its line `{time}` has no valid time")),
        (with(1, "encoding x"), "its line `encoding x` stands where none may; it has no line `author`".to_owned()),
        (with(2, "committer Ada 1 +0000"), "its line `committer Ada 1 +0000` has no address in `<>`".to_owned()),
        (with(0, "tree 4b825"), "its line `tree 4b825` has no object's id".to_owned()),
        (raw(&[], ""), "it has no line `tree`; it has no line `author`; it has no line `committer`".to_owned()),
        (b"tree".to_vec(), "its line `tree` stands where none may; it ends within the line `tree`; it has no line `tree`".to_owned()),
    ];
    for (bytes, expected) in cases {
        assert_eq!(RawCommit::parse(&bytes).to_string(), expected);
    }
    let bytes = with(1, time);
    let commit = RawCommit::parse(&bytes);
    assert_eq!(commit.author().name, "Ada");
    assert_eq!(commit.author().time, Timestamp::UNIX_EPOCH);
    assert_eq!(commit.seconds(), Some(1_790_000_000));
    assert_eq!(commit.subject(), "Subject");
}

#[test]
fn what_people_see_is_short_and_plain() {
    let headers = usual();
    let headers = headers.each_ref().map(String::as_str);
    let bytes = raw(&headers, &"long ".repeat(200_000));
    let subject = RawCommit::parse(&bytes).subject();
    assert!(subject.chars().count() <= TOLD && subject.ends_with('…'));
    let bytes = raw(&headers, "\n\na\0b\tc\x1b[31m\n");
    assert_eq!(RawCommit::parse(&bytes).subject(), "a\\u{0}b c\\u{1b}[31m");
}

#[test]
fn what_is_not_utf8_is_read_as_its_encoding_says() {
    let headers = usual();
    let mut headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let latin = |headers: &[&str]| {
        let mut bytes = raw(headers, "caf");
        bytes.push(0xe9);
        RawCommit::parse(&bytes).subject()
    };
    assert_eq!(latin(&headers), "caf\u{fffd}");
    headers.push("encoding ISO-8859-1");
    assert_eq!(latin(&headers), "café");
}

/// Lines that headers are made of, right and wrong.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![Just(TREE.to_owned()), "[0-9a-f]{0,41}"];
    let person = prop_oneof![
        Just(ADA.to_owned()),
        "[A<> ]{0,6}( [+-]?[0-9]{0,20} ?[+-]?[0-9]{0,4})?",
        Just("A <a> not-a-time +0000".to_owned()),
        Just("A <a>".to_owned()),
        Just("A <a> 99999999999999999999 +0000".to_owned()),
        Just("A <a> -1 -9999".to_owned()),
        Just("A <a> 1 x".to_owned()),
    ];
    prop_oneof![
        id.clone().prop_map(|id| format!("tree {id}")),
        id.prop_map(|id| format!("parent {id}")),
        person.clone().prop_map(|one| format!("author {one}")),
        person.prop_map(|one| format!("committer {one}")),
        Just(String::new()),
        "[a-z]{1,4} ?x?",
    ]
    .prop_map(String::into_bytes)
}

fn any_commit() -> impl Strategy<Value = Vec<u8>> {
    let headers = usual().map(String::into_bytes).to_vec();
    let odd = (0..=4_usize, line()).prop_map(move |(at, line)| {
        let mut lines = headers.clone();
        match at {
            0..3 => lines[at] = line,
            _ => lines.insert(at - 3, line),
        }
        lines.push(b"\nSubject".to_vec());
        lines.join(&b'\n')
    });
    let lines = prop::collection::vec(line(), 0..6).prop_map(|lines| lines.join(&b'\n'));
    prop_oneof![odd, lines, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    /// What has no oddity, libgit2 reads as well, and finds the same; it says of nothing
    /// that it reads that its tree is another.
    #[test]
    fn libgit2_reads_what_is_not_odd(bytes in any_commit()) {
        let commit = RawCommit::parse(&bytes);
        let _ = (commit.subject(), commit.message(), commit.author(), commit.to_string());
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        let id = repository.odb().unwrap().write(ObjectType::Commit, &bytes).unwrap();
        match repository.find_commit(id) {
            Ok(found) => {
                prop_assert_eq!(Some(found.tree_id()), commit.tree);
                prop_assert!(found.parent_ids().all(|parent| commit.parents.contains(&parent)));
            }
            Err(error) => prop_assert!(!commit.oddities.is_empty(), "{}", error),
        }
    }
}
