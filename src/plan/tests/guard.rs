//! What is not deleted by accident.

use super::*;
use crate::plan::Lately;

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
    let ready: Vec<_> = approved
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
        world.limits(),
        Approvals::ByDigest(&BTreeSet::new()),
        &approved.deletions(),
    );
    assert_ne!(rest.digest, plan.digest);
    assert_eq!(rest.ready().count(), 2, "{:?}", lines(&rest));
    // Under the same name there is another one by now: nobody granted that.
    world.see(&ids[0], |seen| {
        set(seen, &["metadata", "uid"], json!("other"))
    });
    let rest = world.proposed().check(
        world.limits(),
        Approvals::ByDigest(&BTreeSet::new()),
        &approved.deletions(),
    );
    assert_eq!(rest.ready().count(), 1, "{:?}", lines(&rest));
}

/// Of `total` objects of an environment, so many of each of these units leave.
fn budget(total: usize, units: &[(&str, usize, bool)], stay: usize) -> Budget {
    let objects = units.iter().flat_map(|(unit, count, retired)| {
        (0..*count).map(move |number| {
            let leaver = Leaver {
                unit: unit.parse().unwrap(),
                uid: format!("uid-{unit}-{number}"),
                retired: *retired,
            };
            (id("ConfigMap", &format!("{unit}-{number}")), leaver)
        })
    });
    let objects: BTreeMap<ObjectId, Leaver> = objects.collect();
    let extent = Extent {
        objects: total,
        declared: total - objects.len(),
        units: stay,
    };
    Budget {
        leaving: Leaving::of(&"staging".parse().unwrap(), objects, extent),
        lately: Lately::Objects(0),
        limit: MaxPrune::default(),
    }
}

#[test]
fn what_leaves_an_environment_is_measured_over_all_of_its_units() {
    let many: Vec<String> = (0..11).map(|number| format!("u{number}")).collect();
    let eleven: Vec<(&str, usize, bool)> =
        many.iter().map(|unit| (unit.as_str(), 7, true)).collect();
    let table = [
        (budget(84, &eleven, 1), true),
        (budget(100, &[("a", 2, true)], 3), false),
        // Each for itself is fine.
        (budget(40, &[("a", 6, false), ("b", 6, false)], 5), true),
        (budget(50, &[("a", 6, false), ("b", 6, false)], 5), false),
        // Few, but nothing is left, or hardly anything.
        (budget(3, &[("a", 3, true)], 0), true),
        (budget(6, &[("a", 2, true), ("b", 2, true)], 1), true),
        (budget(6, &[("a", 2, true)], 1), false),
    ];
    for (budget, asks) in table {
        let mut world = leaving(100, 1);
        let plan = world.measured(Some(&budget), &BTreeSet::new());
        assert_eq!(plan.blocked().count() == 1, asks, "{:?}", lines(&plan));
        assert_eq!(plan.leaving.is_some(), asks);
        // One approval for all of it.
        let all = BTreeSet::from([budget.leaving.digest]);
        assert_eq!(world.measured(Some(&budget), &all).ready().count(), 1);
        world.unit.max_prune = MaxPrune {
            count: 0,
            percent: 0,
        };
        let strict = world.measured(Some(&budget), &BTreeSet::new());
        assert_eq!(strict.blocked().count(), 1, "a unit may be stricter");
    }
}

#[test]
fn what_was_deleted_within_the_hour_counts() {
    let mut budget = budget(30, &[("a", 4, false)], 5);
    let world = leaving(100, 1);
    let plan = world.measured(Some(&budget), &BTreeSet::new());
    assert_eq!(plan.ready().count(), 1);
    budget.lately = Lately::Objects(8);
    let plan = world.measured(Some(&budget), &BTreeSet::new());
    let why = "4 of the environment's 38 objects would be deleted, after 8 within the last hour; to approve, push a commit";
    assert!(lines(&plan)[0].contains(why), "{:?}", lines(&plan));
    assert_eq!(
        plan.leaving.as_deref(),
        Some(
            "approving it deletes 4 objects of the environment: ConfigMap n/a-0 of a, ConfigMap n/a-1 of a, ConfigMap n/a-2 of a, ConfigMap n/a-3 of a"
        )
    );
}

#[test]
fn what_takes_data_along_asks_as_it_is_live() {
    let database = id("StatefulSet.apps", "db");
    let settings =
        |policy: &str| json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy}});
    for (policy, asks) in [("Delete", true), ("Retain", false)] {
        let mut world = World::of(&[("StatefulSet.apps", "db"), ("ConfigMap", "stays")]);
        world.leave(&database);
        world.see(&database, |seen| set(seen, &["spec"], settings(policy)));
        let plan = world.checked(&BTreeSet::new());
        assert_eq!(plan.blocked().count() == 1, asks, "{:?}", lines(&plan));
    }

    let mut world = World::of(&[("ConfigMap", "owner"), ("ConfigMap", "stays")]);
    let owner = id("ConfigMap", "owner");
    world.leave(&owner);
    let claim = id("PersistentVolumeClaim", "data");
    world.dependents.insert("uid-owner".to_owned(), claim);
    let plan = world.checked(&BTreeSet::new());
    let why = "deleting it deletes PersistentVolumeClaim n/data, which it owns";
    assert!(lines(&plan)[0].contains(why), "{:?}", lines(&plan));
}
