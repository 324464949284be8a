//! Webhooks: a forge says that something was pushed, so that nobody waits for a poll.
//!
//! A delivery is believed in nothing. Signed or not, it is a [`Hint`] that the
//! repository may have moved, after which the repository itself is asked; the worst that
//! a forged one could do is to have it asked once too often. All the same it must be
//! signed, or anybody could keep us asking.
//!
//! Each forge has a file of its own for the shape of its body; [`signature`] has what
//! they sign by, and [`endpoint`] the server.

mod bitbucket;
pub mod endpoint;
mod generic;
mod gitea;
mod github;
mod gitlab;
mod limit;
pub mod place;
pub mod secrets;
pub mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use http::HeaderMap;

pub use place::{Place, Verdict};
use signature::Claim;

/// Who sends a delivery, told by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// github.com, or GitHub Enterprise.
    GitHub,
    /// gitlab.com, or a GitLab of one's own.
    GitLab,
    /// Gitea, or Forgejo.
    Gitea,
    /// Bitbucket Cloud, or Data Center.
    Bitbucket,
    /// Anything that signs as Flux's `generic-hmac` receiver has it.
    Generic,
}

/// What a delivery says of itself before its body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who sends it.
    pub sender: Sender,
    /// The forge's name of what happened; empty where it stands in the body.
    pub event: String,
    /// How it proves where it comes from.
    pub claim: Claim,
    /// Whether the JSON is the field `payload` of a form.
    pub form: bool,
}

/// What may have happened, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The repository's path, such as `team/deploy`, or its address. None where the
    /// delivery doesn't say, or was too long to be read.
    pub repository: Option<String>,
    /// What happened.
    pub news: News,
}

/// What may have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These branches moved, came, or went.
    Branches(Vec<String>),
    /// Some branch did.
    SomeBranch,
    /// A pull request was opened, pushed to, commented on or closed.
    PullRequests,
    /// Nothing that concerns us: a ping, a tag.
    Nothing,
}

/// A body that is not what its sender sends.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// No JSON, or of another shape.
    #[error("the body is not what {sender} sends")]
    Shape {
        /// Who said to have sent it.
        sender: Sender,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A form that has no JSON in it.
    #[error("the form has no field `payload`; have the webhook send JSON")]
    Form,
}

impl Delivery {
    /// What the headers of a delivery say; none where no forge sends such.
    ///
    /// Gitea sends GitHub's headers along with its own, so it is asked for first.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let sender = [
            (Sender::Gitea, gitea::EVENT),
            (Sender::Gitea, gitea::FORGEJO_EVENT),
            (Sender::GitLab, gitlab::EVENT),
            (Sender::Bitbucket, bitbucket::EVENT),
            (Sender::GitHub, github::EVENT),
            (Sender::Generic, generic::SIGNATURE),
        ];
        let (sender, header) = sender
            .into_iter()
            .find(|(_, header)| headers.contains_key(*header))?;
        let event = match sender {
            Sender::Generic => "",
            _ => text(headers, header),
        };
        let claim = match sender {
            Sender::GitHub => Claim::hub(headers, github::SIGNATURE),
            Sender::GitLab => gitlab::claim(headers),
            Sender::Gitea => gitea::claim(headers),
            Sender::Bitbucket => Claim::hub(headers, bitbucket::SIGNATURE),
            Sender::Generic => Claim::hub(headers, generic::SIGNATURE),
        };
        Some(Self {
            event: event.to_owned(),
            form: is_form(headers),
            sender,
            claim,
        })
    }

    /// One without any sign of who sent it, for those who take such.
    pub fn unsigned(headers: &HeaderMap) -> Self {
        Self {
            sender: Sender::Generic,
            event: String::new(),
            claim: Claim::None,
            form: is_form(headers),
        }
    }

    /// What the body hints at.
    pub fn hint(&self, body: &[u8]) -> Result<Hint, BodyError> {
        let decoded;
        let json = if self.form {
            decoded = form_field(body, b"payload").ok_or(BodyError::Form)?;
            decoded.as_slice()
        } else {
            body
        };
        let event = self.event.as_str();
        let hint = match self.sender {
            Sender::GitHub => github::hint(event, json),
            Sender::GitLab => gitlab::hint(json),
            Sender::Gitea => gitea::hint(event, json),
            Sender::Bitbucket => bitbucket::hint(event, json),
            Sender::Generic => generic::hint(json),
        };
        hint.map_err(|source| BodyError::Shape {
            sender: self.sender,
            source,
        })
    }

    /// What is hinted at by a body that was too long to be kept.
    pub fn hint_unread(&self) -> Hint {
        let event = self.event.to_ascii_lowercase();
        let request = ["pull_request", "pullrequest:", "pr:", "merge request"];
        let news = if request.iter().any(|start| event.starts_with(start)) {
            News::PullRequests
        } else {
            News::SomeBranch
        };
        Hint {
            repository: None,
            news,
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
            Self::Bitbucket => "Bitbucket",
            Self::Generic => "a generic sender",
        })
    }
}

impl News {
    /// What a push to one ref, by its full name, hints at.
    fn of_ref(reference: &str) -> Self {
        match reference.strip_prefix("refs/heads/") {
            Some(branch) => Self::Branches(vec![branch.to_owned()]),
            None => Self::Nothing,
        }
    }
}

/// A header's value; empty where it is missing or no plain text.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = text(headers, "content-type").to_ascii_lowercase();
    kind.starts_with("application/x-www-form-urlencoded")
}

/// A field of a form, as HTML's `application/x-www-form-urlencoded` has it.
fn form_field(body: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut fields = body.split(|byte| *byte == b'&');
    let value = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix(b"="))?;
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let byte = hex.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        decoded.push(match (byte, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, other) => *other,
        });
    }
    Some(decoded)
}
