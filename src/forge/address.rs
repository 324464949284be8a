//! Which forge serves a repository, and where its API is.

use std::fmt;
use std::str::FromStr;

use crate::model::Revision;
use crate::source::{RepoUrl, Transport};

/// The forges that the agent talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    /// Gitea and Forgejo.
    Gitea,
    /// GitHub, also GitHub Enterprise.
    GitHub,
    /// GitLab, also on one's own servers.
    GitLab,
}

/// A repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeAddress {
    /// Which forge.
    pub kind: ForgeKind,
    /// Where people find it, such as `https://git.example.com`, without a slash at the end.
    pub web: String,
    /// The repository there, such as `team/deploy`; on GitLab groups may be nested.
    pub repository: String,
}

/// Why it is not known where a forge is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a name of a forge.
    #[error("`{0}` is not a forge that is known; it is one of gitea, github, gitlab")]
    Kind(String),
    /// The address of the forge is not that of a web server.
    #[error("the forge's address `{0}` is not of the form https://HOST[/PATH]")]
    Url(String),
    /// The repository is a directory.
    #[error("the repository {0} is on a disk; a forge serves one at https:// or ssh://")]
    Local(String),
    /// There is no owner and name.
    #[error(
        "the repository {0} is not of the form HOST/OWNER/NAME, as repositories of a forge are"
    )]
    Path(String),
}

/// Hosts whose forge is known.
const KNOWN: [(&str, ForgeKind); 4] = [
    ("github.com", ForgeKind::GitHub),
    ("gitlab.com", ForgeKind::GitLab),
    ("codeberg.org", ForgeKind::Gitea),
    ("gitea.com", ForgeKind::Gitea),
];

impl ForgeAddress {
    /// The forge of a repository: as said, else by its host. `None` where nothing is said
    /// and the host is no known forge's.
    ///
    /// # Errors
    /// When what is said does not fit the repository.
    pub fn of(
        url: &RepoUrl,
        kind: Option<ForgeKind>,
        web: Option<&str>,
    ) -> Result<Option<Self>, AddressError> {
        let host = match url.transport() {
            Transport::Http { host } | Transport::Ssh { host, .. } => host,
            Transport::Local(_) if kind.is_none() => return Ok(None),
            Transport::Local(_) => return Err(AddressError::Local(url.to_string())),
        };
        let known = KNOWN
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(host));
        let Some(kind) = kind.or_else(|| known.map(|(_, kind)| *kind)) else {
            return Ok(None);
        };
        let text = url.to_string();
        let own = origin(&text, host);
        let web = match web {
            Some(web) => given(web)?,
            None => own,
        };
        let path = path(&text).ok_or_else(|| AddressError::Path(text.clone()))?;
        // A forge that is served below a path has that in its repositories' addresses.
        let below = web.splitn(4, '/').nth(3).unwrap_or_default();
        let path = path
            .strip_prefix(below)
            .filter(|_| !below.is_empty())
            .map_or(path, |rest| rest.trim_start_matches('/'));
        let parts = path.split('/');
        let fine = parts.clone().all(plain)
            && match kind {
                ForgeKind::GitLab => parts.count() >= 2,
                ForgeKind::Gitea | ForgeKind::GitHub => parts.count() == 2,
            };
        if !fine {
            return Err(AddressError::Path(text));
        }
        Ok(Some(Self {
            kind,
            web,
            repository: path.to_owned(),
        }))
    }

    /// Where the API is, without a slash at the end.
    pub fn api(&self) -> String {
        let web = &self.web;
        match self.kind {
            ForgeKind::Gitea => format!("{web}/api/v1"),
            ForgeKind::GitHub if web == "https://github.com" => "https://api.github.com".to_owned(),
            ForgeKind::GitHub => format!("{web}/api/v3"),
            ForgeKind::GitLab => format!("{web}/api/v4"),
        }
    }

    /// The host, with its port if it is not the usual one.
    pub fn host(&self) -> String {
        self.web.split('/').nth(2).unwrap_or_default().to_owned()
    }

    /// Where people look at the repository.
    pub fn home(&self) -> String {
        format!("{}/{}", self.web, self.repository)
    }

    /// Where people look at a commit.
    pub fn commit_url(&self, revision: &Revision) -> String {
        let between = match self.kind {
            ForgeKind::Gitea | ForgeKind::GitHub => "",
            ForgeKind::GitLab => "/-",
        };
        format!("{}{between}/commit/{revision}", self.home())
    }
}

/// What may be in an owner's or a repository's name: nothing that means something in a URL.
fn plain(part: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    !part.is_empty() && part != "." && part != ".." && part.chars().all(fine)
}

/// Scheme, host and port of an address over HTTP; over SSH the web server's are guessed.
fn origin(text: &str, host: &str) -> String {
    match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let authority = rest.split('/').next().unwrap_or(host);
            format!("{scheme}://{authority}")
        }
        _ => format!("https://{host}"),
    }
}

