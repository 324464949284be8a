//! Gitea and Forgejo, by their API v1.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::address::{ForgeAddress, ForgeKind};
use super::error::ForgeError;
use super::http::Http;
use super::token::ForgeToken;
use super::types::{
    Author, Closed, Comment, CommitStatus, Deployment, Head, NewPullRequest, PullRequest,
    PullState, Standing, StatusState, newest,
};
use super::{Answer, Forge};
use crate::model::Revision;
use crate::runtime::lock::lock;
use crate::runtime::net::Tls;

/// How long it is believed whether somebody is a member.
const BELIEVED: Duration = Duration::from_mins(10);

/// The limit is that of the database's type for text: of some, 64 KiB.
const COMMENT: usize = 60_000;

/// A repository on Gitea.
pub(super) struct Gitea {
    http: Http,
    address: ForgeAddress,
    /// Such as `/repos/team/deploy`.
    repo: String,
    standings: Mutex<BTreeMap<String, (Instant, Standing)>>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo_id: i64,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    title: String,
    html_url: String,
    user: Option<User>,
    state: String,
    merged: bool,
    merged_by: Option<User>,
    merge_commit_sha: Option<String>,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    user: Option<User>,
}

#[derive(Deserialize)]
struct Status {
    id: u64,
    context: String,
    #[serde(rename = "status")]
    state: String,
    description: String,
    target_url: String,
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
}

impl Gitea {
    pub(super) fn new(
        address: &ForgeAddress,
        token: ForgeToken,
        tls: &Tls,
    ) -> Result<Self, ForgeError> {
        Ok(Self {
            http: Http::new(address, (token, tls), &[])?,
            address: address.clone(),
            repo: format!("/repos/{}", address.repository),
            standings: Mutex::default(),
        })
    }

    fn path(&self, below: &str) -> String {
        format!("{}{below}", self.repo)
    }

    async fn taken(&self, pull: Pull) -> Result<PullRequest, ForgeError> {
        let name = pull.user.map(|user| user.login).unwrap_or_default();
        let revision = self.revision(&pull.head.sha)?;
        // By `git push origin HEAD:refs/for/main` anybody who may read opens one, and no
        // branch holds its head.
        let pushed = pull.head.name.starts_with("refs/");
        let state = match pull.state.as_str() {
            _ if pull.merged => PullState::Merged(Closed {
                by: pull.merged_by.map(|user| user.login),
                revision: pull.merge_commit_sha.and_then(|sha| sha.parse().ok()),
            }),
            "open" => PullState::Open,
            _ => PullState::Closed,
        };
        Ok(PullRequest {
            number: pull.number,
            title: pull.title,
            url: pull.html_url,
            author: Author {
                standing: self.standing(&name).await?,
                name,
            },
            head: Head {
                revision,
                fork: pushed || pull.head.repo_id != pull.base.repo_id,
                branch: pull.head.name,
            },
            base: pull.base.name,
            state,
        })
    }

    async fn all(&self, pulls: Vec<Pull>) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        for pull in pulls {
            all.push(self.taken(pull).await?);
        }
        Ok(all)
    }

    fn revision(&self, sha: &str) -> Result<Revision, ForgeError> {
        sha.parse()
            .map_err(|error| self.http.unclear(&self.repo, &error))
    }

    async fn standing(&self, user: &str) -> Result<Standing, ForgeError> {
        let known = self.known().get(user).copied();
        if let Some((since, standing)) = known
            && since.elapsed() < BELIEVED
        {
            return Ok(standing);
        }
        let standing = if self.belongs(user).await? {
            Standing::Member
        } else {
            Standing::Stranger
        };
        self.known()
            .insert(user.to_owned(), (Instant::now(), standing));
        Ok(standing)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Instant, Standing)>> {
        lock(&self.standings)
    }

    /// Whether somebody may write, or, where the token has no right to ask that, whether
    /// somebody was let in or is in the organisation.
    async fn belongs(&self, user: &str) -> Result<bool, ForgeError> {
        // A name comes from the forge, and still is not to become another path.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if user.is_empty() || !user.chars().all(plain) {
            return Ok(false);
        }
        let owner = self.address.repository.split('/').next();
        if owner.is_some_and(|owner| owner.eq_ignore_ascii_case(user)) {
            return Ok(true);
        }
        let collaborator = self.path(&format!("/collaborators/{user}"));
        let permission = format!("{collaborator}/permission");
        match self.http.get::<Permission>(&permission).await {
            Ok(found) => Ok(matches!(
                found.permission.as_str(),
                "write" | "admin" | "owner"
            )),
            Err(ForgeError::NotFound { .. }) => Ok(false),
            Err(ForgeError::Forbidden { .. }) => {
                let member = format!("/orgs/{}/members/{user}", owner.unwrap_or_default());
                Ok(self.says_yes(&collaborator).await? || self.says_yes(&member).await?)
            }
            Err(error) => Err(error),
        }
    }

    async fn says_yes(&self, path: &str) -> Result<bool, ForgeError> {
        match self.http.exists(path).await {
            Err(ForgeError::Forbidden { .. }) => Ok(false),
            other => other,
        }
    }
}

