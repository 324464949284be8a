//! Where nothing happens, nothing is asked: the API server hears of an agent only that it
//! watches.

use std::env;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::audit::{AuditEvent, AuditPosition};
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::stage::{PATIENCE, Stage};

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: 'web:1', resources: {requests: {cpu: 1000m}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";
const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: one}
";
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.idle.example.com}
spec:
  group: idle.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: idle.example.com/v1
kind: Widget
metadata: {name: one}
spec: {size: 1}
";

/// For `IDLE`, such as `5m`; 10 seconds by default.
#[test]
fn an_idle_environment_costs_watches_alone() {
    let window = env::var("IDLE").map_or(Duration::from_secs(10), |text| {
        humantime::parse_duration(&text).expect("IDLE is a duration")
    });
    // One of its own, since the agents of other tests would be counted along.
    let cluster = ControlPlane::start(&Options::default()).unwrap();
    let mut stage = Stage::on(&cluster, "idle", env!("CARGO_BIN_EXE_agent"));
    let units = ["web", "settings", "widgets", "reported"];
    let configuration = stage.configuration(&units.map(|unit| {
        (
            unit,
            if unit == "reported" {
                "drift: report"
            } else {
                ""
            },
        )
    }));
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("web/web.yaml", WEB),
            ("settings/settings.yaml", SETTINGS),
            ("widgets/widgets.yaml", DEFINITION),
            (
                "reported/settings.yaml",
                &SETTINGS.replace("name: settings", "name: reported"),
            ),
        ],
    );
    stage.start();
    for unit in units {
        stage.until_synced(unit, &revision);
    }
    // With something that differs and is to stay so, and fields of others.
    stage.kubectl(&[
        "patch",
        "configmap",
        "reported",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"two"}}"#,
    ]);
    stage.until_state("reported", "Drifted");
    stage.kubectl(&["annotate", "deployment", "web", "example.com/note=hello"]);
    until_quiet(&stage);

    let (position, tip) = (cluster.audit_position(), stage.record_tip());
    sleep(window);
    let asked = ours(&cluster, position);
    let but_watches: Vec<_> = asked
        .iter()
        .filter(|event| event.verb != "watch" && event.object.resource != "leases")
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect();
    assert!(but_watches.is_empty(), "in {window:?}: {but_watches:#?}");
    // A watch is kept up for minutes.
    let most = 2 * units.len() as u64 * (1 + window.as_secs() / 120);
    assert!(asked.len() as u64 <= most, "{asked:#?}");
    assert_eq!(stage.record_tip(), tip);

    // It was not asleep.
    stage.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"two"}}"#,
    ]);
    stage.until_entry("revert drift on ConfigMap");
}

/// Waits until an agent has asked for nothing for two seconds.
fn until_quiet(stage: &Stage) {
    const QUIET: Duration = Duration::from_secs(2);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let position = stage.cluster.audit_position();
        sleep(QUIET);
        let asked = ours(stage.cluster, position);
        if asked.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "it never rests: {asked:#?}");
    }
}

fn ours(cluster: &ControlPlane, since: AuditPosition) -> Vec<AuditEvent> {
    let mut events = cluster.audit_since(since);
    events.retain(|event| event.user_agent.starts_with("gitops-agent/"));
    events
}
