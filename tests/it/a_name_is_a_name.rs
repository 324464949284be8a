//! A name stays a name: none leads a request to another object, whatever a repository
//! declares, and what the agent keeps for itself no unit declares.

use serde_json::json;

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n";

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> String {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    serde_yaml::to_string(&object).unwrap()
}

/// That validate, diff and daemon refuse each unit's file by its line, that the unit `good`
/// is synced all the same, and that nobody is shown what a Secret holds.
fn assert_refused(stage: &mut Stage, refused: &[(String, String)]) {
    let units: Vec<String> = (0..refused.len())
        .map(|number| format!("u{number}"))
        .collect();
    let mut files = vec![("good/a.yaml".to_owned(), GOOD.to_owned())];
    for (unit, (text, _)) in units.iter().zip(refused) {
        files.push((format!("{unit}/a.yaml"), text.clone()));
    }
    let names: Vec<(&str, &str)> = units.iter().map(|name| (name.as_str(), "")).collect();
    let configuration = stage.configuration(&[&[("good", "")], &names[..]].concat());
    files.push(("agent.yaml".to_owned(), configuration));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    let revision = stage.commit("Start", &files);

    let began = stage.cluster.audit_position();
    let validated = stage.agent(&["validate"]).run();
    assert_eq!(validated.code, Some(2), "{}", validated.stdout);
    let planned = stage.diff(&[]);
    assert_eq!(planned.code, Some(2), "{}", planned.stdout);
    stage.start();
    stage.until_synced("good", &revision);
    for (unit, (_, words)) in units.iter().zip(refused) {
        let message = stage.until_state(unit, "Failed");
        let told = format!("{unit}/a.yaml:{words}");
        for said in [&message, &validated.stdout, &planned.stdout] {
            assert!(said.contains(&told), "{told}: {said}");
        }
    }
    let said = [
        validated.stdout,
        planned.stdout,
        planned.stderr,
        stage.log(),
    ];
    for said in said {
        for secret in ["hunter2", "aHVudGVyMg"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    for path in stage.repository.files(&stage.branch()) {
        let text = stage.recorded(&path).unwrap_or_default();
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
            "{path}: {text}"
        );
    }
    let ours = stage.cluster.audit_since(began).into_iter();
    let ours = ours.filter(|event| event.user_agent.starts_with("gitops-agent/"));
    let lured: Vec<String> = ours
        .filter(|event| event.object.name == "tok" || event.uri.contains("tok"))
        .map(|event| event.uri)
        .collect();
    assert_eq!(lured, Vec::<String>::new());
}

#[test]
fn no_name_leads_to_another_object() {
    let mut stage = Stage::new("names", AGENT);
    let secure = stage.namespace.clone();
    stage.kubectl(&[
        "create",
        "secret",
        "generic",
        "tok",
        "--from-literal=key=hunter2",
    ]);
    let map = |namespace, name: &str| object("v1", "ConfigMap", namespace, name);
    let refused = [
        (
            object("v1", "Namespace", None, &format!("{secure}/secrets/tok")),
            "4:3: `",
        ),
        (map(Some(&format!("{secure}/secrets/tok?")), "a"), "5:3: `"),
        (map(None, "../secrets/tok"), "4:3: `"),
        (map(None, ".."), "4:3: `..` is not a valid name"),
        (map(None, "a?x=tok"), "4:3: `a?x=tok` is not a valid name"),
        (map(None, "a%2f..%2fsecrets%2ftok"), "4:3: `"),
        (
            object("apps/v1", "Deployment", None, "web/scale"),
            "4:3: `web/scale`",
        ),
        (
            object("v1/secrets/tok", "ConfigMap", None, "tok"),
            "1:1: `secrets/tok` is not",
        ),
        (
            object("v1", "Secret/tok", None, "tok"),
            "2:1: `Secret/tok` is not a valid kind",
        ),
    ];
    let refused = refused.map(|(text, words)| (text, words.to_owned()));
    assert_refused(&mut stage, &refused);
}

#[test]
fn a_name_that_a_url_would_cut_is_one_segment() {
    let mut stage = Stage::new("segments", AGENT);
    let name = format!("{}:a b?x=#1", stage.environment);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [],
    });
    let configuration = stage.configuration(&[("shop", "")]);
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/a.yaml", &role.to_string()),
            ("shop/good.yaml", GOOD),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    assert!(stage.cluster.get(&["clusterrole", &name]).is_some());
    assert_eq!(stage.diff(&[]).code, Some(0));
    stage.remove(&["shop/a.yaml"]);
    stage.until("the role to be gone", |stage| {
        match stage.cluster.get(&["clusterrole", &name]) {
            None => Ok(()),
            Some(_) => Err(stage.unit("shop").to_string()),
        }
    });
}

#[test]
fn what_the_agent_keeps_for_itself_no_unit_declares() {
    let mut stage = Stage::new("own", AGENT);
    let (environment, home) = (stage.environment.clone(), stage.inventories.clone());
    let own = |api_version, kind, name: &str| object(api_version, kind, Some(&home), name);
    let labelled = own("v1", "ConfigMap", "settings").replace(
        "metadata:\n",
        "metadata:\n  labels: {applyset.kubernetes.io/id: applyset-x-v1}\n",
    );
    let lease = format!("gitops-agent-{environment}");
    let refused = [
        (
            own("v1", "ConfigMap", &format!("{environment}.good")),
            "a unit's inventory",
        ),
        (labelled, "a unit's inventory"),
        (
            own("coordination.k8s.io/v1", "Lease", &lease),
            "an environment's Lease",
        ),
        (
            own("v1", "Secret", "gitops-agent-digest-key"),
            "the key for digests of Secrets",
        ),
    ];
    let refused = refused.map(|(text, what)| {
        let kind = text
            .lines()
            .find_map(|line| line.strip_prefix("kind: "))
            .unwrap();
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("  name: "))
            .unwrap();
        (text.clone(), format!("1: {kind} {home}/{name} is {what}"))
    });
    assert_refused(&mut stage, &refused);
}
