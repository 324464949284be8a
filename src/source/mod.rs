//! The environment repository: a bare mirror of it in the data directory, followed
//! commit by commit.
//!
//! Git is libgit2's, its connections are not: over HTTP they are our own client's, over SSH
//! those of the system's `ssh` ([`Remote`]).

mod approvals;
mod auth;
mod blame;
mod checkout;
mod commit;
mod commits;
mod exchange;
mod follow;
mod grafts;
mod growth;
mod in_the_way;
mod merge;
mod mirror;
mod objects;
mod patterns;
mod problem;
mod remote;
mod roots;
#[cfg(test)]
pub(crate) mod scratch;
mod stamp;
mod state;
mod transport;
pub mod tree;
mod url;
pub mod verify;
mod watch;

pub(crate) use mirror::{directory_name, remove};
pub(crate) use objects::{copy, has_many_packs, loose, reached, write_pack};
pub(crate) use problem::explain;
pub(crate) use remote::Sent;

pub use approvals::{Approved, Claim, approvals};
pub use auth::{Credentials, CredentialsError, HttpLogin, PASSPHRASE, SshLogin};
pub use blame::{BlameError, Blamed, blame};
pub use checkout::{Checkout, CheckoutError, commit, descends, is_next, resolve};
pub(crate) use checkout::{oddity, revision};
pub(crate) use commits::{contains, first_parents, read as read_commit, related, tree_of};
pub use follow::{Follow, Follower, Waker};
pub use merge::{Merge, MergeError, Merged, Pull, Pulls};
pub use mirror::Mirror;
pub use problem::{SourceProblem, is_absence};
pub use remote::Remote;
pub use roots::{Roots, roots};
pub use state::SourceState;
pub use url::{RepoUrl, Transport, UrlError};

/// How much of a pack is mapped at once, and of all packs together, in bytes. Left alone
/// libgit2 maps whole packs, up to gigabytes.
const PACK_WINDOW: usize = 1024 * 1024;
const PACK_WINDOWS: usize = 16 * 1024 * 1024;

/// Git's own configuration can't be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "Git's configuration can't be read: {}; mend the file, or set HOME to a directory without one",
    .0.message()
)]
pub struct ConfigurationError(git2::Error);

/// Sets what libgit2 keeps for the whole process. Call it first in `main`, before
/// any other thread exists.
///
/// # Errors
/// When Git's configuration can't be read: no repository can be opened then.
///
/// Ownership of repositories is not checked: a data directory on a volume belongs to
/// whoever made the volume, and a repository given by path was named by the operator.
#[expect(
    unsafe_code,
    reason = "libgit2's process-wide settings; sound while no other thread uses it"
)]
pub fn init() -> Result<(), ConfigurationError> {
    // What it has parsed would be kept by every repository that stays open, as the record's
    // does, up to 256 MiB; here nothing is read twice for that to be worth it.
    git2::opts::enable_caching(false);
    // SAFETY: the caller has started no thread that uses libgit2 yet.
    unsafe {
        git2::opts::set_mwindow_size(PACK_WINDOW)
            .and_then(|()| git2::opts::set_mwindow_mapped_limit(PACK_WINDOWS))
            .and_then(|()| git2::opts::set_verify_owner_validation(false))
            .and_then(|()| git2::Config::open_default())
            .map_err(ConfigurationError)?;
    }
    Ok(())
}
