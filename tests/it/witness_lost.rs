//! What proves that an object is the agent's own may be lost, each part by itself. Then
//! nothing is deleted on a guess, what is declared is looked after as before, and what is
//! proven again is pruned again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(20);
const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const PART_OF: &str = "applyset.kubernetes.io/part-of";
const OURS: &str = "gitops-agent";

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
}

/// Three objects of one unit, served.
fn started(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let names = ["a", "b", "c", "d"];
    let files = names.map(|name| (format!("shop/{name}.yaml"), config_map(name)));
    let configuration = stage.configuration(&[("shop", "maxPrune: {count: 9}")]);
    let mut all = vec![("agent.yaml", configuration.as_str())];
    all.extend(
        files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str())),
    );
    let revision = stage.commit("Start", &all);
    stage.start();
    stage.until_synced("shop", &revision);
    stage
}

/// The unit's inventory.
fn inventory(stage: &Stage<'_>) -> Option<Value> {
    let name = format!("{}.shop", stage.environment);
    stage
        .cluster
        .get(&["-n", &stage.inventories, "configmap", &name])
}

/// `a` leaves Git while no agent runs and a witness is lost: it stays, is told with what
/// settles it, and `b` is pruned afterwards.
fn kept_and_told(mut stage: Stage<'_>) {
    stage.daemon().kill();
    let uid = stage.uid("configmap", "a");
    stage.remove(&["shop/a.yaml"]);
    stage.daemon().restart();
    let message = until_left_over(&mut stage, "/a is kept");
    assert!(message.contains("`agent adopt`"), "{message}");
    stage.remove(&["shop/b.yaml"]);
    stage.until_gone("configmap", "b");
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(stage.deletes(), ["b"]);
    assert_eq!(stage.log().matches("/a is kept").count(), 1);
    let diff = stage.diff(&[]);
    assert_eq!(diff.code, Some(0), "{}", diff.stdout);

    // It is declared again, as the message says, and is a member then like any other.
    let revision = stage.commit("Declare it", &[("shop/a.yaml", &config_map("a"))]);
    stage.until_looked_at(&revision);
    stage.until("nothing to be left over", |stage| {
        let seen = stage.unit("shop");
        let fine = seen["message"].is_null() && seen["state"] == "Synced";
        if fine { Ok(()) } else { Err(seen.to_string()) }
    });
    assert_eq!(stage.uid("configmap", "a"), uid);
    stage.remove(&["shop/a.yaml"]);
    stage.until_gone("configmap", "a");
}

/// The only unit leaves, which has to be approved.
fn take_the_unit_away(stage: &mut Stage<'_>) {
    let configuration = stage.configuration(&[]);
    let configuration = configuration.replace("units:\n", "units: []\n");
    stage.commit("Take it away", &[("agent.yaml", &configuration)]);
    let message = stage.until_state("shop", "Blocked");
    let approval = approval(&message);
    stage.commit(&format!("Let it go\n\n{approval}"), &[]);
}

#[test]
fn an_inventory_that_is_gone() {
    let mut stage = started("noinventory");
    stage.daemon().kill();
    lose_the_inventory(&stage);
    stage.daemon().restart();
    kept_and_told(stage);
}

/// What stands in a message to be pushed as a trailer.
fn approval(message: &str) -> String {
    let quoted = message.split('`');
    let mut approvals = quoted.filter(|it| it.starts_with("Approve-Plan: "));
    let approval = approvals.next();
    approval
        .unwrap_or_else(|| panic!("no approval in {message}"))
        .to_owned()
}

fn lose_the_inventory(stage: &Stage<'_>) {
    let name = format!("{}.shop", stage.environment);
    let words = ["-n", &stage.inventories, "delete", "configmap", &name];
    stage.cluster.kubectl(&words);
}

fn until_left_over(stage: &mut Stage<'_>, kept: &str) -> String {
    stage.until("what is left over to be told", |stage| {
        let seen = stage.unit("shop");
        let message = seen["message"].as_str().unwrap_or_default();
        let told = message.contains(kept) && seen["state"] == "Synced";
        told.then(|| message.to_owned()).ok_or(seen.to_string())
    })
}

