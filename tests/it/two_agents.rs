//! Two agents on one environment: one acts, the other waits its turn.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::support::agent::{Agent, Daemon};
use crate::support::git::git;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn config(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config}}\ndata: {{a: {value}}}\n")
}

/// Another agent on the same environment.
fn named(stage: &Stage, name: &str) -> Agent {
    let invocation = stage.invocation().env("AGENT_IDENTITY", name);
    invocation.args(["--lease-duration", "6s"])
}

fn until_logged(daemon: &mut Daemon, words: &str) {
    let log = |daemon: &Daemon| daemon.log();
    wait_seeing(&format!("the log to say {words:?}"), PATIENCE, || {
        let log = log(daemon);
        if log.contains(words) {
            Ok(())
        } else {
            Err(log)
        }
    });
}

fn drift(stage: &mut Stage, value: &str) {
    let patch = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
    stage.kubectl(&["patch", "configmap", "config", "-p", &patch]);
    wait_seeing("the drift to be reverted and told", PATIENCE, || {
        let live = stage.get("configmap", "config")["data"]["a"].clone();
        let told = told(stage).iter().any(|body| body.contains(value));
        let count = |subject| stage.entries_on(subject).len();
        let whole = count("revert drift") == count("kubectl-patch changed");
        if live == "one" && told && whole {
            Ok(())
        } else {
            Err(format!("{live} {:?}", told_subjects(stage)))
        }
    });
}

fn told(stage: &Stage) -> Vec<String> {
    stage
        .entries()
        .into_iter()
        .map(|entry| entry.message)
        .collect()
}

fn told_subjects(stage: &Stage) -> Vec<String> {
    let entries = stage.entries();
    entries.into_iter().map(|entry| entry.subject).collect()
}

fn holder(stage: &Stage) -> String {
    stage.holder().unwrap_or_default()
}

/// Whoever serves it.
fn until_synced(stage: &Stage, revision: &str) {
    wait_seeing("it to be synced", PATIENCE, || {
        let unit = stage.unit("shop");
        let done = unit["revision"] == *revision && unit["state"] == "Synced";
        if done { Ok(()) } else { Err(unit.to_string()) }
    });
}

/// One line of commits from one first one, and no entry twice.
fn assert_one_story(stage: &Stage) {
    let parents = stage.repository.log_as(&stage.branch(), "%P");
    assert_eq!(parents.len() + 1, stage.entries().len());
    assert!(parents.iter().all(|it| !it.contains(' ')), "{parents:?}");
    let reverts = stage.entries_on("revert drift").len();
    let found = stage.entries_on("kubectl-patch changed").len();
    assert_eq!((found, reverts), (3, 3), "{:?}", told_subjects(stage));
    let bodies = told(stage);
    let distinct: BTreeSet<&String> = bodies.iter().collect();
    assert_eq!(distinct.len(), bodies.len(), "{bodies:#?}");
}

#[test]
fn one_acts_and_the_other_takes_over_at_once_or_when_the_lease_has_expired() {
    let mut stage = Stage::new("two", AGENT);
    stage.repository.write("shop/config.yaml", &config("one"));
    let revision = stage.configure(&[("shop", "")]);
    let first = named(&stage, "first");
    let second = named(&stage, "second");
    stage.start_as(first);
    stage.until_synced("shop", &revision);
    let mut waiting = second.start();
    until_logged(&mut waiting, "standing by: first_");
    drift(&mut stage, "two");

    // A crash: nobody serves it until the lease has expired.
    stage.daemon().kill();
    drift(&mut stage, "three");
    assert!(holder(&stage).starts_with("second_"), "{}", holder(&stage));

    // An end in order: the next one has it at once.
    let again = named(&stage, "first");
    stage.start_as(again);
    until_logged(stage.daemon(), "standing by: second_");
    waiting.terminate(PATIENCE);
    drift(&mut stage, "four");
    assert!(holder(&stage).starts_with("first_"), "{}", holder(&stage));
    assert_one_story(&stage);
    assert!(!waiting.log().contains("panicked"), "{}", waiting.log());
}

