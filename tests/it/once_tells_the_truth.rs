//! `agent run --once` ends with what it found: by its exit code and in words.

use std::path::Path;

use crate::support::agent::{Agent, Ran};
use crate::support::control_plane::ControlPlane;
use crate::support::git::Repository;
use crate::support::wait::unique;

#[test]
fn a_repository_that_cannot_be_had_is_no_success() {
    let ran = once(Path::new("/there/is/none"), &unique("none"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("/there/is/none is no Git repository"),
        "{ran:?}"
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
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("has no environment"), "{ran:?}");
    assert!(!repository.has_branch(&format!("live/{environment}")));
}

fn once(repository: &Path, environment: &str) -> Ran {
    Agent::new(env!("CARGO_BIN_EXE_agent"))
        .kubeconfig(ControlPlane::shared().kubeconfig())
        .args(["run", "--once", "--environment", environment, "--repo"])
        .args([repository])
        .run()
}
