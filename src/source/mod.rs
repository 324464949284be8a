//! The environment repository: a bare mirror of it in the data directory, followed
//! commit by commit.
//!
//! Git is libgit2's. Its rules that shape this module: timeouts are global
//! ([`init`]), the credentials callback is called again until it fails, and a host
//! key is checked by nobody but us.

mod approvals;
mod auth;
mod blame;
mod checkout;
mod follow;
mod known_hosts;
mod merge;
mod mirror;
mod objects;
mod patterns;
mod problem;
mod remote;
#[cfg(test)]
pub(crate) mod scratch;
mod state;
pub mod tree;
mod url;
pub mod verify;
mod watch;

pub(crate) use mirror::{directory_name, remove};
pub(crate) use objects::{copy, has_many_packs, loose, write_pack};
pub(crate) use problem::explain;
pub(crate) use remote::Sent;

pub use approvals::approvals;
pub use auth::{Credentials, CredentialsError, HttpLogin, SshLogin};
pub use blame::{BlameError, blame};
pub(crate) use checkout::revision;
pub use checkout::{Checkout, CheckoutError, commit, resolve};
pub use follow::{Follow, Follower, Waker};
pub use known_hosts::HostKeyError;
pub use merge::{Merge, MergeError, Merged, Pull, Pulls};
pub use mirror::Mirror;
pub use problem::SourceProblem;
pub use remote::Remote;
pub use state::SourceState;
pub use url::{RepoUrl, Transport, UrlError};

/// How long to wait for a connection, in milliseconds.
const CONNECT_TIMEOUT_MS: i32 = 10_000;

/// How long to wait for a server that says nothing, in milliseconds.
const SERVER_TIMEOUT_MS: i32 = 30_000;

/// Sets what libgit2 keeps for the whole process. Call it first in `main`, before
/// any other thread exists.
///
/// Ownership of repositories is not checked: a data directory on a volume belongs to
/// whoever made the volume, and a repository given by path was named by the operator.
#[expect(
    unsafe_code,
    reason = "libgit2's process-wide settings; sound while no other thread uses it"
)]
pub fn init() -> Result<(), git2::Error> {
    // What it has parsed would be kept by every repository that stays open, as the record's
    // does, up to 256 MiB; here nothing is read twice for that to be worth it.
    git2::opts::enable_caching(false);
    // SAFETY: the caller has started no thread that uses libgit2 yet.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT_TIMEOUT_MS)?;
        git2::opts::set_server_timeout_in_milliseconds(SERVER_TIMEOUT_MS)?;
        git2::opts::set_verify_owner_validation(false)
    }
}
