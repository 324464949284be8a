//! What comes first, and what waits for it.

use super::*;

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
    let order: Vec<_> = world
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
    let order: Vec<_> = world
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
