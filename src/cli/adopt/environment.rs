//! `agent adopt --from ENVIRONMENT`: an environment takes the place of another one, as after
//! it was renamed. The objects stay as they are, and change hands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::bail;

use super::super::output::{print, progress};
use super::super::tree::WorkingTree;
use super::super::{diff, exit};
use super::AdoptArgs;
use crate::config;
use crate::kube::{self, Cluster, InventoryParent, ListKey, LiveView};
use crate::model::{DigestKey, EnvironmentName, GroupKind, Namespace, ObjectId, number_of};
use crate::plan::{Action, Checked, Plan};
use crate::reconcile::{self, AtHand, PlannedEnvironment};
use crate::record::status::Last;
use crate::runtime::{clock, random};

pub(super) async fn adopt(
    args: &AdoptArgs,
    tree: &WorkingTree,
    environment: &config::Environment,
    from: &EnvironmentName,
) -> anyhow::Result<u8> {
    let name = &environment.name;
    if name == from {
        bail!(
            "{name} is {from}: name the environment that is to take its place with --environment"
        );
    }
    let shown = progress("comparing with the cluster");
    let cluster = Arc::new(kube::connect(&args.cluster.access()).await?);
    let namespace = &args.cluster.own_namespace();
    unserved(&cluster, namespace, from).await?;
    let objects = objects(&cluster, namespace, from).await?;
    if objects.is_empty() {
        bail!(
            "no object of this cluster belongs to {from}, by the inventories in the namespace {namespace}"
        );
    }
    let mut at_hand = AtHand::adopting(BTreeSet::from([from.clone()]));
    let planned = reconcile::plan_environment(reconcile::PlanEnvironment {
        environment,
        tree: &tree.tree,
        revision: tree.revision.clone(),
        cluster: &cluster,
        namespace,
        tools: &args.tools.tools(),
        key: DigestKey::new(random::bytes()),
        list_key: ListKey::Unknown,
        recorded: Last::default(),
        at_hand: &mut at_hand,
    })
    .await?;
    drop(shown);
    print(&diff::text(name, &planned))?;
    print(&told(name, from, &objects, &planned))?;
    Ok(exit::SAME)
}

/// What changes hands, what does not, and how to have it so.
fn told(
    name: &EnvironmentName,
    from: &EnvironmentName,
    objects: &BTreeSet<ObjectId>,
    planned: &PlannedEnvironment,
) -> String {
    let handed = |plan: &Plan<Checked>| -> Vec<ObjectId> {
        let steps = plan
            .steps
            .iter()
            .filter(|step| step.action == Action::Change);
        let steps = steps.filter(|step| objects.contains(&step.object));
        steps.map(|step| step.object.clone()).collect()
    };
    let handed: BTreeSet<ObjectId> = planned.plans.iter().flat_map(handed).collect();
    let mut text = format!(
        "\n{} of the {} of {from} are declared by {name}, and handed over as they are: nothing is deleted or created anew for that.\n",
        handed.len(),
        number_of(objects.len(), "object")
    );
    let left: Vec<&ObjectId> = objects.difference(&handed).collect();
    if !left.is_empty() {
        let _ = writeln!(
            text,
            "Nobody looks after these any more; declare them too, or delete them by hand:"
        );
        for id in left {
            let _ = writeln!(text, "  {id}");
        }
    }
    let _ = writeln!(
        text,
        "To have it so, push this:\n  git commit --allow-empty -m 'Let {name} take the place of {from}' --trailer 'Adopt-Environment: {from}'"
    );
    text
}

/// The objects that belong to an environment.
async fn objects(
    cluster: &Arc<Cluster>,
    namespace: &Namespace,
    environment: &EnvironmentName,
) -> anyhow::Result<BTreeSet<ObjectId>> {
    let inventories =
        InventoryParent::read_all(cluster, namespace, environment, &ListKey::Unknown).await?;
    let view = LiveView::new(Arc::clone(cluster), None);
    let mut objects = BTreeSet::new();
    for (unit, inventory) in inventories {
        let kinds = inventory.kinds.into_iter().map(|kind| (kind, None));
        let kinds: BTreeMap<GroupKind, Option<String>> = kinds.collect();
        view.listed(&kinds, &inventory.namespaces).await;
        let parent = InventoryParent::new(namespace, environment, &unit);
        let mut owned = view.owned(&parent.apply_set());
        // Where there is a list, what carries the label without being on it is somebody's.
        if inventory.lost.is_none() {
            owned.retain(|id, owned| inventory.applied.covers(id, &owned.uid));
        }
        objects.extend(owned.into_keys());
    }
    Ok(objects)
}

/// Two agents would take the objects from each other without end.
async fn unserved(
    cluster: &Cluster,
    namespace: &Namespace,
    environment: &EnvironmentName,
) -> anyhow::Result<()> {
    if let Some(holder) = kube::served_by(cluster, namespace, environment, clock::now()).await? {
        bail!("{environment} is served still, by {holder}; end that agent first");
    }
    Ok(())
}
