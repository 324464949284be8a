//! The plan and its steps.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::gone::Gone;
use super::overruled::Overruled;
use crate::fields::Foreign;
use crate::health::Health;
use crate::model::{Digest, EnvironmentName, Json, Manager, ObjectId, Origin, Revision, UnitName};

/// A plan before the guard has looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {}
/// A plan that may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {}

/// What is to be done in one unit, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<Stage> {
    /// The environment.
    pub environment: EnvironmentName,
    /// The unit.
    pub unit: UnitName,
    /// The revision that desired was rendered from; `None` for a working tree.
    pub revision: Option<Revision>,
    /// Everything that differs.
    pub steps: Vec<Step>,
    /// How many objects are as desired.
    pub clean: usize,
    /// Fields that others have added to objects and that are left as they are: no
    /// difference, but shown.
    pub foreign: Vec<ForeignField>,
    /// Objects that no apply makes as declared.
    pub overruled: Vec<Overruled>,
    /// Desired objects that are there and not yet (or no longer) healthy.
    pub unhealthy: Vec<(ObjectId, Health)>,
    /// Why something was not looked at, for people.
    pub notes: Vec<String>,
    /// Why nothing can be pruned: what the inventory holds could not be told.
    pub blind: Option<String>,
    /// What would be deleted from the environment in all, where somebody has to be asked.
    pub leaving: Option<String>,
    /// What has to be approved, where the guard holds something back.
    pub asks: Option<Digest>,
    /// Of what the plan would do: the same on a laptop and in the daemon.
    pub digest: Digest,
    pub(super) stage: PhantomData<Stage>,
}

/// One object that is not as desired.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The object.
    pub object: ObjectId,
    /// What is done to it.
    pub action: Action,
    /// Why it differs.
    pub cause: Cause,
    /// Whether it can be done.
    pub standing: Standing,
    /// How many waits for health come before it, from 0.
    pub wave: u32,
    /// In words, why.
    pub reason: String,
    /// The fields that differ. Values of Secrets are digests.
    pub fields: Vec<FieldChange>,
    /// The paths of those that others have added, and that are removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removes: Vec<String>,
    /// Where it is declared; `None` for a prune.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Live at the fields in question; `None` where there is nothing live.
    #[serde(skip)]
    pub before: Option<Json>,
    /// The same as desired; `None` for a prune.
    #[serde(skip)]
    pub after: Option<Json>,
    /// Live at the fields that we own, as the record keeps it.
    #[serde(skip)]
    pub live: Option<Json>,
    /// Of an object that somebody deleted, where the unit proposes its drift.
    #[serde(skip)]
    pub gone: Option<Gone>,
    /// Why others or data would be deleted with it, if it is deleted and they would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub along: Option<String>,
    /// What of its own the agent could not write any more, once it is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locks_out: Option<String>,
    /// The live object's uid, the precondition of what is done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It does not exist yet.
    Create,
    /// It is ours and differs.
    Change,
    /// It exists, and is not ours yet.
    Adopt,
    /// It is as desired; fields that others have added go, or their ownership of ours.
    Clear,
    /// A field can't be changed: it is deleted and created again.
    Replace,
    /// It left desired: it is deleted.
    Prune,
    /// It left desired and asked to be kept: it is let go.
    Detach,
}

/// Who moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Desired moved.
    Change,
    /// Live moved, and we did not do it.
    Drift,
    /// Every value is as desired: only who owns it moved. Put right without a word.
    Ownership,
    /// The API server, or an admission, gave fields another value than the one that we
    /// applied, and would not any more: nobody did it.
    Admission,
}

/// Whether a step can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "why")]
pub enum Standing {
    /// Now.
    Ready,
    /// After this.
    Waits(String),
    /// Not until something changes.
    Blocked(Blocked),
    /// It is left as it is by policy, and shown.
    Reported,
}

/// Why a step can't be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "message")]
pub enum Blocked {
    /// Live could not be read.
    Unobserved(String),
    /// The API server refused it, in its words.
    Refused(String),
    /// It belongs to somebody else's ApplySet, or fields do and policy says fail.
    NotOurs(String),
    /// What it depends on does not exist, or depends on it.
    Dependency(String),
    /// The guard wants somebody's approval.
    Guard(String),
    /// No apply makes it as declared.
    Overruled(String),
}

impl Standing {
    /// Whether it is, or may soon be, done.
    pub(super) fn acts(&self) -> bool {
        matches!(self, Self::Ready | Self::Waits(_))
    }
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Such as `spec.replicas` or `spec.containers[name=c].image`.
    pub path: String,
    /// Live, as short JSON; `None` where there is none.
    pub from: Option<String>,
    /// Desired, likewise.
    pub to: Option<String>,
    /// Who owns the field live, if it isn't us. Nobody owns what is not there, and a removal
    /// leaves no trace: who wrote to the object last may have had nothing to do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Manager>,
}

/// A field that somebody has added to an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForeignField {
    /// The object.
    pub object: ObjectId,
    /// The field, its value, and whose it is.
    #[serde(flatten)]
    pub field: Foreign,
}

impl FieldChange {
    /// Who made live differ, as far as it can be told.
    pub fn actor(&self) -> Option<&Manager> {
        self.owner.as_ref()
    }

    /// What became of the declared value: `spec.replicas: 3 -> 5, set by kubectl-scale at …`
    pub fn moved(&self) -> String {
        let Self {
            path,
            from: live,
            to: declared,
            owner,
        } = self;
        let set = owner.as_ref().map(|owner| format!(", set by {owner}"));
        let (declared, live, set) = (
            or_none(declared.as_ref()),
            or_none(live.as_ref()),
            set.unwrap_or_default(),
        );
        format!("{path}: {declared} -> {live}{set}")
    }
}

fn or_none(value: Option<&String>) -> &str {
    value.map_or("(none)", String::as_str)
}

/// `spec.paused: true, set by kubectl-patch (Update) at …`
impl fmt::Display for ForeignField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Foreign {
            path,
            value,
            manager,
        } = &self.field;
        write!(f, "{path}: {}, set by {manager}", super::text::short(value))
    }
}

impl<Stage> Plan<Stage> {
    /// Whether live is as desired, as far as there is something to do about it.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps that can be done now.
    pub fn ready(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| step.standing == Standing::Ready)
    }

    /// The steps that are blocked, with the reason.
    pub fn blocked(&self) -> impl Iterator<Item = (&Step, &Blocked)> {
        self.steps.iter().filter_map(|step| match &step.standing {
            Standing::Blocked(why) => Some((step, why)),
            _ => None,
        })
    }
}

impl Action {
    /// Whether it makes the object as desired, and not the other way round.
    pub fn applies(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Change | Self::Adopt | Self::Clear | Self::Replace
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Adopt => "adopt",
            Self::Clear => "clear",
            Self::Replace => "replace",
            Self::Prune => "prune",
            Self::Detach => "detach",
        })
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unobserved(why) => write!(f, "live cannot be read: {why}"),
            Self::Refused(why)
            | Self::NotOurs(why)
            | Self::Dependency(why)
            | Self::Guard(why)
            | Self::Overruled(why) => f.write_str(why),
        }
    }
}

/// What we make of the live value: `spec.replicas: 5 (set by kubectl-scale at …) -> 3`
impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, or_none(self.from.as_ref()))?;
        if let Some(owner) = &self.owner {
            write!(f, " (set by {owner})")?;
        }
        write!(f, " -> {}", or_none(self.to.as_ref()))
    }
}
