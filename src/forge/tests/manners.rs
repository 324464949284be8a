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
        &Tls::default(),
    )
    .unwrap();
    let error = forge.pull_request(1).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Soon, "{error}");
}

#[tokio::test]
async fn a_limit_that_only_the_text_tells_of_is_no_lack_of_rights() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitHub);
    // As GitHub answers at times, with neither `retry-after` nor a spent count.
    let left = [("x-ratelimit-remaining", "14")];
    let words = r#"{"documentation_url": "https://docs.github.com/x#secondary-rate-limits",
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes."}"#;
    fake.with(USER, 403, &left, words);
    let error = forge.own_comments(1).await.unwrap_err();
    assert!(matches!(error, ForgeError::Limited { .. }), "{error}");
    fake.asked();
    assert!(forge.pull_request(1).await.is_err());
    assert_eq!(fake.asked(), [], "nothing is sent for a while");
}

#[tokio::test]
async fn what_has_moved_is_followed_below_the_api_and_writes_only_as_they_are() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitHub);
    let there = [("location", "HERE/api/v3/repositories/1000/pulls/1")];
    let moved = r#"{"message": "Moved Permanently"}"#;
    fake.with(PULL, 301, &there, moved);
    let there = "/api/v3/repositories/1000/pulls/1";
    fake.on(&format!("GET {there}"), 200, &recorded("github-merged"));
    assert_eq!(forge.pull_request(1).await.unwrap().number, 1347);
    let asked = fake.asked();
    assert_eq!(asked[1].headers["authorization"], "Bearer the-token");

    let patch = PULL.replace("GET", "PATCH");
    let kept = [("location", "/api/v3/repositories/1000/pulls/1")];
    fake.with(&patch, 307, &kept, moved);
    fake.on(&format!("PATCH {there}"), 200, "{}");
    forge.close(1).await.unwrap();
    let asked = fake.asked();
    assert_eq!(asked[1].body, serde_json::json!({"state": "closed"}));

    fake.with(&patch, 301, &kept, moved);
    let error = forge.close(1).await.unwrap_err().to_string();
    let words = "301): Moved Permanently; it is at /api/v3/repositories/1000/pulls/1";
    assert!(error.contains(words), "{error}");
    assert_eq!(fake.asked().len(), 1);

    // Round and round.
    let same = [("location", "HERE/api/v3/repos/team/deploy/pulls/1")];
    fake.with(PULL, 302, &same, "");
    assert!(forge.pull_request(1).await.is_err());
    assert!(fake.asked().len() < 6);
}

#[tokio::test]
async fn a_list_goes_on_under_the_name_by_which_the_forge_is_known_here() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::Gitea);
    let repo = "/api/v1/repos/team/deploy/pulls";
    let first = format!("GET {repo}?state=open&sort=oldest&limit=50");
    let link = |path: &str| format!("<https://git.example.com{path}?page=2>; rel=\"next\"");
    fake.with(&first, 200, &[("link", &link(repo))], "[]");
    let second = format!("GET {repo}?page=2");
    fake.on(&second, 200, "[]");
    assert_eq!(forge.open_pull_requests("main").await, Ok(Vec::new()));
    assert_eq!(fake.asked_for(), [first.clone(), second]);
    // A list of which a part can't be had is none.
    fake.with(&first, 200, &[("link", &link("/elsewhere"))], "[]");
    let error = forge.open_pull_requests("main").await.unwrap_err();
    assert!(matches!(error, ForgeError::Unclear { .. }), "{error}");
}

#[tokio::test]
async fn on_gitea_one_whose_branch_is_gone_hides_no_other() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::Gitea);
    let pull = |number: u64, sha: &str| {
        let branch =
            |name: &str, sha: &str| serde_json::json!({"ref": name, "sha": sha, "repo_id": 1});
        serde_json::json!({"number": number, "title": "x", "html_url": "x", "user": {"login": "team"},
            "state": "open", "merged": false, "head": branch("new", sha), "base": branch("main", "")})
    };
    let pulls = serde_json::json!([pull(1, ""), pull(2, revision('2').as_str())]);
    let list = "GET /api/v1/repos/team/deploy/pulls";
    let open = format!("{list}?state=open&sort=oldest&limit=50");
    fake.on(&open, 200, &pulls.to_string());
    fake.on(
        &format!("{list}?state=all&limit=50"),
        200,
        &pulls.to_string(),
    );
    for found in [
        forge.open_pull_requests("main").await.unwrap(),
        forge.pull_requests_from("new").await.unwrap(),
    ] {
        let numbers: Vec<_> = found.iter().map(|pull| pull.number).collect();
        assert_eq!(numbers, [2]);
    }
}

#[tokio::test]
async fn what_is_not_valid_is_told_in_detail() {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitHub);
    let invalid = r#"{"message": "Validation Failed", "errors": [
        {"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for team:x."},
        {"resource": "PullRequest", "code": "missing_field", "field": "base"}]}"#;
    fake.on(PULL, 422, invalid);
    let error = forge.pull_request(1).await.unwrap_err().to_string();
    let words =
        "Validation Failed; A pull request already exists for team:x.; base is missing_field";
    assert!(error.ends_with(words), "{error}");
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
