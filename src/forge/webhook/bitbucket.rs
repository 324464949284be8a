//! Bitbucket: `X-Event-Key`, and `X-Hub-Signature` with `sha256=`. Cloud and Data Center
//! agree in these, and differ in the body.

use serde::Deserialize;
use serde_json::Error;

use super::{Hint, News};

pub(super) const EVENT: &str = "x-event-key";
pub(super) const SIGNATURE: &str = "x-hub-signature";

/// Where it happened: Cloud's field, and Data Center's for pull requests.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Where {
    repository: Option<Repository>,
    pull_request: Option<PullRequest>,
}

/// Of `repo:push`, in Cloud.
#[derive(Debug, Deserialize)]
struct Pushed {
    push: Option<Push>,
}

/// Of `repo:refs_changed`, in Data Center. Other events have other things by that name.
#[derive(Debug, Deserialize)]
struct RefsChanged {
    #[serde(default)]
    changes: Vec<Moved>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: Option<String>,
    slug: Option<String>,
    project: Option<Project>,
}

#[derive(Debug, Deserialize)]
struct Project {
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Push {
    #[serde(default)]
    changes: Vec<Change>,
}

/// In Cloud: what a ref was and is; none where it came or went.
#[derive(Debug, Deserialize)]
struct Change {
    old: Option<Named>,
    new: Option<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    r#type: Option<String>,
    name: Option<String>,
}

/// In Data Center.
#[derive(Debug, Deserialize)]
struct Moved {
    r#ref: Option<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    to_ref: Option<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    repository: Option<Repository>,
}

pub(super) fn hint(event: &str, body: &[u8]) -> Result<Hint, Error> {
    let place: Where = serde_json::from_slice(body)?;
    let news = match event {
        "repo:push" => {
            let pushed: Pushed = serde_json::from_slice(body)?;
            News::Branches(pushed.push.map(cloud).unwrap_or_default())
        }
        "repo:refs_changed" | "mirror:repo_synchronized" => {
            let changed: RefsChanged = serde_json::from_slice(body)?;
            News::Branches(data_center(changed.changes))
        }
        event if event.starts_with("pullrequest:") || event.starts_with("pr:") => {
            News::PullRequests
        }
        _ => News::Nothing,
    };
    let target = place.pull_request.and_then(|request| request.to_ref);
    let repository = place.repository.or(target.and_then(|to| to.repository));
    Ok(Hint {
        repository: repository.and_then(Repository::path),
        news,
    })
}

impl Repository {
    fn path(self) -> Option<String> {
        let in_project = |project: Project, slug| Some(format!("{}/{slug}", project.key?));
        self.full_name
            .or_else(|| in_project(self.project?, self.slug?))
    }
}

fn cloud(push: Push) -> Vec<String> {
    let named = push
        .changes
        .into_iter()
        .filter_map(|change| change.new.or(change.old));
    let branches = named.filter(|named| named.r#type.as_deref() == Some("branch"));
    branches.filter_map(|named| named.name).collect()
}

fn data_center(changes: Vec<Moved>) -> Vec<String> {
    let ids = changes.into_iter().filter_map(|moved| moved.r#ref?.id);
    ids.filter_map(|id| Some(id.strip_prefix("refs/heads/")?.to_owned()))
        .collect()
}
