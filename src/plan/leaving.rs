//! What leaves an environment as a whole. A limit on each unit alone would let a commit
//! that drops every unit delete everything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::text::first_of;
use crate::config::MaxPrune;
use crate::model::{Digest, EnvironmentName, ObjectId, UnitName, number_of};

/// How many objects are named.
const NAMED: usize = 10;

/// How much of an environment goes and stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// The objects of all units, those that leave included, but for those that were added
    /// while they were leaving.
    pub objects: usize,
    /// The objects that are declared.
    pub declared: usize,
    /// The units that stay.
    pub units: usize,
}

/// An object that would be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// The unit whose it is.
    pub unit: UnitName,
    /// Its uid; empty where that is not known.
    pub uid: String,
    /// Whether all of its unit leaves.
    pub retired: bool,
}

/// Everything that would be deleted from an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Each object.
    pub objects: BTreeMap<ObjectId, Leaver>,
    /// What goes and what stays.
    pub extent: Extent,
    /// Of all of it: who approves that approves that these very objects go, and no others.
    pub digest: Digest,
}

/// How many objects were deleted within the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lately {
    /// So many.
    Objects(usize),
    /// Whoever knew it has forgotten: it counts as if nothing more may go.
    Unknown,
}

/// What leaves an environment, and how much may unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// What would leave.
    pub leaving: Leaving,
    /// What else was deleted within the last hour, unasked: many small revisions are one
    /// large one.
    pub lately: Lately,
    /// How much may.
    pub limit: MaxPrune,
}

/// What somebody was asked about: while it is the same, so is the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    digest: Digest,
    extent: Extent,
    lately: Lately,
}

impl Lately {
    /// How many are known.
    pub fn objects(self) -> usize {
        match self {
            Self::Objects(objects) => objects,
            Self::Unknown => 0,
        }
    }
}

impl Leaving {
    /// Of these objects.
    pub fn of(
        environment: &EnvironmentName,
        objects: BTreeMap<ObjectId, Leaver>,
        extent: Extent,
    ) -> Self {
        let mut listed: Vec<[String; 3]> = objects
            .iter()
            .map(|(id, leaver)| [leaver.unit.to_string(), id.to_string(), leaver.uid.clone()])
            .collect();
        listed.sort();
        Self {
            digest: Digest::of_json(&json!([environment, "leaving", listed])),
            objects,
            extent,
        }
    }

    /// Which objects, the first ones by name.
    pub fn listed(&self) -> String {
        let objects = self.objects.iter();
        first_of(
            objects.map(|(id, leaver)| format!("{id} of {}", leaver.unit)),
            NAMED,
        )
    }

    /// How many units leave altogether.
    fn dropped(&self) -> usize {
        let retired = self.objects.values().filter(|leaver| leaver.retired);
        let units: BTreeSet<&UnitName> = retired.map(|it| &it.unit).collect();
        units.len()
    }
}

impl Budget {
    /// What is asked about where it is exceeded.
    pub fn question(&self) -> Question {
        Question {
            digest: self.leaving.digest,
            extent: self.leaving.extent,
            lately: self.lately,
        }
    }

    /// Why somebody has to be asked, if so.
    pub(super) fn objection(&self) -> Option<String> {
        let (count, extent) = (self.leaving.objects.len(), self.leaving.extent);
        let dropped = self.leaving.dropped();
        let before = self.lately.objects();
        let total = extent.objects + before;
        let lately = match self.lately {
            Lately::Objects(0) => "",
            Lately::Objects(before) => &format!(", after {before} within the last hour"),
            Lately::Unknown => {
                ", and it is not known how many were within the last hour: neither the record nor the agent's namespace tells it any more"
            }
        };
        let what = format!(
            "{count} of the environment's {} would be deleted{lately}",
            number_of(total, "object")
        );
        if count > 0 && extent.declared == 0 {
            return Some(format!("{what}, so that nothing of it is left"));
        }
        if dropped > 1 && extent.units < 2 {
            return Some(format!(
                "{what}, with {dropped} of its {}",
                number_of(dropped + extent.units, "unit")
            ));
        }
        let exceeded =
            self.lately == Lately::Unknown || self.limit.exceeded_by(count + before, total);
        (count > 0 && exceeded).then_some(what)
    }
}
