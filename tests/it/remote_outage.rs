//! The repository can't be reached, or has no commit for us: what was declared last is
//! still enforced, what happens is told later, and nobody has to help.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::git::{Repository, git};
use crate::support::git_http::GitHttp;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

#[test]
fn drift_is_reverted_meanwhile_and_told_in_order_afterwards() {
    let mut stage = Stage::new("away", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 1);
    stage.start();
    stage.until_synced("shop", &revision);
    let before = stage.record_tip();

    stage.repository.go_away();
    let expected = drift_through_a_restart(&mut stage);
    stage.repository.come_back();
    assert_eq!(stage.record_tip(), before, "nothing was pushed");
    until_told(&mut stage, &before, &expected);

    let revision = commit(&stage, 2);
    stage.until_synced("shop", &revision);
    stage.assert_consistent();
}

#[test]
fn the_same_over_http() {
    let mut stage = Stage::new("http", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 1);
    let mut server = GitHttp::start(stage.repository.remote().parent().unwrap());
    stage.start_as(stage.over_http(&server));
    stage.until_synced("shop", &revision);
    let before = stage.record_tip();

    server.stop();
    let expected = drift_through_a_restart(&mut stage);
    assert_eq!(stage.record_tip(), before, "nothing was pushed");
    server.restart();
    until_told(&mut stage, &before, &expected);

    // A server that is there and says no is waited for as well.
    let before = stage.record_tip();
    server.answer_with(Some("503 Service Unavailable"));
    scale_and_see_it_reverted(&mut stage, "7");
    server.answer_with(None);
    let expected = revert(&stage);
    until_told(&mut stage, &before, &expected);

    let revision = commit(&stage, 2);
    stage.until_synced("shop", &revision);
    stage.assert_consistent();
}

#[test]
fn a_first_commit_ends_the_wait_of_an_empty_repository() {
    let mut stage = Stage::new("empty", env!("CARGO_BIN_EXE_agent"));
    let port = free_port();
    stage.start_as(admin(stage.invocation(), port));
    until_ready(&stage, port, "is empty; push a first commit to `main`");
    let revision = commit(&stage, 1);
    stage.until_synced("shop", &revision);
    until_ready(&stage, port, "ready");
    stage.assert_consistent();
}

#[test]
fn a_branch_that_was_deleted_is_enforced_until_it_is_back() {
    let mut stage = Stage::new("branch", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 1);
    let port = free_port();
    stage.start_as(admin(stage.invocation(), port));
    stage.until_synced("shop", &revision);

    git(
        &stage.repository.remote(),
        &["update-ref", "-d", "refs/heads/main"],
    );
    until_logged(
        &stage,
        &format!("has no branch `main` (it has `{}`)", stage.branch()),
    );
    scale_and_see_it_reverted(&mut stage, "5");
    until_ready(&stage, port, "ready");

    let revision = commit(&stage, 2);
    stage.until_synced("shop", &revision);
    assert!(
        stage.log().contains("the repository can be followed again"),
        "{}",
        stage.log()
    );
    stage.assert_consistent();
}

#[test]
fn a_rewritten_history_is_followed_and_said() {
    let mut stage = Stage::new("rewritten", env!("CARGO_BIN_EXE_agent"));
    let first = commit(&stage, 1);
    let second = commit(&stage, 2);
    stage.start();
    stage.until_synced("shop", &second);

    stage
        .repository
        .git(&["reset", "--quiet", "--hard", &first]);
    let third = commit(&stage, 3);
    stage.until_synced("shop", &third);
    assert!(
        stage.log().contains("the branch's history was rewritten"),
        "{}",
        stage.log()
    );
    let map = stage.get("configmap", "shop");
    assert_eq!(map["data"]["number"], "3", "{map}");
    stage.assert_consistent();
}

#[test]
fn right_credentials_are_taken_when_they_come() {
    let mut stage = Stage::new("token", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 1);
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    server.demand_login(Some("ada:right-secret"));
    let port = free_port();
    let agent = admin(stage.over_http(&server), port);
    let file = agent.home().join("token");
    fs::write(&file, "ada:wrong-secret\n").unwrap();
    stage.start_as(agent.args(["--git-token-file"]).args([&file]));
    until_ready(&stage, port, "doesn't let the agent in");
    assert!(stage.labelled().is_empty());

    fs::write(&file, "ada:right-secret\n").unwrap();
    stage.until_synced("shop", &revision);
    until_ready(&stage, port, "ready");

    // And when they are wrong again, what is known goes on.
    server.demand_login(Some("ada:newer-secret"));
    scale_and_see_it_reverted(&mut stage, "5");
    until_logged(&stage, "the record waits to be pushed");
    let before = stage.record_tip();
    fs::write(&file, "ada:newer-secret\n").unwrap();
    let expected = revert(&stage);
    until_told(&mut stage, &before, &expected);
    let log = stage.log();
    assert!(!log.contains("-secret"), "{log}");
    stage.assert_consistent();
}

