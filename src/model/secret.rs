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
    let maps = ["data", "stringData"].map(|field| object.get(field).and_then(Value::as_object));
    let mut values = Vec::new();
    for value in maps.into_iter().flatten().flat_map(Map::values) {
        let text = text_of(value);
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

/// A Secret (or a part of one) with each value of `data` and `stringData`, and
/// kubectl's copy of the whole in an annotation, replaced by its keyed digest.
pub fn mask_secret(object: &Value, key: &DigestKey) -> Value {
    let mut masked = object.clone();
    for field in ["data", "stringData"] {
        if let Some(values) = masked.get_mut(field) {
            match values {
                Value::Object(values) => mask_values(values, key),
                other => *other = Value::String(key.digest(&other.to_string())),
            }
        }
    }
    let copy = masked
        .pointer_mut("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
    if let Some(copy) = copy {
        *copy = Value::String(key.digest(&copy.to_string()));
    }
    masked
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
