//! An object is deleted and created again only where the server says that a field is
//! immutable, and only where that is allowed.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: it}
spec:
  selector: {matchLabels: {app: it}}
  template:
    metadata: {labels: {app: it, more: one}}
    spec: {containers: [{name: main, image: 'web:1'}]}
";
const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: it}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: 'web:1'}]}
";
const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: it}
spec: {clusterIP: 10.0.77.76, ports: [{port: 80}]}
";

fn replaces(name: &str, kind: &str, before: &str, after: &str, words: &str) {
    let mut stage = Stage::new(name, AGENT);
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/it.yaml", before),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    let uid = stage.uid(kind, "it");

    stage.commit("Change what can't be changed", &[("shop/it.yaml", after)]);
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains("/it (shop/it.yaml:1): "), "{message}");
    assert!(message.contains(words), "{message}");
    let hint = "to have it deleted and created again, set `replace: true` on the unit or the annotation gitops-agent.dev/replace";
    assert!(message.contains(hint), "{message}");
    assert_eq!(stage.uid(kind, "it"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);

    stage.configure(&[("shop", "replace: true")]);
    stage.until("another one", |stage| {
        let seen = stage.uid(kind, "it");
        if seen.is_empty() || seen == uid {
            Err(stage.status().to_string())
        } else {
            Ok(())
        }
    });
    stage.until_state("shop", "Synced");
    assert_eq!(stage.deletes(), ["it"]);
    assert_eq!(stage.diff(&[]).code, Some(0));
    let told = |entry: &crate::support::stage::Entry| entry.message.contains("replace ");
    assert!(stage.entries().iter().any(told), "{:#?}", stage.entries());
}

#[test]
fn the_selector_of_a_deployment() {
    replaces(
        "selector",
        "deployment",
        DEPLOYMENT,
        &DEPLOYMENT.replace("{app: it}", "{more: one}"),
        "field is immutable",
    );
}

#[test]
fn the_template_of_a_job() {
    replaces(
        "job",
        "job",
        JOB,
        &JOB.replace("web:1", "web:2"),
        "field is immutable",
    );
}

#[test]
fn the_address_of_a_service() {
    replaces(
        "address",
        "service",
        SERVICE,
        &SERVICE.replace("10.0.77.76", "10.0.77.77"),
        "may not change once set",
    );
}

#[test]
fn the_annotation_of_one_object_is_enough() {
    let mut stage = Stage::new("annotated", AGENT);
    let job = JOB.replace(
        "{name: it}",
        "{name: it, annotations: {gitops-agent.dev/replace: 'true'}}",
    );
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/it.yaml", &job),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    let uid = stage.uid("job", "it");
    let revision = stage.commit(
        "Change it",
        &[("shop/it.yaml", &job.replace("web:1", "web:2"))],
    );
    stage.until_synced("shop", &revision);
    assert_ne!(stage.uid("job", "it"), uid);
    assert_eq!(stage.deletes(), ["it"]);
}

#[test]
fn no_other_refusal_deletes() {
    let mut stage = Stage::new("refusal", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "replace: true")]),
            ),
            ("shop/it.yaml", DEPLOYMENT),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    let uid = stage.uid("deployment", "it");
    stage.commit(
        "Break it",
        &[(
            "shop/it.yaml",
            &DEPLOYMENT.replace("name: main", "name: 'not a name'"),
        )],
    );
    let message = stage.until_state("shop", "Blocked");
    assert!(
        message.contains("Invalid value: \"not a name\""),
        "{message}"
    );
    assert!(!message.contains("replace"), "{message}");
    // One that would be refused in its new form as well stays too.
    let both = DEPLOYMENT
        .replace("{app: it}}", "{more: one}}")
        .replace("name: main", "name: 'not a name'");
    stage.commit("Break it otherwise", &[("shop/it.yaml", &both)]);
    stage.until("both objections to be told", |stage| {
        let message = stage.unit("shop")["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let told = message.contains("not a name") && message.contains("field is immutable");
        if told { Ok(()) } else { Err(message) }
    });
    let revision = stage.commit(
        "Fix it",
        &[("shop/it.yaml", &DEPLOYMENT.replace("web:1", "web:2"))],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(stage.uid("deployment", "it"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}
