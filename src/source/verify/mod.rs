//! Whether a commit is signed by somebody who may: with an SSH key of an
//! `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS), or an OpenPGP key of a
//! keyring.
//!
//! Rules, which are those of `git verify-commit` wherever Git has one:
//! - Who can push must not be able to switch it off by pushing. So which keys count, and
//!   whether signatures are asked for at all, is said by whoever runs the agent, outside
//!   of the repository ([`Policy`]); or else by the last accepted revision about the next
//!   one, of which the first is trusted if it is good by its own word.
//! - Of an SSH signature the key decides; its principals are told and not compared with
//!   the committer, who is free text.
//! - Whether a key was valid is judged at the time that stands in the commit (SSH) or in
//!   the signature (OpenPGP): so what was signed before a key was replaced stays good.
//!   Who has stolen a key can write any time there, so a stolen one has to leave the
//!   list, or be revoked as compromised, upon which nothing that it signed is good.
//! - [`Mode::Head`] asks for the signature of the newest commit alone, which answers for
//!   all below it. [`Mode::SinceLast`] asks for that of every commit that is reachable
//!   from the newest and was not from the last accepted one, merges and both sides of
//!   them alike. Where no commit was accepted yet, it begins with the one that the
//!   operator names, else with the recorded one, else with this. A merge that a forge
//!   makes is no exception: its key has to be known.
//! - In [`Mode::SinceLast`] the newest commit has to contain the last accepted one, or the
//!   one that the operator names, as Guix asks of a channel. Else who may push and not
//!   sign could move the branch back to what was signed once, with the holes that it had.
//!   Who may sign can go any way by a merge of both. In [`Mode::Head`] that is not asked,
//!   as Flux and Argo CD do not: there the newest commit answers for itself.
//! - An OpenPGP signature by MD5, SHA-1 or RIPEMD-160 is none, nor is a key that is bound
//!   by such a one.

mod accepted;
mod allowed;
mod commit;
mod keys;
mod openpgp;
mod refused;
mod ssh;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;

use jiff::Timestamp;

use crate::model::Revision;

pub use crate::config::VerifyMode as Mode;
pub use keys::{Keys, KeysError};
pub use refused::Refusal;
pub use walk::{Policy, Verifier, VerifyError, refusal};

/// Who has signed a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key, such as `the SSH key SHA256:…`.
    pub key: String,
    /// Whose it is, by the list or the keyring.
    pub name: String,
}

/// Why a commit's signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// There is none.
    #[error("is not signed")]
    Unsigned,
    /// There is something else.
    #[error("has a signature that can't be read: {0}")]
    Unreadable(String),
    /// Signed by X.509.
    #[error("is signed by X.509, which is not supported; sign with an SSH or OpenPGP key")]
    X509,
    /// The key is not known.
    #[error("is signed with {0}, which is not among the keys that are trusted")]
    UnknownKey(String),
    /// The signature is of other content.
    #[error("is not what {0} has signed: the signature does not fit")]
    Mismatch(String),
    /// It is signed, and does not contain what was trusted last.
    #[error("leaves {} behind, the last commit that was trusted", .0.short())]
    LeavesBehind(Revision),
    /// The key is known, and is not good for this.
    #[error("is signed with {key}, which {fault}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// Why a known key's signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not yet valid.
    #[error("was not valid before {0}")]
    Early(Timestamp),
    /// No longer valid.
    #[error("had expired on {0}")]
    Expired(Timestamp),
    /// Taken back.
    #[error("is revoked{0}")]
    Revoked(&'static str),
    /// For something else.
    #[error("may not sign commits: its namespaces are `{0}`")]
    Namespaces(String),
    /// The signature was made for something else.
    #[error("has signed it for `{0}`, not for `git`")]
    OtherUse(String),
    /// It was made for encryption, say.
    #[error("is not for signing")]
    NotForSigning,
    /// Nothing binds it to its owner, or only something weak.
    #[error("has no valid signature of its own")]
    Unbound,
    /// A digest that can be forged.
    #[error("has signed it by {0}, which can be forged")]
    Weak(String),
}

impl Distrust {
    /// What is wrong with a key.
    fn of_key(key: &str) -> impl Fn(Fault) -> Self + Copy {
        move |fault| Self::Key {
            key: key.to_owned(),
            fault,
        }
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.key, self.name)
    }
}
