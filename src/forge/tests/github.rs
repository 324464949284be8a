use serde_json::json;

use super::*;

const PULLS: &str =
    "GET /api/v3/repos/team/deploy/pulls?state=open&sort=created&direction=asc&per_page=100";
const MORE: &str = "GET /api/v3/repos/team/deploy/pulls?page=2";
const COMMENTS: &str = "GET /api/v3/repos/team/deploy/issues/1347/comments?per_page=100";

async fn github() -> (Fake, Arc<dyn Forge>) {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitHub);
    (fake, forge)
}

fn with_pulls(fake: &Fake) {
    let next = r#"<HERE/api/v3/repos/team/deploy/pulls?page=2>; rel="next", <HERE/x>; rel="last""#;
    let first = [("etag", "\"one\""), ("link", next)];
    fake.with(PULLS, 200, &first, &recorded("github-pulls-1"));
    let second = [("etag", "\"two\"")];
    fake.with(MORE, 200, &second, &recorded("github-pulls-2"));
}

#[tokio::test]
async fn pull_requests_are_read_over_all_pages_and_asked_for_again_by_their_tags() {
    let (fake, forge) = github().await;
    with_pulls(&fake);
    let pulls = forge.open_pull_requests("main").await.unwrap();
    let seen: Vec<_> = pulls
        .iter()
        .map(|pull| {
            let standing = pull.author.standing;
            (
                pull.number,
                pull.author.name.as_str(),
                standing,
                pull.head.fork,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1347, "octocat", Standing::Member, false),
            (1349, "monalisa", Standing::Stranger, true),
            (1350, "", Standing::Stranger, true),
        ]
    );
    assert_eq!(pulls[0].head.branch, "new-topic");
    assert_eq!(pulls[0].head.revision.short(), "6dcb09b5");
    assert_eq!(pulls[0].state, PullState::Open);
    let asked = fake.asked();
    assert_eq!(asked[0].headers["authorization"], "Bearer the-token");
    assert_eq!(asked[0].headers["x-github-api-version"], "2022-11-28");
    assert!(asked[0].headers["user-agent"].starts_with("gitops-agent/"));
    assert!(!asked[0].headers.contains_key("if-none-match"));

    let again = forge.open_pull_requests("main").await.unwrap();
    assert_eq!(again, pulls);
    let tags: Vec<_> = fake
        .asked()
        .into_iter()
        .map(|asked| asked.headers["if-none-match"].clone())
        .collect();
    assert_eq!(tags, ["\"one\"", "\"two\""]);
}

#[tokio::test]
async fn who_is_a_member_in_private_is_one_and_so_is_an_app() {
    let (fake, forge) = github().await;
    let pull = |number: u64, login: &str, kind: &str| {
        let mut pull: Value = serde_json::from_str(&recorded("github-merged")).unwrap();
        pull["number"] = json!(number);
        pull["user"] = json!({"login": login, "type": kind});
        pull["author_association"] = json!("CONTRIBUTOR");
        pull
    };
    let pulls = json!([
        pull(1, "quiet", "User"),
        pull(2, "reader", "User"),
        pull(3, "renovate[bot]", "Bot"),
        pull(4, "unknown", "User"),
    ]);
    fake.on(PULLS, 200, &pulls.to_string());
    let may = |login: &str, what: &str| {
        let path = format!("GET /api/v3/repos/team/deploy/collaborators/{login}/permission");
        let body = json!({"permission": what, "role_name": what, "user": {"login": login}});
        fake.on(&path, 200, &body.to_string());
    };
    may("quiet", "write");
    may("reader", "read");
    let pulls = forge.open_pull_requests("main").await.unwrap();
    let seen: Vec<_> = pulls.iter().map(|pull| pull.author.standing).collect();
    let (member, stranger) = (Standing::Member, Standing::Stranger);
    assert_eq!(seen, [member, stranger, member, stranger]);
}

