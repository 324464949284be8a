//! Credentials for a repository, and how libgit2 is given them.

use std::path::{Path, PathBuf};

use git2::{Cred, CredentialType, ErrorClass, ErrorCode};

use super::url::{RepoUrl, Transport};
use crate::model::Redacted;

/// The user under which a token is given where none is named. GitHub demands this
/// one for its apps' tokens; GitLab, Gitea and Forgejo take any.
const TOKEN_USER: &str = "x-access-token";

/// What to log in with. Plain data: who reads flags and the environment fills it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// For `http(s)://`; without it, those in the address, if any.
    pub http: Option<HttpLogin>,
    /// For SSH.
    pub ssh: Option<SshLogin>,
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
}

/// A private key, and whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshLogin {
    /// The private key's file.
    pub key: PathBuf,
    /// For an encrypted key.
    pub passphrase: Option<Redacted>,
    /// The hosts that may answer, in the form of OpenSSH; any other is refused.
    pub known_hosts: PathBuf,
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
    /// The server asked for them after it sent us elsewhere.
    #[error("it redirects to another host, {host}, which won't be given the credentials")]
    Redirected {
        /// The other host.
        host: String,
    },
}

impl Credentials {
    pub(super) fn ssh_login(&self) -> Result<&SshLogin, CredentialsError> {
        self.ssh.as_ref().ok_or(CredentialsError::Missing {
            hint: "give a private key and a known_hosts file",
        })
    }
}

impl HttpLogin {
    fn read(&self) -> Result<(String, Redacted), CredentialsError> {
        match self {
            Self::Given { username, secret } => {
                let user = username.as_deref().unwrap_or(TOKEN_USER);
                Ok((user.to_owned(), secret.clone()))
            }
            Self::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &Path) -> Result<(String, Redacted), CredentialsError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| CredentialsError::Unreadable {
        path: shown(),
        reason: error.to_string(),
    })?;
    let line = text.trim();
    if line.is_empty() {
        return Err(CredentialsError::EmptyFile { path: shown() });
    }
    let (user, secret) = line.split_once(':').unwrap_or((TOKEN_USER, line));
    Ok((user.to_owned(), Redacted::new(secret)))
}

/// The credentials of one connection. libgit2 asks again after each refusal, for
/// ever; so each kind is given once, and the second time why is kept and it ends.
pub(super) struct Offer<'a> {
    url: &'a RepoUrl,
    credentials: &'a Credentials,
    given: bool,
}

impl<'a> Offer<'a> {
    pub(super) fn new(url: &'a RepoUrl, credentials: &'a Credentials) -> Self {
        Self {
            url,
            credentials,
            given: false,
        }
    }

    /// Answers libgit2's question.
    pub(super) fn answer(
        &mut self,
        asked_for: &str,
        user: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Result<Cred, CredentialsError>, git2::Error> {
        match self.url.transport() {
            Transport::Http { host } => self.http(host, asked_for),
            Transport::Ssh { user: named, .. } => {
                let user = named.as_deref().or(user).unwrap_or("git");
                if allowed.contains(CredentialType::USERNAME) {
                    return Cred::username(user).map(Ok);
                }
                self.ssh(user)
            }
            Transport::Local(_) => Err(refused()),
        }
    }

    fn http(
        &mut self,
        host: &str,
        asked_for: &str,
    ) -> Result<Result<Cred, CredentialsError>, git2::Error> {
        if let Some(other) = other_host(host, asked_for) {
            return Ok(Err(CredentialsError::Redirected { host: other }));
        }
        if self.given {
            let kind = "user and token or password";
            return Ok(Err(CredentialsError::Refused { kind }));
        }
        self.given = true;
        match self.http_login() {
            Ok((user, secret)) => Cred::userpass_plaintext(&user, secret.expose()).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    fn http_login(&self) -> Result<(String, Redacted), CredentialsError> {
        if let Some(login) = &self.credentials.http {
            return login.read();
        }
        match self.url.userinfo() {
            Some((user, Some(password))) => Ok((user.expose().to_owned(), password.clone())),
            Some((token, None)) => Ok((TOKEN_USER.to_owned(), token.clone())),
            None => Err(CredentialsError::Missing {
                hint: "give a token, or a user and password, in a file or the environment",
            }),
        }
    }

    fn ssh(&mut self, user: &str) -> Result<Result<Cred, CredentialsError>, git2::Error> {
        let login = match self.credentials.ssh_login() {
            Ok(login) => login,
            Err(error) => return Ok(Err(error)),
        };
        if self.given {
            let kind = "SSH key";
            return Ok(Err(CredentialsError::Refused { kind }));
        }
        self.given = true;
        if let Err(error) = std::fs::File::open(&login.key) {
            return Ok(Err(CredentialsError::Unreadable {
                path: login.key.display().to_string(),
                reason: error.to_string(),
            }));
        }
        let passphrase = login.passphrase.as_ref().map(Redacted::expose);
        Cred::ssh_key(user, None, &login.key, passphrase).map(Ok)
    }
}

/// The host that asks, if it isn't the one that was addressed.
fn other_host(host: &str, asked_for: &str) -> Option<String> {
    let asking = asked_for.parse::<RepoUrl>().ok()?;
    match asking.transport() {
        Transport::Http { host: other } if other != host => Some(other.clone()),
        _ => None,
    }
}

/// What ends libgit2's asking.
pub(super) fn refused() -> git2::Error {
    git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, "no credentials left")
}

#[cfg(test)]
mod tests;
