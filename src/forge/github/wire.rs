//! GitHub's answers, as far as they are read.

use serde::Deserialize;

use crate::forge::gitea::read_state;
use crate::forge::types::{Comment, CommitStatus};

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) login: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

#[derive(Deserialize)]
pub(super) struct Repo {
    pub(super) id: u64,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) sha: String,
    /// Gone where the fork was deleted.
    pub(super) repo: Option<Repo>,
}

#[derive(Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) html_url: String,
    pub(super) user: Option<User>,
    pub(super) author_association: String,
    pub(super) state: String,
    pub(super) merged_at: Option<String>,
    pub(super) merged_by: Option<User>,
    pub(super) merge_commit_sha: Option<String>,
    pub(super) head: Branch,
    pub(super) base: Branch,
}

#[derive(Deserialize)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) body: Option<String>,
    pub(super) user: Option<User>,
}

#[derive(Deserialize)]
pub(super) struct Combined {
    pub(super) statuses: Vec<Status>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Deployed {
    pub(super) id: u64,
}

/// What somebody may do.
#[derive(Deserialize)]
pub(super) struct Permission {
    pub(super) permission: String,
}

impl Note {
    pub(super) fn taken(self) -> Comment {
        Comment {
            id: self.id,
            text: self.body.unwrap_or_default(),
        }
    }
}

impl Status {
    pub(super) fn taken(self) -> Option<CommitStatus> {
        Some(CommitStatus {
            context: self.context,
            state: read_state(&self.state)?,
            description: self.description.unwrap_or_default(),
            url: self.target_url,
        })
    }
}
