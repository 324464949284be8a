#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(
    clippy::semicolon_if_nothing_returned,
    reason = "a case is one expression"
)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{ConflictPolicy, DriftPolicy, MaxPrune, Unit, UnitType};
use crate::fields::{Difference, Kind, Others, Verdict};
use crate::health::{Health, Status};
use crate::model::{
    Applied, AppliedList, Claim, Desired, Digest, DigestKey, EnvironmentName, FIELD_MANAGER,
    GroupKind, Json, Manager, ObjectId, Origin, PART_OF, Uid,
};

mod foreign;
mod gone;
mod guard;
mod leaving;
mod lockout;
mod order;
mod standing;

/// Everything that a plan depends on, to be changed by a case.
struct World {
    unit: Unit,
    desired: BTreeMap<ObjectId, Desired>,
    observed: BTreeMap<ObjectId, Observation>,
    members: Members,
    list: AppliedList,
    neighbours: Neighbours,
    others: BTreeMap<String, Claim>,
    adopted: BTreeSet<EnvironmentName>,
    applied: BTreeMap<ObjectId, Baseline>,
    refusals: BTreeMap<ObjectId, Refusal>,
    proposals: Proposals,
    deletions: Deletions,
    along: BTreeSet<ObjectId>,
    dependents: Dependents,
    upkeep: Upkeep,
    waits: Option<&'static str>,
}

const OURS: &str = "applyset-ours-v1";
const THEIRS: &str = "applyset-theirs-v1";

fn id(kind: &str, name: &str) -> ObjectId {
    let kind: GroupKind = kind.parse().unwrap();
    let namespaced = !matches!(
        kind.kind.as_str(),
        "Namespace" | "CustomResourceDefinition" | "PersistentVolume"
    );
    ObjectId::parse(kind, namespaced.then_some("n"), name).unwrap()
}

fn body(id: &ObjectId) -> Value {
    let api_version = if id.kind.group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{}/v1", id.kind.group)
    };
    let mut metadata = json!({"name": id.name, "labels": {PART_OF: OURS}});
    if let Some(namespace) = &id.namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": api_version, "kind": id.kind.kind, "metadata": metadata, "data": {"a": "b"}})
}

fn clean(id: &ObjectId) -> Seen {
    let mut live = body(id);
    live["metadata"]["uid"] = json!(format!("uid-{}", id.name));
    live["metadata"]["resourceVersion"] = json!("1");
    let health = Health {
        status: Status::Current,
        message: String::new(),
    };
    Seen {
        live: Json::from(&live),
        health,
        verdict: Verdict::Clean,
        others: Others::default(),
    }
}

fn changed() -> Vec<Difference> {
    let owner = Manager {
        name: "mallory".to_owned(),
        operation: "Update".to_owned(),
        time: String::new(),
    };
    let kind = Kind::Changed {
        live: json!("c"),
        desired: json!("b"),
    };
    vec![Difference {
        path: "data.a".to_owned(),
        kind,
        doubt: None,
        owner: Some(owner),
    }]
}

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

impl World {
    /// Each of these is declared, applied before, and as declared.
    fn of(objects: &[(&str, &str)]) -> Self {
        let origin = Origin {
            path: "agent.yaml".to_owned(),
            line: 1,
        };
        let mut world = Self {
            unit: Unit::new(
                "shop".parse().unwrap(),
                "shop".to_owned(),
                UnitType::Manifests,
                origin,
            ),
            desired: BTreeMap::new(),
            observed: BTreeMap::new(),
            members: Members::Known(BTreeSet::new()),
            list: AppliedList::default(),
            neighbours: Neighbours::default(),
            others: BTreeMap::new(),
            adopted: BTreeSet::new(),
            applied: BTreeMap::new(),
            refusals: BTreeMap::new(),
            proposals: Proposals::default(),
            deletions: Deletions::default(),
            along: BTreeSet::new(),
            dependents: Dependents::new(),
            upkeep: Upkeep::default(),
            waits: None,
        };
        for (kind, name) in objects {
            let id = id(kind, name);
            world.declare(&id, |_| {});
            world.see(&id, |_| {});
            let digest = world.desired[&id].digest;
            world.applied.insert(id, Baseline { digest });
        }
        for (set, unit) in [(OURS, "shop"), ("applyset-next-v1", "next")] {
            world
                .neighbours
                .apply_sets
                .insert(set.to_owned(), unit.parse().unwrap());
        }
        world
    }

