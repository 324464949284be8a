//! Fields that others have added to an object of ours. Server-side apply alone
//! never touches them.

use serde_json::Value;

use super::owners::Entry;
use super::path::{Step, print};
use super::scalar::same;
use super::set::{Element, FieldSet};
use crate::model::{Desired, FIELD_MANAGER, Live, Manager};

/// Managers that are part of Kubernetes or of what a cluster runs on, and whose
/// writes to the objects of others are their job.
const KNOWN_CONTROLLERS: [&str; 14] = [
    "kube-controller-manager",
    "kube-scheduler",
    "kube-apiserver",
    "kubelet",
    "kwok",
    "cloud-controller-manager",
    "cluster-autoscaler",
    "cert-manager-cainjector",
    "vpa-updater",
    "vpa-recommender",
    "cilium-agent",
    "cilium-operator",
    "calico-node",
    "calico-kube-controllers",
];

/// Maps whose entries stand for themselves: each is shown on its own, whoever made
/// the map.
const OPEN_MAPS: [&[&str]; 4] = [
    &["metadata", "labels"],
    &["metadata", "annotations"],
    &["data"],
    &["binaryData"],
];

/// The fields outside status that are live, owned by somebody who is neither we nor
/// a known controller, and neither owned nor desired by us; sorted by path. A field
/// that desired declares and another has taken is drift instead, and
/// [`compare`](super::compare()) tells it.
pub fn foreign(desired: &Desired, live: &Live) -> Vec<(String, Manager)> {
    let ours = super::owned(live, FIELD_MANAGER);
    let body = desired.body();
    let mut found: Vec<(String, Manager)> = Vec::new();
    for entry in Entry::all(live).filter(|entry| is_foreign(*entry)) {
        let Ok(fields) = entry.fields() else { continue };
        let mut walk = Walk {
            path: Vec::new(),
            found: Vec::new(),
        };
        for (element, set) in fields.children() {
            if *element != Element::Field("status".to_owned()) {
                let at = Place {
                    ours: Some(&ours),
                    desired: Some(&body),
                    live: Some(&live.body),
                };
                walk.step(element, set, at);
            }
        }
        let manager = entry.manager();
        found.extend(walk.found.into_iter().map(|path| (path, manager.clone())));
    }
    // Of several managers of one field the latest is named.
    found.sort_by(|(a, x), (b, y)| (a, &y.time).cmp(&(b, &x.time)));
    found.dedup_by(|(a, _), (b, _)| a == b);
    found
}

fn is_foreign(entry: Entry<'_>) -> bool {
    let name = entry.text("manager");
    !entry.is_ours()
        && entry.text("subresource") != "status"
        && !KNOWN_CONTROLLERS.contains(&name)
        && !name.ends_with("-cloud-controller-manager")
}

/// The same path in our set, in desired and in live.
#[derive(Clone, Copy)]
struct Place<'a> {
    ours: Option<&'a FieldSet>,
    desired: Option<&'a Value>,
    live: Option<&'a Value>,
}

impl Place<'_> {
    fn child(self, element: &Element) -> Self {
        Self {
            ours: self.ours.and_then(|ours| ours.child(element)),
            desired: self.desired.and_then(|value| at(value, element)),
            live: self.live.and_then(|value| at(value, element)),
        }
    }
}

/// The value at an element; a key field that an item leaves out is its default.
fn at<'a>(value: &'a Value, element: &Element) -> Option<&'a Value> {
    match element {
        Element::Field(name) => value.get(name),
        Element::Index(index) => value.get(index),
        Element::Value(wanted) => value.as_array()?.iter().find(|item| same(item, wanted)),
        Element::Key(key) => value.as_array()?.iter().find(|item| {
            key.iter().any(|(name, _)| item.get(name).is_some())
                && key
                    .iter()
                    .all(|(name, own)| item.get(name).is_none_or(|item| same(item, own)))
        }),
    }
}

struct Walk<'a> {
    path: Vec<Step<'a>>,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    fn step(&mut self, element: &'a Element, set: &'a FieldSet, parent: Place<'_>) {
        let place = parent.child(element);
        if place.live.is_none() {
            return;
        }
        self.path.push(match element {
            Element::Field(name) => Step::Field(name),
            Element::Key(key) => Step::Key(key),
            Element::Value(value) => Step::Value(value),
            Element::Index(index) => Step::Index(*index),
        });
        self.visit(set, place);
        self.path.pop();
    }

    fn visit(&mut self, set: &'a FieldSet, place: Place<'_>) {
        if set.is_leaf() {
            if place.ours.is_none() && place.desired.is_none() {
                self.found.push(print(&self.path));
            }
        } else if place.ours.is_some_and(FieldSet::is_leaf) {
            // We own the whole, whatever stands in it.
        } else if set.member && place.ours.is_none() && place.desired.is_none() && !self.open() {
            self.found.push(print(&self.path));
        } else {
            for (element, set) in set.children() {
                self.step(element, set, place);
            }
        }
    }

    fn open(&self) -> bool {
        OPEN_MAPS.iter().any(|map| {
            map.len() == self.path.len()
                && map
                    .iter()
                    .zip(&self.path)
                    .all(|(name, step)| matches!(step, Step::Field(field) if field == name))
        })
    }
}
