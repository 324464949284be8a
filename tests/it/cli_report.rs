//! `agent report` tells from the record how deployments went and who changed what is live.

use serde_json::Value;

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: one}\n";

/// A rollout that never ends: no node is there to run it.
const STUCK: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {there: is-none}
      containers: [{name: web, image: example.com/web}]
";

fn report(stage: &Stage, words: &[&str]) -> Value {
    let words = [&["report", "-o", "json"], words].concat();
    let ran = stage.agent(&words).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn deployments_failures_and_drift_are_counted() {
    let mut stage = Stage::new("report", AGENT);
    let first = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "health: {timeout: 2s}")]),
            ),
            ("shop/a.yaml", MAP),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);
    stage.commit("Add web", &[("shop/web.yaml", STUCK)]);
    stage.until_state("shop", "Failed");
    let failing = report(&stage, &[]);
    assert_eq!(failing[0]["notRestored"], 1, "{failing}");
    let fixed = stage.remove(&["shop/web.yaml"]);
    stage.until_synced("shop", &fixed);
    let last = stage.commit("Nothing for us", &[("README.md", "hello")]);
    stage.until_looked_at(&last);
    for value in ["two", "three"] {
        let patch = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
        let words = ["patch", "configmap", "a", "--type=merge", "-p", &patch];
        stage.kubectl(&[&words[..], &["--field-manager=mallory"]].concat());
        stage.until("it to be put back", |stage| {
            let seen = stage.get("configmap", "a")["data"]["a"].clone();
            if seen == "one" {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        });
    }
    stage.until("both to be told", |stage| {
        let count = stage.entries_on("revert drift").len();
        if count == 2 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    });

    let told = &report(&stage, &["--since", "1d"])[0];
    assert_eq!(told["environment"], *stage.environment);
    assert_eq!(told["deployments"], 3);
    let per_day = told["deploymentsPerDay"].as_f64().unwrap();
    assert!((per_day - 3.0).abs() < 0.01, "{per_day}");
    assert_eq!(
        (&told["failedDeployments"], &told["notRestored"]),
        (&1.into(), &0.into())
    );
    let rate = told["changeFailureRate"].as_f64().unwrap();
    assert!((rate - 1.0 / 3.0).abs() < 1e-9, "{rate}");
    assert_eq!(told["leadTime"]["count"], 2, "{told}");
    let median = told["leadTime"]["median"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&median), "{median}");
    assert_eq!(told["timeToRestore"]["count"], 1, "{told}");
    let drift = &told["drift"];
    assert_eq!(
        (&drift[0]["actor"], &drift[0]["count"]),
        (&"mallory".into(), &2.into())
    );
    assert!(drift[1].is_null(), "{drift}");
    let later = &report(&stage, &["--since", "2999-01-01"])[0];
    assert_eq!(
        (&later["deployments"], &later["changeFailureRate"]),
        (&0.into(), &Value::Null)
    );

    let ran = stage.agent(&["report"]).run();
    for part in ["ENVIRONMENT", "33% (1)", "9 of 10 within", "mallory"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}
