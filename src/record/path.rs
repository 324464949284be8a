//! Where an object stands in the recorded tree, and the way back. Pure.
//!
//! `<unit>/<namespace or _cluster>/<Kind>.<group>/<name>.yaml`, the kind alone for
//! the core group. No Kubernetes name needs escaping; should one come that a Git
//! tree can't hold, or that would leave it, its bytes are percent-encoded.

use std::fmt::Write as _;

use crate::model::{GroupKind, ObjectId, UnitName};

/// Stands in the namespace's place. No namespace can have this name: `_` is not
/// allowed in one.
pub(super) const CLUSTER: &str = "_cluster";

/// The path of an object of a unit.
pub fn of_object(unit: &UnitName, id: &ObjectId) -> String {
    let namespace = id.namespace.as_deref().map_or(CLUSTER.to_owned(), encode);
    let kind = encode(&id.kind.to_string());
    format!("{unit}/{namespace}/{kind}/{}.yaml", encode(&id.name))
}

/// How a unit stands, in its directory.
const STATUS: &str = "/status.yaml";

/// The path of how a unit stands.
pub fn of_status(unit: &UnitName) -> String {
    format!("{unit}{STATUS}")
}

/// The unit that a path says the state of; `None` for another file.
pub fn to_status(path: &str) -> Option<UnitName> {
    path.strip_suffix(STATUS)?.parse().ok()
}

/// The list of a unit's foreign fields, in its directory.
const FOREIGN: &str = "/foreign.yaml";

/// The path of the list of a unit's foreign fields.
pub fn of_foreign(unit: &UnitName) -> String {
    format!("{unit}{FOREIGN}")
}

/// Whether a path is one of these. Objects lie deeper.
pub fn is_foreign(path: &str) -> bool {
    path.strip_suffix(FOREIGN)
        .is_some_and(|unit| !unit.contains('/'))
}

/// The object that a path stands for; `None` for a file that isn't an object's.
pub fn to_object(path: &str) -> Option<(UnitName, ObjectId)> {
    let parts: Vec<&str> = path.split('/').collect();
    let [unit, namespace, kind, file] = parts.as_slice() else {
        return None;
    };
    let namespace = match *namespace {
        CLUSTER => None,
        name => Some(decode(name)?),
    };
    let kind: GroupKind = decode(kind)?.parse().ok()?;
    let name = decode(file.strip_suffix(".yaml")?)?;
    let id = ObjectId::parse(kind, namespace.as_deref(), &name).ok()?;
    Some((unit.parse().ok()?, id))
}

/// One component of a path. A leading dot is encoded too: it covers `.`, `..` and
/// `.git`.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let unsafe_here = matches!(c, '/' | '\\' | '%') || c.is_control() || (at == 0 && c == '.');
        if unsafe_here {
            for byte in c.to_string().bytes() {
                let _ = write!(encoded, "%{byte:02X}");
            }
        } else {
            encoded.push(c);
        }
    }
    encoded
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            bytes.extend(hex::decode(tail.get(..2)?).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
