//! Random files in every style, edited at random: what is read back is the edit and
//! nothing else, and what a person wrote beside it is all still there.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::super::*;
use super::files::file;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "on", "1e3", "0644", "~", "x", "a: b", "a\nb\n", "\nx", "x\n\n", " x", "#", "", "'",
            "\"", "é", "- x"
        ])
        .prop_map(str::to_owned),
        "[ -~\n\t]{0,12}",
        any::<String>(),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(json!(1.5)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

pub(super) fn paths(value: &Value, path: &mut Vec<Step>, all: &mut Vec<Vec<Step>>) {
    let steps: Vec<(Step, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (Step::Key(key.clone()), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, value)| (Step::Index(at), value))
            .collect(),
        _ => Vec::new(),
    };
    for (step, value) in steps {
        path.push(step);
        all.push(path.clone());
        paths(value, path, all);
        path.pop();
    }
}

fn chosen(document: &Value, at: Index) -> Vec<Step> {
    let mut all = Vec::new();
    paths(document, &mut Vec::new(), &mut all);
    all.swap_remove(at.index(all.len()))
}

pub(super) fn values(text: &str) -> Vec<Value> {
    yaml::documents(text)
        .unwrap()
        .into_iter()
        .map(|it| it.value)
        .collect()
}

/// Comments, and lines without anything.
pub(super) fn asides(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    let found = lines.filter(|line| line.is_empty() || line.starts_with("# aside"));
    found.collect()
}

pub(super) fn within<'a>(mut some: impl Iterator<Item = &'a str>, all: &[&str]) -> bool {
    let mut all = all.iter();
    some.all(|one| all.any(|other| *other == one))
}

/// What was to come of it came of it, or it is refused for the sake of others.
fn check(before: &str, document: usize, wanted: &Value, edited: &Result<String, EditError>) {
    let Ok(edited) = edited else {
        let why = edited.as_ref().unwrap_err();
        assert!(matches!(why, EditError::Shared { .. }), "{why}\n{before}");
        return;
    };
    let (now, mut then) = (values(edited), values(before));
    then[document] = wanted.clone();
    assert_eq!(now.len(), then.len(), "{before}\n=>\n{edited}");
    for (now, then) in now.iter().zip(&then) {
        assert!(same(now, then), "{now}\n{then}\n{before}\n=>\n{edited}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_that_is_set_is_that_value(file in file(), at: Index, which: Index, value in value()) {
        let documents = values(&file);
        let document = which.index(documents.len());
        let path = chosen(&documents[document], at);
        let edited = set(&file, document, &path, &value);
        let mut wanted = documents[document].clone();
        put(&mut wanted, &path, value).unwrap();
        check(&file, document, &wanted, &edited);
    }

    #[test]
    fn a_scalar_is_set_on_its_line_alone(file in file(), at: Index, which: Index, value in scalar()) {
        let documents = values(&file);
        let document = which.index(documents.len());
        let path = chosen(&documents[document], at);
        let old = find(&documents[document], &path).unwrap();
        let long = |value: &Value| value.as_str().is_some_and(|text| text.contains('\n'));
        let in_line = !old.is_object() && !old.is_array() && !long(old);
        let edited = set(&file, document, &path, &value);
        // Of a block scalar of one line nobody knows from its value.
        let block = file.contains("first");
        if let Ok(edited) = edited && in_line && !long(&value) && !block {
            prop_assert_eq!(file.lines().count(), edited.lines().count(), "{}", edited);
            let changed = file.lines().zip(edited.lines()).filter(|(old, new)| old != new).count();
            prop_assert!(changed <= 1, "{}", edited);
            let remark = |line: &str| line.split_once(" # remark").map(|(_, remark)| remark.to_owned());
            for (old, new) in file.lines().zip(edited.lines()) {
                prop_assert_eq!(remark(old), remark(new), "{}", edited);
            }
        }
    }

    #[test]
    fn what_people_wrote_beside_it_survives(file in file(), at: Index, which: Index, value in value(), add: bool) {
        let documents = values(&file);
        let document = which.index(documents.len());
        let mut path = chosen(&documents[document], at);
        match find(&documents[document], &path).unwrap() {
            Value::Object(_) if add => path.push(Step::Key("new key".to_owned())),
            Value::Array(items) if add => {
                let index = items.len() / 2;
                let edited = insert(&file, document, &path, index, &value);
                let mut wanted = documents[document].clone();
                find_mut(&mut wanted, &path).unwrap().as_array_mut().unwrap().insert(index, value);
                check(&file, document, &wanted, &edited);
                if let Ok(edited) = edited {
                    prop_assert!(within(asides(&file).into_iter(), &asides(&edited)), "{file}\n=>\n{edited}");
                }
                return Ok(());
            }
            // What stands in it goes with it.
            Value::Object(_) | Value::Array(_) => return Ok(()),
            Value::String(text) if text.contains("first") => return Ok(()),
            _ => {}
        }
        if let Ok(edited) = set(&file, document, &path, &value) {
            prop_assert!(within(asides(&file).into_iter(), &asides(&edited)), "{file}\n=>\n{edited}");
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_nothing_else(file in file(), at: Index, which: Index) {
        let documents = values(&file);
        let document = which.index(documents.len());
        let path = chosen(&documents[document], at);
        let mut wanted = documents[document].clone();
        let gone = take(&mut wanted, &path).unwrap();
        let edited = remove(&file, document, &path);
        check(&file, document, &wanted, &edited);
        // Behind a block scalar that keeps them, blank lines are part of a value.
        let alone = !file.contains("|+") && !gone.is_object() && !gone.is_array() && !gone.to_string().contains("first");
        if let Ok(edited) = edited && alone {
            prop_assert!(within(asides(&file).into_iter(), &asides(&edited)), "{file}\n=>\n{edited}");
        }
    }

    #[test]
    fn a_document_becomes_another(file in file(), other in value(), which: Index) {
        let document = which.index(values(&file).len());
        let wanted = json!({"key": other, "end": "here"});
        check(&file, document, &wanted, &rewrite(&file, document, &wanted));
        let appended = append(&file, &wanted).unwrap();
        prop_assert!(appended.starts_with(&file));
    }
}
