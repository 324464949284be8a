//! What the agent has applied, nobody declares, and is not proven to be a unit's: it is kept
//! and told, until somebody settles it.

use std::collections::BTreeMap;

use serde_json::json;

use super::pass::{Context, PlanInput};
use crate::model::{Digest, EnvironmentName, ObjectId, PART_OF, Uid, UnitName};
use crate::plan::Granted;

/// How many of those that are left alone are told by name.
pub(super) const TOLD: usize = 10;

/// The objects that are left over of a unit.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    objects: BTreeMap<ObjectId, (Uid, Leftover)>,
    /// What has to be approved for the unlisted ones to be deleted, where there are any.
    asks: Option<Digest>,
}

/// Why an object that we have applied and nobody declares is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leftover {
    /// It is not on the list of what was applied.
    Unlisted,
    /// Something else controls it.
    Controlled(String),
}

impl Leftovers {
    /// Takes one in.
    pub(super) fn insert(&mut self, id: ObjectId, uid: Uid, why: Leftover) {
        self.objects.insert(id, (uid, why));
    }

    /// Which objects.
    pub(super) fn objects(&self) -> impl Iterator<Item = &ObjectId> {
        self.objects.keys()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What has to be approved for the unlisted ones to be deleted.
    pub(super) fn asks(&self) -> Option<Digest> {
        self.asks
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Each of them, and in words why it is kept and what settles that.
    pub(super) fn told(&self) -> impl Iterator<Item = (&ObjectId, String)> {
        self.objects.iter().map(|(id, (_, why))| (id, why.told(id)))
    }

    /// The same as far as a person reads it: somebody else can make any number of them.
    pub(super) fn briefly(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.told().take(TOLD).map(|(_, line)| line).collect();
        let more = self.len().saturating_sub(TOLD);
        let more = (more > 0).then(|| {
            format!("… and {more} more are kept like these; `agent status -v` names them all")
        });
        lines.extend(more);
        let asks = self.asks.as_ref();
        lines.extend(asks.map(|digest| {
            format!("to have what is not on the list deleted, push a commit whose message ends with the line `Approve-Plan: {digest}`")
        }));
        lines
    }

    /// Takes out those that somebody has approved to be deleted, all of them by uid: the
    /// agent has applied them, and a person's word stands in for the list.
    pub(super) fn approved(&mut self, context: &Context, input: &PlanInput) -> Vec<ObjectId> {
        let unlisted = self.unlisted();
        if unlisted.is_empty() {
            return Vec::new();
        }
        let digest = question(&context.environment, &input.unit.name, &unlisted);
        if input.approved.contains(&digest) {
            context.spent.grant_all(unlisted.clone());
            context.spent.approve(unlisted.keys(), digest);
        }
        let granted = context.spent.granted();
        let mut approved = Vec::new();
        for (id, uid) in unlisted {
            if granted.get(&id) == Some(&uid) {
                self.objects.remove(&id);
                approved.push(id);
            } else {
                self.asks = Some(digest);
            }
        }
        approved
    }

    fn unlisted(&self) -> Granted {
        let unlisted = self.objects.iter();
        let unlisted = unlisted.filter(|(_, (_, why))| *why == Leftover::Unlisted);
        unlisted
            .map(|(id, (uid, _))| (id.clone(), uid.to_string()))
            .collect()
    }
}

/// What is approved where all of these are to be deleted.
fn question(environment: &EnvironmentName, unit: &UnitName, objects: &Granted) -> Digest {
    let objects = objects.iter();
    let objects: Vec<[String; 2]> = objects
        .map(|(id, uid)| [id.to_string(), uid.clone()])
        .collect();
    Digest::of_json(&json!([environment, "left over", unit, objects]))
}

impl Leftover {
    fn told(&self, id: &ObjectId) -> String {
        match self {
            Self::Unlisted => format!(
                "{id} is kept: it carries the unit's label and is not declared, but it is not on the list of what was applied here; declare it with `agent adopt`, take its label {PART_OF} off, or delete it"
            ),
            Self::Controlled(by) => format!(
                "{id} is kept: it left the unit, but belongs to {by}, which is not declared; take its label {PART_OF} off, or delete it"
            ),
        }
    }
}