#[test]
fn what_is_left_over_goes_once_somebody_has_approved_that() {
    let mut stage = started("letgo");
    stage.daemon().kill();
    lose_the_inventory(&stage);
    stage.remove(&["shop/a.yaml", "shop/b.yaml"]);
    stage.daemon().restart();
    let both = approval(&until_left_over(&mut stage, "/b is kept"));
    assert!(stage.diff(&[]).stdout.contains(&both));

    // What was approved is these two as they are, and nothing that came later.
    stage.kubectl(&["delete", "configmap", "b"]);
    until_left_over(&mut stage, "/a is kept");
    stage.until("b to be nothing any more", |stage| {
        let seen = stage.unit("shop")["message"].to_string();
        if seen.contains("/b is kept") {
            Err(seen)
        } else {
            Ok(())
        }
    });
    let revision = stage.commit(&format!("Let both go\n\n{both}"), &[]);
    stage.until_looked_at(&revision);
    let message = until_left_over(&mut stage, "/a is kept");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let one = approval(&message);
    assert_ne!(one, both);
    stage.commit(&format!("Let it go\n\n{one}"), &[]);
    stage.until_gone("configmap", "a");
    stage.until("nothing to be left over", |stage| {
        let seen = stage.unit("shop");
        let fine = seen["message"].is_null() && seen["state"] == "Synced";
        if fine { Ok(()) } else { Err(seen.to_string()) }
    });
    assert_eq!(stage.deletes(), ["a"]);
}

/// The record knows of the unit still, and in which kinds to look.
#[test]
fn a_unit_that_leaves_while_its_inventory_is_gone() {
    let mut stage = started("leaveslost");
    let configuration = stage.configuration(&[("shop", ""), ("rest", "")]);
    let rest = ("rest/e.yaml", config_map("e"));
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: f}\n";
    let files = [
        ("agent.yaml", configuration.as_str()),
        (rest.0, &rest.1),
        ("shop/f.yaml", account),
    ];
    let revision = stage.commit("Add to it", &files);
    stage.until_synced("shop", &revision);
    stage.until_synced("rest", &revision);
    stage.daemon().kill();
    lose_the_inventory(&stage);
    let configuration = stage.configuration(&[("rest", "")]);
    stage.commit("Take it away", &[("agent.yaml", &configuration)]);
    stage.daemon().restart();
    until_left_over(&mut stage, "/f is kept");
    // Another process finds it again, whatever the record has of it by then.
    stage.daemon().terminate(PATIENCE);
    stage.daemon().restart();
    let revision = stage.commit("Something else", &[]);
    stage.until_looked_at(&revision);
    let all = approval(&until_left_over(&mut stage, "/f is kept"));
    let diff = stage.diff(&["--record-repo", stage.repository.url()]);
    assert!(diff.stdout.contains(&all), "{}", diff.stdout);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    stage.commit(&format!("Let it go\n\n{all}"), &[]);
    for (kind, name) in [
        ("configmap", "a"),
        ("configmap", "d"),
        ("serviceaccount", "f"),
    ] {
        stage.until_gone(kind, name);
    }
    stage.until_entry("shop left the environment");
    assert!(inventory(&stage).is_none());
    assert!(stage.get("configmap", "e").is_object());
}

#[test]
fn a_key_that_is_gone() {
    let mut stage = started("nokey");
    stage.daemon().kill();
    let secret = "gitops-agent-digest-key";
    stage
        .cluster
        .kubectl(&["-n", &stage.inventories, "delete", "secret", secret]);
    stage.daemon().restart();
    kept_and_told(stage);
}

