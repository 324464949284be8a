//! GitLab, by its REST API v4. A pull request is a merge request there.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::address::{ForgeAddress, ForgeKind};
use super::error::ForgeError;
use super::http::{Http, encoded};
use super::token::ForgeToken;
use super::types::{
    Author, Closed, Comment, CommitStatus, Deployment, Head, NewPullRequest, PullRequest,
    PullState, Standing, StatusState, newest,
};
use super::{Answer, Forge};
use crate::model::Revision;
use crate::runtime::net::Tls;

/// GitLab takes a million characters; nobody reads so many.
const COMMENT: usize = 200_000;

/// From this level on somebody may push (Developer).
const MAY_PUSH: u32 = 30;

/// A project on GitLab.
pub(super) struct GitLab {
    http: Http,
    /// Such as `/projects/team%2Fdeploy`.
    project: String,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct Request {
    iid: u64,
    title: String,
    web_url: String,
    author: User,
    state: String,
    merge_user: Option<User>,
    merged_by: Option<User>,
    merge_commit_sha: Option<String>,
    squash_commit_sha: Option<String>,
    /// The head; none where the source branch is gone or has no commits.
    sha: Option<String>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: u64,
}

#[derive(Deserialize)]
struct Member {
    access_level: u32,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    author: Option<User>,
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
struct Status {
    id: u64,
    name: String,
    #[serde(rename = "status")]
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct Deployed {
    id: u64,
    sha: String,
    status: String,
}

impl GitLab {
    pub(super) fn new(
        address: &ForgeAddress,
        token: ForgeToken,
        tls: &Tls,
    ) -> Result<Self, ForgeError> {
        let id = address.repository.replace('/', "%2F");
        Ok(Self {
            http: Http::new(address, (token, tls), &[])?,
            project: format!("/projects/{id}"),
        })
    }

    fn path(&self, below: &str) -> String {
        format!("{}{below}", self.project)
    }

    async fn taken(&self, request: Request) -> Result<PullRequest, ForgeError> {
        let revision = request.sha.unwrap_or_default().parse();
        let revision = revision.map_err(|error| self.http.unclear(&self.project, &error))?;
        let standing = self.standing(request.author.id).await?;
        let merged = request.merge_commit_sha.or(request.squash_commit_sha);
        let state = match request.state.as_str() {
            "merged" => PullState::Merged(Closed {
                by: request
                    .merge_user
                    .or(request.merged_by)
                    .map(|user| user.username),
                revision: merged.and_then(|sha| sha.parse().ok()),
            }),
            "closed" => PullState::Closed,
            _ => PullState::Open,
        };
        Ok(PullRequest {
            number: request.iid,
            title: request.title,
            url: request.web_url,
            author: Author {
                name: request.author.username,
                standing,
            },
            head: Head {
                revision,
                branch: request.source_branch,
                fork: request.source_project_id != Some(request.target_project_id),
            },
            base: request.target_branch,
            state,
        })
    }

    async fn all(&self, requests: Vec<Request>) -> Result<Vec<PullRequest>, ForgeError> {
        let mut all = Vec::new();
        for request in requests {
            all.push(self.taken(request).await?);
        }
        Ok(all)
    }

    /// A conditional request: one that has not changed costs GitLab little.
    async fn standing(&self, user: u64) -> Result<Standing, ForgeError> {
        let path = self.path(&format!("/members/all/{user}"));
        match self.http.get::<Member>(&path).await {
            Ok(member) if member.access_level >= MAY_PUSH => Ok(Standing::Member),
            Ok(_) | Err(ForgeError::NotFound { .. } | ForgeError::Forbidden { .. }) => {
                Ok(Standing::Stranger)
            }
            Err(error) => Err(error),
        }
    }
}

impl Forge for GitLab {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GitLab
    }

