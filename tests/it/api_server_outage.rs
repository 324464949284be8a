//! The API server is killed and comes back: the agent stays up, goes on where it was,
//! and takes nothing for gone that it could not see.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::control_plane::{ControlPlane, Options};
use crate::support::parts::Part;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const OBJECTS: usize = 30;

#[test]
fn ends_in_the_state_that_is_declared_without_a_restart_of_the_agent() {
    let cluster = ControlPlane::start(&Options::default()).unwrap();
    let mut stage = Stage::on(&cluster, "outage", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 0);
    stage.start();
    stage.until_synced("shop", &revision);
    let agent = stage.daemon().id();
    let kept = uids(&stage);
    assert_eq!(kept.len(), OBJECTS + 1);

    // While it creates; while it prunes.
    for (number, writes) in [1, OBJECTS / 2, OBJECTS + 5].into_iter().enumerate() {
        let generation = number + 1;
        let position = cluster.audit_position();
        let revision = commit(&stage, generation);
        let written = stage.until_writes(&stage.namespace, position, writes);
        cluster.kill(Part::ApiServer);
        println!("killed after {written} writes");
        cluster.start_part(Part::ApiServer);
        stage.until_synced("shop", &revision);
        assert_eq!(
            uids(&stage),
            kept,
            "what is declared throughout was not touched"
        );
        assert_eq!(stage.labelled().len(), 2 * OBJECTS + 1);
        stage.assert_consistent();
    }

    // At rest: what happens right after is seen, and what happens later too, so the
    // watches are up again.
    cluster.kill(Part::ApiServer);
    cluster.start_part(Part::ApiServer);
    for drifts in 1..=2 {
        stage.kubectl(&["scale", "deployment", "web", "--replicas=5"]);
        stage.kubectl(&["delete", "configmap", "kept-0"]);
        until_reverted(&mut stage, drifts);
    }
    stage.assert_consistent();
    assert_eq!(stage.daemon().id(), agent);
}

#[test]
fn is_waited_for_at_the_start() {
    let cluster = ControlPlane::start(&Options::default()).unwrap();
    let mut stage = Stage::on(&cluster, "late", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 0);
    cluster.kill(Part::ApiServer);
    stage.start();
    wait_seeing("the agent to notice", PATIENCE, || {
        let log = stage.log();
        log.contains("the cluster cannot be used yet, trying again")
            .then_some(())
            .ok_or(log)
    });
    cluster.start_part(Part::ApiServer);
    stage.until_synced("shop", &revision);
    stage.assert_consistent();
}

fn until_reverted(stage: &mut Stage, drifts: usize) {
    stage.until("the drift to be reverted", |stage| {
        let seen = stage.get("deployment", "web")["spec"]["replicas"].clone();
        let there = stage.get("configmap", "kept-0").is_object();
        if seen == 2 && there {
            Ok(())
        } else {
            Err(format!("{seen} replicas, ConfigMap there: {there}"))
        }
    });
    // Each is told once, so that the next drift is not told together with this one.
    stage.until("the record to tell of it", |stage| {
        let changed = stage.entries_on("kubectl changed Deployment").len();
        let deleted = stage.entries_on("somebody deleted ConfigMap").len();
        let path = format!("shop/{}/Deployment.apps/web.yaml", stage.namespace);
        let recorded = stage.recorded(&path).unwrap_or_default();
        if (changed, deleted) == (drifts, drifts) && recorded.contains("replicas: 2") {
            Ok(())
        } else {
            Err(format!("{:#?}", stage.repository.log(&stage.branch())))
        }
    });
}

/// The uids of what each generation declares.
fn uids(stage: &Stage) -> BTreeMap<String, String> {
    let list = stage
        .cluster
        .get(&["-n", &stage.namespace, "configmaps,deployments"])
        .unwrap();
    let items = list["items"].as_array().unwrap().iter();
    let named = items.map(|item| {
        let text = |field: &str| item["metadata"][field].as_str().unwrap().to_owned();
        (text("name"), text("uid"))
    });
    named
        .filter(|(name, _)| name == "web" || name.starts_with("kept-"))
        .collect()
}

/// Half of the `ConfigMaps` are in every generation, half only in this one.
fn commit(stage: &Stage, generation: usize) -> String {
    let configuration = stage.configuration(&[("shop", "maxPrune: {count: 1000, percent: 100}")]);
    let mut text = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}
"
    .to_owned();
    for number in 0..OBJECTS {
        let mut names = vec![format!("kept-{number}")];
        names.extend((generation > 0).then(|| format!("g{generation}-{number}")));
        for name in names {
            writeln!(
                text,
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}"
            )
            .unwrap();
        }
    }
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/objects.yaml", &text),
    ];
    stage.commit(&format!("Generation {generation}"), &files)
}
