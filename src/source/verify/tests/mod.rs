#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use pgp::packet::{Subpacket, SubpacketData};
use proptest::prelude::*;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::super::scratch::Scratch;
use super::*;
use crate::model::Revision;

/// 2024-02-01, when most of the fixtures were signed, and a later day.
const FEBRUARY: i64 = 1_706_745_600;
const NOW: i64 = 1_800_000_000;

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("testdata/verify").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn all_keys() -> Keys {
    let names = [
        "allowed_signers",
        "ed.asc",
        "rsa.asc",
        "sub.asc",
        "expiring.asc",
        "compromised.asc",
        "retired.asc",
    ];
    Keys::read(&names.map(fixture)).unwrap()
}

fn judge(raw: &str, keys: &Keys) -> Result<Signer, Distrust> {
    commit::signer(raw.as_bytes(), keys, Timestamp::from_second(NOW).unwrap())
}

/// The name of the signer, or why not, of a fixture's commit.
fn told(name: &str) -> String {
    match judge(&read(&format!("commits/{name}")), &all_keys()) {
        Ok(signer) => signer.name,
        Err(why) => {
            let why = why.to_string();
            let hidden = why.split(' ').map(|word| match word.trim_end_matches(',') {
                key if key.len() == 40 || key.starts_with("SHA256:") => "KEY",
                _ => word,
            });
            hidden.collect::<Vec<_>>().join(" ")
        }
    }
}

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

/// A repository whose commits are signed or not, and the verifier of one environment.
struct Scene {
    scratch: Scratch,
    policy: Option<Policy>,
}

impl Scene {
    fn new(mode: Mode) -> Self {
        let scratch = Scratch::new();
        let policy = Policy {
            mode,
            keys: vec![fixture("allowed_signers")],
            since: None,
        };
        let policy = Some(policy);
        Self { scratch, policy }
    }

    /// A commit on some parents, signed with a fixture's key if one is named.
    fn commit(&self, key: &str, parents: &[&Revision]) -> Revision {
        self.commit_files(key, parents, &[])
    }

    /// The same with files.
    fn commit_files(&self, key: &str, parents: &[&Revision], files: &[(&str, &str)]) -> Revision {
        self.scratch.git(&["read-tree", "--empty"]);
        for (path, text) in files {
            let file = self.scratch.directory.path().join("blob");
            std::fs::write(&file, text).unwrap();
            let blob = self
                .scratch
                .git(&["hash-object", "-w", file.to_str().unwrap()]);
            let entry = format!("100644,{},{path}", blob.trim());
            self.scratch
                .git(&["update-index", "--add", "--cacheinfo", &entry]);
        }
        let tree = self.scratch.git(&["write-tree"]);
        let tree = tree.trim();
        let parents: Vec<String> = parents.iter().map(|id| format!("parent {id}\n")).collect();
        let parents = parents.concat();
        // Else two of the same would be one.
        let number = self.scratch.git(&["count-objects"]);
        let payload = format!(
            "tree {tree}\n{parents}author Eve <eve@x> {FEBRUARY} +0000\ncommitter Eve <eve@x> {FEBRUARY} +0000\n\nChange {number}\n"
        );
        let header = if key.is_empty() {
            String::new()
        } else {
            let key = PrivateKey::from_openssh(read(&format!("keys/{key}"))).unwrap();
            let signature = key
                .sign("git", HashAlg::Sha512, payload.as_bytes())
                .unwrap();
            let text = signature.to_pem(LineEnding::LF).unwrap();
            format!("gpgsig {}\n", text.trim_end().replace('\n', "\n "))
        };
        let raw = payload.replacen("\n\n", &format!("\n{header}\n"), 1);
        let file = self.scratch.directory.path().join("commit");
        std::fs::write(&file, raw).unwrap();
        let file = file.to_str().unwrap();
        self.scratch
            .git(&["hash-object", "-w", "-t", "commit", file])
            .trim()
            .parse()
            .unwrap()
    }

