//! `agent render`: the desired objects, complete or not at all, and no secret.

use std::path::Path;

use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use crate::support::git::Repository;

const AGENT_YAML: &str = "\
version: 1
environments:
  staging:
    units:
      - {name: shop, path: shop, namespace: shop, allowPlainSecrets: true}
      - {name: tools, path: tools}
";

const SHOP: &str = "\
# The shop.
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2}
";

const TOOLS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: tools}
data: {switch: \"on\"}
";

fn sample() -> Repository {
    Repository::with(&[
        ("agent.yaml", AGENT_YAML),
        ("shop/web.yaml", SHOP),
        ("shop/login.yaml", SECRET),
        ("tools/tools.yaml", TOOLS),
    ])
}

fn render(directory: &Path, arguments: &[&str]) -> Ran {
    let agent = Agent::new(env!("CARGO_BIN_EXE_agent"));
    agent
        .args(["render"])
        .args(arguments)
        .directory(directory)
        .run()
}

#[test]
fn objects_are_printed_with_their_places_and_without_secrets() {
    let ran = render(&sample().work(), &["--environment", "staging"]);
    insta::with_settings!({filters => vec![("hmac:[0-9a-f]{16}", "[digest]")]}, {
        insta::assert_snapshot!(ran.stdout, @r#"
        ---
        # unit shop, shop/web.yaml:7
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
        ---
        # unit shop, shop/login.yaml:1, its values masked
        apiVersion: v1
        kind: Secret
        metadata:
          name: login
          namespace: shop
        data:
          password: [digest]
        ---
        # unit shop, shop/web.yaml:2
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: shop
        spec:
          ports:
          - port: 80
        ---
        # unit tools, tools/tools.yaml:1
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: tools
          namespace: default
        data:
          switch: "on"
        "#);
    });
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
}

#[test]
fn digests_tell_nothing_across_calls() {
    let repository = sample();
    let password = || {
        let ran = render(&repository.work(), &["--unit", "shop", "-o", "json"]);
        let objects: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        let secret = objects
            .iter()
            .find(|object| object["kind"] == "Secret")
            .unwrap();
        secret["data"]["password"].as_str().unwrap().to_owned()
    };
    assert_ne!(password(), password());
}

#[test]
fn one_unit_can_be_asked_for() {
    let repository = sample();
    let ran = render(&repository.work(), &["--unit", "tools", "-o", "json"]);
    let objects: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let names: Vec<&str> = objects
        .iter()
        .map(|object| object["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["tools"]);

    let unknown = render(&repository.work(), &["--unit", "tool"]);
    insta::assert_snapshot!(unknown.stderr, @"error: there is no unit `tool`; there are shop, tools");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
}

#[test]
fn a_render_with_a_problem_prints_no_object() {
    let repository = sample();
    repository.write("tools/broken.yaml", "kind: [\n");
    let ran = render(&repository.work(), &[]);
    insta::assert_snapshot!(ran.stderr, @"error: tools/broken.yaml:1:7: unclosed bracket '['");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    // What is wrong elsewhere doesn't keep a unit from being looked at.
    assert_eq!(
        render(&repository.work(), &["--unit", "shop"]).code,
        Some(0)
    );
}

#[test]
fn a_bare_repository_has_revisions_and_no_files() {
    let repository = sample();
    let bare = repository.remote();
    let rendered = render(&bare, &["--revision", "main"]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    assert!(rendered.stdout.contains("name: tools"), "{rendered:?}");
    let refused = render(&bare, &[]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("is in a bare repository, which has no working tree")
            && refused.stderr.contains("--revision"),
        "{refused:?}"
    );
}
