//! The `allowed_signers` file, after ssh-keygen(1), ALLOWED SIGNERS. Pure.
//!
//! `principals options keytype base64-key comment`, of which options and comment may be
//! left out. A line with `cert-authority` is refused: certificates are not looked at, and
//! to ignore the line would leave its author in the belief that they are.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;

use super::Fault;
use crate::source::patterns;

/// What the signature of a commit is for.
pub(super) const NAMESPACE: &str = "git";

/// The longest RSA key that the library verifies with.
const RSA_BITS: usize = 4096;

/// One line: a key, whose it is, and for what and when it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) principals: String,
    pub(super) key: PublicKey,
    options: Options,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    namespaces: Option<String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// Reads a whole file. `zone` is for times that name none. An error is a line, counted
/// from 1, and what is wrong with it.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Vec<Allowed>, (usize, String)> {
    let lines = text.lines().enumerate();
    let written = lines.filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    written
        .map(|(number, line)| parse_line(line.trim(), zone).map_err(|what| (number + 1, what)))
        .collect()
}

fn parse_line(line: &str, zone: &TimeZone) -> Result<Allowed, String> {
    let (principals, rest) = word(line)?;
    let (first, after) = word(rest)?;
    // What is no kind of key are options.
    let (options, key) = if is_kind(&first) {
        (Options::default(), rest)
    } else {
        (parse_options(&first, zone)?, after)
    };
    let key = PublicKey::from_openssh(key.trim())
        .map_err(|error| format!("the key can't be read: {error}"))?;
    let modulus = key
        .key_data()
        .rsa()
        .and_then(|key| key.n.as_positive_bytes());
    if modulus.is_some_and(|bytes| bytes.len() * 8 > RSA_BITS) {
        return Err(format!(
            "RSA keys of more than {RSA_BITS} bits are not supported"
        ));
    }
    Ok(Allowed {
        principals,
        key,
        options,
    })
}

fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|start| word.starts_with(start))
}

/// The next word, in which blanks may be quoted, without its quotes where it is quoted as
/// a whole; and the rest.
fn word(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    let mut quoted = false;
    let end = text.find(|character: char| {
        quoted ^= character == '"';
        character.is_whitespace() && !quoted
    });
    if quoted && end.is_none() {
        return Err("a quote is not closed".to_owned());
    }
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    if word.is_empty() {
        return Err(
            "something is missing; a line is `principals [options] keytype key`".to_owned(),
        );
    }
    let whole = word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'));
    Ok((whole.unwrap_or(word).to_owned(), rest))
}

fn parse_options(text: &str, zone: &TimeZone) -> Result<Options, String> {
    let mut options = Options::default();
    for option in split_options(text) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "cert-authority" => {
                return Err(
                    "certificates (`cert-authority`) are not supported; list each key".to_owned(),
                );
            }
            "namespaces" => options.namespaces = Some(value.to_owned()),
            "valid-after" => options.after = Some(time(value, zone)?),
            "valid-before" => options.before = Some(time(value, zone)?),
            _ => return Err(format!("the option `{name}` is not known")),
        }
    }
    Ok(options)
}

/// Apart by commas that are not quoted.
fn split_options(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|character: char| {
        quoted ^= character == '"';
        character == ',' && !quoted
    })
    .filter(|option| !option.is_empty())
    .collect()
}

/// `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]`.
fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong =
        || format!("`{text}` is no time; write YYYYMMDD or YYYYMMDDHHMM[SS], and Z for UTC");
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    let format = match digits.len() {
        8 => "%Y%m%d",
        12 => "%Y%m%d%H%M",
        14 => "%Y%m%d%H%M%S",
        _ => return Err(wrong()),
    };
    let civil = match digits.len() {
        8 => jiff::civil::Date::strptime(format, digits).map(|date| date.at(0, 0, 0, 0)),
        _ => DateTime::strptime(format, digits),
    };
    let zoned = civil.and_then(|civil| civil.to_zoned(zone.clone()));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_| wrong())
}

impl Allowed {
    /// Whether the key may sign a commit of this time.
    pub(super) fn permits(&self, time: Timestamp) -> Result<(), Fault> {
        let options = &self.options;
        if let Some(namespaces) = &options.namespaces
            && !patterns::in_list(namespaces, NAMESPACE)
        {
            return Err(Fault::Namespaces(namespaces.clone()));
        }
        match (options.after, options.before) {
            (Some(after), _) if time < after => Err(Fault::Early(after)),
            (_, Some(before)) if time >= before => Err(Fault::Expired(before)),
            _ => Ok(()),
        }
    }
}
