//! Another repository under the same environment name deletes nothing of what the first one
//! declared, until somebody says that the environment goes on from it.

use std::fs;

use crate::support::agent::Agent;
use crate::support::git::{Repository, git};
use crate::support::ports::{free_address, readyz};
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const UNITS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Three objects in each of six units.
fn objects() -> Vec<(String, String)> {
    let names = UNITS
        .iter()
        .flat_map(|unit| (0..3).map(move |number| (*unit, number)));
    names
        .map(|(unit, number)| {
            let name = format!("{unit}{number}");
            let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
            (format!("{unit}/{name}.yaml"), text)
        })
        .collect()
}

fn configuration(stage: &Stage) -> String {
    stage.configuration(&UNITS.map(|unit| (unit, "")))
}

/// Six synced units, whose agent has ended.
fn first(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    for (path, text) in objects() {
        stage.repository.write(&path, &text);
    }
    let text = configuration(&stage);
    let revision = stage.commit("Start", &[("agent.yaml", &text)]);
    stage.start();
    for unit in UNITS {
        stage.until_synced(unit, &revision);
    }
    assert_eq!(live(&stage), 18);
    stage.daemon().terminate(PATIENCE);
    stage
}

/// How many of the objects are there.
fn live(stage: &Stage) -> usize {
    let listed = stage.kubectl(&["get", "configmap", "-o", "name"]);
    listed
        .lines()
        .filter(|name| !name.contains("kube-"))
        .count()
}

/// An agent of another repository, on the same environment.
fn agent_of(stage: &Stage, repository: &Repository) -> Agent {
    let run = stage.agent(&["run", "--repo", repository.url()]);
    let data = run.home().join("data");
    run.args(["--environment", &stage.environment, "--data-dir"])
        .args([data])
        .env("AGENT_IDENTITY", &stage.environment)
}

#[test]
fn another_repository_under_the_same_name_deletes_nothing() {
    let mut stage = first("stranger");
    let text = stage.configuration(&[("other", "")]);
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";
    let second = Repository::with(&[("agent.yaml", &text), ("other/other.yaml", object)]);

    let ran = agent_of(&stage, &second).args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for named in [stage.repository.url(), second.url(), "agent adopt --source"] {
        assert!(ran.stderr.contains(named), "{named}: {ran:?}");
    }

    let address = free_address();
    let mut daemon = agent_of(&stage, &second)
        .args(["--admin-addr", &address])
        .start();
    let why = format!("{}: ", stage.environment);
    let page = daemon.wait("the page to say it", PATIENCE, || {
        let page = readyz(&address)?;
        if page.contains("it shares no commit") {
            Ok(page)
        } else {
            Err(page)
        }
    });
    assert!(page.contains(" 503 ") && page.contains(&why), "{page}");
    let branch = stage.branch();
    daemon.wait("the record to say it", PATIENCE, || {
        let status = second.recorded_status(&branch);
        let error = status["error"].as_str().unwrap_or_default();
        if error.contains("it shares no commit") {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    daemon.terminate(PATIENCE);

    let diff = stage
        .agent(&["diff", "--environment", &stage.environment])
        .directory(second.work())
        .run();
    let first_line = diff.stdout.lines().next().unwrap_or_default();
    assert!(first_line.contains("shares no commit"), "{diff:?}");
    assert_eq!(live(&stage), 18);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    assert!(stage.get("configmap", "other").is_null());

    // The first one goes on as if nothing had been.
    stage.repository.write("a/a0.yaml", object);
    let revision = stage.commit("Change", &[]);
    stage.daemon().restart();
    stage.until_synced("a", &revision);
    assert_eq!(stage.deletes(), ["a0"]);
}

#[test]
fn a_repository_that_moves_or_is_rewritten_is_the_same() {
    let stage = first("moved");
    let moved = stage.repository.remote().with_file_name("moved.git");
    fs::rename(stage.repository.remote(), &moved).unwrap();
    let url = moved.to_str().unwrap().to_owned();
    let work = stage.repository.work();
    git(&work, &["remote", "set-url", "origin", &url]);
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a0}\ndata: {a: moved}\n";
    stage.repository.write("a/a0.yaml", text);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "-m", "Move"]);
    stage.repository.push();
    let run = stage.agent(&["run", "--repo", &url, "--environment", &stage.environment]);
    let ran = run.args(["--once"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.get("configmap", "a0")["data"]["a"], "moved");

    git(&work, &["commit", "--quiet", "--amend", "-m", "Rewritten"]);
    stage.repository.push();
    let ran = stage
        .agent(&["run", "--repo", &url, "--environment", &stage.environment])
        .args(["--once"])
        .run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}

#[test]
fn a_commit_that_says_so_has_it_go_on_from_another_repository() {
    let stage = first("adopted");
    let uid = stage.uid("configmap", "f2");
    let files = objects();
    let text = configuration(&stage);
    let mut all: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    all.push(("agent.yaml", &text));
    // What is committed alike in the same second is the same commit.
    all.push(("README.md", "Another repository\n"));
    let second = Repository::with(&all);
    let changed = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a0}\ndata: {a: second}\n";
    second.commit("Change", &[("a/a0.yaml", changed)]);
    let adopt = stage
        .agent(&["adopt", "--source", "--environment", &stage.environment])
        .directory(second.work())
        .run();
    assert_eq!(adopt.code, Some(0), "{adopt:?}");
    let command = adopt.stdout.lines().last().unwrap_or_default().trim();
    assert!(command.starts_with("git commit"), "{adopt:?}");

    let mut daemon = agent_of(&stage, &second).start();
    wait_seeing("it to be refused", PATIENCE, || {
        let log = daemon.log();
        if log.contains("it shares no commit") {
            Ok(())
        } else {
            Err(log)
        }
    });
    let trailer = command.split('\'').rev().nth(1).unwrap();
    let message = format!("Go on from here\n\n{trailer}");
    second.commit(&message, &[]);
    daemon.wait("the second one to be applied", PATIENCE, || {
        let seen = stage.get("configmap", "a0");
        if seen["data"]["a"] == "second" {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    // From now on it is the first one that is a stranger.
    daemon.wait("the inventories to say so", PATIENCE, || {
        let listed =
            stage
                .cluster
                .kubectl(&["-n", &stage.inventories, "get", "configmap", "-o", "yaml"]);
        if listed.matches(second.url()).count() == UNITS.len() {
            Ok(())
        } else {
            Err(listed)
        }
    });
    daemon.terminate(PATIENCE);
    let ran = stage.invocation().args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("it shares no commit"), "{ran:?}");
    assert_eq!(stage.uid("configmap", "f2"), uid);
    assert_eq!(stage.deletes(), [] as [&str; 0]);
}
