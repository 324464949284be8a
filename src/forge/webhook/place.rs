//! Whether a hint is about the branch that is followed.

use super::{Hint, News};

/// The repository and the branch that are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: String,
    branch: String,
}

/// What to do about a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The branch may have moved.
    Fetch,
    /// Pull requests may have changed.
    PullRequests,
    /// It is about another repository.
    OtherRepository,
    /// It is about other branches.
    OtherBranch,
    /// It is about nothing that could change anything here.
    Nothing,
}

impl Place {
    /// From the repository's address, without credentials, and the branch's name.
    pub fn new(address: &str, branch: &str) -> Self {
        Self {
            path: path(address),
            branch: branch.to_owned(),
        }
    }

    /// What a hint means here.
    pub fn judge(&self, hint: &Hint) -> Verdict {
        if let Some(named) = &hint.repository
            && !self.is(named)
        {
            return Verdict::OtherRepository;
        }
        match &hint.news {
            News::Branches(branches) if branches.contains(&self.branch) => Verdict::Fetch,
            News::Branches(branches) if branches.is_empty() => Verdict::Nothing,
            News::Branches(_) => Verdict::OtherBranch,
            News::SomeBranch => Verdict::Fetch,
            News::PullRequests => Verdict::PullRequests,
            News::Nothing => Verdict::Nothing,
        }
    }

    /// Hosts are not compared: a forge often has another name inside of a cluster than
    /// outside, and another port for ssh. Nor is what stands before the path that the
    /// forge gives it, which may be served below one. To take another one's for ours
    /// costs one question to the repository.
    fn is(&self, named: &str) -> bool {
        let named = path(named);
        let before = self.path.strip_suffix(named.as_str());
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    }
}

/// The path in an address or a full name, in the one spelling that is compared.
fn path(address: &str) -> String {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => match address.split_once(':') {
            Some((host, path)) if !host.contains('/') => path,
            _ => address,
        },
    };
    let path = path.trim_matches('/').to_lowercase();
    path.strip_suffix(".git").unwrap_or(&path).to_owned()
}
