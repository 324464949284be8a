//! How every forge is asked: not too often, and with the token of now.

use super::*;
use crate::runtime::clock;

const USER: &str = "GET /api/v3/user";
const PULL: &str = "GET /api/v3/repos/team/deploy/pulls/1";

#[tokio::test]
async fn nothing_is_sent_while_a_rate_limit_lasts() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitHub);
    let reset = (clock::now().as_second() + 90).to_string();
    let spent = [
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", reset.as_str()),
    ];
    let message = r#"{"message": "API rate limit exceeded"}"#;
    fake.with(PULL, 403, &spent, message);
    let error = forge.pull_request(1).await.unwrap_err();
    let Retry::At(until) = error.retry() else {
        panic!("{error}");
    };
    assert_eq!(until.as_second().to_string(), reset);
    assert_eq!(fake.asked().len(), 1);
    assert_eq!(forge.pull_request(2).await, Err(error));
    assert_eq!(fake.asked(), []);
}

#[tokio::test]
async fn a_failure_says_when_to_try_again_and_never_the_token() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitHub);
    for (status, retry, words) in [
        (401, Retry::WhenInputsChange, "does not accept the token"),
        (
            403,
            Retry::WhenInputsChange,
            "does not allow the token to do this (GET /repos/team/deploy/pulls/1): told off",
        ),
        (404, Retry::WhenInputsChange, "knows of no such thing"),
        (422, Retry::WhenInputsChange, "422): told off"),
        (302, Retry::WhenInputsChange, "302"),
        (503, Retry::Soon, "503): told off"),
    ] {
        let elsewhere = [("location", "HERE/elsewhere")];
        fake.with(PULL, status, &elsewhere, "{\"message\": \"told\\noff\"}");
        let error = forge.pull_request(1).await.unwrap_err();
        assert_eq!(error.retry(), retry, "{error}");
        let text = format!("{error} {error:?}");
        assert!(
            text.contains(words) && !text.contains("the-token"),
            "{text}"
        );
    }
    fake.on(PULL, 200, "{\"number\": \"one\"}");
    let error = forge.pull_request(1).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unclear { .. }), "{error}");
    assert!(fake.asked_for().iter().all(|what| what == PULL));
    let nobody = ForgeAddress::of(
        &"http://127.0.0.1:1/a/b".parse().unwrap(),
        Some(ForgeKind::Gitea),
        None,
    );
    let forge = connect(
        &nobody.unwrap().unwrap(),
        ForgeToken::Given(Redacted::new("t")),
    )
    .unwrap();
    let error = forge.pull_request(1).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Soon, "{error}");
}

#[tokio::test]
async fn a_rotated_token_is_taken_up() {
    let fake = Fake::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let forge = fake.forge_with(ForgeKind::GitHub, ForgeToken::File(path.clone()));
    let error = forge.own_comments(1).await.unwrap_err();
    assert!(matches!(error, ForgeError::Token { .. }), "{error}");
    for (text, header) in [
        ("one\n", "Bearer one"),
        ("x-access-token:two", "Bearer two"),
    ] {
        std::fs::write(&path, text).unwrap();
        fake.on(USER, 401, "");
        assert!(forge.own_comments(1).await.is_err());
        assert_eq!(fake.asked()[0].headers["authorization"], header);
    }
}

#[test]
fn a_description_is_one_line_that_every_forge_takes() {
    let long = format!("{}\nsecond", "ä".repeat(200));
    let status = CommitStatus::new("a".to_owned(), StatusState::Failure, &long, None);
    assert_eq!(status.description.chars().count(), 140);
    assert!(status.description.ends_with('…'));
    let short = CommitStatus::new("a".to_owned(), StatusState::Failure, "one\ntwo", None);
    assert_eq!(short.description, "one");
}
