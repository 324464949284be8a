//! `drift: propose` of an object that somebody deletes: it stays so while people decide,
//! and what is too big to have been meant is put back at once.

use serde_json::Value;

use crate::support::git::git;
use crate::support::stage::Stage;
use crate::support::team::{Team, assert_says, proposals};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const SETTINGS: &str = "# What belongs together.

# how it looks
apiVersion: v1
kind: ConfigMap
metadata: {name: looks} # of the shop
data: {colour: red}
---
# how it works
apiVersion: v1
kind: ConfigMap
metadata: {name: works}
data: {speed: high}
---
# how much
apiVersion: v1
kind: ConfigMap
metadata: {name: limits}
data: {most: '10'}
";

const FILES: [(&str, &str); 2] = [
    ("shop/settings.yaml", SETTINGS),
    (
        "shop/more.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n",
    ),
];

fn delete(team: &Team, name: &str) {
    team.stage.kubectl(&["delete", "configmap", name]);
}

fn is_there(stage: &Stage<'_>, name: &str) -> bool {
    !stage.get("configmap", name).is_null()
}

/// Waits for all of these to be there.
fn until_there(team: &mut Team, names: &[&str]) {
    team.stage
        .until("what was deleted to be there again", |stage| {
            let missing: Vec<&&str> = names.iter().filter(|name| !is_there(stage, name)).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("{missing:?}"))
            }
        });
}

#[test]
fn it_stays_deleted_while_it_is_proposed_and_is_declared_no_more_when_that_is_merged() {
    let mut team = Team::new(AGENT, "propose-deleted", "drift: propose", &FILES);
    let (namespace, environment) = (team.stage.namespace.clone(), team.stage.environment.clone());
    delete(&team, "works");
    let title = format!("{environment}: keep that ConfigMap {namespace}/works was deleted");
    let pull = team.until_proposal(1, &title, "open");
    let told = [
        "*(deleted)*",
        "shop/settings.yaml:10",
        "| somebody | seen 20",
        "creates again what was deleted",
    ];
    assert_says(&pull, &told);
    let works = [
        "-# how it works",
        "-apiVersion: v1",
        "-kind: ConfigMap",
        "-metadata: {name: works}",
        "-data: {speed: high}",
    ];
    let (lines, people) = team.lines();
    assert_eq!(lines, works);
    assert_eq!(people, "gitops-agent gitops-agent");
    let message = team.stage.until_state("shop", "Drifted");
    assert_eq!(
        message,
        format!("ConfigMap {namespace}/works: somebody deleted it")
    );
    let entry = team.stage.until_entry("somebody deleted ConfigMap");
    assert_eq!(entry.trailer("Event").as_deref(), Some("drift"));
    assert_eq!(entry.trailer("Actor"), None, "{}", entry.message);
    assert!(
        entry.author.starts_with("gitops-agent "),
        "{}",
        entry.author
    );

    // An agent that knows nothing but Git finds the same proposal, and one more deletion
    // is part of it.
    let head = |team: &Team| {
        let remote = team.stage.repository.remote();
        git(&remote, &["rev-parse", &team.branch()])
    };
    let before = head(&team);
    team.restart_elsewhere();
    team.stage
        .until_looked_at(&team.stage.repository.revision("main"));
    team.until_proposal(1, &title, "open");
    assert_eq!(head(&team), before);
    delete(&team, "more");
    let title = format!("{environment}: keep that 2 objects of shop were deleted");
    let pull = team.until_proposal(1, &title, "open");
    let remote = team.stage.repository.remote();
    let files = git(&remote, &["ls-tree", "-r", "--name-only", &team.branch()]);
    assert!(!files.contains("shop/more.yaml"), "{files}");
    assert!(!is_there(&team.stage, "works"));

    let merged = team.forged.merge(pull["number"].as_u64().unwrap());
    team.stage.until_synced("shop", &merged);
    assert!(!is_there(&team.stage, "works") && !is_there(&team.stage, "more"));
    assert!(is_there(&team.stage, "looks") && is_there(&team.stage, "limits"));
    assert_eq!(team.stage.unit("shop")["objects"], 2);
    assert_eq!(team.stage.unit("shop")["gone"], Value::Null);
    for subject in ["create ConfigMap", "revert", "prune", "blocked", "failed"] {
        let entries = team.stage.entries_on(subject);
        let later = |entry: &&crate::support::stage::Entry| !entry.subject.contains("sync shop");
        assert_eq!(
            entries.iter().filter(later).count(),
            0,
            "{subject}: {entries:#?}"
        );
    }
    let recorded = team.stage.recorded_files().join(" ");
    assert!(
        !recorded.contains("works") && !recorded.contains("more"),
        "{recorded}"
    );
    team.stage
        .repository
        .git(&["pull", "--quiet", "origin", "main"]);
    let diff = team.stage.diff(&[]);
    assert_eq!(diff.code, Some(0), "{}{}", diff.stdout, diff.stderr);
}

