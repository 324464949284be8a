//! Approvals that stand in commit messages.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Oid, Repository};

use super::checkout::CheckoutError;
use super::commits::{self, Content, Walk};
use crate::model::{Digest, EnvironmentName, Revision};

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
    /// Plans, by digest.
    pub plans: BTreeSet<Digest>,
    /// Histories that are gone on from, by their first commit.
    pub sources: BTreeSet<Revision>,
    /// Environments whose objects are taken over.
    pub environments: BTreeSet<EnvironmentName>,
}

impl Approved {
    /// What either approves.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.plans.extend(other.plans);
        self.sources.extend(other.sources);
        self.environments.extend(other.environments);
        self
    }

    /// Reads what a message approves: by trailers alone, which are its last paragraph. A
    /// merge carries text of whoever wrote the pull request, and what is told there in
    /// passing approves nothing.
    fn read(&mut self, message: &str) {
        let lines = message.trim_end().lines().rev();
        for line in lines.take_while(|line| !line.trim().is_empty()) {
            let plan = line.strip_prefix(PLAN).map(str::trim);
            let plan = plan.and_then(|digest| Digest::try_from(digest.to_owned()).ok());
            let source = line.strip_prefix(SOURCE).map(str::trim);
            self.plans.extend(plan);
            let environment = line.strip_prefix(ENVIRONMENT).map(str::trim);
            self.environments
                .extend(environment.and_then(|name| name.parse().ok()));
            self.sources
                .extend(source.and_then(|root| root.parse().ok()));
        }
    }
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
    for walked in Walk::from(&opened, [tip]).map_err(failed)?.take(REACH) {
        match walked.content {
            Content::Tree(_) => {}
            // Nobody can say what it means.
            Content::Odd(_) | Content::Absent => continue,
        }
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is of one lifetime alone"
        )]
        let message = commits::read(&opened, walked.id, |commit| commit.message());
        approved.read(&message.map_err(failed)?);
    }
    Ok(approved)
}
