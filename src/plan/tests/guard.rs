//! What is not deleted by accident.

use super::*;

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
        world.unit.max_prune,
        3,
        Approvals::ByDigest(&BTreeSet::new()),
        &approved.deletions(),
    );
    assert_eq!(rest.ready().count(), 1, "{:?}", lines(&rest));
}
