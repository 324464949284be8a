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
    Desired, Digest, DigestKey, FIELD_MANAGER, GroupKind, Json, Manager, ObjectId, Origin, PART_OF,
};

mod foreign;

/// Everything that a plan depends on, to be changed by a case.
struct World {
    unit: Unit,
    desired: BTreeMap<ObjectId, Desired>,
    observed: BTreeMap<ObjectId, Observation>,
    members: Members,
    neighbours: Neighbours,
    applied: BTreeMap<ObjectId, Baseline>,
    refusals: BTreeMap<ObjectId, Refusal>,
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
    ObjectId::new(kind, namespaced.then(|| "n".to_owned()), name.to_owned())
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
            neighbours: Neighbours::default(),
            applied: BTreeMap::new(),
            refusals: BTreeMap::new(),
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
            neighbours: &self.neighbours,
            dependencies: &dependencies(&self.desired, &self.neighbours.claims),
            applied: &self.applied,
            refusals: &self.refusals,
            waits: self.waits,
            key: &DigestKey::new([7; 32]),
            now: now(),
        })
    }

    fn checked(&self, approved: &BTreeSet<Digest>) -> Plan<Checked> {
        self.proposed().check(
            self.unit.max_prune,
            self.members.count(),
            approved,
            &Granted::new(),
        )
    }

    fn refuse(&mut self, id: &ObjectId, immutable: bool, again: Timestamp) {
        let refusal = Refusal {
            digest: self.desired[id].digest,
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

const CASES: &[Case] = &[
    ("clean", |_, _| {}, &[]),
    (
        "new",
        |w, a| {
            w.observed.insert(a.clone(), Observation::Absent);
            w.applied.clear();
        },
        &["create ConfigMap n/a, Change: ready"],
    ),
    (
        "deleted",
        |w, a| drop(w.observed.insert(a.clone(), Observation::Absent)),
        &["create ConfigMap n/a, Drift: ready"],
    ),
    (
        "changed by somebody",
        |w, a| w.see(a, |s| s.verdict = Verdict::Drifted(changed())),
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "changed in Git",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "perhaps changed",
        |w, a| w.see(a, |s| s.verdict = Verdict::Maybe(changed())),
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "drift reported",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.drift = DriftPolicy::Report;
        },
        &["change ConfigMap n/a, Drift: reported"],
    ),
    (
        "a change is applied under report too",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.drift = DriftPolicy::Report;
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "nobody's",
        |w, a| w.see(a, |s| label(s, &Value::Null)),
        &["adopt ConfigMap n/a, Change: ready"],
    ),
    (
        "our label taken off",
        |w, a| {
            w.see(a, |s| {
                label(s, &Value::Null);
                set(
                    s,
                    &["metadata", "managedFields"],
                    json!([{"manager": FIELD_MANAGER, "operation": "Apply"}]),
                );
                s.verdict = Verdict::Drifted(changed());
            })
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "another ApplySet's",
        |w, a| w.see(a, |s| label(s, &json!(THEIRS))),
        &[
            "change ConfigMap n/a, Drift: blocked, NotOurs: it belongs to another ApplySet (applyset-theirs-v1); remove its label applyset.kubernetes.io/part-of to hand it over",
        ],
    ),
    (
        "a neighbour's that let it go",
        |w, a| {
            w.see(a, |s| label(s, &json!("applyset-next-v1")));
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "a neighbour's that declares it",
        |w, a| {
            w.see(a, |s| label(s, &json!("applyset-next-v1")));
            w.neighbours
                .claims
                .insert(a.clone(), "next".parse().unwrap());
        },
        &[
            "change ConfigMap n/a, Drift: blocked, NotOurs: the unit next declares it too; only one may",
        ],
    ),
    (
        "conflicts fail",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.conflicts = ConflictPolicy::Fail;
            w.applied.clear();
        },
        &[
            "change ConfigMap n/a, Change: blocked, NotOurs: the unit says `conflicts: fail`, and data.a: \"c\" -> \"b\", set by mallory (Update)",
        ],
    ),
    (
        "drift is reverted under conflicts: fail",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.conflicts = ConflictPolicy::Fail;
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "not looked for",
        |w, a| drop(w.observed.remove(a)),
        &[
            "create ConfigMap n/a, Drift: blocked, Unobserved: live cannot be read: it was not looked for",
        ],
    ),
    (
        "not readable",
        |w, a| {
            drop(
                w.observed
                    .insert(a.clone(), Observation::Unknown("forbidden".to_owned())),
            )
        },
        &["create ConfigMap n/a, Drift: blocked, Unobserved: live cannot be read: forbidden"],
    ),
    (
        "being deleted",
        |w, a| {
            w.see(a, |s| {
                set(
                    s,
                    &["metadata", "deletionTimestamp"],
                    json!("2026-11-21T09:00:00Z"),
                );
                s.verdict = Verdict::Drifted(changed());
            })
        },
        &["change ConfigMap n/a, Drift: waits for its deletion, which is under way"],
    ),
    (
        "another unit first",
        |w, a| {
            w.observed.insert(a.clone(), Observation::Absent);
            w.applied.clear();
            w.waits = Some("the unit base");
        },
        &["create ConfigMap n/a, Change: waits for the unit base"],
    ),
    (
        "drift doesn't wait for another unit",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.waits = Some("the unit base");
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "refused",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, false, now() + 1.minute());
        },
        &["change ConfigMap n/a, Drift: blocked, Refused: the server's words"],
    ),
    (
        "refused, and tried again",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, false, now());
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "refused in another form",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, false, now() + 1.minute());
            w.declare(a, |body| body["data"]["a"] = json!("new"));
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "immutable",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, true, now() + 1.minute());
        },
        &[
            "change ConfigMap n/a, Drift: blocked, Refused: the server's words; to have it deleted and created again, set `replace: true` on the unit or the annotation gitops-agent.dev/replace",
        ],
    ),
    (
        "immutable, replaced",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.replace = true;
            w.refuse(a, true, now() + 1.minute());
        },
        &["replace ConfigMap n/a, Drift: ready"],
    ),
    (
        "refused otherwise, not replaced",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.replace = true;
            w.refuse(a, false, now() + 1.minute());
        },
        &["change ConfigMap n/a, Drift: blocked, Refused: the server's words"],
    ),
];

