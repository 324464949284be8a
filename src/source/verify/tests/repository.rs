//! What the repository itself asks for, and that a push can't switch it off.

use super::*;

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
