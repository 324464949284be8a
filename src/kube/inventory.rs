//! The inventory of a unit: an ApplySet (KEP-3659). Its members carry a label; its
//! parent, a ConfigMap in the agent's namespace, says in which kinds and namespaces
//! they are to be looked for.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cluster::{ApplyMode, Cluster, Conflicts};
use super::error::ApiError;
use crate::model::{Desired, EnvironmentName, GroupKind, Live, ObjectId, Origin, UnitName};

const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
const ENVIRONMENT: &str = "gitops-agent.dev/environment";
const UNIT: &str = "gitops-agent.dev/unit";
/// The key of a parent's data under which the digests of [`Inventory::known`] stand.
const KNOWN: &str = "known-clean";
const PRUNE: &str = "gitops-agent.dev/prune";

/// Which object is the parent of a unit's ApplySet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InventoryParent {
    /// The agent's namespace.
    pub namespace: String,
    /// The environment.
    pub environment: EnvironmentName,
    /// The unit.
    pub unit: UnitName,
}

/// What a parent says of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The kinds that members have or had.
    pub kinds: BTreeSet<GroupKind>,
    /// The namespaces that members are or were in.
    pub namespaces: BTreeSet<String>,
    /// Whether the unit's objects are pruned when the unit itself is taken away.
    pub prune: bool,
    /// Differences from desired that the API server has called none, as digests.
    pub known: BTreeSet<String>,
}

/// `<environment>.<unit>`, the parent's name.
pub fn parent_name(environment: &EnvironmentName, unit: &UnitName) -> String {
    format!("{environment}.{unit}")
}

impl InventoryParent {
    /// That of a unit. `namespace` is the agent's.
    pub fn new(namespace: &str, environment: &EnvironmentName, unit: &UnitName) -> Self {
        Self {
            namespace: namespace.to_owned(),
            environment: environment.clone(),
            unit: unit.clone(),
        }
    }

    fn object(&self) -> ObjectId {
        ObjectId::new(
            GroupKind::new("", "ConfigMap"),
            Some(self.namespace.clone()),
            parent_name(&self.environment, &self.unit),
        )
    }

    /// The ApplySet's id, which the KEP derives from the parent's identity.
    pub fn apply_set(&self) -> String {
        let name = parent_name(&self.environment, &self.unit);
        let hash = Sha256::digest(format!("{name}.{}.ConfigMap.", self.namespace));
        format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(hash))
    }

    /// Writes what the inventory may hold from now on.
    pub async fn write(&self, cluster: &Cluster, inventory: &Inventory) -> Result<(), ApiError> {
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": parent_name(&self.environment, &self.unit),
                "namespace": self.namespace,
                "labels": { ID: self.apply_set(), ENVIRONMENT: self.environment, UNIT: self.unit },
                "annotations": {
                    TOOLING: concat!("gitops-agent/v", env!("CARGO_PKG_VERSION")),
                    KINDS: joined(&inventory.kinds),
                    NAMESPACES: joined(&inventory.namespaces),
                    PRUNE: inventory.prune.to_string(),
                },
            },
        });
        if !inventory.known.is_empty() {
            body["data"] = json!({ KNOWN: joined(&inventory.known) });
        }
        let origin = Origin {
            path: "the inventory".to_owned(),
            line: 0,
        };
        let parent = Desired::new(self.object(), &body, origin);
        cluster
            .apply(&parent, ApplyMode::Write, Conflicts::Take)
            .await
            .map(drop)
    }

    /// Deletes the parent, once it has no members left.
    pub async fn remove(&self, cluster: &Cluster) -> Result<(), ApiError> {
        match cluster.get(&self.object(), None).await? {
            Some(live) => cluster.delete(&self.object(), &live).await.map(drop),
            None => Ok(()),
        }
    }

    /// All inventories of an environment, those of units that it no longer has
    /// included. With a namespace of `None` they are looked for in all.
    ///
    /// # Errors
    /// Those of the list, and [`ApiError::Rejected`] for a parent that can't be read:
    /// an inventory is known completely or not at all.
    pub async fn read_all(
        cluster: &Cluster,
        namespace: &str,
        environment: &EnvironmentName,
    ) -> Result<BTreeMap<UnitName, Inventory>, ApiError> {
        let resource = cluster
            .resource(&GroupKind::new("", "ConfigMap"), Some("v1"))
            .await?;
        let selector = format!("{ENVIRONMENT}={environment},{ID}");
        let parents = cluster
            .list(&resource, Some(namespace), Some(&selector))
            .await?;
        parents.iter().map(read).collect()
    }
}

fn read(parent: &Live) -> Result<(UnitName, Inventory), ApiError> {
    let name = parent
        .body
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let unreadable = |what: &str| {
        ApiError::Rejected(format!(
            "the inventory in ConfigMap {name} cannot be read: {what}; restore it, or delete the ConfigMap to start an empty inventory"
        ))
    };
    let unit = parent
        .label(UNIT)
        .ok_or_else(|| unreadable("it has no label for the unit"))?;
    let unit: UnitName = unit
        .parse()
        .map_err(|_| unreadable("the unit's name is not valid"))?;
    let kinds = parent
        .annotation(KINDS)
        .ok_or_else(|| unreadable("its annotation for the kinds is missing"))?;
    let namespaces = parent.annotation(NAMESPACES).unwrap_or_default();
    let known = parent
        .body
        .pointer("/data")
        .and_then(|data| data.get(KNOWN));
    let known = known.and_then(Value::as_str);
    let inventory = Inventory {
        kinds: split(kinds)
            .map(|kind| kind.parse().unwrap_or_else(|never| match never {}))
            .collect(),
        namespaces: split(namespaces).map(str::to_owned).collect(),
        prune: parent.annotation(PRUNE) != Some("false"),
        known: split(known.unwrap_or_default())
            .map(str::to_owned)
            .collect(),
    };
    Ok((unit, inventory))
}

impl Inventory {
    /// What a set of objects needs.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a ObjectId>, prune: bool) -> Self {
        let mut inventory = Self {
            prune,
            ..Self::default()
        };
        for id in objects {
            inventory.kinds.insert(id.kind.clone());
            inventory.namespaces.extend(id.namespace.clone());
        }
        inventory
    }

    /// Both together, with the other's policy.
    pub fn widened(&self, other: &Self) -> Self {
        Self {
            kinds: self.kinds.union(&other.kinds).cloned().collect(),
            namespaces: self.namespaces.union(&other.namespaces).cloned().collect(),
            prune: other.prune,
            known: self.known.clone(),
        }
    }
}

fn joined<T: ToString>(items: &BTreeSet<T>) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}
