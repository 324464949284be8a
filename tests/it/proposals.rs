//! `drift: propose`: what was changed by hand stays, and a pull request makes it what the
//! repository declares. On the real Gitea and the real control plane.

use serde_json::Value;

use crate::support::stage::Stage;
use crate::support::team::{Team, assert_says, proposals};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const WEB: &str = "# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1 # for now
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1.0   # pinned
";

/// Waits for the Deployment to have an image.
fn until_image(team: &mut Team, image: &str) {
    let what = format!("the image {image}");
    team.stage.until(&what, |stage| {
        let seen = self::image(stage);
        if seen == image { Ok(()) } else { Err(seen) }
    });
}

fn image(stage: &Stage<'_>) -> String {
    let containers = &stage.get("deployment", "web")["spec"]["template"]["spec"]["containers"];
    containers[0]["image"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn replica_sets(stage: &Stage<'_>) -> Vec<String> {
    let names = stage.kubectl(&["get", "replicasets", "-o", "name"]);
    names.lines().map(str::to_owned).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn what_is_merged_is_declared_and_what_is_closed_is_put_back() {
    let mut team = Team::new(
        AGENT,
        "propose",
        "drift: propose",
        &[("shop/web.yaml", WEB)],
    );
    let namespace = team.stage.namespace.clone();
    team.stage.cluster.wait_for_rollout(&namespace, "web");

    team.stage
        .kubectl(&["set", "image", "deployment/web", "main=web:1.1"]);
    let title = format!(
        "{}: keep what kubectl-set changed on Deployment {namespace}/web",
        team.stage.environment
    );
    let pull = team.until_proposal(1, &title, "open");
    let words = [
        "`spec.template.spec.containers[name=main].image`",
        "`\"web:1.1\"`",
        "`kubectl-set`",
        "| 20",
    ];
    assert_says(&pull, &words);
    let image_lines = [
        "-        image: web:1.0   # pinned",
        "+        image: web:1.1   # pinned",
    ];
    let (lines, people) = team.lines();
    assert_eq!(lines, image_lines);
    assert_eq!(people, "kubectl-set gitops-agent");
    assert_eq!(team.stage.until_state("shop", "Drifted").lines().count(), 1);

    // More of it in the same unit is the same proposal, also after a restart.
    team.restart_elsewhere();
    team.stage
        .kubectl(&["scale", "deployment/web", "--replicas=2"]);
    team.until_proposal(
        1,
        "keep what kubectl, kubectl-set changed on Deployment",
        "open",
    );
    let (lines, _) = team.lines();
    assert_eq!(
        lines,
        [
            "-  replicas: 1 # for now",
            "+  replicas: 2 # for now",
            image_lines[0],
            image_lines[1]
        ]
    );
    assert_eq!(image(&team.stage), "web:1.1");

    team.stage.cluster.wait_for_rollout(&namespace, "web");
    let live = |team: &Team| {
        let live = team.stage.get("deployment", "web");
        (
            replica_sets(&team.stage),
            live["metadata"]["generation"].clone(),
            live["spec"].clone(),
        )
    };
    let before = live(&team);
    let merged = team.forged.merge(pull["number"].as_u64().unwrap());
    team.stage.until_synced("shop", &merged);
    assert_eq!(live(&team), before);
    assert!(
        team.stage.entries_on("revert").is_empty(),
        "{:#?}",
        team.stage.entries()
    );

    // What is closed is put back, whatever was merged before.
    team.stage
        .kubectl(&["set", "image", "deployment/web", "main=web:1.2"]);
    let second = team.until_proposal(2, "keep what kubectl-set changed", "open");
    team.stage.until_entry(&kept(&second));
    team.close(&second);
    until_image(&mut team, "web:1.1");
    team.stage.until_state("shop", "Synced");

    // The same once more is not what was closed.
    team.stage
        .kubectl(&["set", "image", "deployment/web", "main=web:1.2"]);
    let third = team.until_proposal(3, "keep what kubectl-set changed", "open");
    team.stage.until_entry(&kept(&third));
    assert_eq!(image(&team.stage), "web:1.2");
    // And what is put back by hand needs nobody's decision any more.
    team.stage
        .kubectl(&["set", "image", "deployment/web", "main=web:1.1"]);
    let closed = team.until_proposal(3, "keep what kubectl-set changed", "closed");
    assert_eq!(closed["merged"], false);
    assert_eq!(
        team.stage
            .until_entry("kubectl-set changed")
            .trailer("Event")
            .as_deref(),
        Some("drift")
    );

    // The record tells what was kept by which proposal, and how each ended, once.
    let number = |pull: &Value| pull["number"].to_string();
    let (first, second, third) = (number(&pull), number(&second), number(&third));
    let expected = [
        format!("keep drift of shop while pull request {first} is open"),
        format!("release drift of shop: pull request {first} has nothing left to decide"),
        format!("keep drift of shop while pull request {second} is open"),
        format!("release drift of shop: pull request {second} was closed"),
        "revert drift".to_owned(),
        format!("keep drift of shop while pull request {third} is open"),
        format!("release drift of shop: pull request {third} has nothing left to decide"),
    ];
    team.stage.until_entry(expected.last().unwrap());
    assert_eq!(team.holds(), expected);
    let entry = team.stage.until_entry("keep drift of shop while");
    assert!(
        entry.message.contains("image: \"web:1.1\" -> \"web:1.2\""),
        "{entry:?}"
    );
    assert_eq!(entry.trailer("Cause").as_deref(), Some("proposal"));
    assert!(team.stage.unit("shop")["proposal"].is_null());
}

/// What the record says that a proposal does.
fn kept(pull: &Value) -> String {
    format!(
        "keep drift of shop while pull request {} is open",
        pull["number"]
    )
}

#[test]
fn a_proposal_is_kept_no_longer_than_it_may_be() {
    let mut team = Team::new(
        AGENT,
        "propose-hold",
        "drift: propose, keepFor: 30s",
        &[("shop/web.yaml", WEB)],
    );
    team.stage
        .kubectl(&["set", "image", "deployment/web", "main=web:1.1"]);
    let pull = team.until_proposal(1, "keep what kubectl-set changed", "open");
    assert_says(&pull, &["it is put back 30s after it was changed"]);
    until_image(&mut team, "web:1.0");
    team.until_proposal(1, "keep what kubectl-set changed", "closed");
    team.stage.until_state("shop", "Synced");
    let number = pull["number"].to_string();
    let [held, released, reverted] = &team.holds()[..] else {
        panic!("{:#?}", team.stage.entries());
    };
    let until = format!("pull request {number} is open, at most until 20");
    assert!(held.contains(&until), "{held}");
    let over = format!(
        "release drift of shop: pull request {number} is still open, and `keepFor` is over"
    );
    assert_eq!((released, reverted.as_str()), (&over, "revert drift"));
}

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: password}\nstringData: {a: one}\n";

#[test]
fn what_is_in_a_secret_is_put_back() {
    let files = [("shop/web.yaml", WEB), ("shop/password.yaml", SECRET)];
    let mut team = Team::new(
        AGENT,
        "propose-secret",
        "drift: propose, allowPlainSecrets: true",
        &files,
    );
    let patch = r#"{"stringData":{"a":"two"}}"#;
    team.stage
        .kubectl(&["patch", "secret", "password", "-p", patch]);
    team.stage.until("the Secret to be put back", |stage| {
        let seen = stage.get("secret", "password")["data"]["a"].to_string();
        if seen.contains("b25l") {
            Ok(())
        } else {
            Err(seen)
        }
    });
    let entry = team.stage.until_entry("revert");
    assert!(!entry.message.contains("dHdv"), "{}", entry.message);
    let before = team.stage.uid("secret", "password");
    team.stage.kubectl(&["delete", "secret", "password"]);
    team.stage.until("the Secret to be there again", |stage| {
        let uid = stage.get("secret", "password")["metadata"]["uid"].clone();
        match uid.as_str() {
            Some(uid) if uid != before => Ok(()),
            _ => Err(uid.to_string()),
        }
    });
    assert_eq!(proposals(&team.forged, &team.branch()), [] as [Value; 0]);
}

const OVERLAY: &str = "# staging
resources: [web.yaml]
images:
- name: web
  newTag: \"1.5\" # never latest
configMapGenerator:
- name: settings
  literals: [a=one]
";

#[test]
fn of_a_kustomization_what_sets_it_is_edited_and_where_nothing_does_it_is_told() {
    let files = [("shop/kustomization.yaml", OVERLAY), ("shop/web.yaml", WEB)];
    let mut team = Team::new(AGENT, "propose-kustomize", "drift: propose", &files);
    team.stage
        .kubectl(&["set", "image", "deployment/web", "main=web:1.10"]);
    team.until_proposal(1, "keep what kubectl-set changed on Deployment", "open");
    let image = [
        "-  newTag: \"1.5\" # never latest",
        "+  newTag: \"1.10\" # never latest",
    ];
    assert_eq!(team.lines().0, image);

    let names = team.stage.kubectl(&["get", "configmaps", "-o", "name"]);
    let settings = names
        .lines()
        .find(|name| name.contains("settings"))
        .unwrap();
    let patch = r#"{"data":{"a":"two"}}"#;
    team.stage.kubectl(&["patch", settings, "-p", patch]);
    team.until_proposal(1, "changed on 2 objects of shop", "open");
    // The forge changes the text after the title.
    let (forged, branch) = (&team.forged, team.branch());
    let text = team.stage.until("the text to tell of it", |_| {
        let pull = proposals(forged, &branch).swap_remove(0);
        let text = pull["body"].as_str().unwrap().to_owned();
        if text.contains("no edit was found") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    assert!(text.contains("data:\n  a: two\n"), "{text}");
    let (lines, _) = team.lines();
    assert!(lines.contains(&image[1].to_owned()), "{lines:#?}");
    assert!(lines.contains(&"+  a: two".to_owned()), "{lines:#?}");
    let namespace = &team.stage.namespace;
    let (environment, name) = (
        &team.stage.environment,
        settings.rsplit('/').next().unwrap(),
    );
    let file = format!(".agent/proposals/{environment}/shop/configmap-{namespace}-{name}.yaml");
    let shown = team.stage.repository.show(&team.branch(), &file);
    assert!(shown.unwrap().starts_with("# Nothing reads this."));
}

#[test]
fn without_a_forge_it_is_a_report_and_says_so_once() {
    let mut stage = Stage::new("propose-nowhere", AGENT);
    let configuration = stage.configuration(&[("shop", "drift: propose")]);
    let revision = stage.commit(
        "Start",
        &[("agent.yaml", &configuration), ("shop/web.yaml", WEB)],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    for image in ["main=web:1.1", "main=web:1.2"] {
        stage.kubectl(&["set", "image", "deployment/web", image]);
        stage.until("the drift to be told", |stage| {
            let message = stage.unit("shop")["message"].to_string();
            let wanted = image.trim_start_matches("main=");
            if message.contains(wanted) {
                Ok(())
            } else {
                Err(message)
            }
        });
    }
    assert_eq!(image(&stage), "web:1.2");
    let said = stage
        .log()
        .matches("there is no forge to open pull requests on")
        .count();
    assert_eq!(said, 1, "{}", stage.log());
}
