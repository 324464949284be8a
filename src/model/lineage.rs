//! Which history of commits something was made from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Revision;

/// A history, known by its first commit: that stays when the repository moves or a branch
/// is rewritten, and no two repositories that were begun apart have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// Its first commit.
    pub root: Revision,
    /// The branch that had it when it was first followed.
    pub branch: String,
    /// The repository that had it then, without credentials.
    pub repository: String,
}

/// Text that names no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no history: a commit, a branch and a repository are expected")]
pub struct LineageError(String);

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            root,
            branch,
            repository,
        } = self;
        let root = root.short();
        write!(
            f,
            "the history of {repository}, branch {branch}, that begins with commit {root}"
        )
    }
}

impl Lineage {
    /// The one line that [`FromStr`] reads.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.root, self.branch, self.repository)
    }
}

impl FromStr for Lineage {
    type Err = LineageError;
    fn from_str(text: &str) -> Result<Self, LineageError> {
        let parts: Vec<&str> = text.splitn(3, ' ').collect();
        let wrong = || LineageError(text.to_owned());
        let [root, branch, repository] = parts[..] else {
            return Err(wrong());
        };
        Ok(Self {
            root: root.parse().map_err(|_| wrong())?,
            branch: branch.to_owned(),
            repository: repository.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back() {
        let text = format!("{} main /srv/my repositories/deploy.git", "a".repeat(40));
        let lineage: Lineage = text.parse().expect("it is one");
        assert_eq!(lineage.repository, "/srv/my repositories/deploy.git");
        assert_eq!(lineage.line(), text);
        for wrong in ["", "main", "abc main url"] {
            assert!(wrong.parse::<Lineage>().is_err(), "{wrong}");
        }
    }
}