#[test]
fn what_is_closed_or_held_too_long_is_created_again_and_what_is_made_anew_is_proposed() {
    let mut team = Team::new(AGENT, "propose-refused", "drift: propose", &FILES);
    delete(&team, "works");
    let pull = team.until_proposal(1, "works was deleted", "open");
    team.close(&pull);
    until_there(&mut team, &["works"]);
    team.stage.until_state("shop", "Synced");
    team.stage.until_entry("create ConfigMap");

    // The same once more is not what was closed.
    delete(&team, "works");
    team.until_proposal(2, "works was deleted", "open");
    assert!(!is_there(&team.stage, "works"));
    // Somebody makes it again, with nothing of ours on it: that is what is decided about now.
    let by_hand = ["create", "configmap", "works", "--from-literal=speed=low"];
    team.stage.kubectl(&by_hand);
    let pull = team.until_proposal(2, "kubectl-create changed", "open");
    assert_eq!(team.stage.get("configmap", "works")["data"]["speed"], "low");
    team.close(&pull);
    team.stage.until_state("shop", "Synced");
    assert_eq!(
        team.stage.get("configmap", "works")["data"]["speed"],
        "high"
    );

    let held = team
        .stage
        .configuration(&[("shop", "drift: propose, keepFor: 15s")]);
    let revision = team.stage.commit("Hold", &[("agent.yaml", &held)]);
    team.stage.until_looked_at(&revision);
    delete(&team, "looks");
    let pull = team.until_proposal(3, "looks was deleted", "open");
    assert_says(&pull, &["it is put back 15s after it was changed"]);
    until_there(&mut team, &["looks"]);
    team.until_proposal(3, "looks was deleted", "closed");
}

#[test]
fn a_namespace_and_what_went_with_it_and_a_great_many_are_put_back_at_once() {
    let maps: Vec<String> = (0..12)
        .map(|number| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: many-{number}, labels: {{many: 'yes'}}}}\n")
        })
        .collect();
    let maps = maps.join("---\n");
    let mut team = Team::new(
        AGENT,
        "propose-many",
        "drift: propose",
        &[FILES[0], FILES[1], ("shop/many.yaml", &maps)],
    );
    let other = format!("{}-inside", team.stage.namespace);
    let inside = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: inside, namespace: {other}}}\n"
    );
    let revision = team.stage.commit("More", &[("shop/inside.yaml", &inside)]);
    team.stage.until_synced("shop", &revision);
    let before = team.stage.uid("namespace", &other);

    team.stage
        .kubectl(&["delete", "configmaps", "-l", "many=yes", "--wait=false"]);
    let names: Vec<String> = (0..12).map(|number| format!("many-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    until_there(&mut team, &names);
    team.stage.until_state("shop", "Synced");
    // One may have been opened while only the first few were gone.
    let (forged, branch) = (&team.forged, team.branch());
    team.stage.until("nothing to be proposed", |_| {
        let all = proposals(forged, &branch);
        match all.iter().find(|pull| pull["state"] == "open") {
            Some(open) => Err(open["title"].to_string()),
            None => Ok(()),
        }
    });
    let before_that = proposals(&team.forged, &team.branch()).len();

    team.stage.kubectl(&["delete", "namespace", &other]);
    team.stage.until(
        "the namespace and what is in it to be there again",
        |stage| {
            let namespace = stage.get("namespace", &other)["metadata"]["uid"].clone();
            let inside = stage.kubectl(&["get", "configmaps", "-n", &other, "-o", "name"]);
            if namespace != *before && inside.contains("configmap/inside") {
                Ok(())
            } else {
                Err(format!("{namespace}, {inside}"))
            }
        },
    );
    team.stage.until_state("shop", "Synced");
    let revision = team.stage.repository.revision("main");
    team.stage.until_looked_at(&revision);
    assert_eq!(proposals(&team.forged, &team.branch()).len(), before_that);
}
