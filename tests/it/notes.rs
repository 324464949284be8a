//! Notes on source commits say when each was deployed and how that went. They are a
//! projection of the record: what keeps them from the repository holds nothing up.

use crate::support::git::git;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::poll;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {value}}}\n")
}

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

fn reference(stage: &Stage) -> String {
    format!("refs/notes/agent/{}", stage.environment)
}

/// The note on a commit, as Git shows it; empty where there is none.
fn note(stage: &Stage, revision: &str) -> String {
    let notes = format!("--notes={}", reference(stage));
    let shown = ["log", "-1", "--format=%N", &notes, revision];
    git(&stage.repository.remote(), &shown).trim().to_owned()
}

fn until_noted(stage: &mut Stage, revision: &str, wanted: &str) -> String {
    stage.until(&format!("a note `{wanted}`"), |stage| {
        let note = note(stage, revision);
        if note.contains(wanted) {
            Ok(note)
        } else {
            Err(note)
        }
    })
}

fn tip(stage: &Stage) -> String {
    git(
        &stage.repository.remote(),
        &["rev-parse", &reference(stage)],
    )
}

#[test]
fn each_source_commit_says_when_it_was_deployed_and_how_that_went() {
    let mut stage = Stage::new("notes", AGENT);
    let settings = [("shop", "health: {timeout: 3s}")];
    let first = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&settings)),
            ("shop/a.yaml", &config_map("one")),
        ],
    );
    stage.start();
    let told = until_noted(&mut stage, &first, "healthy after ");
    assert!(told.starts_with("shop: deployed 20"), "{told}");
    let entry = &stage.entries()[0].hash[..8].to_owned();
    let place = format!("({} {entry})", stage.branch());
    assert!(told.contains(&place), "{told}");
    let last = stage.commit("Nothing for us", &[("README.md", "hello")]);
    until_noted(&mut stage, &last, "nothing to change");
    let bad = stage.commit("Add web", &[("shop/web.yaml", STUCK)]);
    until_noted(&mut stage, &bad, "on its way");
    until_noted(&mut stage, &bad, "failed after ");
    let fixed = stage.remove(&["shop/web.yaml"]);
    until_noted(&mut stage, &fixed, "healthy after ");
    assert!(note(&stage, &bad).contains("failed after"));
    // Drift is no news of a commit.
    let before = tip(&stage);
    stage.kubectl(&[
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"x"}}"#,
    ]);
    stage.until_entry("revert drift on ");

    // In a clone: all of them beside the commits.
    stage
        .repository
        .git(&["fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*"]);
    let log = stage.repository.git(&["log", "--notes=agent/*", "main"]);
    let heading = format!("Notes (agent/{}):\n    shop: deployed", stage.environment);
    assert_eq!(log.matches(&heading).count(), 3, "{log}");

    // Made again from the record, they are the same to the byte.
    let gone = ["update-ref", "-d", &reference(&stage)];
    stage.repository.git(&gone);
    git(&stage.repository.remote(), &gone);
    let rebuild = |stage: &Stage| {
        let ran = stage.agent(&["record", "rebuild-notes", "--push"]).run();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let said = rebuild(&stage);
    assert!(said.contains("notes on 4 commits, refs/notes"), "{said}");
    assert!(said.contains("pushed"), "{said}");
    assert_eq!(tip(&stage), before);
    assert!(rebuild(&stage).contains("as they were"));
    // And the daemon goes on from them, an empty data directory or not.
    stage.daemon().kill();
    let data = stage.daemon().home().join("data");
    std::fs::remove_dir_all(data).unwrap();
    stage.daemon().restart();
    let next = stage.commit("Change it", &[("shop/a.yaml", &config_map("two"))]);
    until_noted(&mut stage, &next, "healthy after ");
    let parent = git(
        &stage.repository.remote(),
        &["rev-parse", &format!("{}^", reference(&stage))],
    );
    assert_eq!(parent, before);
    let said = rebuild(&stage);
    assert!(
        said.contains("as they were") || said.contains("5 commits"),
        "{said}"
    );
}

#[test]
fn notes_that_cannot_be_pushed_hold_nothing_up() {
    let mut stage = Stage::new("unnoted", AGENT);
    // Where a ref has this name, none can be below it.
    let start = stage.commit("Start", &[("README.md", "hello")]);
    let remote = stage.repository.remote();
    git(&remote, &["update-ref", "refs/notes/agent", &start]);
    let first = stage.commit(
        "Configure",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/a.yaml", &config_map("one")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);
    let said = poll(PATIENCE, || {
        let log = stage.log();
        let said = log.contains("the notes on source commits wait");
        if said { Ok(()) } else { Err(log) }
    });
    said.unwrap();
    let second = stage.commit("Change it", &[("shop/a.yaml", &config_map("two"))]);
    stage.until_synced("shop", &second);
    assert!(stage.status()["error"].is_null());
    git(&remote, &["update-ref", "-d", "refs/notes/agent"]);
    until_noted(&mut stage, &first, "healthy after ");
    until_noted(&mut stage, &second, "healthy after ");
    assert_eq!(
        stage
            .log()
            .matches("the notes on source commits wait")
            .count(),
        1
    );
}
