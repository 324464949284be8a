//! Names of people and programs as Git takes them.

use git2::{Signature, Time};
use jiff::Timestamp;

use super::text::{COMMITTER_EMAIL, COMMITTER_NAME};
use crate::model::{self, cut, shown_line};

/// An entry's author. Git takes no empty name or address, and no `<` or `>` in them;
/// a field manager is free text.
pub(crate) fn author(author: &model::Signature) -> Result<Signature<'static>, git2::Error> {
    let name = plain(&author.name).unwrap_or_else(|| "unknown".to_owned());
    let email = plain(&author.email).unwrap_or_else(|| format!("{}@localhost", slug(&name)));
    Signature::new(&name, &email, &time(author.time))
}

/// The agent, who commits every entry.
pub(crate) fn committer(at: Timestamp) -> Result<Signature<'static>, git2::Error> {
    Signature::new(COMMITTER_NAME, COMMITTER_EMAIL, &time(at))
}

fn time(at: Timestamp) -> Time {
    Time::new(at.as_second(), 0)
}

fn plain(text: &str) -> Option<String> {
    let text = shown_line(&cut(text, 200));
    let text: String = text.chars().filter(|c| !matches!(c, '<' | '>')).collect();
    let text = text.trim();
    // Git strips these at the ends, and must not be left with nothing.
    let something = text.chars().any(char::is_alphanumeric);
    something.then(|| text.to_owned())
}

fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().map(plain).collect()
}