#[test]
fn each_standing_of_a_declared_object() {
    for (about, change, expected) in CASES {
        let mut world = World::of(&[("ConfigMap", "a")]);
        change(&mut world, &id("ConfigMap", "a"));
        assert_eq!(steps(&world), *expected, "{about}");
    }
}

/// The same for a ConfigMap `a` that has left the unit, beside a clean `b`.
const LEFT: &[Case] = &[
    ("pruned", |_, _| {}, &["prune ConfigMap n/a, Change: ready"]),
    (
        "gone already",
        |w, a| drop(w.observed.insert(a.clone(), Observation::Absent)),
        &[],
    ),
    (
        "not readable",
        |w, a| {
            drop(
                w.observed
                    .insert(a.clone(), Observation::Unknown("forbidden".to_owned())),
            )
        },
        &["prune ConfigMap n/a, Change: blocked, Unobserved: live cannot be read: forbidden"],
    ),
    (
        "inventory unknown",
        |w, _| w.members = Members::Unknown("forbidden".to_owned()),
        &[],
    ),
    (
        "detached",
        |w, a| {
            w.see(a, |s| {
                set(
                    s,
                    &["metadata", "annotations"],
                    json!({"client.lifecycle.config.k8s.io/deletion": "detach"}),
                );
            })
        },
        &["detach ConfigMap n/a, Change: ready"],
    ),
    (
        "being deleted",
        |w, a| {
            w.see(a, |s| {
                set(
                    s,
                    &["metadata", "deletionTimestamp"],
                    json!("2026-11-21T09:00:00Z"),
                );
            })
        },
        &["prune ConfigMap n/a, Change: waits for its deletion, which is under way"],
    ),
    ("kept", |w, _| w.unit.prune = false, &[]),
    (
        "moved to a neighbour",
        |w, a| {
            drop(
                w.neighbours
                    .claims
                    .insert(a.clone(), "next".parse().unwrap()),
            )
        },
        &[],
    ),
    (
        "a neighbour is not known",
        |w, _| w.neighbours.unrendered = BTreeSet::from(["next".parse().unwrap()]),
        &[
            "prune ConfigMap n/a, Change: blocked, Guard: the unit next could not be rendered, and it may have moved there",
        ],
    ),
    (
        "the rest is not healthy",
        |w, _| {
            w.see(&id("ConfigMap", "b"), |s| {
                s.health.status = Status::InProgress
            })
        },
        &["prune ConfigMap n/a, Change: waits for the unit to be applied and healthy"],
    ),
    (
        "the rest is not applied",
        |w, _| {
            w.see(&id("ConfigMap", "b"), |s| {
                s.verdict = Verdict::Drifted(changed())
            })
        },
        &[
            "change ConfigMap n/b, Drift: ready",
            "prune ConfigMap n/a, Change: waits for the unit to be applied and healthy",
        ],
    ),
    (
        "the unit is empty",
        |w, _| w.leave(&id("ConfigMap", "b")),
        &[
            "prune ConfigMap n/a, Change: blocked, Guard: the unit has become empty; to take it away, remove it from agent.yaml",
            "prune ConfigMap n/b, Change: blocked, Guard: the unit has become empty; to take it away, remove it from agent.yaml",
        ],
    ),
    (
        "the unit is taken away",
        |w, _| {
            w.leave(&id("ConfigMap", "b"));
            w.neighbours.retired = true;
        },
        &[
            "prune ConfigMap n/a, Change: ready",
            "prune ConfigMap n/b, Change: ready",
        ],
    ),
    (
        "the unit is taken away, and kept",
        |w, _| {
            w.leave(&id("ConfigMap", "b"));
            w.neighbours.retired = true;
            w.unit.prune = false;
        },
        &[
            "detach ConfigMap n/a, Change: ready",
            "detach ConfigMap n/b, Change: ready",
        ],
    ),
];

