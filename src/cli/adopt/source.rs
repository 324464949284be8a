//! `agent adopt --source`: an environment goes on from another repository than the one that
//! its objects were applied from.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::output::{print, progress};
use super::super::tree::WorkingTree;
use super::super::{diff, exit, lineage};
use super::AdoptArgs;
use crate::config;
use crate::kube;
use crate::model::{DigestKey, Lineage};
use crate::reconcile::{self, AtHand};
use crate::record::status::Last;
use crate::runtime::random;

pub(super) async fn adopt(
    args: &AdoptArgs,
    tree: &WorkingTree,
    environment: &config::Environment,
) -> anyhow::Result<u8> {
    let shown = progress("comparing with the cluster");
    let cluster = Arc::new(kube::connect(&args.cluster.access()).await?);
    let mut at_hand = AtHand::default();
    let planned = reconcile::plan_environment(reconcile::PlanEnvironment {
        environment,
        tree: &tree.tree,
        revision: tree.revision.clone(),
        cluster: &cluster,
        namespace: &args.cluster.own_namespace(),
        tools: &args.tools.tools(),
        key: DigestKey::new(random::bytes()),
        list_key: kube::ListKey::Unknown,
        recorded: Last::default(),
        at_hand: &mut at_hand,
    })
    .await?;
    drop(shown);
    let name = &environment.name;
    let Some(other) = lineage::stranger(tree, &planned.lineages)? else {
        print(&format!(
            "{name} goes on from this repository as it is: nothing to do\n"
        ))?;
        return Ok(exit::SAME);
    };
    print(&diff::text(name, &planned))?;
    print(&format!(
        "\nThe objects of {name} were applied from {other}. To go on from this repository, as shown above, push this:\n  {}\n",
        command(name.as_str(), &planned.lineages)
    ))?;
    Ok(exit::SAME)
}

/// Makes the commit that says so.
fn command(environment: &str, lineages: &BTreeSet<Lineage>) -> String {
    let trailers = lineages
        .iter()
        .map(|lineage| format!(" --trailer 'Adopt-Source: {}'", lineage.root));
    let trailers: String = trailers.collect();
    format!("git commit --allow-empty -m 'Go on with {environment} from here'{trailers}")
}
