//! Properties over generated objects, with a small model of server-side apply:
//! maps are granular, lists of maps are keyed by `name`, other lists are atomic.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::config::FieldPath;

/// What an API server writes down as owned after an apply of this value.
fn fields(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !granular_list(value) || value != &&json!([]))
            .map(|(name, value)| (format!("f:{name}"), fields(value)))
            .collect(),
        Value::Array(items) if granular_list(value) => items
            .iter()
            .map(|item| {
                let mut set = fields(item);
                set["."] = json!({});
                (format!("k:{}", json!({"name": item["name"]})), set)
            })
            .collect(),
        _ => json!({}),
    }
}

fn granular_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(|item| item["name"].is_string()))
}

fn object(spec: &Value, ours: &Value, theirs: &Value) -> Live {
    Live::new(json!({
        "apiVersion": "example.com/v1", "kind": "Thing",
        "metadata": {"name": "c", "managedFields": [
            {"manager": "gitops-agent", "operation": "Apply", "apiVersion": "example.com/v1", "fieldsV1": {"f:spec": ours}},
            {"manager": "other", "operation": "Update", "apiVersion": "example.com/v1", "fieldsV1": {"f:spec": theirs}},
        ]},
        "spec": spec,
    }))
}

fn wanted(spec: &Value) -> Desired {
    desired(
        "example.com",
        "Thing",
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "c"}, "spec": spec}),
    )
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        prop_oneof![
            Just("1000m"),
            Just("1"),
            Just("a"),
            Just("1Gi"),
            Just("60s")
        ]
        .prop_map(Value::from),
    ]
}

/// A value with keyed lists in it, as a well-formed manifest has them.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        let map = || prop::collection::btree_map("[a-d]", inner.clone(), 1..4);
        prop_oneof![
            map().prop_map(|map| Value::Object(map.into_iter().collect())),
            prop::collection::vec(scalar(), 1..3).prop_map(Value::Array),
            prop::collection::btree_map("[p-s]", map(), 1..4).prop_map(|items| {
                let item = |(name, map): (String, std::collections::BTreeMap<String, Value>)| {
                    let mut item: Map<String, Value> = map.into_iter().collect();
                    item.insert("name".to_owned(), Value::from(name));
                    Value::Object(item)
                };
                Value::Array(items.into_iter().map(item).collect())
            }),
        ]
    })
}

