//! Files as nobody should write them, each edited in every place: what is read back is the
//! edit and nothing else, no comment is lost that is not the value's own, or it is refused.

use serde_json::{Value, json};

use super::super::*;
use super::properties::{asides, paths, values, within};

const FILES: &[&str] = &[
    // Tabs, as blanks between tokens and before comments.
    "a:\t1\t# aside\nb:\t{c:\t2,\td: 3}\t\ne:\n  - x\t# remark\n",
    // Keys that are written out.
    "? a\n: 1\n? b # aside\n# aside two\n: - x\n  - y\n? 'c'\n:\n  d: 1\n",
    "? |\n  long\n: 1\nf: h\n",
    // Comments between keys, at other depths than what follows.
    "a:\n# aside one\n  b: 1\n    # aside two\n  c: 2\n# aside three\n\n  # aside four\nd: 3 # remark\n# aside five\n",
    "a:\n  # aside alone\nb:\n  - 1\n  # aside between\n\n  - 2\n  # aside last\nc: x\n",
    // Lists that are not indented, in each other.
    "a:\n- b:\n  - c\n  - d:\n    - e\n- - f\n  - - g\n    - h\n-\n  i: 1\n-\n  - j\nk:\n-\n- ~\n",
    // Anchors on what is edited, and tags.
    "a: &a 1\nb: &b\n  c: 1\nd: &d {e: 1}\nf: &f [1, 2]\ng: &g # aside\n  - 1\nh: !!str 1\nk: &k !!str x\nl: &l\nm: *a\n",
    "base: &base {a: 1, b: 2}\nx:\n  <<: *base\n  e: 3\ny:\n  <<: [*base, {c: 4}]\nz: {<<: *base, d: 1}\n",
    // Quoted keys.
    "\"a\": 1\n'b': 2\n\"c d\": {\"e\": 1, 'f':2, \"g\":[1]}\n'on': yes\n\"1\": x\n'it''s': y\n\"t\\tab\": z\n'': empty\n",
    // Remarks behind what is edited.
    "a: 1 # remark\nb: 'x' # remark\nc: \"y\" # remark\nd: [1] # remark\ne: {f: 1} # remark\ng: | # remark\n  text\nh: # remark\n  i: 1\nj: # remark\n- 1\nk: word # remark # more\nl: a#b # remark\nm:    # remark\n",
    // Block scalars with indentation, with and without line breaks kept.
    "a: |2\n   one\n  two\nb: |+\n  x\n\n\nc: >-1\n  y\n z\nd: |4-\n      deep\n    end\ne: >2+\n   w\n\nf: last\n",
    "- |2\n   one\n- |\n  # no comment\n\n  two\n# aside\n- >\n  folded\n  text\n\n  more\n-   |\n    far\n",
    "a: |\n  x\n \n\n# aside\nb: |-\n\n  y\n\n\nc: |+\n\nd: |\n\n\n",
    // Ends of documents.
    "a: 1\n...\n",
    "---\na: 1\n...\n# aside\n---\nb: 2\n...\n\n",
    "a: 1\n...\n---\n...\n---\nb: [1,\n  2]\n... # remark\n",
    "--- {a: 1}\n--- [1, 2]\n--- |\n  text\n--- word # remark\n---\n- 1\n",
    "%YAML 1.2\n---\na: 1\nb: 2\n",
    // Line breaks of two kinds in one file.
    "a: 1\r\nb:\n  c: 2\r\n  d: |\r\n    x\n    y\r\ne:\r\n- 1\n- 2\r\n# aside\r\nf: 3",
    "\u{feff}# aside\r\na: 1\r\n\r\nb: [1, 2]\r\n",
    "\u{feff}---\na: 1\n---\nb: 2\n",
    // Over several lines.
    "a: one\n  two\n\n  three\nb: 'x\n  y'\nc: \"p\\\n  q\"\nd: [1,\n  2, # remark\n  # aside\n  3\n  ]\ne: {f: 1,\n\n    g: {h: 2\n    }}\ni: [\n]\nj: {\n  # aside\n}\nk:\n  l\nm:\n\n  # aside\n  'n'\n",
    // In brackets, as tight as can be.
    "{a: [], b: {}, c: [[], {}], d: [{c: 3}], e: , f: ,}\n",
    "[a,b,'c',\"d\",{\"e\":1},[f],]\n",
    // Words that are no strings, and the other way round.
    "a: yes\nb: 'yes'\nc: 0x1F\nd: 1_000\ne: 0o17\nf: 017\ng: .5\nh: 1e3\ni: '1e3'\nj: ~\nk: null\nl: 'null'\nm: 12:30:45\nn: 2026-11-21\no: '='\np: '-'\nq: '?'\n",
    // Wide and odd characters.
    "é: 1\n\u{1f600}: [\u{1f600}, 'ü'] # aside é\nb: \"\\u00e9\\n\"\nc: 'a\u{2028}b'\n\u{a0}d: \u{a0}e\u{a0}\n",
    // No line break at the end, and blanks there.
    "a:\n  b: 1",
    "a:\n  - 1   ",
    "a: |\n  x",
    "a: |+\n  x\n\n",
    "a: 1\n\n\n   \n",
    "- - - 1\n    - 2\n  - 3\n- 4",
    "a:\n    b:\n     c:\n          d: 1\n     e: 2\n    f: 3\n",
];