#[test]
fn each_standing_of_an_object_that_left() {
    for (about, change, expected) in LEFT {
        let mut world = World::of(&[("ConfigMap", "a"), ("ConfigMap", "b")]);
        let a = id("ConfigMap", "a");
        world.leave(&a);
        change(&mut world, &a);
        assert_eq!(steps(&world), *expected, "{about}");
    }
}

#[test]
fn what_is_not_seen_is_said() {
    let mut world = World::of(&[("ConfigMap", "a")]);
    world.members = Members::Unknown("forbidden".to_owned());
    let plan = world.checked(&BTreeSet::new());
    let said = "nothing is pruned, since the inventory could not be read: forbidden";
    assert_eq!(plan.blind.as_deref(), Some(said));
    assert_eq!(plan.notes, [said]);
}

fn after(body: &mut Value, what: &str) {
    body["metadata"]["annotations"] = json!({"config.kubernetes.io/depends-on": what});
}

/// All of the objects are new, and depend as `links` says.
fn new(objects: &[(&str, &str)], links: &[(usize, &str)]) -> World {
    let mut world = World::of(objects);
    for (number, (kind, name)) in objects.iter().enumerate() {
        let id = id(kind, name);
        world.observed.insert(id.clone(), Observation::Absent);
        if let Some((_, what)) = links.iter().find(|(object, _)| *object == number) {
            world.declare(&id, |body| after(body, what));
        }
    }
    world.applied.clear();
    world
}

#[test]
fn kinds_come_in_their_order_and_go_in_the_other() {
    let kinds = [
        "Service",
        "Deployment.apps",
        "ConfigMap",
        "Role.rbac.authorization.k8s.io",
        "ServiceAccount",
        "Widget.example.com",
    ];
    let objects: Vec<(&str, &str)> = kinds.iter().map(|kind| (*kind, "x")).collect();
    let world = new(&objects, &[]);
    let order: Vec<String> = world
        .checked(&BTreeSet::new())
        .steps
        .iter()
        .map(|step| step.object.kind.kind.clone())
        .collect();
    assert_eq!(
        order,
        [
            "ServiceAccount",
            "ConfigMap",
            "Role",
            "Service",
            "Deployment",
            "Widget"
        ]
    );

    let mut world = World::of(&objects);
    world.declare(&id("ConfigMap", "stays"), |_| {});
    world.see(&id("ConfigMap", "stays"), |_| {});
    for (kind, name) in &objects {
        world.leave(&id(kind, name));
    }
    let order: Vec<String> = world
        .checked(&BTreeSet::new())
        .steps
        .iter()
        .map(|step| step.object.kind.kind.clone())
        .collect();
    assert_eq!(
        order,
        [
            "Deployment",
            "Widget",
            "Service",
            "Role",
            "ConfigMap",
            "ServiceAccount"
        ]
    );
}

