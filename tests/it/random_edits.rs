//! Whatever people do with kubectl to what is declared is put back within moments, and
//! the record has each of it once, with whoever it was.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::time::Duration;

use crate::support::audit::{AuditEvent, AuditPosition};
use crate::support::stage::{Entry, PATIENCE, Stage};
use crate::support::wait::{poll, wait_seeing};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// What is done to one object, and how the record has to tell it.
struct Edit {
    /// Words of kubectl; `NAME` stands for the object's.
    words: &'static [&'static str],
    /// The field manager that the record names; none where nobody owns what is gone.
    actor: Option<&'static str>,
    /// What the entry's text has to hold.
    told: &'static str,
}

const ENV: &str = "/spec/template/spec/containers/0/env";

const OF_DEPLOYMENTS: [Edit; 9] = [
    edit(
        &["scale", "deployment/NAME", "--replicas=3"],
        Some("kubectl"),
        "spec.replicas: 1 -> 3",
    ),
    edit(
        &["set", "image", "deployment/NAME", "main=web:2"],
        Some("kubectl-set"),
        r#"image: "web:1" -> "web:2""#,
    ),
    edit(
        &["set", "env", "deployment/NAME", "ONE=two"],
        Some("kubectl-set"),
        r#"env[name=ONE].value: "one" -> "two""#,
    ),
    edit(
        &["set", "resources", "deployment/NAME", "--requests=cpu=200m"],
        Some("kubectl-set"),
        r#"requests.cpu: "100m" -> "200m""#,
    ),
    edit(
        &["label", "--overwrite", "deployment/NAME", "team=red"],
        Some("kubectl-label"),
        r#"metadata.labels.team: "blue" -> "red""#,
    ),
    edit(
        &["annotate", "--overwrite", "deployment/NAME", "note=no"],
        Some("kubectl-annotate"),
        r#"metadata.annotations.note: "yes" -> "no""#,
    ),
    edit(
        &[
            "patch",
            "deployment/NAME",
            "--type=json",
            "-p",
            r#"[{"op":"remove","path":"ENV/1"}]"#,
        ],
        None,
        "env[name=TWO]",
    ),
    edit(
        &[
            "patch",
            "deployment/NAME",
            "-p",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","ports":[{"containerPort":80,"name":"www"}]}]}}}}"#,
        ],
        Some("kubectl-patch"),
        r#"name: "http" -> "www""#,
    ),
    edit(&["delete", "deployment/NAME"], None, "deleted Deployment"),
];

const OF_CONFIG_MAPS: [Edit; 5] = [
    edit(
        &[
            "patch",
            "configmap/NAME",
            "--type=merge",
            "-p",
            r#"{"data":{"a":"two"}}"#,
        ],
        Some("kubectl-patch"),
        r#"data.a: "one" -> "two""#,
    ),
    edit(
        &[
            "patch",
            "configmap/NAME",
            "--type=json",
            "-p",
            r#"[{"op":"remove","path":"/data/b"}]"#,
        ],
        None,
        r#"data.b: "one" -> (none)"#,
    ),
    edit(
        &["label", "--overwrite", "configmap/NAME", "team=red"],
        Some("kubectl-label"),
        r#"metadata.labels.team: "blue" -> "red""#,
    ),
    edit(
        &["label", "configmap/NAME", "team-"],
        None,
        "metadata.labels.team",
    ),
    edit(&["delete", "configmap/NAME"], None, "deleted ConfigMap"),
];

const fn edit(
    words: &'static [&'static str],
    actor: Option<&'static str>,
    told: &'static str,
) -> Edit {
    Edit { words, actor, told }
}

const DEPLOYMENT: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, labels: {team: blue}, annotations: {note: 'yes'}}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
      - name: main
        image: web:1
        ports: [{name: http, containerPort: 80}]
        env: [{name: ONE, value: one}, {name: TWO, value: two}]
        resources: {requests: {cpu: 100m}}
