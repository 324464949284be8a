//! What the API server would refuse, or a repository must not hold.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::{Identity, PlainSecrets, Source, escape, name_of_type};
use crate::config::Problems;

/// As the API server reads it: padded, lines broken anywhere.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

impl Source<'_> {
    /// Where the API server takes nothing but text, and YAML makes a number or a
    /// boolean of what looks like one.
    pub(super) fn check_strings(
        &self,
        object: &Map<String, Value>,
        identity: &Identity,
        pointer: &str,
        problems: &mut Problems,
    ) {
        let mut maps = vec![vec!["metadata", "labels"], vec!["metadata", "annotations"]];
        if identity.kind.is("", "ConfigMap") || identity.kind.is("", "Secret") {
            maps.extend([vec!["data"], vec!["binaryData"], vec!["stringData"]]);
        }
        for path in maps {
            let map = path
                .iter()
                .skip(1)
                .fold(object.get(path[0]), |value, key| value?.get(key));
            let field = path.join(".");
            let map = match map {
                Some(Value::Object(map)) => map,
                None | Some(Value::Null) => continue,
                Some(other) => {
                    let pointer = format!("{pointer}/{}", path.join("/"));
                    let found = name_of_type(other);
                    let message = format!("{field} takes names and their texts, and is {found}");
                    problems.push(self.problem(&pointer, message));
                    continue;
                }
            };
            for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
                problems.push_with(|| {
                    let pointer = format!("{pointer}/{}/{}", path.join("/"), escape(key));
                    let found = name_of_type(value);
                    let key = match self.document.spelled(&pointer) {
                        Some(written) => {
                            format!("`{written}` (`{key}` to kubectl, as it has no quotes)")
                        }
                        None => format!("`{key}`"),
                    };
                    let message = format!("{field} takes text only, and {key} is {found}");
                    let quote = !(value.is_object() || value.is_array());
                    let hint = quote.then(|| "quote it".to_owned());
                    self.problem(&pointer, message).maybe_hint(hint)
                });
            }
        }
    }

    pub(super) fn check_secret(
        &self,
        object: &Map<String, Value>,
        identity: &Identity,
        pointer: &str,
        problems: &mut Problems,
    ) {
        if object.contains_key("sops") {
            let message = "this file is encrypted with SOPS, which this version can't decrypt";
            problems.push(self.problem(pointer, message));
            return;
        }
        let filled = |field: &str| {
            let value = object.get(field);
            value.is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty()))
        };
        let secret = identity.kind.is("", "Secret") && (filled("data") || filled("stringData"));
        if secret && self.secrets == PlainSecrets::Refused {
            let message = format!(
                "Secret {} stands in the repository in plain text",
                identity.name
            );
            let hint = "take it out and use External Secrets or Sealed Secrets, or set \
                        allowPlainSecrets: true on the unit";
            problems.push(self.problem(pointer, message).hint(hint));
        }
    }
}

/// Where an object says something that the API server takes as base64 alone, and that is
/// none, each with what is wrong and what to do. The value is never shown.
pub(super) fn not_base64(
    object: &Map<String, Value>,
    pointer: &str,
) -> Vec<(String, String, String)> {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (field, other) = match (text("apiVersion"), text("kind")) {
        (Some("v1"), Some("Secret")) => ("data", "stringData"),
        (Some("v1"), Some("ConfigMap")) => ("binaryData", "data"),
        _ => return Vec::new(),
    };
    let values = object.get(field).and_then(Value::as_object);
    let values = values.into_iter().flatten();
    let texts = values.filter_map(|(key, value)| Some((key, value.as_str()?)));
    texts
        .filter(|(_, text)| BASE64.decode(text.replace(['\r', '\n'], "")).is_err())
        .map(|(key, _)| {
            (
                format!("{pointer}/{field}/{}", escape(key)),
                format!("{field} takes base64 only, and `{key}` is not"),
                format!("encode it, or write it in {other} as it is"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{objects, slips};
    use super::*;
    use crate::model::UnitBudget;
    use crate::render::yaml::documents;

    /// What is wrong with a Secret that has this `data`, and what slipped.
    fn told(kind: &str, data: &str) -> (String, String) {
        let text = format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: s}}\n{data}\n");
        let documents = documents(&text).expect("YAML");
        let (mut budget, mut problems) = (UnitBudget::default(), Problems::default());
        let allowed = PlainSecrets::Allowed;
        objects("s.yaml", &documents[0], allowed, &mut budget, &mut problems);
        let slips = slips("s.yaml", &documents[0]);
        (problems.to_string(), slips.to_string())
    }

    fn problems(kind: &str, data: &str) -> String {
        told(kind, data).0
    }

    fn slipped(kind: &str, data: &str) -> String {
        let (problems, slips) = told(kind, data);
        assert_eq!(problems, "");
        slips
    }

    /// The API server would take it for none, and take the values away that are there.
    #[test]
    fn values_without_names_are_told_without_them() {
        for (kind, data, found) in [
            (
                "Secret",
                "stringData: [hunter2]",
                "stringData takes names and their texts, and is a list",
            ),
            (
                "Secret",
                "data: hunter2",
                "data takes names and their texts, and is text",
            ),
            (
                "ConfigMap",
                "binaryData: 1",
                "binaryData takes names and their texts, and is a number",
            ),
        ] {
            let told = problems(kind, data);
            assert!(told.ends_with(found), "{told}");
        }
        assert_eq!(problems("Secret", "data:"), "");
    }

    /// No fault of the unit: the API server refuses that object alone.
    #[test]
    fn what_is_not_base64_is_told_without_its_value() {
        assert_eq!(
            slipped("Secret", "data: {a: aHVudGVyMg==, b: hunter2}"),
            "s.yaml:4:25: data takes base64 only, and `b` is not; encode it, or write it in stringData as it is"
        );
        assert_eq!(
            slipped("ConfigMap", "binaryData: {a: YQ=}\ndata: {b: plain}"),
            "s.yaml:4:14: binaryData takes base64 only, and `a` is not; encode it, or write it in data as it is"
        );
        // Lines broken anywhere, and bits that nobody reads, as the API server takes them.
        assert_eq!(
            slipped(
                "Secret",
                "data: {a: \"aHVu\\ndGVy\\nMg==\\n\", b: Mh==, c: \"\"}"
            ),
            ""
        );
    }

    #[test]
    fn a_key_is_named_as_it_is_written() {
        assert_eq!(
            problems("ConfigMap", "data: {y: 123, off: a}"),
            "s.yaml:4:8: data takes text only, and `y` (`true` to kubectl, as it has no quotes) is a number; quote it"
        );
        assert_eq!(
            problems("ConfigMap", "data: {true: 123}"),
            "s.yaml:4:8: data takes text only, and `true` is a number; quote it"
        );
    }
}
