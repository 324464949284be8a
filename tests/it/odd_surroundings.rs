//! Git's surroundings may be odd: what can be used is used, and what can't be is told by
//! its name, with what to do about it.

use std::fs;

use crate::support::agent::Agent;
use crate::support::git::{Repository, git};
use crate::support::git_http::GitHttp;
use crate::support::leash::scratch;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";

#[test]
fn a_configuration_of_git_that_cannot_be_read_is_named() {
    let repository = Repository::with(&[("agent.yaml", "version: 1\n")]);
    let home = scratch("home");
    fs::write(home.path().join(".gitconfig"), "[user\n  name = Ada\n").unwrap();
    let ran = Agent::new(AGENT)
        .directory(repository.work())
        .env("HOME", home.path())
        .args(["status"])
        .run();
    assert_eq!(ran.code, Some(2));
    let said = &ran.stderr;
    assert!(
        said.contains("Git's configuration can't be read") && said.contains("/.gitconfig"),
        "{said}"
    );
    assert!(!said.contains("fsck"), "{said}");
}

#[test]
fn a_checkout_that_cannot_be_read_is_not_told_as_none() {
    let directory = scratch("odd-checkout");
    let path = directory.path();
    git(
        path,
        &["init", "--quiet", "--object-format=sha256", "named"],
    );
    git(path, &["init", "--quiet", "tabled"]);
    let tabled = path.join("tabled");
    git(&tabled, &["config", "core.repositoryFormatVersion", "1"]);
    git(&tabled, &["config", "extensions.refStorage", "reftable"]);
    for (name, says) in [("named", "SHA-256"), ("tabled", "git refs migrate")] {
        for command in ["status", "history"] {
            let ran = Agent::new(AGENT)
                .directory(path.join(name))
                .args([command])
                .run();
            assert!(ran.stderr.contains(says), "{command}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_branch_where_the_record_s_branches_belong_is_told_with_the_command_that_renames_it() {
    for over_http in [false, true] {
        let mut stage = Stage::new(&format!("in-the-way-{over_http}"), AGENT);
        let configuration = stage.configuration(&[("shop", "")]);
        stage.commit(
            "Start",
            &[
                ("agent.yaml", &configuration),
                ("shop/settings.yaml", SETTINGS),
            ],
        );
        let (remote, work) = (stage.repository.remote(), stage.repository.work());
        git(
            &work,
            &["push", "--quiet", "origin", "HEAD:refs/heads/live"],
        );
        let server = GitHttp::start(remote.parent().unwrap());
        if over_http {
            let run = stage.agent(&["run", "--repo", &server.url("remote.git")]);
            let data = run.home().join("data");
            let run = run.args(["--environment", &stage.environment, "--data-dir"]);
            stage.start_as(run.args([data]));
        } else {
            stage.start();
        }
        let command = "git push origin origin/live:refs/heads/NEW-NAME :refs/heads/live";
        wait("the branch in the way to be told", PATIENCE, || {
            stage.log().contains(command).then_some(())
        });
        assert_ne!(stage.get("configmap", "settings"), serde_json::Value::Null);

        git(&work, &["fetch", "--quiet", "origin"]);
        let words = command.replace("NEW-NAME", "old");
        let words: Vec<&str> = words.split(' ').skip(1).collect();
        git(&work, &words);
        stage.until("the record to be there", |stage| {
            let found = stage.entries_on("sync shop").pop();
            found.ok_or_else(|| stage.repository.files("main").join(" "))
        });
    }
}

#[test]
fn a_shallow_clone_is_served() {
    let stage = Stage::new("shallow", AGENT);
    let configuration = stage.configuration(&[("shop", "")]);
    stage.commit("Start", &[("agent.yaml", &configuration)]);
    stage.commit("Go on", &[("shop/settings.yaml", SETTINGS)]);
    let clone = stage.repository.work().join("../shallow");
    let from = format!("file://{}", stage.repository.remote().display());
    let to = clone.to_str().unwrap();
    git(
        &stage.repository.work(),
        &["clone", "--quiet", "--depth", "1", &from, to],
    );
    let run = stage.agent(&["run", "--once", "--repo", to]);
    let data = run.home().join("data");
    let run = run.args(["--environment", &stage.environment, "--data-dir"]);
    let ran = run.args([data]).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_ne!(stage.get("configmap", "settings"), serde_json::Value::Null);
    let diff = stage
        .agent(&["diff", "--environment", &stage.environment])
        .directory(&clone)
        .run();
    assert_eq!(diff.code, Some(0), "{}{}", diff.stdout, diff.stderr);
}

#[test]
fn what_a_partial_clone_lacks_is_told_with_what_brings_it() {
    let repository = Repository::with(&[("agent.yaml", "version: 1\nenvironments: {}\n")]);
    let configuration = "version: 1\nenvironments:\n  dev:\n    units:\n      - {name: shop, path: shop, namespace: shop}\n";
    repository.commit("Old", &[("agent.yaml", configuration)]);
    let old = repository.revision("HEAD");
    repository.commit("New", &[("agent.yaml", "version: 1\n")]);
    git(
        &repository.remote(),
        &["config", "uploadpack.allowFilter", "true"],
    );
    let clone = repository.work().join("../partial");
    let from = format!("file://{}", repository.remote().display());
    let to = clone.to_str().unwrap();
    git(
        &repository.work(),
        &["clone", "--quiet", "--filter=blob:none", &from, to],
    );
    let render = || {
        Agent::new(AGENT)
            .directory(&clone)
            .args(["render", "--environment", "dev", "--revision", &old])
            .run()
    };
    let lacks = render();
    assert!(
        lacks.stderr.contains("git fetch --refetch --no-filter"),
        "{}",
        lacks.stderr
    );
    git(&clone, &["fetch", "--quiet", "--refetch", "--no-filter"]);
    let whole = render();
    assert!(!whole.stderr.contains("--refetch"), "{}", whole.stderr);
}
