//! The plans of an environment against its record instead of its cluster: what
//! `agent diff --recorded` prints. No request is made, and no credential needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::declare::{self, Labels, RenderCache, Tools};
use super::declared::{Declared, UnitDesired};
use super::dry_run::{in_order, retired_unit};
use super::planned::PlannedEnvironment;
use super::upkeep;
use crate::config::{self, MaxPrune};
use crate::fields::{self, Others};
use crate::health::{Health, Status};
use crate::kube::InventoryParent;
use crate::model::{
    AppliedList, Desired, DigestKey, Json, Namespace, ObjectId, Revision, Tree, UnitName,
    holds_secret,
};
use crate::plan::{
    self, Approvals, AsDesired, Budget, Checked, Deletions, Dependents, Extent, Granted, Lately,
    Leaver, Leaving, Limits, Members, Neighbours, Observation, Plan, Proposals, Proposed, Seen,
    Subject, dependencies,
};
use crate::record::status::{State, UnitStatus};
use crate::record::{RecordView, ViewError, path};
use crate::runtime::clock;

/// What stands for the values of Secrets: the key of their digests is in the cluster.
const UNKNOWN: &str = "(not compared)";

/// What to plan.
pub struct PlanRecorded<'a> {
    /// The environment.
    pub environment: &'a config::Environment,
    /// Its files.
    pub tree: &'a Arc<dyn Tree>,
    /// Their revision; `None` for a working tree.
    pub revision: Option<Revision>,
    /// Where the daemon keeps the inventories.
    pub namespace: &'a Namespace,
    /// Programs for rendering.
    pub tools: &'a Tools,
    /// What to compare with.
    pub record: &'a RecordView,
    /// Any key: no digest under it is compared with another.
    pub key: DigestKey,
}

/// What is recorded of one unit.
#[derive(Default)]
struct Recorded {
    objects: BTreeMap<ObjectId, Value>,
    status: Option<UnitStatus>,
}

impl Recorded {
    /// How much of it may be deleted unasked, whatever a newer revision says.
    fn limit(&self) -> MaxPrune {
        let status = self.status.as_ref();
        status
            .and_then(|status| status.max_prune)
            .unwrap_or_default()
    }
}

/// Plans each unit as if live were what is recorded.
///
/// # Errors
/// When the record can't be read.
pub async fn plan_recorded(wanted: PlanRecorded<'_>) -> Result<PlannedEnvironment, ViewError> {
    let (environment, namespace) = (wanted.environment, wanted.namespace);
    let labels = Labels::ApplySet { namespace };
    let mut cache = RenderCache::default();
    let (tree, tools) = (wanted.tree, wanted.tools);
    let declared = declare::declare(tree, environment, tools, labels, None, &mut cache).await;
    let recorded = read(wanted.record)?;
    let mut all: BTreeSet<ObjectId> = BTreeSet::new();
    all.extend(
        recorded
            .values()
            .flat_map(|unit| unit.objects.keys().cloned()),
    );
    let retired: BTreeSet<UnitName> = recorded
        .keys()
        .filter(|name| !declared.units.contains_key(*name))
        .cloned()
        .collect();
    let neighbours = declared.neighbours(&environment.name, namespace, &retired);
    let leaving = leaving(environment, &declared, &recorded, &neighbours);
    let mut planned = PlannedEnvironment::default();
    let nothing = Recorded::default();
    for name in in_order(environment) {
        let Some(unit) = declared.units.get(&name).filter(|unit| !unit.unit.suspend) else {
            continue;
        };
        match &unit.desired {
            Ok(desired) => {
                let warnings = desired.warnings.iter().map(ToString::to_string);
                planned.warnings.extend(warnings);
                let recorded = recorded.get(&name).unwrap_or(&nothing);
                let unit = unit.unit.held_to(recorded.limit());
                let plan = plan(&wanted, &unit, desired, recorded, &neighbours, &all);
                planned.plans.push(checked(plan, &unit, recorded, &leaving));
            }
            Err(problem) => drop(planned.failed.insert(name, problem.to_string())),
        }
    }
    for name in retired {
        let unit = retired_unit(&name, true);
        let neighbours = Neighbours {
            retired: true,
            ..neighbours.clone()
        };
        let none = UnitDesired::nothing();
        let recorded = &recorded[&name];
        let plan = plan(&wanted, &unit, &none, recorded, &neighbours, &all);
        planned.plans.push(checked(plan, &unit, recorded, &leaving));
    }
    Ok(planned)
}

