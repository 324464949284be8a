//! Approvals that stand in commit messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{Oid, Repository};

use super::checkout::{self, CheckoutError};
use super::commits::{self, Content, Walk};
use crate::model::{Digest, EnvironmentName, Revision, SourceCommit};

/// The trailer that approves a plan by its digest.
const PLAN: &str = "Approve-Plan:";
/// The trailer that lets a repository go on with what was applied from another history,
/// by the first commit of that.
const SOURCE: &str = "Adopt-Source:";
/// The trailer that lets an environment take the place of another one.
const ENVIRONMENT: &str = "Adopt-Environment:";
/// How far back an approval may lie, in commits.
const REACH: usize = 100;

/// What commits approve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approved {
    /// Plans, by digest, each with the first commit that approves it.
    pub plans: BTreeMap<Digest, SourceCommit>,
    /// What the newest commit, and what it merges, say that they approve.
    pub claims: Vec<Claim>,
    /// Histories that are gone on from, by their first commit.
    pub sources: BTreeSet<Revision>,
    /// Environments whose objects are taken over.
    pub environments: BTreeSet<EnvironmentName>,
}

/// What a commit says that it approves: one trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The commit.
    pub commit: SourceCommit,
    /// What stands where a plan's digest belongs.
    pub text: String,
}

impl Approved {
    /// The digests of the plans.
    pub fn digests(&self) -> BTreeSet<Digest> {
        self.plans.keys().copied().collect()
    }

    /// What either approves.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.plans.extend(other.plans);
        self.claims.extend(other.claims);
        self.sources.extend(other.sources);
        self.environments.extend(other.environments);
        self
    }

    /// Reads what a message approves but for plans, and gives back what stands where a
    /// plan's digest belongs.
    fn read(&mut self, message: &str) -> Vec<String> {
        let mut plans = Vec::new();
        for line in trailers(message) {
            plans.extend(line.strip_prefix(PLAN).map(|plan| plan.trim().to_owned()));
            let source = line.strip_prefix(SOURCE).map(str::trim);
            let environment = line.strip_prefix(ENVIRONMENT).map(str::trim);
            self.environments
                .extend(environment.and_then(|name| name.parse().ok()));
            self.sources
                .extend(source.and_then(|root| root.parse().ok()));
        }
        plans
    }
}

/// The trailers of a message alone, which are its last paragraph. A merge carries text of
/// whoever wrote the pull request, and what is told there in passing approves nothing.
fn trailers(message: &str) -> impl Iterator<Item = &str> {
    let lines = message.trim_end().lines().rev();
    lines.take_while(|line| !line.trim().is_empty())
}

/// What the last commits up to a revision approve. A commit that can't be read approves
/// nothing, and is no end: those below it are looked at, as far as they are here.
///
/// # Errors
/// When the repository can't be read.
pub fn approvals(repository: &Path, revision: &Revision) -> Result<Approved, CheckoutError> {
    let failed = |source| CheckoutError::Read {
        revision: revision.clone(),
        path: repository.display().to_string(),
        source,
    };
    let opened = Repository::open(repository).map_err(failed)?;
    let tip = Oid::from_str(revision.as_str()).map_err(failed)?;
    let mut approved = Approved::default();
    let mut newest = BTreeSet::from([tip]);
    for walked in Walk::from(&opened, [tip]).map_err(failed)?.take(REACH) {
        match walked.content {
            Content::Tree(_) => {}
            // Nobody can say what it means.
            Content::Odd(_) | Content::Absent => continue,
        }
        if walked.id == tip {
            newest.extend(walked.parents.iter().skip(1));
        }
        let read = commits::read(&opened, walked.id, |raw| {
            let plans = approved.read(&raw.message());
            (!plans.is_empty()).then(|| (plans, checkout::source_commit(walked.id, raw)))
        });
        let Some((plans, commit)) = read.map_err(failed)? else {
            continue;
        };
        for text in plans {
            // From the newest on, so that the first one stays.
            if let Ok(digest) = Digest::try_from(text.clone()) {
                approved.plans.insert(digest, commit.clone());
            }
            if newest.contains(&walked.id) {
                let commit = commit.clone();
                approved.claims.push(Claim { commit, text });
            }
        }
    }
    Ok(approved)
}
