//! Objects that somebody deleted, in a unit that proposes its drift.

use super::*;

type Case = (&'static str, fn(&mut World), &'static [&'static str]);

const KEPT: &str = "create ConfigMap n/a, Drift: reported";
const BACK: &str = "create ConfigMap n/a, Drift: ready";

/// What is declared: ten objects `a` to `j`, of which `a` is gone.
fn world() -> World {
    let names: Vec<String> = ('a'..='j').map(String::from).collect();
    let objects: Vec<(&str, &str)> = names.iter().map(|name| ("ConfigMap", &**name)).collect();
    let mut world = World::of(&objects);
    world.unit.drift = DriftPolicy::Propose;
    lose(&mut world, &id("ConfigMap", "a"));
    world
}

fn lose(world: &mut World, id: &ObjectId) {
    world.observed.insert(id.clone(), Observation::Absent);
}

fn gone(world: &World, since: Timestamp) -> Gone {
    Gone {
        since,
        declared: world.desired[&id("ConfigMap", "a")].digest,
        put_back: None,
    }
}

const CASES: &[Case] = &[
    ("deleted", |_| {}, &[KEPT]),
    (
        "not readable",
        |w| {
            let unknown = Observation::Unknown("forbidden".to_owned());
            w.observed.insert(id("ConfigMap", "a"), unknown);
        },
        &["create ConfigMap n/a, Drift: blocked, Unobserved: live cannot be read: forbidden"],
    ),
    (
        "never applied",
        |w| w.applied.clear(),
        &["create ConfigMap n/a, Change: ready"],
    ),
    (
        "the proposal was closed",
        |w| {
            let digest = drift_digest(&w.proposed().steps[0]);
            w.proposals.refused.insert(digest);
        },
        &[BACK],
    ),
    (
        "deleted once more after it was closed",
        |w| {
            let a = id("ConfigMap", "a");
            let before = gone(w, now() - 1.hour());
            w.deletions.gone.insert(a.clone(), before);
            let digest = drift_digest(&w.proposed().steps[0]);
            w.proposals.refused.insert(digest);
            let again = gone(w, now() - 1.second());
            w.deletions.gone.insert(a, again);
        },
        &[KEPT],
    ),
    (
        "kept still",
        |w| {
            let since = gone(w, now() - 59.minutes());
            w.deletions.gone.insert(id("ConfigMap", "a"), since);
            w.unit.keep_for = Some(std::time::Duration::from_hours(1));
        },
        &[KEPT],
    ),
    (
        "kept for long enough",
        |w| {
            let since = gone(w, now() - 1.hour());
            w.deletions.gone.insert(id("ConfigMap", "a"), since);
            w.unit.keep_for = Some(std::time::Duration::from_hours(1));
        },
        &[BACK],
    ),
    (
        "what was said of another state of it does not count",
        |w| {
            let mut since = gone(w, now() - 1.hour());
            since.declared = Digest::of_bytes(b"before");
            since.put_back = Some("of old".to_owned());
            w.deletions.gone.insert(id("ConfigMap", "a"), since);
            w.unit.keep_for = Some(std::time::Duration::from_hours(1));
        },
        &[KEPT],
    ),
    (
        "once it is put back, that stays so",
        |w| {
            let mut since = gone(w, now() - 1.second());
            since.put_back = Some("11 of the unit's 20 objects are gone".to_owned());
            w.deletions.gone.insert(id("ConfigMap", "a"), since);
        },
        &[BACK],
    ),
    (
        "with its namespace",
        |w| w.along.extend([id("ConfigMap", "a")]),
        &[BACK],
    ),
    (
        "something depends on it",
        |w| {
            w.declare(&id("ConfigMap", "b"), |body| {
                body["metadata"]["annotations"] =
                    json!({"config.kubernetes.io/depends-on": "/namespaces/n/ConfigMap/a"});
            });
            let digest = w.desired[&id("ConfigMap", "b")].digest;
            w.applied.insert(id("ConfigMap", "b"), Baseline { digest });
        },
        &[BACK],
    ),
    (
        "all of the unit",
        |w| {
            let only = id("ConfigMap", "a");
            w.desired.retain(|id, _| *id == only);
            w.members = Members::Known(BTreeSet::new());
        },
        &[BACK],
    ),
    (
        "more than may be pruned at once",
        |w| {
            w.unit.max_prune = MaxPrune {
                count: 1,
                percent: 10,
            };
            lose(w, &id("ConfigMap", "b"));
        },
        &[BACK, "create ConfigMap n/b, Drift: ready"],
    ),
    (
        "as many as may be pruned at once",
        |w| {
            w.unit.max_prune = MaxPrune {
                count: 2,
                percent: 10,
            };
            lose(w, &id("ConfigMap", "b"));
        },
        &[KEPT, "create ConfigMap n/b, Drift: reported"],
    ),
    (
        "one of many, the others of which are back by now",
        |w| {
            w.unit.max_prune = MaxPrune {
                count: 1,
                percent: 10,
            };
            let seen = [("b", now() - 59.seconds())];
            w.deletions.seen = seen.map(|(name, at)| (id("ConfigMap", name), at)).into();
        },
        &[BACK],
    ),
    (
        "one a minute after others",
        |w| {
            w.unit.max_prune = MaxPrune {
                count: 1,
                percent: 10,
            };
            let seen = [("b", now() - 1.minute()), ("left", now())];
            w.deletions.seen = seen.map(|(name, at)| (id("ConfigMap", name), at)).into();
        },
        &[KEPT],
    ),
    (
        "it is reported all the same",
        |w| w.unit.drift = DriftPolicy::Report,
        &[KEPT],
    ),
    (
        "it is reverted",
        |w| w.unit.drift = DriftPolicy::Revert,
        &[BACK],
    ),
];

#[test]
fn what_becomes_of_a_deleted_object() {
    for (about, change, expected) in CASES {
        let mut world = world();
        change(&mut world);
        assert_eq!(steps(&world), *expected, "{about}");
    }
}

#[test]
fn what_takes_others_along_or_is_secret_is_put_back_and_says_why() {
    for (kind, why) in [
        ("Secret", "what becomes of a Secret is never proposed"),
        (
            "Namespace",
            "deleting a Namespace takes everything in it along",
        ),
        (
            "PersistentVolumeClaim",
            "deleting a PersistentVolumeClaim takes everything in it along",
        ),
    ] {
        let mut world = World::of(&[(kind, "a"), ("ConfigMap", "b")]);
        world.unit.drift = DriftPolicy::Propose;
        lose(&mut world, &id(kind, "a"));
        let plan = world.checked(&BTreeSet::new());
        let step = &plan.steps[0];
        assert_eq!(step.standing, Standing::Ready, "{kind}");
        let reason = format!("somebody deleted it; put back, since {why}");
        assert_eq!(step.reason, reason);
        assert_eq!(step.gone.as_ref().unwrap().put_back.as_deref(), Some(why));
    }
}

#[test]
fn a_deletion_is_known_by_when_it_was_first_seen() {
    let mut world = world();
    let first = world.proposed().steps.remove(0);
    assert_eq!(first.gone.as_ref().unwrap().since, now());
    world
        .deletions
        .gone
        .insert(id("ConfigMap", "a"), first.gone.clone().unwrap());
    assert_eq!(
        drift_digest(&world.proposed().steps[0]),
        drift_digest(&first)
    );
    let then = now() + 3.hours();
    let hold = std::time::Duration::from_hours(3);
    assert_eq!(kept_until(&first, Some(hold)), Some(then));
    assert_eq!(kept_until(&first, None), None);
}