#[test]
fn what_depends_on_something_waits_for_its_health() {
    let b = "/namespaces/n/ConfigMap/b";
    let objects = [("ConfigMap", "a"), ("ConfigMap", "b")];
    let mut world = new(&objects, &[(0, b)]);
    assert_eq!(
        steps(&world),
        [
            "create ConfigMap n/b, Change: ready",
            "create ConfigMap n/a, Change: waits for ConfigMap n/b to be applied",
        ]
    );
    world.see(&id("ConfigMap", "b"), |seen| {
        seen.health = Health {
            status: Status::InProgress,
            message: "1 of 2".to_owned(),
        };
    });
    assert_eq!(
        steps(&world),
        ["create ConfigMap n/a, Change: waits for ConfigMap n/b: 1 of 2"]
    );
    world.see(&id("ConfigMap", "b"), |_| {});
    assert_eq!(steps(&world), ["create ConfigMap n/a, Change: ready"]);
}

#[test]
fn a_namespace_and_a_definition_are_waited_for_unasked() {
    let mut world = new(
        &[
            ("Namespace", "n"),
            ("CustomResourceDefinition.apiextensions.k8s.io", "w"),
            ("Widget.example.com", "x"),
        ],
        &[],
    );
    world.declare(
        &id("CustomResourceDefinition.apiextensions.k8s.io", "w"),
        |body| {
            body["spec"] = json!({"group": "example.com", "names": {"kind": "Widget"}});
        },
    );
    assert_eq!(
        steps(&world),
        [
            "create Namespace n, Change: ready",
            "create CustomResourceDefinition w, Change: ready",
            "create Widget.example.com n/x, Change: waits for Namespace n to be applied",
        ]
    );
    world.see(&id("Namespace", "n"), |_| {});
    assert!(steps(&world)[1].ends_with("waits for CustomResourceDefinition w to be applied"));
}

#[test]
fn dependencies_that_make_no_sense_block_and_say_why() {
    let table = [
        (
            "/namespaces/n/ConfigMap/none",
            "it depends on ConfigMap n/none, which no unit of the environment declares",
        ),
        (
            "ConfigMap/b",
            "the annotation config.kubernetes.io/depends-on has `ConfigMap/b`, which is not `group/namespaces/namespace/kind/name` or `group/kind/name`",
        ),
        (
            "/namespaces/n/ConfigMap/a",
            "it depends on itself: ConfigMap n/a -> ConfigMap n/a",
        ),
    ];
    for (what, why) in table {
        let world = new(&[("ConfigMap", "a"), ("ConfigMap", "b")], &[(0, what)]);
        assert_eq!(
            steps(&world),
            [
                format!("create ConfigMap n/a, Change: blocked, Dependency: {why}"),
                "create ConfigMap n/b, Change: ready".to_owned(),
            ]
        );
    }
    let link = |name: &str| format!("/namespaces/n/ConfigMap/{name}");
    let objects = [("ConfigMap", "a"), ("ConfigMap", "b"), ("ConfigMap", "c")];
    let world = new(
        &objects,
        &[(0, &link("b")), (1, &link("a")), (2, &link("a"))],
    );
    let found = steps(&world);
    assert_eq!(found.len(), 3);
    assert!(
        found[0].ends_with("it depends on itself: ConfigMap n/a -> ConfigMap n/b -> ConfigMap n/a"),
        "{found:?}"
    );
    assert!(
        found[1].ends_with("it depends on itself: ConfigMap n/b -> ConfigMap n/a -> ConfigMap n/b"),
        "{found:?}"
    );
    assert_eq!(
        found[2],
        "create ConfigMap n/c, Change: waits for ConfigMap n/a to be applied"
    );
}

