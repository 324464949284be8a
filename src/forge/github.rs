//! GitHub, by its REST API of 2022-11-28.

mod wire;

use http::{HeaderName, HeaderValue, Method};
use serde_json::json;

use self::wire::{Branch, Combined, Deployed, Note, Permission, Pull, Status, User};
use super::address::{ForgeAddress, ForgeKind};
use super::error::ForgeError;
use super::gitea::state;
use super::http::{Http, encoded};
use super::token::ForgeToken;
use super::types::{
    Author, Closed, Comment, CommitStatus, Deployment, Head, NewPullRequest, PullRequest,
    PullState, Standing, StatusState,
};
use super::{Answer, Forge};
use crate::model::Revision;
use crate::runtime::net::Tls;

/// GitHub's limit on the text of an issue or a comment, less some for a marker.
const COMMENT: usize = 65_000;

static HEADERS: [(HeaderName, HeaderValue); 1] = [(
    HeaderName::from_static("x-github-api-version"),
    HeaderValue::from_static("2022-11-28"),
)];

/// A repository on GitHub.
pub(super) struct GitHub {
    http: Http,
    address: ForgeAddress,
    /// Such as `/repos/team/deploy`.
    repo: String,
}

/// Whose comments are the token's.
enum Own {
    /// A person's token.
    User(String),
    /// An app's token may not ask who it is. Its comments are a bot's, and no other bot
    /// writes our marker.
    Bot,
}

impl GitHub {
    pub(super) fn new(
        address: &ForgeAddress,
        token: ForgeToken,
        tls: &Tls,
    ) -> Result<Self, ForgeError> {
        Ok(Self {
            http: Http::new(address, (token, tls), &HEADERS)?,
            address: address.clone(),
            repo: format!("/repos/{}", address.repository),
        })
    }

    fn path(&self, below: &str) -> String {
        format!("{}{below}", self.repo)
    }

    async fn taken(&self, pull: Pull) -> Result<PullRequest, ForgeError> {
        let repo = |branch: &Branch| branch.repo.as_ref().map(|repo| repo.id);
        let fork = repo(&pull.head).is_none() || repo(&pull.head) != repo(&pull.base);
        let standing = if self.belongs(&pull, fork).await? {
            Standing::Member
        } else {
            Standing::Stranger
        };
        let revision = pull.head.sha.parse();
        let revision = revision.map_err(|error| self.http.unclear(&self.repo, &error))?;
        let state = match pull.state.as_str() {
            _ if pull.merged_at.is_some() => PullState::Merged(Closed {
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
                name: pull.user.map(|user| user.login).unwrap_or_default(),
                standing,
            },
            head: Head {
                revision,
                fork,
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

    /// Whether the author is one of the repository's. GitHub's own word for it leaves out
    /// who is a member of the organisation in private, and apps; of those whose head is in
    /// the repository it is asked what they may do there.
    ///
    /// <https://docs.github.com/en/graphql/reference/enums#commentauthorassociation>
    async fn belongs(&self, pull: &Pull, fork: bool) -> Result<bool, ForgeError> {
        let known = matches!(
            pull.author_association.as_str(),
            "OWNER" | "MEMBER" | "COLLABORATOR"
        );
        let Some(user) = pull.user.as_ref().filter(|_| !known && !fork) else {
            return Ok(known);
        };
        // An app opens a pull request only where it was installed.
        if user.kind == "Bot" {
            return Ok(true);
        }
        let user = encoded(&user.login);
        let path = self.path(&format!("/collaborators/{user}/permission"));
        match self.http.get::<Permission>(&path).await {
            Ok(found) => Ok(matches!(found.permission.as_str(), "write" | "admin")),
            Err(ForgeError::NotFound { .. } | ForgeError::Forbidden { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn owner(&self) -> &str {
        self.address
            .repository
            .split('/')
            .next()
            .unwrap_or_default()
    }

    async fn own(&self) -> Result<Own, ForgeError> {
        match self.http.get::<User>("/user").await {
            Ok(user) => Ok(Own::User(user.login)),
            Err(ForgeError::Forbidden { .. }) => Ok(Own::Bot),
            Err(error) => Err(error),
        }
    }

    /// The deployment of a revision, which is made where it is not there yet.
    async fn deployment(&self, wanted: &Deployment) -> Result<u64, ForgeError> {
        let (environment, revision) = (&wanted.environment, &wanted.revision);
        let path = self.path(&format!(
            "/deployments?environment={environment}&sha={revision}&per_page=1"
        ));
        let known: Vec<Deployed> = self.http.get(&path).await?;
        if let Some(known) = known.first() {
            return Ok(known.id);
        }
        let body = json!({
            "ref": revision,
            "environment": environment,
            "description": "by gitops-agent",
            "auto_merge": false,
            "required_contexts": [],
        });
        let path = self.path("/deployments");
        let made: Deployed = self.http.write(Method::POST, &path, &body).await?;
        Ok(made.id)
    }
}

impl Forge for GitHub {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GitHub
    }

    fn open_pull_requests<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let path = self.path("/pulls?state=open&sort=created&direction=asc&per_page=100");
            let mut pulls: Vec<Pull> = self.http.list(&path).await?;
            pulls.retain(|pull| pull.base.name == base);
            pulls.sort_by_key(|pull| pull.number);
            self.all(pulls).await
        })
    }

    fn pull_requests_from<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let (owner, head) = (self.owner(), encoded(branch));
            let path = format!("/pulls?state=all&head={owner}:{head}&per_page=100");
            let mut pulls: Vec<Pull> = self.http.list(&self.path(&path)).await?;
            pulls.retain(|pull| pull.head.name == branch);
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
            let own = self.own().await?;
            let path = self.path(&format!("/issues/{number}/comments?per_page=100"));
            let notes: Vec<Note> = self.http.list(&path).await?;
            let ours = notes.into_iter().filter(|note| match (&note.user, &own) {
                (Some(user), Own::User(name)) => user.login == *name,
                (Some(user), Own::Bot) => user.kind == "Bot",
                (None, _) => false,
            });
            Ok(ours.map(Note::taken).collect())
        })
    }

    fn comment<'a>(&'a self, number: u64, text: &'a str) -> Answer<'a, Comment> {
        Box::pin(async move {
            let path = self.path(&format!("/issues/{number}/comments"));
            let body = json!({"body": text});
            let note: Note = self.http.write(Method::POST, &path, &body).await?;
            Ok(note.taken())
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
            let path = self.path(&format!("/commits/{revision}/status?per_page=100"));
            let found: Combined = self.http.get(&path).await?;
            let known = found.statuses.into_iter();
            Ok(known.filter_map(Status::taken).collect())
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
                "target_url": status.url,
            });
            self.http.tell(Method::POST, &path, &body).await
        })
    }

    fn deploy<'a>(&'a self, deployment: &'a Deployment) -> Answer<'a, ()> {
        Box::pin(async move {
            let id = self.deployment(deployment).await?;
            let state = match deployment.state {
                StatusState::Pending => "in_progress",
                StatusState::Success => "success",
                StatusState::Failure => "failure",
            };
            let body = json!({
                "state": state,
                "description": deployment.description,
                "log_url": deployment.url,
                "auto_inactive": true,
            });
            let path = self.path(&format!("/deployments/{id}/statuses"));
            self.http.tell(Method::POST, &path, &body).await
        })
    }

    fn head_ref(&self, number: u64) -> String {
        format!("refs/pull/{number}/head")
    }

    fn comment_limit(&self) -> usize {
        COMMENT
    }
}
