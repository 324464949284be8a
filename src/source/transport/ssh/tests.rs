#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests run programs, and a test may panic"
)]

use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use git2::Config;

use super::super::GRACE;
use super::super::pace::Limits;
use super::*;
use crate::source::auth::Credentials;
use crate::source::remote::Remote;
use crate::source::scratch::{Scratch, until};

const URL: &str = "ssh://git@git.example/env.git";

fn short(_: Act) -> Limits {
    Limits {
        silence: Duration::from_secs(1),
        rate: None,
        all: Duration::from_secs(3),
        size: 1 << 20,
    }
}

fn remote(url: &str, login: SshLogin) -> Remote {
    let credentials = Credentials {
        ssh: login,
        ..Credentials::default()
    };
    Remote::new(url.parse().unwrap(), credentials)
}

fn conversation(remote: &Remote) -> Conversation {
    let conversation = Conversation::new(remote, Config::new());
    Conversation {
        limits: short,
        ..Arc::into_inner(conversation).unwrap()
    }
}

/// A program in the place of `ssh`, and what one reads from it.
fn run(script: &str, conversation: Conversation) -> Result<Vec<u8>, SourceProblem> {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("ssh");
    // Written by a program that has ended: what is open for writing can't be run.
    let written = Command::new("sh")
        .args([
            "-c",
            "printf '#!/bin/sh\n%s\n' \"$1\" > \"$2\" && chmod 700 \"$2\"",
            "sh",
        ])
        .args([script.as_ref(), program.as_os_str()])
        .status();
    assert!(written.unwrap().success());
    let conversation = Arc::new(conversation);
    let ssh = Ssh::new(Arc::clone(&conversation), Some(program));
    let url = conversation.remote.url.connect_text().to_owned();
    let mut pipes = ssh.start(&url, Act::FetchRefs, Act::Fetch)?;
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while !all.ends_with(b"0000") {
        match pipes.read(&mut piece) {
            Ok(length) => all.extend_from_slice(&piece[..length]),
            Err(_) => return Err(conversation.problem().unwrap()),
        }
    }
    Ok(all)
}

fn problem_of(script: &str, login: SshLogin) -> SourceProblem {
    run(script, conversation(&remote(URL, login))).unwrap_err()
}

fn problem(script: &str) -> SourceProblem {
    problem_of(script, SshLogin::default())
}

#[test]
fn a_repository_is_asked_for_as_git_does_it() {
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let url = format!("ssh://git.example{}", scratch.repository.display());
    // What runs on the other side, here.
    let script = r#"for last; do :; done; exec sh -c "$last""#;
    let refs = run(script, conversation(&remote(&url, SshLogin::default()))).unwrap();
    let refs = String::from_utf8_lossy(&refs).into_owned();
    assert!(
        refs.contains(head.as_str()) && refs.contains("refs/heads/main"),
        "{refs}"
    );
}

#[test]
fn what_never_ends_or_never_begins_is_given_up() {
    let cases = [
        ("exec sleep 100", "said nothing"),
        ("exec yes 0032", "larger than 1 MiB"),
        ("while printf 1; do sleep 0.2; done", "not complete"),
        ("yes banner >&2", "said nothing"),
    ];
    for (script, says) in cases {
        let begun = Instant::now();
        let problem = problem(script);
        let unreachable = matches!(problem, SourceProblem::Unreachable { .. });
        assert!(
            unreachable && problem.to_string().contains(says),
            "{script}: {problem}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{script}");
    }
}

#[test]
fn the_end_of_the_process_ends_the_program_and_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("started");
    let script = format!("sleep 100 & echo $! > '{}'; exec sleep 100", file.display());
    let conversation = Conversation {
        limits: |act| Limits {
            silence: Duration::from_mins(1),
            ..Limits::of(act)
        },
        asked: || Instant::now().checked_sub(GRACE),
        begun: Instant::now(),
        ..conversation(&remote(URL, SshLogin::default()))
    };
    let begun = Instant::now();
    let problem = run(&script, conversation).unwrap_err();
    assert!(problem.to_string().contains("asked to end"), "{problem}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let started = std::fs::read_to_string(&file).unwrap();
    let state = format!("/proc/{}/stat", started.trim());
    until("what it started has ended", || {
        // What nobody waits for stays as a zombie.
        std::fs::read_to_string(&state).map_or(true, |state| state.contains(") Z "))
    });
}

