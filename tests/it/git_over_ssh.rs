//! Git over SSH knows hosts, keys and passphrases as OpenSSH does: what `git` itself may
//! fetch by the same files, the agent may, and nothing else.

use std::path::Path;
use std::process::Command;

use agent::model::Redacted;
use agent::source::{Credentials, Remote, SourceProblem, SshLogin};

use crate::support::git::Repository;
use crate::support::sshd::{KINDS, Sshd};

const AGENT: &[(&str, &str)] = &[("a.txt", "1\n")];

/// The agent's answer, and git's by the same files.
fn both(url: &str, key: &Path, known_hosts: &Path) -> (Result<(), SourceProblem>, bool) {
    let ours = ask(url, key, known_hosts, None);
    let theirs = format!(
        "ssh -F none -oBatchMode=yes -oIdentitiesOnly=yes -oIdentityAgent=none -oStrictHostKeyChecking=yes \
         -oGlobalKnownHostsFile=/dev/null -oUserKnownHostsFile={} -i {}",
        known_hosts.display(),
        key.display()
    );
    let theirs = Command::new("git")
        .args(["ls-remote", url])
        .env("GIT_SSH_COMMAND", theirs)
        .output();
    (ours, theirs.unwrap().status.success())
}

fn ask(
    url: &str,
    key: &Path,
    known_hosts: &Path,
    passphrase: Option<&str>,
) -> Result<(), SourceProblem> {
    let ssh = SshLogin {
        key: Some(key.to_owned()),
        passphrase: passphrase.map(Redacted::new),
        known_hosts: Some(known_hosts.to_owned()),
    };
    let credentials = Credentials {
        ssh,
        ..Credentials::default()
    };
    let branches = Remote::new(url.parse().unwrap(), credentials).branches()?;
    assert!(branches.contains_key("main"), "{branches:?}");
    Ok(())
}

#[test]
fn a_host_is_known_by_a_key_of_any_kind_or_by_its_authority() {
    let (server, repository) = (Sshd::start(), Repository::with(AGENT));
    let (url, host) = (server.url(&repository.remote()), server.host());
    let of = |lines: &[String]| both(&url, &server.key(), &server.known_hosts(lines));
    for kind in KINDS {
        let known = format!("{host} {}", server.host_key(kind));
        assert_eq!(of(&[known]), (Ok(()), true), "{kind}");
    }

    let told = |lines: &[String]| {
        let (ours, theirs) = of(lines);
        assert!(!theirs, "git goes there");
        let problem = ours.unwrap_err();
        assert!(
            matches!(problem, SourceProblem::HostKey { .. }),
            "{problem:?}"
        );
        problem.to_string()
    };
    let unknown = told(&[]);
    assert!(
        unknown.contains(&format!("host {host} is not in known_hosts")),
        "{unknown}"
    );
    let other = Sshd::start().host_key("ed25519");
    let changed = told(&[format!("{host} {other}")]);
    assert!(
        changed.contains("another key") && changed.contains("known_hosts:1"),
        "{changed}"
    );
    let mine = server.host_key("ed25519");
    let revoked = told(&[format!("@revoked * {mine}"), format!("{host} {mine}")]);
    assert!(revoked.contains("revoked"), "{revoked}");

    let authority = server.certify();
    let by_authority = format!("@cert-authority {host},127.0.0.1 {authority}");
    assert_eq!(of(&[by_authority]), (Ok(()), true));
    let mistaken = told(&[format!("@cert-authority {host},127.0.0.1 {other}")]);
    assert!(mistaken.contains("is not trusted"), "{mistaken}");
}

#[test]
fn a_key_that_is_locked_or_not_let_in_is_told_as_such() {
    let (server, repository) = (Sshd::start(), Repository::with(AGENT));
    let url = server.url(&repository.remote());
    let known = format!("{} {}", server.host(), server.host_key("ed25519"));
    let known = server.known_hosts(&[known]);
    let locked = server.locked_key("right 'S3cret' $HOME");
    let with = |passphrase| ask(&url, &locked, &known, passphrase);

    assert_eq!(with(Some("right 'S3cret' $HOME")), Ok(()));
    let told = |problem: SourceProblem| {
        assert!(
            matches!(problem, SourceProblem::Unauthorized { .. }),
            "{problem:?}"
        );
        problem.to_string()
    };
    let missing = told(with(None).unwrap_err());
    assert!(
        missing.contains("is encrypted") && missing.contains("AGENT_GIT_SSH_PASSPHRASE"),
        "{missing}"
    );
    let wrong = told(with(Some("wrong S3cret")).unwrap_err());
    assert!(
        wrong.contains("not that of the key") && !wrong.contains("S3cret"),
        "{wrong}"
    );
    // The server has another one by now.
    let (ours, theirs) = both(&url, &server.key(), &known);
    let refused = told(ours.unwrap_err());
    assert!(
        !theirs && refused.contains("Permission denied (publickey)"),
        "{refused}"
    );
}

#[test]
fn a_repository_that_is_not_there_is_told_as_such() {
    let server = Sshd::start();
    let known = format!("{} {}", server.host(), server.host_key("rsa"));
    let known = server.known_hosts(&[known]);
    let url = server.url(Path::new("/nowhere/env.git"));
    let problem = ask(&url, &server.key(), &known, None).unwrap_err();
    assert!(
        matches!(problem, SourceProblem::NoRepository { .. }),
        "{problem:?}"
    );
}
