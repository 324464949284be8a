//! Names of things: environments, units, and Kubernetes objects.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::{Group, Kind, LABEL, Name, NameError, Namespace, is_label};

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
                if is_label(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError::new(text, "name", LABEL))
                }
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
    pub group: Group,
    /// The kind, such as `Deployment`.
    pub kind: Kind,
}

impl GroupKind {
    /// From group and kind, as text from outside.
    pub fn new(group: &str, kind: &str) -> Result<Self, NameError> {
        Ok(Self {
            group: group.parse()?,
            kind: kind.parse()?,
        })
    }

    /// From group and kind that the source code names.
    ///
    /// # Panics
    /// When they are none, which in a constant is an error of the compiler.
    pub const fn known(group: &'static str, kind: &'static str) -> Self {
        Self {
            group: Group::known(group),
            kind: Kind::known(kind),
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
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        Self::new(group, kind)
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
    pub namespace: Option<Namespace>,
    /// `metadata.name`.
    pub name: Name,
}

impl ObjectId {
    /// From its parts.
    pub fn new(kind: GroupKind, namespace: Option<Namespace>, name: Name) -> Self {
        Self(Arc::new(Identity {
            kind,
            namespace,
            name,
        }))
    }

    /// Of a kind, from namespace and name as text from outside.
    pub fn parse(kind: GroupKind, namespace: Option<&str>, name: &str) -> Result<Self, NameError> {
        let namespace = namespace.map(str::parse).transpose()?;
        Ok(Self::new(kind, namespace, name.parse()?))
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
