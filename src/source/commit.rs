//! What a commit's bytes say, as far as they say it. Pure.
//!
//! Git keeps any bytes as a commit, and servers take them; libgit2 reads only those that
//! are as Git writes them. Here nothing is an error: what is missing is missing, and what
//! libgit2 would stop at is an [`Oddity`].

use std::fmt;

use git2::Oid;
use jiff::Timestamp;

use crate::model::{Signature, cut, shown_line};

/// The longest that is told of a name or a subject, in characters.
const TOLD: usize = 200;
/// The longest that is quoted of what is odd, in characters.
const QUOTED: usize = 60;

/// A commit, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawCommit<'a> {
    /// Its files.
    pub(crate) tree: Option<Oid>,
    /// The commits that it follows on.
    pub(crate) parents: Vec<Oid>,
    /// What libgit2 can't read of it; usually nothing.
    pub(crate) oddities: Vec<Oddity>,
    author: Option<Person<'a>>,
    committer: Option<Person<'a>>,
    encoding: &'a [u8],
    message: &'a [u8],
}

/// What keeps libgit2 from reading a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Oddity {
    /// A header that is not there.
    #[error("it has no line `{0}`")]
    Missing(&'static str),
    /// A header that stands before one that it should follow.
    #[error("its line `{0}` stands where none may")]
    Misplaced(String),
    /// Something else where an id should be.
    #[error("its line `{0}` has no object's id")]
    NoId(String),
    /// A person without `<address>`.
    #[error("its line `{0}` has no address in `<>`")]
    NoAddress(String),
    /// Something else where a time should be.
    #[error("its line `{0}` has no valid time")]
    NoTime(String),
    /// A header without an end.
    #[error("it ends within the line `{0}`")]
    Cut(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Person<'a> {
    name: &'a [u8],
    email: &'a [u8],
    seconds: Option<i64>,
}

/// How far the headers are, in the order in which Git writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Tree,
    Parents,
    Author,
    /// Past the committer, anything may stand.
    Rest,
}

