//! The patch that takes fields of others off an object, and ownership of our fields off
//! those who deployed it before.

use serde_json::{Value, json};

use super::managers::{Role, role};
use super::others::Walk;
use super::owners::Entry;
use super::place::{Place, Token, pointer};
use crate::model::{Desired, FIELD_MANAGER, Live};

/// What becomes of fields of ours that a tool which deployed the object owns as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// They are ours alone.
    End,
    /// As it is.
    Leave,
}

/// A JSON patch (RFC 6902) for exactly the live state given: it removes the foreign
/// fields at these paths, and has tools that own fields of ours own them no more (what
/// is left of theirs is foreign). `None` where there is nothing to do.
///
/// It names the resourceVersion, so that the API server refuses it with a conflict when
/// the object is another by then.
pub fn clear(desired: &Desired, live: &Live, remove: &[String], sharing: Sharing) -> Option<Value> {
    let (ours, body) = (super::owned(live, FIELD_MANAGER), desired.body());
    let mut entries: Vec<Value> = Vec::new();
    let mut gone: Vec<Vec<Token>> = Vec::new();
    let mut changed = false;
    for entry in Entry::all(live) {
        let role = role(entry);
        if matches!(role, Role::Ours | Role::Controller) {
            entries.push(entry.value().clone());
            continue;
        }
        let mut walk = Walk::new(desired, live, entry, remove);
        let left = walk.entry(entry, Place::root(&ours, &body, live));
        let found = walk.found.into_iter();
        let going: Vec<_> = found.filter(|one| remove.contains(&one.path)).collect();
        let shares = sharing == Sharing::End && role == Role::Deployer && walk.shared;
        if going.is_empty() && !shares {
            entries.push(entry.value().clone());
            continue;
        }
        changed = true;
        gone.extend(going.into_iter().map(|one| one.tokens));
        // The ownership of what is removed goes too: a default comes back, as nobody's.
        entries.extend(left.map(|left| entry.with_fields(left)));
    }
    if !changed {
        return None;
    }
    // Later items of a list first, so that no position moves before it is used.
    gone.sort_unstable_by(|a, b| b.cmp(a));
    gone.dedup();
    let mut patch = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}),
    ];
    patch.extend(
        gone.iter()
            .map(|tokens| json!({"op": "remove", "path": pointer(tokens)})),
    );
    Some(Value::Array(patch))
}
