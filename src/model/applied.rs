//! A unit's own list of what was applied. A label can be copied by anybody; this list
//! only the agent writes, so that what is on it is what may be taken away again.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;

use super::{ObjectId, Uid};

/// The objects of a unit that were applied, or are about to be. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedList(Arc<BTreeMap<ObjectId, Applied>>);

/// How far the apply of an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is about to be created or adopted: written before the request, so that a crash
    /// after it loses nothing. Which object came of it is not known yet.
    Intended,
    /// It was, and it is this one.
    Is(Uid),
}

impl AppliedList {
    /// What the list says of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&Applied> {
        self.0.get(id)
    }

    /// Whether this very object is on the list, or was about to be put there.
    pub fn covers(&self, id: &ObjectId, uid: &Uid) -> bool {
        match self.get(id) {
            Some(Applied::Intended) => true,
            Some(Applied::Is(listed)) => listed == uid,
            None => false,
        }
    }

    /// Whether this very object is on the list, uid included.
    pub fn is(&self, id: &ObjectId, uid: &str) -> bool {
        let listed = self.get(id);
        matches!(listed, Some(Applied::Is(listed)) if Some(listed) == Uid::parse(uid).as_ref())
    }

    /// The list with these intended as well.
    pub fn intending<'a>(&self, ids: impl IntoIterator<Item = &'a ObjectId>) -> Self {
        let mut list = self.clone();
        let all = Arc::make_mut(&mut list.0);
        all.extend(ids.into_iter().map(|id| (id.clone(), Applied::Intended)));
        list
    }

    /// The same list, with the ids that somebody else keeps as well. An id is cheap to
    /// share and dear to have twice.
    pub fn sharing<V>(&self, ids: &BTreeMap<ObjectId, V>) -> Self {
        let shared = |id: &ObjectId| ids.get_key_value(id).map_or(id, |(id, _)| id).clone();
        let entries = self.iter();
        entries
            .map(|(id, applied)| (shared(id), applied.clone()))
            .collect()
    }

    /// Each object and how far its apply is.
    pub fn iter(&self) -> btree_map::Iter<'_, ObjectId, Applied> {
        self.0.iter()
    }

    /// How many objects are on it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ObjectId, Applied)> for AppliedList {
    fn from_iter<I: IntoIterator<Item = (ObjectId, Applied)>>(entries: I) -> Self {
        Self(Arc::new(entries.into_iter().collect()))
    }
}

impl<'a> IntoIterator for &'a AppliedList {
    type Item = (&'a ObjectId, &'a Applied);
    type IntoIter = btree_map::Iter<'a, ObjectId, Applied>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