    fn open_pull_requests<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let path = "/merge_requests?state=opened&order_by=created_at&sort=asc&per_page=100";
            let mut requests: Vec<Request> = self.http.list(&self.path(path)).await?;
            requests.retain(|request| request.target_branch == base && request.sha.is_some());
            requests.sort_by_key(|request| request.iid);
            self.all(requests).await
        })
    }

    fn pull_requests_from<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>> {
        Box::pin(async move {
            let source = encoded(branch);
            let path = format!("/merge_requests?state=all&source_branch={source}&per_page=100");
            let mut requests: Vec<Request> = self.http.list(&self.path(&path)).await?;
            requests.retain(|request| {
                request.source_branch == branch
                    && request.sha.is_some()
                    && request.source_project_id == Some(request.target_project_id)
            });
            requests.sort_by_key(|request| std::cmp::Reverse(request.iid));
            self.all(requests).await
        })
    }

    fn pull_request(&self, number: u64) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let path = self.path(&format!("/merge_requests/{number}"));
            self.taken(self.http.get(&path).await?).await
        })
    }

    fn open<'a>(&'a self, wanted: &'a NewPullRequest) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let body = json!({
                "source_branch": wanted.head,
                "target_branch": wanted.base,
                "title": wanted.title,
                "description": wanted.text,
                "remove_source_branch": true,
            });
            let path = self.path("/merge_requests");
            let made = self.http.write(Method::POST, &path, &body).await?;
            self.taken(made).await
        })
    }

    fn edit<'a>(&'a self, number: u64, title: &'a str, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/merge_requests/{number}"));
            let body = json!({"title": title, "description": text});
            self.http.tell(Method::PUT, &path, &body).await
        })
    }

    fn close(&self, number: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/merge_requests/{number}"));
            let body = json!({"state_event": "close"});
            self.http.tell(Method::PUT, &path, &body).await
        })
    }

    fn own_comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        Box::pin(async move {
            let me: User = self.http.get("/user").await?;
            let path = format!("/merge_requests/{number}/notes?sort=asc&per_page=100");
            let notes: Vec<Note> = self.http.list(&self.path(&path)).await?;
            let own = notes.into_iter().filter(|note| {
                let author = note.author.as_ref();
                !note.system && author.is_some_and(|author| author.id == me.id)
            });
            Ok(own.map(Note::taken).collect())
        })
    }

    fn comment<'a>(&'a self, number: u64, text: &'a str) -> Answer<'a, Comment> {
        Box::pin(async move {
            let path = self.path(&format!("/merge_requests/{number}/notes"));
            let body = json!({"body": text});
            let note: Note = self.http.write(Method::POST, &path, &body).await?;
            Ok(note.taken())
        })
    }

    fn edit_comment<'a>(&'a self, number: u64, id: u64, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/merge_requests/{number}/notes/{id}"));
            let body = json!({"body": text});
            self.http.tell(Method::PUT, &path, &body).await
        })
    }

    fn delete_comment(&self, number: u64, id: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let path = self.path(&format!("/merge_requests/{number}/notes/{id}"));
            self.http.remove(&path).await
        })
    }

    fn statuses<'a>(&'a self, revision: &'a Revision) -> Answer<'a, Vec<CommitStatus>> {
        Box::pin(async move {
            // Without `all` each name comes once for each pipeline of the commit.
            let path = self.path(&format!(
                "/repository/commits/{revision}/statuses?per_page=100"
            ));
            let found: Vec<Status> = self.http.list(&path).await?;
            let found = newest(found, |status| (status.id, status.name.clone()));
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
                "name": status.context,
                "state": state(status.state),
                "description": status.description,
                "target_url": status.url,
            });
            match self.http.tell(Method::POST, &path, &body).await {
                // A status can't go from a state to the same one; its text stays then.
                Err(ForgeError::Refused { message, .. })
                    if message.contains("Cannot transition status") =>
                {
                    Ok(())
                }
                other => other,
            }
        })
    }

    fn deploy<'a>(&'a self, deployment: &'a Deployment) -> Answer<'a, ()> {
        Box::pin(async move {
            let (environment, revision) = (&deployment.environment, &deployment.revision);
            let path = self.path(&format!(
                "/deployments?environment={environment}&order_by=id&sort=desc&per_page=20"
            ));
            let known: Vec<Deployed> = self.http.get(&path).await?;
            let known = known
                .into_iter()
                .find(|known| known.sha == revision.as_str());
            let status = state(deployment.state);
            match known {
                Some(known) if known.status == status => Ok(()),
                Some(known) => {
                    let path = self.path(&format!("/deployments/{}", known.id));
                    let body = json!({"status": status});
                    self.http.tell(Method::PUT, &path, &body).await
                }
                None => {
                    let body = json!({
                        "environment": environment,
                        "sha": revision,
                        "ref": deployment.branch,
                        "tag": false,
                        "status": status,
                    });
                    let path = self.path("/deployments");
                    self.http.tell(Method::POST, &path, &body).await
                }
            }
        })
    }

    fn head_ref(&self, number: u64) -> String {
        format!("refs/merge-requests/{number}/head")
    }

    fn comment_limit(&self) -> usize {
        COMMENT
    }
}

/// As GitLab calls it, for commits and for deployments. A job that is `pending` waits for a
/// runner; what is under way is `running`.
fn state(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "running",
        StatusState::Success => "success",
        StatusState::Failure => "failed",
    }
}

impl Note {
    fn taken(self) -> Comment {
        Comment {
            id: self.id,
            text: self.body,
        }
    }
}

impl Status {
    fn taken(self) -> Option<CommitStatus> {
        let state = match self.state.as_str() {
            "pending" | "running" => StatusState::Pending,
            "success" => StatusState::Success,
            "failed" => StatusState::Failure,
            _ => return None,
        };
        Some(CommitStatus {
            context: self.name,
            state,
            description: self.description.unwrap_or_default(),
            url: self.target_url,
        })
    }
}
