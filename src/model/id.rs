//! Names of things: environments, units, and Kubernetes objects.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A name that is not a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a valid name: use at most 63 of a-z, 0-9 and `-`, starting and ending with a letter or digit"
)]
pub struct NameError(pub String);

/// RFC 1123 label, the rule for Kubernetes label values that we derive from names.
fn dns_label(text: &str) -> Result<(), NameError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fine = !text.is_empty()
        && text.len() <= 63
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fine {
        Ok(())
    } else {
        Err(NameError(text.to_owned()))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                dns_label(text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of an environment, such as `staging`. A DNS label.
    EnvironmentName
}
name! {
    /// The name of a unit within its environment, such as `shop`. A DNS label.
    UnitName
}

/// An API group and kind, without version: what an inventory lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// The API group, empty for the core group.
    pub group: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// From group and kind.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// Whether this is that group and kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// `Deployment.apps`, `ConfigMap`: the spelling of ApplySet annotations and of kubectl.
impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

impl FromStr for GroupKind {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self::new(group, kind))
    }
}

/// The identity of an object in a cluster. The version is not part of it. Cheap to
/// clone: a large environment has each in a dozen maps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Identity", into = "Identity")]
pub struct ObjectId(Arc<Identity>);

/// What an [`ObjectId`] consists of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Group and kind.
    #[serde(flatten)]
    pub kind: GroupKind,
    /// `None` for a cluster-scoped object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectId {
    /// From its parts.
    pub fn new(kind: GroupKind, namespace: Option<String>, name: impl Into<String>) -> Self {
        Self(Arc::new(Identity {
            kind,
            namespace,
            name: name.into(),
        }))
    }
}

impl Deref for ObjectId {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            Ordering::Equal
        } else {
            self.0.cmp(&other.0)
        }
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Identity> for ObjectId {
    fn from(identity: Identity) -> Self {
        Self(Arc::new(identity))
    }
}

impl From<ObjectId> for Identity {
    fn from(id: ObjectId) -> Self {
        Arc::unwrap_or_clone(id.0)
    }
}

/// `Deployment shop/web`, `Namespace shop`, `Widget.example.com shop/w`. The group
/// is left out for those of Kubernetes itself, as people do.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = &self.kind.group;
        if group.contains('.') && !group.ends_with(".k8s.io") {
            write!(f, "{} ", self.kind)?;
        } else {
            write!(f, "{} ", self.kind.kind)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