fn read(record: &RecordView) -> Result<BTreeMap<UnitName, Recorded>, ViewError> {
    let mut units: BTreeMap<UnitName, Recorded> = BTreeMap::new();
    let status = record.status()?;
    for (name, status) in status.into_iter().flat_map(|status| status.units) {
        units.entry(name).or_default().status = Some(UnitStatus::clone(&status));
    }
    for file in record.files()?.into_keys() {
        let Some((unit, id)) = path::to_object(&file) else {
            continue;
        };
        let content = record.read(&file)?.unwrap_or_default();
        // A file that can't be read is one of an object of which nothing is known.
        let value = serde_saphyr::from_slice(&content).unwrap_or(Value::Null);
        units.entry(unit).or_default().objects.insert(id, value);
    }
    Ok(units)
}

fn plan(
    wanted: &PlanRecorded<'_>,
    unit: &config::Unit,
    desired: &UnitDesired,
    recorded: &Recorded,
    neighbours: &Neighbours,
    all: &BTreeSet<ObjectId>,
) -> Plan<Proposed> {
    let parent = InventoryParent::new(wanted.namespace, &wanted.environment.name, &unit.name);
    let apply_set = parent.apply_set();
    let last = recorded.status.as_ref().and_then(|status| status.desired);
    let state = recorded.status.as_ref().map(|status| status.state);
    let compared = Compared {
        recorded,
        synced: state == Some(State::Synced) && last == Some(desired.digest),
    };
    let (objects, secrets) = compared.objects(desired);
    let dependencies = dependencies(&objects, &neighbours.claims);
    let observed: BTreeMap<ObjectId, Observation> = dependencies
        .of
        .values()
        .flatten()
        // What the record knows nothing of is not what this is about.
        .map(|id| {
            let there = all.contains(id) || !neighbours.claims.contains_key(id);
            let observation = if there {
                as_desired()
            } else {
                Observation::Absent
            };
            (id.clone(), observation)
        })
        .chain(compared.observed(&objects, &apply_set))
        .collect();
    let members = Members::Known(recorded.objects.keys().cloned().collect());
    let gone = recorded.status.as_ref().map(UnitStatus::gone);
    let deletions = Deletions {
        gone: gone.unwrap_or_default(),
        ..Deletions::default()
    };
    let same = UnitDesired {
        objects: objects.clone(),
        ..desired.clone()
    };
    let mut plan = plan::plan(&Subject {
        environment: &wanted.environment.name,
        unit,
        revision: wanted.revision.as_ref(),
        apply_set: &apply_set,
        desired: &objects,
        observed: &observed,
        members: &members,
        list: &AppliedList::default(),
        neighbours,
        dependencies: &dependencies,
        applied: &same.baselines(last),
        refusals: &BTreeMap::new(),
        proposals: &Proposals::default(),
        deletions: &deletions,
        along: &BTreeSet::new(),
        dependents: &Dependents::new(),
        upkeep: &upkeep::recorded(
            wanted.namespace,
            &wanted.environment.name,
            &unit.name,
            desired,
        ),
        others: &BTreeMap::new(),
        adopted: &BTreeSet::new(),
        waits: None,
        key: &wanted.key,
        now: clock::now(),
    });
    plan.steps.iter_mut().for_each(|step| step.uid = None);
    if !secrets.is_empty() {
        let names: Vec<String> = secrets.into_iter().collect();
        plan.notes.push(format!(
            "values of Secrets are recorded as digests whose key is in the cluster, so these could not be compared: {}",
            names.join(", ")
        ));
    }
    plan
}

/// What the daemon would ask about, measured by what leaves all of the record.
fn checked(
    plan: Plan<Proposed>,
    unit: &config::Unit,
    recorded: &Recorded,
    leaving: &Leaving,
) -> Plan<Checked> {
    let budget = Budget {
        leaving: leaving.clone(),
        lately: Lately::Objects(0),
        limit: MaxPrune::default(),
    };
    let limits = Limits {
        unit: unit.max_prune,
        total: recorded.objects.len(),
        environment: Some(&budget).filter(|_| !unit.prunes_for_itself()),
    };
    plan.check(limits, Approvals::Elsewhere, &Granted::new())
}

