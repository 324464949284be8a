//! The inventory of a unit: an ApplySet (KEP-3659). Its members carry a label; its
//! parent, a ConfigMap in the agent's namespace, says in which kinds and namespaces
//! they are to be looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::applied::{ListKey, Lost};
use super::barred::named;
use super::cluster::{ApplyMode, Cluster, Conflicts};
use super::error::ApiError;
use crate::fields;
use crate::model::{
    AppliedList, Desired, DigestKey, EnvironmentName, GroupKind, Lineage, Live, Name, NameError,
    Namespace, ObjectId, Origin, UnitName,
};

pub(super) const KIND: GroupKind = GroupKind::known("", "ConfigMap");
pub(super) const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
pub(super) const ENVIRONMENT: &str = "gitops-agent.dev/environment";
pub(super) const UNIT: &str = "gitops-agent.dev/unit";
/// The labels that make a ConfigMap an inventory.
pub(super) const LABELS: [&str; 3] = [ID, ENVIRONMENT, UNIT];
/// From which history the members were applied.
const SOURCE: &str = "gitops-agent.dev/source";
/// The key of a parent's data under which the digests of [`Inventory::known`] stand.
const KNOWN: &str = "known-clean";
/// The key of a parent's data under which the list of what was applied stands.
const APPLIED: &str = "applied";
const PRUNE: &str = "gitops-agent.dev/prune";

/// Which object is the parent of a unit's ApplySet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InventoryParent {
    /// The agent's namespace.
    pub namespace: Namespace,
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
    pub namespaces: BTreeSet<Namespace>,
    /// Whether the unit's objects are pruned when the unit itself is taken away.
    pub prune: bool,
    /// Differences from desired that the API server has called none, as digests.
    pub known: BTreeSet<String>,
    /// From which history the members were applied; `None` where that is not known.
    pub source: Option<Lineage>,
    /// What was applied: without standing here, no object is taken away.
    pub applied: AppliedList,
    /// Why the parent's list was not taken in, if it was not: then it is empty.
    pub lost: Option<Lost>,
}

/// What became of a parent that is not needed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// It stays: somebody else has written it.
    NotOurs,
}

/// `<environment>.<unit>`, the parent's name.
pub fn parent_name(environment: &EnvironmentName, unit: &UnitName) -> Name {
    let name = format!("{environment}.{unit}");
    name.parse().expect("two labels and a dot are a name")
}

impl InventoryParent {
    /// That of a unit. `namespace` is the agent's.
    pub fn new(namespace: &Namespace, environment: &EnvironmentName, unit: &UnitName) -> Self {
        Self {
            namespace: namespace.clone(),
            environment: environment.clone(),
            unit: unit.clone(),
        }
    }

    /// Which object it is.
    pub(super) fn object(&self) -> ObjectId {
        let name = parent_name(&self.environment, &self.unit);
        ObjectId::new(KIND, Some(self.namespace.clone()), name)
    }

