//! One thing that happened, and the commit message that tells it. Pure.
//!
//! Trailers follow git-interpret-trailers(1): the last paragraph, one `Key: value`
//! a line, a value of several lines folded by indenting all but the first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::{LINE, Signature, cut, cut_inside, shown, shown_line};

/// The longest subject, in characters; what is longer goes on in the body.
const SUBJECT_LIMIT: usize = 100;

/// The most lines that are told of anything: whatever a storm changes or an API server
/// answers, an entry can be read.
const LINES: usize = 400;

/// One commit on the record: what happened, who did it, and what it changes in the
/// recorded tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// In plain words, one line, such as `staging: sync shop to 3fa9c1e0`.
    pub subject: String,
    /// The fields that changed, one a line; may be empty.
    pub body: String,
    /// In the order in which they are to be written. A key that isn't of letters,
    /// digits and `-` is made so.
    pub trailers: Vec<(String, String)>,
    /// Who did it, and when: the author of a source commit, a field manager, or the
    /// agent.
    pub author: Signature,
    /// When it is recorded.
    pub time: Timestamp,
    /// By path: the new content, or `None` for a file that goes.
    pub changes: BTreeMap<String, Option<Vec<u8>>>,
}

impl Entry {
    /// The whole commit message.
    pub fn message(&self) -> String {
        let full = one_line(&self.subject);
        let subject = cut(&full, SUBJECT_LIMIT);
        let mut message = format!("{subject}\n");
        if subject != full {
            let _ = write!(message, "\n{}\n", harmless(&cut_inside(&full, LINE)));
        }
        let body = harmless(&bounded(&self.body));
        let body = body.trim_matches('\n');
        if !body.is_empty() {
            let _ = write!(message, "\n{body}\n");
        }
        if !self.trailers.is_empty() {
            message.push('\n');
        }
        for (key, value) in &self.trailers {
            let _ = writeln!(message, "{}: {}", token(key), folded(value));
        }
        message
    }
}

/// A subject that was too long for its line, and the body in which it goes on, put together
/// again: the whole subject, and the rest of the body.
pub(super) fn uncut<'a>(subject: &'a str, body: &'a str) -> (&'a str, &'a str) {
    let (first, rest) = body.split_once('\n').unwrap_or((body, ""));
    let start = subject.strip_suffix('…');
    if start.is_some_and(|start| first.starts_with(start)) {
        (first, rest.trim_start_matches('\n'))
    } else {
        (subject, body)
    }
}

/// Reads the trailers of a message that [`Entry::message`] wrote, unfolded.
pub fn trailers(message: &str) -> Vec<(String, String)> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in last.lines() {
        if let (true, Some((_, value))) = (line.starts_with(' '), found.last_mut()) {
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((key, value)) = line.split_once(": ") {
            found.push((key.to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// A text with at most so many lines as a person reads, and none of them endless.
pub fn bounded(text: &str) -> String {
    let count = text.lines().count();
    let mut lines: Vec<String> = text
        .lines()
        .take(LINES)
        .map(|line| cut_inside(line, LINE).into_owned())
        .collect();
    if count > LINES {
        lines.push(format!("… and {} more lines", count - LINES));
    }
    lines.join("\n")
}

fn one_line(text: &str) -> String {
    let line = shown_line(text);
    if line.is_empty() {
        "(no subject)".to_owned()
    } else {
        line
    }
}

/// Without what a terminal would obey or nobody would see, and without a line that starts
/// with `---`, where git takes a message to end and a patch to begin.
fn harmless(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = shown(line).replace('\t', " ");
        let line = line.trim_end();
        lines.push(if line.starts_with("---") {
            format!(" {line}")
        } else {
            line.to_owned()
        });
    }
    lines.join("\n")
}

fn token(key: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let token: String = key.chars().map(allowed).collect();
    let token = token.trim_matches('-');
    if token.is_empty() {
        "Note".to_owned()
    } else {
        token.to_owned()
    }
}

/// An empty line would end the trailers, so there is none.
fn folded(value: &str) -> String {
    let clean = harmless(value);
    let lines = clean.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n ")
}

#[cfg(test)]
mod tests;
