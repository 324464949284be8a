//! What a repository's files come to once validated: environments and their units,
//! every setting decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::field_path::{FieldPath, matches};
use super::problem::Problem;
use crate::model::{Digest, EnvironmentName, Namespace, ObjectId, Origin, UnitName};

/// The environments of a repository in which nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// By name.
    pub environments: BTreeMap<EnvironmentName, Environment>,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// Its units: all of them, so that one which is missing here has left the
    /// repository on purpose.
    pub units: BTreeMap<UnitName, Unit>,
}

/// A unit with every setting decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that a user writes as true or false"
)]
pub struct Unit {
    /// Its name within the environment.
    pub name: UnitName,
    /// Its directory from the repository's root, without `.`, `..` or a slash at
    /// either end; empty for the root itself.
    pub path: String,
    /// What is done with the directory.
    pub kind: UnitType,
    /// For objects that name no namespace.
    pub namespace: Option<Namespace>,
    /// The units of the same environment that come first.
    pub after: Vec<UnitName>,
    /// Whether an object that left the repository is deleted.
    pub prune: bool,
    /// How many may be deleted at once without somebody's approval.
    pub max_prune: MaxPrune,
    /// What is done about drift.
    pub drift: DriftPolicy,
    /// How long a proposal keeps what was changed; for ever if `None`.
    pub keep_for: Option<Duration>,
    /// What is done about fields that somebody else owns.
    pub conflicts: ConflictPolicy,
    /// What is done about fields that others add to objects.
    pub foreign_fields: ForeignPolicy,
    /// Fields of others that are allowed all the same.
    pub ignore: Vec<IgnoreRule>,
    /// Whether an object is deleted and created again where a field can't be changed.
    pub replace: bool,
    /// Whether Secrets may stand in the repository in plain text.
    pub allow_plain_secrets: bool,
    /// How long objects may take to become healthy.
    pub health_timeout: Duration,
    /// Whether the unit is left alone: neither applied nor pruned.
    pub suspend: bool,
    /// Settings that have another name by now.
    pub outdated: Vec<Problem>,
    /// Files and directories inside `path` that are not the unit's, as paths from
    /// the repository's root: other units' directories, `agent.yaml`, `unit.yaml`.
    pub exclude: Vec<String>,
    /// What is wrong with its directory. It is not rendered then, and the other units are.
    pub flaw: Option<Problem>,
    /// Where it is declared.
    pub origin: Origin,
}

/// What a unit's directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
#[serde(rename_all = "camelCase")]
pub enum UnitType {
    /// Kubernetes manifests: every `.yaml`, `.yml` and `.json` file, subdirectories
    /// included.
    Manifests,
    /// A kustomization, built by `kustomize`.
    Kustomize,
}

/// What is done when live moved and we did not do it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
#[serde(rename_all = "camelCase")]
pub enum DriftPolicy {
    /// Put back what the repository says.
    #[default]
    Revert,
    /// Leave it and show it.
    Report,
    /// Leave it, and open a pull request that makes it what the repository declares.
    Propose,
}

/// What is done about a field that the repository declares and somebody else owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
#[serde(rename_all = "camelCase")]
pub enum ConflictPolicy {
    /// Take it over.
    #[default]
    Take,
    /// Leave the object alone and say so.
    Fail,
}

/// What is done about a field that the repository does not declare and that somebody
/// else has added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
#[serde(rename_all = "camelCase")]
pub enum ForeignPolicy {
    /// Leave it and show it.
    #[default]
    Report,
    /// Remove it.
    Revert,
    /// Leave it and say nothing.
    Allow,
}

/// Fields that others may add, whatever the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    /// A kind, with its group (`Deployment.apps`) or without; every one if `None`. A
    /// `*` stands for any text.
    pub kind: Option<String>,
    /// An object's name, likewise.
    pub name: Option<String>,
    /// The fields.
    pub path: FieldPath,
    /// Where it is written.
    pub origin: Origin,
}