impl Forge for Gitea {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Gitea
    }

    fn open_pull_requests<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let path = self.path("/pulls?state=open&sort=oldest&limit=50");
            let mut pulls: Vec<Pull> = self.http.list(&path).await?;
            pulls.retain(|pull| pull.base.name == base && pull.has_head());
            pulls.sort_by_key(|pull| pull.number);
            self.all(pulls).await
        })
    }

    fn pull_requests_from<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let path = self.path("/pulls?state=all&limit=50");
            let mut pulls: Vec<Pull> = self.http.list(&path).await?;
            pulls.retain(|pull| {
                pull.head.name == branch
                    && pull.head.repo_id == pull.base.repo_id
                    && pull.has_head()
            });
            pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
            self.all(pulls).await
        })
    }

    fn pull_request(&self, number: u64) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let pull = self
                .http
                .get(&self.path(&format!("/pulls/{number}")))
                .await?;
            self.taken(pull).await
        })
    }

    fn open<'a>(&'a self, wanted: &'a NewPullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let body = json!({
                "head": wanted.head,
                "base": wanted.base,
                "title": wanted.title,
                "body": wanted.text,
            });
            let made = self
                .http
                .write(Method::POST, &self.path("/pulls"), &body)
                .await?;
            self.taken(made).await
        })
    }

    fn edit<'a>(&'a self, number: u64, title: &'a str, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/pulls/{number}"));
            let body = json!({"title": title, "body": text});
            self.http.tell(Method::PATCH, &path, &body).await
        })
    }

    fn close(&self, number: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/pulls/{number}"));
            let body = json!({"state": "closed"});
            self.http.tell(Method::PATCH, &path, &body).await
        })
    }

    fn own_comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        Box::pin(async move {
            let me: User = self.http.get("/user").await?;
            let path = self.path(&format!("/issues/{number}/comments"));
            let notes: Vec<Note> = self.http.list(&path).await?;
            let own = notes.into_iter().filter(|note| {
                let user = note.user.as_ref();
                user.is_some_and(|user| user.login == me.login)
            });
            Ok(own
                .map(|note| Comment {
                    id: note.id,
                    text: note.body,
                })
                .collect())
        })
    }

    fn comment<'a>(&'a self, number: u64, text: &'a str) -> Answer<'a, Comment> {
        Box::pin(async move {
            let path = self.path(&format!("/issues/{number}/comments"));
            let body = json!({"body": text});
            let note: Note = self.http.write(Method::POST, &path, &body).await?;
            Ok(Comment {
                id: note.id,
                text: note.body,
            })
        })
    }

    fn edit_comment<'a>(&'a self, _number: u64, id: u64, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/issues/comments/{id}"));
            let body = json!({"body": text});
            self.http.tell(Method::PATCH, &path, &body).await
        })
    }

    fn delete_comment(&self, _number: u64, id: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/issues/comments/{id}"));
            self.http.remove(&path).await
        })
    }

    fn statuses<'a>(&'a self, revision: &'a Revision) -> Answer<'a, Vec<CommitStatus>> {
        Box::pin(async move {
            let path = self.path(&format!("/commits/{revision}/statuses?limit=50"));
            let found: Vec<Status> = self.http.list(&path).await?;
            let found = newest(found, |status| (status.id, status.context.clone()));
            Ok(found.into_iter().filter_map(Status::taken).collect())
        })
    }

    fn set_status<'a>(
        &'a self,
        revision: &'a Revision,
        status: &'a CommitStatus,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/statuses/{revision}"));
            let body = json!({
                "context": status.context,
                "state": state(status.state),
                "description": status.description,
                "target_url": status.url.as_deref().unwrap_or_default(),
            });
            self.http.tell(Method::POST, &path, &body).await
        })
    }

    fn deploy<'a>(&'a self, _deployment: &'a Deployment) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn head_ref(&self, number: u64) -> String {
        format!("refs/pull/{number}/head")
    }

    fn comment_limit(&self) -> usize {
        COMMENT
    }
}

impl Pull {
    /// Older versions know none once its branch is gone.
    fn has_head(&self) -> bool {
        !self.head.sha.is_empty()
    }
}

impl Status {
    fn taken(self) -> Option<CommitStatus> {
        Some(CommitStatus {
            context: self.context,
            state: read_state(&self.state)?,
            description: self.description,
            url: Some(self.target_url).filter(|url| !url.is_empty()),
        })
    }
}

/// As Gitea and GitHub write it.
pub(super) fn state(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
    }
}

/// `None` for one that the agent never sets.
pub(super) fn read_state(text: &str) -> Option<StatusState> {
    match text {
        "pending" => Some(StatusState::Pending),
        "success" => Some(StatusState::Success),
        "failure" => Some(StatusState::Failure),
        _ => None,
    }
}
