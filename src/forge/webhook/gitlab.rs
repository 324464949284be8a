//! GitLab: either the secret itself in `X-Gitlab-Token`, or a signing token after the
//! Standard Webhooks specification (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature`), which is the one that counts where both are there.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Error;

use super::signature::Claim;
use super::{Hint, News, text};

pub(super) const EVENT: &str = "x-gitlab-event";
const TOKEN: &str = "x-gitlab-token";

#[derive(Debug, Deserialize)]
struct Body {
    object_kind: Option<String>,
    /// In hooks of the whole system, instead of the kind.
    event_name: Option<String>,
    r#ref: Option<String>,
    project: Option<Project>,
}

#[derive(Debug, Deserialize)]
struct Project {
    path_with_namespace: Option<String>,
}

pub(super) fn claim(headers: &HeaderMap) -> Claim {
    match Claim::standard(headers) {
        Claim::None => Claim::token(text(headers, TOKEN)),
        signed => signed,
    }
}

pub(super) fn hint(body: &[u8]) -> Result<Hint, Error> {
    let body: Body = serde_json::from_slice(body)?;
    let kind = body.object_kind.or(body.event_name).unwrap_or_default();
    let news = match kind.as_str() {
        "push" => News::of_ref(body.r#ref.as_deref().unwrap_or_default()),
        "merge_request" | "note" => News::PullRequests,
        // Of the system: several refs of a repository at once, told without names.
        "repository_update" => News::SomeBranch,
        _ => News::Nothing,
    };
    Ok(Hint {
        repository: body.project.and_then(|project| project.path_with_namespace),
        news,
    })
}
