//! The forge that serves the environment repository: its pull requests, their comments,
//! commit statuses and deployments. Gitea (and Forgejo), GitHub and GitLab.
//!
//! What comes from there is what other people wrote: numbers and hashes are parsed, text
//! is shown only through what escapes it. A request that was refused says when it makes
//! sense to try again, and nothing is sent before a rate limit is over.

mod address;
mod answer;
mod comment;
mod error;
mod gitea;
mod github;
mod gitlab;
mod http;
mod limits;
mod token;
mod types;
pub mod webhook;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use address::{AddressError, ForgeAddress, ForgeKind};
pub use comment::{Kept, Section, keep_comment};
pub use error::{ForgeError, Retry};
pub use token::ForgeToken;
pub use types::{
    Author, Closed, Comment, CommitStatus, Deployment, Head, NewPullRequest, PullRequest,
    PullState, Standing, StatusState,
};

use crate::model::Revision;
use crate::runtime::net::Tls;

/// What a request comes to.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ForgeError>>;

/// One repository on a forge.
///
/// # Errors
/// Every request may fail; [`ForgeError::retry`] says when to try again.
pub trait Forge: Send + Sync {
    /// Which forge it is.
    fn kind(&self) -> ForgeKind;

    /// The open pull requests onto a branch, by number.
    fn open_pull_requests<'a>(&'a self, base: &'a str) -> Answer<'a, Vec<PullRequest>>;

    /// The pull requests from a branch of the repository itself, in any state, the newest
    /// first.
    fn pull_requests_from<'a>(&'a self, branch: &'a str) -> Answer<'a, Vec<PullRequest>>;

    /// One pull request.
    fn pull_request(&self, number: u64) -> Answer<'_, PullRequest>;

    /// Opens a pull request.
    fn open<'a>(&'a self, wanted: &'a NewPullRequest) -> Answer<'a, PullRequest>;

    /// Gives a pull request another title and text.
    fn edit<'a>(&'a self, number: u64, title: &'a str, text: &'a str) -> Answer<'a, ()>;

    /// Closes a pull request without merging it.
    fn close(&self, number: u64) -> Answer<'_, ()>;

    /// The comments on a pull request that the token's own user has written, oldest first.
    fn own_comments(&self, number: u64) -> Answer<'_, Vec<Comment>>;

    /// Writes a comment.
    fn comment<'a>(&'a self, number: u64, text: &'a str) -> Answer<'a, Comment>;

    /// Gives a comment another text.
    fn edit_comment<'a>(&'a self, number: u64, id: u64, text: &'a str) -> Answer<'a, ()>;

    /// Removes a comment; one that is gone already is no error.
    fn delete_comment(&self, number: u64, id: u64) -> Answer<'_, ()>;

    /// The newest status of each context on a commit.
    fn statuses<'a>(&'a self, revision: &'a Revision) -> Answer<'a, Vec<CommitStatus>>;

    /// Sets a status on a commit.
    fn set_status<'a>(&'a self, revision: &'a Revision, status: &'a CommitStatus)
    -> Answer<'a, ()>;

    /// Tells how far a deployment is. Gitea knows no deployments: nothing is done there.
    fn deploy<'a>(&'a self, deployment: &'a Deployment) -> Answer<'a, ()>;

    /// The ref of the repository under which a pull request's head can be fetched, wherever
    /// it comes from.
    fn head_ref(&self, number: u64) -> String;

    /// How many characters a comment may have.
    fn comment_limit(&self) -> usize;
}

/// A client for a repository. Sends nothing yet.
///
/// # Errors
/// When no TLS can be had, or a proxy's address can't be read.
pub fn connect(
    address: &ForgeAddress,
    token: ForgeToken,
    tls: &Tls,
) -> Result<Arc<dyn Forge>, ForgeError> {
    Ok(match address.kind {
        ForgeKind::Gitea => Arc::new(gitea::Gitea::new(address, token, tls)?),
        ForgeKind::GitHub => Arc::new(github::GitHub::new(address, token, tls)?),
        ForgeKind::GitLab => Arc::new(gitlab::GitLab::new(address, token, tls)?),
    })
}