    fn declare(&mut self, id: &ObjectId, change: impl FnOnce(&mut Value)) {
        let mut body = body(id);
        change(&mut body);
        let origin = Origin {
            path: format!("shop/{}.yaml", id.name),
            line: 1,
        };
        self.desired
            .insert(id.clone(), Desired::new(id.clone(), &body, origin));
        self.neighbours
            .claims
            .insert(id.clone(), "shop".parse().unwrap());
    }

    fn see(&mut self, id: &ObjectId, change: impl FnOnce(&mut Seen)) {
        let mut seen = clean(id);
        change(&mut seen);
        let Members::Known(members) = &mut self.members else {
            panic!("the members are known")
        };
        members.insert(id.clone());
        self.observed
            .insert(id.clone(), Observation::Present(Box::new(seen)));
    }

    /// It is on the list of what was applied, with this uid.
    fn list(&mut self, id: &ObjectId, uid: &str) {
        let applied = Applied::Is(Uid::parse(uid).unwrap());
        self.list = [(id.clone(), applied)].into_iter().collect();
    }

    /// It left the repository; it is still there.
    fn leave(&mut self, id: &ObjectId) {
        self.desired.remove(id);
        self.neighbours.claims.remove(id);
    }

    fn proposed(&self) -> Plan<Proposed> {
        plan(&Subject {
            environment: &"staging".parse().unwrap(),
            unit: &self.unit,
            revision: None,
            apply_set: OURS,
            desired: &self.desired,
            observed: &self.observed,
            members: &self.members,
            list: &self.list,
            neighbours: &self.neighbours,
            others: &self.others,
            adopted: &self.adopted,
            dependencies: &dependencies(&self.desired, &self.neighbours.claims),
            applied: &self.applied,
            refusals: &self.refusals,
            proposals: &self.proposals,
            deletions: &self.deletions,
            along: &self.along,
            dependents: &self.dependents,
            upkeep: &self.upkeep,
            waits: self.waits,
            key: &DigestKey::new([7; 32]),
            now: now(),
        })
    }

    fn checked(&self, approved: &BTreeSet<Digest>) -> Plan<Checked> {
        self.measured(None, approved)
    }

    fn measured(&self, budget: Option<&Budget>, approved: &BTreeSet<Digest>) -> Plan<Checked> {
        let limits = Limits {
            environment: budget,
            ..self.limits()
        };
        let approvals = Approvals::ByDigest(approved);
        self.proposed().check(limits, approvals, &Granted::new())
    }

    fn limits(&self) -> Limits<'static> {
        Limits {
            unit: self.unit.max_prune,
            total: self.members.count(),
            environment: None,
        }
    }

    fn refuse(&mut self, id: &ObjectId, immutable: bool, again: Timestamp) {
        let refusal = Refusal {
            refused: Refused::Desired(self.desired[id].digest),
            message: "the server's words".to_owned(),
            immutable,
            again,
            failures: 0,
        };
        self.refusals.insert(id.clone(), refusal);
    }
}

/// `action object, cause: standing`
fn lines(plan: &Plan<Checked>) -> Vec<String> {
    let line = |step: &Step| {
        let standing = match &step.standing {
            Standing::Ready => "ready".to_owned(),
            Standing::Waits(what) => format!("waits for {what}"),
            Standing::Blocked(why) => {
                let kind = format!("{why:?}");
                format!("blocked, {}: {why}", kind.split('(').next().unwrap())
            }
            Standing::Reported => "reported".to_owned(),
        };
        format!(
            "{} {}, {:?}: {standing}",
            step.action, step.object, step.cause
        )
    };
    plan.steps.iter().map(line).collect()
}

