//! The schema and the parser know the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::*;
use super::repository::Repository;

fn agent_schema() -> Value {
    schema(SchemaOf::AgentYaml).to_value()
}

fn properties(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let place = schema
        .pointer(pointer)
        .unwrap_or_else(|| panic!("no {pointer} in {schema:#}"));
    let properties = place["properties"].as_object().unwrap();
    assert_eq!(place["additionalProperties"], json!(false), "at {pointer}");
    properties.keys().cloned().collect()
}

/// The fields that the parser lists when it meets one that it doesn't know.
fn parsed(path: &str, files: &str) -> BTreeSet<String> {
    let problems = resolve(&Repository::from_text(files)).problems();
    let unknown = problems
        .iter()
        .find(|p| p.path == path && p.message == "unknown field `zzzzzzzzzzzz`");
    let hint = unknown
        .unwrap_or_else(|| panic!("{problems}"))
        .hint
        .clone()
        .unwrap();
    let listed = hint.strip_prefix("the fields here are ").unwrap();
    listed.split(", ").map(str::to_owned).collect()
}

fn parsed_agent(text: &str) -> BTreeSet<String> {
    parsed("agent.yaml", &format!("-- agent.yaml --\n{text}\n"))
}

#[test]
fn every_field_of_the_parser_is_in_the_schema_and_the_other_way_round() {
    let schema = agent_schema();
    let unit = "environments: {e: {units: [{zzzzzzzzzzzz: 1}]}}";
    for (pointer, text) in [
        ("", "zzzzzzzzzzzz: 1"),
        ("/$defs/Settings", "defaults: {zzzzzzzzzzzz: 1}"),
        (
            "/$defs/EnvironmentEntry",
            "environments: {e: {zzzzzzzzzzzz: 1}}",
        ),
        ("/$defs/UnitEntry", unit),
        ("/$defs/VerifyEntry", "verify: {zzzzzzzzzzzz: 1}"),
        (
            "/$defs/Settings/properties/maxPrune",
            "defaults: {maxPrune: {zzzzzzzzzzzz: 1}}",
        ),
        (
            "/$defs/Settings/properties/health",
            "defaults: {health: {zzzzzzzzzzzz: 1}}",
        ),
    ] {
        assert_eq!(properties(&schema, pointer), parsed_agent(text), "{text}");
    }
    let files = "-- agent.yaml --\nversion: 1\nenvironments: {e: {units: [{each: apps/*}]}}\n-- apps/a/unit.yaml --\nzzzzzzzzzzzz: 1\n";
    assert_eq!(
        properties(&schema_of_unit(), ""),
        parsed("apps/a/unit.yaml", files)
    );
}

fn schema_of_unit() -> Value {
    schema(SchemaOf::UnitYaml).to_value()
}

#[test]
fn every_field_says_what_it_is_for_and_none_may_be_null() {
    fn look(schema: &Value, path: &str) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            assert!(
                property["description"].is_string(),
                "{path} has no description"
            );
            look(property, &path);
        }
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            look(definition, name);
        }
    }
    for schema in [agent_schema(), schema_of_unit()] {
        look(&schema, "");
        assert!(!schema.to_string().contains("null"), "{schema:#}");
    }
}

#[test]
fn the_defaults_in_the_schema_are_the_real_ones() {
    let files = "-- agent.yaml --\nversion: 1\nenvironments: {e: {units: [{name: u, path: u}]}}\n-- u/a.yaml --\n";
    let config = resolve(&Repository::from_text(files)).config().unwrap();
    let unit = config
        .environments
        .values()
        .next()
        .unwrap()
        .units
        .values()
        .next()
        .unwrap()
        .clone();
    let timeout = humantime::format_duration(unit.health_timeout).to_string();
    let schema = agent_schema();
    let default = |pointer: &str| {
        let place = format!("/$defs/Settings/properties/{pointer}/default");
        schema.pointer(&place).unwrap().clone()
    };
    assert_eq!(default("prune"), json!(unit.prune));
    assert_eq!(default("maxPrune"), json!(unit.max_prune));
    assert_eq!(default("drift"), json!(unit.drift));
    assert_eq!(default("conflicts"), json!(unit.conflicts));
    assert_eq!(default("replace"), json!(unit.replace));
    assert_eq!(
        default("allowPlainSecrets"),
        json!(unit.allow_plain_secrets)
    );
    assert_eq!(default("health/properties/timeout"), json!(timeout));
    assert_eq!(default("suspend"), json!(unit.suspend));
}

#[test]
fn the_schema_is_what_editors_are_given() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../testdata/config/expected");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!("schema-agent", agent_schema()));
}
