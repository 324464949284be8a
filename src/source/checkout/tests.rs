#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::super::scratch::Scratch;
use super::*;

#[test]
fn a_commit_is_named_as_git_does() {
    let scratch = Scratch::new();
    let first = scratch.commit("a", "1");
    let second = scratch.commit("a", "2");
    scratch.git(&["tag", "-a", "-m", "one", "v1", first.as_str()]);
    let path = &scratch.repository;
    for text in ["v1", "main~1", first.as_str(), first.short()] {
        assert_eq!(resolve(path, text).unwrap(), first, "{text}");
    }
    assert_eq!(resolve(path, "main").unwrap(), second);
    let error = resolve(path, "nothing").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`nothing` names no commit in "),
        "{error}"
    );
}

#[test]
fn a_commit_has_author_and_subject() {
    let scratch = Scratch::new();
    let head = scratch.commit("a", "1");
    let found = commit(&scratch.repository, &head).unwrap();
    assert_eq!(found.subject, "Set a");
    assert_eq!(
        (found.author.name.as_str(), found.author.email.as_str()),
        ("Ada", "ada@example.com")
    );
    assert_eq!(found.author.time.as_second(), 1_790_000_000);
    let absent = "0123456789012345678901234567890123456789".parse().unwrap();
    assert!(matches!(
        commit(&scratch.repository, &absent),
        Err(CheckoutError::Read { .. })
    ));
}

#[test]
fn a_checkout_is_found_from_within() {
    let scratch = Scratch::new();
    let inner = scratch.repository.join("apps/shop");
    std::fs::create_dir_all(&inner).unwrap();
    let checkout = Checkout::discover(&inner).unwrap();
    assert_eq!(
        checkout.root,
        scratch.repository.canonicalize().unwrap().join("")
    );
    assert_eq!(checkout.head(), None);
    let head = scratch.commit("a", "1");
    assert_eq!(checkout.head(), Some(head));
    assert!(!checkout.bare);
    let scratch = Scratch::bare();
    let head = scratch.commit("a", "1");
    let checkout = Checkout::discover(&scratch.repository).unwrap();
    assert_eq!(checkout.head(), Some(head));
    assert!(checkout.bare);
}
