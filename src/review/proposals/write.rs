//! Making a proposal: the edit of the files, its commit, the pull request.

use std::sync::Arc;

use tracing::info;

use super::branch::{self, Commit};
use super::text::Proposal;
use super::{ProposeError, Proposer};
use crate::config;
use crate::edit::{Adoption, Edits, LiveObject, Others, Wanted, Why, adopt_changes};
use crate::forge::{NewPullRequest, PullRequest};
use crate::model::{Revision, Tree};
use crate::reconcile::{Deed, DriftedObject, UnitDrift};
use crate::review::blocking;
use crate::runtime::clock;
use crate::source::tree::GitTree;

impl Proposer {
    /// Edits the files, commits that, and opens or renews the pull request.
    pub(super) async fn write(
        &mut self,
        base: &Revision,
        drift: &UnitDrift,
        objects: &[DriftedObject],
        open: Option<&PullRequest>,
    ) -> Result<(), ProposeError> {
        let adoption = self.adopt(base, drift, objects).await?;
        if let Some(left) = adoption
            .left
            .iter()
            .find(|left| matches!(left.why, Why::Unrendered(_)))
        {
            return Err(ProposeError::Unproven(left.why.clone()));
        }
        // Declared on the newest revision already, which the environment is about to see.
        if adoption.tree.files().is_empty() && adoption.left.is_empty() {
            return Ok(());
        }
        let environment = self.window.name.clone();
        let mut files = adoption.tree.files().clone();
        let mut left = Vec::new();
        for one in adoption.left {
            let id = &one.object;
            let place = id.namespace.as_deref().unwrap_or("_cluster");
            let path = format!(
                ".agent/proposals/{environment}/{}/{}-{place}-{}.yaml",
                drift.unit.name,
                id.kind.kind.to_lowercase(),
                id.name
            );
            let head = format!(
                "# Nothing reads this. What would have to change for {id} to be declared as it is:\n"
            );
            let change = one.patch.as_deref().unwrap_or_default();
            let text = format!("{head}{change}").into_bytes();
            files.insert(path.clone(), Some(text));
            left.push((one, path));
        }
        let proposal = Proposal {
            environment: &environment,
            unit: &drift.unit.name,
            keep_for: drift.unit.keep_for,
            objects,
            left: &left,
            also: &adoption.also,
        };
        let branch = branch::name(&environment, &drift.unit.name);
        self.push(base, &branch, files, &proposal).await?;
        let (title, text) = (proposal.title(), proposal.text());
        if let Some(pull) = open {
            self.forge.edit(pull.number, &title, &text).await?;
            info!(%environment, unit = %drift.unit.name, pull_request = pull.number, "proposed anew: {title}");
        } else {
            let wanted = NewPullRequest {
                head: branch,
                base: self.branch.clone(),
                title: title.clone(),
                text,
            };
            let pull = self.forge.open(&wanted).await?;
            info!(%environment, unit = %drift.unit.name, pull_request = pull.number, "proposed: {title}");
        }
        self.memory.open = true;
        Ok(())
    }

    async fn push(
        &self,
        base: &Revision,
        branch: &str,
        files: Edits,
        proposal: &Proposal<'_>,
    ) -> Result<(), ProposeError> {
        let now = clock::now();
        let (author, message) = (proposal.author(now), proposal.message());
        let (mirror, remote, base, branch) = (
            self.mirror.clone(),
            self.remote.clone(),
            base.clone(),
            branch.to_owned(),
        );
        let key = self.signing_key.clone();
        blocking(move || {
            let commit = Commit {
                base: &base,
                files: &files,
                author: &author,
                message: &message,
                now,
                key: key.as_ref(),
            };
            branch::write(&mirror, &remote, &branch, &commit)
        })
        .await?;
        Ok(())
    }

    async fn adopt(
        &self,
        base: &Revision,
        drift: &UnitDrift,
        objects: &[DriftedObject],
    ) -> Result<Adoption, ProposeError> {
        let tree: Arc<dyn Tree> = Arc::new(GitTree::open(&self.mirror, base)?);
        let resolved = config::resolve(&*tree);
        // As the newest revision has it.
        let environment = resolved.environment(&self.window.name).ok();
        let unit = environment.and_then(|environment| environment.units.get(&drift.unit.name));
        let unit = unit.unwrap_or(&drift.unit);
        let mut others = Others::new();
        for (name, environment) in &resolved.environments {
            let units = environment
                .iter()
                .flat_map(|environment| environment.units.values());
            let other =
                |other: &&config::Unit| *name != self.window.name || other.name != unit.name;
            others.extend(
                units
                    .filter(other)
                    .map(|unit| (format!("{name}/{}", unit.name), unit.clone())),
            );
        }
        let objects: Vec<LiveObject> = objects
            .iter()
            .map(|object| LiveObject {
                id: object.id.clone(),
                wanted: match &object.deed {
                    Deed::Changed { wanted, .. } => Wanted::As(wanted.value()),
                    Deed::Deleted { .. } => Wanted::Gone,
                },
            })
            .collect();
        Ok(adopt_changes(&tree, unit, &others, &self.tools, &objects).await)
    }
}
