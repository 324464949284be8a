//! GitHub: `X-GitHub-Event`, and `X-Hub-Signature-256` over the body.
//!
//! The older `X-Hub-Signature`, by SHA-1, is not looked at: GitHub sends both.

use serde::Deserialize;
use serde_json::Error;

use super::{Hint, News};

pub(super) const EVENT: &str = "x-github-event";
pub(super) const SIGNATURE: &str = "x-hub-signature-256";

/// What is read of a body; Gitea's has the same shape.
#[derive(Debug, Deserialize)]
struct Body {
    r#ref: Option<String>,
    repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: Option<String>,
}

pub(super) fn hint(event: &str, body: &[u8]) -> Result<Hint, Error> {
    let body: Body = serde_json::from_slice(body)?;
    let news = match event {
        "push" => News::of_ref(body.r#ref.as_deref().unwrap_or_default()),
        event if event.starts_with("pull_request") => News::PullRequests,
        // A comment on a pull request is an event of issues.
        "issue_comment" => News::PullRequests,
        _ => News::Nothing,
    };
    Ok(Hint {
        repository: body.repository.and_then(|repository| repository.full_name),
        news,
    })
}
