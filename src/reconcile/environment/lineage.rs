//! Whose environment this is: what is live was made from one history of commits, and a
//! revision of another one neither changes nor deletes it until somebody says so. A wrong
//! `--repo`, or a second team's repository under the same name, would else delete it all.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;

use super::reading::{Reading, Unread};
use super::{Environment, Event, Purpose};
use crate::model::{Lineage, Revision, SourceCommit, chain};
use crate::source::{self, Roots};

/// The repository and branch that are followed, as people are told of them.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The repository's address, without credentials.
    pub repository: String,
    /// The branch.
    pub branch: String,
}

/// A revision that was read, and of which it is not known yet whether it goes on from what
/// was applied.
pub(super) struct Descent {
    pub(super) source: SourceCommit,
    pub(super) purpose: Purpose,
    pub(super) reading: Reading,
}

/// How far back a history is gone after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Down to a commit of which it is known where its history begins.
    Near,
    /// To its first commits.
    Whole,
}

impl Environment {
    /// Begins to find out where the history of a revision that was read begins.
    pub(super) fn descend(&mut self, read: Box<Descent>, depth: Depth) {
        let near = match depth {
            Depth::Near => self.near(),
            Depth::Whole => None,
        };
        let (repository, revision) = (self.repository.clone(), read.source.revision.clone());
        self.tasks.spawn(async move {
            let found = move || source::roots(&repository, &revision, near.as_ref());
            let roots = match tokio::task::spawn_blocking(found).await {
                Ok(roots) => roots.map_err(|error| chain(&error)),
                Err(error) => Err(error.to_string()),
            };
            Event::Descended { read, depth, roots }
        });
    }

    /// Makes a revision the one that is enforced if it goes on from what was applied last, by
    /// the inventories and by the record, or says so itself.
    pub(super) fn descended(
        &mut self,
        read: Box<Descent>,
        depth: Depth,
        roots: Result<Roots, String>,
    ) {
        let bound = self.bound();
        let adopted = &read.reading.approved.sources;
        let strange = |roots: &Roots| roots.strange(bound.values(), adopted).cloned();
        let judged = match roots {
            Ok(roots)
                if depth == Depth::Near && (bound.is_empty() || strange(&roots).is_some()) =>
            {
                return self.descend(read, Depth::Whole);
            }
            Ok(roots) => {
                if let Some(other) = strange(&roots) {
                    Err(Unread::Strange(self.estrangement(&other, &roots)))
                } else {
                    self.go_on(roots, &bound);
                    Ok(read.reading)
                }
            }
            Err(problem) => Err(Unread::Again(problem)),
        };
        self.judged(read.source, read.purpose, judged);
    }

    /// Takes in the history that is enforced from now on.
    fn go_on(&mut self, roots: Roots, bound: &BTreeMap<Revision, Lineage>) {
        let same = bound.values().find(|it| roots.found.contains(&it.root));
        let lineage = same.cloned().or_else(|| self.lineage_of(&roots));
        if let (Some(lineage), false) = (&lineage, bound.is_empty() || same.is_some()) {
            info!(environment = %self.context.environment, "what was applied from another history is gone on with from {lineage}, as the repository says");
        }
        self.lineage = lineage;
        self.roots = Some(roots);
    }

    /// Reads what is enforced again where the inventories could be read only after it was
    /// taken up: units may have left, and be of another history. Until that is known
    /// nothing of it is done.
    pub(super) fn doubt(&mut self) {
        let (bound, none) = (self.bound(), BTreeSet::new());
        let roots = self.roots.as_ref();
        let goes_on = roots.is_some_and(|roots| roots.strange(bound.values(), &none).is_none());
        if !goes_on {
            for unit in self.units.values() {
                if let Some(running) = &unit.running {
                    running.cancel();
                }
            }
            self.units.clear();
        }
        let enforced = if goes_on {
            self.target.enforced().cloned()
        } else {
            self.target.doubt()
        };
        if let Some(enforced) = enforced.filter(|_| !self.declaring) {
            self.declare(enforced, Purpose::Head);
        }
    }

    /// The histories that what is here was applied from, by their first commits.
    fn bound(&self) -> BTreeMap<Revision, Lineage> {
        let inventories = self.inventories.all();
        let inventories = inventories.filter_map(|(_, inventory)| inventory.source.as_ref());
        let recorded = self.journal.status().ties.source.as_ref();
        let all = inventories.chain(recorded);
        all.map(|it| (it.root.clone(), it.clone())).collect()
    }

    /// A commit close by of which it is known where its history begins: the one that is
    /// enforced, else the recorded one.
    fn near(&self) -> Option<Roots> {
        let status = self.journal.status();
        let recorded = || {
            Some(Roots {
                of: status.revision.clone()?,
                found: BTreeSet::from([status.ties.source.as_ref()?.root.clone()]),
                first: None,
                cut: false,
            })
        };
        self.roots.clone().or_else(recorded)
    }

    /// The history that begins there; `None` where the rest of it is not here, since what
    /// is the first commit in a shallow clone is another one in the next.
    fn lineage_of(&self, roots: &Roots) -> Option<Lineage> {
        let root = roots.first.clone().filter(|_| !roots.cut)?;
        Some(Lineage {
            root,
            branch: self.followed.branch.clone(),
            repository: self.followed.repository.clone(),
        })
    }

    /// In words, that a revision does not go on from what was applied.
    fn estrangement(&self, other: &Lineage, roots: &Roots) -> String {
        let environment = &self.context.environment;
        let Followed { repository, branch } = &self.followed;
        let begins = match roots.first.as_ref().filter(|_| !roots.cut) {
            Some(root) => format!(", whose history begins with commit {}", root.short()),
            None => ", of whose history a part is not here (is it a shallow clone? fetch all of it: git fetch --unshallow)".to_owned(),
        };
        format!(
            "it shares no commit with what {environment} was applied from, so that nothing is applied or deleted: here {repository}, branch {branch}, is followed{begins}; the objects of {environment} come from {other}. If the wrong repository, environment or cluster was named, correct that. If {environment} is to go on from this repository, see what that would do with `agent adopt --source`, then push a commit whose message ends with the line `Adopt-Source: {}`",
            other.root
        )
    }
}