fn given(web: &str) -> Result<String, AddressError> {
    let trimmed = web.trim_end_matches('/');
    let rest = trimmed
        .strip_prefix("https://")
        .or_else(|| trimmed.strip_prefix("http://"));
    let fine = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', ' '])
    });
    if fine {
        Ok(trimmed.to_owned())
    } else {
        // It may hold a password.
        let shown = web.rsplit('@').next().unwrap_or_default();
        Err(AddressError::Url(shown.to_owned()))
    }
}

/// The path without a slash at either end and without `.git`.
fn path(text: &str) -> Option<&str> {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => text.rsplit_once(':')?.1,
    };
    let path = path.trim_matches('/');
    Some(path.strip_suffix(".git").unwrap_or(path))
}

impl FromStr for ForgeKind {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.to_ascii_lowercase().as_str() {
            "gitea" | "forgejo" => Ok(Self::Gitea),
            "github" => Ok(Self::GitHub),
            "gitlab" => Ok(Self::GitLab),
            _ => Err(AddressError::Kind(text.to_owned())),
        }
    }
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gitea => "Gitea",
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn of(
        url: &str,
        kind: Option<ForgeKind>,
        web: Option<&str>,
    ) -> Result<Option<ForgeAddress>, AddressError> {
        ForgeAddress::of(&url.parse().unwrap(), kind, web)
    }

    fn found(url: &str) -> (ForgeKind, String, String) {
        let address = of(url, None, None).unwrap().unwrap();
        (address.kind, address.api(), address.repository)
    }

    #[test]
    fn well_known_hosts_say_which_forge_it_is() {
        let github = (
            ForgeKind::GitHub,
            "https://api.github.com".to_owned(),
            "team/deploy".to_owned(),
        );
        for url in [
            "https://github.com/team/deploy.git",
            "https://x-access-token:secret@github.com/team/deploy/",
            "git@github.com:team/deploy.git",
            "ssh://git@github.com/team/deploy",
        ] {
            assert_eq!(found(url), github, "{url}");
        }
        let gitlab = found("git@gitlab.com:group/below/deploy.git");
        assert_eq!(gitlab.1, "https://gitlab.com/api/v4");
        assert_eq!(gitlab.2, "group/below/deploy");
        let revision: Revision = "a".repeat(40).parse().unwrap();
        let at = |url| of(url, None, None).unwrap().unwrap().commit_url(&revision);
        let project = "https://gitlab.com/group/deploy";
        assert_eq!(at(project), format!("{project}/-/commit/{revision}"));
        let repository = "https://github.com/team/deploy";
        assert_eq!(at(repository), format!("{repository}/commit/{revision}"));
        assert_eq!(
            found("https://codeberg.org/team/deploy").1,
            "https://codeberg.org/api/v1"
        );
        assert_eq!(
            of("https://git.example.com/team/deploy", None, None),
            Ok(None)
        );
        assert_eq!(of("/srv/deploy.git", None, None), Ok(None));
    }

    #[test]
    fn any_other_host_is_said() {
        let gitea = Some(ForgeKind::Gitea);
        let address = of("http://127.0.0.1:3000/team/deploy.git", gitea, None)
            .unwrap()
            .unwrap();
        assert_eq!(address.api(), "http://127.0.0.1:3000/api/v1");
        assert_eq!(address.home(), "http://127.0.0.1:3000/team/deploy");
        let address = of(
            "git@git.example.com:team/deploy",
            Some(ForgeKind::GitHub),
            None,
        )
        .unwrap()
        .unwrap();
        assert_eq!(address.api(), "https://git.example.com/api/v3");
        // Below a path, and with SSH on another port.
        let web = Some("https://example.com/git/");
        let address = of("https://example.com/git/team/deploy.git", gitea, web)
            .unwrap()
            .unwrap();
        assert_eq!(address.api(), "https://example.com/git/api/v1");
        assert_eq!(address.repository, "team/deploy");
        let address = of("ssh://git@example.com:2222/team/deploy.git", gitea, web)
            .unwrap()
            .unwrap();
        assert_eq!(
            (address.repository.as_str(), address.host().as_str()),
            ("team/deploy", "example.com")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let gitea = Some(ForgeKind::Gitea);
        assert!(matches!(
            of("/srv/deploy.git", gitea, None),
            Err(AddressError::Local(_))
        ));
        assert!(matches!(
            of("https://git.example.com/deploy", gitea, None),
            Err(AddressError::Path(_))
        ));
        assert!(matches!(
            of("https://github.com/a/b/c", None, None),
            Err(AddressError::Path(_))
        ));
        assert!(matches!(
            of("https://github.com/a/..", None, None),
            Err(AddressError::Path(_))
        ));
        let refused = of(
            "https://git.example.com/a/b",
            gitea,
            Some("ftp://user:secret@host"),
        );
        assert!(!refused.unwrap_err().to_string().contains("secret"));
        assert!("svn".parse::<ForgeKind>().is_err());
    }
}
