//! A value as text, such that Kubernetes and kustomize both read it back as that value:
//! what one of them would take for something else than text is quoted.

use std::fmt::Write as _;

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::style::{Quotes, Style};
use crate::model::{is_seen, yaml_quoted};
use crate::render::yaml::plain_text;

/// Keys that people write first.
const FIRST: [&str; 4] = ["apiVersion", "kind", "metadata", "name"];

/// Whether a value is written on one line wherever it stands.
pub(super) fn is_inline(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

/// A value on one line, in brackets where it is a collection.
pub(super) fn inline(value: &Value, style: Style) -> String {
    match value {
        Value::String(text) => quoted_if_needed(text, style.quotes, Within::Brackets),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item, style)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries = ordered(map).map(|(name, value)| {
                let name = key(name, style.quotes, Within::Brackets);
                format!("{name}: {}", inline(value, style))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A collection that isn't empty, in block style: its first line without indentation,
/// the others indented by `column` and their own.
pub(super) fn block(value: &Value, column: usize, style: Style) -> String {
    let newline = format!("{}{:column$}", style.newline, "");
    match value {
        Value::Object(map) => {
            let entries: Vec<String> = ordered(map)
                .map(|(name, value)| entry(name, value, column, style))
                .collect();
            entries.join(&newline)
        }
        Value::Array(items) => {
            let items = items.iter();
            let items: Vec<String> = items.map(|it| item(it, column, 1, style)).collect();
            items.join(&newline)
        }
        other => inline(other, style),
    }
}

/// `key: value`, the key at a column.
pub(super) fn entry(name: &str, value: &Value, column: usize, style: Style) -> String {
    let key = key(name, style.quotes, Within::Block);
    match value {
        value if is_inline(value) => format!("{key}: {}", scalar(value, column, style)),
        value => {
            let column = below(value, column, style);
            let (newline, lines) = (style.newline, block(value, column, style));
            format!("{key}:{newline}{:column$}{lines}", "")
        }
    }
}

/// `- value`, the dash at a column, with this many blanks behind it.
pub(super) fn item(value: &Value, column: usize, gap: usize, style: Style) -> String {
    if is_inline(value) {
        let text = scalar(value, column, style);
        format!("-{:gap$}{text}", "")
    } else {
        format!("-{:gap$}{}", "", block(value, column + 1 + gap, style))
    }
}

/// The column of a collection below a key at a column.
pub(super) fn below(value: &Value, column: usize, style: Style) -> usize {
    column
        + if value.is_array() {
            style.dash
        } else {
            style.step
        }
}

/// A scalar (or empty collection) of an entry or item that begins at a column.
fn scalar(value: &Value, column: usize, style: Style) -> String {
    let Value::String(text) = value else {
        return inline(value, style);
    };
    // Line breaks at the end would count on what follows.
    let lines = text.contains('\n') && !text.ends_with("\n\n") && style.quotes != Quotes::Json;
    match literal(text, "|", column + style.step, style.newline).filter(|_| lines) {
        Some(literal) => literal,
        None => quoted_if_needed(text, style.quotes, Within::Block),
    }
}

/// Text as a block scalar whose lines stand at a column; `None` where it can't be one.
/// `indicator` is `|` or `>`.
pub(super) fn literal(text: &str, indicator: &str, column: usize, newline: &str) -> Option<String> {
    let body = text.trim_end_matches('\n');
    let blank_start = body.starts_with(['\n', ' ', '\t']);
    let blanks = |line: &str| !line.is_empty() && line.trim().is_empty();
    if body.is_empty()
        || blank_start
        || body.split('\n').any(blanks)
        || column == 0
        || !is_seen(text)
    {
        return None;
    }
    let chomping = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let lines = match indicator {
        ">" => folded(body)?,
        _ => body.to_owned(),
    };
    let more = text.len() - body.len();
    let mut written = format!("{indicator}{chomping}");
    for line in lines.split('\n') {
        written.push_str(newline);
        if !line.is_empty() {
            let _ = write!(written, "{:column$}{line}", "");
        }
    }
    for _ in 1..more {
        written.push_str(newline);
    }
    Some(written)
}

/// Lines that fold back into this text; `None` where they would not.
fn folded(body: &str) -> Option<String> {
    if body.split('\n').any(|line| line.starts_with([' ', '\t'])) {
        return None;
    }
    let mut folded = String::new();
    let mut breaks = 0;
    for c in body.chars() {
        if c == '\n' {
            breaks += 1;
        } else if breaks > 0 {
            folded.push_str(&"\n".repeat(breaks + 1));
            breaks = 0;
        }
        if c != '\n' {
            folded.push(c);
        }
    }
    Some(folded)
}

/// The spellings of a scalar in the place of one that was written in a style, the most
/// alike first.
pub(super) fn alike(value: &Value, old: ScalarStyle, within: Within, style: Style) -> Vec<String> {
    let Value::String(text) = value else {
        return vec![inline(value, style)];
    };
    let usual = quoted_if_needed(text, style.quotes, within);
    match old {
        ScalarStyle::SingleQuoted => single(text)
            .into_iter()
            .chain([yaml_quoted(text)])
            .collect(),
        ScalarStyle::DoubleQuoted => vec![yaml_quoted(text)],
        _ => vec![usual, yaml_quoted(text)],
    }
}

/// Where a scalar stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Block,
    Brackets,
}

/// A key.
pub(super) fn key(name: &str, quotes: Quotes, within: Within) -> String {
    quoted_if_needed(name, quotes, within)
}

fn quoted_if_needed(text: &str, quotes: Quotes, within: Within) -> String {
    match quotes {
        Quotes::Json => yaml_quoted(text),
        _ if may_be_plain(text, within) => text.to_owned(),
        Quotes::Single => single(text).unwrap_or_else(|| yaml_quoted(text)),
        Quotes::Double => yaml_quoted(text),
    }
}

/// Whether every reader takes it for this text without quotes. Stricter than YAML.
fn may_be_plain(text: &str, within: Within) -> bool {
    let start = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '$' | '(');
    let inner = |c: char| {
        c.is_alphanumeric()
            || c == ' '
            || "/_.$()+-@:%=~^<>;\\!?'\"#&*|".contains(c)
            || within == Within::Block && ",[]{}".contains(c)
    };
    // What YAML 1.1 takes for a date, and kustomize so writes otherwise.
    let dated = text.len() > 4
        && text.as_bytes()[4] == b'-'
        && text[..4].bytes().all(|b| b.is_ascii_digit());
    text.starts_with(start)
        && text.chars().all(inner)
        && is_seen(text)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !dated
        && plain_text(text)
}

fn single(text: &str) -> Option<String> {
    let plain = is_seen(text) && !text.contains(['\n', '\t']);
    plain.then(|| format!("'{}'", text.replace('\'', "''")))
}

fn ordered(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let first = FIRST.iter().filter_map(|name| map.get_key_value(*name));
    let rest = map
        .iter()
        .filter(|(name, _)| !FIRST.contains(&name.as_str()));
    first.chain(rest)
}
