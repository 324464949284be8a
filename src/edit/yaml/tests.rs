#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(
    clippy::needless_pass_by_value,
    reason = "a case is read more easily so"
)]

mod documents;
mod files;
mod nasty;
mod properties;

use serde_json::{Value, json};

use super::*;

/// `spec.containers[0].image`, keys without dots only.
fn path(text: &str) -> Vec<Step> {
    let parts = text.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']') {
            Some(index) => Step::Index(index.parse().unwrap()),
            None => Step::Key(part.to_owned()),
        })
        .collect()
}

#[track_caller]
fn sets(before: &str, at: &str, value: Value, after: &str) {
    let edited = set(before, 0, &path(at), &value).unwrap();
    assert_eq!(edited, after, "{edited}");
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let edited = set(&crlf(before), 0, &path(at), &value).unwrap();
    assert_eq!(edited, crlf(after), "with CRLF");
    let marked = format!("\u{feff}{before}");
    let edited = set(&marked, 0, &path(at), &value).unwrap();
    assert_eq!(edited, format!("\u{feff}{after}"), "with a byte order mark");
}

#[track_caller]
fn removes(before: &str, at: &str, after: &str) {
    let edited = remove(before, 0, &path(at)).unwrap();
    assert_eq!(edited, after, "{edited}");
}

#[track_caller]
fn inserts(before: &str, at: &str, index: usize, value: Value, after: &str) {
    let edited = insert(before, 0, &path(at), index, &value).unwrap();
    assert_eq!(edited, after, "{edited}");
}

#[test]
fn a_scalar_keeps_its_quotes_and_its_line() {
    sets("a: 1 # one\nb: 2\n", "a", json!(3), "a: 3 # one\nb: 2\n");
    sets("a: 'x'\n", "a", json!("it's"), "a: 'it''s'\n");
    sets("a: \"x\"   # q\n", "a", json!("z"), "a: \"z\"   # q\n");
    sets("a: \"5\"\n", "a", json!(6), "a: 6\n");
    sets("- a\n-  b\n", "[1]", json!("c"), "- a\n-  c\n");
    sets(
        "{a: 1, b: [x, q]}\n",
        "b[1]",
        json!("z, w"),
        "{a: 1, b: [x, \"z, w\"]}\n",
    );
    sets(
        "a: x\n  q\n  z # c\nb: 1",
        "a",
        json!("p"),
        "a: p # c\nb: 1",
    );
    sets("a: !!str 5\n", "a", json!("6"), "a: !!str \"6\"\n");
    sets("a: !!int \"5\"\n", "a", json!("x"), "a: \"x\"\n");
    sets("a: &x 5\n", "a", json!(6), "a: &x 6\n");
}

#[test]
fn text_that_looks_like_something_else_is_quoted() {
    for text in [
        "on",
        "Yes",
        "n",
        "1e3",
        "0644",
        "~",
        "null",
        "",
        " x",
        "x ",
        "1_000",
        "0x1F",
        ".5",
        "-1",
        "2024-01-01",
        "a: b",
        "a #b",
        "- a",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "a:",
        "[a",
        "{a",
        "'a",
        "\"a",
        "<<",
        "=",
        "true",
        "a\tb",
        "\u{85}",
        "a\u{2028}b",
        "\u{1}",
        "12:30",
        "?",
        "? a",
        "a\r\nb",
        "...",
        "--- a",
        "\u{feff}",
    ] {
        for before in [
            "a: x\n",
            "a: 1\n",
            "a: [x, 1]\n",
            "{\"a\": 1}\n",
            "- a: b\n",
        ] {
            let at = if before.starts_with('-') {
                "[0].a"
            } else {
                "a"
            };
            let edited = set(before, 0, &path(at), &json!(text)).unwrap();
            let read = yaml::documents(&edited).unwrap();
            assert_eq!(
                find(&read[0].value, &path(at)),
                Some(&json!(text)),
                "{edited}"
            );
        }
    }
    sets("a: x\n", "a", json!("on"), "a: \"on\"\n");
    sets("a: x\nb: 'q'\n", "a", json!("0644"), "a: '0644'\nb: 'q'\n");
    sets("a: x\n", "a", json!("nginx:1.2"), "a: nginx:1.2\n");
    sets(
        "a: [x]\n",
        "a[0]",
        json!("http://x:80/q"),
        "a: [http://x:80/q]\n",
    );
}

