//! An environment of 20 units with 50 objects each: brought there once, and after that
//! there is nothing to do and nothing to say.

use std::fmt::Write as _;

use crate::support::agent::Agent;
use crate::support::programs::{Program, Programs};
use crate::support::stage::Stage;

const UNITS: usize = 20;
const OBJECTS: usize = 50;

#[test]
fn are_synced_once_and_then_left_alone() {
    let stage = Stage::new("twenty", env!("CARGO_BIN_EXE_agent"));
    commit_units(&stage);
    let agent = once(&stage);

    let position = stage.cluster.audit_position();
    let first = agent.run();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(stage.labelled().len(), UNITS * OBJECTS);
    let status = stage.status();
    for unit in 0..UNITS {
        let seen = &status["units"][name(unit)];
        assert_eq!(
            [&seen["state"], &seen["health"]],
            ["Synced", "Current"],
            "{seen}"
        );
        assert_eq!(seen["objects"], OBJECTS);
    }
    stage.assert_consistent();

    // What the server makes of `1000m` it says in its answer to the apply.
    let dry_runs = stage.cluster.audit_since(position).into_iter();
    let dry_runs =
        dry_runs.filter(|event| event.is_dry_run() && event.object.namespace == stage.namespace);
    assert_eq!(dry_runs.count(), 0);

    let tip = stage.record_tip();
    let diff = with_kustomize(stage.agent(&["diff", "--environment", &stage.environment])).run();
    assert_eq!(diff.code, Some(0), "{diff:?}");
    let all = UNITS * OBJECTS;
    assert_eq!(
        diff.stdout,
        format!(
            "{}: no difference, {all} objects as declared\n",
            stage.environment
        )
    );

    // With what it has kept, and with nothing.
    for agent in [agent, once(&stage)] {
        let position = stage.cluster.audit_position();
        let again = agent.run();
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        // That `1000m` is `1` was found out by the first run.
        let writes: Vec<String> = stage
            .cluster
            .audit_since(position)
            .into_iter()
            .filter(|event| event.user_agent.starts_with("gitops-agent/"))
            .filter(|event| {
                [&stage.namespace, &stage.inventories].contains(&&event.object.namespace)
            })
            .filter(|event| !matches!(event.verb.as_str(), "get" | "list" | "watch"))
            .filter(|event| event.object.resource != "leases")
            .map(|event| format!("{} {}", event.verb, event.uri))
            .collect();
        assert!(writes.is_empty(), "{writes:#?}");
        assert_eq!(
            stage.record_tip(),
            tip,
            "{:#?}",
            stage.repository.log(&stage.branch())
        );
    }
}

fn once(stage: &Stage) -> Agent {
    with_kustomize(stage.invocation().args(["--once"]))
}

fn with_kustomize(agent: Agent) -> Agent {
    let programs = Programs::build(&[Program::Kustomize]).unwrap();
    agent.with_program(programs.path(Program::Kustomize))
}

fn name(unit: usize) -> String {
    format!("unit-{unit:02}")
}

/// Every second unit is a kustomization.
fn commit_units(stage: &Stage) {
    let names: Vec<String> = (0..UNITS).map(name).collect();
    let settings: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "prune: true"))
        .collect();
    stage
        .repository
        .write("agent.yaml", &stage.configuration(&settings));
    for unit in 0..UNITS {
        let directory = name(unit);
        if unit % 2 == 0 {
            let kustomization = format!("namePrefix: {directory}-\nresources: [objects.yaml]\n");
            stage
                .repository
                .write(&format!("{directory}/kustomization.yaml"), &kustomization);
            stage
                .repository
                .write(&format!("{directory}/objects.yaml"), &objects("o"));
        } else {
            stage
                .repository
                .write(&format!("{directory}/objects.yaml"), &objects(&directory));
        }
    }
    stage.repository.commit("Twenty units", &[]);
}

fn objects(prefix: &str) -> String {
    let mut text = String::new();
    for number in 0..OBJECTS {
        let body = match number % 10 {
            0 => deployment(prefix, number),
            1..=3 => "apiVersion: v1\nkind: ServiceAccount".to_owned(),
            4..=6 => format!(
                "apiVersion: v1\nkind: Service\nspec: {{selector: {{app: {prefix}-{number}}}, ports: [{{port: 80, targetPort: 8080}}]}}"
            ),
            _ => format!(
                "apiVersion: v1\nkind: ConfigMap\ndata: {{number: '{number}', text: \"a\\nb\\n\"}}"
            ),
        };
        writeln!(text, "---\n{body}\nmetadata: {{name: {prefix}-{number}}}").unwrap();
    }
    text
}

/// With the things whose spelling or order the API server changes.
fn deployment(prefix: &str, number: usize) -> String {
    let app = format!("{prefix}-{number}");
    format!(
        "apiVersion: apps/v1
kind: Deployment
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      containers:
        - name: web
          image: web:1
          ports: [{{containerPort: 8080}}]
          env: [{{name: NUMBER, value: '{number}'}}]
          resources: {{requests: {{cpu: 1000m, memory: 1024Mi}}, limits: {{cpu: 2}}}}"
    )
}
