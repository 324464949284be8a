//! What counts as the signature of a commit.

use proptest::prelude::*;

use super::*;

#[test]
fn what_git_has_signed_with_each_kind_of_key_is_good() {
    for (commit, name) in [
        ("ssh-ed25519", "ed25519@example.com"),
        ("ssh-rsa", "rsa@example.com"),
        ("ssh-ecdsa-256", "ecdsa-256@example.com"),
        ("ssh-ecdsa-384", "ecdsa-384@example.com"),
        ("ssh-ecdsa-521", "ecdsa-521@example.com"),
        ("gpg-ed25519", "ed <ed@example.com>"),
        ("gpg-rsa", "rsa <rsa@example.com>"),
        ("gpg-merge", "rsa <rsa@example.com>"),
        ("gpg-subkey", "sub <sub@example.com>"),
        ("gpg-before-expiry", "expiring <expiring@example.com>"),
        ("gpg-before-retired", "retired <retired@example.com>"),
    ] {
        assert_eq!(told(commit), name, "{commit}");
    }
}

#[test]
fn what_is_not_says_why() {
    for (commit, why) in [
        ("plain", "is not signed"),
        ("unsigned-merge", "is not signed"),
        (
            "ssh-unknown",
            "is signed with the SSH key KEY which is not among the keys that are trusted",
        ),
        (
            "gpg-unknown",
            "is signed with the OpenPGP key KEY which is not among the keys that are trusted",
        ),
        (
            "ssh-other-namespace",
            "is signed with the SSH key KEY which has signed it for `file`, not for `git`",
        ),
        (
            "gpg-after-expiry",
            "is signed with the OpenPGP key KEY which had expired on 2024-03-01T12:00:00Z",
        ),
        (
            "gpg-compromised",
            "is signed with the OpenPGP key KEY which is revoked as compromised",
        ),
        (
            "gpg-after-retired",
            "is signed with the OpenPGP key KEY which is revoked as retired",
        ),
        (
            "gpg-sha1",
            "is signed with the OpenPGP key KEY which has signed it by SHA1, which can be forged",
        ),
    ] {
        assert_eq!(told(commit), why, "{commit}");
    }
}

#[test]
fn a_changed_byte_is_seen_wherever_it_is() {
    let keys = all_keys();
    for name in [
        "ssh-ed25519",
        "ssh-rsa",
        "ssh-ecdsa-521",
        "gpg-ed25519",
        "gpg-subkey",
    ] {
        let raw = read(&format!("commits/{name}"));
        for (from, to) in [
            ("tree 4b", "tree 4c"),
            ("author Ada", "author Eve"),
            ("committer Ada", "committer Eve"),
            ("\n\n", "\nencoding x\n\n"),
            (name, "another message"),
        ] {
            // The message is the last that has the name.
            let at = raw.rfind(from).unwrap();
            let at = if from == "\n\n" {
                raw.find(from).unwrap()
            } else {
                at
            };
            let changed = format!("{}{to}{}", &raw[..at], &raw[at + from.len()..]);
            assert!(
                matches!(judge(&changed, &keys), Err(Distrust::Mismatch(_))),
                "{name} {from}"
            );
        }
        let appended = format!("{raw}\nand more");
        assert!(
            matches!(judge(&appended, &keys), Err(Distrust::Mismatch(_))),
            "{name}"
        );
    }
}

#[test]
fn a_signature_of_another_commit_or_two_of_them_are_none() {
    let keys = all_keys();
    let [mut one, other] = ["ssh-ed25519", "ssh-rsa"].map(|name| read(&format!("commits/{name}")));
    let header = |raw: &str| {
        let start = raw.find("gpgsig").unwrap();
        raw[start..=raw.find("\n\n").unwrap()].to_owned()
    };
    let swapped = other.replace(&header(&other), &header(&one));
    assert!(matches!(judge(&swapped, &keys), Err(Distrust::Mismatch(_))));
    let both = one.replace(&header(&one), &(header(&one) + &header(&other)));
    assert!(matches!(judge(&both, &keys), Err(Distrust::Unreadable(_))));
    // Git leaves out what is for another hash.
    let at = one.find("gpgsig").unwrap();
    one.insert_str(at, "gpgsig-sha256 x\n y\n");
    assert!(judge(&one, &keys).is_ok());
    let x509 = one.replace("BEGIN SSH SIGNATURE", "BEGIN SIGNED MESSAGE");
    assert_eq!(judge(&x509, &keys), Err(Distrust::X509));
    let cut = one.replace("-----END SSH SIGNATURE-----", "");
    assert!(matches!(judge(&cut, &keys), Err(Distrust::Unreadable(_))));
    assert!(judge("", &keys).is_err() && judge("gpgsig x", &keys).is_err());
}

proptest! {
    #[test]
    fn no_commit_makes_it_panic(
        name in prop::sample::select(vec!["ssh-ed25519", "ssh-ecdsa-521", "gpg-rsa", "gpg-subkey"]),
        cuts in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..4),
    ) {
        let mut raw = read(&format!("commits/{name}")).into_bytes();
        for (at, byte) in cuts {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
            let at = (at * raw.len() as f64) as usize;
            match byte % 3 {
                0 => raw.truncate(at),
                1 => raw.insert(at, byte),
                _ => if let Some(old) = raw.get_mut(at) { *old = byte },
            }
        }
        let now = Timestamp::from_second(NOW).unwrap();
        let _ = commit::signer(&raw, &all_keys(), now);
    }
}
