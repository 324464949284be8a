//! What forges have in common.

use std::collections::BTreeMap;

use crate::model::{EnvironmentName, Revision, cut, shown};

/// The longest description of a status that every forge takes, in characters (GitHub's).
const DESCRIPTION: usize = 140;

/// A pull request (GitLab: merge request).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Its title, as somebody wrote it.
    pub title: String,
    /// Where people look at it.
    pub url: String,
    /// Who opened it.
    pub author: Author,
    /// What is to be merged.
    pub head: Head,
    /// The branch that it is to be merged into.
    pub base: String,
    /// Whether it still is.
    pub state: PullState,
}

/// Who opened a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The login.
    pub name: String,
    /// What the author may do in the repository.
    pub standing: Standing,
}

/// Whether somebody belongs to the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An owner, a member of its organisation, or somebody who may write to it.
    Member,
    /// Anybody else, and whoever the token may not ask about.
    Stranger,
}

/// What a pull request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its newest commit.
    pub revision: Revision,
    /// The branch.
    pub branch: String,
    /// Whether it lies outside the repository, so that its author needs no right in it.
    pub fork: bool,
}

/// How far a pull request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullState {
    /// It can be merged.
    Open,
    /// It was merged.
    Merged(Closed),
    /// It was closed and not merged.
    Closed,
}

/// How a pull request was merged, as far as the forge tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// The login of whoever did it.
    pub by: Option<String>,
    /// The commit on the base branch.
    pub revision: Option<Revision>,
}

/// A pull request to be opened, from one branch of the repository onto another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    /// The branch with the change.
    pub head: String,
    /// The branch that it is for.
    pub base: String,
    /// The title.
    pub title: String,
    /// The text, in Markdown.
    pub text: String,
}

/// A comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id on the forge.
    pub id: u64,
    /// Its text, in Markdown.
    pub text: String,
}

/// A status of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// What it is about, such as `agent/staging`: a newer one takes its place.
    pub context: String,
    /// How it is.
    pub state: StatusState,
    /// A line for people.
    pub description: String,
    /// Where there is more.
    pub url: Option<String>,
}

/// How what a status is about went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    /// It is under way.
    Pending,
    /// It went well.
    Success,
    /// It did not.
    Failure,
}

/// What became of a revision in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The environment.
    pub environment: EnvironmentName,
    /// What is deployed.
    pub revision: Revision,
    /// The branch that it is on.
    pub branch: String,
    /// How it is.
    pub state: StatusState,
    /// A line for people.
    pub description: String,
    /// Where there is more.
    pub url: Option<String>,
}

impl CommitStatus {
    /// A status whose description every forge takes: one line, cut where it is too long.
    pub fn new(
        context: String,
        state: StatusState,
        description: &str,
        url: Option<String>,
    ) -> Self {
        Self {
            context,
            state,
            description: one_line(description),
            url,
        }
    }
}

/// The newest of each context, told by its id: an older one may stay in the list.
pub(super) fn newest<S>(found: Vec<S>, of: impl Fn(&S) -> (u64, String)) -> Vec<S> {
    let mut newest: BTreeMap<String, (u64, S)> = BTreeMap::new();
    for status in found {
        let (id, context) = of(&status);
        if newest.get(&context).is_none_or(|(before, _)| *before < id) {
            newest.insert(context, (id, status));
        }
    }
    newest.into_values().map(|(_, status)| status).collect()
}

/// The first line of a text, cut to what a description may have.
fn one_line(text: &str) -> String {
    let line = shown(text.lines().next().unwrap_or_default());
    cut(&line, DESCRIPTION).into_owned()
}