#[test]
fn what_ssh_says_is_the_problem() {
    let said = |words: &str| problem(&format!("echo '{words}' >&2; exit 255"));
    let host = said("Host key verification failed.");
    assert!(matches!(host, SourceProblem::HostKey { .. }), "{host:?}");
    let key = said("git@git.example: Permission denied (publickey).");
    assert!(matches!(key, SourceProblem::Unauthorized { .. }), "{key:?}");
    assert!(key.to_string().contains("publickey"), "{key}");
    let nothing = said("fatal: /env does not appear to be a git repository");
    assert!(
        matches!(nothing, SourceProblem::NoRepository { .. }),
        "{nothing:?}"
    );
    let away = said("ssh: connect to host h port 22: Connection refused");
    assert!(
        matches!(away, SourceProblem::Unreachable { .. }),
        "{away:?}"
    );
    assert!(away.to_string().contains("Connection refused"), "{away}");
    assert!(problem("exit 1").to_string().contains("without a word"));
}

#[test]
fn where_there_is_no_ssh_it_is_told_what_to_install() {
    let conversation = Arc::new(conversation(&remote(URL, SshLogin::default())));
    let ssh = Ssh::new(conversation, None);
    let problem = ssh.start(URL, Act::FetchRefs, Act::Fetch).err().unwrap();
    assert!(problem.to_string().contains("openssh-client"), "{problem}");
}

#[test]
fn the_program_is_called_as_the_address_and_the_login_say() {
    let login = SshLogin {
        key: Some("/keys/a 100%".into()),
        passphrase: None,
        known_hosts: Some("/keys/known_hosts".into()),
    };
    let of = |url: &str, login: &SshLogin| {
        let all = arguments(&url.parse().unwrap(), login, "git-upload-pack").unwrap();
        let all: Vec<_> = all.iter().map(|word| word.to_string_lossy()).collect();
        all.join(" ")
    };
    let cases = [
        ("git@h:team/env", "-l git -- h git-upload-pack 'team/env'"),
        ("h:env", "-T -- h git-upload-pack 'env'"),
        (
            "ssh://a@h:2222/e%20v",
            "-l a -p 2222 -- h git-upload-pack '/e v'",
        ),
        ("ssh://a@h/~ada/env", "-l a -- h git-upload-pack '~ada/env'"),
        ("a@[h:2222]:env", "-l a -p 2222 -- h git-upload-pack 'env'"),
        ("a@h:it's", r"-l a -- h git-upload-pack 'it'\''s'"),
    ];
    for (url, expected) in cases {
        let found = of(url, &SshLogin::default());
        assert!(found.ends_with(expected), "{url}: {found}");
        assert!(found.contains("-oStrictHostKeyChecking=yes"), "{found}");
        assert!(
            !found.contains("Identity") && !found.contains("KnownHosts"),
            "{found}"
        );
    }
    let found = of("h:env", &login);
    assert!(
        found.contains(r#"-oIdentityFile="/keys/a 100%%""#),
        "{found}"
    );
    assert!(
        found.contains(r#"-oUserKnownHostsFile="/keys/known_hosts""#),
        "{found}"
    );
    assert!(
        found.ends_with("-l git -- h git-upload-pack 'env'"),
        "{found}"
    );
}

#[test]
fn a_passphrase_that_is_missing_or_wrong_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-a", "1", "-N", "right-s3cret", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let told = |passphrase: Option<&str>| {
        let login = SshLogin {
            key: Some(key.clone()),
            passphrase: passphrase.map(Redacted::new),
            known_hosts: None,
        };
        let refused = "echo 'git@h: Permission denied (publickey).' >&2; exit 255";
        let problem = problem_of(refused, login);
        assert!(
            matches!(problem, SourceProblem::Unauthorized { .. }),
            "{problem:?}"
        );
        problem.to_string()
    };
    let missing = told(None);
    assert!(
        missing.contains("is encrypted") && missing.contains("AGENT_GIT_SSH_PASSPHRASE"),
        "{missing}"
    );
    let wrong = told(Some("wrong-s3cret"));
    assert!(
        wrong.contains("is not that of the key") && !wrong.contains("s3cret"),
        "{wrong}"
    );
    assert!(told(Some("right-s3cret")).contains("publickey"));
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let login = SshLogin {
        key: Some("/nowhere/id_ed25519".into()),
        ..SshLogin::default()
    };
    let problem = problem_of("exit 0", login);
    assert!(
        problem.to_string().contains("/nowhere/id_ed25519"),
        "{problem}"
    );
}

#[test]
fn the_passphrase_is_answered_as_it_is() {
    let asked = askpass().unwrap();
    let [(_, program), .., (name, answer)] = answered(asked.path(), &Redacted::new("it's $HOME"));
    let output = Command::new("sh").arg(program).env(name, answer).output();
    assert_eq!(output.unwrap().stdout, b"it's $HOME\n");
}