    fn verifier(&self) -> Verifier {
        let environment = "staging".parse().unwrap();
        Verifier::new(
            self.policy.clone(),
            &environment,
            &self.scratch.data(),
            Path::new("m.git"),
        )
    }

    fn judge(
        &self,
        verifier: &Verifier,
        head: &Revision,
        recorded: Option<&Revision>,
    ) -> Result<(), String> {
        let judged = verifier.head(&self.scratch.repository, head, recorded);
        judged.map_err(|error| error.to_string())
    }
}

#[test]
fn of_a_head_only_its_own_signature_counts() {
    let scene = Scene::new(Mode::Head);
    let unsigned = scene.commit("", &[]);
    let head = scene.commit("ecdsa-384", &[&unsigned]);
    let verifier = scene.verifier();
    assert_eq!(scene.judge(&verifier, &head, None), Ok(()));
    let why = scene.judge(&verifier, &unsigned, None).unwrap_err();
    let short = unsigned.short();
    assert!(
        why.starts_with(&format!(
            "the commit {short} is not signed (Eve <eve@x>: Change "
        )),
        "{why}"
    );
    let merge = scene.commit("", &[&head, &unsigned]);
    let why = scene.judge(&verifier, &merge, None).unwrap_err();
    assert!(
        why.starts_with("the merge ") && why.contains("let it sign its merges"),
        "{why}"
    );
}

#[test]
fn since_the_last_one_every_commit_counts_on_both_sides_of_a_merge() {
    let scene = Scene::new(Mode::SinceLast);
    let old = scene.commit("", &[]);
    let first = scene.commit("ed25519", &[&old]);
    let verifier = scene.verifier();
    assert_eq!(
        scene.judge(&verifier, &first, None),
        Ok(()),
        "what is before the first is trusted"
    );

    let hidden = scene.commit("", &[&first]);
    let head = scene.commit("ed25519", &[&hidden]);
    let why = scene.judge(&verifier, &head, None).unwrap_err();
    assert!(
        why.contains(hidden.short()) && why.contains("every commit since"),
        "{why}"
    );
    let merge = scene.commit("ed25519", &[&first, &hidden]);
    assert!(
        scene.judge(&verifier, &merge, None).is_err(),
        "by a merge as well"
    );

    let side = scene.commit("ecdsa-384", &[&old]);
    let merge = scene.commit("ecdsa-256", &[&first, &side]);
    assert_eq!(scene.judge(&verifier, &merge, None), Ok(()));
    // Not below what was accepted, and rewritten.
    let rewritten = scene.commit("ecdsa-384", &[&side]);
    assert_eq!(scene.judge(&verifier, &rewritten, None), Ok(()));
}

#[test]
fn a_restart_goes_on_from_what_was_accepted_and_believes_no_record() {
    let scene = Scene::new(Mode::SinceLast);
    let first = scene.commit("ed25519", &[]);
    let hidden = scene.commit("", &[&first]);
    let head = scene.commit("ed25519", &[&hidden]);
    assert_eq!(scene.judge(&scene.verifier(), &first, None), Ok(()));
    for recorded in [None, Some(&hidden), Some(&head)] {
        assert!(scene.judge(&scene.verifier(), &head, recorded).is_err());
    }
    let verifier = scene.verifier();
    let fallback = |revision| verifier.fallback(&scene.scratch.repository, revision);
    assert!(fallback(&first).is_ok() && fallback(&hidden).is_err());

    // With an empty data directory: from a commit that the operator names, or else from
    // the recorded one.
    std::fs::remove_dir_all(scene.scratch.data()).unwrap();
    assert!(scene.judge(&scene.verifier(), &head, Some(&first)).is_err());
    let since = Scene {
        policy: scene.policy.clone().map(|policy| Policy {
            since: Some(first.clone()),
            ..policy
        }),
        ..scene
    };
    assert!(since.judge(&since.verifier(), &head, Some(&head)).is_err());
    let good = since.commit("ecdsa-384", &[&first]);
    assert_eq!(since.judge(&since.verifier(), &good, None), Ok(()));
    // A base that is gone hides nothing.
    let lost = Scene {
        policy: since.policy.clone().map(|policy| Policy {
            since: Some("1".repeat(40).parse().unwrap()),
            ..policy
        }),
        ..since
    };
    std::fs::remove_dir_all(lost.scratch.data()).unwrap();
    assert!(lost.judge(&lost.verifier(), &head, None).is_err());
    assert_eq!(lost.judge(&lost.verifier(), &good, None), Ok(()));
}

