//! The objects of the live view, and what is newer than what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::fields;
use crate::kube::packed::Packed;
use crate::kube::pages::MOST_LISTED;
use crate::kube::watches::Place;
use crate::model::{GroupKind, Live, ObjectId, Owned, PART_OF, Uid};

/// How many deletions are kept in mind: more than there are writes under way.
const DELETIONS: usize = 256;

/// Objects that were touched by others, each with the ApplySets into which an apply of
/// ours has put it, before or after that. For one that only carries a label there is none.
pub type Touched = BTreeMap<ObjectId, BTreeSet<Arc<str>>>;

/// What the watches have told, as far as it is kept.
#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<ObjectId, Entry>,
    pub(super) touched: Touched,
    /// Those that carry the label of an ApplySet, whoever put it there.
    labelled: BTreeMap<Arc<str>, BTreeSet<ObjectId>>,
    /// What objects of a kind are packed against: one of them.
    dictionaries: BTreeMap<GroupKind, Arc<[u8]>>,
    /// The last objects that a watch told to be deleted, and at which resourceVersion.
    deleted: VecDeque<(ObjectId, u64)>,
    /// Objects that left by an event or by our own delete; not those that a list lacks.
    pub(super) told: BTreeSet<ObjectId>,
    /// Counts up with all that is taken in.
    moment: u64,
}

/// A list that is under way.
pub(in crate::kube) struct List {
    /// At this moment.
    began: u64,
    pub(super) ids: BTreeSet<ObjectId>,
    /// How much memory its objects take, packed.
    pub(super) size: usize,
}

/// An object: parsed it would take a hundred times the memory.
pub(super) struct Entry {
    pub(super) resource_version: u64,
    /// When it was taken in.
    moment: u64,
    part_of: Arc<str>,
    /// What is known of one that carries the label by an apply of ours.
    pub(super) owned: Option<Owned>,
    pub(super) packed: Packed,
}

impl State {
    /// A list begins.
    pub(super) fn begin(&self) -> List {
        List {
            began: self.moment,
            ids: BTreeSet::new(),
            size: 0,
        }
    }

    /// The server has gone back: no number that was heard before means anything now.
    pub(super) fn go_back(&mut self) {
        self.deleted.clear();
        for entry in self.objects.values_mut() {
            entry.resource_version = 0;
        }
    }

    /// What is here of a kind is in a version that is not served any more: whatever is listed
    /// takes its place.
    pub(super) fn outdate(&mut self, kind: &GroupKind) {
        let entries = self.objects.iter_mut();
        for (_, entry) in entries.filter(|(id, _)| id.kind == *kind) {
            entry.resource_version = 0;
        }
    }

    /// Takes in the answer to a write, unless the watch has told the object's end before
    /// the answer got here: nothing would ever tell it again.
    pub(super) fn put_answer(&mut self, id: &ObjectId, live: &Live) {
        let version = number(live);
        let outlived = |(gone, at): &(ObjectId, u64)| gone == id && *at >= version;
        let is_over = live.terminating() || self.deleted.iter().any(outlived);
        if self.objects.contains_key(id) || !is_over {
            self.put(id, live);
        }
    }

    /// Takes in that a watch told an object to be deleted. Returns whether this was news.
    pub(super) fn delete(&mut self, id: &ObjectId, version: u64) -> bool {
        let known = self.objects.get(id);
        if known.is_some_and(|entry| entry.resource_version > version) {
            return false;
        }
        if self.deleted.len() == DELETIONS {
            self.deleted.pop_front();
        }
        self.deleted.push_back((id.clone(), version));
        self.leave_told(id)
    }

    /// Takes in an object of a list, which is newer than what was here when the list began.
    pub(super) fn put_listed(&mut self, list: &mut List, id: &ObjectId, live: &Live) -> bool {
        let version = number(live);
        let as_it_was = self.objects.get(id).is_some_and(|entry| {
            let since = entry.moment > list.began;
            entry.resource_version == version || since && entry.resource_version > version
        });
        let news = !as_it_was && self.take(id, live);
        list.size += self.objects.get(id).map_or(0, |entry| entry.packed.size());
        news
    }

    /// Returns whether this was news.
    pub(super) fn put(&mut self, id: &ObjectId, live: &Live) -> bool {
        let known = self.objects.get(id);
        if known.is_some_and(|entry| entry.resource_version >= number(live)) {
            return false;
        }
        self.take(id, live)
    }

