//! What the agent keeps for itself in its namespace. A unit that declared one of these
//! would stop the agent, or have it forget what it has applied.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::inventory::InventoryParent;
use super::tally::TallyParent;
use super::{inventory, key, lease, tally};
use crate::model::{EnvironmentName, Namespace, ObjectId, UnitName};

/// An object that the agent keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// The Lease of an environment.
    Lease,
    /// The inventory of a unit.
    Inventory,
    /// What was deleted from an environment lately.
    Tally,
    /// The key for digests of Secrets.
    Key,
}

impl Own {
    /// What an object is to agents that keep theirs in this namespace; of every
    /// environment, since several may share it.
    pub fn of(id: &ObjectId, body: &Value, namespace: &Namespace) -> Option<Self> {
        if id.namespace.as_ref() != Some(namespace) {
            return None;
        }
        match (&id.kind, id.name.as_str()) {
            (kind, name) if *kind == lease::KIND => {
                name.starts_with(lease::PREFIX).then_some(Self::Lease)
            }
            (kind, name) if *kind == key::KIND => (name == key::SECRET).then_some(Self::Key),
            (kind, name) if *kind == inventory::KIND => {
                let inventory = is_parent_name(name) || is_labelled(body);
                if name.ends_with(tally::SUFFIX) {
                    Some(Self::Tally)
                } else {
                    inventory.then_some(Self::Inventory)
                }
            }
            _ => None,
        }
    }
}

/// An object that the agent writes for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnObject {
    /// The object.
    pub id: ObjectId,
    /// Its version in the API.
    pub version: &'static str,
    /// What its kind is called in paths.
    pub resource: &'static str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What the agent writes for itself for a unit.
pub fn kept(
    namespace: &Namespace,
    environment: &EnvironmentName,
    unit: &UnitName,
) -> Vec<OwnObject> {
    let inventory = InventoryParent::new(namespace, environment, unit);
    let tally = TallyParent {
        namespace: namespace.clone(),
        environment: environment.clone(),
    };
    let own = |id, resource, labels| OwnObject {
        id,
        version: "v1",
        resource,
        labels,
    };
    vec![
        own(lease::id(namespace, environment), "leases", BTreeMap::new()),
        own(inventory.object(), "configmaps", inventory.labels()),
        own(tally.object(), "configmaps", tally.labels()),
        own(key::id(namespace), "secrets", BTreeMap::new()),
    ]
}

/// Whether it is `<environment>.<unit>`.
fn is_parent_name(name: &str) -> bool {
    name.split_once('.').is_some_and(|(environment, unit)| {
        environment.parse::<EnvironmentName>().is_ok() && unit.parse::<UnitName>().is_ok()
    })
}

fn is_labelled(body: &Value) -> bool {
    let labels = body.pointer("/metadata/labels").and_then(Value::as_object);
    labels.is_some_and(|labels| {
        inventory::LABELS
            .iter()
            .any(|name| labels.contains_key(*name))
    })
}

/// `an environment's Lease`
impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lease => "an environment's Lease",
            Self::Inventory => "a unit's inventory",
            Self::Tally => "what was deleted from an environment lately",
            Self::Key => "the key for digests of Secrets",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::GroupKind;

    const AGENT: Namespace = Namespace::known("gitops-agent");

    fn own(group: &str, kind: &str, namespace: &str, name: &str, labels: &Value) -> Option<Own> {
        let kind = GroupKind::new(group, kind).expect("a kind");
        let id = ObjectId::parse(kind, Some(namespace), name).expect("a name");
        Own::of(&id, &json!({"metadata": {"labels": labels}}), &AGENT)
    }

    #[test]
    fn what_the_agent_keeps_is_known_by_name_and_label() {
        let lease =
            |namespace, name| own("coordination.k8s.io", "Lease", namespace, name, &json!({}));
        assert_eq!(
            lease("gitops-agent", "gitops-agent-staging"),
            Some(Own::Lease)
        );
        assert_eq!(lease("gitops-agent", "other"), None);
        assert_eq!(lease("shop", "gitops-agent-staging"), None);
        let map = |name, labels: &Value| own("", "ConfigMap", "gitops-agent", name, labels);
        assert_eq!(map("staging.shop", &json!({})), Some(Own::Inventory));
        assert_eq!(
            map("staging.tally.gitops-agent", &json!({})),
            Some(Own::Tally)
        );
        assert_eq!(map("settings", &json!({})), None);
        assert_eq!(map("a.b.c", &json!({})), None);
        let labelled = json!({"applyset.kubernetes.io/id": "applyset-x-v1"});
        assert_eq!(map("settings", &labelled), Some(Own::Inventory));
        let secret = |name| own("", "Secret", "gitops-agent", name, &json!({}));
        assert_eq!(secret("gitops-agent-digest-key"), Some(Own::Key));
        assert_eq!(secret("git"), None);
    }
}