/// Of `total` objects, `left` have left.
fn leaving(total: usize, left: usize) -> World {
    let names: Vec<String> = (0..total).map(|number| format!("m{number:02}")).collect();
    let objects: Vec<(&str, &str)> = names
        .iter()
        .map(|name| ("ConfigMap", name.as_str()))
        .collect();
    let mut world = World::of(&objects);
    for name in &names[..left] {
        world.leave(&id("ConfigMap", name));
    }
    world
}

#[test]
fn many_prunes_need_an_approval_of_exactly_that_plan() {
    let limit = |count, percent| MaxPrune { count, percent };
    let table = [
        (20, 10, limit(10, 25), true),
        (20, 11, limit(10, 25), false),
        (60, 11, limit(10, 25), true),
        (4, 1, limit(0, 25), true),
        (4, 2, limit(0, 25), false),
        (4, 1, limit(0, 0), false),
    ];
    for (total, left, limit, fine) in table {
        let mut world = leaving(total, left);
        world.unit.max_prune = limit;
        let plan = world.checked(&BTreeSet::new());
        assert_eq!(plan.steps.len(), left);
        assert_eq!(
            plan.blocked().count() == 0,
            fine,
            "{left} of {total} under {limit:?}"
        );
        let approved = world.checked(&BTreeSet::from([plan.digest]));
        assert_eq!(approved.ready().count(), left);
    }

    let mut world = leaving(20, 11);
    let plan = world.checked(&BTreeSet::new());
    let why = format!(
        "11 of the unit's 20 objects would be deleted at once; to approve, push a commit whose message ends with the line `Approve-Plan: {}`",
        plan.digest
    );
    assert!(
        plan.blocked()
            .all(|(_, blocked)| *blocked == Blocked::Guard(why.clone()))
    );
    // Made anew by somebody, it is another plan.
    world.see(&id("ConfigMap", "m00"), |seen| {
        set(seen, &["metadata", "uid"], json!("other"))
    });
    let moved = world.checked(&BTreeSet::from([plan.digest]));
    assert_ne!(moved.digest, plan.digest);
    assert_eq!(moved.ready().count(), 0);
}

#[test]
fn kinds_that_take_others_along_need_an_approval_that_lasts_until_they_are_gone() {
    let precious = [
        ("Namespace", "n"),
        ("PersistentVolume", "v"),
        ("PersistentVolumeClaim", "c"),
        ("CustomResourceDefinition.apiextensions.k8s.io", "w"),
    ];
    let mut world = World::of(&[&precious[..], &[("ConfigMap", "stays")]].concat());
    let ids = precious.map(|(kind, name)| id(kind, name));
    for id in &ids {
        world.leave(id);
    }
    let plan = world.checked(&BTreeSet::new());
    assert_eq!(plan.blocked().count(), 4, "{:?}", lines(&plan));

    let approved = world.checked(&BTreeSet::from([plan.digest]));
    let ready: Vec<String> = approved
        .ready()
        .map(|step| step.object.kind.kind.clone())
        .collect();
    assert_eq!(
        ready,
        ["PersistentVolumeClaim", "PersistentVolume"],
        "{:?}",
        lines(&approved)
    );
    // These are gone: the rest is another plan, and still granted.
    for id in &ids[1..3] {
        world.observed.insert(id.clone(), Observation::Absent);
    }
    let rest = world.proposed().check(
        world.unit.max_prune,
        3,
        &BTreeSet::new(),
        &approved.deletions(),
    );
    assert_ne!(rest.digest, plan.digest);
    assert_eq!(rest.ready().count(), 2, "{:?}", lines(&rest));
    // Under the same name there is another one by now: nobody granted that.
    world.see(&ids[0], |seen| {
        set(seen, &["metadata", "uid"], json!("other"))
    });
    let rest = world.proposed().check(
        world.unit.max_prune,
        3,
        &BTreeSet::new(),
        &approved.deletions(),
    );
    assert_eq!(rest.ready().count(), 1, "{:?}", lines(&rest));
}

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
