//! `agent validate`: everything wrong at once, each at its place, without a cluster.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use crate::support::git::Repository;
use crate::support::leash;

const AGENT_YAML: &str = "\
version: 1
environments:
  staging:
    units:
      - name: base
        path: base
      - each: apps/*
        after: [base]
        namespace: shop
  production:
    units:
      - name: base
        path: base
";

const BASE: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
";

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    config.kubernetes.io/depends-on: /namespaces/shop/ConfigMap/settings
spec: {selector: {matchLabels: {app: web}}}
";

const SETTINGS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: blue}
";

fn sample() -> Repository {
    Repository::with(&[
        ("agent.yaml", AGENT_YAML),
        ("base/namespace.yaml", BASE),
        ("apps/web/web.yaml", WEB),
        ("apps/settings/settings.yaml", SETTINGS),
    ])
}

fn validate(directory: &Path, arguments: &[&str]) -> Ran {
    let agent = Agent::new(env!("CARGO_BIN_EXE_agent"));
    agent
        .args(["validate"])
        .args(arguments)
        .directory(directory)
        .run()
}

#[test]
fn a_valid_repository_is_counted() {
    let repository = sample();
    let ran = validate(&repository.work(), &[]);
    assert_eq!(
        ran.stdout, "2 environments, 4 units, 4 objects: valid\n",
        "{ran:?}"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));

    let ran = validate(
        &repository.work(),
        &["--environment", "production", "-o", "json"],
    );
    assert_eq!((ran.stdout.trim(), ran.code), ("[]", Some(0)), "{ran:?}");
}

#[test]
fn a_setting_that_was_called_otherwise_is_read_and_told() {
    let repository = sample();
    let former = "after: [base]\n        drift: propose\n        hold: 24h";
    let former = AGENT_YAML.replace("after: [base]", former);
    repository.write("agent.yaml", &former);
    let ran = validate(&repository.work(), &[]);
    insta::assert_snapshot!(ran.stdout, @r"
    agent.yaml:10:9: `hold` is called `keepFor` now (warning)
    2 environments, 4 units, 4 objects: valid
    ");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn it_is_found_from_a_directory_inside() {
    let repository = sample();
    let ran = validate(&repository.work().join("apps/web"), &[]);
    assert_eq!(
        ran.stdout, "2 environments, 4 units, 4 objects: valid\n",
        "{ran:?}"
    );
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let repository = sample();
    repository.write(
        "agent.yaml",
        &AGENT_YAML.replace("after: [base]", "after: [bass]"),
    );
    let only_config = validate(&repository.work(), &[]);
    insta::assert_snapshot!(only_config.stdout, @r"
    agent.yaml:8:17: `after` names `bass`, and there is no such unit in this environment; did you mean `base`?
    1 problem
    ");
    assert_eq!(only_config.code, Some(2));

    repository.write("agent.yaml", AGENT_YAML);
    repository.write("base/copy.yaml", SETTINGS);
    repository.write("base/broken.yaml", "kind: ConfigMap\nmetadata: {name: a\n");
    repository.write(
        "apps/web/job.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {}\n",
    );
    let ran = validate(&repository.work(), &[]);
    insta::assert_snapshot!(ran.stdout, @r"
    apps/web/job.yaml:3:1: this Job has no metadata.name
    base/broken.yaml:2:11: unclosed bracket '{'
    2 problems
    ");
    assert_eq!(ran.code, Some(2), "{ran:?}");

    let json = validate(&repository.work(), &["-o", "json"]);
    let problems: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(problems.len(), ran.stdout.lines().count() - 1);
    insta::assert_json_snapshot!(problems[0], @r#"
    {
      "column": 1,
      "line": 3,
      "message": "this Job has no metadata.name",
      "path": "apps/web/job.yaml",
      "severity": "error"
    }
    "#);
}

#[test]
fn a_wrong_configuration_hides_no_other_problem() {
    let repository = sample();
    let wrong = AGENT_YAML
        .replace("after: [base]", "after: [bass]")
        .replace("path: base", "path: bas");
    repository.write("agent.yaml", &wrong);
    repository.write("apps/web/broken.yaml", "kind: [\n");
    let ran = validate(&repository.work(), &["--environment", "staging"]);
    insta::assert_snapshot!(ran.stdout, @r"
    agent.yaml:6:15: there is no directory `bas`; did you mean `base`?
    agent.yaml:8:17: `after` names `bass`, and there is no such unit in this environment; did you mean `base`?
    apps/web/broken.yaml:1:7: unclosed bracket '['
    3 problems
    ");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_misspelt_setting_is_wrong_here_and_a_warning_elsewhere() {
    let repository = sample();
    let wrong = "  annotations: {gitops-agent.dev/replce: 'true'}\n";
    let text = SETTINGS.replace("\ndata:", &format!("\n{wrong}data:"));
    let text = text.replace(
        "metadata: {name: settings, namespace: shop}\n",
        "metadata:\n  name: settings\n  namespace: shop\n",
    );
    repository.write("apps/settings/settings.yaml", &text);
    let told = "apps/settings/settings.yaml:6:17: the agent knows no annotation `gitops-agent.dev/replce`; did you mean `gitops-agent.dev/replace`?";
    let ran = validate(&repository.work(), &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains(&format!("{told}\n")), "{ran:?}");
    assert_eq!(ran.stdout.matches("replce").count(), 1, "{ran:?}");
    let render = Agent::new(env!("CARGO_BIN_EXE_agent")).directory(repository.work());
    let ran = render.args(["render", "--environment", "staging"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(told), "{ran:?}");
}

#[test]
fn an_object_that_needs_one_of_a_later_unit_is_told() {
    let repository = sample();
    let later = AGENT_YAML.replacen("path: base", "path: base\n        after: [web]", 1);
    let later = later.replace("        after: [base]\n", "");
    repository.write("agent.yaml", &later);
    let ran = validate(&repository.work(), &[]);
    insta::assert_snapshot!(ran.stdout, @r"
    apps/web/web.yaml:1: Deployment shop/web: it needs Namespace shop of the unit base, which comes after its own unit web
    1 problem
    ");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn an_object_of_two_units_is_told_with_both_places() {
    let repository = sample();
    repository.write("apps/web/copy.yaml", SETTINGS);
    let ran = validate(&repository.work(), &[]);
    insta::assert_snapshot!(ran.stdout, @r"
    apps/web/copy.yaml:1: ConfigMap shop/settings is declared by the unit settings too, in apps/settings/settings.yaml:1; only one unit may
    1 problem
    ");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn dependencies_on_nothing_and_in_a_circle_are_told() {
    let repository = sample();
    let circle = SETTINGS.replace(
        "metadata: {name: settings, namespace: shop}",
        "metadata:\n  name: settings\n  namespace: shop\n  annotations:\n    \
         config.kubernetes.io/depends-on: apps/namespaces/shop/Deployment/web",
    );
    repository.write("apps/settings/settings.yaml", &circle);
    repository.write(
        "apps/web/lost.yaml",
        &WEB.replace("name: web", "name: lost")
            .replace("/settings", "/missing"),
    );
    repository.write(
        "apps/web/odd.yaml",
        &WEB.replace("name: web", "name: odd")
            .replace("/namespaces/shop/ConfigMap/settings", "settings"),
    );
    let ran = validate(&repository.work(), &[]);
    insta::assert_snapshot!(ran.stdout, @r"
    apps/settings/settings.yaml:1: ConfigMap shop/settings: it depends on itself: ConfigMap shop/settings -> Deployment shop/web -> ConfigMap shop/settings
    apps/web/lost.yaml:1: Deployment shop/lost: it depends on ConfigMap shop/missing, which no unit of the environment declares
    apps/web/odd.yaml:1: Deployment shop/odd: the annotation config.kubernetes.io/depends-on has `settings`, which is not `group/namespaces/namespace/kind/name` or `group/kind/name`
    apps/web/web.yaml:1: Deployment shop/web: it depends on itself: Deployment shop/web -> ConfigMap shop/settings -> Deployment shop/web
    4 problems
    ");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn what_depends_on_a_unit_that_is_broken_is_not_blamed() {
    let repository = sample();
    repository.write("apps/settings/settings.yaml", "kind: [\n");
    let ran = validate(&repository.work(), &[]);
    assert!(
        ran.stdout.contains("apps/settings/settings.yaml:"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("apps/web"), "{ran:?}");
}

#[test]
fn warnings_do_not_fail() {
    let repository = sample();
    repository.write(
        "base/more.yaml",
        &SETTINGS.replace("blue", "blue}\nimmutable: off #"),
    );
    let ran = validate(&repository.work(), &[]);
    assert!(ran.stdout.contains("base/more.yaml:5:12: "), "{ran:?}");
    assert!(ran.stdout.contains("(warning)"), "{ran:?}");
}

#[test]
fn a_revision_is_read_rather_than_the_files() {
    let repository = sample();
    repository.write("base/broken.yaml", "kind: [\n");
    assert_eq!(validate(&repository.work(), &[]).code, Some(2));
    assert_eq!(
        validate(&repository.work(), &["--revision", "main"]).code,
        Some(0)
    );
    let unknown = validate(&repository.work(), &["--revision", "nowhere"]);
    assert!(
        unknown.stderr.contains("`nowhere` names no commit"),
        "{unknown:?}"
    );
    assert_eq!(unknown.code, Some(2));
}

#[test]
fn a_directory_needs_no_agent_yaml() {
    let directory = leash::scratch("plain");
    fs::create_dir(directory.path().join("manifests")).unwrap();
    fs::write(directory.path().join("manifests/namespace.yaml"), BASE).unwrap();
    let ran = validate(directory.path(), &["manifests"]);
    assert_eq!(
        ran.stdout, "1 environment, 1 unit, 1 object: valid\n",
        "{ran:?}"
    );
    let ran = validate(&directory.path().join("manifests"), &["."]);
    assert_eq!(
        ran.stdout, "1 environment, 1 unit, 1 object: valid\n",
        "{ran:?}"
    );

    let without = validate(directory.path(), &[]);
    insta::assert_snapshot!(without.stdout, @r"
    agent.yaml: does not exist at the repository's root; write one, or give a directory as a single unit
    1 problem
    ");
    assert_eq!(without.code, Some(2));
    let missing = validate(directory.path(), &["manifest"]);
    assert!(
        missing.stderr.contains("manifest can't be read"),
        "{missing:?}"
    );
    assert_eq!(missing.code, Some(2));
}

#[test]
fn a_directory_that_git_ignores_can_be_named() {
    let repository = Repository::with(&[(".gitignore", "out/\n")]);
    repository.write("out/namespace.yaml", BASE);
    let ran = validate(&repository.work(), &["out"]);
    assert_eq!(
        ran.stdout, "1 environment, 1 unit, 1 object: valid\n",
        "{ran:?}"
    );
}

#[test]
fn an_unknown_environment_is_an_error() {
    let ran = validate(&sample().work(), &["--environment", "stagin"]);
    insta::assert_snapshot!(ran.stdout, @r"
    agent.yaml: has no environment `stagin`; did you mean `staging`?
    1 problem
    ");
    assert_eq!(ran.code, Some(2));
}
