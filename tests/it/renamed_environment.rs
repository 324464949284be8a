//! An environment that takes the place of another one is told whose the objects are, by
//! environment and unit, and takes all of them over by one commit that was previewed.

use crate::support::stage::{PATIENCE, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n")
}

#[test]
fn a_renamed_environment_is_handed_over_whole_by_one_previewed_command() {
    let mut stage = Stage::new("renamed", AGENT);
    let before = stage.environment.clone();
    let text = stage.configuration(&[("shop", ""), ("web", "")]);
    let files = [
        ("agent.yaml", text.as_str()),
        ("shop/a.yaml", &object("a")),
        ("shop/b.yaml", &object("b")),
        ("web/c.yaml", &object("c")),
    ];
    let revision = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("web", &revision);
    let after = format!("{before}-new");
    let adopt = |stage: &Stage| {
        stage
            .agent(&["adopt", "--from", &before, "--environment", &after])
            .run()
    };
    // The objects stay in their namespace, which the fixture names as the environment.
    let (name, renamed) = (format!("  {before}:\n"), format!("  {after}:\n"));
    let text = text.replace(&name, &renamed);
    stage.commit("Rename", &[("agent.yaml", &text)]);
    // The agent would revert all that is taken from it.
    let ran = adopt(&stage);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("is served still, by"), "{ran:?}");
    stage.daemon().terminate(PATIENCE);

    let uids = ["a", "b", "c"].map(|name| stage.uid("configmap", name));
    stage.environment = after.clone();
    stage.start();
    let message = stage.until_state("shop", "Blocked");
    let whose = format!(
        "it belongs to the environment {before}, unit shop; only one environment may declare it"
    );
    assert!(message.contains(&whose), "{message}");
    assert!(
        message.contains(&format!("agent adopt --from {before}")),
        "{message}"
    );

    let ran = adopt(&stage);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told = format!("3 of the 3 objects of {before} are declared by {after}, and handed over");
    assert!(ran.stdout.contains(&told), "{ran:?}");
    let trailer = format!("Adopt-Environment: {before}");
    assert!(ran.stdout.contains(&trailer), "{ran:?}");
    let message = format!("Take its place\n\n{trailer}");
    stage.commit(&message, &[]);
    stage.until_state("shop", "Synced");
    stage.until_state("web", "Synced");
    assert_eq!(
        ["a", "b", "c"].map(|name| stage.uid("configmap", name)),
        uids
    );
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let diff = stage.diff(&[]);
    assert_eq!(diff.code, Some(0), "{diff:?}");

    // An agent that is started under the old name takes nothing back.
    let position = stage.cluster.audit_position();
    let url = stage.repository.url().to_owned();
    let old = stage.agent(&["run", "--once", "--repo", &url, "--environment", &before]);
    let data = old.home().join("data");
    let ran = old.args(["--data-dir"]).args([data]).run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let whose = format!("it belongs to the environment {after}, unit shop");
    assert!(ran.stderr.contains(&whose), "{ran:?}");
    assert_eq!(stage.count_writes(&stage.namespace, position), 0);

    // It is its own now.
    stage.remove(&["shop/b.yaml"]);
    stage.until_gone("configmap", "b");
    assert_eq!(stage.deletes(), ["b"]);
}
