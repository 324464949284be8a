//! One comment on a pull request, kept up to date.
//!
//! It is found by a hidden marker, an HTML comment in its first line, among the comments
//! of the token's own user alone: anybody may write such a line. The marker also names the
//! digest of the text, so that what is there already is not written again, also after a
//! restart, and whatever the forge does to the spaces in it.

use super::Forge;
use super::error::ForgeError;
use super::types::Comment;
use crate::model::Digest;

/// What a comment is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    topic: &'static str,
    names: Vec<String>,
}

/// What was done to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There was none.
    Written,
    /// It had another text.
    Changed,
    /// It is as it was.
    Same,
}

impl Marker {
    /// Of comments about a topic, such as `preview`, and what they tell of: a comment that
    /// tells of any of these names (letters, digits, `-`) is the one.
    pub fn new(topic: &'static str, names: impl IntoIterator<Item = impl ToString>) -> Self {
        Self {
            topic,
            names: names.into_iter().map(|name| name.to_string()).collect(),
        }
    }

    /// The first line of a comment with this text.
    fn line(&self, text: &str) -> String {
        let names = self.names.join(" ");
        let digest = Digest::of_bytes(text.as_bytes());
        format!("<!-- gitops-agent {} {names} {digest} -->", self.topic)
    }

    /// Whether a comment begins with the marker of this topic and one of these names.
    fn marks(&self, comment: &Comment) -> bool {
        let words = words(&comment.text);
        let Some((topic, rest)) = words.split_first() else {
            return false;
        };
        *topic == self.topic
            && rest
                .iter()
                .any(|word| self.names.iter().any(|name| name == word))
    }
}

/// The words of a comment's marker, the topic first; none where it has no marker.
fn words(text: &str) -> Vec<&str> {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let inside = line
        .strip_prefix("<!-- gitops-agent ")
        .and_then(|line| line.trim_end().strip_suffix("-->"));
    inside
        .map(|inside| inside.split_whitespace().collect())
        .unwrap_or_default()
}

/// Has a pull request hold one comment of this marker with this text. More of them, which
/// two daemons may have written at once, are left as they are, and the first is kept.
///
/// # Errors
/// Those of the forge.
pub async fn keep_comment(
    forge: &dyn Forge,
    number: u64,
    marker: &Marker,
    text: &str,
) -> Result<Kept, ForgeError> {
    let line = marker.line(text);
    let comments = forge.own_comments(number).await?;
    let known = comments.into_iter().find(|comment| marker.marks(comment));
    let whole = format!("{line}\n{text}");
    match known {
        Some(comment) if words(&comment.text) == words(&line) => Ok(Kept::Same),
        Some(comment) => {
            forge.edit_comment(number, comment.id, &whole).await?;
            Ok(Kept::Changed)
        }
        None => {
            forge.comment(number, &whole).await?;
            Ok(Kept::Written)
        }
    }
}
