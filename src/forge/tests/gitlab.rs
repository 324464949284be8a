use serde_json::json;

use super::*;

const PROJECT: &str = "/api/v4/projects/team%2Fdeploy";

async fn gitlab() -> (Fake, Arc<dyn Forge>) {
    let fake = Fake::start().await;
    let forge = fake.forge(ForgeKind::GitLab);
    let member = |id| format!("GET {PROJECT}/members/all/{id}");
    fake.on(
        &member(1),
        200,
        r#"{"id": 1, "username": "admin", "access_level": 50}"#,
    );
    fake.on(
        &member(7),
        200,
        r#"{"id": 7, "username": "guest", "access_level": 20}"#,
    );
    (fake, forge)
}

#[tokio::test]
async fn merge_requests_are_pull_requests() {
    let (fake, forge) = gitlab().await;
    let list = "/merge_requests?state=opened&order_by=created_at&sort=asc&per_page=100";
    fake.on(
        &format!("GET {PROJECT}{list}"),
        200,
        &recorded("gitlab-merge-requests"),
    );
    let pulls = forge.open_pull_requests("main").await.unwrap();
    let seen: Vec<_> = pulls
        .iter()
        .map(|pull| (pull.number, pull.author.standing, pull.head.fork))
        .collect();
    assert_eq!(
        seen,
        [(1, Standing::Member, false), (2, Standing::Stranger, true)]
    );
    assert_eq!(forge.head_ref(1), "refs/merge-requests/1/head");

    fake.on(
        &format!("GET {PROJECT}/merge_requests/1"),
        200,
        &recorded("gitlab-merged"),
    );
    let merged = PullState::Merged(Closed {
        by: Some("DouweM".to_owned()),
        revision: Some(revision('9')),
    });
    assert_eq!(forge.pull_request(1).await.unwrap().state, merged);
}

#[tokio::test]
async fn one_whose_branch_is_gone_hides_no_other() {
    let (fake, forge) = gitlab().await;
    let list = "/merge_requests?state=opened&order_by=created_at&sort=asc&per_page=100";
    let mut requests: Value = serde_json::from_str(&recorded("gitlab-merge-requests")).unwrap();
    requests[0]["sha"] = Value::Null;
    fake.on(&format!("GET {PROJECT}{list}"), 200, &requests.to_string());
    let pulls = forge.open_pull_requests("main").await.unwrap();
    let numbers: Vec<_> = pulls.iter().map(|pull| pull.number).collect();
    assert_eq!(numbers, [2]);
}

#[tokio::test]
async fn of_statuses_in_several_pipelines_the_newest_counts() {
    let (fake, forge) = gitlab().await;
    let head = revision('8');
    let status = |id: u64, state: &str| {
        json!({"id": id, "name": "agent/staging", "status": state, "description": null,
               "target_url": null, "pipeline_id": id, "sha": head.as_str()})
    };
    let list = format!("GET {PROJECT}/repository/commits/{head}/statuses?per_page=100");
    let found = json!([status(12, "success"), status(7, "running")]);
    fake.on(&list, 200, &found.to_string());
    let statuses = forge.statuses(&head).await.unwrap();
    let seen: Vec<_> = statuses.iter().map(|it| it.state).collect();
    assert_eq!(seen, [StatusState::Success]);
}

#[tokio::test]
async fn notes_are_comments_and_those_of_the_system_are_none() {
    let (fake, forge) = gitlab().await;
    let notes = "/merge_requests/1/notes";
    let list = format!("GET {PROJECT}{notes}?sort=asc&per_page=100");
    fake.on(&list, 200, &recorded("gitlab-notes"));
    fake.on("GET /api/v4/user", 200, r#"{"id": 1, "username": "admin"}"#);
    fake.on(
        &format!("PUT {PROJECT}{notes}/305"),
        200,
        r#"{"id": 305, "body": "x"}"#,
    );
    let plan = [section("staging", "A plan\n")];
    let kept = keep_comment(&*forge, 1, "preview", &plan).await.unwrap();
    assert_eq!(kept, Kept::Changed);
    let body = fake.asked().pop().unwrap().body["body"].clone();
    assert!(
        body.as_str().unwrap().contains("-->\nA plan\n<!--"),
        "{body}"
    );
}

#[tokio::test]
async fn statuses_are_read_and_set() {
    let (fake, forge) = gitlab().await;
    let head = revision('8');
    let list = format!("GET {PROJECT}/repository/commits/{head}/statuses?per_page=100");
    fake.on(&list, 200, &recorded("gitlab-statuses"));
    let statuses = forge.statuses(&head).await.unwrap();
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    let ours = statuses.iter().find(|it| it.context == "agent/staging");
    assert_eq!(ours.unwrap().state, StatusState::Failure);
    let set = format!("POST {PROJECT}/statuses/{head}");
    fake.on(&set, 201, "{}");
    forge
        .set_status(&head, &status(StatusState::Pending))
        .await
        .unwrap();
    assert_eq!(
        fake.asked().pop().unwrap().body,
        json!({
            "name": "agent/staging",
            "state": "running",
            "description": "1 to change",
            "target_url": "https://example.com/there",
        })
    );
    // GitLab refuses to set the state that is there.
    let refused = r#"{"message": "Cannot transition status via :run from :running"}"#;
    fake.on(&set, 400, refused);
    assert_eq!(
        forge.set_status(&head, &status(StatusState::Pending)).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_deployment_is_made_once_and_told_how_it_goes() {
    let (fake, forge) = gitlab().await;
    let list =
        format!("GET {PROJECT}/deployments?environment=staging&order_by=id&sort=desc&per_page=20");
    fake.on(&list, 200, "[]");
    fake.on(&format!("POST {PROJECT}/deployments"), 201, "{}");
    forge
        .deploy(&deployment(StatusState::Pending))
        .await
        .unwrap();
    assert_eq!(
        fake.asked().pop().unwrap().body,
        json!({
            "environment": "staging",
            "sha": revision('8'),
            "ref": "main",
            "tag": false,
            "status": "running",
        })
    );
    fake.on(&list, 200, &recorded("gitlab-deployments"));
    fake.on(&format!("PUT {PROJECT}/deployments/42"), 200, "{}");
    forge
        .deploy(&deployment(StatusState::Success))
        .await
        .unwrap();
    assert_eq!(
        fake.asked().pop().unwrap().body,
        json!({"status": "success"})
    );
    // It is running already.
    forge
        .deploy(&deployment(StatusState::Pending))
        .await
        .unwrap();
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_merge_request_is_opened_changed_and_closed() {
    let (fake, forge) = gitlab().await;
    let merged = recorded("gitlab-merged");
    fake.on(&format!("POST {PROJECT}/merge_requests"), 201, &merged);
    let wanted = NewPullRequest {
        head: "agent/propose".to_owned(),
        base: "main".to_owned(),
        title: "Keep 5 replicas".to_owned(),
        text: "…".to_owned(),
    };
    assert_eq!(forge.open(&wanted).await.unwrap().number, 1);
    let body = fake.asked()[0].body.clone();
    assert_eq!(
        (&body["source_branch"], &body["target_branch"]),
        (&json!("agent/propose"), &json!("main"))
    );
    fake.on(&format!("PUT {PROJECT}/merge_requests/1"), 200, &merged);
    forge.edit(1, "Keep 6", "…").await.unwrap();
    forge.close(1).await.unwrap();
    let bodies: Vec<_> = fake.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [
            json!({"title": "Keep 6", "description": "…"}),
            json!({"state_event": "close"})
        ]
    );
}
