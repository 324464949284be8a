//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::gone::Deletions;
use super::lockout::Upkeep;
use super::order::Dependencies;
use super::proposed::Proposals;
use super::taken::Dependents;
use crate::config::Unit;
use crate::fields::{Difference, Others, Verdict};
use crate::health::Health;
use crate::model::{
    AppliedList, Claim, Desired, Digest, DigestKey, EnvironmentName, GroupKind, Json, Live,
    ObjectId, Revision, UnitName,
};

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The unit and its policies.
    pub unit: &'a Unit,
    /// The revision that desired was rendered from.
    pub revision: Option<&'a Revision>,
    /// The id of the unit's ApplySet.
    pub apply_set: &'a str,
    /// What the unit declares, completely, with the ApplySet's label on it.
    pub desired: &'a BTreeMap<ObjectId, Desired>,
    /// What is known of the desired objects, of the members and of what they depend on.
    pub observed: &'a BTreeMap<ObjectId, Observation>,
    /// The objects that are proven to be the unit's: no other one is taken away.
    pub members: &'a Members,
    /// What the unit has applied, as its inventory has it.
    pub list: &'a AppliedList,
    /// The rest of the environment.
    pub neighbours: &'a Neighbours,
    /// Whose the ApplySets of other environments are, as far as that is known.
    pub others: &'a BTreeMap<String, Claim>,
    /// The environments whose objects are taken over.
    pub adopted: &'a BTreeSet<EnvironmentName>,
    /// What its objects depend on.
    pub dependencies: &'a Dependencies,
    /// What was applied before.
    pub applied: &'a BTreeMap<ObjectId, Baseline>,
    /// What the API server refused before.
    pub refusals: &'a BTreeMap<ObjectId, Refusal>,
    /// What is known of proposals to keep drift.
    pub proposals: &'a Proposals,
    /// Desired objects that were found to be gone before.
    pub deletions: &'a Deletions,
    /// Those among the absent ones whose namespace, or the definition of whose kind, is
    /// gone or going.
    pub along: &'a BTreeSet<ObjectId>,
    /// What is deleted with its owner, and is more than that.
    pub dependents: &'a Dependents,
    /// What the agent writes for itself, where something is declared that could refuse it.
    pub upkeep: &'a Upkeep,
    /// What has to happen before changes of desired may be applied: another unit.
    pub waits: Option<&'a str>,
    /// The key for digests of Secrets' values.
    pub key: &'a DigestKey,
    /// Now.
    pub now: Timestamp,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// It is there, ours and as desired: nothing else has to be known of it.
    AsDesired(AsDesired),
    /// It is there.
    Present(Box<Seen>),
    /// The API server says that it is not.
    Absent,
    /// It could not be read; why.
    Unknown(String),
}

impl Observation {
    /// The health of an object that is there.
    pub(super) fn health(&self) -> Option<&Health> {
        match self {
            Self::AsDesired(found) => Some(&found.health),
            Self::Present(seen) => Some(&seen.health),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// What others have to do with an object that is there.
    pub(super) fn others(&self) -> Option<&Others> {
        match self {
            Self::AsDesired(found) => Some(&found.others),
            Self::Present(seen) => Some(&seen.others),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// How an object is that is ours and as desired.
#[derive(Debug, Clone, PartialEq)]
pub struct AsDesired {
    /// Its health.
    pub health: Health,
    /// What others have to do with it.
    pub others: Others,
    /// To what the API server gives the same value of its own at each apply.
    pub overruled: Vec<Difference>,
}

/// A live object, looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// As the API server has it.
    pub live: Json,
    /// Its health.
    pub health: Health,
    /// Compared with desired; [`Verdict::Clean`] for one that is not desired.
    pub verdict: Verdict,
    /// What others have to do with it; nothing, for one that is not desired.
    pub others: Others,
}

impl Seen {
    /// The live object, parsed.
    pub fn live(&self) -> Live {
        Live::new(self.live.value())
    }
}

/// The objects that are proven to be a unit's: live, applied by us with its ApplySet's
/// label, on its list of what was applied, and under no controller that nobody declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// All of them.
    Known(BTreeSet<ObjectId>),
    /// They could not be read completely; why.
    Unknown(String),
}

impl Members {
    /// How many are known.
    pub fn count(&self) -> usize {
        match self {
            Self::Known(members) => members.len(),
            Self::Unknown(_) => 0,
        }
    }

    /// Whether an object is known to be one.
    pub fn include(&self, id: &ObjectId) -> bool {
        match self {
            Self::Known(members) => members.contains(id),
            Self::Unknown(_) => false,
        }
    }
}

/// What the other units of the environment declare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Who declares an object.
    pub claims: BTreeMap<ObjectId, UnitName>,
    /// The CRDs among them.
    pub crds: BTreeSet<ObjectId>,
    /// The ApplySets of the environment.
    pub apply_sets: BTreeMap<String, UnitName>,
    /// The version of each kind that most objects are declared in.
    pub versions: BTreeMap<GroupKind, String>,
    /// Units whose render failed, so that what they declare is not known.
    pub unrendered: BTreeSet<UnitName>,
    /// Whether this unit has left the environment's configuration.
    pub retired: bool,
}

/// The desired state of an object that was applied last, as far as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// Its digest.
    pub digest: Digest,
}

/// What was to become of an object and the API server did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// This desired state.
    Desired(Digest),
    /// That it is deleted, or let go: nothing is desired of it.
    Removal,
}

/// Something that the API server did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused.
    pub refused: Refused,
    /// The server's words.
    pub message: String,
    /// Whether it said that a field is immutable.
    pub immutable: bool,
    /// When it is tried again all the same.
    pub again: Timestamp,
    /// How often in a row it was refused before.
    pub failures: u32,
}
