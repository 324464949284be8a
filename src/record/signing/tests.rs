#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use super::super::{Entry, RecordBranch};
use super::*;
use crate::model;
use crate::runtime::clock;
use crate::source::scratch::{Scratch, commit_on, git};
use crate::source::verify::{Mode, Policy, Verifier};

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("testdata/verify/keys").join(name)
}

fn open(scratch: &Scratch, key: SigningKey) -> RecordBranch {
    let environment = "staging".parse().unwrap();
    let opened = RecordBranch::open(
        &scratch.data(),
        scratch.remote(),
        &environment,
        &crate::record::BranchPattern::default(),
    );
    opened.unwrap().signed_by(Some(key))
}

fn entry(subject: &str) -> Entry {
    Entry {
        subject: subject.to_owned(),
        body: "größer".to_owned(),
        trailers: vec![("Environment".to_owned(), "staging".to_owned())],
        author: model::Signature {
            name: "kubectl-edit".to_owned(),
            email: String::new(),
            time: clock::now(),
        },
        time: clock::now(),
        changes: [(subject.to_owned(), Some(b"x".to_vec()))].into(),
    }
}

/// Which commits of the pushed record are signed with a key, newest first.
fn signed(scratch: &Scratch, public: &str) -> Vec<bool> {
    let list = scratch.directory.path().join("signers");
    let key = std::fs::read_to_string(fixture(public)).unwrap();
    std::fs::write(&list, format!("agent {key}")).unwrap();
    let policy = Policy {
        mode: Mode::Head,
        keys: vec![list],
        since: None,
    };
    let environment = "staging".parse().unwrap();
    let none = scratch.directory.path().join("none");
    let verifier = Verifier::new(Some(policy), &environment, &none, &none);
    let log = git(&scratch.repository, &["log", "--format=%H", "live/staging"]);
    let judge = |line: &str| {
        let revision = line.parse().unwrap();
        verifier.fallback(&scratch.repository, &revision).is_ok()
    };
    log.lines().map(judge).collect()
}

#[test]
fn every_entry_is_signed_also_when_it_is_put_on_top_of_others() {
    for name in ["ed25519", "ecdsa-256"] {
        let scratch = Scratch::bare();
        let key = SigningKey::read(&fixture(name), None).unwrap();
        let mut record = open(&scratch, key);
        record.append(&entry("one")).unwrap();
        record.append(&entry("two")).unwrap();
        record.push().unwrap();
        commit_on(&scratch.repository, "live/staging", "foreign", "x");
        record.append(&entry("three")).unwrap();
        record.push().unwrap();
        let public = format!("{name}.pub");
        assert_eq!(signed(&scratch, &public), [true, false, true, true]);
        assert_eq!(signed(&scratch, "unknown.pub"), [false; 4]);
        let subjects = git(&scratch.repository, &["log", "--format=%s", "live/staging"]);
        assert!(subjects.starts_with("three\n"), "{subjects}");
    }
}

#[test]
fn an_encrypted_key_is_opened_by_its_passphrase_alone() {
    let scratch = Scratch::bare();
    let [right, wrong] = [("right", "open sesame\n"), ("wrong", "open\n")].map(|(name, text)| {
        let file = scratch.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    });
    let read = |passphrase: Option<&Path>| SigningKey::read(&fixture("encrypted"), passphrase);
    assert!(matches!(read(None), Err(SigningKeyError::Encrypted { .. })));
    assert!(matches!(
        read(Some(&wrong)),
        Err(SigningKeyError::Passphrase { .. })
    ));
    let mut record = open(&scratch, read(Some(&right)).unwrap());
    record.append(&entry("one")).unwrap();
    record.push().unwrap();
    assert_eq!(signed(&scratch, "encrypted.pub"), [true]);
}

#[test]
fn a_key_that_cannot_sign_is_refused_at_once() {
    let read = |name: &str| SigningKey::read(&fixture(name), None).unwrap_err();
    assert!(matches!(read("rsa"), SigningKeyError::Kind { .. }));
    assert!(matches!(
        read("ed25519.pub"),
        SigningKeyError::Format { .. }
    ));
    assert!(matches!(read("none"), SigningKeyError::Unreadable { .. }));
    let key = SigningKey::read(&fixture("ed25519"), None).unwrap();
    assert!(format!("{key:?}").starts_with("SigningKey(SHA256:"));
}
