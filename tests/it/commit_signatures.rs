//! Where commits have to be signed, one that is not is not deployed: the last good one
//! stays, and status and record say which commit, and why.

use std::fs;

use super::last_good_stays::expect_enforced;
use crate::support::agent::Agent;
use crate::support::signed::{self, fixture};
use crate::support::stage::Stage;

fn settings(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: '{value}'}}\n"
    )
}

fn start(name: &str, mode: &str) -> (Stage<'static>, String) {
    let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
    let files = [
        ("agent.yaml", &*stage.configuration(&[("shop", "")])),
        ("shop/settings.yaml", &settings("0")),
    ];
    let first = signed::commit(&stage.repository, "ed25519", "Start", &files);
    let agent = verifying(stage.invocation(), mode);
    stage.start_as(agent);
    stage.until_synced("shop", &first);
    (stage, first)
}

fn verifying(agent: Agent, mode: &str) -> Agent {
    let keys = fixture("allowed_signers").display().to_string();
    agent.args(["--verify", mode, "--verify-keys", &keys])
}

fn change(stage: &Stage<'_>, value: &str, key: Option<&str>) -> String {
    let text = settings(value);
    let files = [("shop/settings.yaml", &*text)];
    match key {
        Some(key) => signed::commit(&stage.repository, key, "Change it", &files),
        None => stage.commit("Change it", &files),
    }
}

