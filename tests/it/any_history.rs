//! Whatever stands in a repository's history, what can be used of it is: a commit that
//! can't be read is one revision that is refused, and what is no commit at all is in
//! nobody's way but its own.

use std::fs;

use super::last_good_stays::{expect_enforced, until_value};
use crate::support::git::git;
use crate::support::git_http::GitHttp;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// A person's line as Git writes it.
const ADA: &str = "Ada <ada@example.com> 1790000000 +0000";
const NO_TIME: &str = "X <x@example.com> not-a-time +0000";

fn settings(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: '{value}'}}\n"
    )
}

/// A unit that is synced.
fn synced(stage: &mut Stage<'_>) {
    let configuration = stage.configuration(&[("shop", "")]);
    let first = stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("shop/settings.yaml", &settings("one")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &first);
}

/// Pushes a commit of the same files and any other content, as Git takes it.
fn push_raw(stage: &Stage<'_>, people: &str, message: &str) -> String {
    let (repository, work) = (&stage.repository, stage.repository.work());
    let [tree, parent] = ["HEAD^{tree}", "HEAD"].map(|name| repository.revision(name));
    let file = work.join(".git/raw-commit");
    let text = format!("tree {tree}\nparent {parent}\n{people}\n{message}");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let made = git(
        &work,
        &["hash-object", "-t", "commit", "-w", "--literally", file],
    );
    let made = made.trim().to_owned();
    git(&work, &["update-ref", "refs/heads/main", &made]);
    repository.push();
    made
}

fn push_odd(stage: &Stage<'_>) -> String {
    push_raw(
        stage,
        &format!("author {NO_TIME}\ncommitter {NO_TIME}\n"),
        "odd\n",
    )
}

fn until_told(stage: &mut Stage<'_>, words: &str) {
    stage.until(&format!("`{words}` to be recorded"), |stage| {
        let status = stage.status().to_string();
        if status.contains(words) {
            Ok(())
        } else {
            Err(status)
        }
    });
}

/// Deploys a change on top of what is there.
fn follows(stage: &mut Stage<'_>, value: &str) {
    let good = stage.commit("Go on", &[("shop/settings.yaml", &settings(value))]);
    until_value(stage, value);
    stage.until_synced("shop", &good);
}

