//! What a plain scalar means: go-yaml v2's `resolve`, and what sigs.k8s.io/yaml and
//! the way through JSON make of its result.

use base64::Engine as _;
use serde_json::{Number, Value};

/// A scalar by go-yaml's types; a number's spelling as a key depends on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer over `i64::MAX`.
    Uint(u64),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// Its JSON value, as the API server keeps numbers: integers of 64 bits, else floats.
    pub(super) fn into_value(self) -> Result<Value, String> {
        match self {
            Self::Null => Ok(Value::Null),
            Self::Bool(value) => Ok(value.into()),
            Self::Int(value) => Ok(value.into()),
            #[expect(clippy::cast_precision_loss, reason = "so does the API server")]
            Self::Uint(value) => float(value as f64),
            Self::Float(value) => float(value),
            Self::Text(text) => Ok(text.into()),
        }
    }

    /// Its spelling as a key of a JSON object.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Null => Err("a key can't be null".to_owned()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Uint(value) => Err(format!("the key {value} is too large a number; quote it")),
            Self::Float(value) => Ok(float_key(value)),
            Self::Text(text) => Ok(text),
        }
    }
}

/// Spellings that YAML 1.1 (and so kubectl) takes for a boolean, but YAML 1.2 (and so
/// kustomize) for text.
pub(super) fn boolean_of_yaml_1_1_only(text: &str) -> bool {
    boolean(text).is_some()
        && !text.eq_ignore_ascii_case("true")
        && !text.eq_ignore_ascii_case("false")
}

/// A scalar without a tag and without quotes.
pub(super) fn plain(text: &str) -> Scalar {
    if let Some(value) = boolean(text) {
        return Scalar::Bool(value);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or_else(|| Scalar::Text(text.to_owned())),
    }
}

/// The key that a plain scalar comes to; `None` where it can't be one.
pub(crate) fn plain_key(text: &str) -> Option<String> {
    plain(text).into_key().ok()
}

/// Whether a scalar without quotes is text, and just this text.
pub(crate) fn plain_text(text: &str) -> bool {
    matches!(plain(text), Scalar::Text(_))
}

/// A scalar with one of YAML's own tags (`str`, `int`, …, without `!!`).
pub(super) fn tagged(tag: &str, text: &str) -> Result<Scalar, String> {
    let resolved = match tag {
        "binary" => return binary(text),
        "null" | "bool" | "int" | "float" | "timestamp" => plain(text),
        _ => return Ok(Scalar::Text(text.to_owned())),
    };
    #[expect(clippy::cast_precision_loss, reason = "so does go-yaml")]
    let resolved = match resolved {
        Scalar::Int(value) if tag == "float" => Scalar::Float(value as f64),
        other => other,
    };
    let fits = match &resolved {
        Scalar::Null => tag == "null",
        Scalar::Bool(_) => tag == "bool",
        Scalar::Int(_) | Scalar::Uint(_) => tag == "int",
        Scalar::Float(_) => tag == "float",
        Scalar::Text(text) => tag == "timestamp" && dated(text),
    };
    if fits {
        Ok(resolved)
    } else {
        // Without the text, which may be a secret.
        Err(format!("the value is not what its tag !!{tag} says"))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(false)
        }
        _ => None,
    }
}

fn dated(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}

fn binary(text: &str) -> Result<Scalar, String> {
    let packed: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed);
    match bytes.map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Scalar::Text(text)),
        Ok(Err(_)) => Err("a !!binary value is not text, and JSON can't hold it; write the base64 without the tag".to_owned()),
        Err(_) => Err("a !!binary value is not valid base64".to_owned()),
    }
}

/// Only digits, signs and a point may begin a number, and `_` may stand anywhere else.
fn number(text: &str) -> Option<Scalar> {
    match text.as_bytes().first()? {
        b'.' => decimal(text).map(Scalar::Float),
        b'0'..=b'9' | b'+' | b'-' if !dated(text) => {
            let digits = text.replace('_', "");
            integer(&digits)
                .or_else(|| decimal(&digits).map(Scalar::Float))
                .or_else(|| signed_binary(&digits))
        }
        _ => None,
    }
}

/// Go's `strconv.ParseInt` and `ParseUint` with base 0: `0644` is octal, and `08`,
/// which is not, is no integer.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let prefix = digits.get(..2).filter(|_| digits.len() > 2);
    let (base, digits) = match prefix {
        Some("0b" | "0B") => (2, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0x" | "0X") => (16, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let magnitude = unsigned(digits, base)?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

fn unsigned(digits: &str, base: u32) -> Option<u64> {
    let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_alphanumeric());
    fine.then(|| u64::from_str_radix(digits, base).ok())?
}

/// go-yaml's own after-thought: a sign behind `0b`.
fn signed_binary(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix("0b")?;
    let (negative, digits) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => return None,
    };
    let value = i64::try_from(unsigned(digits, 2)?).ok()?;
    Some(Scalar::Int(if negative { -value } else { value }))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and within the range of a
/// float: what is not stays text.
fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = !whole.is_empty() || !fraction.is_empty();
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !(written && digits(whole) && digits(fraction) && exponent) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A float that is a whole number within 64 bits comes out of JSON as an integer.
fn float(value: f64) -> Result<Value, String> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and in range"
        )]
        return Ok((value as i64).into());
    }
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| format!("{value} has no spelling in JSON"))
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 32)`.
fn float_key(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "so does sigs.k8s.io/yaml")]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse().unwrap_or(0) {
        -4..6 => value.to_string(),
        exponent if exponent < 0 => format!("{mantissa}e-{:02}", -exponent),
        exponent => format!("{mantissa}e+{exponent:02}"),
    }
}
