use proptest::prelude::*;

use super::trailers as trailers_of;
use super::*;
use crate::model::is_seen;
use crate::source::scratch::git_with_input;

fn entry(subject: &str, body: &str, trailers: &[(&str, &str)]) -> Entry {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Entry {
        subject: subject.to_owned(),
        body: body.to_owned(),
        trailers: trailers.iter().map(owned).collect(),
        author: Signature {
            name: "Ada".to_owned(),
            email: String::new(),
            time: Timestamp::UNIX_EPOCH,
        },
        time: Timestamp::UNIX_EPOCH,
        changes: BTreeMap::new(),
    }
}

/// What real git takes the trailers to be.
fn git_reads(message: &str) -> Vec<(String, String)> {
    let parsed = git_with_input(&["interpret-trailers", "--parse"], message.as_bytes());
    let pairs = parsed.lines().filter_map(|line| line.split_once(": "));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn an_entry_reads_as_designed() {
    let entry = entry(
        "production: revert drift on Deployment shop/web",
        "spec.replicas: 5 (set by kubectl-scale at 2026-11-21T10:02:11Z) -> 3",
        &[("Environment", "production"), ("Cause", "drift")],
    );
    insta::assert_snapshot!(entry.message(), @r"
    production: revert drift on Deployment shop/web

    spec.replicas: 5 (set by kubectl-scale at 2026-11-21T10:02:11Z) -> 3

    Environment: production
    Cause: drift
    ");
}

#[test]
fn git_finds_the_trailers_whatever_the_text() {
    let trailers = [("Environment", "staging"), ("Plan", "sha256:ab")];
    let bodies = [
        "",
        "plain",
        "---\nafter a divider\n---",
        "Looks-Like: a trailer\nCause: forged",
        "diff --git a b\n--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y",
        "# not a comment\n\n\n\nmany blank lines\n\n",
        "\u{1b}[31mred\u{1b}[0m\r\nwindows\0",
    ];
    for body in bodies {
        let message = entry("a subject", body, &trailers).message();
        let expected = trailers.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(git_reads(&message), expected, "{message}");
        assert_eq!(trailers_of(&message), expected, "{message}");
        assert!(is_seen(&message) && !message.contains('\t'), "{message:?}");
    }
}

proptest! {
    #[test]
    fn all_of_a_message_is_seen(subject in ".*", body in "[a\u{202e}\u{200b}\u{e0041}\u{85}\u{2028}\n -]{0,40}", value in ".*") {
        let author = Signature {
            name: subject.clone(),
            email: body.clone(),
            time: Timestamp::UNIX_EPOCH,
        };
        let entry = entry(&subject, &body, &[("Cause", &value)]);
        prop_assert!(is_seen(&entry.message()), "{:?}", entry.message());
        let author = crate::record::author(&author).expect("Git takes it");
        let name = String::from_utf8_lossy(author.name_bytes()).into_owned();
        let email = String::from_utf8_lossy(author.email_bytes()).into_owned();
        prop_assert!(is_seen(&name) && is_seen(&email), "{name:?} {email:?}");
    }
}

#[test]
fn a_value_of_several_lines_is_folded() {
    let message = entry("s", "", &[("Error", "first\n\nsecond\n"), ("Unit", "shop")]).message();
    assert_eq!(message, "s\n\nError: first\n second\nUnit: shop\n");
    let unfolded = ("Error".to_owned(), "first second".to_owned());
    assert_eq!(git_reads(&message)[0], unfolded);
    assert_eq!(trailers_of(&message)[0], unfolded);
}

#[test]
fn a_key_is_made_one() {
    let message = entry("s", "", &[("Held by", "x"), ("", "y")]).message();
    assert!(message.ends_with("Held-by: x\nNote: y\n"), "{message}");
    assert_eq!(git_reads(&message).len(), 2);
}

#[test]
fn a_long_subject_goes_on_in_the_body() {
    let long = "word ".repeat(40);
    let message = entry(&long, "", &[("Cause", "drift")]).message();
    let (subject, rest) = message.split_once('\n').unwrap_or_default();
    assert!(
        subject.chars().count() <= 100 && subject.ends_with('…'),
        "{subject}"
    );
    assert!(rest.contains(long.trim()), "{rest}");
    assert_eq!(git_reads(&message).len(), 1);
}

#[test]
fn a_subject_is_one_line_and_never_empty() {
    assert!(
        entry("a\nb\u{7}c", "", &[])
            .message()
            .starts_with("a b\\u{7}c\n")
    );
    assert!(
        entry(" \n", "", &[])
            .message()
            .starts_with("(no subject)\n")
    );
}