#[test]
fn what_is_not_there_is_added_in_the_style_of_what_is() {
    sets(
        "spec:\n    a: 1 # x\n\n# end\n",
        "spec.b",
        json!({"c": {"d": [1]}}),
        "spec:\n    a: 1 # x\n    b:\n        c:\n            d:\n            - 1\n\n# end\n",
    );
    sets(
        "l:\n  - x\nm:\n  p: 1",
        "m.list",
        json!([{"name": "a", "alpha": 1}, [2, 3]]),
        "l:\n  - x\nm:\n  p: 1\n  list:\n    - name: a\n      alpha: 1\n    - - 2\n      - 3",
    );
    sets(
        "a: {b: 1}\n",
        "a.c",
        json!({"d": []}),
        "a: {b: 1, c: {d: []}}\n",
    );
    sets(
        "{\"a\": 1}\n",
        "b",
        json!("x"),
        "{\"a\": 1, \"b\": \"x\"}\n",
    );
    sets(
        "{\n  \"a\": 1\n}\n",
        "b",
        json!({"c": "x"}),
        "{\n  \"a\": 1,\n  \"b\": {\"c\": \"x\"}\n}\n",
    );
    sets(
        "a: {} # x\nb: 1\n",
        "a.c",
        json!(1),
        "a: # x\n  c: 1\nb: 1\n",
    );
    sets(
        "a:\nb: 1\n",
        "a.c.d",
        json!(1),
        "a:\n  c:\n    d: 1\nb: 1\n",
    );
    sets("a: []\n", "a", json!([1]), "a:\n- 1\n");
    sets(
        "- a: 1\n",
        "[0].b",
        json!({"c": 1}),
        "- a: 1\n  b:\n    c: 1\n",
    );
    sets(
        "a: 1\n",
        "m",
        json!({"on": "off"}),
        "a: 1\nm:\n  \"on\": \"off\"\n",
    );
}

#[test]
fn items_go_where_they_belong() {
    inserts(
        "a:\n  - x # 1\n  # c\n  - q\n",
        "a",
        1,
        json!("p"),
        "a:\n  - x # 1\n  - p\n  # c\n  - q\n",
    );
    inserts(
        "a:\n- x\n",
        "a",
        0,
        json!({"b": 1, "c": 2}),
        "a:\n- b: 1\n  c: 2\n- x\n",
    );
    inserts(
        "a:\n-   x: 1\n    q: 2\n\nb: 1\n",
        "a",
        1,
        json!({"x": 3, "q": 4}),
        "a:\n-   x: 1\n    q: 2\n-   q: 4\n    x: 3\n\nb: 1\n",
    );
    inserts("[a, b]\n", "", 2, json!("c"), "[a, b, c]\n");
    inserts("[a, b]\n", "", 0, json!("c"), "[c, a, b]\n");
    inserts(
        "[\n  a,\n  b,\n]\n",
        "",
        2,
        json!("c"),
        "[\n  a,\n  b,\n  c,\n]\n",
    );
    inserts(
        "- - a\n  - b\n",
        "[0]",
        0,
        json!("c"),
        "- - c\n  - a\n  - b\n",
    );
}

#[test]
fn what_is_removed_takes_its_lines_and_nothing_else() {
    removes("a: 1\n# c\nb: 2 # d\n\nc: 3\n", "b", "a: 1\n# c\n\nc: 3\n");
    removes("a:\n  b: 1\n# c\n", "a.b", "a: {}\n# c\n");
    removes("a: # x\n  # q\n  - 1\n", "a[0]", "a: [] # x\n  # q\n");
    removes("- a: 1\n  b: 2\n", "[0].a", "- b: 2\n");
    removes("- a: 1\n  # c\n  b: 2\n", "[0].a", "-\n  # c\n  b: 2\n");
    removes("- a: 1\n  b: 2\n", "[0].b", "- a: 1\n");
    removes("- a: 1\n- b\n", "[0].a", "- {}\n- b\n");
    removes("- a\n- - b\n  - c\n", "[1][0]", "- a\n- - c\n");
    removes("a: 1\nb: 2", "b", "a: 1");
    removes("a: 1", "a", "{}\n");
    removes("{a: 1, b: 2, c: 3}\n", "a", "{b: 2, c: 3}\n");
    removes("{a: 1, b: 2, c: 3}\n", "b", "{a: 1, c: 3}\n");
    removes("{a: 1, b: 2, c: 3}\n", "c", "{a: 1, b: 2}\n");
    removes("{a: 1,}\n", "a", "{}\n");
    removes("{\n  \"a\": 1,\n  \"b\": 2\n}\n", "a", "{\n  \"b\": 2\n}\n");
    removes("{\n  \"a\": 1,\n  \"b\": 2\n}\n", "b", "{\n  \"a\": 1\n}\n");
    removes("[\n  a, # 1\n  b, # 2\n]\n", "[1]", "[\n  a, # 1\n]\n");
    removes("a: |\n  x\n\n  q\n\nb: 1\n", "a", "\nb: 1\n");
}