fn steps(world: &World) -> Vec<String> {
    lines(&world.checked(&BTreeSet::new()))
}

/// Changes one field of the live object.
fn set(seen: &mut Seen, pointer: &[&str], value: Value) {
    let mut live = seen.live.value();
    let place = pointer.iter().fold(&mut live, |at, name| &mut at[*name]);
    *place = value;
    seen.live = Json::from(&live);
}

fn label(seen: &mut Seen, value: &Value) {
    let mut live = seen.live.value();
    live["metadata"]["labels"][PART_OF] = value.clone();
    if value.is_null() {
        live["metadata"].as_object_mut().unwrap().remove("labels");
    }
    seen.live = Json::from(&live);
}

/// A case: what it is about, what is changed in a world of one clean ConfigMap `a`, and
/// the plan.
type Case = (
    &'static str,
    fn(&mut World, &ObjectId),
    &'static [&'static str],
);

#[test]
fn values_of_secrets_are_in_no_step() {
    let mut world = World::of(&[("Secret", "s")]);
    let secret = id("Secret", "s");
    world.declare(&secret, |body| body["data"] = json!({"a": "aHVzaA=="}));
    world.see(&secret, |seen| {
        set(seen, &["data"], json!({"a": "b3RoZXI="}));
        let kind = Kind::Changed {
            live: json!("[redacted]"),
            desired: json!("[redacted]"),
        };
        seen.verdict = Verdict::Drifted(vec![Difference {
            path: "data.a".to_owned(),
            kind,
            doubt: None,
            owner: None,
        }]);
    });
    let plan = world.checked(&BTreeSet::new());
    let shown = format!("{:?} {}", plan, diff(&plan.steps[0]));
    assert!(
        !shown.contains("aHVzaA==") && !shown.contains("b3RoZXI="),
        "{shown}"
    );
    assert!(diff(&plan.steps[0]).contains("hmac:"), "{shown}");
}

proptest! {
    /// Same input, same plan, whatever the order in which the input was put together.
    #[test]
    fn a_plan_is_a_function_of_its_input(states in prop::collection::vec(0_usize..5, 1..12), turn in 0_usize..12) {
        let build = |order: &[usize]| {
            let mut world = World::of(&[("ConfigMap", "stays")]);
            for number in order {
                let object = id(["ConfigMap", "Secret", "Deployment.apps"][number % 3], &format!("o{number}"));
                match states[*number] {
                    0 => world.see(&object, |_| {}),
                    1 => { world.declare(&object, |_| {}); world.see(&object, |_| {}); }
                    2 => { world.declare(&object, |_| {}); world.observed.insert(object, Observation::Absent); }
                    3 => { world.declare(&object, |_| {}); world.see(&object, |seen| seen.verdict = Verdict::Drifted(changed())); }
                    _ => { world.declare(&object, |_| {}); world.observed.insert(object, Observation::Unknown("why".to_owned())); }
                }
            }
            world.checked(&BTreeSet::new())
        };
        let mut order: Vec<usize> = (0..states.len()).collect();
        let one = build(&order);
        order.rotate_left(turn % states.len());
        order.reverse();
        let other = build(&order);
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        prop_assert_eq!(serde_json::to_string(&one.steps).unwrap(), serde_json::to_string(&other.steps).unwrap());
        // Nothing that is declared is pruned, and no step is there twice.
        let objects: BTreeSet<_> = one.steps.iter().map(|step| &step.object).collect();
        prop_assert_eq!(objects.len(), one.steps.len());
        let prunes = one.steps.iter().filter(|step| step.action == Action::Prune).count();
        prop_assert_eq!(prunes, states.iter().filter(|state| **state == 0).count());
    }
}
