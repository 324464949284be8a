//! What depends on something comes after it, and goes before it.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
}

fn after(namespace: &str, name: &str, before: &str) -> String {
    let dependency = format!("/namespaces/{namespace}/ConfigMap/{before}");
    config_map(name).replace(
        &format!("{{name: {name}}}"),
        &format!(
            "{{name: {name}, annotations: {{config.kubernetes.io/depends-on: {dependency}}}}}"
        ),
    )
}

/// `verb name` of what was written in the units' namespace, in order, each once.
fn written(stage: &Stage) -> Vec<String> {
    let mut seen = Vec::new();
    for event in stage.writes() {
        let line = format!("{} {}", event.verb, event.object.name);
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    seen
}

fn place(order: &[String], line: &str) -> usize {
    order
        .iter()
        .position(|it| it == line)
        .unwrap_or_else(|| panic!("no `{line}` in {order:?}"))
}

#[test]
fn definitions_and_namespaces_come_first_and_go_last() {
    let mut stage = Stage::new("kinds", AGENT);
    let namespace = stage.namespace.clone();
    let (group, inner) = (
        format!("{namespace}.example.com"),
        format!("{namespace}-inner"),
    );
    let crd = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  names: {{kind: Widget, plural: widgets}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}}}}}
"
    );
    let widget = format!(
        "apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: big}}\nspec: {{size: 3}}\n"
    );
    let contents = format!(
        "{}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {inner}}}\n",
        config_map("inside").replace(
            "{name: inside}",
            &format!("{{name: inside, namespace: {inner}}}")
        )
    );
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            ("shop/a-widget.yaml", &widget),
            ("shop/b-crd.yaml", &crd),
            ("shop/contents.yaml", &contents),
            ("shop/keep.yaml", &config_map("keep")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    assert_eq!(
        stage.get(&format!("widgets.{group}"), "big")["spec"]["size"],
        3
    );
    assert!(
        stage
            .cluster
            .get(&["-n", &inner, "configmap", "inside"])
            .is_some()
    );

    let began = stage.cluster.audit_position();
    stage.remove(&[
        "shop/a-widget.yaml",
        "shop/b-crd.yaml",
        "shop/contents.yaml",
    ]);
    let message = stage.until_state("shop", "Blocked");
    let approval = message.split('`').nth(1).unwrap().to_owned();
    stage.commit(&format!("Let it go\n\n{approval}"), &[]);
    stage.until("the definition and the namespace to go", |stage| {
        let left = stage
            .cluster
            .get(&["crd", &format!("widgets.{group}")])
            .is_some()
            || stage.cluster.get(&["namespace", &inner]).is_some();
        if left {
            Err(stage.status().to_string())
        } else {
            Ok(())
        }
    });
    let deletes: Vec<String> = stage
        .cluster
        .audit_since(began)
        .into_iter()
        .filter(|event| {
            event.verb == "delete"
                && event.user_agent.starts_with("gitops-agent/")
                && event.stage == "ResponseComplete"
        })
        .map(|event| event.object.name)
        .filter(|name| {
            [&format!("widgets.{group}"), &inner, "big", "inside"].contains(&name.as_str())
        })
        .collect();
    let at = |name: &str| {
        deletes
            .iter()
            .position(|it| it == name)
            .unwrap_or_else(|| panic!("{name} was not deleted: {deletes:?}"))
    };
    assert!(at("big") < at(&format!("widgets.{group}")), "{deletes:?}");
    assert!(at("inside") < at(&inner), "{deletes:?}");
}

#[test]
fn depends_on_holds_within_a_unit_and_across_units() {
    let mut stage = Stage::new("depends", AGENT);
    let namespace = stage.namespace.clone();
    let revision = stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("one", ""), ("two", "")]),
            ),
            ("one/a.yaml", &after(&namespace, "a", "b")),
            ("one/b.yaml", &after(&namespace, "b", "c")),
            ("one/c.yaml", &after(&namespace, "c", "d")),
            ("two/d.yaml", &config_map("d")),
        ],
    );
    stage.start();
    stage.until_synced("one", &revision);
    assert_eq!(
        written(&stage),
        ["patch d", "patch c", "patch b", "patch a"]
    );

    // Two that wait for each other are told so, and nobody else is held up.
    stage.commit(
        "A cycle",
        &[
            ("one/a.yaml", &after(&namespace, "a", "b")),
            (
                "one/b.yaml",
                &after(&namespace, "b", "a").replace("a: b}", "a: c}"),
            ),
            ("one/free.yaml", &config_map("free")),
        ],
    );
    let message = stage.until_state("one", "Blocked");
    assert!(message.contains("it depends on itself: "), "{message}");
    stage.until("the rest to go on", |stage| {
        if stage.get("configmap", "free").is_null() {
            Err(stage.status().to_string())
        } else {
            Ok(())
        }
    });
    assert_eq!(stage.get("configmap", "b")["data"]["a"], "b");
}

#[test]
fn a_unit_waits_for_the_health_of_those_before_it() {
    let mut stage = Stage::new("after", AGENT);
    // Not healthy until somebody makes the node that it asks for: nobody does here.
    let stuck = "apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck}
spec:
  selector: {matchLabels: {app: stuck}}
  template:
    metadata: {labels: {app: stuck}}
    spec:
      nodeSelector: {there: is-none}
      containers: [{name: main, image: 'web:1'}]
";
    stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("app", "after: [base]"), ("base", ""), ("free", "")]),
            ),
            ("app/app.yaml", &config_map("app")),
            ("base/stuck.yaml", stuck),
            ("free/free.yaml", &config_map("free")),
        ],
    );
    stage.start();
    let message = stage.until_state("app", "Waiting");
    assert!(message.contains("the unit base"), "{message}");
    stage.until_state("free", "Synced");
    stage.until_state("base", "Progressing");
    assert!(stage.get("configmap", "app").is_null());

    // The fix ends the wait at once.
    let revision = stage.commit(
        "Fix base",
        &[(
            "base/stuck.yaml",
            &stuck.replace("      nodeSelector: {there: is-none}\n", ""),
        )],
    );
    stage.until_synced("base", &revision);
    stage.until_state("app", "Synced");
    let order = written(&stage);
    assert!(
        place(&order, "patch app") > place(&order, "patch stuck"),
        "{order:?}"
    );
}

#[test]
fn pruning_goes_the_other_way_round() {
    let mut stage = Stage::new("reverse", AGENT);
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: service}\nspec: {ports: [{port: 80}]}\n";
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: account}\n";
    let files = [
        ("shop/config.yaml", config_map("config")),
        ("shop/service.yaml", service.to_owned()),
        ("shop/account.yaml", account.to_owned()),
    ];
    let mut all: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let (configuration, keep) = (stage.configuration(&[("shop", "")]), config_map("keep"));
    all.extend([
        ("agent.yaml", configuration.as_str()),
        ("shop/keep.yaml", keep.as_str()),
    ]);
    let revision = stage.commit("Start", &all);
    stage.start();
    stage.until_synced("shop", &revision);
    let revision = stage.remove(&["shop/config.yaml", "shop/service.yaml", "shop/account.yaml"]);
    stage.until_synced("shop", &revision);
    assert_eq!(stage.deletes(), ["service", "config", "account"]);
    let order = written(&stage);
    assert!(
        place(&order, "patch account") < place(&order, "patch config"),
        "{order:?}"
    );
    assert!(
        place(&order, "patch config") < place(&order, "patch service"),
        "{order:?}"
    );
}
