//! Which commits have to be signed.

use super::*;

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
}

#[test]
fn what_was_accepted_is_not_left_behind() {
    let scene = Scene::new(Mode::SinceLast);
    let first = scene.commit("ed25519", &[]);
    let side = scene.commit("ecdsa-384", &[&first]);
    let last = scene.commit("ed25519", &[&first]);
    let verifier = scene.verifier();
    for good in [&first, &last] {
        assert_eq!(scene.judge(&verifier, good, None), Ok(()));
    }
    // By a push of what somebody has signed: an older one, or another branch.
    let rewritten = scene.commit("ed25519", &[&side]);
    for signed in [&first, &side, &rewritten] {
        let why = scene.judge(&verifier, signed, None).unwrap_err();
        let (short, last) = (signed.short(), last.short());
        let words = format!("the commit {short} leaves {last} behind, the last commit that was");
        assert!(why.starts_with(&words), "{why}");
        assert!(
            why.contains(&format!("`git merge -s ours {last}`")),
            "{why}"
        );
        assert!(
            scene
                .judge(&scene.verifier(), signed, Some(signed))
                .is_err()
        );
    }
    // The newest answers for itself where that is asked alone.
    let head = Scene {
        policy: scene.policy.clone().map(|policy| Policy {
            mode: Mode::Head,
            ..policy
        }),
        ..scene
    };
    std::fs::remove_dir_all(head.scratch.data()).unwrap();
    let verifier = head.verifier();
    for good in [&last, &first] {
        assert_eq!(head.judge(&verifier, good, None), Ok(()));
    }
}

#[test]
fn who_may_sign_or_runs_the_agent_may_rewrite_the_branch() {
    let scene = Scene::new(Mode::SinceLast);
    let first = scene.commit("ed25519", &[]);
    let last = scene.commit("ed25519", &[&first]);
    let rewritten = scene.commit("ed25519", &[&first]);
    let verifier = scene.verifier();
    assert_eq!(scene.judge(&verifier, &last, None), Ok(()));
    assert!(scene.judge(&verifier, &rewritten, None).is_err());

    let named = Scene {
        policy: scene.policy.clone().map(|policy| Policy {
            since: Some(rewritten.clone()),
            ..policy
        }),
        scratch: scene.scratch,
    };
    let verifier = named.verifier();
    assert_eq!(named.judge(&verifier, &rewritten, None), Ok(()));
    let next = named.commit("ed25519", &[&rewritten]);
    assert_eq!(named.judge(&verifier, &next, None), Ok(()));
    assert!(
        named.judge(&verifier, &rewritten, None).is_err(),
        "once named is not for ever"
    );

    let unsigned = named.commit("", &[&last, &next]);
    assert!(named.judge(&verifier, &unsigned, None).is_err());
    let both = named.commit("ecdsa-256", &[&last, &next]);
    assert_eq!(named.judge(&verifier, &both, None), Ok(()));
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
    // One that is not there is not contained.
    let lost = Scene {
        policy: since.policy.clone().map(|policy| Policy {
            since: Some("1".repeat(40).parse().unwrap()),
            ..policy
        }),
        ..since
    };
    std::fs::remove_dir_all(lost.scratch.data()).unwrap();
    for one in [&head, &good] {
        let why = lost.judge(&lost.verifier(), one, None).unwrap_err();
        assert!(why.contains("leaves 11111111 behind"), "{why}");
    }
}
