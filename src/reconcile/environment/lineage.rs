//! Whose environment this is: what is live was made from one history of commits, and a
//! revision of another one neither changes nor deletes it until somebody says so. A wrong
//! `--repo`, or a second team's repository under the same name, would else delete it all.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;

use super::reading::Unread;
use super::{Environment, Purpose};
use crate::model::{Lineage, Revision, SourceCommit};
use crate::source::{self, Roots};

/// The repository and branch that are followed, as people are told of them.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The repository's address, without credentials.
    pub repository: String,
    /// The branch.
    pub branch: String,
}

impl Environment {
    /// Whether a revision goes on from what was applied last, by the inventories and by
    /// the record. `adopted` are histories that it says it goes on from all the same.
    pub(super) async fn goes_on(
        &mut self,
        source: &SourceCommit,
        adopted: &BTreeSet<Revision>,
    ) -> Result<(), Unread> {
        self.read_inventories().await;
        let bound = self.bound();
        let mut roots = self.roots(&source.revision, self.near()).await?;
        if bound.is_empty() || roots.strange(bound.values(), adopted).is_some() {
            roots = self.roots(&source.revision, None).await?;
        }
        if let Some(other) = roots.strange(bound.values(), adopted) {
            return Err(Unread::Strange(self.estrangement(other, &roots)));
        }
        let same = bound.values().find(|it| roots.found.contains(&it.root));
        let lineage = same.cloned().or_else(|| self.lineage_of(&roots));
        if let (Some(lineage), false) = (&lineage, bound.is_empty() || same.is_some()) {
            info!(environment = %self.context.environment, "what was applied from another history is gone on with from {lineage}, as the repository says");
        }
        self.lineage = lineage;
        self.roots = Some(roots);
        Ok(())
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
            self.enforced.clone()
        } else {
            self.enforced.take()
        };
        if let Some(enforced) = enforced.filter(|_| !self.declaring) {
            self.declare(enforced, Purpose::Head);
        }
    }

    /// The histories that what is here was applied from, by their first commits.
    fn bound(&self) -> BTreeMap<Revision, Lineage> {
        let inventories = self.inventories.iter().flat_map(BTreeMap::values);
        let inventories = inventories.filter_map(|inventory| inventory.source.as_ref());
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

    /// Where the history of a revision begins.
    async fn roots(&self, revision: &Revision, near: Option<Roots>) -> Result<Roots, Unread> {
        let (repository, revision) = (self.repository.clone(), revision.clone());
        let read = move || source::roots(&repository, &revision, near.as_ref());
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|error| Unread::Again(error.to_string()))?;
        read.map_err(|error| Unread::Again(crate::model::chain(&error)))
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
