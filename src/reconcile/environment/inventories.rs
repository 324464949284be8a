//! What the cluster remembers of an environment: what was applied of each unit, and what was
//! deleted lately.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::Environment;
use super::revision::AGAIN;
use crate::kube::{Inventory, InventoryParent, ListKey, Lost};
use crate::model::{EnvironmentName, UnitName};
use crate::reconcile::witness::{self, Known};
use crate::runtime::clock;

impl Environment {
    /// Where it is remembered what was applied of a unit.
    pub(super) fn parent(&self, unit: &UnitName) -> InventoryParent {
        InventoryParent::new(&self.context.namespace, &self.context.environment, unit)
    }

    /// The inventories are read until they could be: once known, only we change them.
    pub(super) async fn read_inventories(&mut self) {
        if self.inventories.is_ok() {
            return;
        }
        let context = &self.context;
        let before = self.inventories.as_ref().err().cloned();
        let key = ListKey::Ours(context.key.clone());
        let (cluster, namespace) = (&context.cluster, &context.namespace);
        let recorded = self.journal.status().revision.is_some();
        let read = async {
            let environment = &context.environment;
            let all = InventoryParent::read_all(cluster, namespace, environment, &key).await?;
            let tally = witness::parent(context).read(cluster, &key).await?;
            let known = Known::by(recorded, all.values());
            if witness::is_lost(tally.as_ref(), known, clock::now()) {
                warn!(%environment, "what was deleted within the last hour is not known: neither the record nor the agent's namespace tells it, so every deletion has to be approved for an hour");
            }
            witness::recall(context, tally, known).await?;
            Ok(all)
        };
        self.inventories = tokio::select! {
            () = self.over.cancelled() => return,
            read = read => read,
        };
        match &self.inventories {
            Ok(inventories) => {
                self.inventories_again = None;
                let known = inventories.values().flat_map(|inventory| &inventory.known);
                context.compared.recall(known.cloned());
                let place = (namespace, &context.environment);
                context.lists.put_all(place, inventories);
                tell_lost(&context.environment, inventories);
                for (name, unit) in &mut self.units {
                    unit.inventory = inventories.get(name).cloned().unwrap_or_default();
                    unit.dirty = true;
                }
            }
            Err(error) => {
                if before.as_ref() != Some(error) {
                    warn!(environment = %context.environment, %error, "the inventories cannot be read, so nothing is applied or pruned; trying again");
                }
                self.inventories_again = Some(clock::now() + AGAIN);
            }
        }
    }
}

/// Says of which units it is not known what was applied: nothing of them is pruned that is
/// not declared by now.
fn tell_lost(environment: &EnvironmentName, inventories: &BTreeMap<UnitName, Inventory>) {
    for (unit, inventory) in inventories {
        match inventory.lost {
            Some(Lost::Missing) => {
                info!(%environment, %unit, "its inventory has no list of what was applied; what is declared is put on one");
            }
            Some(Lost::Wrong) => {
                warn!(%environment, %unit, "the list of what was applied in its inventory was not written by this agent for this unit, and is not believed; what is declared is put on a new one, all else is kept");
            }
            None => {}
        }
    }
}
