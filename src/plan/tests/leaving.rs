//! Objects that have left the unit.

use super::*;

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
        &[
            "prune ConfigMap n/a, Change: waits for ConfigMap n/a, which is being deleted, to be gone",
        ],
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
        "the rest is refused",
        |w, _| {
            let b = id("ConfigMap", "b");
            w.see(&b, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(&b, false, now() + std::time::Duration::from_secs(1));
        },
        &[
            "change ConfigMap n/b, Drift: blocked, Refused: the server's words",
            "prune ConfigMap n/a, Change: waits for ConfigMap n/b to be applied",
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
