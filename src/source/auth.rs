//! Credentials for a repository.

use std::path::{Path, PathBuf};

use super::url::RepoUrl;
use crate::model::Redacted;
use crate::runtime::net::Tls;

/// The user under which a token is given where none is named. GitHub demands this
/// one for its apps' tokens; GitLab, Gitea and Forgejo take any.
const TOKEN_USER: &str = "x-access-token";

/// The variable with the passphrase of an SSH key.
pub const PASSPHRASE: &str = "AGENT_GIT_SSH_PASSPHRASE";

/// What to log in with. Plain data: who reads flags and the environment fills it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// For `http(s)://`; without it, those in the address, if any.
    pub http: Option<HttpLogin>,
    /// For SSH.
    pub ssh: SshLogin,
    /// For `https://`: whom to trust, and our own certificate.
    pub tls: Tls,
}

/// A token, or a user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpLogin {
    /// As given.
    Given {
        /// Left out with a token.
        username: Option<String>,
        /// The token or password.
        secret: Redacted,
    },
    /// In a file that holds a token or `user:password`, read again at each
    /// connection, so that a rotated one is taken up.
    File(PathBuf),
    /// A user, and a file with the password alone, read as often.
    PasswordFile {
        /// Left out where the server takes any.
        username: Option<String>,
        /// The file.
        file: PathBuf,
    },
}

/// A private key, and whom to trust. What is left out is as OpenSSH has it: its agent, its
/// configuration, its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshLogin {
    /// The private key's file.
    pub key: Option<PathBuf>,
    /// For an encrypted key.
    pub passphrase: Option<Redacted>,
    /// The hosts that may answer; any other is refused.
    pub known_hosts: Option<PathBuf>,
}

/// Credentials that can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A file that can't be read.
    #[error("the credentials file {path} can't be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A file with nothing in it.
    #[error("the credentials file {path} is empty; write a token or `user:password` into it")]
    EmptyFile {
        /// The file.
        path: String,
    },
    /// The server wants some, and there are none.
    #[error("it asks for credentials and none are configured; {hint}")]
    Missing {
        /// What to configure.
        hint: &'static str,
    },
    /// The server did not take them.
    #[error("it refused the {kind} that it was given")]
    Refused {
        /// What kind of credential it was.
        kind: &'static str,
    },
    /// The server did not take them, and said so in its own words.
    #[error("{words}")]
    NotTaken {
        /// What it said.
        words: String,
    },
    /// A key that nobody can read.
    #[error(
        "the key {path} is encrypted and there is no passphrase for it; set {PASSPHRASE}, or put the key into an agent"
    )]
    NoPassphrase {
        /// The key's file.
        path: String,
    },
    /// A passphrase of another key.
    #[error("the passphrase in {PASSPHRASE} is not that of the key {path}")]
    WrongPassphrase {
        /// The key's file.
        path: String,
    },
    /// The server asked for them after it sent us elsewhere.
    #[error(
        "it redirects to another place, {host}, which won't be given the credentials; if that is right, give the repository's address there"
    )]
    Redirected {
        /// The other place: scheme, host and port.
        host: String,
    },
}

impl Credentials {
    /// The user and the secret for HTTP, as they are now: those that were configured, else
    /// those in the address.
    pub(super) fn http_login(&self, url: &RepoUrl) -> Result<(String, Redacted), CredentialsError> {
        if let Some(login) = &self.http {
            return login.read();
        }
        match url.userinfo() {
            Some((user, Some(password))) => Ok((user.expose().to_owned(), password.clone())),
            Some((token, None)) => Ok((TOKEN_USER.to_owned(), token.clone())),
            None => Err(CredentialsError::Missing {
                hint: "give a token, or a user and password, in a file or the environment",
            }),
        }
    }
}

impl HttpLogin {
    fn read(&self) -> Result<(String, Redacted), CredentialsError> {
        let user = |name: &Option<String>| name.as_deref().unwrap_or(TOKEN_USER).to_owned();
        match self {
            Self::Given { username, secret } => Ok((user(username), secret.clone())),
            Self::PasswordFile { username, file } => {
                Ok((user(username), Redacted::new(read_line(file)?)))
            }
            Self::File(path) => {
                let line = read_line(path)?;
                let line = line.trim();
                let (user, secret) = line.split_once(':').unwrap_or((TOKEN_USER, line));
                Ok((user.to_owned(), Redacted::new(secret)))
            }
        }
    }
}

impl SshLogin {
    /// What keeps the key from being used, if anything here does.
    pub(super) fn obstacle(&self) -> Option<CredentialsError> {
        let path = self.key.as_ref()?.display().to_string();
        let text = match self.read() {
            Ok(text) => text?,
            Err(error) => return Some(error),
        };
        let key = ssh_key::PrivateKey::from_openssh(&text).ok();
        let encrypted = key.as_ref().map_or_else(
            // The older form says so in its head, and is opened by whoever uses it.
            || text.contains("ENCRYPTED"),
            ssh_key::PrivateKey::is_encrypted,
        );
        match (&self.passphrase, key) {
            _ if !encrypted => None,
            (None, _) => Some(CredentialsError::NoPassphrase { path }),
            (Some(passphrase), Some(key)) if key.decrypt(passphrase.expose()).is_err() => {
                Some(CredentialsError::WrongPassphrase { path })
            }
            (Some(_), _) => None,
        }
    }

    /// The text of the key, where there is one.
    pub(super) fn read(&self) -> Result<Option<String>, CredentialsError> {
        let Some(path) = &self.key else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path);
        text.map(Some)
            .map_err(|error| CredentialsError::Unreadable {
                path: path.display().to_string(),
                reason: error.to_string(),
            })
    }
}

/// What stands in a file, without the end of its line.
fn read_line(path: &Path) -> Result<String, CredentialsError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| CredentialsError::Unreadable {
        path: shown(),
        reason: error.to_string(),
    })?;
    if text.trim().is_empty() {
        return Err(CredentialsError::EmptyFile { path: shown() });
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests;
