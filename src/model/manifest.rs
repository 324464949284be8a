//! An object as declared (`Desired`) and as it is (`Live`): two types over the same
//! JSON, so that one can't be taken for the other.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Digest, GroupKind, Json, ObjectId};

/// What annotations of the agent's own begin with.
pub const OWN_PREFIX: &str = "gitops-agent.dev/";

/// Ours for a single object, where the unit does not say `replace: true`.
pub const REPLACE: &str = "gitops-agent.dev/replace";

/// The ecosystem's annotation for "let it go instead of deleting it" (cli-utils).
pub const DELETION: &str = "client.lifecycle.config.k8s.io/deletion";

/// The prefixes of annotations that are settings.
const SETTINGS: [&str; 3] = [
    "gitops-agent.dev",
    "config.kubernetes.io",
    "client.lifecycle.config.k8s.io",
];

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
    pub json: Json,
    /// Where it is declared.
    pub origin: Origin,
    /// Of the whole object.
    pub digest: Digest,
    /// The kind that it defines, if it is a CRD.
    pub defines: Option<GroupKind>,
    /// The annotations that settings are read from.
    settings: BTreeMap<String, String>,
}

impl Desired {
    /// From an object whose identity is known. `body` must carry the same identity.
    pub fn new(id: ObjectId, body: &Value, origin: Origin) -> Self {
        let api_version = text(body, "/apiVersion").unwrap_or_default().to_owned();
        let json = Json::from(body);
        Self {
            defines: defined_kind(&id, body),
            id,
            api_version,
            origin,
            digest: json.digest(),
            json,
            settings: settings(body),
        }
    }

    /// The whole object, parsed.
    pub fn body(&self) -> Value {
        self.json.value()
    }

    /// The value of an annotation that is a setting, of ours or of the ecosystem.
    pub fn setting(&self, annotation: &str) -> Option<&str> {
        self.settings.get(annotation).map(String::as_str)
    }
}

fn defined_kind(id: &ObjectId, body: &Value) -> Option<GroupKind> {
    let kind = || {
        let group = text(body, "/spec/group")?;
        GroupKind::new(group, text(body, "/spec/names/kind")?).ok()
    };
    id.kind
        .is("apiextensions.k8s.io", "CustomResourceDefinition")
        .then(kind)?
}

fn settings(body: &Value) -> BTreeMap<String, String> {
    let annotations = body
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    let known = annotations.into_iter().flatten().filter(|(name, _)| {
        let prefix = name.split_once('/').map_or("", |(prefix, _)| prefix);
        SETTINGS.contains(&prefix)
    });
    known
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
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

    /// The object's identity; `None` for something that is no object, or is called as
    /// none can be.
    pub fn id(&self) -> Option<ObjectId> {
        let group = group_of(text(&self.body, "/apiVersion")?);
        let kind = GroupKind::new(group, text(&self.body, "/kind")?).ok()?;
        let namespace = text(&self.body, "/metadata/namespace").filter(|name| !name.is_empty());
        ObjectId::parse(kind, namespace, text(&self.body, "/metadata/name")?).ok()
    }

    /// The `apiVersion` that it is in.
    pub fn api_version(&self) -> &str {
        text(&self.body, "/apiVersion").unwrap_or_default()
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

    /// The uids of the objects that own it.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        let owners = self.body.pointer("/metadata/ownerReferences");
        let owners = owners.and_then(Value::as_array).into_iter().flatten();
        owners.filter_map(|owner| text(owner, "/uid"))
    }

    /// The label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        entry(&self.body, "labels", name)
    }

    /// All labels.
    pub fn labels(&self) -> impl Iterator<Item = (String, String)> {
        let labels = self.body.pointer("/metadata/labels");
        let labels = labels.and_then(Value::as_object).into_iter().flatten();
        labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
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

/// `kubectl-edit (Update) at 2026-11-21T10:02:11Z`
impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.operation.is_empty() {
            write!(f, " ({})", self.operation)?;
        }
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
