//! Where a repository is. What prints it can't print a credential: those are split
//! off when it is read.
//!
//! Forms as in git-clone(1): `https://`, `http://`, `ssh://`, `[user@]host:path`,
//! `file://`, and a path.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::Redacted;

/// A repository's address without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoUrl {
    text: String,
    transport: Transport,
    userinfo: UserInfo,
}

/// A user, who may be a token, and a password.
type UserInfo = Option<(Redacted, Option<Redacted>)>;

/// How a repository is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// By `http://` or `https://`.
    Http {
        /// The host's name, without port.
        host: String,
    },
    /// By SSH.
    Ssh {
        /// The host's name, without port.
        host: String,
        /// The port, 22 where none is given.
        port: u16,
        /// The user to log in as, if the address names one.
        user: Option<String>,
    },
    /// On this machine's disk.
    Local(PathBuf),
}

/// Text that is no repository's address. Never shows the text itself, which may
/// hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing there.
    #[error("the repository's address is empty; give a URL or a path")]
    Empty,
    /// A scheme that isn't supported.
    #[error("repositories by `{0}://` are not supported; use https, http, ssh, file, or a path")]
    Scheme(String),
    /// No host, or a port that is no number.
    #[error("the repository's address has no valid host; write {0}")]
    Host(&'static str),
    /// A query or fragment, which Git doesn't know and which often holds a token.
    #[error("the repository's address has a query (`?` or `#`); give a token as a credential")]
    Query,
    /// A login in front of the host, where Git would read the user as a host and the
    /// password as a path.
    #[error(
        "the repository's address has a login and no scheme; write https://HOST/PATH, and give the login as a credential"
    )]
    Login,
    /// Control characters or a broken percent-encoding.
    #[error("the repository's address holds characters that don't belong there")]
    Characters,
}

impl RepoUrl {
    /// How it is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What libgit2 is to connect to: never with a password.
    pub fn connect_text(&self) -> &str {
        match &self.transport {
            Transport::Local(path) => path.to_str().unwrap_or(&self.text),
            Transport::Http { .. } | Transport::Ssh { .. } => &self.text,
        }
    }

    /// The user and password that were written into the address.
    pub fn userinfo(&self) -> Option<(&Redacted, Option<&Redacted>)> {
        let (user, password) = self.userinfo.as_ref()?;
        Some((user, password.as_ref()))
    }

    /// The path, where the repository is on this machine's disk.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.transport {
            Transport::Local(path) => Some(path),
            Transport::Http { .. } | Transport::Ssh { .. } => None,
        }
    }

    /// What an SSH server is asked for: a path from its root, or from the user's home.
    pub(super) fn ssh_path(&self) -> Option<String> {
        if !matches!(self.transport, Transport::Ssh { .. }) {
            return None;
        }
        let path = match self.text.strip_prefix("ssh://") {
            Some(rest) => {
                let path = decode(&rest[rest.find('/')?..]).ok()?;
                // As Git: a home is named without the slash before it.
                match path.strip_prefix("/~") {
                    Some(home) => format!("~{home}"),
                    None => path,
                }
            }
            None => scp_like(&self.text)?.1.to_owned(),
        };
        (!path.is_empty()).then_some(path)
    }

    /// The last component without `.git`, for names of files.
    pub fn short_name(&self) -> String {
        let last = self.text.trim_end_matches('/').rsplit(['/', ':']).next();
        let last = last.unwrap_or_default();
        let last = last.strip_suffix(".git").unwrap_or(last);
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name: String = last.chars().filter(plain).take(40).collect();
        if name.is_empty() {
            "repository".to_owned()
        } else {
            name
        }
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for RepoUrl {
    type Err = UrlError;
    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(UrlError::Characters);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            match scheme.to_ascii_lowercase().as_str() {
                scheme @ ("http" | "https") => http(scheme, rest),
                "ssh" | "git+ssh" | "ssh+git" => ssh(rest),
                "file" => file(rest),
                other => Err(UrlError::Scheme(scheme_name(other))),
            }
        } else if let Some((host, path)) = scp_like(text) {
            scp(host, path)
        } else {
            local(Path::new(text))
        }
    }
}

