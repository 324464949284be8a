//! Which keys count, for what and when.

use jiff::tz::TimeZone;
use pgp::packet::{Subpacket, SubpacketData};

use super::*;

/// A commit of a time, signed here.
fn signed_at(seconds: i64, namespace: &str) -> String {
    let payload = format!(
        "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 0 +0000\ncommitter A <a@b> {seconds} +0000\n\nx\n"
    );
    let key = PrivateKey::from_openssh(read("keys/ed25519")).unwrap();
    let signature = key.sign(namespace, HashAlg::Sha512, payload.as_bytes());
    let signature = signature.unwrap().to_pem(LineEnding::LF).unwrap();
    let header = signature.trim_end().replace('\n', "\n ");
    payload.replace("\n\n", &format!("\ngpgsig {header}\n\n"))
}

#[test]
fn the_options_of_an_allowed_signer_are_kept() {
    let key = read("keys/ed25519.pub");
    let key = key.trim();
    let judge = |options: &str, seconds: i64| {
        let mut keys = Keys::default();
        keys.add(
            "signers",
            &format!("# ours\n\n\"ada@x,bob@x\" {options} {key}\n"),
        )
        .unwrap();
        judge(&signed_at(seconds, "git"), &keys)
    };
    let fault = |options: &str, seconds: i64| match judge(options, seconds) {
        Err(Distrust::Key { fault, .. }) => fault,
        other => panic!("{options}: {other:?}"),
    };
    for options in [
        "",
        "namespaces=\"git\"",
        "namespaces=\"file,g?t\"",
        "NAMESPACES=\"*\"",
        "valid-after=\"20240201Z\"",
        "valid-after=202402010000Z,valid-before=\"20240201000001Z\"",
    ] {
        assert_eq!(
            judge(options, FEBRUARY).unwrap().name,
            "ada@x,bob@x",
            "{options}"
        );
    }
    assert!(matches!(
        fault("namespaces=\"file\"", FEBRUARY),
        Fault::Namespaces(_)
    ));
    assert!(matches!(
        fault("namespaces=\"*,!git\"", FEBRUARY),
        Fault::Namespaces(_)
    ));
    let day = |text: &str| text.parse::<Timestamp>().unwrap();
    let ended = day("2024-02-01T00:00:00Z");
    assert_eq!(
        fault("valid-before=20240201Z", FEBRUARY),
        Fault::Expired(ended)
    );
    assert_eq!(
        fault("valid-after=20240201Z", FEBRUARY - 1),
        Fault::Early(ended)
    );
    assert!(judge("valid-before=20240201Z", FEBRUARY - 1).is_ok());
    // Of several lines one is enough.
    let mut keys = Keys::default();
    let two = format!("a valid-before=20240101Z {key}\nb {key}\n");
    keys.add("signers", &two).unwrap();
    assert_eq!(
        self::judge(&signed_at(FEBRUARY, "git"), &keys)
            .unwrap()
            .name,
        "b"
    );
    assert!(self::judge(&signed_at(FEBRUARY, "file"), &keys).is_err());
}

#[test]
fn a_file_that_is_not_understood_is_refused_with_its_line() {
    let key = read("keys/ed25519.pub");
    for (line, says) in [
        (
            format!("a cert-authority {key}"),
            "certificates (`cert-authority`) are not supported",
        ),
        (
            format!("a valid-before=tomorrow {key}"),
            "`tomorrow` is no time",
        ),
        (
            format!("a valid-until=20240101 {key}"),
            "`valid-until` is not known",
        ),
        (format!("\"a {key}"), "a quote is not closed"),
        ("a".to_owned(), "something is missing"),
        ("a ssh-ed25519 AAAA".to_owned(), "the key can't be read"),
        (
            "a ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
            "the key can't be read",
        ),
    ] {
        let text = format!("# comment\n{line}");
        let (at, what) = allowed::parse(&text, &TimeZone::UTC).unwrap_err();
        assert!(at == 2 && what.contains(says), "{line}: {at} {what}");
    }
    let mut keys = Keys::default();
    let broken = read("ed.asc").replace("mDM", "xxx");
    assert!(matches!(
        keys.add("ring", &broken),
        Err(KeysError::Keyring { .. })
    ));
    let scratch = Scratch::new();
    let empty = scratch.directory.path().join("keys");
    std::fs::write(&empty, "# none\n").unwrap();
    assert!(matches!(Keys::read(&[empty]), Err(KeysError::None { .. })));
    assert!(matches!(
        Keys::read(&[fixture("none")]),
        Err(KeysError::Unreadable { .. })
    ));
}

#[test]
fn a_revocation_counts_whichever_copy_of_the_key_has_it() {
    let revoked = read("compromised.asc");
    let mut ring = openpgp::parse(&revoked).unwrap();
    ring[0].details.revocation_signatures.clear();
    let early = ring[0]
        .to_armored_string(pgp::composed::ArmorOptions::default())
        .unwrap();
    let keys = |text: String| {
        let mut keys = Keys::default();
        keys.add("ring", &text).unwrap();
        keys
    };
    let raw = read("commits/gpg-compromised");
    assert!(judge(&raw, &keys(early.clone())).is_ok());
    for both in [format!("{early}\n{revoked}"), format!("{revoked}\n{early}")] {
        assert!(judge(&raw, &keys(both)).is_err());
    }
}

#[test]
fn nothing_but_its_owner_binds_a_key() {
    let raw = read("commits/gpg-subkey");
    let judge_changed = |change: fn(&mut pgp::composed::SignedPublicKey)| {
        let mut keys = Keys {
            openpgp: openpgp::parse(&read("sub.asc")).unwrap(),
            ..Keys::default()
        };
        change(&mut keys.openpgp[0]);
        judge(&raw, &keys)
    };
    assert!(judge_changed(|_| {}).is_ok());
    // The self-signatures are gone, or those of another key stand in their place.
    assert!(judge_changed(|key| key.details.users.clear()).is_err());
    assert!(judge_changed(|key| key.public_subkeys[0].signatures.clear()).is_err());
    // The subkey does not say that it belongs to this key.
    assert!(
        judge_changed(|key| {
            let binding = &mut key.public_subkeys[0].signatures[0];
            let embedded =
                |part: &Subpacket| matches!(part.data, SubpacketData::EmbeddedSignature(_));
            let at = {
                let mut parts = binding.config().unwrap().unhashed_subpackets();
                parts.position(embedded).unwrap()
            };
            binding.unhashed_subpacket_remove(at).unwrap();
        })
        .is_err()
    );
    assert!(
        judge_changed(|key| {
            let other = openpgp::parse(&read("ed.asc")).unwrap().remove(0);
            key.primary_key = other.primary_key;
            key.details = other.details;
        })
        .is_err()
    );
}
