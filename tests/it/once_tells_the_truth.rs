//! `agent run --once` ends with what it found: by its exit code and in words.

use std::path::Path;

use crate::support::agent::{Agent, Ran};
use crate::support::control_plane::ControlPlane;
use crate::support::git::Repository;
use crate::support::ports::free_address;
use crate::support::wait::unique;

#[test]
fn a_repository_that_cannot_be_had_is_no_success() {
    let ran = once(Path::new("/there/is/none"), &unique("none"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("/there/is/none is no Git repository"),
        "{ran:?}"
    );
    assert_eq!(
        ran.stderr.matches("is no Git repository").count(),
        1,
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_that_cannot_be_read_is_no_success_and_named() {
    let environment = unique("broken");
    let repository = Repository::with(&[
        (
            "agent.yaml",
            &format!(
                "version: 1\nenvironments: {{{environment}: {{units: [{{name: web, path: web}}]}}}}\n"
            ),
        ),
        ("web/broken.yaml", "a: [\n"),
    ]);
    let ran = once(&repository.remote(), &environment);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("web/broken.yaml:"), "{ran:?}");
    let status = repository.show(&format!("live/{environment}"), "web/status.yaml");
    let status = status.unwrap_or_default();
    assert!(status.contains("state: Failed"), "{status}");
}

#[test]
fn a_misspelt_environment_leaves_no_record() {
    let repository = Repository::with(&[("agent.yaml", "version: 1\nenvironments: {}\n")]);
    let environment = unique("misspelt");
    let ran = once(&repository.remote(), &environment);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("has no environment"), "{ran:?}");
    assert!(!repository.has_branch(&format!("live/{environment}")));
}

#[test]
fn a_cluster_that_cannot_be_reached_is_waited_for_a_little_and_no_success() {
    let repository = Repository::with(&[(
        "agent.yaml",
        "version: 1\nenvironments: {away: {units: []}}\n",
    )]);
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: away
contexts: [{{name: away, context: {{cluster: away, user: away}}}}]
clusters: [{{name: away, cluster: {{server: 'http://{}'}}}}]
users: [{{name: away}}]
",
        free_address()
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let ran = Agent::new(env!("CARGO_BIN_EXE_agent"))
        .kubeconfig(&kubeconfig)
        .args(["run", "--once", "--environment", "away", "--repo"])
        .args([repository.remote()])
        .run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let told = ran.stderr.matches("Connection refused").count();
    assert!((1..=3).contains(&told), "{ran:?}");
}

fn once(repository: &Path, environment: &str) -> Ran {
    Agent::new(env!("CARGO_BIN_EXE_agent"))
        .kubeconfig(ControlPlane::shared().kubeconfig())
        .args(["run", "--once", "--environment", environment, "--repo"])
        .args([repository])
        .run()
}
