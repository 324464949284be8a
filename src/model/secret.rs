//! Values that must not be seen.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{ObjectId, text_of};

/// A credential. It has no `Display`, no `Serialize`, and a `Debug` that says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    /// Takes the credential in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The credential itself, for the one call that hands it over.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The key under which Secrets' values are digested, so that nobody who reads a
/// record can try passwords against it.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A short keyed digest of a value: `hmac:` and 16 hexadecimal digits.
    pub fn digest(&self, value: &str) -> String {
        format!("hmac:{}", hex::encode(&self.seal(value.as_bytes())[..8]))
    }

    /// A key for another purpose. What this one makes of a value is shown to people, who may
    /// choose the value: so nothing that is to be believed is made by this one itself.
    pub fn derived(&self, purpose: &str) -> Self {
        Self(self.seal(purpose.as_bytes()))
    }

    /// The whole keyed digest of something that is to be believed when it is read again.
    pub fn seal(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.mac();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// Whether this is the keyed digest of that.
    pub fn holds(&self, bytes: &[u8], seal: &[u8]) -> bool {
        let mut mac = self.mac();
        mac.update(bytes);
        mac.verify_slice(seal).is_ok()
    }

    fn mac(&self) -> Hmac<Sha256> {
        <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes any key length")
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether an object's values are secret.
pub fn holds_secret(id: &ObjectId) -> bool {
    id.kind.is("", "Secret")
}

/// Whether what is shown of an object can hold secrets: one is declared, or what is live in
/// its place is one.
pub fn shows_secret(id: &ObjectId, object: &Value) -> bool {
    holds_secret(id) || is_secret(object)
}

/// Whether an object says itself that it is a Secret.
pub fn is_secret(object: &Value) -> bool {
    let is = |field: &str, text: &str| object.get(field).and_then(Value::as_str) == Some(text);
    is("apiVersion", "v1") && is("kind", "Secret")
}

/// The values of a Secret, as they stand in it and decoded, longest first.
pub fn secret_values(object: &Value) -> Vec<String> {
    let fields = object.as_object().into_iter().flatten();
    let fields = fields.filter(|(field, _)| has_values(field));
    let mut values = Vec::new();
    for text in fields.flat_map(|(_, value)| texts(value)) {
        let decoded = STANDARD
            .decode(&text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        values.extend(decoded);
        values.push(text);
    }
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
}

/// What a Secret has beside its values.
const PLAIN: [&str; 5] = ["apiVersion", "kind", "metadata", "type", "immutable"];

/// Whether a field at the top of a Secret has values, be it as misspelt as it may.
pub fn has_values(field: &str) -> bool {
    !PLAIN.contains(&field)
}

/// A Secret (or a part of one) with each value of `data` and `stringData`, of whatever else it
/// has, as where those are misspelt, and kubectl's copy of the whole in an annotation, replaced
/// by its keyed digest.
pub fn mask_secret(object: &Value, key: &DigestKey) -> Value {
    let mut masked = object.clone();
    let fields = masked.as_object_mut().into_iter().flatten();
    for (_, values) in fields.filter(|(field, _)| has_values(field)) {
        match values {
            Value::Object(values) => mask_values(values, key),
            other => *other = Value::String(key.digest(&other.to_string())),
        }
    }
    let copy = masked
        .pointer_mut("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
    if let Some(copy) = copy {
        *copy = Value::String(key.digest(&copy.to_string()));
    }
    masked
}

/// The texts of a map or a list, or of a value alone.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(values) => values.values().map(text_of).collect(),
        Value::Array(values) => values.iter().map(text_of).collect(),
        Value::Null => Vec::new(),
        other => vec![text_of(other)],
    }
}

fn mask_values(values: &mut Map<String, Value>, key: &DigestKey) {
    for value in values.values_mut() {
        let text = text_of(value);
        *value = Value::String(key.digest(&text));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::GroupKind;

    #[test]
    fn nothing_of_a_secret_is_shown_but_what_it_is_called() {
        let key = DigestKey::new([7; 32]);
        for field in ["data", "stringData", "stringdata", "Data", "spec"] {
            for values in [
                json!({"a": "hunter2"}),
                json!(["hunter2"]),
                json!("hunter2"),
            ] {
                let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                    "metadata": {"name": "a"}, "immutable": true});
                let plain = secret.clone();
                secret[field] = values;
                let mut masked = mask_secret(&secret, &key);
                assert!(!masked.to_string().contains("hunter2"), "{masked}");
                assert_eq!(secret_values(&secret), ["hunter2"]);
                masked.as_object_mut().expect("an object").remove(field);
                assert_eq!(masked, plain);
            }
        }
    }

    #[test]
    fn what_is_a_secret_is_told_by_what_was_asked_for_and_by_what_is_there() {
        let id = |kind| ObjectId::parse(GroupKind::known("", kind), Some("shop"), "a");
        let [secret, other] = ["Secret", "ConfigMap"].map(|kind| id(kind).expect("a name"));
        let [live, plain] = ["Secret", "ConfigMap"].map(|kind| {
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, "data": {"a": "b"}})
        });
        assert!(shows_secret(&secret, &plain));
        assert!(shows_secret(&other, &live));
        assert!(!shows_secret(&other, &plain));
    }
}