/// Text before `://` that is no scheme is not repeated: it may be anything.
fn scheme_name(scheme: &str) -> String {
    let fine = scheme.len() <= 16
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+');
    if fine { scheme } else { "…" }.to_owned()
}

fn http(scheme: &str, rest: &str) -> Result<RepoUrl, UrlError> {
    const FORM: &str = "https://HOST[:PORT]/PATH";
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, host_port) = split_userinfo(authority)?;
    if path.contains(['?', '#']) || host_port.contains(['?', '#']) {
        return Err(UrlError::Query);
    }
    let (host, _) = host_and_port(host_port).ok_or(UrlError::Host(FORM))?;
    Ok(RepoUrl {
        text: format!("{scheme}://{host_port}/{path}"),
        transport: Transport::Http { host },
        userinfo,
    })
}

fn ssh(rest: &str) -> Result<RepoUrl, UrlError> {
    const FORM: &str = "ssh://[USER@]HOST[:PORT]/PATH";
    let (authority, path) = rest.split_once('/').ok_or(UrlError::Host(FORM))?;
    let (userinfo, host_port) = split_userinfo(authority)?;
    let (host, port) = host_and_port(host_port).ok_or(UrlError::Host(FORM))?;
    let user = userinfo.as_ref().map(|(user, _)| user.expose().to_owned());
    let at = user.as_ref().map(|user| format!("{user}@"));
    Ok(RepoUrl {
        text: format!("ssh://{}{host_port}/{path}", at.unwrap_or_default()),
        transport: Transport::Ssh {
            host,
            port: port.unwrap_or(22),
            user,
        },
        userinfo,
    })
}

/// As Git decides: a colon before the first slash makes it a host.
fn scp_like(text: &str) -> Option<(&str, &str)> {
    let bracket = text.find("]:").map(|at| at + 1);
    let colon = bracket.or_else(|| text.find(':'))?;
    let (host, path) = (&text[..colon], &text[colon + 1..]);
    (!host.contains('/')).then_some((host, path))
}

fn scp(host: &str, path: &str) -> Result<RepoUrl, UrlError> {
    const FORM: &str = "[USER@]HOST:PATH";
    if path
        .split('/')
        .next()
        .is_some_and(|first| first.contains('@'))
    {
        return Err(UrlError::Login);
    }
    let (user, host) = match host.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, host),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let (name, port) = host_and_port(inner.unwrap_or(host)).ok_or(UrlError::Host(FORM))?;
    let user_is_plain = user.as_ref().is_none_or(|user| !user.contains(':'));
    if path.is_empty() || !user_is_plain {
        return Err(UrlError::Host(FORM));
    }
    let at = user.as_ref().map(|user| format!("{user}@"));
    Ok(RepoUrl {
        text: format!("{}{host}:{path}", at.unwrap_or_default()),
        transport: Transport::Ssh {
            host: name,
            port: port.unwrap_or(22),
            user: user.clone(),
        },
        userinfo: None,
    })
}

fn file(rest: &str) -> Result<RepoUrl, UrlError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(UrlError::Host("file:///PATH"));
    }
    local(Path::new(&decode(path)?))
}

fn local(path: &Path) -> Result<RepoUrl, UrlError> {
    let path = std::path::absolute(path).map_err(|_| UrlError::Characters)?;
    let text = path.to_str().ok_or(UrlError::Characters)?.to_owned();
    Ok(RepoUrl {
        text,
        transport: Transport::Local(path),
        userinfo: None,
    })
}

fn split_userinfo(authority: &str) -> Result<(UserInfo, &str), UrlError> {
    let Some((userinfo, host)) = authority.rsplit_once('@') else {
        return Ok((None, authority));
    };
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(Redacted::new(decode(password)?))),
        None => (userinfo, None),
    };
    Ok((Some((Redacted::new(decode(user)?), password)), host))
}

/// `host`, `host:port`, `[::1]:port`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

fn decode(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let byte = tail.get(..2).and_then(|digits| hex::decode(digits).ok());
        bytes.extend(byte.ok_or(UrlError::Characters)?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Characters)
}

#[cfg(test)]
mod tests;
