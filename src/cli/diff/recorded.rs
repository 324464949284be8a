//! `agent diff --recorded`: the same plan, for a cluster that is as its record says.

use std::path::Path;

use anyhow::bail;

use super::{DiffArgs, environments, touches};
use crate::cli::output::{ago, note};
use crate::cli::records::Records;
use crate::config;
use crate::model::{DigestKey, EnvironmentName, shell_quoted};
use crate::reconcile::{self, PlannedEnvironment};
use crate::record::{BranchPattern, RecordView};
use crate::runtime::{clock, random};
use crate::source::Checkout;

/// The plans against the records that the checkout has.
pub(super) async fn plans(
    args: &DiffArgs,
) -> anyhow::Result<Vec<(EnvironmentName, PlannedEnvironment)>> {
    let tree = args.tree.open()?;
    let tools = args.tools.tools();
    let wanted = environments(&args.environment, &tree.resolved)?;
    let records = records(args, &tree.root, &wanted).await?;
    let mut planned = Vec::new();
    for (environment, record) in wanted.iter().zip(&records.views) {
        let name = &environment.name;
        let (entry, age) = (record.tip(), ago(record.time()?, clock::now()));
        note(&format!(
            "{name}: compared with the record, whose last entry, {}, is from {age}",
            entry.short()
        ));
        let ties = record.status()?.map(|status| status.ties);
        let mut plan = reconcile::plan_recorded(reconcile::PlanRecorded {
            environment,
            tree: &tree.tree,
            revision: tree.revision.clone(),
            namespace: &args.cluster.namespace_of(&ties.unwrap_or_default()),
            tools: &tools,
            record,
            key: DigestKey::new(random::bytes()),
        })
        .await?;
        if let Some(inside) = args.tree.inside(&tree.root)? {
            plan.retain(|unit| touches(environment, unit, &inside));
        }
        planned.push((name.clone(), plan));
    }
    Ok(planned)
}

/// The record of each environment, in their order: from its own repository, or as the
/// checkout has it.
async fn records(
    args: &DiffArgs,
    root: &Path,
    wanted: &[config::Environment],
) -> anyhow::Result<Records> {
    let (place, access) = (args.record.clone(), args.access().clone());
    let names: Vec<EnvironmentName> = wanted.iter().map(|it| it.name.clone()).collect();
    let root = root.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut records = match place.open_elsewhere(&access, &names)? {
            Some(records) => records,
            None => in_checkout(&place.names, &root, &names)?,
        };
        let at = |view: &RecordView| names.iter().position(|it| it == view.environment());
        records.views.sort_by_key(at);
        Ok(records)
    })
    .await?
}

fn in_checkout(
    branches: &BranchPattern,
    root: &Path,
    names: &[EnvironmentName],
) -> anyhow::Result<Records> {
    let checkout = Checkout::discover(root);
    let mut views = Vec::new();
    for name in names {
        let view = match &checkout {
            Some(checkout) => RecordView::in_repository(&checkout.repository, name, branches)?,
            None => None,
        };
        let Some(view) = view else {
            let branch = branches.of(name);
            let refs = format!("+refs/heads/{branch}:refs/remotes/origin/{branch}");
            bail!(
                "there is no record of {name} in this clone; fetch it: git fetch origin {}, or name the repository that it is in with --record-repo",
                shell_quoted(&refs)
            );
        };
        views.push(view);
    }
    Ok(Records::at_hand(views))
}
