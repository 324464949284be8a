//! Where an environment and each of its units stand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, EnvironmentName, ObjectId, Revision, UnitName};
use crate::plan::Gone;

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
    /// Each unit. Shared: an entry changes one of perhaps a thousand.
    pub units: BTreeMap<UnitName, Arc<UnitStatus>>,
}

/// How an environment's state changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// As it is from now on.
    pub revision: Option<Revision>,
    /// As it is from now on.
    pub error: Option<String>,
    /// The units that stand otherwise from now on; `None` for one that is no more.
    pub units: BTreeMap<UnitName, Option<Arc<UnitStatus>>>,
}

impl StatusFile {
    /// The change that is none.
    pub fn unchanged(&self) -> StatusChange {
        StatusChange {
            revision: self.revision.clone(),
            error: self.error.clone(),
            units: BTreeMap::new(),
        }
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
    /// The proposal while which what was changed in the cluster is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
    /// What somebody deleted of it, where it proposes its drift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneObject>,
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
    /// What somebody deleted of it, by object.
    pub fn gone(&self) -> BTreeMap<ObjectId, Gone> {
        let gone = self.gone.iter();
        gone.map(|one| (one.object.clone(), one.gone.clone()))
            .collect()
    }

    /// Whether this says the same as another, but for the time.
    pub fn same(&self, other: &Self) -> bool {
        Self {
            since: other.since,
            ..self.clone()
        } == *other
    }
}