fn is_refused(stage: &mut Stage<'_>, commit: &str, why: &str) {
    let short = &commit[..8];
    stage.until("the refusal to be told", |stage| {
        let status = stage.status();
        let told = status["error"].as_str().unwrap_or_default();
        if told.contains(short) && told.contains(why) {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

#[test]
fn what_is_not_signed_is_not_deployed() {
    let (mut stage, first) = start("signed", "head");
    let unsigned = change(&stage, "1", None);
    is_refused(&mut stage, &unsigned, "is not signed");
    expect_enforced(&mut stage, "0");

    let said = stage
        .agent(&["status", "--environment", &stage.environment])
        .run();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stdout.contains(&unsigned[..8]) && said.stdout.contains("is not signed"),
        "{said:?}"
    );
    let entry = stage.until_entry("stays at ");
    assert!(
        entry.subject.contains(&first[..8]) && entry.subject.contains("is not signed"),
        "{entry:?}"
    );
    assert!(
        entry
            .message
            .contains("(Ada Lovelace <ada@example.com>: Change it)"),
        "{entry:?}"
    );
    assert_eq!(entry.trailer("Cause").as_deref(), Some("blocked"));
    assert_eq!(entry.trailer("Event").as_deref(), Some("refused"));

    // After a restart too, and if nothing is left of the data directory.
    stage.daemon().restart();
    expect_enforced(&mut stage, "0");
    stage.daemon().kill();
    let data = stage.daemon().home().join("data");
    fs::remove_dir_all(data).unwrap();
    stage.daemon().restart();
    expect_enforced(&mut stage, "0");
    assert_eq!(stage.entries_on("stays at ").len(), 1, "it is told once");

    // The configuration of the repository has no say in it.
    let configuration = stage.configuration(&[("shop", "")]);
    let stranger = signed::commit(
        &stage.repository,
        "unknown",
        "Take over",
        &[
            ("agent.yaml", &configuration),
            ("shop/settings.yaml", &settings("2")),
        ],
    );
    is_refused(
        &mut stage,
        &stranger,
        "is not among the keys that are trusted",
    );
    expect_enforced(&mut stage, "0");

    let good = change(&stage, "3", Some("ecdsa-384"));
    stage.until_synced("shop", &good);
    expect_enforced(&mut stage, "3");
    assert!(stage.status()["error"].is_null(), "{}", stage.status());
    // That it goes on is told before what comes of that, once.
    let follows = format!("follows its repository again, at {}", &good[..8]);
    let entries = stage.entries_on(&follows);
    assert_eq!(entries.len(), 1, "{entries:?}");
    let message = &entries[0].message;
    assert!(message.contains(&stranger[..8]), "{message}");
    let subjects: Vec<String> = stage.entries().into_iter().map(|it| it.subject).collect();
    let at = |words: &str| subjects.iter().position(|it| it.contains(words)).unwrap();
    let sync = format!("sync shop to {}", &good[..8]);
    assert!(at(&follows) < at(&sync), "{subjects:?}");
}

#[test]
fn what_was_never_trusted_is_not_said_to_be_enforced() {
    let mut stage = Stage::new("never-signed", env!("CARGO_BIN_EXE_agent"));
    let files = [
        ("agent.yaml", &*stage.configuration(&[("shop", "")])),
        ("shop/settings.yaml", &settings("0")),
    ];
    let unsigned = stage.commit("Start", &files);
    stage.start();
    stage.until_synced("shop", &unsigned);
    stage.daemon().kill();
    let agent = verifying(stage.invocation(), "head");
    stage.start_as(agent);
    is_refused(&mut stage, &unsigned, "so that nothing is enforced");
    let said = stage
        .agent(&["status", "--environment", &stage.environment])
        .run();
    let nothing = format!("nothing is enforced: commit {}", &unsigned[..8]);
    assert!(said.stdout.contains(&nothing), "{said:?}");
    assert!(!said.stdout.contains("stays enforced"), "{said:?}");
    let told = stage.entries_on("enforces nothing");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(stage.entries_on("stays at ").len(), 0);

    let good = change(&stage, "1", Some("ed25519"));
    stage.until_synced("shop", &good);
    expect_enforced(&mut stage, "1");
    assert_eq!(stage.entries_on("enforces nothing").len(), 1);
}

#[test]
fn no_commit_hides_behind_a_signed_one() {
    let (mut stage, first) = start("signed-all", "since-last");
    let hidden = change(&stage, "1", None);
    is_refused(&mut stage, &hidden, "is not signed");
    change(&stage, "2", Some("ed25519"));
    is_refused(
        &mut stage,
        &hidden,
        "every commit since the last accepted one",
    );
    expect_enforced(&mut stage, "0");

    stage
        .repository
        .git(&["reset", "--quiet", "--hard", &first]);
    let good = change(&stage, "3", Some("ed25519"));
    stage.until_synced("shop", &good);
    expect_enforced(&mut stage, "3");
}

#[test]
fn a_branch_that_is_moved_back_is_not_followed() {
    let (mut stage, first) = start("signed-back", "since-last");
    let good = change(&stage, "1", Some("ed25519"));
    stage.until_synced("shop", &good);
    let to = |stage: &Stage<'_>, revision: &str| {
        let repository = &stage.repository;
        repository.git(&["reset", "--quiet", "--hard", revision]);
    };
    to(&stage, &first);
    stage.repository.push();
    is_refused(&mut stage, &first, &format!("leaves {} behind", &good[..8]));
    expect_enforced(&mut stage, "1");

    to(&stage, &good);
    let back = change(&stage, "0", Some("ed25519"));
    stage.until_synced("shop", &back);
}

#[test]
fn a_repository_that_asks_for_signatures_cannot_be_told_otherwise_by_a_push() {
    let mut stage = Stage::new("asks", env!("CARGO_BIN_EXE_agent"));
    let plain = stage.configuration(&[("shop", "")]);
    let asks = format!("{plain}verify: {{mode: head, keys: [keys/signers]}}\n");
    let signers = fs::read_to_string(fixture("allowed_signers")).unwrap();
    let files = [
        ("agent.yaml", &*asks),
        ("keys/signers", &signers),
        ("shop/settings.yaml", &settings("0")),
    ];
    let first = signed::commit(&stage.repository, "ed25519", "Start", &files);
    stage.start();
    stage.until_synced("shop", &first);

    let files = [
        ("agent.yaml", &*plain),
        ("shop/settings.yaml", &settings("1")),
    ];
    let off = stage.commit("Switch it off", &files);
    is_refused(&mut stage, &off, "is not signed");
    // The record alone tells a new agent what was asked for.
    stage.daemon().kill();
    fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
    stage.daemon().restart();
    expect_enforced(&mut stage, "0");

    let off = signed::commit(&stage.repository, "ed25519", "Switch it off", &files);
    stage.until_synced("shop", &off);
    let unsigned = change(&stage, "2", None);
    stage.until_synced("shop", &unsigned);

    // On a laptop: a revision that asks for what it lacks itself.
    let doubtful = stage.commit("Ask again", &[("agent.yaml", &asks)]);
    let said = stage.diff(&["--revision", &doubtful]);
    assert!(
        said.stderr
            .contains("the agent would not deploy this revision"),
        "{said:?}"
    );
    let said = stage.diff(&["--revision", &first]);
    assert!(!said.stderr.contains("would not deploy"), "{said:?}");
}

#[test]
fn verifying_without_keys_is_an_error_at_once() {
    let stage = Stage::new("no-keys", env!("CARGO_BIN_EXE_agent"));
    let keys = fixture("keys/ed25519").display().to_string();
    for (flags, says) in [
        (vec!["--verify", "head"], "--verify-keys"),
        (vec!["--verify", "all"], "neither `head` nor `since-last`"),
        (vec!["--verify-keys", "x"], "without --verify"),
        (
            vec!["--verify", "head", "--verify-keys", "/there/is/none"],
            "can't be read",
        ),
        (
            vec!["--verify", "head", "--verify-keys", &keys],
            "keys/ed25519:1: ",
        ),
    ] {
        let ran = stage.invocation().args(&flags).run();
        assert_eq!(ran.code, Some(2), "{flags:?}");
        assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
    }
}