/// What somebody does and the agent undoes while nothing can be pushed, before and after
/// a `kill -9`; gives the subjects of the entries, without the environment.
fn drift_through_a_restart(stage: &mut Stage) -> Vec<String> {
    scale_and_see_it_reverted(stage, "5");
    stage.kubectl(&["delete", "configmap", "shop"]);
    stage.until("the ConfigMap to be there again", |stage| {
        stage
            .get("configmap", "shop")
            .is_object()
            .then_some(())
            .ok_or("it isn't".to_owned())
    });
    until_logged(
        stage,
        &format!("create ConfigMap {}/shop again", stage.namespace),
    );
    until_logged(stage, "the record waits to be pushed");
    stage.daemon().restart();
    scale_and_see_it_reverted(stage, "6");
    let deleted = [
        format!("somebody deleted ConfigMap {}/shop", stage.namespace),
        format!("create ConfigMap {}/shop again", stage.namespace),
    ];
    [revert(stage), deleted.to_vec(), revert(stage)].concat()
}

/// The two entries of a scaling.
fn revert(stage: &Stage) -> Vec<String> {
    let web = format!("Deployment {}/web", stage.namespace);
    vec![
        format!("kubectl changed {web}"),
        format!("revert drift on {web}"),
    ]
}

fn scale_and_see_it_reverted(stage: &mut Stage, replicas: &str) {
    let told = reverts(stage);
    stage.kubectl(&[
        "scale",
        "deployment",
        "web",
        &format!("--replicas={replicas}"),
    ]);
    stage.until("the Deployment to be scaled back", |stage| {
        let seen = stage.get("deployment", "web")["spec"]["replicas"].clone();
        if seen == 2 {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    wait_seeing("the revert to be told", PATIENCE, || {
        if reverts(stage) > told {
            Ok(())
        } else {
            Err(stage.log())
        }
    });
}

fn reverts(stage: &Stage) -> usize {
    stage
        .log()
        .lines()
        .filter(|line| line.contains("revert drift on Deployment"))
        .count()
}

#[test]
fn a_repository_that_may_not_be_written_is_enforced_and_the_record_kept() {
    let mut stage = Stage::new("readonly", env!("CARGO_BIN_EXE_agent"));
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    server.set_read_only(true);
    commit(&stage, 1);
    stage.start_as(stage.over_http(&server));
    until_logged(&stage, "the record waits to be pushed");
    let entry = "sync shop to";
    until_logged(&stage, entry);
    scale_and_see_it_reverted(&mut stage, "6");
    let said = stage.log().matches("the record waits to be pushed").count();
    assert_eq!(said, 1, "{}", stage.log());
    assert!(stage.log().contains("403"), "{}", stage.log());
    assert!(!stage.repository.has_branch(&stage.branch()));

    // In order: between a deed and its entry on the disk a crash may fall.
    stage.daemon().terminate(PATIENCE);
    stage.daemon().restart();
    scale_and_see_it_reverted(&mut stage, "7");
    server.set_read_only(false);
    stage.until("the record to be pushed", |stage| {
        let told: Vec<String> = stage.entries().into_iter().map(|it| it.subject).collect();
        let reverts = told.iter().filter(|it| it.contains("revert drift")).count();
        if reverts == 2 {
            Ok(())
        } else {
            Err(format!("{told:#?}"))
        }
    });
    assert_eq!(stage.entries_on("sync shop to").len(), 1);
    stage.assert_consistent();
}

#[test]
fn the_record_may_lie_in_another_repository_under_another_name() {
    let mut stage = Stage::new("elsewhere", env!("CARGO_BIN_EXE_agent"));
    let other = Repository::with(&[("README.md", "")]);
    let place = ["--record-branch", "journal/{environment}"];
    let revision = commit(&stage, 1);
    let invocation = stage.invocation().args(place);
    stage.start_as(invocation.args(["--record-repo", other.url()]));
    let branch = format!("journal/{}", stage.environment);
    stage.until("the record to be in the other repository", |_| {
        let seen = other.recorded_status(&branch);
        let there = seen["units"]["shop"]["state"] == "Synced";
        if there { Ok(()) } else { Err(seen.to_string()) }
    });
    stage.until("the commit to have its note", |stage| {
        let notes = format!("--notes=agent/{}", stage.environment);
        let log = git(
            &stage.repository.remote(),
            &["log", "-1", &notes, &revision],
        );
        if log.contains(&format!("({branch} ")) {
            Ok(())
        } else {
            Err(log)
        }
    });
    assert!(!stage.repository.has_branch(&stage.branch()));
    assert!(!stage.repository.has_branch(&branch));

    let shown = stage
        .agent(&["status", "--repo", other.url()])
        .args(place)
        .run();
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("shop  Synced"), "{shown:?}");
    let told = stage
        .agent(&["history", "--repo", other.url()])
        .args(place)
        .run();
    assert!(told.stdout.contains("sync shop"), "{told:?}");
    let wrong = stage.agent(&["status", "--record-branch", "journal"]).run();
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.stderr.contains("must have {environment} in it"),
        "{wrong:?}"
    );
}

/// Waits until exactly these entries follow on a commit of the record.
fn until_told(stage: &mut Stage, after: &str, expected: &[String]) {
    let range = format!("{}..{}", after.trim(), stage.branch());
    let prefix = format!("{}: ", stage.environment);
    let told = |stage: &Stage| -> Vec<String> {
        let subjects = stage.repository.log(&range).into_iter().rev();
        subjects
            .map(|subject| subject.replace(&prefix, ""))
            .collect()
    };
    stage.until("the entries to be pushed", |stage| {
        let told = told(stage);
        if told.len() >= expected.len() {
            Ok(())
        } else {
            Err(format!("{told:#?}"))
        }
    });
    assert_eq!(told(stage), expected);
    stage.assert_continuous();
}

fn until_logged(stage: &Stage, words: &str) {
    wait_seeing(&format!("`{words}` in the log"), PATIENCE, || {
        let log = stage.log();
        log.contains(words).then_some(()).ok_or(log)
    });
}

/// Waits until `/readyz` says so.
fn until_ready(stage: &Stage, port: u16, words: &str) {
    let url = format!("http://127.0.0.1:{port}/readyz");
    wait_seeing(&format!("`{words}` from /readyz"), PATIENCE, || {
        let (code, page) = fetch(&url)?;
        let wanted = if words == "ready" { 200 } else { 503 };
        if code == wanted && page.contains(words) {
            Ok(())
        } else {
            Err(format!("{code} {page}\n{}", stage.log()))
        }
    });
}

fn admin(agent: Agent, port: u16) -> Agent {
    agent.args(["--admin-addr".to_owned(), format!("127.0.0.1:{port}")])
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A page by plain HTTP.
fn fetch(url: &str) -> Result<(u16, String), String> {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .map_err(|error| error.to_string())?;
    let code = answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or("no status line")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((code, body.to_owned()))
}

fn commit(stage: &Stage, number: usize) -> String {
    let text = format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: shop}}
data: {{number: '{number}'}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: 'web:1'}}]}}
"
    );
    let configuration = stage.configuration(&[("shop", "prune: true")]);
    stage.commit(
        &format!("Number {number}"),
        &[("agent.yaml", &configuration), ("shop/objects.yaml", &text)],
    )
}

