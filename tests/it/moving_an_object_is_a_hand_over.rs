//! An object that moves from one unit to another in one commit is neither deleted nor
//! created.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PART_OF: &str = "applyset.kubernetes.io/part-of";

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
}

fn moves(name: &str, from: &str, to: &str) {
    let mut stage = Stage::new(name, AGENT);
    let path = |unit: &str| format!("{unit}/moved.yaml");
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("one", ""), ("two", "")]),
            ),
            ("one/stays.yaml", &config_map("one")),
            ("two/stays.yaml", &config_map("two")),
            (&path(from), &config_map("moved")),
        ],
    );
    stage.start();
    stage.until_synced("one", &revision);
    stage.until_synced("two", &revision);
    let label = |stage: &Stage, name: &str| {
        stage.get("configmap", name)["metadata"]["labels"][PART_OF].clone()
    };
    let uid = stage.uid("configmap", "moved");
    assert_eq!(label(&stage, "moved"), label(&stage, from));

    let before = stage.cluster.audit_position();
    stage.repository.git(&["mv", &path(from), &path(to)]);
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .contains(&format!("it moves here from the unit {from}")),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("prune"), "{}", ran.stdout);
    let revision = stage.commit("Move it", &[]);
    stage.until_synced(to, &revision);
    stage.until_synced(from, &revision);
    assert_eq!(stage.uid("configmap", "moved"), uid);
    assert_eq!(label(&stage, "moved"), label(&stage, to));
    let writes: Vec<String> = stage
        .writes_since(before)
        .into_iter()
        .map(|it| format!("{} {}", it.verb, it.object.name))
        .collect();
    assert_eq!(writes, ["patch moved"]);

    let file = |unit: &str| format!("{unit}/{}/ConfigMap/moved.yaml", stage.namespace);
    let (left, entered) = (file(from), file(to));
    stage.until("the record to move its file", |stage| {
        let files = stage.recorded_files();
        if files.contains(&entered) && !files.contains(&left) {
            Ok(())
        } else {
            Err(files.join(" "))
        }
    });
    assert_eq!(stage.diff(&[]).code, Some(0));
}

#[test]
fn to_a_unit_that_comes_later() {
    moves("later", "one", "two");
}

#[test]
fn to_a_unit_that_comes_earlier() {
    moves("earlier", "two", "one");
}

#[test]
fn out_of_a_unit_that_is_taken_away() {
    let mut stage = Stage::new("away", AGENT);
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("one", ""), ("two", "")]),
            ),
            ("one/moved.yaml", &config_map("moved")),
            ("one/left.yaml", &config_map("left")),
            ("two/stays.yaml", &config_map("two")),
        ],
    );
    stage.start();
    stage.until_synced("one", &revision);
    stage.until_synced("two", &revision);
    let uid = stage.uid("configmap", "moved");
    stage
        .repository
        .git(&["mv", "one/moved.yaml", "two/moved.yaml"]);
    stage.repository.remove("one/left.yaml");
    let revision = stage.commit(
        "Dissolve one",
        &[("agent.yaml", &stage.configuration(&[("two", "")]))],
    );
    stage.until_synced("two", &revision);
    stage.until_gone("configmap", "left");
    stage.until_entry("one left the environment");
    assert_eq!(stage.uid("configmap", "moved"), uid);
    assert_eq!(stage.deletes(), ["left"]);
}
