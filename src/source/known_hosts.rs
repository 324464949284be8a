//! Whether an SSH server is who the operator says: OpenSSH's `known_hosts`, strictly.
//!
//! The file's form is that of sshd(8): patterns with `*`, `?` and `!`, `[host]:port`,
//! hashed names (`|1|salt|hash`), `@revoked`. There is no trust on first use.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::patterns;

/// Why a host's key is not accepted. Each says the key's fingerprint as
/// `ssh-keygen -l` prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// No line for this host.
    #[error(
        "host {host} is not in {file}; its {kind} key is {fingerprint}; if that is right, add this line to {file}: {line}"
    )]
    Unknown {
        /// The host, with its port unless it is 22.
        host: String,
        /// The file.
        file: String,
        /// Such as `ssh-ed25519`.
        kind: String,
        /// `SHA256:…`.
        fingerprint: String,
        /// What to add.
        line: String,
    },
    /// Another key of this kind is on file: a new server, or somebody in between.
    #[error(
        "host {host} answers with another {kind} key than the one in {file}:{number}: {fingerprint}; somebody may be in between; if the host's key was changed on purpose, replace that line"
    )]
    Changed {
        /// The host, with its port unless it is 22.
        host: String,
        /// The file.
        file: String,
        /// The line with the other key, from 1.
        number: usize,
        /// Such as `ssh-ed25519`.
        kind: String,
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// The key is marked `@revoked`.
    #[error("host {host} answers with a key that {file}:{number} revokes: {fingerprint}")]
    Revoked {
        /// The host, with its port unless it is 22.
        host: String,
        /// The file.
        file: String,
        /// The line that revokes it, from 1.
        number: usize,
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// The file can't be read.
    #[error("the known_hosts file {file} can't be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The server's key did not come in a form that can be compared.
    #[error("host {host} gave no key that can be compared")]
    NoKey {
        /// The host.
        host: String,
    },
}

/// A server's key as it presented it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostKey<'a> {
    /// Such as `ssh-ed25519`.
    pub kind: &'a str,
    /// In the wire's form.
    pub blob: &'a [u8],
}

impl HostKey<'_> {
    fn fingerprint(&self) -> String {
        format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(self.blob))
        )
    }
}

/// Whether a file's text vouches for the key. `file` is its name, for messages.
pub(super) fn check(
    text: &str,
    file: &str,
    (host, port): (&str, u16),
    key: HostKey<'_>,
) -> Result<(), HostKeyError> {
    let name = lookup_name(host, port);
    let encoded = STANDARD.encode(key.blob);
    let lines = text.lines().enumerate();
    let known: Vec<Line<'_>> = lines
        .filter_map(|(at, line)| Line::parse(at + 1, line))
        .filter(|line| line.matches(&name))
        .collect();
    let same = |line: &&Line<'_>| line.key == encoded;
    let (file, fingerprint) = (file.to_owned(), key.fingerprint());
    if let Some(line) = known.iter().filter(same).find(|line| line.revoked) {
        return Err(HostKeyError::Revoked {
            host: name,
            file,
            number: line.number,
            fingerprint,
        });
    }
    if known.iter().any(|line| same(&line)) {
        return Ok(());
    }
    let kind = key.kind.to_owned();
    let other = known
        .iter()
        .find(|line| line.kind == key.kind && !line.revoked);
    Err(match other {
        Some(line) => HostKeyError::Changed {
            host: name,
            file,
            number: line.number,
            kind,
            fingerprint,
        },
        None => HostKeyError::Unknown {
            line: format!("{name} {kind} {encoded}"),
            host: name,
            file,
            kind,
            fingerprint,
        },
    })
}

/// OpenSSH names a host on another port than 22 `[host]:port`.
fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

struct Line<'a> {
    number: usize,
    revoked: bool,
    hosts: &'a str,
    kind: &'a str,
    key: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for an empty line, a comment, a certificate authority, or nonsense.
    fn parse(number: usize, line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut hosts = words.next()?;
        if hosts.starts_with('#') || hosts == "@cert-authority" {
            return None;
        }
        let revoked = hosts == "@revoked";
        if revoked {
            hosts = words.next()?;
        }
        Some(Self {
            number,
            revoked,
            hosts,
            kind: words.next()?,
            key: words.next()?,
        })
    }

    fn matches(&self, name: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return hashed_matches(hashed, name).unwrap_or(false);
        }
        patterns::in_list(&self.hosts.to_ascii_lowercase(), name)
    }
}

fn hashed_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}

#[cfg(test)]
mod tests;