#[test]
fn one_round_says_who_serves_the_environment() {
    let mut stage = Stage::new("turn", AGENT);
    stage.repository.write("shop/config.yaml", &config("one"));
    let revision = stage.configure(&[("shop", "")]);
    stage.start();
    stage.until_synced("shop", &revision);
    let ran = named(&stage, "laptop").args(["--once"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let serves = format!("{}_", stage.environment);
    assert!(ran.stderr.contains(&serves), "{ran:?}");
    assert!(ran.stderr.contains("serves the environment"), "{ran:?}");
}

#[test]
fn a_name_that_two_have_makes_them_no_one() {
    let mut stage = Stage::new("namesake", AGENT);
    stage.repository.write("shop/config.yaml", &config("one"));
    let revision = stage.configure(&[("shop", "")]);
    stage.start_as(named(&stage, "same"));
    stage.until_synced("shop", &revision);
    let holding = holder(&stage);
    let mut waiting = named(&stage, "same").start();
    until_logged(&mut waiting, &format!("standing by: {holding} serves it"));
    drift(&mut stage, "two");
    // In its own data directory it goes on at once, and the other one waits on.
    stage.daemon().restart();
    drift(&mut stage, "three");
    assert_eq!(holder(&stage), holding);
    drop(waiting);
}

/// How many requests may be on their way from a process when it is stopped.
const SENT: usize = 16;

/// As a virtual machine that is paused, or a node that swaps: what it was about to write is
/// not written once another agent serves, and what that one did is not told again.
#[test]
fn one_that_was_stopped_writes_nothing_once_it_goes_on() {
    let mut stage = Stage::new("paused", AGENT);
    let all = |value: &str| {
        let one = |n: usize| {
            format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\ndata: {{a: {value}}}\n"
            )
        };
        (0..200).map(one).collect::<String>()
    };
    stage.repository.write("shop/all.yaml", &all("one"));
    let revision = stage.configure(&[("shop", "")]);
    stage.start_as(named(&stage, "first"));
    stage.until_synced("shop", &revision);
    let mut waiting = named(&stage, "second").start();
    until_logged(&mut waiting, "standing by: first_");

    let begin = stage.cluster.audit_position();
    stage.commit("Two", &[("shop/all.yaml", &all("two"))]);
    stage.until("it to be on its way", |stage| {
        let written = stage.writes_since(begin).len();
        if written > 0 {
            Ok(())
        } else {
            Err(String::new())
        }
    });
    stage.daemon().signal(Signal::STOP);
    let third = stage.commit("Three", &[("shop/all.yaml", &all("three"))]);
    until_synced(&stage, &third);
    let (position, entries) = (stage.cluster.audit_position(), stage.entries().len());
    stage.daemon().signal(Signal::CONT);
    until_logged(stage.daemon(), "standing by: second_");
    // What had left it before, the other one puts back as what somebody did.
    let writes = stage.writes_since(position);
    assert!(writes.len() <= 2 * SENT, "{} of 200", writes.len());
    assert_eq!(stage.unit("shop")["state"], "Synced");
    let more = told_subjects(&stage).split_off(entries);
    let told = more
        .iter()
        .filter(|it| !it.contains("drift") && !it.contains("changed"));
    assert_eq!(told.count(), 0, "{more:?}");
    waiting.terminate(PATIENCE);
}

/// Who served long ago and takes over again tells what was done since by whose commit it was.
#[test]
fn one_that_takes_over_again_tells_by_the_newest_commit() {
    let mut stage = Stage::new("again", AGENT);
    stage.repository.write("shop/config.yaml", &config("one"));
    let first = stage.configure(&[("shop", "")]);
    stage.start_as(named(&stage, "first"));
    stage.until_synced("shop", &first);
    let mut second = named(&stage, "second").start();
    until_logged(&mut second, "standing by: first_");
    stage.daemon().terminate(PATIENCE);
    let revision = stage.commit("Two", &[("shop/config.yaml", &config("two"))]);
    until_synced(&stage, &revision);
    let tip = stage.entries().pop().expect("it is told").hash;
    let third = stage.commit("Three", &[("shop/config.yaml", &config("three"))]);
    until_synced(&stage, &third);
    second.terminate(PATIENCE);
    // As if it had been killed before it told the last.
    let branch = format!("refs/heads/{}", stage.branch());
    git(&stage.repository.remote(), &["update-ref", &branch, &tip]);
    stage.daemon().restart();
    let found = stage.until_entry("found shop synced");
    assert_eq!(found.trailer("Revision"), Some(third));
}