const ASKS: &str = "version: 1\nverify: {mode: head, keys: [keys]}\n";
const ASKS_NOTHING: &str = "version: 1\n";

#[test]
fn what_the_last_accepted_revision_says_decides_about_the_next() {
    let scene = Scene {
        policy: None,
        ..Scene::new(Mode::Head)
    };
    let signers = read("allowed_signers");
    let with = |key: &str, parents: &[&Revision], agent: &str| {
        scene.commit_files(key, parents, &[("agent.yaml", agent), ("keys", &signers)])
    };
    let verifier = scene.verifier();
    let judge = |head: &Revision| scene.judge(&verifier, head, None);
    let old = with("", &[], ASKS_NOTHING);
    assert_eq!(judge(&old), Ok(()));
    // Nobody is asked before the first that asks, which has to be good by its own word.
    let first = with("", &[&old], ASKS);
    assert!(judge(&first).unwrap_err().contains("is not signed"));
    let first = with("ed25519", &[&old], ASKS);
    assert_eq!(judge(&first), Ok(()));

    // A push can neither switch it off nor bring its own keys.
    let off = with("", &[&first], ASKS_NOTHING);
    assert!(judge(&off).is_err());
    let stranger = std::fs::read_to_string(fixture("keys/unknown.pub")).unwrap();
    let own = format!("eve {stranger}");
    let own = scene.commit_files(
        "unknown",
        &[&first],
        &[("agent.yaml", ASKS), ("keys", &own)],
    );
    assert!(judge(&own).unwrap_err().contains("not among the keys"));
    assert!(
        scene.judge(&scene.verifier(), &off, Some(&off)).is_err(),
        "after a restart"
    );

    // Rules that can't be followed do not become the rules.
    let broken = with(
        "ed25519",
        &[&first],
        "version: 1\nverify: {mode: head, keys: [gone]}\n",
    );
    assert_eq!(judge(&broken), Ok(()));
    assert!(judge(&with("", &[&broken], ASKS_NOTHING)).is_err());

    // Who may sign may switch it off.
    let off = with("ecdsa-384", &[&broken], ASKS_NOTHING);
    assert_eq!(judge(&off), Ok(()));
    assert_eq!(judge(&with("", &[&off], ASKS_NOTHING)), Ok(()));
}

#[test]
fn without_a_data_directory_the_recorded_revision_says_it() {
    let scene = Scene {
        policy: None,
        ..Scene::new(Mode::Head)
    };
    let signers = read("allowed_signers");
    let files = |agent| [("agent.yaml", agent), ("keys", &*signers)];
    let first = scene.commit_files("ed25519", &[], &files(ASKS));
    let off = scene.commit_files("", &[&first], &files(ASKS_NOTHING));
    assert!(scene.judge(&scene.verifier(), &off, Some(&first)).is_err());
    // One that is gone says nothing.
    let gone = "1".repeat(40).parse().unwrap();
    assert_eq!(scene.judge(&scene.verifier(), &off, Some(&gone)), Ok(()));
    let unreadable = scene.commit_files("", &[], &[("agent.yaml", "[")]);
    assert_eq!(
        scene.judge(&scene.verifier(), &unreadable, None),
        Ok(()),
        "told by who reads it"
    );
    assert_eq!(refusal(&scene.scratch.repository, &first), None);
    let unsigned = scene.commit_files("", &[&first], &files(ASKS));
    let why = refusal(&scene.scratch.repository, &unsigned).unwrap();
    assert!(why.contains("is not signed"), "{why}");
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
