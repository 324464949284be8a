//! In which order objects are applied: by kind as Helm and kubectl's users expect it,
//! a namespace and a CRD before what needs them, and `depends-on` annotations.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Desired, GroupKind, ObjectId, UnitName};

/// The ecosystem's annotation for "apply after these are healthy" (kpt, cli-utils).
const DEPENDS_ON: &str = "config.kubernetes.io/depends-on";

/// What has to be there and healthy before an object is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// For each object that has any.
    pub of: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
    /// Those that make no sense.
    pub wrong: BTreeMap<ObjectId, DependencyError>,
}

/// A dependency that can't be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    /// The annotation is not written as the convention has it.
    #[error(
        "the annotation {DEPENDS_ON} has `{0}`, which is not `group/namespaces/namespace/kind/name` or `group/kind/name`"
    )]
    Malformed(String),
    /// Nothing in the environment declares it.
    #[error("it depends on {0}, which no unit of the environment declares")]
    Undeclared(ObjectId),
    /// Objects that wait for each other.
    #[error("it depends on itself: {0}")]
    Cycle(String),
}

/// Namespaces.
const NAMESPACE: GroupKind = GroupKind::known("", "Namespace");

/// The place of a kind in the order, lower first. Pruning goes the other way round.
pub fn rank(kind: &GroupKind) -> u8 {
    match (&*kind.group, &*kind.kind) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "StorageClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("networking.k8s.io", "IngressClass") => 1,
        ("", "ResourceQuota" | "LimitRange") | ("networking.k8s.io", "NetworkPolicy") => 2,
        ("", "ServiceAccount") => 3,
        ("", "Secret" | "ConfigMap") => 4,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 5,
        ("rbac.authorization.k8s.io", _) => 6,
        ("", "PersistentVolume") => 7,
        ("", "PersistentVolumeClaim") => 8,
        ("", "Service") => 9,
        ("networking.k8s.io", "Ingress") => 11,
        ("apiregistration.k8s.io", _) => 12,
        ("admissionregistration.k8s.io", _) => 13,
        _ => 10,
    }
}

/// The dependencies of a unit's objects, within the unit and on what other units of
/// the environment declare (`claims`).
pub fn dependencies(
    desired: &BTreeMap<ObjectId, Desired>,
    claims: &BTreeMap<ObjectId, UnitName>,
) -> Dependencies {
    let declared = |id: &ObjectId| desired.contains_key(id) || claims.contains_key(id);
    let definitions = definitions(desired);
    let mut found = Dependencies::default();
    for (id, object) in desired {
        let mut after = BTreeSet::new();
        if let Some(namespace) = &id.namespace {
            let namespace = ObjectId::new(NAMESPACE, None, namespace.clone().into());
            after.extend(declared(&namespace).then_some(namespace));
        }
        after.extend(definitions.get(&id.kind).cloned());
        match explicit(object) {
            Ok(named) => match named.iter().find(|other| !declared(other)) {
                Some(missing) => drop(
                    found
                        .wrong
                        .insert(id.clone(), DependencyError::Undeclared(missing.clone())),
                ),
                None => after.extend(named),
            },
            Err(error) => drop(found.wrong.insert(id.clone(), error)),
        }
        if !after.is_empty() {
            found.of.insert(id.clone(), after);
        }
    }
    for (id, path) in cycles(&found.of) {
        found.of.remove(&id);
        found.wrong.insert(id, DependencyError::Cycle(path));
    }
    found
}

/// The objects of other units that a unit may have to wait for: what its objects depend
/// on, and CRDs of the groups that it uses. A CRD is found by its name, which the API
/// server wants to be `<plural>.<group>`: what it defines stands in the other unit.
pub fn foreign(
    desired: &BTreeMap<ObjectId, Desired>,
    dependencies: &Dependencies,
    crds: &BTreeSet<ObjectId>,
) -> BTreeSet<ObjectId> {
    let mut groups: BTreeSet<&str> = BTreeSet::new();
    if !crds.is_empty() {
        groups.extend(desired.keys().map(|id| id.kind.group.as_str()));
    }
    let defines = |id: &&ObjectId| {
        let group = id.name.split_once('.').map_or("", |(_, group)| group);
        groups.contains(group)
    };
    let needed = dependencies.of.values().flatten();
    let needed = needed.chain(crds.iter().filter(defines));
    needed
        .filter(|id| !desired.contains_key(id))
        .cloned()
        .collect()
}