#[tokio::test]
async fn a_merged_pull_request_says_by_whom_and_as_what() {
    let (fake, forge) = github().await;
    fake.on(
        "GET /api/v3/repos/team/deploy/pulls/1347",
        200,
        &recorded("github-merged"),
    );
    let pull = forge.pull_request(1347).await.unwrap();
    let PullState::Merged(closed) = pull.state else {
        panic!("{pull:?}");
    };
    assert_eq!(closed.by.as_deref(), Some("hubot"));
    assert_eq!(closed.revision.unwrap().short(), "e5bd3914");
}

#[tokio::test]
async fn the_agents_own_comment_is_changed_and_nobody_elses() {
    let (fake, forge) = github().await;
    fake.on(COMMENTS, 200, &recorded("github-comments"));
    fake.on(
        "GET /api/v3/user",
        200,
        r#"{"login": "deploy-bot", "id": 4, "type": "User"}"#,
    );
    let edit = "PATCH /api/v3/repos/team/deploy/issues/comments/2";
    fake.on(edit, 200, r#"{"id": 2, "body": "x", "user": null}"#);
    let plan = [section("staging", "A plan\n")];
    let kept = keep_comment(&*forge, 1347, "preview", &plan).await.unwrap();
    assert_eq!(kept, Kept::Changed);
    let written = fake.asked().pop().unwrap();
    assert_eq!(written.what, edit);
    let body = written.body["body"].as_str().unwrap();
    let begun = "<!-- gitops-agent preview -->\n<!-- gitops-agent begin staging sha256:";
    assert!(body.starts_with(begun), "{body}");
    assert!(
        body.contains(" -->\nA plan\n<!-- gitops-agent end staging sha256:"),
        "{body}"
    );

    // As it is now, there is nothing to write, however its spaces came back.
    let now =
        json!([{"id": 2, "body": body.replace('\n', "\r\n"), "user": {"login": "deploy-bot"}}]);
    fake.on(COMMENTS, 200, &now.to_string());
    let kept = keep_comment(&*forge, 1347, "preview", &plan).await.unwrap();
    assert_eq!(kept, Kept::Same);
    assert!(fake.asked_for().iter().all(|what| what.starts_with("GET ")));

    // Another agent of the same user has its section, and both began a comment.
    let other = body
        .replace("staging", "production")
        .replace("A plan", "Another");
    let two = json!([
        {"id": 2, "body": other, "user": {"login": "deploy-bot"}},
        {"id": 5, "body": body, "user": {"login": "deploy-bot"}},
    ]);
    fake.on(COMMENTS, 200, &two.to_string());
    fake.on(
        "DELETE /api/v3/repos/team/deploy/issues/comments/5",
        204,
        "",
    );
    let kept = keep_comment(&*forge, 1347, "preview", &plan).await.unwrap();
    assert_eq!(kept, Kept::Changed);
    let asked = fake.asked();
    let both = asked.iter().find(|asked| asked.what == edit).unwrap();
    let both = both.body["body"].as_str().unwrap();
    assert!(
        both.contains("Another\n") && both.contains("A plan\n"),
        "{both}"
    );
    assert!(asked.iter().any(|asked| asked.what.starts_with("DELETE ")));

    // Somebody else's marker is nothing to us: a new comment is written.
    fake.on(
        "GET /api/v3/user",
        200,
        r#"{"login": "other", "type": "User"}"#,
    );
    let post = "POST /api/v3/repos/team/deploy/issues/1347/comments";
    fake.on(post, 201, r#"{"id": 9, "body": "x", "user": null}"#);
    let kept = keep_comment(&*forge, 1347, "preview", &plan).await.unwrap();
    assert_eq!(kept, Kept::Written);
    let posts = fake.asked_for().into_iter().filter(|what| what == post);
    assert_eq!(posts.count(), 1);
}

#[tokio::test]
async fn an_app_that_may_not_ask_who_it_is_finds_its_comment() {
    let (fake, forge) = github().await;
    fake.on(COMMENTS, 200, &recorded("github-comments"));
    let refused = r#"{"message": "Resource not accessible by integration"}"#;
    fake.on("GET /api/v3/user", 403, refused);
    let own = forge.own_comments(1347).await.unwrap();
    assert_eq!(
        own.iter().map(|comment| comment.id).collect::<Vec<_>>(),
        [2]
    );
}

#[tokio::test]
async fn statuses_are_read_and_set() {
    let (fake, forge) = github().await;
    let head = revision('6');
    let path = format!("GET /api/v3/repos/team/deploy/commits/{head}/status?per_page=100");
    fake.on(&path, 200, &recorded("github-status"));
    let statuses = forge.statuses(&head).await.unwrap();
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    assert_eq!(statuses[1].context, "agent/staging");
    assert_eq!(statuses[1].state, StatusState::Pending);
    fake.on(
        &format!("POST /api/v3/repos/team/deploy/statuses/{head}"),
        201,
        "{}",
    );
    forge
        .set_status(&head, &status(StatusState::Failure))
        .await
        .unwrap();
    assert_eq!(
        fake.asked().pop().unwrap().body,
        json!({
            "context": "agent/staging",
            "state": "failure",
            "description": "1 to change",
            "target_url": "https://example.com/there",
        })
    );
}

#[tokio::test]
async fn a_deployment_is_made_once_and_told_how_it_goes() {
    let (fake, forge) = github().await;
    let sha = revision('8');
    let list = format!(
        "GET /api/v3/repos/team/deploy/deployments?environment=staging&sha={sha}&per_page=1"
    );
    fake.on(&list, 200, "[]");
    fake.on(
        "POST /api/v3/repos/team/deploy/deployments",
        201,
        &recorded("github-deployment"),
    );
    fake.on(
        "POST /api/v3/repos/team/deploy/deployments/42/statuses",
        201,
        "{}",
    );
    forge
        .deploy(&deployment(StatusState::Pending))
        .await
        .unwrap();
    let asked = fake.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[1].body["ref"], *sha.as_str());
    assert_eq!(asked[1].body["environment"], "staging");
    assert_eq!(asked[1].body["auto_merge"], false);
    assert_eq!(asked[1].body["required_contexts"], json!([]));
    assert_eq!(asked[2].body["state"], "in_progress");

    fake.on(&list, 200, &format!("[{}]", recorded("github-deployment")));
    forge
        .deploy(&deployment(StatusState::Success))
        .await
        .unwrap();
    let asked = fake.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].body["state"], "success");
}

