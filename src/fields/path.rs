//! Paths for people: `spec.template.spec.containers[name=c].image`,
//! `metadata.annotations["a.b/c"]`, `metadata.finalizers["x"]`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// One step of the path that a walk is at. It borrows from what is walked, so
/// that a walk that finds nothing allocates nothing for paths.
#[derive(Debug, Clone)]
pub(super) enum Step<'a> {
    Field(&'a str),
    /// The item with this key, as managedFields have it.
    Key(&'a Map<String, Value>),
    /// The item found by these fields of its own.
    Item(Vec<(&'a str, &'a Value)>),
    Value(&'a Value),
    Index(usize),
}

/// The path as text.
pub(super) fn print(steps: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) => field(&mut text, name),
            Step::Key(key) => item(
                &mut text,
                key.iter().map(|(name, value)| (name.as_str(), value)),
            ),
            Step::Item(key) => item(&mut text, key.iter().copied()),
            Step::Value(value) => put(&mut text, format_args!("[{value}]")),
            Step::Index(index) => put(&mut text, format_args!("[{index}]")),
        }
    }
    text
}

fn field(text: &mut String, name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    if name.is_empty() || !name.chars().all(plain) {
        put(text, format_args!("[{}]", Value::from(name)));
    } else if text.is_empty() {
        text.push_str(name);
    } else {
        put(text, format_args!(".{name}"));
    }
}

fn item<'a>(text: &mut String, key: impl Iterator<Item = (&'a str, &'a Value)>) {
    let pairs: Vec<String> = key
        .map(|(name, value)| match value {
            // As a path is read: without quotes, up to the next of these.
            Value::String(text) if text.contains([',', ']', '"', '\\']) => {
                format!("{name}={value}")
            }
            Value::String(value) => format!("{name}={value}"),
            value => format!("{name}={value}"),
        })
        .collect();
    put(text, format_args!("[{}]", pairs.join(",")));
}

fn put(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a String takes any text");
}