";
const CONFIG_MAP: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, labels: {team: blue}}
data: {a: one, b: one}
";

/// Of `EDITS`, 60 by default: 200 for the whole.
#[test]
fn are_all_reverted_and_told_and_none_is_invented() {
    let count = env::var("EDITS").map_or(60, |text| text.parse().expect("EDITS is a number"));
    let objects = count / (OF_DEPLOYMENTS.len() + OF_CONFIG_MAPS.len()) + 2;
    let mut stage = synced(objects);
    let before = stage.entries().len();

    let began = std::time::Instant::now();
    let mut times = Vec::new();
    let done = shuffled(objects).into_iter().take(count);
    let done: Vec<(String, &Edit)> = done.collect();
    for (name, edit) in &done {
        let position = stage.cluster.audit_position();
        let words = edit
            .words
            .iter()
            .map(|word| word.replace("NAME", name).replace("ENV", ENV));
        let words: Vec<String> = words.collect();
        stage.kubectl(&words.iter().map(String::as_str).collect::<Vec<_>>());
        times.push((reverted(&stage, position, name), words.join(" ")));
    }
    let took = began.elapsed();
    let entries = recorded(&stage, before, count);
    times.sort();
    let (worst, what) = times.last().expect("there were edits");
    println!(
        "{count} edits in {took:?}, reverted in {:?} (median), {worst:?} (worst: kubectl {what})",
        times[count / 2].0
    );

    assert_told(&stage, &done, &entries);
    for unit in ["deployments", "config-maps"] {
        stage.until_state(unit, "Synced");
    }
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage.assert_consistent();
}

/// The entries since then, once they tell of so many edits, and of a revert after each.
/// What is missing after a while is for the caller to see.
fn recorded(stage: &Stage, before: usize, edits: usize) -> Vec<Entry> {
    let complete = || {
        let mut entries = stage.entries().split_off(before);
        // A roll-out that takes its time is told of as well.
        entries.retain(|entry| entry.trailer("Cause").as_deref() != Some("health"));
        let told = told(&entries);
        let found = told
            .values()
            .flatten()
            .filter(|entry| !is_revert(entry))
            .count();
        let reverted = told
            .values()
            .all(|mine| mine.last().is_some_and(|entry| is_revert(entry)));
        if found >= edits && reverted {
            Ok(entries)
        } else {
            Err(entries)
        }
    };
    poll(PATIENCE / 2, complete).unwrap_or_else(|entries| entries)
}

fn synced(objects: usize) -> Stage<'static> {
    let mut stage = Stage::new("edits", AGENT);
    let text = |template: &str, kind: &str| {
        (0..objects).fold(String::new(), |mut text, number| {
            write!(text, "{}", template.replace("NAME", &name(kind, number)))
                .expect("it is a String");
            text
        })
    };
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("deployments", ""), ("config-maps", "")]),
            ),
            ("deployments/all.yaml", &text(DEPLOYMENT, "web")),
            ("config-maps/all.yaml", &text(CONFIG_MAP, "settings")),
        ],
    );
    stage.start();
    stage.until_synced("deployments", &revision);
    stage.until_synced("config-maps", &revision);
    stage
}

fn name(kind: &str, number: usize) -> String {
    format!("{kind}-{number:02}")
}

/// Every edit of every object, in an order that is the same each time. None comes twice:
/// who insists on the same field is told once, which another test shows.
fn shuffled(objects: usize) -> Vec<(String, &'static Edit)> {
    let mut all: Vec<_> = (0..objects)
        .flat_map(|number| {
            let deployments = OF_DEPLOYMENTS
                .iter()
                .map(move |edit| (name("web", number), edit));
            let maps = OF_CONFIG_MAPS
                .iter()
                .map(move |edit| (name("settings", number), edit));
            deployments.chain(maps)
        })
        .collect();
    let mut random: usize = 0x2545_F491;
    for at in (1..all.len()).rev() {
        // Marsaglia's xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        all.swap(at, random % (at + 1));
    }
    all
}