#[test]
fn block_scalars_stay_block_scalars() {
    sets(
        "a: |\n  x\n  q\nb: 1\n",
        "a",
        json!("x\nz\n"),
        "a: |\n  x\n  z\nb: 1\n",
    );
    sets(
        "a: |- # c\n    x\n\n\nb: 1\n",
        "a",
        json!("q"),
        "a: |- # c\n    q\n\n\nb: 1\n",
    );
    sets("a: |-\n  x\nb: 1\n", "a", json!("q\n"), "a: |\n  q\nb: 1\n");
    sets(
        "a: >\n  x\n  q\nb: 1\n",
        "a",
        json!("x q z\nw\n"),
        "a: >\n  x q z\n\n  w\nb: 1\n",
    );
    sets("a: |\n  x\nb: 1\n", "a", json!(5), "a: 5\nb: 1\n");
    sets(
        "a: |\n  x\nb: 1\n",
        "a",
        json!({"c": 1}),
        "a:\n  c: 1\nb: 1\n",
    );
    sets(
        "a: |2\n   x\nb: 1\n",
        "a",
        json!("q\n"),
        "a: |\n   q\nb: 1\n",
    );
    sets(
        "a: |+\n  x\n\nb: 1\n",
        "a",
        json!("x\nq\n\n"),
        "a: |+\n  x\n  q\n\nb: 1\n",
    );
    sets("a: 1\n", "b", json!("x\nq\n"), "a: 1\nb: |\n  x\n  q\n");
    sets(
        "- |\n x\n- q\n",
        "[1]",
        json!("a\nb"),
        "- |\n x\n- \"a\\nb\"\n",
    );
}

#[test]
fn collections_and_scalars_take_each_others_place() {
    sets(
        "a:\n  b: 1\n  c: 2\nd: 1\n",
        "a",
        json!("x"),
        "a: x\nd: 1\n",
    );
    sets(
        "a: # c\n  b: 1\nd: 1\n",
        "a",
        json!([1]),
        "a: # c\n- 1\nd: 1\n",
    );
    sets("- a: 1\n  b: 2\n- c\n", "[0]", json!("x"), "- x\n- c\n");
    sets(
        "- a # c\n- b\n",
        "[0]",
        json!({"x": 1}),
        "- # c\n  x: 1\n- b\n",
    );
    sets(
        "- a\n- b\n",
        "[0]",
        json!({"q": 1, "x": 2}),
        "- q: 1\n  x: 2\n- b\n",
    );
    sets("a: &x\n  b: 1\n", "a", json!(null), "a: &x null\n");
    sets("a: [1, 2]\n", "a", json!({"b": 1}), "a:\n  b: 1\n");
    sets("a: {b: c}\n", "a.b", json!({"d": 1}), "a: {b: {d: 1}}\n");
}

#[test]
fn of_a_list_only_what_differs_is_written() {
    let before = "c:\n- name: a # A\n  x: 1\n# b\n- name: b\n  x: 2\n- name: d\n  x: 4\n";
    let wanted = json!([{"name": "a", "x": 1}, {"name": "c", "x": 3}, {"name": "d", "x": 5}]);
    let after = "c:\n- name: a # A\n  x: 1\n# b\n- name: c\n  x: 3\n- name: d\n  x: 5\n";
    sets(before, "c", wanted, after);
    let wanted = json!([{"name": "b", "x": 2}, {"name": "d", "x": 4}]);
    sets(
        before,
        "c",
        wanted,
        "c:\n# b\n- name: b\n  x: 2\n- name: d\n  x: 4\n",
    );
    let wanted =
        json!([{"name": "a", "x": 1}, {"name": "p"}, {"name": "b", "x": 2}, {"name": "d", "x": 4}]);
    sets(
        before,
        "c",
        wanted,
        "c:\n- name: a # A\n  x: 1\n- name: p\n# b\n- name: b\n  x: 2\n- name: d\n  x: 4\n",
    );
}
