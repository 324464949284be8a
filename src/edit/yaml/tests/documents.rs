//! Several documents in a file, and values that are shown in several places.

use serde_json::json;

use super::super::*;
use super::{path, sets};

#[test]
fn other_documents_and_markers_stay() {
    let before = "# head\n---\na: 1\n...\n---\n# nothing\n---\nb: 1 # x\n--- # q\nc: 1\n";
    let edited = set(before, 1, &path("b"), &json!(2)).unwrap();
    assert_eq!(edited, before.replace("b: 1", "b: 2"));
    assert_eq!(
        append(before, &json!({"d": 1})).unwrap(),
        format!("{before}---\nd: 1\n")
    );
    assert_eq!(
        append("a: 1", &json!({"d": 1})).unwrap(),
        "a: 1\n---\nd: 1\n"
    );
    assert_eq!(append("# x\n", &json!({"d": 1})).unwrap(), "# x\nd: 1\n");
    assert_eq!(
        append("a: 1\n---\n", &json!({"d": [1]})).unwrap(),
        "a: 1\n---\nd:\n- 1\n"
    );
    assert_eq!(
        set(before, 3, &[], &json!({})),
        Err(EditError::NoDocument(3))
    );
}

#[test]
fn what_others_share_is_changed_here_or_not_at_all() {
    let before = "x: &x\n  a: 1\n  b: {c: 1}\nq: *x\nz:\n  <<: *x\n  d: 1\n";
    sets(
        before,
        "z.a",
        json!(2),
        "x: &x\n  a: 1\n  b: {c: 1}\nq: *x\nz:\n  <<: *x\n  d: 1\n  a: 2\n",
    );
    sets(
        before,
        "z.b.c",
        json!(2),
        "x: &x\n  a: 1\n  b: {c: 1}\nq: *x\nz:\n  <<: *x\n  d: 1\n  b:\n    c: 2\n",
    );
    sets(
        before,
        "q.a",
        json!(2),
        "x: &x\n  a: 1\n  b: {c: 1}\nq:\n  a: 2\n  b:\n    c: 1\nz:\n  <<: *x\n  d: 1\n",
    );
    let shared = |at: &str| EditError::Shared {
        path: at.to_owned(),
        line: 1,
    };
    assert_eq!(set(before, 0, &path("x.a"), &json!(2)), Err(shared("x.a")));
    assert_eq!(remove(before, 0, &path("x")), Err(shared("x")));
    assert_eq!(
        remove(before, 0, &path("z.a")),
        Err(EditError::Merged("z.a".to_owned()))
    );
    sets(
        "a: &x 1\nb: *x\nc: *x\n",
        "b",
        json!(2),
        "a: &x 1\nb: 2\nc: *x\n",
    );
}
