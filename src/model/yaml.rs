//! YAML as we write it: every reader of Kubernetes' tools takes it for the same value.

use granit_parser::{Event, Parser, ScalarStyle};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::shown::{is_seen, json_text, yaml_quoted};

/// An object as YAML: `apiVersion`, `kind` and `metadata` first, all else by name.
/// The same object always gives the same bytes.
pub fn yaml(object: &Value) -> String {
    emit(&Ordered(object))
}

/// Any value as YAML, as Kubernetes' tools read it back. People see all that is in it.
pub fn emit<T: Serialize>(value: &T) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    let text = serde_saphyr::to_string_with_options(value, options)
        .expect("values of JSON's types can be written as YAML");
    if is_seen(&text) {
        return text;
    }
    // JSON is YAML, too.
    seen(&text).unwrap_or_else(|| json_text(value) + "\n")
}

/// The same with each scalar in double quotes that holds something nobody sees: there
/// alone YAML has escapes.
fn seen(text: &str) -> Option<String> {
    let (mut written, mut done) = (String::with_capacity(text.len() + 64), 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let Event::Scalar(value, style, ..) = event else {
            continue;
        };
        let range = span.byte_range()?;
        if is_seen(text.get(range.clone())?) {
            continue;
        }
        let (mut start, mut end) = (range.start, range.end);
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            // Its span is that of its lines: without the indicator on the line before, and
            // with the indentation of the line behind.
            start = done + text.get(done..start)?.rfind(['|', '>'])?;
            end = start + text.get(start..end)?.rfind('\n')?;
        }
        written.push_str(text.get(done..start)?);
        written.push_str(&yaml_quoted(&value));
        done = end;
    }
    written.push_str(text.get(done..)?);
    is_seen(&written).then_some(written)
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

#[cfg(test)]
mod tests;
