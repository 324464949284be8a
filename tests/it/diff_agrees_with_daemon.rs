//! What `agent diff` shows is what the daemon then does: the same steps, under the same
//! digest, for everything that live can be like.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::audit::AuditEvent;
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// A unit of its own in a state of its own. In texts and words, `UNIT` is its name.
struct Case {
    unit: &'static str,
    settings: &'static str,
    /// What it declares, synced, before anything happens; nothing where it comes later.
    before: &'static str,
    /// What is done with kubectl then.
    done: &'static [&'static [&'static str]],
    /// What it declares in the end.
    after: &'static str,
    /// Each step's object, action, cause and standing.
    steps: &'static [&'static str],
}

const MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: UNIT}
data: {a: one}
";
const MAPS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: UNIT}
data: {a: one}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: UNIT-more}
data: {a: one}
";
const OTHER_MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: UNIT}
data: {a: two}
";
const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: UNIT}
stringData: {password: one}
";
const SPACE_AND_MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: UNIT}
---
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE-UNIT}
";
const BARE_MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: UNIT}
";
const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: UNIT}
spec:
  replicas: 1
  selector: {matchLabels: {app: UNIT}}
  template:
    metadata: {labels: {app: UNIT}}
    spec:
      containers:
      - name: main
        image: web:1
        env: [{name: ONE, value: one}, {name: TWO, value: two}]
        resources: {requests: {cpu: 1000m, memory: 1024Mi}}
";
const INVALID: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: UNIT}
spec:
  replicas: -1
  selector: {matchLabels: {app: UNIT}}
  template:
    metadata: {labels: {app: UNIT}}
    spec:
      containers:
      - name: main
        image: web:1
        env: [{name: ONE, value: one}, {name: TWO, value: two}]
        resources: {requests: {cpu: 1000m, memory: 1024Mi}}
";
const MOVED: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: UNIT}
spec:
  replicas: 1
  selector: {matchLabels: {app: UNIT, tier: front}}
  template:
    metadata: {labels: {app: UNIT, tier: front}}
    spec:
      containers: [{name: main, image: 'web:1'}]