/// What is so odd that some of it is refused.
const ODD: &[&str] = &[
    "- \tx\n-\ty\t# remark\n",
    "{? a : 1, ? b, c: {? d}}\n",
    "i: !!map\n  j: 1\nk: !!seq [a]\n",
    "base: &base {a: 1, b: 2}\nx:\n  <<: *base\n  b: 3\n",
    "d: [a: 1, b: 2, {c: 3}]\n",
    "[a,b,{\"e\":1},g: h,]\n",
    "a: 1\na: 2\n",
];

fn refusals(text: &str) -> Vec<String> {
    let mut refused = Vec::new();
    let documents = values(text);
    for (number, document) in documents.iter().enumerate() {
        let mut note = |wanted: Option<&Value>, edited, told: &str| {
            refused.extend(refusal(text, number, wanted, edited, told));
        };
        let mut all = vec![Vec::new()];
        paths(document, &mut Vec::new(), &mut all);
        for path in &all {
            for value in [
                json!("new"),
                json!("two\nlines\n"),
                json!("on"),
                json!(7),
                json!({}),
                json!([]),
                json!({"x": {"y": "z"}, "l": [1, {"m": "n"}]}),
                json!(["p", ["q"]]),
                Value::Null,
            ] {
                // A document is an object, and one that says nothing is none.
                if path.is_empty() && !value.is_object() {
                    continue;
                }
                let mut wanted = document.clone();
                put(&mut wanted, path, value.clone()).unwrap();
                let edited = set(text, number, path, &value);
                let told = format!("set {} to {value}", print(path));
                note(Some(&wanted), edited.map(Some), &told);
            }
            let mut wanted = document.clone();
            if path.is_empty() {
                let edited = remove_document(text, number);
                note(None, edited, "take it out");
                continue;
            }
            take(&mut wanted, path).unwrap();
            let edited = remove(text, number, path);
            let told = format!("remove {}", print(path));
            note(Some(&wanted), edited.map(Some), &told);
            for more in ["new", "a b", "on"] {
                if find(document, path).is_some_and(Value::is_object) {
                    let to = [&path[..], &[Step::Key(more.to_owned())]].concat();
                    let mut wanted = document.clone();
                    put(&mut wanted, &to, json!("v")).unwrap();
                    let edited = set(text, number, &to, &json!("v"));
                    let told = format!("add {}", print(&to));
                    note(Some(&wanted), edited.map(Some), &told);
                }
            }
        }
    }
    refused
}

/// What came of an edit: as wanted, refused, or a mistake.
fn refusal(
    text: &str,
    number: usize,
    wanted: Option<&Value>,
    edited: Result<Option<String>, EditError>,
    told: &str,
) -> Option<String> {
    let mut then = values(text);
    match wanted {
        Some(wanted) => then[number] = wanted.clone(),
        None => drop(then.remove(number)),
    }
    match edited {
        Ok(None) => assert!(then.is_empty(), "{told}\n{text}"),
        Ok(Some(edited)) => {
            let now = values(&edited);
            let alike =
                now.len() == then.len() && now.iter().zip(&then).all(|(now, then)| same(now, then));
            assert!(alike, "{told}\n{text}\n=>\n{edited}");
            let lines = |text: &str| text.matches("\r\n").count();
            assert!(
                lines(text) > 0 || lines(&edited) == 0,
                "{told}\n{text}\n=>\n{edited}"
            );
            let own = told.starts_with("add");
            assert!(
                !own || within(asides(text).into_iter(), &asides(&edited)),
                "{told}\n{text}\n=>\n{edited}"
            );
        }
        Err(EditError::Shared { .. } | EditError::Merged(_)) => {}
        Err(error) => return Some(format!("{told}: {error}\n{text}")),
    }
    None
}

#[test]
fn what_is_written_so_is_edited_and_never_spoilt() {
    let refused: Vec<String> = FILES.iter().flat_map(|text| refusals(text)).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn what_is_odder_still_is_edited_or_refused() {
    let readable = |text: &&&str| yaml::documents(text).is_ok();
    for text in ODD.iter().filter(readable) {
        refusals(text);
    }
    assert!(set("a: 1\na: 2\n", 0, &[], &json!({})).is_err());
    let deep = format!("{}a{}", "[".repeat(100), "]".repeat(100));
    let path = vec![Step::Index(0); 100];
    let edited = set(&deep, 0, &path, &json!("b")).unwrap();
    assert_eq!(edited, deep.replace('a', "b"));
    let deeper = "[".repeat(100_000);
    assert!(set(&deeper, 0, &[], &json!({})).is_err());
}
