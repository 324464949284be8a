//! An object as declared (`Desired`) and as it is (`Live`): two types over the same
//! JSON, so that one can't be taken for the other.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{Digest, GroupKind, ObjectId};

/// Where in the environment repository something is declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Origin {
    /// Path from the repository's root.
    pub path: String,
    /// Line, from 1; 0 where only the file is known (what a tool rendered).
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.path),
            line => write!(f, "{}:{line}", self.path),
        }
    }
}

/// An object as the environment repository declares it. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Its identity, the namespace resolved.
    pub id: ObjectId,
    /// `apiVersion` as written.
    pub api_version: String,
    /// The whole object, without null values that were never meant to be applied.
    pub body: Arc<Value>,
    /// Where it is declared.
    pub origin: Origin,
    /// Of `body`.
    pub digest: Digest,
}

impl Desired {
    /// From an object whose identity is known. `body` must carry the same identity.
    pub fn new(id: ObjectId, body: Value, origin: Origin) -> Self {
        let api_version = text(&body, "/apiVersion").unwrap_or_default().to_owned();
        let digest = Digest::of_json(&body);
        Self {
            id,
            api_version,
            body: Arc::new(body),
            origin,
            digest,
        }
    }

    /// The annotation's value.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        entry(&self.body, "annotations", name)
    }
}

/// An object as the API server returned it, managedFields included.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The whole object.
    pub body: Value,
}

impl Live {
    /// Takes an API server's answer in.
    pub fn new(body: Value) -> Self {
        Self { body }
    }

    /// The object's identity; `None` for something that is no object.
    pub fn id(&self) -> Option<ObjectId> {
        let group = group_of(text(&self.body, "/apiVersion")?);
        Some(ObjectId {
            kind: GroupKind::new(group, text(&self.body, "/kind")?),
            namespace: text(&self.body, "/metadata/namespace")
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            name: text(&self.body, "/metadata/name")?.to_owned(),
        })
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        text(&self.body, "/metadata/uid").unwrap_or_default()
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> &str {
        text(&self.body, "/metadata/resourceVersion").unwrap_or_default()
    }

    /// Whether a delete is under way.
    pub fn terminating(&self) -> bool {
        text(&self.body, "/metadata/deletionTimestamp").is_some()
    }

    /// The label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        entry(&self.body, "labels", name)
    }

    /// The annotation's value.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        entry(&self.body, "annotations", name)
    }
}

/// Who last set a field, as managedFields tell it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Manager {
    /// The field manager's name.
    pub name: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// RFC 3339, as the API server wrote it; empty where it didn't.
    pub time: String,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.time.is_empty() {
            Ok(())
        } else {
            write!(f, " at {}", self.time)
        }
    }
}

/// The group of an `apiVersion`: `apps/v1` gives `apps`, `v1` the empty core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn text<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    body.pointer(pointer).and_then(Value::as_str)
}

fn entry<'a>(body: &'a Value, map: &str, name: &str) -> Option<&'a str> {
    body.get("metadata")?.get(map)?.get(name)?.as_str()
}
