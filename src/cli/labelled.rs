//! What carries the label of a unit's ApplySet in the cluster and is left alone.

use std::collections::BTreeMap;

use crate::kube::{self, Cluster, Inventory, InventoryParent, ListKey};
use crate::model::{EnvironmentName, Live, Namespace, ObjectId, PART_OF, UnitName};

/// What the cluster has of an environment that looks like the agent's and is not proven to
/// be, a line each. What the unit declares by now the agent looks after all the same.
pub async fn left_alone(
    cluster: &Cluster,
    namespace: &Namespace,
    environment: &EnvironmentName,
) -> anyhow::Result<Vec<String>> {
    let key = ListKey::Unknown;
    let inventories = InventoryParent::read_all(cluster, namespace, environment, &key).await?;
    let mut lines = Vec::new();
    for (unit, parent, inventory) in parents(namespace, environment, &inventories) {
        let selector = format!("{PART_OF}={}", parent.apply_set());
        for kind in &inventory.kinds {
            let resource = cluster.resource(kind, None).await?;
            let take = |id, live: Live| lines.extend(told(unit, &id, &live, inventory));
            cluster.list(&resource, None, Some(&selector), take).await?;
        }
    }
    let doubles = InventoryParent::doubles(cluster, namespace, environment).await?;
    lines.extend(doubles.into_iter().map(|(name, unit)| {
        format!(
            "{unit}: ConfigMap {namespace}/{name} calls itself its inventory, which is ConfigMap {environment}.{unit}; it is not read: if it is left over, delete it"
        )
    }));
    Ok(lines)
}

fn parents<'a>(
    namespace: &'a Namespace,
    environment: &'a EnvironmentName,
    inventories: &'a BTreeMap<UnitName, Inventory>,
) -> impl Iterator<Item = (&'a UnitName, InventoryParent, &'a Inventory)> {
    inventories.iter().map(move |(unit, inventory)| {
        let parent = InventoryParent::new(namespace, environment, unit);
        (unit, parent, inventory)
    })
}

fn told(unit: &UnitName, id: &ObjectId, live: &Live, inventory: &Inventory) -> Option<String> {
    match kube::owned(live) {
        None => Some(format!(
            "{unit}: {id} has its label, and the agent has not applied it"
        )),
        Some(owned) if inventory.applied.covers(id, &owned.uid) => None,
        Some(_) => Some(format!(
            "{unit}: {id} is not on the list of what was applied"
        )),
    }
}
