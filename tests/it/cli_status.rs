//! `agent status`: what the record says, from a checkout or from a repository.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use crate::support::git::{Repository, git};
use crate::support::leash;

const REVISION: &str = "revision: 3fa9c1e0b7d24c1f9a5e6d7c8b9a0f1e2d3c4b5a\n";

/// What is recorded of staging.
fn staging(state: &str, message: &str) -> [(&'static str, String); 3] {
    let since = Timestamp::now() - Duration::from_secs(3 * 60 + 20);
    let base = format!("state: Synced\nhealth: Current\n{REVISION}since: {since}\nobjects: 3\n");
    let shop = format!(
        "state: {state}\nhealth: InProgress\nsince: {since}\nmessage: \"{message}\"\nobjects: 12\n"
    );
    [
        ("status.yaml", format!("environment: staging\n{REVISION}")),
        ("base/status.yaml", base),
        ("shop/status.yaml", shop),
    ]
}

/// What an agent does: a commit on the branch `live/<environment>` of the remote.
fn record(repository: &Repository, environment: &str, files: &[(&str, String)]) {
    let directory = leash::scratch("record");
    let (path, branch) = (directory.path(), format!("live/{environment}"));
    git(path, &["init", "--quiet", "--initial-branch", &branch]);
    for (file, content) in files {
        let file = path.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "-m", "staging: sync"]);
    let remote = repository.remote();
    git(
        path,
        &[
            "push",
            "--quiet",
            "--force",
            remote.to_str().unwrap(),
            &branch,
        ],
    );
}

fn status(directory: &Path, arguments: &[&str]) -> Ran {
    let agent = Agent::new(env!("CARGO_BIN_EXE_agent"));
    agent
        .args(["status"])
        .args(arguments)
        .directory(directory)
        .run()
}

macro_rules! assert_shown {
    ($text:expr, @$expected:literal) => {
        let filters = vec![
            ("last entry .*", "last entry [time]"),
            (r"[^\s']*/(remote\.git|work)/?", "[$1]"),
        ];
        insta::with_settings!({filters => filters}, { insta::assert_snapshot!($text, @$expected) });
    };
}

#[test]
fn a_checkout_asks_its_origin() {
    let repository = Repository::with(&[("README.md", "")]);
    record(
        &repository,
        "staging",
        &staging(
            "Failed",
            "Deployment shop/web: 1 of 2 ready\\nService shop/web: no",
        ),
    );
    let ran = status(&repository.work(), &[]);
    assert_shown!(ran.stdout, @r"
    staging at 3fa9c1e0, last entry [time]
    UNIT  STATE   HEALTH      REVISION  SINCE   MESSAGE
    base  Synced  Current     3fa9c1e0  3m ago
    shop  Failed  InProgress  -         3m ago  Deployment shop/web: 1 of 2 ready
                                                Service shop/web: no
    ");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));

    record(&repository, "staging", &staging("Synced", ""));
    let ran = status(&repository.work(), &["--environment", "staging"]);
    assert_shown!(ran.stdout, @r"
    staging at 3fa9c1e0, last entry [time]
    UNIT  STATE   HEALTH      REVISION  SINCE   MESSAGE
    base  Synced  Current     3fa9c1e0  3m ago
    shop  Synced  InProgress  -         3m ago
    ");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn without_its_origin_a_checkout_says_what_it_knew_and_that_it_may_be_old() {
    let repository = Repository::with(&[("README.md", "")]);
    record(&repository, "staging", &staging("Synced", ""));
    assert_eq!(status(&repository.work(), &[]).code, Some(0));
    repository.go_away();
    let ran = status(&repository.work(), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_shown!(ran.stderr, @"warning: this may be old (`git fetch` renews it too): origin could not be asked: [remote.git] is no Git repository that can be seen from here: failed to resolve path '[remote.git]': No such file or directory; check the address, and what the credentials may read");
    let json = status(&repository.work(), &["-o", "json"]);
    let environments: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert!(environments[0]["record"]["stale"].is_string(), "{json:?}");
}

#[test]
fn a_repository_can_be_named() {
    let repository = Repository::with(&[("README.md", "")]);
    record(&repository, "staging", &staging("Progressing", "waits"));
    record(
        &repository,
        "production",
        &[(
            "status.yaml",
            "environment: production\nerror: agent.yaml does not exist\n".to_owned(),
        )],
    );
    let remote = repository.remote();
    let elsewhere = leash::scratch("elsewhere");
    let named = ["--repo", remote.to_str().unwrap()];
    let ran = status(elsewhere.path(), &named);
    assert_shown!(ran.stdout, @r"
    production, last entry [time]
    error: agent.yaml does not exist
    no units

    staging at 3fa9c1e0, last entry [time]
    UNIT  STATE        HEALTH      REVISION  SINCE   MESSAGE
    base  Synced       Current     3fa9c1e0  3m ago
    shop  Progressing  InProgress  -         3m ago  waits
    ");
    assert_eq!(ran.code, Some(1), "{ran:?}");

    let json = status(
        elsewhere.path(),
        &[&named[..], &["--environment", "staging", "-o", "json"]].concat(),
    );
    let environments: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(environments.len(), 1);
    assert_eq!(environments[0]["environment"], "staging");
    assert_eq!(environments[0]["units"]["shop"]["state"], "Progressing");
    assert_eq!(
        environments[0]["record"]["commit"],
        repository_tip(&repository)
    );
}

fn repository_tip(repository: &Repository) -> String {
    git(&repository.remote(), &["rev-parse", "live/staging"])
        .trim()
        .to_owned()
}

#[test]
fn what_is_not_recorded_is_told_with_what_to_do() {
    let repository = Repository::with(&[("README.md", "")]);
    let nothing = status(&repository.work(), &[]);
    assert_shown!(nothing.stderr, @"error: [work] holds no record of any environment; `agent run --repo URL --environment NAME` writes one, to its branch live/NAME. If it has a --record-repo, give that here too");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(2), ""));

    record(&repository, "staging", &staging("Synced", ""));
    let other = status(&repository.work(), &["--environment", "stagin"]);
    assert_shown!(other.stderr, @"error: [work] holds no record of the environment stagin; there are records of: staging");
    assert_eq!(other.code, Some(2));

    let outside = status(leash::scratch("outside").path(), &[]);
    assert_shown!(outside.stderr, @"error: the current directory is in no checkout of a Git repository; go to a checkout of the environment repository, or name the repository with --repo");
    assert_eq!(outside.code, Some(2));
}
