//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::gone::Deletions;
use super::order::Dependencies;
use super::proposed::Proposals;
use crate::config::Unit;
use crate::fields::{Others, Verdict};
use crate::health::Health;
use crate::model::{
    Desired, Digest, DigestKey, EnvironmentName, Json, Live, ObjectId, Revision, UnitName,
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
    /// The unit's objects as the inventory has them.
    pub members: &'a Members,
    /// The rest of the environment.
    pub neighbours: &'a Neighbours,
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

/// The inventory's objects.
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

/// A desired state that the API server did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of the desired state.
    pub digest: Digest,
    /// The server's words.
    pub message: String,
    /// Whether it said that a field is immutable.
    pub immutable: bool,
    /// When it is tried again all the same.
    pub again: Timestamp,
    /// How often in a row it was refused before.
    pub failures: u32,
}
