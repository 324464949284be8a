//! What is newer than what.

use serde_json::{Value, json};

use super::*;

fn id(name: &str) -> ObjectId {
    let kind = GroupKind::known("", "ConfigMap");
    ObjectId::parse(kind, Some("n"), name).expect("a name")
}

fn live(name: &str, version: u64, more: &Value) -> Live {
    let mut live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": name, "namespace": "n", "resourceVersion": version.to_string(),
        "labels": {PART_OF: "set"}}});
    let metadata = live["metadata"].as_object_mut().into_iter();
    metadata.for_each(|it| it.extend(more.as_object().cloned().unwrap_or_default()));
    Live::new(live)
}

fn version(state: &State, name: &str) -> Option<u64> {
    state.objects.get(&id(name)).map(|it| it.resource_version)
}

fn everywhere() -> Place {
    Place::everywhere(&GroupKind::known("", "ConfigMap"))
}

#[test]
fn a_late_answer_does_not_bring_back_what_is_deleted() {
    let none = json!({});
    let ending = json!({"deletionTimestamp": "2026-11-21T10:02:11Z"});
    let mut state = State::default();
    state.put_answer(&id("a"), &live("a", 5, &none));
    state.put_answer(&id("a"), &live("a", 6, &ending));
    assert_eq!(version(&state, "a"), Some(6));
    assert!(state.delete(&id("a"), 8));
    for answer in [
        live("a", 7, &ending),
        live("a", 7, &none),
        live("a", 9, &ending),
    ] {
        state.put_answer(&id("a"), &answer);
        assert_eq!(version(&state, "a"), None, "{answer:?}");
    }
    // Made again.
    state.put_answer(&id("a"), &live("a", 10, &none));
    assert_eq!(version(&state, "a"), Some(10));
    assert!(!state.delete(&id("a"), 8));
}

#[test]
fn a_list_is_the_truth_whatever_its_numbers() {
    let none = json!({});
    let mut state = State::default();
    for (name, version) in [("older", 50), ("same", 7), ("gone", 60)] {
        assert!(state.put(&id(name), &live(name, version, &none)));
    }
    // A watch is ordered by number.
    assert!(!state.put(&id("older"), &live("older", 49, &none)));

    let mut list = state.begin();
    for (name, version) in [("older", 5), ("same", 7)] {
        list.ids.insert(id(name));
        let news = state.put_listed(&mut list, &id(name), &live(name, version, &none));
        assert_eq!(news, name == "older");
    }
    assert_eq!(state.retain(&everywhere(), &list), [id("gone")]);
    assert_eq!(version(&state, "older"), Some(5));
    assert!(!state.told.contains(&id("gone")), "no event said so");
    // And the watch that follows it is ordered from there on.
    assert!(state.put(&id("older"), &live("older", 6, &none)));
    assert!(state.delete(&id("older"), 8));
    assert!(state.told.contains(&id("older")));
}

#[test]
fn what_was_answered_while_a_list_was_under_way_is_newer_than_the_list() {
    let none = json!({});
    let mut state = State::default();
    state.put(&id("changed"), &live("changed", 5, &none));
    let mut list = state.begin();
    state.put_answer(&id("changed"), &live("changed", 9, &none));
    state.put_answer(&id("made"), &live("made", 10, &none));
    list.ids.insert(id("changed"));
    assert!(!state.put_listed(&mut list, &id("changed"), &live("changed", 5, &none)));
    assert!(state.retain(&everywhere(), &list).is_empty());
    assert_eq!(version(&state, "changed"), Some(9));
    assert_eq!(version(&state, "made"), Some(10));
}

#[test]
fn after_the_server_has_gone_back_no_number_means_what_it_did() {
    let none = json!({});
    let mut state = State::default();
    state.put(&id("a"), &live("a", 7, &none));
    assert!(state.put(&id("b"), &live("b", 8, &none)));
    assert!(state.delete(&id("b"), 9));
    state.go_back();
    // Another state of it by the same number.
    let mut list = state.begin();
    list.ids.insert(id("a"));
    assert!(state.put_listed(&mut list, &id("a"), &live("a", 7, &none)));
    state.put_answer(&id("b"), &live("b", 8, &none));
    assert_eq!(version(&state, "b"), Some(8));
}

/// What is kept beside the packed object itself: of ten thousand less than a megabyte.
#[test]
fn what_is_known_of_an_object_is_small() {
    assert!(size_of::<Entry>() <= 112, "{}", size_of::<Entry>());
    let listed = size_of::<(ObjectId, crate::model::Applied)>();
    assert!(listed <= 32, "{listed}");
}
