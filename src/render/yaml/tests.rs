#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::*;

/// A case of `testdata/yaml/table.json`, whose `kubectl` half is verified against the
/// real one by the integration tests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// What stands below the head of an object …
    #[serde(default)]
    yaml: String,
    /// … or the whole file.
    file: Option<String>,
    kubectl: Answer,
    /// Where we differ.
    ours: Option<Answer>,
    /// Why we do.
    why: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
enum Answer {
    /// The documents, without the head.
    Documents(Vec<Value>),
    /// For us, a part of the message.
    Error(String),
}

const HEAD: &str = "apiVersion: example.com/v1\nkind: Case\nmetadata: {name: x}\n";

fn ours(case: &Case) -> Answer {
    let text = case
        .file
        .clone()
        .unwrap_or_else(|| format!("{HEAD}{}", case.yaml));
    match documents(&text) {
        Ok(documents) => Answer::Documents(documents.into_iter().map(without_head).collect()),
        Err(error) => Answer::Error(error.message),
    }
}

fn without_head(document: Document) -> Value {
    let mut value = document.value;
    if let Some(map) = value.as_object_mut() {
        for key in ["apiVersion", "kind", "metadata"] {
            map.remove(key);
        }
    }
    value
}

/// As numbers compare, whatever their spelling in JSON.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|b| same(v, b)))
        }
        _ => one == other,
    }
}

fn agree(ours: &Answer, wanted: &Answer, verbatim: bool) -> bool {
    match (ours, wanted) {
        (Answer::Documents(a), Answer::Documents(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Answer::Error(message), Answer::Error(part)) => !verbatim || message.contains(part),
        _ => false,
    }
}

#[test]
fn reads_as_kubectl_does_but_where_the_table_says_why_not() {
    let table = include_str!("../../../testdata/yaml/table.json");
    let cases: Vec<Case> = serde_json::from_str(table).unwrap();
    assert!(cases.len() >= 250);
    let mut wrong = String::new();
    for case in &cases {
        let ours = ours(case);
        assert_eq!(case.ours.is_some(), case.why.is_some(), "{}", case.name);
        let fine = match &case.ours {
            Some(wanted) => agree(&ours, wanted, true) && !agree(&ours, &case.kubectl, false),
            None => agree(&ours, &case.kubectl, false),
        };
        if !fine {
            let wanted = case.ours.as_ref().unwrap_or(&case.kubectl);
            let _ = write!(
                wrong,
                "{}\n  ours   {ours:?}\n  wanted {wanted:?}\n",
                case.name
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn error(text: &str) -> String {
    let error = documents(text).unwrap_err();
    format!("{}:{}: {error}", error.at.line, error.at.column)
}

#[test]
fn errors_say_where() {
    assert_eq!(
        error("a: 1\nb: 2\na: 3\n"),
        "3:1: `a` is already set on line 1"
    );
    assert!(error("a: 1\n---\nb:\n  c: [1\n").starts_with("4:6: "));
    assert_eq!(
        error("a:\n  - b: .inf\n"),
        "2:8: inf has no spelling in JSON"
    );
    assert_eq!(error("a:\n\tb: 1\n").split(' ').next(), Some("2:2:"));
}

#[test]
fn positions_are_those_of_keys() {
    let text = "# c\n\n---\nkind: A\nm:\n  b:\n  - x\n  - y: 1\n    z/~: |\n      t\n---\n- 1\n";
    let documents = documents(text).unwrap();
    let at = |pointer: &str| {
        let Position { line, column } = documents[0].position(pointer);
        (line, column)
    };
    assert_eq!(documents[0].start().line, 4);
    assert_eq!(at(""), (4, 1));
    assert_eq!(at("/m"), (5, 1));
    assert_eq!(at("/m/b/0"), (7, 5));
    assert_eq!(at("/m/b/1/z~1~0"), (9, 5));
    assert_eq!(
        at("/m/b/1/nothing/here"),
        (8, 5),
        "the nearest that is there"
    );
    assert_eq!(documents[1].start().line, 12);
}

#[test]
fn what_kustomize_reads_otherwise_is_warned_about() {
    let text = "a: on\nb: 'on'\ny: true\nc: {x: 1}\nd:\n  x: 2\n  <<: {x: 3}\n";
    let documents = documents(text).unwrap();
    let warned: Vec<_> = documents[0].warnings.iter().map(|w| w.at.line).collect();
    assert_eq!(warned, [1, 3, 7]);
    let text = &documents[0].warnings[0].text;
    assert!(
        text.starts_with("unquoted `on` is a boolean to kubectl"),
        "{text}"
    );
}

#[test]
fn bombs_are_refused_and_honest_repetition_is_not() {
    let chain = |width: usize, levels: usize| {
        let mut text = format!("a0: &a0 [{}]\n", "x,".repeat(width));
        for level in 1..levels {
            let alias = format!("*a{},", level - 1).repeat(width);
            let _ = writeln!(text, "a{level}: &a{level} [{alias}]");
        }
        text
    };
    assert!(documents(&chain(10, 3)).is_ok());
    assert!(error(&chain(10, 9)).contains("aliases expand to more than"));
    assert!(error(&chain(2, 40)).contains("aliases expand to more than"));
    let nested_anchors = "&a [".repeat(100) + &"]".repeat(100);
    assert!(documents(&nested_anchors.replace("&a", "")).is_ok());
    let many = "x,".repeat(100_000);
    assert!(documents(&format!("&a [{many}]")).is_ok());
    let copies = format!("{}{many}{}", "&a [".repeat(50), "]".repeat(50));
    assert!(error(&copies).contains("more than 300000 values"));
    let list = format!("[{}]", "x,".repeat(MAX_NODES));
    assert!(error(&list).contains("more than 300000 values in one document"));
    let text = "x".repeat(1_000_000);
    let texts = format!("a: &a {text}\nb: [*a, *a, *a, *a, *a]\n");
    assert!(error(&texts).contains("aliases expand to more than 4194304 bytes"));
    let empty = "a\n---\n".repeat(MAX_DOCUMENTS + 1);
    assert!(error(&empty).contains("documents in one file"));
}

#[test]
fn depth_is_bounded_through_aliases_as_well() {
    let flow = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(documents(&flow(MAX_DEPTH)).is_ok());
    for text in [flow(MAX_DEPTH + 1), flow(100_000), "- ".repeat(100_000)] {
        assert!(!error(&text).is_empty());
    }
    let mut text = format!("a0: &a0 {}\n", flow(60));
    for level in 1..20 {
        let depth = 30;
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let _ = writeln!(text, "a{level}: &a{level} {open}*a{}{close}", level - 1);
    }
    assert!(error(&text).contains("nested more than"));
}

#[test]
fn all_that_is_written_is_read_back() {
    // What we read must be what serde_json can carry, whatever the nesting.
    let text = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    let value = &documents(&text).unwrap()[0].value;
    let again: Value = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(*value, again);
}

proptest::proptest! {
    #[test]
    fn whatever_is_pushed_does_not_panic(
        text in "([a-z]|[:&*!|>{}\\[\\],?#%@'\"\\-<~.0-9]|[ \t\r\n]|  |: |- |\n---\n|<<: |[\\PC]){0,60}"
    ) {
        if let Ok(documents) = documents(&text) {
            for document in documents {
                document.position("/a/0");
            }
        }
    }
}
