#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::HeaderMap;
use proptest::prelude::*;

use super::limit::Refusals;
use super::signature::{Check, Claim, sign};
use super::*;
use crate::model::Redacted;

const SECRET: &str = "It's a Secret to Everybody";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, value.parse().unwrap())
        })
        .collect()
}

fn hint(pairs: &[(&'static str, &str)], body: &str) -> Hint {
    let delivery = Delivery::of(&headers(pairs)).unwrap();
    delivery.hint(body.as_bytes()).unwrap()
}

fn branches(names: &[&str]) -> News {
    News::Branches(names.iter().map(|name| (*name).to_owned()).collect())
}

fn holds(claim: &Claim, secrets: &[&str], parts: &[&str]) -> bool {
    let secrets: Vec<Redacted> = secrets.iter().map(|text| Redacted::new(*text)).collect();
    let mut check = Check::new(claim, &secrets);
    for part in parts {
        check.update(part.as_bytes());
    }
    check.holds()
}

#[test]
fn a_push_names_repository_and_branch_in_the_words_of_each_forge() {
    let github = r#"{"ref":"refs/heads/main","before":"0","repository":{"id":1,"full_name":"team/deploy","owner":{}},"commits":[]}"#;
    let gitlab = r#"{"object_kind":"push","event_name":"push","ref":"refs/heads/main","project":{"path_with_namespace":"team/deploy","web_url":"x"}}"#;
    let cloud = r#"{"push":{"changes":[{"old":null,"new":{"type":"branch","name":"main"}}]},"repository":{"full_name":"team/deploy"}}"#;
    let data_center = r#"{"eventKey":"repo:refs_changed","repository":{"slug":"deploy","project":{"key":"team"}},"changes":[{"ref":{"id":"refs/heads/main","displayId":"main","type":"BRANCH"},"type":"UPDATE"}]}"#;
    let generic = r#"{"repository":"team/deploy","ref":"main"}"#;
    for (header, event, body) in [
        ("x-github-event", "push", github),
        ("x-gitea-event", "push", github),
        ("x-forgejo-event", "push", github),
        ("x-gitlab-event", "Push Hook", gitlab),
        ("x-event-key", "repo:push", cloud),
        ("x-event-key", "repo:refs_changed", data_center),
        ("x-signature", "sha256=00", generic),
    ] {
        let expected = Hint {
            repository: Some("team/deploy".to_owned()),
            news: branches(&["main"]),
        };
        assert_eq!(hint(&[(header, event)], body), expected, "{header}");
    }
}

#[test]
fn what_cannot_move_a_branch_is_told_from_what_can() {
    let tag = r#"{"ref":"refs/tags/v1","object_kind":"tag_push"}"#;
    let deleted = r#"{"push":{"changes":[{"old":{"type":"branch","name":"main"},"new":null},{"old":null,"new":{"type":"tag","name":"v1"}}]}}"#;
    let request = r#"{"action":"opened","pull_request":{},"object_kind":"merge_request"}"#;
    for (pairs, body, expected) in [
        ([("x-github-event", "push")], tag, News::Nothing),
        (
            [("x-github-event", "ping")],
            r#"{"zen":"x"}"#,
            News::Nothing,
        ),
        ([("x-gitlab-event", "Tag Push Hook")], tag, News::Nothing),
        ([("x-event-key", "repo:push")], deleted, branches(&["main"])),
        (
            [("x-github-event", "pull_request")],
            request,
            News::PullRequests,
        ),
        (
            [("x-gitea-event", "pull_request_sync")],
            request,
            News::PullRequests,
        ),
        (
            [("x-gitlab-event", "Merge Request Hook")],
            request,
            News::PullRequests,
        ),
        (
            [("x-event-key", "pullrequest:updated")],
            "{}",
            News::PullRequests,
        ),
        (
            [("x-event-key", "pr:from_ref_updated")],
            "{}",
            News::PullRequests,
        ),
        (
            [("x-event-key", "repo:updated")],
            r#"{"repository":{"full_name":"team/deploy"},"changes":{"name":{"old":"a","new":"deploy"}}}"#,
            News::Nothing,
        ),
        ([("x-signature", "sha256=00")], " ", News::SomeBranch),
    ] {
        assert_eq!(hint(&pairs, body).news, expected, "{pairs:?} {body}");
    }
}

#[test]
fn gitea_is_not_taken_for_github_whose_headers_it_sends_too() {
    let body = "{}";
    let code = sign(&Redacted::new(SECRET), body.as_bytes());
    let sent = headers(&[
        ("x-github-event", "push"),
        ("x-hub-signature-256", "sha256=00"),
        ("x-gitea-event", "push"),
        ("x-gitea-signature", &code),
    ]);
    let delivery = Delivery::of(&sent).unwrap();
    assert_eq!(delivery.sender, Sender::Gitea);
    assert!(holds(&delivery.claim, &[SECRET], &[body]));
}

#[test]
fn a_form_holds_the_json_in_a_field() {
    let pairs = [
        ("x-github-event", "push"),
        (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
    ];
    let body = "a=b&payload=%7B%22ref%22%3A%22refs%2Fheads%2Fa+%25%22%7D&c";
    assert_eq!(hint(&pairs, body).news, branches(&["a %"]));
    let delivery = Delivery::of(&headers(&pairs)).unwrap();
    assert!(matches!(delivery.hint(b"a=b"), Err(BodyError::Form)));
    assert!(delivery.hint(b"payload=%7").is_err());
}

/// The example of GitHub's documentation.
#[test]
fn githubs_own_example_holds() {
    let code = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let claim = |code| {
        Claim::hub(
            &headers(&[("x-hub-signature-256", code)]),
            github::SIGNATURE,
        )
    };
    assert!(holds(&claim(code), &[SECRET], &["Hello, ", "World!"]));
    assert!(holds(
        &claim(code),
        &["old", SECRET, "new"],
        &["Hello, World!"]
    ));
    assert!(!holds(&claim(code), &["old", "new"], &["Hello, World!"]));
    assert!(!holds(&claim(code), &[], &["Hello, World!"]));
    assert!(!holds(&claim(code), &[SECRET], &["Hello, World"]));
    for wrong in [
        "sha1=757107ea",
        "757107ea",
        "sha256=",
        "sha256=zz",
        &code[..70],
    ] {
        let claim = claim(wrong);
        assert!(!holds(&claim, &[SECRET], &["Hello, World!"]), "{wrong}");
        assert!(Check::new(&claim, &[Redacted::new(SECRET)]).failed() || wrong == "sha256=");
    }
}

#[test]
fn gitlabs_token_and_its_signature_hold() {
    let token = gitlab::claim(&headers(&[("x-gitlab-token", SECRET)]));
    assert!(holds(&token, &["other", SECRET], &["whatever"]));
    assert!(!holds(&token, &["other"], &["whatever"]));
    assert!(!format!("{token:?}").contains(SECRET));

    let key = base64::engine::general_purpose::STANDARD.encode("0123456789abcdef");
    let code = sign(&Redacted::new("0123456789abcdef"), b"id.17.body");
    let code = base64::engine::general_purpose::STANDARD.encode(hex::decode(code).unwrap());
    let signed = |signature: &str| {
        gitlab::claim(&headers(&[
            ("webhook-id", "id"),
            ("webhook-timestamp", "17"),
            ("webhook-signature", signature),
            // The token does not make up for a signature that fails.
            ("x-gitlab-token", "whsec"),
        ]))
    };
    let secret = format!("whsec_{key}");
    assert!(holds(
        &signed(&format!("v1,AAAA v1,{code}")),
        &[&secret],
        &["bo", "dy"]
    ));
    assert!(!holds(
        &signed(&format!("v1,{code}")),
        &[&secret, "whsec"],
        &["bodY"]
    ));
    assert!(!holds(
        &signed(&format!("v2,{code}")),
        &[&secret, "whsec"],
        &["body"]
    ));
}

#[test]
fn the_same_repository_is_known_by_every_address() {
    for address in [
        "https://git.example.com/team/deploy.git",
        "http://gitea.gitea.svc:3000/git/Team/deploy/",
        "ssh://git@git.example.com:2222/team/deploy.git",
        "git@git.example.com:team/deploy.git",
        "https://bitbucket.example.com/scm/team/deploy.git",
    ] {
        let place = Place::new(address, "main");
        let judge = |repository: &str, news: News| {
            place.judge(&Hint {
                repository: Some(repository.to_owned()),
                news,
            })
        };
        for same in [
            "team/deploy",
            "TEAM/deploy",
            "https://other/team/deploy.git",
        ] {
            assert_eq!(
                judge(same, branches(&["x", "main"])),
                Verdict::Fetch,
                "{address}"
            );
            assert_eq!(judge(same, branches(&["x"])), Verdict::OtherBranch);
            assert_eq!(judge(same, News::PullRequests), Verdict::PullRequests);
            assert_eq!(judge(same, News::Nothing), Verdict::Nothing);
        }
        for other in ["steam/deploy", "team/deploy2", "am/deploy", "x/team/deploy"] {
            assert_eq!(
                judge(other, News::SomeBranch),
                Verdict::OtherRepository,
                "{other}"
            );
        }
    }
}

#[test]
fn an_address_that_is_refused_too_often_is_not_heard_for_a_while() {
    let (mut refusals, now) = (Refusals::default(), Instant::now());
    let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
    for _ in 0..20 {
        assert!(!refusals.too_many(one, now));
        refusals.note(one, now);
    }
    assert!(refusals.too_many(one, now) && !refusals.too_many(other, now));
    assert!(!refusals.too_many(one, now + Duration::from_millis(200)));
    let [six, neighbour, far]: [IpAddr; 3] =
        ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
    (0..20).for_each(|_| refusals.note(six, now));
    assert!(refusals.too_many(neighbour, now) && !refusals.too_many(far, now));
    for number in 0..5000_u32 {
        refusals.note(IpAddr::V4(number.into()), now + Duration::from_secs(9));
    }
    assert!(!refusals.too_many(one, now), "it was forgotten");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(
        header in prop::sample::select(vec![
            "x-github-event", "x-gitea-event", "x-gitlab-event", "x-event-key", "x-signature",
        ]),
        event in prop::sample::select(vec!["push", "pull_request", "repo:push", "pr:opened", "ping"]),
        form: bool,
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"\{("(ref|repository|push|changes|project|object_kind|pullRequest)":("refs/heads/main"|null|\{"full_name":"a/b"\}|\[\{\}\]),?){0,4}\}"#
                .prop_map(String::into_bytes),
            "(payload=|&|%7B|%2|%|\\{|\\+){0,9}".prop_map(String::into_bytes),
        ],
    ) {
        let kind = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        let delivery = Delivery::of(&headers(&[(header, event), ("content-type", kind)])).unwrap();
        let place = Place::new("https://git.example.com/a/b", "main");
        if let Ok(hint) = delivery.hint(&body) {
            place.judge(&hint);
        }
        delivery.hint_unread();
    }
}
