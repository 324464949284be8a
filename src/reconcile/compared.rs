//! What comparisons came to, so that none is made twice: an object is compared again
//! only when it or what is desired of it has moved, and the API server is asked about a
//! difference in spelling once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use git2::Oid;

use crate::health::Status;
use crate::model::{Desired, Digest, DigestKey, ObjectId, holds_secret};
use crate::plan::AsDesired;
use crate::runtime::lock::lock;

/// How many of a unit's digests are kept for the next process: an inventory is a
/// `ConfigMap`, which holds 1 MiB. The server is asked about the others again.
const MOST_KEPT: usize = 20_000;

/// The comparisons of an environment.
#[derive(Debug, Default)]
pub struct Compared {
    notes: Mutex<BTreeMap<ObjectId, Note>>,
    known: Mutex<Known>,
}

/// An object that was found to be ours and as desired.
#[derive(Debug, Clone)]
struct Note {
    version: u64,
    desired: Digest,
    found: AsDesired,
    recorded: Oid,
}

/// Objects whose difference from desired the API server has called none.
#[derive(Debug, Default)]
struct Known {
    /// By what was compared.
    by_object: BTreeMap<ObjectId, String>,
    /// Of an earlier process, until they are met.
    earlier: BTreeSet<String>,
}

/// An object that is known as desired, and the id of its recorded form.
pub(super) struct Same {
    pub(super) found: AsDesired,
    pub(super) recorded: Oid,
}

impl Compared {
    /// What is known of a desired object whose live one has this resourceVersion.
    pub(super) fn same(&self, desired: &Desired, version: u64) -> Option<Same> {
        let notes = lock(&self.notes);
        let note = notes.get(&desired.id)?;
        (note.version == version && note.desired == desired.digest).then(|| Same {
            found: note.found.clone(),
            recorded: note.recorded,
        })
    }

    /// Remembers that an object is as desired, unless time alone may change how it is.
    pub(super) fn note(&self, desired: &Desired, version: u64, found: AsDesired, recorded: Oid) {
        if desired.id.kind.is("", "Pod") && found.health.status != Status::Current {
            return;
        }
        let note = Note {
            version,
            desired: desired.digest,
            found,
            recorded,
        };
        lock(&self.notes).insert(desired.id.clone(), note);
    }

    /// Has every object compared again.
    pub fn forget(&self) {
        lock(&self.notes).clear();
    }

    /// Lets go of what no unit declares any more.
    pub(super) fn retain(&self, declared: impl Fn(&ObjectId) -> bool) {
        lock(&self.notes).retain(|id, _| declared(id));
        lock(&self.known).by_object.retain(|id, _| declared(id));
    }

    /// Whether the API server has called this difference none.
    pub(super) fn is_known(&self, id: &ObjectId, compared: &str) -> bool {
        let mut known = lock(&self.known);
        if known.by_object.get(id).map(String::as_str) == Some(compared) {
            return true;
        }
        let met = known.earlier.remove(compared);
        if met {
            known.by_object.insert(id.clone(), compared.to_owned());
        }
        met
    }

    /// Remembers that it has.
    pub(super) fn know(&self, id: &ObjectId, compared: String) {
        lock(&self.known).by_object.insert(id.clone(), compared);
    }

    /// There is no difference any more that could be called none.
    pub(super) fn unknow(&self, id: &ObjectId) {
        lock(&self.known).by_object.remove(id);
    }

    /// Takes in what an earlier process knew.
    pub(super) fn recall(&self, earlier: impl IntoIterator<Item = String>) {
        lock(&self.known).earlier.extend(earlier);
    }

    /// What is known of these objects, to be kept for the next process.
    pub(super) fn known<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a ObjectId>,
    ) -> BTreeSet<String> {
        let known = lock(&self.known);
        if known.by_object.is_empty() {
            return BTreeSet::new();
        }
        objects
            .into_iter()
            .filter_map(|id| known.by_object.get(id).cloned())
            .take(MOST_KEPT)
            .collect()
    }
}

/// What was compared, as 16 hexadecimal digits; keyed where it could tell of a secret.
pub(super) fn key_of(desired: &Desired, projected: &Digest, key: &DigestKey) -> String {
    let text = format!("{} {} {projected}", desired.id, desired.digest);
    if holds_secret(&desired.id) {
        return key.digest(&text).trim_start_matches("hmac:").to_owned();
    }
    Digest::of_bytes(text.as_bytes()).to_string()["sha256:".len()..][..16].to_owned()
}
