//! What the cluster remembers of an environment: what was applied of each unit, and what was
//! deleted lately.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use super::lineage::{Depth, Descent};
use super::revision::AGAIN;
use super::{Environment, Event};
use crate::kube::{ApiError, Inventory, InventoryParent, ListKey, Lost};
use crate::model::{EnvironmentName, UnitName};
use crate::reconcile::pass::Context;
use crate::reconcile::witness;
use crate::runtime::clock;

/// The inventory of each unit, or why they can't be read.
pub(super) type Known = Result<BTreeMap<UnitName, Inventory>, ApiError>;

/// What is known of the inventories.
pub(super) struct Inventories {
    pub(super) known: Known,
    /// Whether they are being read.
    under_way: bool,
    /// When they are read again.
    pub(super) again: Option<Timestamp>,
    /// The revision that was read before they were.
    awaiting: Option<Box<Descent>>,
}

impl Inventories {
    pub(super) fn unread() -> Self {
        Self {
            known: Err(ApiError::Unavailable("not asked yet".to_owned())),
            under_way: false,
            again: None,
            awaiting: None,
        }
    }

    pub(super) fn of(&self, unit: &UnitName) -> Option<&Inventory> {
        self.known.as_ref().ok()?.get(unit)
    }

    /// Those that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = (&UnitName, &Inventory)> {
        self.known.iter().flatten()
    }

    pub(super) fn put(&mut self, unit: &UnitName, inventory: Inventory) {
        if let Ok(all) = &mut self.known {
            all.insert(unit.clone(), inventory);
        }
    }

    pub(super) fn forget(&mut self, unit: &UnitName) {
        if let Ok(all) = &mut self.known {
            all.remove(unit);
        }
    }
}

impl Environment {
    /// Where it is remembered what was applied of a unit.
    pub(super) fn parent(&self, unit: &UnitName) -> InventoryParent {
        InventoryParent::new(&self.context.namespace, &self.context.environment, unit)
    }

    /// Begins to read the inventories, until they could be: once known, only we change them.
    pub(super) fn read_inventories(&mut self) {
        self.inventories.again = None;
        if self.inventories.known.is_ok() || self.inventories.under_way {
            return;
        }
        self.inventories.under_way = true;
        let context = Arc::clone(&self.context);
        let recorded = self.journal.status().revision.is_some();
        self.tasks
            .spawn(async move { Event::Inventories(read(&context, recorded).await) });
    }

    /// Takes in what the inventories hold, or why they can't be read.
    pub(super) fn take_inventories(&mut self, read: Known) {
        self.inventories.under_way = false;
        let context = &self.context;
        match &read {
            Ok(inventories) => {
                let known = inventories.values().flat_map(|inventory| &inventory.known);
                context.compared.recall(known.cloned());
                let place = (&context.namespace, &context.environment);
                context.lists.put_all(place, inventories);
                tell_lost(&context.environment, inventories);
                for (name, unit) in &mut self.units {
                    unit.inventory = inventories.get(name).cloned().unwrap_or_default();
                    unit.dirty = true;
                }
            }
            Err(error) => {
                if self.inventories.known.as_ref().err() != Some(error) {
                    warn!(environment = %context.environment, %error, "the inventories cannot be read, so nothing is applied or pruned; trying again");
                }
                self.inventories.again = Some(clock::now() + AGAIN);
            }
        }
        self.inventories.known = read;
        if let Some(first) = self.inventories.awaiting.take() {
            self.descend(first, Depth::Near);
        } else if self.inventories.known.is_ok() {
            self.doubt();
        }
    }

    /// Goes on with a revision that was read. What was applied is asked for once before
    /// anything is enforced.
    pub(super) fn go_after(&mut self, read: Box<Descent>) {
        if self.inventories.under_way {
            self.inventories.awaiting = Some(read);
        } else {
            self.descend(read, Depth::Near);
        }
    }
}

/// What was applied of each unit, and what was deleted lately, as the cluster remembers it.
async fn read(context: &Context, recorded: bool) -> Known {
    let key = ListKey::Ours(context.key.clone());
    let (cluster, namespace) = (&context.cluster, &context.namespace);
    let environment = &context.environment;
    let all = InventoryParent::read_all(cluster, namespace, environment, &key).await?;
    let tally = witness::parent(context).read(cluster, &key).await?;
    let known = witness::Known::by(recorded, all.values());
    if witness::is_lost(tally.as_ref(), known, clock::now()) {
        warn!(%environment, "what was deleted within the last hour is not known: neither the record nor the agent's namespace tells it, so every deletion has to be approved for an hour");
    }
    witness::recall(context, tally, known).await?;
    Ok(all)
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
