//! Entries signed with an SSH key, so that a reader can tell the agent's from those of
//! somebody else who can push: `git log --show-signature` with the public key in
//! `gpg.ssh.allowedSignersFile`.
//!
//! As `git commit -S` does it with `gpg.format=ssh` (OpenSSH's PROTOCOL.sshsig): over the
//! commit without the header `gpgsig`, in the namespace `git`, by SHA-512.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use git2::{Commit, Oid, Repository, Signature, Tree};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};

/// A private key that entries are signed with. It has a `Debug` that shows its
/// fingerprint.
#[derive(Clone)]
pub struct SigningKey(Arc<PrivateKey>);

/// A signing key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// A file that can't be read.
    #[error("the record's signing key can't be had: {path} can't be read")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No private key, or a damaged one.
    #[error(
        "{path} is no private key in the format of OpenSSH; make one with `ssh-keygen -t ed25519`"
    )]
    Format {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: ssh_key::Error,
    },
    /// An encrypted key without a passphrase.
    #[error("the signing key {path} is encrypted; name a file with its passphrase")]
    Encrypted {
        /// The file.
        path: String,
    },
    /// A wrong passphrase.
    #[error("the passphrase does not open the signing key {path}")]
    Passphrase {
        /// The file.
        path: String,
    },
    /// A kind of key that can't sign here.
    #[error(
        "the signing key {path} is of kind {kind}, which can't be signed with here; make one with `ssh-keygen -t ed25519`"
    )]
    Kind {
        /// The file.
        path: String,
        /// The kind.
        kind: String,
    },
}

impl SigningKey {
    /// Reads a private key, and the file with its passphrase, if it has one.
    pub fn read(file: &Path, passphrase: Option<&Path>) -> Result<Self, SigningKeyError> {
        let path = file.display().to_string();
        let text = read(file)?;
        let mut key =
            PrivateKey::from_openssh(&text).map_err(|source| SigningKeyError::Format {
                path: path.clone(),
                source,
            })?;
        if key.is_encrypted() {
            let Some(passphrase) = passphrase else {
                return Err(SigningKeyError::Encrypted { path });
            };
            let opened = key.decrypt(read(passphrase)?.trim_end_matches(['\r', '\n']));
            key = opened.map_err(|_| SigningKeyError::Passphrase { path: path.clone() })?;
        }
        // A key in a device needs its owner's finger; and with RSA the library's
        // signatures can't be made (it takes one prime for both).
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(Self(Arc::new(key))),
            other => Err(SigningKeyError::Kind {
                path,
                kind: other.to_string(),
            }),
        }
    }

    fn sign(&self, content: &[u8]) -> Result<String, git2::Error> {
        let signature = self.0.sign("git", HashAlg::Sha512, content);
        signature
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|error| git2::Error::from_str(&format!("an entry can't be signed: {error}")))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.0.fingerprint(HashAlg::Sha256))
    }
}

/// What a commit is made of.
pub(crate) struct Draft<'a> {
    pub(crate) author: &'a Signature<'a>,
    pub(crate) committer: &'a Signature<'a>,
    pub(crate) message: &'a str,
    pub(crate) tree: &'a Tree<'a>,
    pub(crate) parents: &'a [&'a Commit<'a>],
}

impl Draft<'_> {
    /// Writes the commit, signed if there is a key. No branch moves.
    pub(crate) fn write(
        &self,
        repository: &Repository,
        key: Option<&SigningKey>,
    ) -> Result<Oid, git2::Error> {
        let Self {
            author,
            committer,
            message,
            tree,
            parents,
        } = self;
        let Some(key) = key else {
            return repository.commit(None, author, committer, message, tree, parents);
        };
        let content = repository.commit_create_buffer(author, committer, message, tree, parents)?;
        let content = std::str::from_utf8(&content)
            .map_err(|_| git2::Error::from_str("an entry that is no text can't be signed"))?;
        let signature = key.sign(content.as_bytes())?;
        repository.commit_signed(content, signature.trim_end(), None)
    }
}

fn read(file: &Path) -> Result<String, SigningKeyError> {
    std::fs::read_to_string(file).map_err(|source| SigningKeyError::Unreadable {
        path: file.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests;
