//! `agent diff --recorded`: the same plan, for a cluster that is as its record says.

use anyhow::bail;

use super::{DiffArgs, environments, touches};
use crate::cli::output::{DIM, ago};
use crate::model::{DigestKey, EnvironmentName};
use crate::reconcile::{self, PlannedEnvironment};
use crate::record::RecordView;
use crate::runtime::{clock, random};
use crate::source::Checkout;

/// The plans against the records that the checkout has.
pub(super) async fn plans(
    args: &DiffArgs,
) -> anyhow::Result<Vec<(EnvironmentName, PlannedEnvironment)>> {
    let tree = args.tree.open()?;
    let (tools, names) = (args.tools.tools(), &args.record.names);
    let mut planned = Vec::new();
    for environment in &environments(&args.environment, &tree.resolved)? {
        let name = &environment.name;
        let checkout = Checkout::discover(&tree.root);
        let view = match &checkout {
            Some(checkout) => RecordView::in_repository(&checkout.repository, name, names)?,
            None => None,
        };
        let Some(record) = view else {
            let branch = names.of(name);
            bail!(
                "there is no record of {name} in this clone; fetch it: git fetch origin '+refs/heads/{branch}:refs/remotes/origin/{branch}'"
            );
        };
        let (entry, age) = (record.tip(), ago(record.time()?, clock::now()));
        anstream::eprintln!(
            "{DIM}{name}: compared with the record, whose last entry, {}, is from {age}{DIM:#}",
            entry.short()
        );
        let mut plan = reconcile::plan_recorded(reconcile::PlanRecorded {
            environment,
            tree: &tree.tree,
            revision: tree.revision.clone(),
            namespace: &args.cluster.namespace,
            tools: &tools,
            record: &record,
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
