//! YAML as we write it: every reader of Kubernetes' tools takes it for the same value.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

/// An object as YAML: `apiVersion`, `kind` and `metadata` first, all else by name.
/// The same object always gives the same bytes.
pub fn yaml(object: &Value) -> String {
    emit(&Ordered(object))
}

/// Any value as YAML, as Kubernetes' tools read it back.
pub fn emit<T: Serialize>(value: &T) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    serde_saphyr::to_string_with_options(value, options)
        .expect("values of JSON's types can be written as YAML")
}

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const FIRST: [&str; 3] = ["apiVersion", "kind", "metadata"];
        let Value::Object(fields) = self.0 else {
            return self.0.serialize(serializer);
        };
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for key in FIRST {
            if let Some(value) = fields.get(key) {
                map.serialize_entry(key, value)?;
            }
        }
        for (key, value) in fields {
            if !FIRST.contains(&key.as_str()) {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