#[test]
fn a_commit_that_cannot_be_read_is_one_refused_revision() {
    let mut stage = Stage::new("odd-commit", AGENT);
    synced(&mut stage);
    let first = stage.repository.revision("HEAD");
    let odd = push_odd(&stage);
    until_told(&mut stage, "has no valid time");
    until_told(&mut stage, &odd[..8]);
    expect_enforced(&mut stage, "one");

    stage.daemon().kill();
    stage.daemon().restart();
    expect_enforced(&mut stage, "one");
    // Another machine.
    stage.daemon().kill();
    stage.start();
    expect_enforced(&mut stage, "one");

    follows(&mut stage, "two");
    stage.daemon().kill();
    stage.start();
    expect_enforced(&mut stage, "two");

    let object = format!("ConfigMap/{}/settings", stage.namespace);
    let target = format!("{first}:main");
    stage
        .repository
        .git(&["push", "--quiet", "--force", "origin", &target]);
    until_value(&mut stage, "one");

    for command in [
        &["history", &object, "--environment", &stage.environment][..],
        &[
            "why",
            &object,
            "data.a",
            "--environment",
            &stage.environment,
        ],
        &["diff", "--environment", &stage.environment],
        &[
            "diff",
            "--environment",
            &stage.environment,
            "--revision",
            &odd,
        ],
    ] {
        let ran = stage.agent(command).run();
        assert!(
            ran.code < Some(2),
            "{command:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[test]
fn so_it_is_over_http() {
    let mut stage = Stage::new("odd-http", AGENT);
    let remote = stage.repository.remote();
    let server = GitHttp::start(remote.parent().unwrap());
    let configuration = stage.configuration(&[("shop", "")]);
    let files = [
        ("agent.yaml", &*configuration),
        ("shop/settings.yaml", &settings("one")),
    ];
    let first = stage.commit("Start", &files);
    let url = server.url("remote.git");
    let invocation = |stage: &Stage<'_>| {
        let run = stage.agent(&["run", "--repo", &url, "--poll-interval", "1s"]);
        let data = run.home().join("data");
        run.args(["--environment", &stage.environment, "--data-dir"])
            .args([data])
            .env("AGENT_IDENTITY", &stage.environment)
            .env("AGENT_LEASE_DURATION", "15s")
    };
    let run = invocation(&stage);
    stage.start_as(run);
    stage.until_synced("shop", &first);
    push_odd(&stage);
    until_told(&mut stage, "has no valid time");
    expect_enforced(&mut stage, "one");
    follows(&mut stage, "two");
    follows(&mut stage, "three");
    stage.daemon().kill();
    let run = invocation(&stage);
    stage.start_as(run);
    expect_enforced(&mut stage, "three");
    follows(&mut stage, "four");
}

/// What Git keeps as a commit, and whether it can be used.
#[test]
fn whatever_a_commit_says_the_next_one_is_followed() {
    let mut stage = Stage::new("odd-kinds", AGENT);
    synced(&mut stage);
    let long = "long ".repeat(200_000);
    let usual = format!("author {ADA}\ncommitter {ADA}\n");
    let cases: [(String, &str, Option<&str>); 14] = [
        (
            format!("committer {ADA}\n"),
            "no author",
            Some("has no line `author`"),
        ),
        (
            format!("author {ADA}\n"),
            "no committer",
            Some("has no line `committer`"),
        ),
        (
            format!("author {ADA}\nauthor {ADA}\ncommitter {ADA}\n"),
            "two authors",
            None,
        ),
        (
            format!("author {ADA}\ncommitter {ADA}\ncommitter {ADA}\n"),
            "two committers",
            None,
        ),
        (
            usual.replace("1790000000", "99999999999999999999"),
            "a time too far",
            Some("no valid time"),
        ),
        (
            usual.replace("1790000000", "9999999999999"),
            "a far time",
            None,
        ),
        (usual.replace("1790000000", "-1"), "before all time", None),
        (usual.replace("+0000", "+9999"), "a zone that is none", None),
        (usual.replace('<', ""), "no address", Some("no address")),
        (
            usual.replace(" <ada@example.com> 1790000000 +0000", " <>"),
            "no time at all",
            None,
        ),
        (
            format!("{usual}encoding x-nothing\n"),
            "an encoding that is none",
            None,
        ),
        (usual.clone(), "a\0b", None),
        (usual.clone(), &long, None),
        (usual.clone(), "", None),
    ];
    for (at, (people, message, refused)) in cases.iter().enumerate() {
        let odd = push_raw(&stage, people, message);
        match refused {
            Some(why) => until_told(&mut stage, why),
            None => stage.until_looked_at(&odd),
        }
        follows(&mut stage, &at.to_string());
    }
    let logged = stage.log();
    let longest = logged.lines().map(str::len).max();
    assert!(longest < Some(4_000), "a line of {longest:?} bytes");
    let messages = stage.entries().into_iter().map(|entry| entry.message.len());
    assert!(messages.max() < Some(4_000));
}

/// Commits a tree as it is beside a change of the unit `shop`, with as many parents as are
/// named.
fn push_tree(stage: &Stage<'_>, odd: &str, value: &str, parents: &[String]) -> String {
    let work = stage.repository.work();
    stage
        .repository
        .write("shop/settings.yaml", &settings(value));
    git(&work, &["add", "-A"]);
    git(
        &work,
        &["rm", "-q", "--cached", "-r", "--ignore-unmatch", "odd"],
    );
    let rest = git(&work, &["write-tree"]);
    let rest = git(&work, &["ls-tree", rest.trim()]);
    let entries = work.join(".git/entries");
    fs::write(&entries, format!("{rest}040000 tree {odd}\todd\n")).unwrap();
    let made = format!("git mktree <{}", entries.display());
    let tree = git(&work, &["-c", &format!("alias.made=!{made}"), "made"]);
    let mut words = vec!["commit-tree", tree.trim(), "-m", "An odd tree"];
    for parent in parents {
        words.extend(["-p", parent]);
    }
    let commit = git(&work, &words).trim().to_owned();
    git(&work, &["update-ref", "refs/heads/main", &commit]);
    stage.repository.push();
    git(&work, &["reset", "-q", "--mixed"]);
    commit
}

/// Writes a tree of these entries, as they are.
fn raw_tree(stage: &Stage<'_>, entries: &[(&str, &str, &str)]) -> String {
    let work = stage.repository.work();
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend(hex::decode(id.trim()).unwrap());
    }
    let file = work.join(".git/raw-tree");
    fs::write(&file, bytes).unwrap();
    let file = file.to_str().unwrap();
    let words = ["hash-object", "-t", "tree", "-w", "--literally", file];
    git(&work, &words).trim().to_owned()
}

#[test]
fn an_odd_tree_is_its_unit_s_affair_and_many_parents_are_nobody_s() {
    let mut stage = Stage::new("odd-trees", AGENT);
    let configuration = stage.configuration(&[("shop", ""), ("odd", "")]);
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\n";
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/settings.yaml", &settings("one")),
        ("odd/a.yaml", object),
    ];
    let first = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("odd", &first);

    let blob = |text: &str| {
        let file = stage.repository.work().join(".git/blob");
        fs::write(&file, text).unwrap();
        let words = ["hash-object", "-w", file.to_str().unwrap()];
        git(&stage.repository.work(), &words)
    };
    let good = blob(object);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 7\n",
        "0".repeat(64)
    );
    let pointer = blob(&pointer);
    let fine = raw_tree(&stage, &[("100644", "a.yaml", &good)]);
    let cases = [
        (vec![("160000", "lib", first.as_str())], "is a submodule"),
        (
            vec![("100644", "a.yaml", pointer.as_str())],
            "is a Git LFS pointer",
        ),
        (
            vec![
                ("100644", "a.yaml", good.as_str()),
                ("100644", "a.yaml", &good),
            ],
            "odd/",
        ),
        (
            vec![("100644", "b.yaml", good.as_str()), ("40000", "a", &fine)],
            "",
        ),
    ];
    for (number, (entries, told)) in cases.iter().enumerate() {
        let odd = raw_tree(&stage, entries);
        let head = stage.repository.revision("HEAD");
        let value = format!("beside {number}");
        let commit = push_tree(&stage, &odd, &value, &[head]);
        until_value(&mut stage, &value);
        stage.until_looked_at(&commit);
        if !told.is_empty() {
            stage.until("the odd unit to be told", |stage| {
                let seen = stage.unit("odd")["message"].to_string();
                if seen.contains(told) {
                    Ok(())
                } else {
                    Err(seen)
                }
            });
        }
        let head = stage.repository.revision("HEAD");
        let value = format!("mended {number}");
        let commit = push_tree(&stage, &fine, &value, &[head]);
        stage.until_synced("shop", &commit);
        stage.until_state("odd", "Synced");
    }

    // A merge of four.
    let head = stage.repository.revision("HEAD");
    let side = |name: &str| {
        let work = stage.repository.work();
        let made = git(
            &work,
            &["commit-tree", "HEAD^{tree}", "-p", &head, "-m", name],
        );
        made.trim().to_owned()
    };
    let parents = [head.clone(), side("b"), side("c"), side("d")];
    let commit = push_tree(&stage, &fine, "merged", &parents);
    until_value(&mut stage, "merged");
    stage.until_synced("shop", &commit);
    let deleted = stage.deletes();
    assert_eq!(deleted, [] as [&str; 0]);
    expect_enforced(&mut stage, "merged");
}

#[test]
fn what_is_no_commit_where_the_record_belongs_is_told_and_waited_for() {
    let mut stage = Stage::new("no-record", AGENT);
    let configuration = stage.configuration(&[("shop", "")]);
    let files = [
        ("agent.yaml", &*configuration),
        ("shop/settings.yaml", &settings("one")),
    ];
    stage.commit("Start", &files);
    let remote = stage.repository.remote();
    let branch = stage.branch();
    let place = remote.join("refs/heads").join(&branch);
    let blob = git(&remote, &["rev-parse", "main:agent.yaml"]);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, &blob).unwrap();
    stage.start();
    until_value(&mut stage, "one");
    expect_enforced(&mut stage, "one");
    wait("the blob to be told", PATIENCE, || {
        let log = stage.log();
        let told = log.contains("is no commit but a blob") && log.contains(&branch);
        told.then_some(())
    });
    fs::remove_file(&place).unwrap();
    stage.until("the record to be pushed", |stage| {
        let there = stage.repository.has_branch(&stage.branch());
        if there { Ok(()) } else { Err(stage.branch()) }
    });
    stage.until_entry("sync shop");
    stage.until_entry("revert drift on");
}