/// What is recorded and declared no more, of units that delete that.
fn leaving(
    environment: &config::Environment,
    declared: &Declared,
    recorded: &BTreeMap<UnitName, Recorded>,
    neighbours: &Neighbours,
) -> Leaving {
    let keeps = |name: &UnitName| {
        let unit = declared.units.get(name);
        unit.is_some_and(|it| {
            let limit = recorded.get(name).map(Recorded::limit);
            let unit = it.unit.held_to(limit.unwrap_or_default());
            let counts = unit.prune && !unit.prunes_for_itself();
            !counts || unit.suspend || it.desired.is_err()
        })
    };
    let units = recorded.iter().filter(|(name, _)| !keeps(name));
    let objects = units.flat_map(|(name, unit)| {
        let left = unit.objects.keys();
        let left = left.filter(|id| !neighbours.claims.contains_key(id));
        left.map(|id| {
            let leaver = Leaver {
                unit: name.clone(),
                uid: String::new(),
                retired: !declared.units.contains_key(name),
            };
            (id.clone(), leaver)
        })
    });
    let extent = Extent {
        objects: recorded.values().map(|unit| unit.objects.len()).sum(),
        declared: neighbours.claims.len(),
        units: declared.units.len(),
    };
    Leaving::of(&environment.name, objects.collect(), extent)
}

/// A unit's record, to compare what it declares with.
struct Compared<'a> {
    recorded: &'a Recorded,
    /// Whether the record says itself that live is as declared.
    synced: bool,
}

impl Compared<'_> {
    /// What is declared, as far as it can be compared, and the values that can't be.
    fn objects(&self, desired: &UnitDesired) -> (BTreeMap<ObjectId, Desired>, BTreeSet<String>) {
        let mut secrets = BTreeSet::new();
        let objects = desired.objects.iter().map(|(id, object)| {
            let known = self.recorded.objects.get(id);
            let object = match known.filter(|_| !self.synced && holds_secret(id)) {
                Some(known) => comparable(object, known, &mut secrets),
                None => object.clone(),
            };
            (id.clone(), object)
        });
        (objects.collect(), secrets)
    }

    /// What the record says of each object, recorded or declared.
    fn observed(
        &self,
        desired: &BTreeMap<ObjectId, Desired>,
        apply_set: &str,
    ) -> BTreeMap<ObjectId, Observation> {
        let recorded = &self.recorded.objects;
        let ids = recorded.keys().chain(desired.keys());
        let observed = |id| match (recorded.get(id), desired.get(id)) {
            (None, _) => Observation::Absent,
            (Some(_), Some(_)) if self.synced => as_desired(),
            (Some(known), desired) => present(known, desired, apply_set),
        };
        ids.map(|id| (id.clone(), observed(id))).collect()
    }
}

fn as_desired() -> Observation {
    Observation::AsDesired(AsDesired {
        overruled: Vec::new(),
        health: healthy(),
        others: Others::default(),
    })
}

fn present(recorded: &Value, desired: Option<&Desired>, apply_set: &str) -> Observation {
    let mut recorded = recorded.clone();
    if desired.is_some_and(|desired| holds_secret(&desired.id)) {
        hide(&mut recorded);
    }
    let verdict = match desired {
        Some(desired) => fields::compare_recorded(desired, &recorded),
        None => fields::Verdict::Clean,
    };
    let live = fields::live_of_recorded(&recorded, apply_set);
    Observation::Present(Box::new(Seen {
        live: Json::from(&live.body),
        health: healthy(),
        verdict,
        others: Others::default(),
    }))
}

/// The record says nothing of an object's health.
fn healthy() -> Health {
    Health {
        status: Status::Current,
        message: String::new(),
    }
}

/// A Secret in which no value can be told from another; `secrets` gets the values that
/// both sides have.
fn comparable(desired: &Desired, recorded: &Value, secrets: &mut BTreeSet<String>) -> Desired {
    let mut body = desired.body();
    let keys = |value: &Value| -> BTreeSet<String> {
        let maps = ["data", "stringData"].map(|field| value.get(field).and_then(Value::as_object));
        maps.into_iter()
            .flatten()
            .flat_map(Map::keys)
            .cloned()
            .collect()
    };
    let recorded = keys(recorded);
    let both = keys(&body).into_iter().filter(|key| recorded.contains(key));
    secrets.extend(both.map(|key| format!("`{key}` of {}", desired.id)));
    hide(&mut body);
    Desired::new(desired.id.clone(), &body, desired.origin.clone())
}

fn hide(secret: &mut Value) {
    for field in ["data", "stringData"] {
        let values = secret.get_mut(field).and_then(Value::as_object_mut);
        for value in values.into_iter().flat_map(Map::values_mut) {
            *value = UNKNOWN.into();
        }
    }
}
