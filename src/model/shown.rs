//! Text from outside as people are shown it: what they could not see is written out, and
//! what they could not read for length is cut. Each way out of the process takes its text
//! through here; the values themselves stay as they are.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use super::unseen::is_unseen;

/// The most characters of a line that people are shown.
pub const LINE: usize = 1_000;

/// Writes the characters out that nobody would see: `\u{202e}`. Line breaks and tabs stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    written_out(text, |c, into| {
        let _ = write!(into, "\\u{{{:x}}}", u32::from(c));
    })
}

/// The same on one line: words with one blank between them.
pub fn shown_line(text: &str) -> String {
    let text = shown(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A JSON text with the characters that nobody would see as JSON's own escapes: it reads
/// back as the same.
pub fn shown_json(json: &str) -> Cow<'_, str> {
    written_out(json, |c, into| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(into, "\\u{unit:04x}");
        }
    })
}

/// A JSON text that is the same where it is read as YAML, as the API server reads what is
/// applied: that refuses some characters as they stand, and folds others as line breaks.
/// Those that JSON would write as two are fine in YAML, which knows no such pairs.
pub fn json_as_yaml(json: &str) -> Cow<'_, str> {
    written_out(json, |c, into| match u32::from(c) {
        0x1_0000.. => into.push(c),
        code => _ = write!(into, "\\u{code:04x}"),
    })
}

/// Any value as JSON of several lines, for programs and for people.
pub fn json_text<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("our values can be written as JSON");
    shown_json(&text).into_owned()
}

/// Text as a scalar of YAML in double quotes, on one line.
pub fn yaml_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for sight in sights(text) {
        match sight {
            Sight::Seen('"') => quoted.push_str("\\\""),
            Sight::Seen('\\') => quoted.push_str("\\\\"),
            Sight::Seen('\n') => quoted.push_str("\\n"),
            Sight::Seen('\t') => quoted.push_str("\\t"),
            Sight::Unseen('\r') => quoted.push_str("\\r"),
            Sight::Unseen(c) => match u32::from(c) {
                code @ 0x1_0000.. => _ = write!(quoted, "\\U{code:08x}"),
                code => _ = write!(quoted, "\\u{code:04x}"),
            },
            Sight::Seen(c) => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Text as one word of a shell: nothing in it is a command where a line is copied. With what
/// people would not see, it is in the form that bash, zsh and POSIX 2024 know (`$'\012'`).
pub fn shell_quoted(text: &str) -> Cow<'_, str> {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'@' | b'%' | b',' | b':');
    if !text.is_empty() && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    if is_seen(text) && !text.contains(['\n', '\t']) {
        return Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")));
    }
    let mut quoted = String::from("$'");
    for sight in sights(text) {
        match sight {
            Sight::Seen('\n' | '\t') | Sight::Unseen(_) => {
                let (Sight::Seen(c) | Sight::Unseen(c)) = sight;
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            Sight::Seen(c @ ('\'' | '\\')) => quoted.extend(['\\', c]),
            Sight::Seen(c) => quoted.push(c),
        }
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Whether people see all of a text.
pub fn is_seen(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
        || sights(text).all(|sight| matches!(sight, Sight::Seen(_)))
}

/// The first characters of a line, so many at most.
pub fn cut(line: &str, limit: usize) -> Cow<'_, str> {
    if line.char_indices().nth(limit).is_none() {
        return Cow::Borrowed(line);
    }
    let kept: String = line.chars().take(limit.saturating_sub(1)).collect();
    Cow::Owned(format!("{}…", kept.trim_end()))
}

/// Of a line that is too long, both ends: what it is about, and the point that it comes
/// to.
pub fn cut_inside(line: &str, limit: usize) -> Cow<'_, str> {
    // As many bytes are at least as many characters.
    if line.len() <= limit {
        return Cow::Borrowed(line);
    }
    let count = line.chars().count();
    if count <= limit {
        return Cow::Borrowed(line);
    }
    let half = limit.saturating_sub(ROOM) / 2;
    let first: String = line.chars().take(half).collect();
    let last: String = line.chars().skip(count - half).collect();
    let left_out = count - 2 * half;
    Cow::Owned(format!("{first} … {left_out} characters … {last}"))
}

/// What the words in a cut line need, in characters.
const ROOM: usize = 40;

/// Each line cut inside.
pub fn cut_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len().min(1 << 16));
    for line in text.split_inclusive('\n') {
        let (line, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |line| (line, "\n"));
        lines.push_str(&cut_inside(line, LINE));
        lines.push_str(end);
    }
    lines
}

fn written_out(text: &str, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if is_seen(text) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() + 16);
    for sight in sights(text) {
        match sight {
            Sight::Seen(c) => written.push(c),
            Sight::Unseen(c) => write(c, &mut written),
        }
    }
    Cow::Owned(written)
}

/// A character as people see it, or not, where it stands.
enum Sight {
    Seen(char),
    Unseen(char),
}

/// Each character of a text. What is not seen is written out, so that nothing after it is
/// joined to it.
fn sights(text: &str) -> impl Iterator<Item = Sight> {
    let mut chars = text.chars().peekable();
    let mut before = None;
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let unseen = is_unseen(before, c, chars.peek().copied());
        before = (!unseen).then_some(c);
        Some(if unseen {
            Sight::Unseen(c)
        } else {
            Sight::Seen(c)
        })
    })
}

#[cfg(test)]
mod tests;
