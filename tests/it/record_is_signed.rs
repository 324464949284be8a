//! Entries of the record are signed with the key that the agent was given, as Git itself
//! sees it.

use std::fs;
use std::process::Command;

use crate::support::git::git;
use crate::support::signed::fixture;
use crate::support::stage::Stage;

#[test]
fn every_entry_has_a_good_signature() {
    let mut stage = Stage::new("signing", env!("CARGO_BIN_EXE_agent"));
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&[("shop", "")])),
            (
                "shop/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n",
            ),
        ],
    );
    let agent = stage.invocation();
    let passphrase = agent.home().join("passphrase");
    fs::write(&passphrase, "open sesame\n").unwrap();
    let [key, passphrase] =
        [fixture("keys/encrypted"), passphrase].map(|file| file.display().to_string());
    let flags = [
        "--record-signing-key",
        &key,
        "--record-signing-passphrase-file",
        &passphrase,
    ];
    stage.start_as(agent.args(flags));
    stage.until_synced("shop", &revision);
    stage.kubectl(&["patch", "configmap", "a", "-p", r#"{"data":{"a":"c"}}"#]);
    stage.until_entry("revert drift");

    let branch = stage.branch();
    let remote = stage.repository.remote();
    for entry in stage.entries() {
        let raw = git(&remote, &["cat-file", "commit", &entry.hash]);
        assert!(
            raw.contains("\ngpgsig -----BEGIN SSH SIGNATURE-----\n"),
            "{raw}"
        );
    }
    assert!(!stage.log().contains("open sesame"));
    // What Git says needs OpenSSH, which not every machine has; that the signatures hold
    // is tested without it as well, beside what makes them.
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return;
    }
    let public = fs::read_to_string(fixture("keys/encrypted.pub")).unwrap();
    let signers = stage.daemon().home().join("signers");
    fs::write(
        &signers,
        format!("agent@example.com namespaces=\"git\" {public}"),
    )
    .unwrap();
    let list = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let told = git(&remote, &["-c", &list, "log", "--format=%G? %GS", &branch]);
    assert!(told.lines().count() >= 3, "{told}");
    assert!(
        told.lines().all(|line| line == "G agent@example.com"),
        "{told}"
    );
}

#[test]
fn a_key_that_cannot_be_used_is_an_error_at_once() {
    let stage = Stage::new("no-signing", env!("CARGO_BIN_EXE_agent"));
    for (key, says) in [
        ("encrypted", "is encrypted"),
        ("rsa", "ssh-keygen -t ed25519"),
        ("none", "can't be read"),
    ] {
        let key = fixture("keys").join(key).display().to_string();
        let ran = stage
            .invocation()
            .args(["--record-signing-key", &key])
            .run();
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}