";
const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: UNIT}
spec: {selector: {app: UNIT}, ports: [{name: a, port: 80}, {name: b, port: 81}]}
";
const DEFINED: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: UNITs.NAMESPACE.example.com}
spec:
  group: NAMESPACE.example.com
  scope: Namespaced
  names: {plural: UNITs, singular: UNIT, kind: Thing, listKind: ThingList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: NAMESPACE.example.com/v1
kind: Thing
metadata: {name: UNIT}
spec: {size: 1}
";

const fn case(unit: &'static str, before: &'static str) -> Case {
    Case {
        unit,
        settings: "",
        before,
        done: &[],
        after: before,
        steps: &[],
    }
}

const ZOO: [Case; 22] = [
    case("untouched", MAP),
    Case {
        done: &[&["delete", "configmap", "UNIT"]],
        steps: &["ConfigMap UNIT: create, drift, ready"],
        ..case("deleted", MAP)
    },
    Case {
        done: &[&[
            "patch",
            "configmap",
            "UNIT",
            "-p",
            r#"{"data":{"a":"other"}}"#,
        ]],
        steps: &["ConfigMap UNIT: change, drift, ready"],
        ..case("edited", MAP)
    },
    Case {
        done: &[&[
            "patch",
            "configmap",
            "UNIT",
            "-p",
            r#"{"data":{"a":"other"}}"#,
        ]],
        after: OTHER_MAP,
        steps: &["ConfigMap UNIT: change, change, ready"],
        ..case("edited-both", MAP)
    },
    Case {
        settings: "drift: report",
        done: &[&[
            "patch",
            "configmap",
            "UNIT",
            "-p",
            r#"{"data":{"a":"other"}}"#,
        ]],
        steps: &["ConfigMap UNIT: change, drift, reported"],
        ..case("reported", MAP)
    },
    Case {
        done: &[&["set", "env", "deployment/UNIT", "THREE=three"]],
        ..case("added-to", DEPLOYMENT)
    },
    Case {
        done: &[&[
            "label",
            "configmap",
            "UNIT",
            "applyset.kubernetes.io/part-of-",
        ]],
        steps: &["ConfigMap UNIT: change, drift, ready"],
        ..case("stripped", MAP)
    },
    case("spelt", DEPLOYMENT),
    Case {
        done: &[&[
            "patch",
            "deployment",
            "UNIT",
            "--type=json",
            "-p",
            r#"[{"op":"move","from":"/spec/template/spec/containers/0/env/0","path":"/spec/template/spec/containers/0/env/1"}]"#,
        ]],
        steps: &["Deployment UNIT: change, drift, ready"],
        ..case("reordered", DEPLOYMENT)
    },
    Case {
        done: &[&[
            "patch",
            "service",
            "UNIT",
            "--type=json",
            "-p",
            r#"[{"op":"remove","path":"/spec/ports/1"}]"#,
        ]],
        steps: &["Service UNIT: change, drift, ready"],
        ..case("shortened", SERVICE)
    },
    Case {
        done: &[&["create", "configmap", "UNIT", "--from-literal=a=other"]],
        after: MAP,
        steps: &["ConfigMap UNIT: adopt, change, ready"],
        ..case("adopted", "")
    },
    Case {
        settings: "conflicts: fail",
        done: &[&["create", "configmap", "UNIT", "--from-literal=a=other"]],
        after: MAP,
        steps: &["ConfigMap UNIT: adopt, change, blocked notOurs"],
        ..case("conflicting", "")
    },
    Case {
        done: &[
            &["create", "configmap", "UNIT", "--from-literal=a=other"],
            &[
                "label",
                "configmap",
                "UNIT",
                "applyset.kubernetes.io/part-of=applyset-of-somebody-v1",
            ],
        ],
        after: MAP,
        steps: &["ConfigMap UNIT: change, change, blocked notOurs"],
        ..case("theirs", "")
    },
    Case {
        after: MAP,
        steps: &["ConfigMap UNIT-more: prune, change, ready"],
        ..case("pruned", MAPS)
    },
    Case {
        after: BARE_MAP,
        steps: &["Namespace NAMESPACE-UNIT: prune, change, blocked guard"],
        ..case("guarded", SPACE_AND_MAP)
    },
    Case {
        after: INVALID,
        steps: &["Deployment UNIT: change, change, blocked refused"],
        ..case("invalid", DEPLOYMENT)
    },
    Case {
        after: MOVED,
        steps: &["Deployment UNIT: change, change, blocked refused"],
        ..case("immutable", DEPLOYMENT)
    },
    Case {
        settings: "replace: true",
        after: MOVED,
        steps: &["Deployment UNIT: replace, change, ready"],
        ..case("replaced", DEPLOYMENT)
    },
    Case {
        settings: "allowPlainSecrets: true",
        done: &[&[
            "patch",
            "secret",
            "UNIT",
            "-p",
            r#"{"data":{"password":"dHdv"}}"#,
        ]],
        steps: &["Secret UNIT: change, drift, ready"],
        ..case("secret", SECRET)
    },
    Case {
        after: OTHER_MAP,
        steps: &["ConfigMap UNIT: change, change, ready"],
        ..case("changed", MAP)
    },
    Case {
        after: MAPS,
        steps: &[
            "ConfigMap UNIT: create, change, ready",
            "ConfigMap UNIT-more: create, change, ready",
        ],
        ..case("new", "")
    },
    Case {
        after: DEFINED,
        steps: &[
            "CustomResourceDefinition UNITs.NAMESPACE.example.com: create, change, ready",
            "Thing UNIT: create, change, waits",
        ],
        ..case("defined", "")
    },
];

#[test]
fn the_daemon_does_what_diff_shows() {
    let stage = Stage::new("agrees", AGENT);
    commit(&stage, |case| case.before);
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for case in &ZOO {
        for words in case.done {
            let words: Vec<String> = words.iter().map(|word| named(case, word, &stage)).collect();
            stage.kubectl(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    let revision = commit(&stage, |case| case.after);
    stage.repository.git(&["fetch", "-q"]);

    let ran = stage.diff(&["-o", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    let shown: BTreeMap<&str, &Value> = shown[0]["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| (unit["unit"].as_str().unwrap(), unit))
        .collect();
    for case in &ZOO {
        let steps = shown[case.unit]["steps"].as_array().unwrap();
        let seen: Vec<String> = steps.iter().map(told).collect();
        let wanted: Vec<String> = case
            .steps
            .iter()
            .map(|step| named(case, step, &stage))
            .collect();
        assert_eq!(seen, wanted, "{}: {:#}", case.unit, shown[case.unit]);
    }

    let (before, position) = (stage.entries().len(), stage.cluster.audit_position());
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(stage.status()["revision"], *revision);
    let events = stage.cluster.audit_since(position);
    let entries = stage.entries().split_off(before);
    for case in &ZOO {
        let plan = shown[case.unit];
        let (mut written, mut wanted) = (written(&stage, case, &events), wanted(plan));
        let executed =
            !wanted.is_empty() || case.steps.iter().any(|step| step.ends_with("reported"));
        let wave = |(name, _): &(String, &str)| wave(plan, name);
        assert!(
            written.is_sorted_by_key(wave),
            "{}: {written:?}, {plan:#}",
            case.unit
        );
        // Those of one wave are made side by side.
        written.sort();
        wanted.sort();
        assert_eq!(written, wanted, "{}: {plan:#}", case.unit);
        // One that waits for what it does itself is planned again after that.
        let waits = plan["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|step| step["standing"]["state"] == "waits");
        let plans: BTreeSet<String> = entries
            .iter()
            .filter(|entry| entry.trailer("Unit").as_deref() == Some(case.unit))
            .filter_map(|entry| entry.trailer("Plan"))
            .collect();
        let digest = plan["digest"].as_str().unwrap().to_owned();
        if executed && !waits {
            assert_eq!(plans, BTreeSet::from([digest.clone()]), "{}", case.unit);
        }
        if !executed {
            assert!(
                plans.is_subset(&BTreeSet::from([digest.clone()])),
                "{}: {plans:?}",
                case.unit
            );
        }
        // What the guard asks to be approved is what was shown.
        let message = stage.unit(case.unit)["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        for step in plan["steps"].as_array().unwrap() {
            if step["standing"]["state"] == "blocked" {
                let why = step["standing"]["why"]["message"].as_str().unwrap();
                assert!(
                    message.contains(why.lines().next().unwrap()),
                    "{}: {why}: {message}",
                    case.unit
                );
            }
        }
    }
}

/// A step in the words of the zoo.
fn told(step: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let standing = &step["standing"];
    let why = text(&standing["why"]["kind"]);
    let standing = [text(&standing["state"]), why].join(" ");
    format!(
        "{} {}: {}, {}, {}",
        text(&step["object"]["kind"]),
        text(&step["object"]["name"]),
        text(&step["action"]),
        text(&step["cause"]),
        standing.trim_end()
    )
}

/// The writes that the steps of a plan stand for, each an object's name and a verb.
fn wanted(plan: &Value) -> Vec<(String, &'static str)> {
    let mut writes = Vec::new();
    for step in plan["steps"].as_array().unwrap() {
        if !matches!(step["standing"]["state"].as_str(), Some("ready" | "waits")) {
            continue;
        }
        let verbs: &[&'static str] = match step["action"].as_str() {
            Some("prune") => &["delete"],
            Some("replace") => &["delete", "patch"],
            _ => &["patch"],
        };
        let name = step["object"]["name"].as_str().unwrap();
        writes.extend(verbs.iter().map(|verb| (name.to_owned(), *verb)));
    }
    writes
}

/// In which wave a plan writes an object.
fn wave(plan: &Value, name: &str) -> Option<u64> {
    let mut steps = plan["steps"].as_array().unwrap().iter();
    steps.find(|step| step["object"]["name"] == *name)?["wave"].as_u64()
}

/// What the agent wrote of a unit's objects, in its order. What the API server refused
/// has changed nothing.
fn written(stage: &Stage, case: &Case, events: &[AuditEvent]) -> Vec<(String, &'static str)> {
    let names = [
        "UNIT",
        "UNIT-more",
        "NAMESPACE-UNIT",
        "UNITs.NAMESPACE.example.com",
    ]
    .map(|name| named(case, name, stage));
    let ours = events.iter().filter(|event| {
        let there = [stage.namespace.as_str(), ""].contains(&event.object.namespace.as_str());
        there
            && event.user_agent.starts_with("gitops-agent/")
            && event.is_write()
            && event.response.code < 300
            && names.contains(&event.object.name)
    });
    let verb = |verb: &str| {
        if verb.starts_with("delete") {
            "delete"
        } else {
            "patch"
        }
    };
    let mut writes: Vec<_> = ours
        .map(|event| (event.object.name.clone(), verb(&event.verb)))
        .collect();
    // Adoption takes ownership over before it applies.
    writes.dedup();
    writes
}

/// Commits the zoo; a unit that declares nothing isn't there.
fn commit(stage: &Stage, text: fn(&Case) -> &'static str) -> String {
    let there = ZOO.iter().filter(|case| !text(case).is_empty());
    let units: Vec<_> = there
        .clone()
        .map(|case| (case.unit, case.settings))
        .collect();
    stage
        .repository
        .write("agent.yaml", &stage.configuration(&units));
    for case in there {
        let path = format!("{}/all.yaml", case.unit);
        stage
            .repository
            .write(&path, &named(case, text(case), stage));
    }
    stage.repository.commit("The zoo", &[])
}

fn named(case: &Case, text: &str, stage: &Stage) -> String {
    text.replace("UNIT", case.unit)
        .replace("NAMESPACE", &stage.namespace)
}