    fn take(&mut self, id: &ObjectId, live: &Live) -> bool {
        let Some(part_of) = live.label(PART_OF) else {
            self.remove(id);
            return true;
        };
        let part_of = match self.labelled.get_key_value(part_of) {
            Some((shared, _)) => Arc::clone(shared),
            None => Arc::from(part_of),
        };
        let packed = self.pack(&id.kind, live);
        self.moment += 1;
        self.told.remove(id);
        let labelled = self.labelled.entry(Arc::clone(&part_of)).or_default();
        labelled.insert(id.clone());
        let entry = Entry {
            resource_version: number(live),
            moment: self.moment,
            part_of: Arc::clone(&part_of),
            owned: owned(live),
            packed,
        };
        if let Some(before) = self.objects.insert(id.clone(), entry)
            && before.part_of != part_of
        {
            self.leave(id, &before.part_of);
        }
        true
    }

    /// An object that is far larger than what its kind is packed against (that one may
    /// have been seen before it had a status) is what the next are packed against.
    fn pack(&mut self, kind: &GroupKind, live: &Live) -> Packed {
        let json = live.body.to_string().into_bytes();
        let fits = self
            .dictionaries
            .get(kind)
            .filter(|dictionary| json.len() < dictionary.len() * 3 / 2);
        if let Some(dictionary) = fits {
            return Packed::new(&json, dictionary);
        }
        let dictionary: Arc<[u8]> = json.into();
        let packed = Packed::new(&dictionary, &dictionary);
        self.dictionaries.insert(kind.clone(), dictionary);
        packed
    }

    /// Lets an object go that was told to be gone.
    pub(super) fn leave_told(&mut self, id: &ObjectId) -> bool {
        let known = self.remove(id);
        if known {
            // Who is forgotten here is asked for by itself.
            if self.told.len() >= MOST_LISTED {
                self.told.clear();
            }
            self.told.insert(id.clone());
        }
        known
    }

    fn remove(&mut self, id: &ObjectId) -> bool {
        let Some(entry) = self.objects.remove(id) else {
            return false;
        };
        self.leave(id, &entry.part_of);
        true
    }

    fn leave(&mut self, id: &ObjectId, part_of: &str) {
        if let Some(labelled) = self.labelled.get_mut(part_of) {
            labelled.remove(id);
            if labelled.is_empty() {
                self.labelled.remove(part_of);
            }
        }
    }

    /// What carries the label of an ApplySet, and what is known of those that we have
    /// applied.
    pub(super) fn labelled(
        &self,
        apply_set: &str,
    ) -> impl Iterator<Item = (&ObjectId, Option<&Owned>)> {
        let ids = self.labelled.get(apply_set).into_iter().flatten();
        let entries = ids.filter_map(|id| self.objects.get_key_value(id));
        entries.map(|(id, entry)| (id, entry.owned.as_ref()))
    }

    /// The ApplySet into which an apply of ours has put an object.
    pub(super) fn apply_set(&self, id: &ObjectId) -> Option<Arc<str>> {
        let entry = self.objects.get(id)?;
        entry.owned.as_ref().map(|_| Arc::clone(&entry.part_of))
    }

    /// Drops the objects of a place that were here when a list began and that it does not
    /// hold.
    pub(super) fn retain(&mut self, place: &Place, list: &List) -> Vec<ObjectId> {
        let objects = self.objects.iter();
        let gone: Vec<ObjectId> = objects
            .filter(|(_, entry)| entry.moment <= list.began)
            .map(|(id, _)| id)
            .filter(|id| id.kind == place.kind && !list.ids.contains(*id))
            .filter(|id| place.namespace.is_none() || id.namespace == place.namespace)
            .cloned()
            .collect();
        for id in &gone {
            let before = self.apply_set(id);
            self.touched.entry(id.clone()).or_default().extend(before);
            self.remove(id);
        }
        gone
    }
}

/// The proof that a labelled object is one that we have applied; `None` for any other.
/// Worked out once, where the object comes in: its managedFields are at hand then.
pub fn owned(live: &Live) -> Option<Owned> {
    let uid = Uid::parse(live.uid())?;
    fields::labelled_by_us(live, PART_OF).then(|| Owned {
        uid,
        controller: live.controller().map(Box::new),
    })
}

fn number(live: &Live) -> u64 {
    live.resource_version().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests;