/// The CRDs among the objects, by the kind that they define.
fn definitions(desired: &BTreeMap<ObjectId, Desired>) -> BTreeMap<GroupKind, ObjectId> {
    desired
        .values()
        .filter_map(|object| Some((object.defines.clone()?, object.id.clone())))
        .collect()
}

fn explicit(object: &Desired) -> Result<Vec<ObjectId>, DependencyError> {
    let Some(text) = object.setting(DEPENDS_ON) else {
        return Ok(Vec::new());
    };
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    items
        .map(|item| reference(item).ok_or_else(|| DependencyError::Malformed(item.to_owned())))
        .collect()
}

fn reference(text: &str) -> Option<ObjectId> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        [group, "namespaces", namespace, kind, name] => {
            let kind = GroupKind::new(group, kind).ok()?;
            ObjectId::parse(kind, Some(namespace), name).ok()
        }
        [group, kind, name] => ObjectId::parse(GroupKind::new(group, kind).ok()?, None, name).ok(),
        _ => None,
    }
}

/// The objects that lie on a cycle, each with the way around.
fn cycles(of: &BTreeMap<ObjectId, BTreeSet<ObjectId>>) -> Vec<(ObjectId, String)> {
    of.keys()
        .filter_map(|start| way_back(of, start).map(|path| (start.clone(), path)))
        .collect()
}

fn way_back(of: &BTreeMap<ObjectId, BTreeSet<ObjectId>>, start: &ObjectId) -> Option<String> {
    let mut stack = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(path) = stack.pop() {
        for next in path
            .last()
            .and_then(|last| of.get(*last))
            .into_iter()
            .flatten()
        {
            if next == start {
                let names: Vec<String> = path
                    .iter()
                    .chain([&start])
                    .map(ToString::to_string)
                    .collect();
                return Some(names.join(" -> "));
            }
            if seen.insert(next) {
                stack.push(path.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

impl Dependencies {
    /// How many waits come before an object.
    pub fn wave(&self, id: &ObjectId) -> u32 {
        self.of
            .get(id)
            .into_iter()
            .flatten()
            .map(|before| self.wave(before) + 1)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use serde_json::json;

    fn id(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
        let kind = GroupKind::new(group, kind).expect("a kind");
        ObjectId::parse(kind, namespace, name).expect("a name")
    }

    #[test]
    fn what_other_units_have_to_bring_first_is_foreign() {
        let widget = id("example.com", "Widget", Some("shop"), "w");
        let origin = Origin {
            path: "w.yaml".to_owned(),
            line: 1,
        };
        let desired = Desired::new(widget.clone(), &json!({}), origin);
        let crd = |name| {
            id(
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                None,
                name,
            )
        };
        let (namespace, other) = (
            id("", "Namespace", None, "shop"),
            id("", "Namespace", None, "other"),
        );
        let unit: UnitName = "platform".parse().expect("a name");
        let claims = [
            namespace.clone(),
            other,
            widget.clone(),
            crd("widgets.example.com"),
            crd("things.elsewhere.com"),
        ];
        let claims = BTreeMap::from(claims.map(|id| (id, unit.clone())));
        let crds = claims
            .keys()
            .filter(|id| id.kind.kind.starts_with("Custom"));
        let crds = crds.cloned().collect();
        let desired = BTreeMap::from([(widget, desired)]);
        let found = foreign(&desired, &dependencies(&desired, &claims), &crds);
        assert_eq!(found, [namespace, crd("widgets.example.com")].into());
    }
}
