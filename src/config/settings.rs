//! The settings of a unit as written: in `agent.yaml` under `defaults` and under each
//! unit, in `unit.yaml` at the top.

use std::time::Duration;

use schemars::JsonSchema;

use super::decode::{Decoder, Fields};
use super::ignore::{self, IgnoreEntry};
use super::node::{At, Node, Value};
use super::problem::Problem;
use super::unit::{ConflictPolicy, DriftPolicy, ForeignPolicy, IgnoreRule, MaxPrune, UnitType};
use crate::model::{NameError, Namespace};

/// Settings of a unit.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// What the directory holds. Without it, a directory with a kustomization.yaml is
    /// a kustomization, any other one manifests.
    pub r#type: Option<At<UnitType>>,
    /// The namespace of objects that name none.
    #[schemars(with = "Option<String>", extend("examples" = ["shop"]))]
    pub namespace: Option<Namespace>,
    /// Whether objects that left the repository are deleted from the cluster.
    #[schemars(extend("default" = true))]
    pub prune: Option<bool>,
    /// How many objects may be deleted at once without approval. A plan that would
    /// delete more than every limit given here is blocked.
    #[schemars(extend("default" = {"count": 10, "percent": 25}))]
    pub max_prune: Option<MaxPruneEntry>,
    /// What is done when an object was changed in the cluster.
    #[schemars(extend("default" = "revert"))]
    pub drift: Option<DriftPolicy>,
    /// How long `drift: propose` keeps what was changed in the cluster while nobody
    /// merges or closes the proposal, as a number and a unit; for ever if it is left out.
    #[schemars(with = "Option<String>", extend("examples" = ["24h", "3d"]))]
    pub keep_for: Option<Duration>,
    /// What is done about a field that is declared here and owned by somebody else.
    #[schemars(extend("default" = "take"))]
    pub conflicts: Option<ConflictPolicy>,
    /// What is done about a field that is not declared here and that somebody else has
    /// added to an object.
    #[schemars(extend("default" = "report"))]
    pub foreign_fields: Option<ForeignPolicy>,
    /// Fields that others may add, whatever `foreignFields` says. Those under
    /// `defaults` hold beside a unit's own.
    #[schemars(with = "Option<Vec<IgnoreEntry>>")]
    pub ignore: Option<Vec<IgnoreRule>>,
    /// Whether an object is deleted and created again where a changed field is
    /// immutable.
    #[schemars(extend("default" = false))]
    pub replace: Option<bool>,
    /// Whether Secrets may stand in the repository in plain text.
    #[schemars(extend("default" = false))]
    pub allow_plain_secrets: Option<bool>,
    /// When objects count as healthy.
    pub health: Option<HealthEntry>,
    /// Whether the unit is left alone: neither applied nor pruned.
    #[schemars(extend("default" = false))]
    pub suspend: Option<bool>,
    /// Fields that have another name by now.
    #[schemars(skip)]
    pub outdated: Vec<Problem>,
}

/// Limits on what is deleted at once. One that is left out does not count.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    inline,
    extend("minProperties" = 1)
)]
pub struct MaxPruneEntry {
    /// A number of objects; 0 asks for approval of any.
    pub count: Option<u32>,
    /// A share of the unit's objects, in percent.
    #[schemars(range(max = 100))]
    pub percent: Option<u32>,
}

/// When objects count as healthy.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, inline)]
pub struct HealthEntry {
    /// How long objects may take to become healthy: a number and a unit.
    #[schemars(with = "Option<String>", extend("default" = "5m", "examples" = ["90s", "1h 30m"]))]
    pub timeout: Option<Duration>,
}

/// Fields of capabilities that this version does not have.
const LATER_IN_UNIT: [&str; 3] = ["helm", "apply", "rollout"];

const DRIFT: [(&str, DriftPolicy); 3] = [
    ("revert", DriftPolicy::Revert),
    ("report", DriftPolicy::Report),
    ("propose", DriftPolicy::Propose),
];
const CONFLICTS: [(&str, ConflictPolicy); 2] = [
    ("take", ConflictPolicy::Take),
    ("fail", ConflictPolicy::Fail),
];
const FOREIGN: [(&str, ForeignPolicy); 3] = [
    ("report", ForeignPolicy::Report),
    ("revert", ForeignPolicy::Revert),
    ("allow", ForeignPolicy::Allow),
];
const TYPES: [(&str, UnitType); 2] = [
    ("manifests", UnitType::Manifests),
    ("kustomize", UnitType::Kustomize),
];

