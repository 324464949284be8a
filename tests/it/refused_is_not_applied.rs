//! What the API server refuses was never applied: who puts an object in its place, with the
//! unit's label and under the agent's own name, has not made it the agent's to delete.

use serde_json::Value;

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PART_OF: &str = "applyset.kubernetes.io/part-of";

/// A key that no ConfigMap may have.
const REFUSED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\ndata: {\"a b\": declared}\n";
const TAKEN: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\ndata: {a-b: declared}\n";

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: '{value}'}}\n")
}

/// A unit with an object that is refused.
fn refused(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "maxPrune: {count: 9}")]),
            ),
            ("shop/a.yaml", &config_map("a", "1")),
            ("shop/b.yaml", &config_map("b", "1")),
            ("shop/theirs.yaml", REFUSED),
        ],
    );
    stage.start();
    let message = stage.until_state("shop", "Blocked");
    assert!(message.contains("theirs"), "{message}");
    stage
}

/// Somebody applies it, as the agent would if it could.
fn forge(stage: &Stage<'_>) -> String {
    let set = stage.get("configmap", "a")["metadata"]["labels"][PART_OF].clone();
    let set = set.as_str().expect("it is labelled");
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: theirs, labels: {{{PART_OF}: {set}}}}}\ndata: {{mine: '1'}}\n"
    );
    stage.kubectl_apply(&text, "gitops-agent");
    stage.uid("configmap", "theirs")
}

/// A pass of the unit that has seen what is there by now.
fn pass(stage: &mut Stage<'_>, value: &str) {
    stage.commit("Change a", &[("shop/a.yaml", &config_map("a", value))]);
    stage.until(&format!("a to be {value}"), |stage| {
        let seen = stage.get("configmap", "a")["data"]["a"].clone();
        if seen == value {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    // And another object, so that what came of the first is behind it.
    stage.commit("Change b", &[("shop/b.yaml", &config_map("b", value))]);
    stage.until(&format!("b to be {value}"), |stage| {
        let seen = stage.get("configmap", "b")["data"]["a"].clone();
        if seen == value {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

fn stays(stage: &mut Stage<'_>, uid: &str) {
    stage.remove(&["shop/theirs.yaml", "shop/b.yaml"]);
    stage.until_gone("configmap", "b");
    let message = stage.until_state("shop", "Synced");
    assert_eq!(stage.uid("configmap", "theirs"), uid);
    assert!(message.contains("/theirs is kept"), "{message}");
    assert_eq!(stage.deletes(), ["b"]);
}

#[test]
fn what_is_forged_in_its_place_stays() {
    let mut stage = refused("refused-forged");
    let uid = forge(&stage);
    pass(&mut stage, "2");
    stays(&mut stage, &uid);
}

#[test]
fn also_by_an_agent_that_sees_it_for_the_first_time() {
    let mut stage = refused("refused-anew");
    stage.daemon().kill();
    let uid = forge(&stage);
    stage.daemon().restart();
    pass(&mut stage, "2");
    stays(&mut stage, &uid);
}

#[test]
fn once_it_is_taken_it_is_pruned_as_any_other() {
    let mut stage = refused("refused-taken");
    let revision = stage.commit("Mend it", &[("shop/theirs.yaml", TAKEN)]);
    stage.until_synced("shop", &revision);
    let live = stage.get("configmap", "theirs");
    assert_eq!(live["data"]["a-b"], Value::from("declared"));
    stage.remove(&["shop/theirs.yaml"]);
    stage.until_gone("configmap", "theirs");
    stage.until_state("shop", "Synced");
    assert_eq!(stage.deletes(), ["theirs"]);
}