fn spec() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-f]", value(), 1..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Anything at all.
fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), scalar()];
    leaf.prop_recursive(5, 32, 4, |inner| {
        let key = prop_oneof![
            Just("."),
            Just("f:a"),
            Just("f:spec"),
            Just("k:{\"name\":\"a\"}"),
            Just("v:1"),
            Just("i:0"),
            Just("spec"),
            Just("metadata"),
            Just("name"),
            Just("a"),
            Just("k:1"),
            Just("manager"),
            Just("fieldsV1"),
            Just("managedFields"),
            Just("operation"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Fields that others add: to every map one, to every keyed list an item.
fn crowded(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: Map<String, Value> = map
                .iter()
                .map(|(name, value)| (name.clone(), crowded(value)))
                .collect();
            map.insert("zz".to_owned(), json!("theirs"));
            Value::Object(map)
        }
        Value::Array(items) if granular_list(value) => {
            let mut items: Vec<Value> = items.iter().map(crowded).collect();
            items.insert(0, json!({"name": "zz"}));
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// The pointers to all leaves.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(name, _)| *name != "name") {
                leaves(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) if granular_list(value) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// After a JSON patch of `replace` and `remove`.
fn patched(object: &mut Value, operations: &Value) {
    for operation in operations.as_array().unwrap() {
        let path = operation["path"].as_str().unwrap();
        let (parent, last) = path.rsplit_once('/').unwrap();
        let last = last.replace("~1", "/").replace("~0", "~");
        let parent = object.pointer_mut(parent).unwrap();
        match (operation["op"].as_str().unwrap(), parent) {
            ("replace", parent) => parent[last] = operation["value"].clone(),
            (_, Value::Object(map)) => assert!(map.remove(&last).is_some(), "{operation}"),
            (_, Value::Array(items)) => drop(items.remove(last.parse().unwrap())),
            _ => panic!("{operation}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_applied_is_clean_whatever_others_add(spec in spec()) {
        let live = object(&crowded(&spec), &fields(&spec), &json!({}));
        prop_assert_eq!(compare(&wanted(&spec), &live), Verdict::Clean);
    }

    #[test]
    fn what_was_applied_is_what_is_projected(spec in spec()) {
        let live = object(&crowded(&spec), &fields(&spec), &json!({}));
        let owned = owned(&live, FIELD_MANAGER);
        let desired = wanted(&spec);
        prop_assert_eq!(&project(&live, &owned), &desired.body());
        prop_assert_eq!(&project_desired_paths(&live, &desired, &owned), &desired.body());
    }

    #[test]
    fn a_changed_leaf_is_never_clean_and_is_named_once(spec in spec(), pick in any::<prop::sample::Index>()) {
        let mut all = Vec::new();
        leaves(&spec, "", &mut all);
        let leaf = pick.get(&all);
        let mut live = spec.clone();
        *live.pointer_mut(leaf).unwrap() = json!("another");
        let live = object(&live, &fields(&spec), &json!({}));
        let verdict = compare(&wanted(&spec), &live);
        prop_assert_eq!(word(&verdict), "Maybe");
        prop_assert_eq!(verdict.differences().len(), 1);
    }

    #[test]
    fn desired_that_moves_to_anything_is_clean_only_if_it_says_the_same(before in spec(), after in spec()) {
        let live = object(&before, &fields(&before), &json!({}));
        let verdict = compare(&wanted(&after), &live);
        let same = fields(&before) == fields(&after) && before == after;
        prop_assert_eq!(verdict == Verdict::Clean, same, "{:?}", verdict);
        let has = |name: &String| after.get(name).is_some();
        if !before.as_object().unwrap().keys().all(has) {
            prop_assert_eq!(word(&verdict), "Drifted");
        }
    }

    #[test]
    fn what_another_owns_is_drifted(spec in spec()) {
        let live = object(&spec, &json!({}), &fields(&spec));
        let verdict = compare(&wanted(&spec), &live);
        prop_assert_eq!(word(&verdict), "Drifted");
        let all_theirs = verdict.differences().iter().all(|one| {
            one.kind == Kind::NotOwned && one.owner.as_ref().is_some_and(|owner| owner.name == "other")
        });
        prop_assert!(all_theirs, "{:?}", verdict);
    }

    #[test]
    fn what_others_have_added_is_what_is_taken_off(spec in spec()) {
        let crowded = crowded(&spec);
        let mut live = object(&crowded, &fields(&spec), &fields(&crowded));
        live.body["metadata"]["managedFields"][1]["manager"] = json!("helm");
        let wanted = wanted(&spec);
        let found = others(&wanted, &live);
        let paths: Vec<String> = found.foreign.iter().map(|one| one.path.clone()).collect();
        prop_assert_eq!(paths.is_empty(), spec == crowded);
        for path in &paths {
            prop_assert!(FieldPath::parse(path).is_ok_and(|it| it.covers(path)), "{}", path);
        }
        let patch = clear(&wanted, &live, &paths, Sharing::End);
        if let Some(patch) = patch {
            patched(&mut live.body, &patch);
        }
        prop_assert_eq!(&live.body["spec"], &spec);
        prop_assert_eq!(others(&wanted, &live), Others::default());
        prop_assert_eq!(compare(&wanted, &live), Verdict::Clean);
    }

    #[test]
    fn a_printed_path_reads_as_itself(names in prop::collection::vec("[a-z./\"\\[\\], =*]{1,6}", 1..4), value in "[a-z.,/\"\\]=]{0,6}") {
        let key = json!({"name": value, "port": 80});
        let fields = names.iter().rev().fold(json!({}), |inner, name| {
            json!({format!("f:{name}"): {format!("k:{key}"): inner}})
        });
        let live = names.iter().rev().fold(json!("x"), |inner, name| {
            let mut item = key.clone();
            item["name"] = key["name"].clone();
            if let Some(inner) = inner.as_object() {
                item.as_object_mut().unwrap().extend(inner.clone());
            }
            json!({name.clone(): [item]})
        });
        let found = others(&wanted(&json!({})), &object(&live, &json!({}), &fields));
        prop_assert_eq!(found.foreign.len(), 1);
        let path = &found.foreign[0].path;
        let parsed = FieldPath::parse(path);
        prop_assert!(parsed.as_ref().is_ok_and(|it| it.covers(path)), "{} {:?}", path, parsed);
    }

    #[test]
    fn nothing_makes_it_panic(desired in junk(), live in junk(), ours in junk()) {
        let mut whole = object(&live, &ours, &live);
        for live in [Live::new(live.clone()), whole.clone(), {
            whole.body["metadata"]["managedFields"] = ours.clone();
            whole
        }] {
            for desired in [wanted(&desired), super::desired("", "Secret", desired.clone())] {
                let owned = owned(&live, FIELD_MANAGER);
                compare(&desired, &live);
                others(&desired, &live);
                clear(&desired, &live, &[], Sharing::End);
                aligned(&desired, &project_desired_paths(&live, &desired, &owned));
                project(&live, &owned);
            }
        }
    }
}
