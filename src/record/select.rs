//! What of a record a person asks about: a unit, or one object. Pure.

use std::fmt;
use std::str::FromStr;

use super::path;
use crate::model::{GroupKind, NameError, ObjectId, UnitName};

/// A unit or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything of a unit.
    Unit(UnitName),
    /// One object.
    Object(ObjectPattern),
}

/// An object as people name it: `Deployment/shop/web`, `Deployment.apps/shop/web`,
/// `Namespace/shop`. Without a group, the kind of any group is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPattern {
    kind: String,
    group: Option<String>,
    namespace: Option<String>,
    name: String,
}

/// What `kubectl` takes for a kind besides its name: each with the short name that it has
/// there, and with its plural where that is not the kind's name with an `s`.
const SHORT: [(&str, &str); 24] = [
    ("cj", "CronJob"),
    ("cm", "ConfigMap"),
    ("crd", "CustomResourceDefinition"),
    ("crds", "CustomResourceDefinition"),
    ("deploy", "Deployment"),
    ("ds", "DaemonSet"),
    ("hpa", "HorizontalPodAutoscaler"),
    ("ing", "Ingress"),
    ("ingresses", "Ingress"),
    ("netpol", "NetworkPolicy"),
    ("networkpolicies", "NetworkPolicy"),
    ("no", "Node"),
    ("ns", "Namespace"),
    ("pc", "PriorityClass"),
    ("pdb", "PodDisruptionBudget"),
    ("po", "Pod"),
    ("pv", "PersistentVolume"),
    ("pvc", "PersistentVolumeClaim"),
    ("quota", "ResourceQuota"),
    ("rs", "ReplicaSet"),
    ("sa", "ServiceAccount"),
    ("sc", "StorageClass"),
    ("sts", "StatefulSet"),
    ("svc", "Service"),
];

/// The kind that is meant by what people write for one.
fn full(kind: &str) -> &str {
    let lower = kind.to_ascii_lowercase();
    SHORT
        .iter()
        .find(|(short, _)| *short == lower)
        .map_or(kind, |(_, full)| full)
}

/// Text that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// It has no `/`, and is no unit's name.
    #[error(transparent)]
    Unit(#[from] NameError),
    /// It has a `/`, and is no object's.
    #[error(
        "`{0}` names no object: write Kind/namespace/name, such as Deployment/shop/web, or Kind/name for one without a namespace"
    )]
    Object(String),
}

impl FromStr for Selection {
    type Err = SelectionError;
    fn from_str(text: &str) -> Result<Self, SelectionError> {
        if text.contains('/') {
            text.parse().map(Self::Object)
        } else {
            Ok(Self::Unit(text.parse()?))
        }
    }
}

impl FromStr for ObjectPattern {
    type Err = SelectionError;
    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, None, name),
            [kind, namespace, name] => (kind, Some(namespace), name),
            _ => return Err(SelectionError::Object(text.to_owned())),
        };
        if parts
            .iter()
            .any(|part| part.is_empty() || part.contains(' '))
        {
            return Err(SelectionError::Object(text.to_owned()));
        }
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group.to_owned())),
            None => (kind, None),
        };
        Ok(Self {
            kind: full(kind).to_owned(),
            group,
            namespace: namespace
                .filter(|namespace| *namespace != path::CLUSTER)
                .map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl ObjectPattern {
    /// Whether an object is this one.
    pub fn matches(&self, id: &ObjectId) -> bool {
        self.is_kind(&id.kind)
            && self.namespace.as_deref() == id.namespace.as_deref()
            && id.name == *self.name
    }

    /// Whether a text of the record names this object, as in `revert drift on
    /// Deployment shop/web`.
    pub fn named_in(&self, text: &str) -> bool {
        let place = match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        };
        let mut words = text.split(' ').peekable();
        while let Some(word) = words.next() {
            let Ok(kind) = word.parse::<GroupKind>() else {
                continue;
            };
            let next = words
                .peek()
                .map(|next| next.trim_end_matches([':', ';', ',']));
            // The group of Kubernetes' own kinds is not written there.
            let group = self.group.as_deref().filter(|_| !kind.group.is_empty());
            if kind.kind.eq_ignore_ascii_case(&self.kind)
                && group.is_none_or(|group| kind.group == group)
                && next == Some(&place)
            {
                return true;
            }
        }
        false
    }

    /// As it is written on the command line, without a group.
    pub fn written(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{namespace}/{}", self.kind, self.name),
            None => format!("{}/{}", self.kind, self.name),
        }
    }

    /// Its kind, without a group, as it was written.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its namespace.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a kind is the one meant.
    pub fn is_kind(&self, kind: &GroupKind) -> bool {
        let group = self.group.as_deref();
        let singular = self.kind.strip_suffix('s').unwrap_or(&self.kind);
        let kinds = [&*self.kind, singular];
        let same = kinds.iter().any(|one| kind.kind.eq_ignore_ascii_case(one));
        same && group.is_none_or(|group| kind.group == group)
    }
}

impl fmt::Display for ObjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(group) = &self.group {
            write!(f, ".{group}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " {namespace}/{}", self.name),
            None => write!(f, " {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn id(kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
        ObjectId::parse(kind.parse().unwrap(), namespace, name).unwrap()
    }

    #[test]
    fn an_object_is_named_as_people_do() {
        let web = id("Deployment.apps", Some("shop"), "web");
        for text in ["deploy/shop/web", "deployments/shop/web", "DEPLOY/shop/web"] {
            let pattern: ObjectPattern = text.parse().unwrap();
            assert!(pattern.matches(&web), "{text}");
        }
        for text in ["Deployment/shop/web", "deployment.apps/shop/web"] {
            let pattern: ObjectPattern = text.parse().unwrap();
            assert!(pattern.matches(&web), "{text}");
            assert!(pattern.named_in("production: revert drift on Deployment shop/web"));
            assert!(pattern.named_in("sync shop to 3fa9: change Deployment shop/web; it failed"));
            assert!(!pattern.named_in("production: revert drift on Deployment shop/web2"));
            assert!(!pattern.named_in("production: revert drift on StatefulSet shop/web"));
        }
        let other: ObjectPattern = "Deployment.example.com/shop/web".parse().unwrap();
        assert!(!other.matches(&web));
        assert!(other.named_in("prune Deployment.example.com shop/web"));
        assert!(!other.named_in("prune Deployment.example.org shop/web"));
        for text in ["Namespace/shop", "Namespace/_cluster/shop"] {
            let pattern: ObjectPattern = text.parse().unwrap();
            assert!(pattern.matches(&id("Namespace", None, "shop")));
            assert!(!pattern.matches(&id("Namespace", Some("shop"), "shop")));
        }
    }

    #[test]
    fn what_names_nothing_is_an_error() {
        for text in ["a/b/c/d", "/", "Deployment/", "Deployment//web", "a b/c/d"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
        assert!("Shop".parse::<Selection>().is_err());
        assert_eq!(
            "shop".parse::<Selection>().unwrap(),
            Selection::Unit("shop".parse().unwrap())
        );
    }
}