/// A server that takes a push and does not answer keeps no entry from the disk.
#[test]
fn what_is_told_while_a_push_hangs_survives_a_kill() {
    let mut stage = Stage::new("hanging", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 1);
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    stage.start_as(stage.over_http(&server));
    stage.until_synced("shop", &revision);
    let before = stage.entries().len();

    server.hold();
    for replicas in ["5", "6", "7"] {
        scale_and_see_it_reverted(&mut stage, replicas);
    }
    let own = stage.daemon().home().join("data/record");
    let branch = stage.branch();
    // A push is given up only after half a minute.
    wait_seeing("all six to be on the disk", Duration::from_secs(10), || {
        let repositories = fs::read_dir(&own).unwrap().flatten();
        let mut repositories = repositories.filter(|it| it.path().join("HEAD").exists());
        let repository = repositories.next().unwrap().path();
        let count = git(&repository, &["rev-list", "--count", &branch, "--"]);
        let there = count.trim() == (before + 6).to_string();
        there.then_some(()).ok_or(count)
    });
    stage.daemon().kill();
    server.release();
    stage.daemon().restart();
    stage.until("all six to be in the record", |stage| {
        let told = stage.entries().len() - before;
        if told == 6 {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
    stage.assert_consistent();
}

/// As after a node was drained while the Git server hangs.
#[test]
fn one_that_starts_while_git_hangs_goes_on_with_what_is_here() {
    let mut stage = Stage::new("hung-start", env!("CARGO_BIN_EXE_agent"));
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    stage.repository.write("shop/a.yaml", config);
    let revision = stage.configure(&[("shop", "")]);
    let agent = stage.over_http(&server);
    stage.start_as(agent);
    stage.until_synced("shop", &revision);
    stage.daemon().terminate(PATIENCE);
    server.hold();
    stage.kubectl(&["delete", "configmap", "a"]);
    stage.daemon().restart();
    stage.until("it to be made again", |stage| {
        let there = stage.get("configmap", "a").is_object();
        there.then_some(()).ok_or_else(|| stage.log())
    });
    // Not only once the hanging one was given up.
    assert!(!stage.log().contains("no newer commit can be had"));
    server.release();
    stage.until_entry("create ConfigMap");
    stage.assert_consistent();
}
