//! What would have the API server refuse what the agent writes for itself is asked for first,
//! and told by its name, with what ends it, where it is in force all the same.

use std::time::Duration;

use super::believed::until_logged;
use crate::support::agent::Agent;
use crate::support::policy::denying;
use crate::support::ports::{free_address, readyz};
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// A policy that refuses every write there is in some namespace.
fn policy(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: ['*'], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: ['*'], scope: Namespaced}}
  validations:
  - {{expression: \"object.metadata.name == ''\", message: 'nothing at all'}}
---
{}",
        denying(&format!("{name}-bound"), name, namespace)
    )
}

fn config_map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {value}}}\n")
}

/// An agent whose readiness is asked for.
fn listening(stage: &Stage) -> (Agent, String) {
    let address = free_address();
    let agent = stage.invocation().args(["--admin-addr", &address]);
    (agent, address)
}

/// Waits until the log, the page and the status tell these.
fn until_told_everywhere(stage: &mut Stage, address: &str, words: &[&str]) {
    until_logged(stage, words);
    wait_seeing("the page to tell it", PATIENCE, || {
        let page = readyz(address)?;
        let told = page.contains(" 503 ") && words.iter().all(|words| page.contains(words));
        if told { Ok(()) } else { Err(page) }
    });
    stage.until("the status to tell it", |stage| {
        let error = stage.status()["error"].to_string();
        let told = words.iter().all(|words| error.contains(words));
        if told { Ok(()) } else { Err(error) }
    });
}

fn until_value(stage: &mut Stage, value: &str) {
    stage.until(&format!("the value {value}"), |stage| {
        let live = stage.get("configmap", "a")["data"]["a"].clone();
        if live == value {
            Ok(())
        } else {
            Err(live.to_string())
        }
    });
}

#[test]
fn a_declared_policy_against_the_agent_itself_asks_and_is_told_once_it_is_in_force() {
    let mut stage = Stage::new("locked", AGENT);
    let name = format!("{}-none", stage.namespace);
    stage.repository.write("shop/a.yaml", &config_map("one"));
    let harmless = policy(&format!("{}-other", stage.namespace), &stage.namespace)
        .replace("resources: ['*']", "resources: [pods]");
    stage.repository.write("harmless/policy.yaml", &harmless);
    let ours = policy(&name, &stage.inventories);
    stage.repository.write("policies/policy.yaml", &ours);
    let revision = stage.configure(&[("shop", ""), ("harmless", ""), ("policies", "")]);
    let (agent, address) = listening(&stage);
    stage.start_as(agent);
    stage.until_synced("shop", &revision);
    stage.until_synced("harmless", &revision);

    let message = stage.until_state("policies", "Blocked");
    let lease = format!("{}/gitops-agent-{}", stage.inventories, stage.environment);
    for words in [
        "policy.yaml:1",
        "policy.yaml:12",
        &lease,
        "Approve-Plan: sha256:",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let binding = format!("validatingadmissionpolicybinding/{name}-bound");
    assert!(stage.cluster.get(&[&binding]).is_none());
    let diff = stage.diff(&[]).stdout;
    assert!(
        diff.contains(&lease) && diff.contains("Approve-Plan: "),
        "{diff}"
    );

    // Somebody says yes.
    let digest = message.split("Approve-Plan: ").nth(1).unwrap();
    let digest = digest.split('`').next().unwrap();
    stage.commit(&format!("Refuse everything\n\nApprove-Plan: {digest}"), &[]);
    let command = format!("kubectl delete validatingadmissionpolicybinding {name}-bound");
    let by = format!("the ValidatingAdmissionPolicy {name}");
    let words = [by.as_str(), "nothing at all", &lease, &command];
    until_told_everywhere(&mut stage, &address, &words);

    // Taken out of Git, and by the command that was told.
    stage.repository.remove("policies/policy.yaml");
    let revision = stage.commit(
        "Take it out",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", ""), ("harmless", "")]),
            ),
            ("shop/a.yaml", &config_map("two")),
        ],
    );
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    stage.cluster.kubectl(&words);
    stage.until_synced("shop", &revision);
    until_value(&mut stage, "two");
    stage.until("its unit to be gone", |stage| {
        let seen = stage.status();
        let policy = format!("validatingadmissionpolicy/{name}");
        let gone = seen["error"].is_null() && stage.cluster.get(&[&policy]).is_none();
        if gone { Ok(()) } else { Err(seen.to_string()) }
    });
}

#[test]
fn a_webhook_that_is_away_is_told_by_its_configuration() {
    let mut stage = Stage::new("hooked", AGENT);
    stage.repository.write("shop/a.yaml", &config_map("one"));
    let revision = stage.configure(&[("shop", "")]);
    let (agent, address) = listening(&stage);
    stage.start_as(agent);
    stage.until_synced("shop", &revision);
    let name = format!("{}-away", stage.namespace);
    stage.cluster.kubectl_apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
- name: away.example.com
  clientConfig: {{url: 'https://127.0.0.1:1/'}}
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  rules:
  - {{apiGroups: [coordination.k8s.io], apiVersions: ['*'], operations: ['*'], resources: [leases]}}
  namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}
",
        stage.inventories
    ));
    let by = format!("the webhook away.example.com of the ValidatingWebhookConfiguration {name}");
    let command = format!("kubectl delete validatingwebhookconfiguration {name}");
    until_told_everywhere(&mut stage, &address, &[&by, &command]);
    let begin = stage.cluster.audit_position();
    // What is refused is not asked for again and again.
    std::thread::sleep(Duration::from_secs(20));
    let events = stage.cluster.audit_since(begin).into_iter();
    let count = events
        .filter(|event| event.object.namespace == stage.inventories)
        .filter(|event| event.verb == "patch" && event.object.resource == "leases")
        .filter(|event| event.response.code >= 400)
        .count();
    println!("{count} refused");
    assert!((1..=6).contains(&count), "{count} refused");
    stage
        .cluster
        .kubectl(&["delete", "validatingwebhookconfiguration", &name]);
    let revision = stage.commit("Go on", &[("shop/a.yaml", &config_map("two"))]);
    stage.until_synced("shop", &revision);
}
