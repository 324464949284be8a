//! When two JSON values are the same, and when they are perhaps two spellings of
//! one.

use serde_json::{Number, Value};

/// A scalar as a key to sort by: numbers by value, so that `1` and `1.0` are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Probe<'a> {
    Null,
    Bool(bool),
    Whole(i128),
    /// The bits of a float that is no whole number.
    Broken(u64),
    Text(&'a str),
    /// A map or list, which can't be a key.
    Other,
}

impl<'a> Probe<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => probe_number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Other,
        }
    }
}

/// Whole floats up to here are exact, so they can be told from their neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn probe_number(number: &Number) -> Probe<'static> {
    if let Some(whole) = number.as_i128() {
        return Probe::Whole(whole);
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    if float.fract() == 0.0 && float.abs() <= EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within the exact range"
        )]
        let whole = float as i128;
        Probe::Whole(whole)
    } else {
        Probe::Broken(float.to_bits())
    }
}

/// Deep equality with numbers compared by value, as structured-merge-diff does.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((ka, va), (kb, vb))| ka == kb && same(va, vb))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (a, b) => match (Probe::of(a), Probe::of(b)) {
            (Probe::Other, _) | (_, Probe::Other) => false,
            (a, b) => a == b,
        },
    }
}

/// Whether a value is one that Go drops when it is optional: null, false, 0, "",
/// and empty or all-zero collections.
pub(super) fn zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(zero),
    }
}

/// Whether two different scalars may be one value in two spellings: quantities,
/// durations, instants, base64 with line breaks, a number or boolean as text.
pub(super) fn spelled_alike(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (text(a), text(b)) else {
        return false;
    };
    a == b
        || close(quantity(&a), quantity(&b))
        || close(go_duration(&a), go_duration(&b))
        || matches!((instant(&a), instant(&b)), (Some(a), Some(b)) if a == b)
        || without_blanks(&a) == without_blanks(&b)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Equal within what rounding to nano units can do; too many `Maybe`s cost little.
fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= a.abs().max(b.abs()) * 1e-9,
        _ => false,
    }
}

/// A resource quantity's value (k8s.io/apimachinery/pkg/api/resource).
fn quantity(text: &str) -> Option<f64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let factor = match &text[end..] {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        exponent => 10.0_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number * factor)
}

/// The seconds of a duration as Go spells it, such as `1h30m` or `0`.
fn go_duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        seconds += number * factor;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(sign * seconds)
}

/// `ms` before `m`: the longer one first.
const UNITS: [(&str, f64); 7] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

fn instant(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}