impl Settings {
    /// Takes its fields from among others.
    pub fn decode(fields: &mut Fields<'_>, decoder: &mut Decoder<'_>) -> Self {
        let d = decoder;
        let former = fields.take_former("hold");
        let keep_for = fields.take("keepFor").or(former.map(|(_, node)| node));
        let settings = Self {
            r#type: fields.take("type").and_then(|node| unit_type(node, d)),
            namespace: fields.take("namespace").and_then(|node| namespace(node, d)),
            prune: fields.take("prune").and_then(|node| d.boolean(node)),
            max_prune: fields.take("maxPrune").and_then(|node| max_prune(node, d)),
            drift: fields
                .take("drift")
                .and_then(|node| d.word(node, &DRIFT, &[])),
            keep_for: keep_for.and_then(|node| d.duration(node)),
            conflicts: fields
                .take("conflicts")
                .and_then(|node| d.word(node, &CONFLICTS, &[])),
            foreign_fields: fields
                .take("foreignFields")
                .and_then(|node| d.word(node, &FOREIGN, &[])),
            ignore: fields.take("ignore").map(|node| ignore::rules(node, d)),
            replace: fields.take("replace").and_then(|node| d.boolean(node)),
            allow_plain_secrets: fields
                .take("allowPlainSecrets")
                .and_then(|node| d.boolean(node)),
            health: fields.take("health").map(|node| health(node, d)),
            suspend: fields.take("suspend").and_then(|node| d.boolean(node)),
            outdated: former
                .iter()
                .map(|(key, _)| d.outdated(key, "keepFor"))
                .collect(),
        };
        fields.refuse(&LATER_IN_UNIT, d);
        settings
    }

    /// These, and `base` where they say nothing.
    pub fn over(self, base: &Self) -> Self {
        Self {
            r#type: self.r#type.or_else(|| base.r#type.clone()),
            namespace: self.namespace.or_else(|| base.namespace.clone()),
            prune: self.prune.or(base.prune),
            max_prune: self.max_prune.or(base.max_prune),
            drift: self.drift.or(base.drift),
            keep_for: self.keep_for.or(base.keep_for),
            conflicts: self.conflicts.or(base.conflicts),
            foreign_fields: self.foreign_fields.or(base.foreign_fields),
            ignore: both(self.ignore, base.ignore.as_ref()),
            replace: self.replace.or(base.replace),
            allow_plain_secrets: self.allow_plain_secrets.or(base.allow_plain_secrets),
            health: self.health.or(base.health),
            suspend: self.suspend.or(base.suspend),
            outdated: [self.outdated, base.outdated.clone()].concat(),
        }
    }
}

/// A unit's own rules, and the common ones: a team that adds one loses none.
fn both(own: Option<Vec<IgnoreRule>>, base: Option<&Vec<IgnoreRule>>) -> Option<Vec<IgnoreRule>> {
    match (own, base) {
        (Some(own), Some(base)) => Some([own, base.clone()].concat()),
        (own, base) => own.or_else(|| base.cloned()),
    }
}

/// A limit that is left out is 0, which any prune exceeds: the other one decides.
impl From<MaxPruneEntry> for MaxPrune {
    fn from(entry: MaxPruneEntry) -> Self {
        Self {
            count: entry.count.unwrap_or(0),
            percent: entry.percent.unwrap_or(0),
        }
    }
}

fn unit_type(node: &Node, decoder: &mut Decoder<'_>) -> Option<At<UnitType>> {
    let later = ["helm", "opentofu", "terraform"];
    decoder
        .word(node, &TYPES, &later)
        .map(|kind| node.with(kind))
}

fn namespace(node: &Node, decoder: &mut Decoder<'_>) -> Option<Namespace> {
    let text = decoder.text(node)?;
    match text.value.parse() {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            decoder.wrong(&text, NameError::to_string(&error), None);
            None
        }
    }
}

fn max_prune(node: &Node, decoder: &mut Decoder<'_>) -> Option<MaxPruneEntry> {
    let hint = "write `{count: 10, percent: 25}`, or one of the two".to_owned();
    if !matches!(node.value, Value::Map(_)) {
        decoder.wrong(node, "expected limits", Some(hint));
        return None;
    }
    let mut fields = decoder.fields(node);
    let (count, percent) = (fields.take("count"), fields.take("percent"));
    if count.is_none() && percent.is_none() {
        decoder.wrong(node, "has no limit", Some(hint));
    }
    fields.finish(decoder);
    Some(MaxPruneEntry {
        count: count.and_then(|node| decoder.number(node, u32::MAX)),
        percent: percent.and_then(|node| decoder.number(node, 100)),
    })
}

fn health(node: &Node, decoder: &mut Decoder<'_>) -> HealthEntry {
    let mut fields = decoder.fields(node);
    let timeout = fields
        .take("timeout")
        .and_then(|node| decoder.duration(node));
    fields.finish(decoder);
    HealthEntry { timeout }
}
