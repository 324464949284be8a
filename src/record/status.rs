//! Where an environment and each of its units stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::path;
use crate::config::MaxPrune;
use crate::model::{
    Digest, EnvironmentName, Lineage, Namespace, ObjectId, Revision, Tally, UnitName,
};
use crate::plan::Gone;

/// What an environment is tied to, and must not be mistaken in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ties {
    /// The history that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Lineage>,
    /// The cluster that it is: the uid of its namespace `kube-system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The agent's namespace, where its inventories are.
    #[serde(
        default,
        rename = "agentNamespace",
        skip_serializing_if = "Option::is_none"
    )]
    pub namespace: Option<Namespace>,
}

/// The newest revision, which can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRevision {
    /// Its commit.
    pub revision: Revision,
    /// Who made it, as it says itself.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// Since when it is known that it can't.
    pub since: Timestamp,
    /// Whether nothing is enforced in its place: what was applied last can't be used either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
}

/// An environment's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusFile {
    /// The environment.
    pub environment: EnvironmentName,
    /// The newest revision that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// What keeps the environment as a whole from following its repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The newest revision, where it is that which can't be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRevision>,
    /// What is wrong though it is served all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What it is tied to, as far as that is known.
    #[serde(flatten)]
    pub ties: Ties,
    /// What was deleted within the last hour before the last entry.
    #[serde(flatten)]
    pub tally: Tally,
    /// Each unit. Shared: an entry changes one of perhaps a thousand.
    pub units: BTreeMap<UnitName, Arc<UnitStatus>>,
}

/// What a plan has to know of the last entry, as far as the record is at hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Last {
    /// What each unit declared when it was last synced: tells drift from a change of desired.
    pub desired: BTreeMap<UnitName, Digest>,
    /// How much of each unit may be deleted unasked, where that is not the usual.
    pub limits: BTreeMap<UnitName, MaxPrune>,
    /// What was deleted within the last hour before.
    pub tally: Tally,
    /// The units that it knows of, each with its recorded objects; `None` where the record is
    /// not at hand.
    pub units: Option<BTreeMap<UnitName, BTreeSet<ObjectId>>>,
    /// What the environment is tied to.
    pub ties: Ties,
}

/// How an environment's state changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// As it is from now on.
    pub revision: Option<Revision>,
    /// As it is from now on.
    pub error: Option<String>,
    /// As it is from now on.
    pub refused: Option<RefusedRevision>,
    /// As it is from now on.
    pub warning: Option<String>,
    /// As they are from now on.
    pub ties: Ties,
    /// As it is from now on.
    pub tally: Tally,
    /// The units that stand otherwise from now on; `None` for one that is no more.
    pub units: BTreeMap<UnitName, Option<Arc<UnitStatus>>>,
}

impl StatusFile {
    /// The change that is none.
    pub fn unchanged(&self) -> StatusChange {
        StatusChange {
            revision: self.revision.clone(),
            error: self.error.clone(),
            refused: self.refused.clone(),
            warning: self.warning.clone(),
            ties: self.ties.clone(),
            tally: self.tally.clone(),
            units: BTreeMap::new(),
        }
    }

    /// What a plan has to know of it, where these are the files of the recorded tree.
    pub fn last<'a>(&self, files: impl IntoIterator<Item = &'a str>) -> Last {
        let none = |unit: &UnitName| (unit.clone(), BTreeSet::new());
        let mut units: BTreeMap<UnitName, BTreeSet<ObjectId>> =
            self.units.keys().map(none).collect();
        for (unit, object) in files.into_iter().filter_map(path::to_object) {
            units.entry(unit).or_default().insert(object);
        }
        Last {
            desired: self.desired(),
            limits: self.limits(),
            tally: self.tally.clone(),
            units: Some(units),
            ties: self.ties.clone(),
        }
    }

    fn limits(&self) -> BTreeMap<UnitName, MaxPrune> {
        let units = self.units.iter();
        let limits = units.filter_map(|(name, unit)| Some((name.clone(), unit.max_prune?)));
        limits.collect()
    }

    /// What each unit declared when it was last synced.
    pub fn desired(&self) -> BTreeMap<UnitName, Digest> {
        let units = self.units.iter();
        let desired = units.filter_map(|(name, unit)| Some((name.clone(), unit.desired?)));
        desired.collect()
    }
}

/// A unit's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitStatus {
    /// In one word.
    pub state: State,
    /// Health in kstatus words, the worst of its objects.
    pub health: String,
    /// The revision that last changed what it declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// What it waits for, or what is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How many objects it declares.
    pub objects: usize,
    /// Of what it declares: tells after a restart whether desired has moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Digest>,
    /// Of the settings that decided then whether that is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Digest>,
    /// The proposal while which what was changed in the cluster is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
    /// What somebody deleted of it, where it proposes its drift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneObject>,
    /// How much of it may be deleted unasked until a newer revision has been enforced, where
    /// that is not the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_prune: Option<MaxPrune>,
}

/// An open proposal to keep what was changed in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Its number on the forge.
    pub pull_request: u64,
    /// Until when it keeps that at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An object that somebody deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneObject {
    /// The object.
    pub object: ObjectId,
    /// What is known of that.
    #[serde(flatten)]
    pub gone: Gone,
}

/// How a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Live is as desired, and healthy.
    Synced,
    /// It is being applied, or becoming healthy.
    Progressing,
    /// Another unit or object comes first.
    Waiting,
    /// Live differs, and policy says to leave it.
    Drifted,
    /// Something has to be changed or approved before it can go on.
    Blocked,
    /// It could not be rendered, or is not healthy.
    Failed,
    /// It is left alone on purpose.
    Suspended,
}

impl Last {
    /// How much of a unit may be deleted unasked, whatever a newer revision says; `None`
    /// where the record is not at hand.
    pub fn limit(&self, unit: &UnitName) -> Option<MaxPrune> {
        let known = self.units.is_some();
        known.then(|| self.limits.get(unit).copied().unwrap_or_default())
    }
}

impl State {
    /// Whether nothing more happens by itself.
    pub fn rests(self) -> bool {
        !matches!(self, Self::Progressing | Self::Waiting)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl UnitStatus {
    /// Whether it is known that the unit's settings decided otherwise.
    pub fn is_decided_otherwise(&self, decisions: Digest) -> bool {
        self.decisions.is_some_and(|recorded| recorded != decisions)
    }

    /// What somebody deleted of it, by object.
    pub fn gone(&self) -> BTreeMap<ObjectId, Gone> {
        let gone = self.gone.iter();
        gone.map(|one| (one.object.clone(), one.gone.clone()))
            .collect()
    }

    /// Whether this says the same as another, but for the time and for settings.
    pub fn same(&self, other: &Self) -> bool {
        Self {
            since: other.since,
            max_prune: other.max_prune,
            decisions: other.decisions,
            ..self.clone()
        } == *other
    }
}