#[tokio::test]
async fn a_pull_request_is_opened_changed_and_closed() {
    let (fake, forge) = github().await;
    let pulls = recorded("github-merged");
    fake.on("POST /api/v3/repos/team/deploy/pulls", 201, &pulls);
    let wanted = NewPullRequest {
        head: "agent/propose".to_owned(),
        base: "main".to_owned(),
        title: "Keep 5 replicas".to_owned(),
        text: "As `anna` has set it.".to_owned(),
    };
    assert_eq!(forge.open(&wanted).await.unwrap().number, 1347);
    assert_eq!(
        fake.asked().pop().unwrap().body,
        json!({"head": "agent/propose", "base": "main", "title": "Keep 5 replicas", "body": "As `anna` has set it."})
    );
    fake.on("PATCH /api/v3/repos/team/deploy/pulls/1347", 200, &pulls);
    forge.edit(1347, "Keep 6", "…").await.unwrap();
    forge.close(1347).await.unwrap();
    let bodies: Vec<_> = fake.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [
            json!({"title": "Keep 6", "body": "…"}),
            json!({"state": "closed"})
        ]
    );
    let from = "GET /api/v3/repos/team/deploy/pulls?state=all&head=team:a%26b/c&per_page=100";
    fake.on(from, 200, "[]");
    assert_eq!(forge.pull_requests_from("a&b/c").await, Ok(Vec::new()));
}