impl IgnoreRule {
    /// Whether the rule is about an object.
    pub fn concerns(&self, id: &ObjectId) -> bool {
        let kind = |wanted: &str| {
            if wanted.contains('.') {
                matches(wanted, &id.kind.to_string())
            } else {
                matches(wanted, &id.kind.kind)
            }
        };
        self.kind.as_deref().is_none_or(kind)
            && self
                .name
                .as_deref()
                .is_none_or(|wanted| matches(wanted, &id.name))
    }

    /// Whether it covers a field of an object.
    pub fn covers(&self, id: &ObjectId, path: &str) -> bool {
        self.concerns(id) && self.path.covers(path)
    }
}

/// How many objects of a unit may be pruned at once without approval. Only a prune
/// over both limits is held back, so a limit of 0 leaves the other one to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPrune {
    /// A number of objects.
    pub count: u32,
    /// A share of the unit's objects, in percent.
    pub percent: u32,
}

impl MaxPrune {
    /// Whether this allows more than what holds where nothing is said. What such a unit
    /// deletes is its own affair: somebody has said so in its settings, and it does not
    /// count for its environment as long as the unit stays.
    fn is_looser_than_usual(self) -> bool {
        let usual = Self::default();
        self != usual && self.count >= usual.count && self.percent >= usual.percent
    }

    /// What neither of two allows more of than the other.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            count: self.count.min(other.count),
            percent: self.percent.min(other.percent),
        }
    }

    /// Whether pruning `pruned` of a unit's `total` objects needs approval.
    pub fn exceeded_by(self, pruned: usize, total: usize) -> bool {
        let over = |limit: u32| u64::try_from(pruned).unwrap_or(u64::MAX) > u64::from(limit);
        let share = pruned.saturating_mul(100) > total.saturating_mul(self.percent as usize);
        over(self.count) && over(0) && share
    }
}

impl Default for MaxPrune {
    fn default() -> Self {
        Self {
            count: 10,
            percent: 25,
        }
    }
}

/// How long objects may take to become healthy where nothing else is said.
pub const DEFAULT_HEALTH_TIMEOUT: Duration = Duration::from_mins(5);

impl Unit {
    /// Whether it is its own affair how much of it is deleted, and does not count for its
    /// environment as long as it stays.
    pub fn prunes_for_itself(&self) -> bool {
        self.max_prune.is_looser_than_usual()
    }

    /// Of the settings that decide whether what is declared is carried out: who changes one
    /// has what waited for that done.
    pub fn decisions(&self) -> Digest {
        Digest::of_json(&json!({
            "prune": self.prune,
            "maxPrune": self.max_prune,
            "conflicts": self.conflicts,
            "replace": self.replace,
        }))
    }

    /// The unit where this limit is still in force: one commit can't both raise what may be
    /// deleted and delete it.
    #[must_use]
    pub fn held_to(self: &Arc<Self>, in_force: MaxPrune) -> Arc<Self> {
        let max_prune = self.max_prune.stricter(in_force);
        if max_prune == self.max_prune {
            return Arc::clone(self);
        }
        Arc::new(Self {
            max_prune,
            ..Self::clone(self)
        })
    }

    /// A directory as a unit with every setting at its default.
    pub fn new(name: UnitName, path: String, kind: UnitType, origin: Origin) -> Self {
        Self {
            name,
            path,
            kind,
            namespace: None,
            after: Vec::new(),
            prune: true,
            max_prune: MaxPrune::default(),
            drift: DriftPolicy::default(),
            keep_for: None,
            outdated: Vec::new(),
            conflicts: ConflictPolicy::default(),
            foreign_fields: ForeignPolicy::default(),
            ignore: Vec::new(),
            replace: false,
            allow_plain_secrets: false,
            health_timeout: DEFAULT_HEALTH_TIMEOUT,
            suspend: false,
            exclude: Vec::new(),
            flaw: None,
            origin,
        }
    }
}