impl<'a> RawCommit<'a> {
    /// Reads what can be read.
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let mut commit = Self {
            tree: None,
            parents: Vec::new(),
            oddities: Vec::new(),
            author: None,
            committer: None,
            encoding: b"",
            message: b"",
        };
        let (mut stage, mut rest) = (Stage::Tree, bytes);
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
            if line.is_empty() {
                commit.message = rest;
                break;
            }
            stage = commit.header(line, stage);
            if end.is_none() && stage < Stage::Rest || end.is_none() && is_person(line) {
                commit.oddities.push(Oddity::Cut(quoted(line)));
            }
        }
        let there = [
            ("tree", commit.tree.is_some()),
            ("author", commit.author.is_some()),
            ("committer", commit.committer.is_some()),
        ];
        let told = |oddities: &[Oddity]| oddities.iter().any(|odd| matches!(odd, Oddity::NoId(_)));
        for (name, _) in there.into_iter().filter(|(_, there)| !there) {
            if name != "tree" || !told(&commit.oddities) {
                commit.oddities.push(Oddity::Missing(name));
            }
        }
        commit
    }

    fn header(&mut self, line: &'a [u8], stage: Stage) -> Stage {
        let space = line.iter().position(|byte| *byte == b' ');
        let (key, value) = line.split_at(space.map_or(line.len(), |space| space + 1));
        match (key, stage) {
            (b"encoding ", Stage::Rest) => {
                self.encoding = value;
                Stage::Rest
            }
            (_, Stage::Rest) => Stage::Rest,
            (b"tree ", Stage::Tree) => {
                self.tree = self.id(line, value);
                Stage::Parents
            }
            (b"parent ", Stage::Tree | Stage::Parents) => {
                let id = self.id(line, value);
                self.parents.extend(id);
                Stage::Parents
            }
            (b"author ", _) => {
                let person = self.person(line, value);
                self.author.get_or_insert(person);
                Stage::Author
            }
            (b"committer ", _) => {
                self.committer = Some(self.person(line, value));
                Stage::Rest
            }
            (key, Stage::Tree | Stage::Parents | Stage::Author) => {
                self.oddities.push(Oddity::Misplaced(quoted(line)));
                // Taken all the same: who asks what lies below is to see it.
                match key {
                    b"tree " => self.tree = self.tree.or(self.id(line, value)),
                    b"parent " => {
                        let id = self.id(line, value);
                        self.parents.extend(id);
                    }
                    _ => {}
                }
                stage
            }
        }
    }

    fn id(&mut self, line: &[u8], value: &[u8]) -> Option<Oid> {
        let text = str::from_utf8(value).ok().filter(|text| text.len() == 40);
        let id = text.and_then(|text| Oid::from_str(text).ok());
        if id.is_none() {
            self.oddities.push(Oddity::NoId(quoted(line)));
        }
        id
    }

    fn person(&mut self, line: &[u8], value: &'a [u8]) -> Person<'a> {
        let last = |wanted: u8| value.iter().rposition(|byte| *byte == wanted);
        let (Some(from), Some(to)) = (last(b'<'), last(b'>')) else {
            self.oddities.push(Oddity::NoAddress(quoted(line)));
            return Person::nameless(value);
        };
        if to < from {
            self.oddities.push(Oddity::NoAddress(quoted(line)));
            return Person::nameless(value);
        }
        let time = value.get(to + 2..).unwrap_or_default();
        let seconds = seconds(time);
        if seconds.is_none() && !time.is_empty() {
            self.oddities.push(Oddity::NoTime(quoted(line)));
        }
        Person {
            name: &value[..from],
            email: &value[from + 1..to],
            seconds,
        }
    }

    /// Who made it.
    pub(crate) fn author(&self) -> Signature {
        self.signature(self.author.as_ref().or(self.committer.as_ref()))
    }

    /// When it was committed, which a rebase or a merge makes anew; in seconds.
    pub(crate) fn seconds(&self) -> Option<i64> {
        let of = |person: &Option<Person<'_>>| person.as_ref().and_then(|one| one.seconds);
        of(&self.committer).or_else(|| of(&self.author))
    }

    /// The same, as an instant. History can't be mended: what isn't valid is the beginning.
    pub(crate) fn committed(&self) -> Timestamp {
        instant(self.seconds())
    }

    /// Whether the committer has an address.
    pub(crate) fn is_committed_by(&self, email: &str) -> bool {
        let committer = self.committer.as_ref();
        committer.is_some_and(|one| one.email == email.as_bytes())
    }

    /// Its message.
    pub(crate) fn message(&self) -> String {
        text(self.message, self.encoding)
    }

    /// The first paragraph of its message as one line, for people.
    pub(crate) fn subject(&self) -> String {
        let message = self.message.trim_ascii_start();
        let lines = message.split(|byte| *byte == b'\n');
        let lines = lines.take_while(|line| !line.trim_ascii().is_empty());
        let mut subject = Vec::new();
        for line in lines {
            if !subject.is_empty() {
                subject.push(b' ');
            }
            subject.extend_from_slice(line.trim_ascii());
            // As characters they are fewer.
            if subject.len() > TOLD * 4 {
                break;
            }
        }
        told(&text(&subject, self.encoding))
    }

    fn signature(&self, person: Option<&Person<'_>>) -> Signature {
        let word = |bytes: &[u8]| told(&text(bytes, self.encoding));
        Signature {
            name: person.map_or_else(String::new, |one| word(one.name)),
            email: person.map_or_else(String::new, |one| word(one.email)),
            time: instant(person.and_then(|one| one.seconds)),
        }
    }
}

impl fmt::Display for RawCommit<'_> {
    /// What is odd about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, oddity) in self.oddities.iter().take(3).enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{oddity}")?;
        }
        Ok(())
    }
}

impl<'a> Person<'a> {
    fn nameless(value: &'a [u8]) -> Self {
        Self {
            name: value,
            email: b"",
            seconds: None,
        }
    }
}

fn is_person(line: &[u8]) -> bool {
    line.starts_with(b"author ") || line.starts_with(b"committer ")
}

/// As C reads a number: white space, a sign, digits, and whatever follows.
fn seconds(text: &[u8]) -> Option<i64> {
    let white = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let text = &text[text.iter().take_while(|byte| white(byte)).count()..];
    let signed = text.first().is_some_and(|byte| matches!(byte, b'-' | b'+'));
    let digits = &text[usize::from(signed)..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit());
    let number = &text[..usize::from(signed) + end.unwrap_or(digits.len())];
    str::from_utf8(number).ok()?.parse().ok()
}

fn instant(seconds: Option<i64>) -> Timestamp {
    let instant = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    instant.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Text that may be in the encoding that was usual before; else what isn't UTF-8 is
/// replaced.
fn text(bytes: &[u8], encoding: &[u8]) -> String {
    let latin = ["iso-8859-1", "iso8859-1", "latin1", "latin-1"];
    let latin = latin
        .iter()
        .any(|name| encoding.eq_ignore_ascii_case(name.as_bytes()));
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) if latin => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn quoted(line: &[u8]) -> String {
    let end = line.len().min(QUOTED * 4);
    let line = shown_line(&String::from_utf8_lossy(&line[..end]));
    cut(&line, QUOTED).into_owned()
}

/// As it goes into the text of others: an entry, a note, a comment.
fn told(text: &str) -> String {
    cut(&shown_line(text), TOLD).into_owned()
}

#[cfg(test)]
mod tests;