#[test]
fn a_data_directory_and_a_record_that_are_gone_cost_nothing() {
    let mut stage = started("nodata");
    stage.daemon().kill();
    std::fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
    let revision = stage.remove(&["shop/a.yaml"]);
    stage.daemon().restart();
    stage.until_gone("configmap", "a");
    // What is killed while it writes to a repository may leave a lock there.
    stage.until_looked_at(&revision);

    stage.daemon().kill();
    std::fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
    let branch = format!("refs/heads/{}", stage.branch());
    crate::support::git::git(&stage.repository.remote(), &["update-ref", "-d", &branch]);
    stage.remove(&["shop/b.yaml"]);
    stage.daemon().restart();
    stage.until_gone("configmap", "b");
    assert_eq!(stage.deletes(), ["a", "b"]);
}

/// A backup brings objects back with their labels, under other uids and by another hand.
#[test]
fn a_backup_that_was_restored() {
    let mut stage = started("restored");
    stage.daemon().kill();
    for name in ["a", "b"] {
        let mut object = stage.get("configmap", name);
        stage.kubectl(&["delete", "configmap", name]);
        for field in [
            "uid",
            "resourceVersion",
            "managedFields",
            "creationTimestamp",
        ] {
            object["metadata"][field] = Value::Null;
        }
        let words = ["-n", &stage.namespace, "create", "-f", "-"];
        stage
            .cluster
            .kubectl_with(&words, &object.to_string())
            .unwrap();
    }
    let uids = ["a", "b"].map(|name| stage.uid("configmap", name));
    stage.remove(&["shop/a.yaml"]);
    stage.daemon().restart();
    stage.until_state("shop", "Synced");
    stage.until("b to be applied again", |stage| {
        let words = [
            "get",
            "configmap",
            "b",
            "--show-managed-fields",
            "-o",
            "json",
        ];
        let seen = stage.kubectl(&words);
        if seen.contains(OURS) {
            Ok(())
        } else {
            Err(seen)
        }
    });
    let revision = stage.commit(
        "Change c",
        &[("shop/c.yaml", &config_map("c").replace("a: b", "a: c"))],
    );
    stage.until_synced("shop", &revision);
    assert_eq!(["a", "b"].map(|name| stage.uid("configmap", name)), uids);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    // What was adopted is proven by its new uid.
    stage.remove(&["shop/b.yaml"]);
    stage.until_gone("configmap", "b");
    assert_eq!(stage.uid("configmap", "a"), uids[0]);
}

/// As an earlier release has left it: the inventory has kinds and namespaces and no list.
#[test]
fn an_upgrade() {
    let mut stage = started("upgrade");
    stage.daemon().kill();
    let mut before = inventory(&stage).expect("it was written");
    before["data"] = Value::Null;
    for field in [
        "uid",
        "resourceVersion",
        "managedFields",
        "creationTimestamp",
    ] {
        before["metadata"][field] = Value::Null;
    }
    let name = format!("{}.shop", stage.environment);
    let ours = ["-n", &stage.inventories];
    stage
        .cluster
        .kubectl(&[&ours[..], &["delete", "configmap", &name]].concat());
    let manager = format!("--field-manager={OURS}");
    let apply = ["apply", "--server-side", &manager, "-f", "-"];
    stage
        .cluster
        .kubectl_with(&[&ours[..], &apply].concat(), &json!(before).to_string())
        .unwrap();
    let uids = ["a", "b", "c", "d"].map(|name| stage.uid("configmap", name));
    let position = stage.cluster.audit_position();

    stage.daemon().restart();
    stage.until("the list to be there", |stage| {
        let now = inventory(stage).unwrap_or_default();
        if now["data"]["applied"].is_string() {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    assert_eq!(
        ["a", "b", "c", "d"].map(|name| stage.uid("configmap", name)),
        uids
    );
    assert_eq!(
        stage.writes_since(position).len(),
        0,
        "nothing is applied anew"
    );
    let label = &stage.get("configmap", "a")["metadata"]["labels"][PART_OF];
    assert!(label.is_string(), "{label}");
    stage.remove(&["shop/a.yaml"]);
    stage.until_gone("configmap", "a");
    assert_eq!(stage.deletes(), ["a"]);
    take_the_unit_away(&mut stage);
    stage.until_gone("configmap", "d");
    stage.until_entry("shop left the environment");
    assert!(inventory(&stage).is_none());
}
