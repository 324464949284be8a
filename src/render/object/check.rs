//! What the API server would refuse, or a repository must not hold.

use serde_json::{Map, Value};

use super::{Identity, PlainSecrets, Source, name_of_type};
use crate::config::Problems;

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
            let Some(Value::Object(map)) = map else {
                continue;
            };
            let field = path.join(".");
            for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
                problems.push_with(|| {
                    let pointer = format!("{pointer}/{}/{}", path.join("/"), escape(key));
                    let found = name_of_type(value);
                    let message = format!("{field} takes text only, and `{key}` is {found}");
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

/// A key as a token of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