    /// Its labels.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (ID.to_owned(), self.apply_set()),
            (ENVIRONMENT.to_owned(), self.environment.to_string()),
            (UNIT.to_owned(), self.unit.to_string()),
        ])
    }

    /// The ApplySet's id, which the KEP derives from the parent's identity.
    pub fn apply_set(&self) -> String {
        let name = parent_name(&self.environment, &self.unit);
        let hash = Sha256::digest(format!("{name}.{}.ConfigMap.", self.namespace));
        format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(hash))
    }

    /// Writes what the inventory may hold from now on, the list of what was applied under
    /// this key.
    ///
    /// # Errors
    /// Those of the request, and [`ApiError::Rejected`] where the list has no room.
    pub async fn write(
        &self,
        cluster: &Cluster,
        inventory: &Inventory,
        key: &DigestKey,
    ) -> Result<(), ApiError> {
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": parent_name(&self.environment, &self.unit),
                "namespace": self.namespace,
                "labels": self.labels(),
                "annotations": {
                    TOOLING: concat!("gitops-agent/v", env!("CARGO_PKG_VERSION")),
                    KINDS: joined(&inventory.kinds),
                    NAMESPACES: joined(&inventory.namespaces),
                    PRUNE: inventory.prune.to_string(),
                },
            },
        });
        if let Some(source) = &inventory.source {
            body["metadata"]["annotations"][SOURCE] = json!(source.line());
        }
        body["data"] = json!({ APPLIED: self.list_text(&inventory.applied, key)? });
        if !inventory.known.is_empty() {
            body["data"][KNOWN] = Value::String(joined(&inventory.known));
        }
        let origin = Origin {
            path: "the inventory".to_owned(),
            line: 0,
        };
        let parent = Desired::new(self.object(), &body, origin);
        let written = cluster.apply(&parent, ApplyMode::Write, Conflicts::Take);
        match written.await {
            Ok(_) => Ok(()),
            Err(error) => Err(named(cluster, &parent.id, error).await),
        }
    }

    /// Deletes the parent, once it has no members left, if it is one that we have written.
    pub async fn remove(&self, cluster: &Cluster) -> Result<Removal, ApiError> {
        match cluster.get(&self.object(), None).await? {
            Some(live) if fields::labelled_by_us(&live, ID) => {
                cluster.delete(&self.object(), &live).await?;
                Ok(Removal::Gone)
            }
            Some(_) => Ok(Removal::NotOurs),
            None => Ok(Removal::Gone),
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
        namespace: &Namespace,
        environment: &EnvironmentName,
        key: &ListKey,
    ) -> Result<BTreeMap<UnitName, Inventory>, ApiError> {
        let resource = cluster.resource(&KIND, Some("v1")).await?;
        let selector = format!("{ENVIRONMENT}={environment},{ID}");
        let mut parents = Vec::new();
        cluster
            .list(&resource, Some(namespace), Some(&selector), |_, parent| {
                parents.push(parent);
            })
            .await?;
        let read = |live| read(live, namespace, environment, key);
        let parents: Vec<_> = parents.iter().map(read).collect::<Result<_, _>>()?;
        Ok(parents.into_iter().flatten().collect())
    }

    /// What calls itself the inventory of a unit of an environment and is not: by name, and
    /// which unit it names.
    ///
    /// # Errors
    /// Those of the list.
    pub async fn doubles(
        cluster: &Cluster,
        namespace: &Namespace,
        environment: &EnvironmentName,
    ) -> Result<Vec<(String, String)>, ApiError> {
        let resource = cluster.resource(&KIND, Some("v1")).await?;
        let selector = format!("{ENVIRONMENT}={environment},{ID}");
        let mut doubles = Vec::new();
        let take = |id: ObjectId, live: Live| {
            let unit = live.label(UNIT).unwrap_or_default();
            let own = unit.parse().map(|unit| parent_name(environment, &unit));
            if own.is_ok_and(|own| own != id.name) {
                doubles.push((id.name.to_string(), unit.to_owned()));
            }
        };
        cluster
            .list(&resource, Some(namespace), Some(&selector), take)
            .await?;
        Ok(doubles)
    }
}

/// `None` for a parent that is not called as its unit's is: it stands for none.
fn read(
    parent: &Live,
    namespace: &Namespace,
    environment: &EnvironmentName,
    key: &ListKey,
) -> Result<Option<(UnitName, Inventory)>, ApiError> {
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
    let of = InventoryParent::new(namespace, environment, &unit);
    if of.object().name != name {
        return Ok(None);
    }
    let kinds = parent
        .annotation(KINDS)
        .ok_or_else(|| unreadable("its annotation for the kinds is missing"))?;
    let namespaces = parent.annotation(NAMESPACES).unwrap_or_default();
    let source = parent.annotation(SOURCE).map(str::parse).transpose();
    let source =
        source.map_err(|_| unreadable("its annotation for the source cannot be understood"))?;
    let data = |key: &str| parent.body.get("data")?.get(key)?.as_str();
    let known = data(KNOWN);
    let list = data(APPLIED).ok_or(Lost::Missing);
    let list = list.and_then(|text| of.read_list(text, key));
    let inventory = Inventory {
        lost: list.as_ref().err().copied(),
        applied: list.unwrap_or_default(),
        kinds: names(kinds).map_err(|error| unreadable(&error.to_string()))?,
        namespaces: names(namespaces).map_err(|error| unreadable(&error.to_string()))?,
        prune: parent.annotation(PRUNE) != Some("false"),
        known: split(known.unwrap_or_default())
            .map(str::to_owned)
            .collect(),
        source,
    };
    Ok(Some((unit, inventory)))
}

impl Inventory {
    /// What the record tells of one that is not there: in which kinds to look for these objects
    /// that it has.
    pub fn by_record(objects: &BTreeSet<ObjectId>, prune: bool) -> Self {
        Self {
            lost: (!objects.is_empty()).then_some(Lost::Missing),
            ..Self::of(objects, prune)
        }
    }

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
            source: other.source.clone(),
            applied: self.applied.clone(),
            lost: None,
        }
    }
}

fn names<T: Ord + FromStr<Err = NameError>>(text: &str) -> Result<BTreeSet<T>, NameError> {
    split(text).map(str::parse).collect()
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
