//! Closing proposals of which nothing is left to decide.

use tracing::info;

use super::branch::{self, Proposed};
use super::{ProposeError, Proposer};
use crate::config::{self, DriftPolicy};
use crate::forge::{PullRequest, Section, keep_comment};
use crate::model::{Revision, UnitName};
use crate::reconcile::{Drifts, OpenProposals};
use crate::source::tree::GitTree;

impl Proposer {
    /// Closes the proposals of which nothing is left to decide.
    pub(super) async fn sweep(
        &mut self,
        base: &Revision,
        drifts: &Drifts,
    ) -> Result<(), ProposeError> {
        let prefix = branch::prefix(&self.window.name);
        let pulls = self.forge.open_pull_requests(&self.branch).await?;
        self.memory.open = false;
        let mut open = OpenProposals::new();
        for pull in pulls.into_iter().filter(|pull| !pull.head.fork) {
            let unit = pull
                .head
                .branch
                .strip_prefix(&prefix)
                .and_then(|name| name.parse().ok());
            let Some(unit) = unit else { continue };
            let proposed = self.read(&pull).await?;
            if let Some(why) = self.obsolete(base, drifts, &unit, proposed.as_ref()) {
                self.close(&pull, why).await?;
            } else {
                self.memory.open = true;
                open.insert(unit, pull.number);
            }
        }
        self.window.proposed.send_if_modified(|known| {
            let news = *known != open;
            *known = open;
            news
        });
        Ok(())
    }

    /// Why nothing of a proposal is left to decide; `None` where something is, or where it
    /// is not known.
    fn obsolete(
        &self,
        base: &Revision,
        drifts: &Drifts,
        unit: &UnitName,
        proposed: Option<&Proposed>,
    ) -> Option<&'static str> {
        let proposed = proposed?;
        let Some(drift) = drifts.get(unit) else {
            let still = self.proposes(base, unit);
            return (!still).then_some("the unit does not say `drift: propose` any more");
        };
        let gone = drift
            .objects
            .iter()
            .all(|object| !proposed.drifts.contains(&object.digest));
        gone.then_some("what it is about is no longer so in the cluster: it was put back, changed again, or is declared by now")
    }

    /// Whether the newest revision has a unit propose its drift; also where that can't be told.
    fn proposes(&self, base: &Revision, unit: &UnitName) -> bool {
        let Ok(tree) = GitTree::open(&self.mirror, base) else {
            return true;
        };
        let resolved = config::resolve(&tree);
        let Ok(environment) = resolved.environment(&self.window.name) else {
            return true;
        };
        let unit = environment.units.get(unit);
        unit.is_some_and(|unit| unit.drift == DriftPolicy::Propose)
    }

    async fn close(&self, pull: &PullRequest, why: &str) -> Result<(), ProposeError> {
        let section = Section {
            name: self.window.name.to_string(),
            text: format!("Closed by the agent: {why}."),
        };
        keep_comment(&*self.forge, pull.number, "proposal-closed", &[section]).await?;
        self.forge.close(pull.number).await?;
        info!(environment = %self.window.name, pull_request = pull.number, "proposal closed: {why}");
        Ok(())
    }
}
