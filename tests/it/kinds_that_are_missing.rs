//! Kinds that the cluster does not serve yet are asked for by one request for all who wait
//! for them, ever less often, and found as soon as they are there.

use std::thread::sleep;
use std::time::Duration;

use crate::support::audit::AuditPosition;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const UNITS: usize = 25;
const WINDOW: Duration = Duration::from_secs(35);
/// Each reading is of two documents, and there are as many readings as doublings from half
/// a second fit in, and those of the beginning.
const MOST: usize = 16;

/// A CRD of things in a group.
pub(super) fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: things.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Thing, plural: things}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
    )
}

/// How often an agent has asked which kinds there are.
fn discoveries(cluster: &ControlPlane, since: AuditPosition) -> usize {
    let events = cluster.audit_since(since).into_iter();
    events
        .filter(|event| event.user_agent.starts_with("gitops-agent/"))
        .filter(|event| matches!(&*event.uri, "/api" | "/apis"))
        .count()
}

#[test]
fn all_who_wait_for_a_kind_ask_once() {
    let options = Options {
        nodes: 0,
        ..Options::default()
    };
    let cluster = ControlPlane::start(&options).unwrap();
    let mut stage = Stage::on(&cluster, "kindless", AGENT);
    let names: Vec<String> = (0..UNITS).map(|number| format!("unit-{number}")).collect();
    let thing = "apiVersion: missing.example/v1\nkind: Thing\nmetadata: {name: NAME}\n";
    for name in &names {
        let path = format!("{name}/thing.yaml");
        stage.repository.write(&path, &thing.replace("NAME", name));
    }
    let units: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "")).collect();
    let begin = cluster.audit_position();
    let revision = stage.configure(&units);
    stage.start();
    stage.until("the kind to be missed", |stage| {
        let seen = stage.unit("unit-0").to_string();
        if seen.contains("has no kind") {
            Ok(())
        } else {
            Err(seen)
        }
    });
    // Definitions of others are no reason to look.
    cluster.kubectl_apply(&definition("other.example"));
    sleep(WINDOW);
    let count = discoveries(&cluster, begin);
    println!("{count} requests");
    assert!(count <= MOST, "{count} requests");

    cluster.kubectl_apply(&definition("missing.example"));
    for name in &names {
        stage.until_synced(name, &revision);
    }
}