/// Waits until the agent has written an object, and says how long after somebody else did.
fn reverted(stage: &Stage, since: AuditPosition, name: &str) -> Duration {
    let written = |ours: bool, events: &[AuditEvent]| {
        let mut events = events.iter().filter(|event| {
            let object = &event.object;
            let here = object.namespace == stage.namespace && object.name == name;
            here && event.is_write()
                && event.response.code < 300
                && by_hand_or_agent(event) == Some(ours)
        });
        events.next().map(|event| event.reached)
    };
    wait_seeing(&format!("{name} to be put back"), PATIENCE, || {
        let events = stage.cluster.audit_since(since);
        match (written(false, &events), written(true, &events)) {
            (Some(theirs), Some(ours)) => Ok(ours.duration_since(theirs).unsigned_abs()),
            _ => Err(stage.log()),
        }
    })
}

/// Whether a request is the agent's; none for a controller's.
fn by_hand_or_agent(event: &AuditEvent) -> Option<bool> {
    let by = |program: &str| event.user_agent.starts_with(program);
    (by("gitops-agent/") || by("kubectl/")).then(|| by("gitops-agent/"))
}

/// The entries that are about each object, oldest first. One entry may tell of several
/// objects that were put back at the same moment.
fn told(entries: &[Entry]) -> BTreeMap<String, Vec<&Entry>> {
    let mut told: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let objects = entry
            .paths
            .iter()
            .filter_map(|path| path.strip_suffix(".yaml")?.rsplit_once('/'));
        for (_, name) in objects {
            told.entry(name.to_owned()).or_default().push(entry);
        }
    }
    told
}

/// Each edit is told of once, in the order of what was done to the object, nothing else
/// is, and the last word is a revert. What was put back in one go may be told in one.
fn assert_told(stage: &Stage, done: &[(String, &Edit)], entries: &[Entry]) {
    let told = told(entries);
    let mut wanted: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
    for (name, edit) in done {
        wanted.entry(name).or_default().push(edit);
    }
    for (name, edits) in &wanted {
        let mine = told.get(*name).map_or(&[][..], Vec::as_slice);
        let words: Vec<_> = edits.iter().map(|edit| edit.words.join(" ")).collect();
        let seen = format!("{name}: {words:#?}\n{}", subjects(mine.iter().copied()));
        let (put_back, found): (Vec<&Entry>, Vec<&Entry>) =
            mine.iter().copied().partition(|entry| is_revert(entry));
        assert_eq!(found.len(), edits.len(), "{seen}");
        assert!(put_back.len() <= edits.len(), "{seen}");
        assert!(mine.last().is_some_and(|entry| is_revert(entry)), "{seen}");
        for (edit, entry) in edits.iter().zip(found) {
            assert_by(edit, entry, &stage.environment);
        }
    }
    let invented: Vec<_> = told
        .iter()
        .filter(|(name, _)| !wanted.contains_key(name.as_str()))
        .collect();
    assert!(invented.is_empty(), "{invented:#?}\n{}", subjects(entries));
    for entry in entries {
        assert_eq!(
            entry.trailer("Cause").as_deref(),
            Some("drift"),
            "{entry:#?}"
        );
    }
}

fn assert_by(edit: &Edit, entry: &Entry, environment: &str) {
    let start = format!("{environment}: {} ", edit.actor.unwrap_or("somebody"));
    assert!(entry.subject.starts_with(&start), "{start}: {entry:#?}");
    assert!(
        entry.message.contains(edit.told),
        "{}: {entry:#?}",
        edit.told
    );
    assert_eq!(entry.trailer("Actor").as_deref(), edit.actor, "{entry:#?}");
}

fn is_revert(entry: &Entry) -> bool {
    let (_, what) = entry.subject.split_once(": ").unwrap_or_default();
    what.starts_with("revert drift on ") || what.starts_with("create ")
}

fn subjects<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let subjects: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.subject.as_str())
        .collect();
    subjects.join("\n")
}
