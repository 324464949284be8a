//! Only what this unit put there, and only the very object that was seen, is deleted.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PART_OF: &str = "applyset.kubernetes.io/part-of";

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
}

fn started(stage: &mut Stage, files: &[(&str, &str)]) -> String {
    let configuration = stage.configuration(&[("shop", "maxPrune: {count: 5}")]);
    let files = [&[("agent.yaml", configuration.as_str())], files].concat();
    let revision = stage.commit("Start", &files);
    stage.start();
    revision
}

#[test]
fn objects_of_others_in_the_same_namespace_stay() {
    let mut stage = Stage::new("others", AGENT);
    stage.kubectl(&["create", "configmap", "plain", "--from-literal=a=b"]);
    let foreign = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: foreign, labels: {{{PART_OF}: applyset-of-somebody-v1}}}}\n"
    );
    stage.kubectl_apply(&foreign, "somebody");
    let revision = started(
        &mut stage,
        &[
            ("shop/a.yaml", &config_map("a")),
            ("shop/b.yaml", &config_map("b")),
        ],
    );
    stage.until_synced("shop", &revision);
    let uids = ["plain", "foreign", "b"].map(|name| stage.uid("configmap", name));

    let revision = stage.remove(&["shop/a.yaml"]);
    stage.until_gone("configmap", "a");
    stage.until_synced("shop", &revision);
    stage.commit(
        "Take the unit away",
        &[
            ("agent.yaml", &stage.configuration(&[("stays", "")])),
            ("stays/stays.yaml", &config_map("stays")),
        ],
    );
    stage.until_gone("configmap", "b");
    stage.until_entry("shop left the environment");
    assert_eq!(stage.uid("configmap", "plain"), uids[0]);
    assert_eq!(stage.uid("configmap", "foreign"), uids[1]);
    let mut deletes = stage.deletes();
    deletes.sort();
    assert_eq!(deletes, ["a", "b"]);
}

#[test]
fn an_object_of_another_apply_set_is_not_taken_over() {
    let mut stage = Stage::new("taken", AGENT);
    let foreign = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, labels: {{{PART_OF}: applyset-of-somebody-v1}}}}\ndata: {{a: theirs}}\n"
    );
    stage.kubectl_apply(&foreign, "somebody");
    let uid = stage.uid("configmap", "a");
    started(
        &mut stage,
        &[
            ("shop/a.yaml", &config_map("a")),
            ("shop/b.yaml", &config_map("b")),
        ],
    );
    let message = stage.until_state("shop", "Blocked");
    let object = format!("ConfigMap {}/a (shop/a.yaml:1): ", stage.namespace);
    assert!(message.starts_with(&object), "{message}");
    assert!(
        message.contains("it belongs to another ApplySet (applyset-of-somebody-v1)"),
        "{message}"
    );
    assert!(
        message.contains(&format!("remove its label {PART_OF}")),
        "{message}"
    );
    assert!(!stage.get("configmap", "b").is_null(), "the rest goes on");
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "theirs");

    // It leaves the repository again: that is no reason to delete it.
    let revision = stage.remove(&["shop/a.yaml"]);
    stage.until_synced("shop", &revision);
    assert_eq!(stage.uid("configmap", "a"), uid);

    // Its owner hands it over as the message says.
    stage.commit("Again", &[("shop/a.yaml", &config_map("a"))]);
    stage.until_state("shop", "Blocked");
    stage.kubectl(&["label", "configmap", "a", &format!("{PART_OF}-")]);
    stage.commit("Try it now", &[]);
    stage.until_state("shop", "Synced");
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "b");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}

/// Objects that somebody makes anew without the label while they are being pruned are
/// somebody's. Each delete carries uid and resourceVersion of what was seen.
#[test]
fn an_object_made_anew_by_somebody_else_is_theirs() {
    let mut stage = Stage::new("anew", AGENT);
    let files: Vec<(String, String)> = (0..9)
        .map(|n| (format!("shop/{n}.yaml"), config_map(&format!("m{n}"))))
        .collect();
    let mut files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let keep = config_map("keep");
    files.push(("shop/keep.yaml", &keep));
    let revision = started(&mut stage, &files);
    stage.until_synced("shop", &revision);

    let names: Vec<String> = (0..9).map(|n| format!("m{n}")).collect();
    let theirs: String = names
        .iter()
        .map(|name| config_map(name) + "---\n")
        .collect();
    for name in &names {
        stage
            .repository
            .remove(&format!("shop/{}.yaml", &name[1..]));
    }
    stage.commit("Remove", &[]);
    let message = stage.until_state("shop", "Blocked");
    let approval = message.split('`').nth(1).unwrap();
    // While the agent prunes, all are deleted and created by somebody else.
    stage.commit(&format!("Let them go\n\n{approval}"), &[]);
    let words = [
        &["delete", "configmap", "--ignore-not-found"][..],
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    stage.kubectl(&words);
    stage.kubectl_apply(&theirs, "somebody");
    let uids: Vec<String> = names
        .iter()
        .map(|name| stage.uid("configmap", name))
        .collect();

    let revision = stage.commit(
        "Later",
        &[("shop/keep.yaml", &keep.replace("a: b", "a: c"))],
    );
    stage.until_synced("shop", &revision);
    let after: Vec<String> = names
        .iter()
        .map(|name| stage.uid("configmap", name))
        .collect();
    assert_eq!(after, uids);
    assert!(uids.iter().all(|uid| !uid.is_empty()));
    assert_eq!(stage.diff(&[]).code, Some(0));
}

#[test]
fn an_object_that_says_detach_is_let_go() {
    let mut stage = Stage::new("detach", AGENT);
    let detached = config_map("a").replace(
        "{name: a}",
        "{name: a, annotations: {client.lifecycle.config.k8s.io/deletion: detach}}",
    );
    let revision = started(
        &mut stage,
        &[
            ("shop/a.yaml", &detached),
            ("shop/b.yaml", &config_map("b")),
        ],
    );
    stage.until_synced("shop", &revision);
    let uid = stage.uid("configmap", "a");
    stage.remove(&["shop/a.yaml"]);
    stage.until("a to be let go", |stage| {
        let label = stage.get("configmap", "a")["metadata"]["labels"][PART_OF].clone();
        if label.is_null() {
            Ok(())
        } else {
            Err(label.to_string())
        }
    });
    stage.until_state("shop", "Synced");
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let path = format!("shop/{}/ConfigMap/a.yaml", stage.namespace);
    stage.until("its file to leave the record", |stage| {
        stage.recorded(&path).map_or(Ok(()), Err)
    });
    assert_eq!(stage.diff(&[]).code, Some(0));
}
