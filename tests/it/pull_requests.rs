//! What people see on the forge: a pull request says what it would do, and its merge what
//! became of it. On the real Gitea and the real control plane.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Instant;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::git::git;
use crate::support::gitea::{Forged, Gitea, User};
use crate::support::programs::{Program, Programs};
use crate::support::signed;
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// An environment whose repository is on the forge, and the agent's account there.
struct Team {
    stage: Stage<'static>,
    /// A clone beside that of the stage, for branches.
    forged: Forged<'static>,
    owner: User,
    bot: User,
}

impl Team {
    /// With one unit, `shop`, of these files.
    fn new(name: &str, more: &str, files: &[(&str, &str)]) -> Self {
        let gitea = Gitea::shared();
        let (owner, bot) = (gitea.user("owner"), gitea.user("bot"));
        let mut stage = Stage::new(name, AGENT);
        stage.repository = gitea.repository(&owner, "deploy").repository;
        let configuration = stage.configuration(&[("shop", more)]);
        let all = [&[("agent.yaml", configuration.as_str())], files].concat();
        stage.commit("Start", &all);
        let forged = gitea.forged(&owner, "deploy");
        forged.let_in(&bot, "write");
        let team = Self {
            stage,
            forged,
            owner,
            bot,
        };
        team.forged.until_filled();
        team.pull();
        team
    }

    /// Brings the clone for branches to `main`.
    fn pull(&self) {
        let repository = &self.forged.repository;
        repository.git(&["pull", "--quiet", "origin", "main"]);
    }

    fn invocation(&self) -> Agent {
        self.invocation_every("1s")
    }

    fn invocation_every(&self, interval: &str) -> Agent {
        self.stage
            .invocation()
            .args(["--poll-interval", interval, "--forge", "gitea"])
            .args(["--pull-request-interval", interval])
            .env("AGENT_GIT_TOKEN", &self.bot.token)
    }

    fn start(&mut self) {
        self.start_as(self.invocation());
    }

    fn start_as(&mut self, invocation: Agent) {
        let revision = self.stage.repository.revision("HEAD");
        self.stage.start_as(invocation);
        self.stage.until_synced("shop", &revision);
    }

    /// A pull request of the owner's that makes a file so; its number and head.
    fn propose(&self, branch: &str, path: &str, text: &str) -> (u64, String) {
        let head = self.forged.branch(branch, "Change it", &[(path, text)]);
        (self.forged.open(&self.owner, branch, branch), head)
    }

    /// A guest's branch in a fork, with a commit of these files; what to open it from, and
    /// its head.
    fn fork(&self, guest: &User, branch: &str, files: &[(&str, &str)]) -> (String, String) {
        self.forged.let_in(guest, "read");
        let path = format!("/repos/{}/deploy/forks", self.owner.name);
        let gitea = Gitea::shared();
        gitea.call(guest, "POST", &path, &serde_json::json!({}));
        let fork = gitea.forged(guest, "deploy");
        fork.repository.git(&["pull", "--quiet", "origin", "main"]);
        let head = fork.branch(branch, "Change it", files);
        (format!("{}:{branch}", guest.name), head)
    }

    /// Waits for the one comment to have a text, and gives it.
    fn until_comment(&mut self, number: u64, text: &str) -> String {
        let forged = &self.forged;
        self.stage.until(&format!("a comment with {text}"), |_| {
            let comments = forged.comments(number);
            match comments.as_slice() {
                [comment] if comment.contains(text) => Ok(comment.clone()),
                other => Err(other.join("\n---\n")),
            }
        })
    }

    /// Waits for the status on a commit to be in a state, and gives its description.
    fn until_status(&mut self, revision: &str, state: &str) -> String {
        let (forged, context) = (&self.forged, self.context());
        let what = format!("{context} to be {state}");
        self.stage
            .until(&what, |_| match forged.status(revision, &context) {
                Some((seen, text)) if seen == state => Ok(text),
                other => Err(format!("{other:?}")),
            })
    }

    /// Waits for the daemon to have logged something, and gives its log.
    fn until_log(&mut self, what: &str, said: impl Fn(&str) -> bool) -> String {
        let path = self.stage.daemon().home().join("daemon.log");
        self.stage.until(what, |_| {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            if said(&log) {
                Ok(log)
            } else {
                Err("not yet".to_owned())
            }
        })
    }

    fn context(&self) -> String {
        format!("agent/{}", self.stage.environment)
    }

    fn states(&self, revision: &str) -> Vec<String> {
        let mut found = self.forged.statuses(revision, &self.context());
        found.sort_by_key(|status| status["id"].as_u64());
        let state = |status: &Value| status["status"].as_str().unwrap().to_owned();
        found.iter().map(state).collect()
    }
}

fn settings(color: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{color: {color}}}\n"
    )
}

#[test]
fn a_name_that_leads_elsewhere_shows_nothing_of_what_is_there() {
    let mut team = Team::new("lured", "", &[("shop/a.yaml", &settings("red"))]);
    let namespace = team.stage.namespace.clone();
    let tok = [
        "create",
        "secret",
        "generic",
        "tok",
        "--from-literal=key=hunter2",
    ];
    team.stage.kubectl(&tok);
    team.start();
    let began = team.stage.cluster.audit_position();
    let text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}/secrets/tok}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: \"{namespace}/secrets/tok?\"}}\n\
         data: {{key: user\u{202e}nimda}}\n"
    );
    let (number, head) = team.propose("lure", "shop/b.yaml", &text);
    let comment = team.until_comment(number, "cannot be rendered");
    assert!(comment.contains("shop/b.yaml:3"), "{comment}");
    let status = team.until_status(&head, "failure");
    let log = team.stage.log();
    for said in [&comment, &status, &log] {
        for secret in ["hunter2", "aHVudGVyMg", "\u{202e}"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    let asked = team.stage.cluster.audit_since(began);
    let mut asked = asked
        .iter()
        .filter(|event| event.user_agent.starts_with("gitops-agent/"));
    let lured =
        asked.find(|event| event.object.name == "tok" && event.object.resource == "secrets");
    assert!(lured.is_none(), "{lured:?}");
}

#[test]
fn a_pull_request_says_what_it_would_do_and_its_merge_what_it_did() {
    let mut team = Team::new(
        "pulls",
        "drift: report",
        &[("shop/a.yaml", &settings("red"))],
    );
    team.start();
    let first = team.stage.repository.revision("HEAD");
    assert_eq!(team.until_status(&first, "success"), "1 unit as declared");

    let (number, head) = team.propose("blue", "shop/a.yaml", &settings("blue"));
    let comment = team.until_comment(number, "+  color: blue");
    let environment = team.stage.environment.clone();
    for words in [
        &format!("### What merging this would do to {environment}\n"),
        "| shop | 1 to change | `",
        "**change** `ConfigMap",
        "(`shop/a.yaml:1`)",
        "-  color: red",
        "Plan: `sha256:",
    ] {
        assert!(comment.contains(words), "{words}: {comment}");
    }
    assert!(!comment.contains("Look at this first"), "{comment}");
    let text = team.until_status(&head, "success");
    assert_eq!(text, "1 to change; 0 as declared");
    assert_eq!(team.states(&head), ["pending", "success"]);

    // What is live moves.
    let patch = r#"{"data":{"color":"green"}}"#;
    team.stage
        .kubectl(&["patch", "configmap", "settings", "-p", patch]);
    team.until_comment(number, "-  color: green");

    // The head moves, and is refused by the API server by now.
    let worse = settings("blue").replace("name: settings", "name: worse, labels: {a: b c}");
    let head = team
        .forged
        .branch("blue", "Worse", &[("shop/a.yaml", &worse)]);
    let comment = team.until_comment(number, "blocked");
    assert!(comment.contains("**Look at this first**"), "{comment}");
    assert!(
        comment.contains("**prune** (deleted) `ConfigMap"),
        "{comment}"
    );
    team.until_status(&head, "failure");

    // The digest of `agent diff` is the one that is shown.
    let head = team
        .forged
        .branch("blue", "Better", &[("shop/a.yaml", &settings("blue"))]);
    team.until_comment(number, "+  color: blue");
    team.until_status(&head, "success");
    team.stage
        .repository
        .git(&["fetch", "--quiet", "origin", "blue"]);
    let diff = team.stage.diff(&["--revision", "FETCH_HEAD", "-o", "json"]);
    let diff: Value = serde_json::from_str(&diff.stdout).unwrap();
    let digest = diff[0]["units"][0]["digest"].as_str().unwrap();
    team.until_comment(number, digest);

    let merged = team.forged.merge(number);
    team.stage.until_synced("shop", &merged);
    assert_eq!(team.until_status(&merged, "success"), "1 unit as declared");
    assert_eq!(
        team.stage.get("configmap", "settings")["data"]["color"],
        "blue"
    );
    assert_eq!(team.states(&merged), ["pending", "success"]);
    // The link leads to the entry.
    let status = team.forged.statuses(&merged, &team.context());
    let newest = status
        .iter()
        .max_by_key(|status| status["id"].as_u64())
        .unwrap();
    let entry = newest["target_url"]
        .as_str()
        .unwrap()
        .rsplit_once("/commit/")
        .unwrap()
        .1;
    let text = git(
        &team.stage.repository.remote(),
        &["log", "-1", "--format=%s %D", entry],
    );
    assert!(text.contains("shop"), "{text}");
    assert_eq!(team.forged.comments(number).len(), 1);

    // What can't be synced is told there too.
    team.stage
        .repository
        .git(&["pull", "--quiet", "origin", "main"]);
    let broken = team.stage.commit("Break it", &[("shop/a.yaml", "a: [\n")]);
    let text = team.until_status(&broken, "failure");
    assert!(
        text.starts_with("shop is failed: shop/a.yaml:1:4"),
        "{text}"
    );
    let useless = team.stage.commit("Break all", &[("agent.yaml", "a: [\n")]);
    let text = team.until_status(&useless, "failure");
    assert!(text.starts_with("it cannot be used: "), "{text}");
}

#[test]
fn webhooks_carry_it_from_the_pull_request_to_the_cluster() {
    let mut team = Team::new("pulls-hook", "", &[("shop/a.yaml", &settings("red"))]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let run = team
        .invocation_every("1h")
        .args(["--webhook-addr", &address]);
    let secret = run.home().join("secret");
    std::fs::write(&secret, "correct horse").unwrap();
    let run = run.args(["--webhook-secret-file".as_ref(), secret.as_os_str()]);
    let revision = team.stage.repository.revision("HEAD");
    team.stage.start_as(run);
    team.stage.until_synced("shop", &revision);
    team.until_status(&revision, "success");
    team.forged
        .hook(&format!("http://{address}/webhook"), "correct horse");

    let (number, head) = team.propose("blue", "shop/a.yaml", &settings("blue"));
    team.until_comment(number, "+  color: blue");
    team.until_status(&head, "success");
    let head = team
        .forged
        .branch("blue", "Bluer", &[("shop/a.yaml", &settings("navy"))]);
    team.until_comment(number, "+  color: navy");
    team.until_status(&head, "success");
    let merged = team.forged.merge(number);
    let began = Instant::now();
    team.stage.until("the merge to be live", |stage| {
        let seen = stage.get("configmap", "settings");
        if seen["data"]["color"] == "navy" {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    println!("live {:?} after the merge", began.elapsed());
    team.until_status(&merged, "success");
    assert_eq!(team.forged.comments(number).len(), 1);
}

#[test]
fn a_commit_that_is_not_signed_fails_and_so_does_a_merge_by_the_forge() {
    let mut team = Team::new("unsigned", "", &[("shop/settings.yaml", &settings("red"))]);
    let first = signed::commit(&team.stage.repository, "ed25519", "Sign", &[]);
    let keys = signed::fixture("allowed_signers").display().to_string();
    let agent = team.invocation();
    team.stage
        .start_as(agent.args(["--verify", "head", "--verify-keys", &keys]));
    team.until_status(&first, "success");

    let text = settings("green");
    let unsigned = team.stage.commit("Hurry", &[("shop/settings.yaml", &text)]);
    let why = team.until_status(&unsigned, "failure");
    assert!(
        why.contains("not deployed") && why.contains("is not signed"),
        "{why}"
    );

    team.pull();
    let (number, _) = team.propose("more", "shop/settings.yaml", &settings("blue"));
    let merged = team.forged.merge(number);
    let why = team.until_status(&merged, "failure");
    assert!(why.contains("the merge "), "{why}");
    assert_eq!(
        team.stage.get("configmap", "settings")["data"]["color"],
        "red"
    );

    team.stage
        .repository
        .git(&["pull", "--quiet", "origin", "main"]);
    let good = signed::commit(&team.stage.repository, "ed25519", "Sign it off", &[]);
    team.until_status(&good, "success");
    assert_eq!(
        team.stage.get("configmap", "settings")["data"]["color"],
        "blue"
    );
}

#[test]
fn a_restart_writes_nothing_that_is_there() {
    let mut team = Team::new("pulls-again", "", &[("shop/a.yaml", &settings("red"))]);
    team.start();
    let (number, head) = team.propose("blue", "shop/a.yaml", &settings("blue"));
    team.until_comment(number, "+  color: blue");
    team.until_status(&head, "success");
    let first = team.stage.repository.revision("HEAD");
    team.until_status(&first, "success");
    let before = (team.states(&head), team.states(&first));

    // As if another machine went on, without any data.
    let data = team.stage.daemon().home().join("data");
    team.stage.daemon().kill();
    std::fs::remove_dir_all(data).unwrap();
    team.stage.daemon().restart();
    team.until_log("the pull request to be looked at again", |log| {
        let same = |line: &str| line.contains("preview") && line.contains("Same");
        let starts: Vec<&str> = log.split("\"following\"").collect();
        starts.len() == 3 && starts[2].lines().any(same)
    });
    let (number_of_blue, blue) = (number, head);
    let (second, head) = team.propose("green", "shop/a.yaml", &settings("green"));
    team.until_comment(second, "+  color: green");
    team.until_status(&head, "success");
    assert_eq!(before, (team.states(&blue), team.states(&first)));

    let head = team
        .forged
        .branch("blue", "Bluer", &[("shop/a.yaml", &settings("navy"))]);
    team.until_comment(number_of_blue, "+  color: navy");
    team.until_status(&head, "success");
}

#[test]
fn strangers_have_no_preview_unless_the_followed_branch_says_so() {
    let mut team = Team::new("pulls-fork", "", &[("shop/a.yaml", &settings("red"))]);
    let guest = Gitea::shared().user("guest");
    // Its own word does not count.
    let configuration = team.stage.configuration(&[("shop", "")]);
    let open = format!("{configuration}previews: all\n");
    let files = [("shop/a.yaml", &*settings("pink")), ("agent.yaml", &*open)];
    let (from, head) = team.fork(&guest, "pink", &files);
    let strange = team.forged.open(&guest, "Pink", &from);
    team.start();
    let (number, _) = team.propose("blue", "shop/a.yaml", &settings("blue"));
    team.until_comment(number, "+  color: blue");
    assert_eq!(team.forged.comments(strange), Vec::<String>::new());
    assert_eq!(team.states(&head), Vec::<String>::new());

    team.stage
        .commit("Show everybody", &[("agent.yaml", &open)]);
    team.until_comment(strange, "+  color: pink");
    team.until_status(&head, "success");
}

/// On a kernel that knows no Landlock: what is started from here neither.
fn without_landlock(test: impl FnOnce() + Send) {
    let filter = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let filter = BpfProgram::try_from(filter.unwrap()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            test();
        });
    });
}

#[test]
fn strangers_kustomizations_are_not_built_where_kustomize_cannot_be_confined() {
    let kustomization = "resources: [a.yaml]\n";
    let files = [
        ("shop/a.yaml", &*settings("red")),
        ("shop/kustomization.yaml", kustomization),
    ];
    let mut team = Team::new("pulls-confined", "", &files);
    let configuration = team.stage.configuration(&[("shop", "")]);
    let open = format!("{configuration}previews: all\n");
    team.stage
        .commit("Show everybody", &[("agent.yaml", &open)]);
    team.pull();
    let guest = Gitea::shared().user("guest");
    let files = [("shop/a.yaml", &*settings("pink"))];
    let (from, head) = team.fork(&guest, "pink", &files);
    let strange = team.forged.open(&guest, "Pink", &from);
    let (ours, _) = team.propose("blue", "shop/a.yaml", &settings("blue"));
    let kustomize = Programs::build(&[Program::Kustomize]).unwrap();
    without_landlock(|| {
        let invocation = team.invocation();
        let invocation = invocation.with_program(kustomize.path(Program::Kustomize));
        team.start_as(invocation);
        team.until_comment(ours, "+  color: blue");
        let comment = team.until_comment(strange, "kustomize is not run for files of somebody");
        assert!(comment.contains("reading other files"), "{comment}");
        team.until_status(&head, "failure");
        let log = team.until_log("the warning", |log| log.contains("this kernel cannot keep"));
        assert_eq!(log.matches("this kernel cannot keep").count(), 1);
    });
}

#[test]
fn a_conflict_a_mistake_and_a_secret_are_told_as_such() {
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: login}}\nstringData: {{password: {value}}}\n"
        )
    };
    let files = [
        ("shop/a.yaml", &*settings("red")),
        ("shop/b.yaml", &*secret("hunter-seven")),
    ];
    let mut team = Team::new("pulls-wrong", "allowPlainSecrets: true", &files);
    let (conflict, bad, hidden) = (
        team.propose("conflict", "shop/a.yaml", &settings("blue")),
        team.propose("bad", "shop/a.yaml", "a: [\n"),
        team.propose("hidden", "shop/b.yaml", &secret("hunter-eight")),
    );
    team.stage
        .commit("Meanwhile", &[("shop/a.yaml", &settings("black"))]);
    team.start();
    let text = team.until_comment(conflict.0, "can't be merged");
    assert!(text.contains("- `shop/a.yaml`"), "{text}");
    assert_eq!(
        team.until_status(&conflict.1, "failure"),
        "it conflicts with main"
    );
    team.until_comment(bad.0, "can't be merged");
    let text = team.until_comment(hidden.0, "hmac:");
    for value in ["hunter", "aHVudGVyLXNldmVu", "aHVudGVyLWVpZ2h0"] {
        assert!(!text.contains(value), "{value}: {text}");
    }

    team.pull();
    let files = [("shop/c.yaml", "a: [\n")];
    let head = team.forged.branch("worse", "Worse", &files);
    let number = team.forged.open(&team.owner, "Worse", "worse");
    let text = team.until_comment(number, "cannot be rendered");
    assert!(text.contains("shop/c.yaml:1:4"), "{text}");
    team.until_status(&head, "failure");
}

#[test]
fn what_needs_approval_fails_until_the_pull_request_has_it() {
    let keep = settings("red");
    let two = format!(
        "{keep}---\n{}",
        settings("red").replace("settings", "extra")
    );
    let more = "maxPrune: {count: 0}";
    let mut team = Team::new("pulls-guard", more, &[("shop/a.yaml", &two)]);
    team.start();
    let (number, head) = team.propose("less", "shop/a.yaml", &keep);
    let comment = team.until_comment(number, "**needs approval: prune**");
    let digest = comment.split_once("Approve-Plan: ").unwrap().1;
    let digest = digest.split('`').next().unwrap();
    assert!(team.until_status(&head, "failure").starts_with("1 blocked"));

    let message = format!("Yes, remove it\n\nApprove-Plan: {digest}");
    let head = team.forged.branch("less", &message, &[]);
    assert!(
        team.until_status(&head, "success")
            .starts_with("1 to prune")
    );
    let comment = team.until_comment(number, "**prune** (deleted)");
    assert!(!comment.contains("needs approval"), "{comment}");
    let merged = team.forged.merge(number);
    team.stage.until_gone("configmap", "extra");
    team.until_status(&merged, "success");
}

#[test]
fn two_agents_keep_one_comment() {
    let mut team = Team::new("pulls-two", "", &[("shop/a.yaml", &settings("red"))]);
    let (one, other) = (
        team.stage.environment.clone(),
        format!("{}-next", team.stage.environment),
    );
    let unit = |name: &str| {
        format!(
            "  {name}:\n    units: [{{name: shop, path: {name}, namespace: {}}}]\n",
            team.stage.namespace
        )
    };
    let configuration = format!("version: 1\nenvironments:\n{}{}", unit(&one), unit(&other));
    let named = |name: &str, color: &str| settings(color).replace("settings", name);
    let (first, second) = (format!("{one}/a.yaml"), format!("{other}/a.yaml"));
    let all = [
        ("agent.yaml", configuration.as_str()),
        (first.as_str(), &*named("first", "red")),
        (second.as_str(), &*named("second", "red")),
    ];
    team.stage.remove(&["shop"]);
    team.stage.commit("Two environments", &all);
    team.pull();
    let files = [
        (first.as_str(), &*named("first", "blue")),
        (second.as_str(), &*named("second", "green")),
    ];
    team.forged.branch("both", "Both", &files);
    let number = team.forged.open(&team.owner, "Both", "both");
    let _beside = {
        let run = team
            .stage
            .agent(&["run", "--repo", team.stage.repository.url()]);
        let data = run.home().join("data");
        let run = run
            .args(["--environment", &other, "--forge", "gitea", "--data-dir"])
            .args([data]);
        let run = run.args(["--poll-interval", "1s", "--pull-request-interval", "1s"]);
        run.env("AGENT_GIT_TOKEN", &team.bot.token).start()
    };
    team.start();
    let forged = &team.forged;
    team.stage.until("one comment of both", |_| {
        let comments = forged.comments(number);
        let has = |words: &str| comments.first().is_some_and(|it| it.contains(words));
        let both = has("+  color: blue") && has("+  color: green") && has(&format!("to {other}\n"));
        if comments.len() == 1 && both {
            Ok(())
        } else {
            Err(comments.join("\n---\n"))
        }
    });
}

#[test]
fn ci_says_the_same_and_writes_the_comment_if_told_to() {
    let mut team = Team::new("pulls-ci", "", &[("shop/a.yaml", &settings("red"))]);
    let (number, head) = team.propose("blue", "shop/a.yaml", &settings("blue"));
    let ci = |more: &[&str]| {
        let number = number.to_string();
        let words = [
            "diff",
            "--environment",
            &team.stage.environment,
            "--pull-request",
            &number,
        ];
        let run = team
            .stage
            .agent(&words)
            .args(["--forge", "gitea"])
            .args(more);
        // The clone's `origin` holds the owner's token; the forge is given the agent's.
        run.env("AGENT_FORGE_TOKEN", &team.bot.token).run()
    };
    let ran = ci(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("1 to create"), "{ran:?}");
    assert_eq!(team.forged.comments(number), Vec::<String>::new());
    let ran = ci(&["--comment"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let written = team.forged.comments(number);
    assert!(written[0].contains(&ran.stdout), "{written:?} {ran:?}");
    let json: Value = serde_json::from_str(&ci(&["-o", "json"]).stdout).unwrap();
    assert_eq!(json[0]["units"][0]["steps"][0]["action"], "create");

    // The daemon takes the same comment up, and CI finds nothing to write after that.
    team.start();
    let text = team.until_comment(number, "-  color: red");
    team.until_status(&head, "success");
    let ran = {
        let number = number.to_string();
        let words = [
            "diff",
            "--environment",
            &team.stage.environment,
            "--pull-request",
            &number,
        ];
        let run = team
            .stage
            .agent(&words)
            .args(["--forge", "gitea", "--comment"]);
        run.env("AGENT_FORGE_TOKEN", &team.bot.token).run()
    };
    assert!(ran.stderr.contains("the comment is up to date"), "{ran:?}");
    assert_eq!(team.forged.comments(number), [text]);
}

#[test]
fn a_forge_that_refuses_holds_up_no_sync() {
    let mut team = Team::new("pulls-refused", "", &[("shop/a.yaml", &settings("red"))]);
    let revision = team.stage.repository.revision("HEAD");
    let invocation = team.invocation().env("AGENT_FORGE_TOKEN", "not-a-token");
    team.stage.start_as(invocation);
    team.stage.until_synced("shop", &revision);
    let log = team.until_log("the refusal to be said", |log| {
        let refused = |line: &str| line.contains("does not accept the token");
        let said = |what: &str| log.lines().any(|line| line.contains(what) && refused(line));
        said("the commit status cannot be set") && said("pull requests cannot be previewed")
    });
    assert!(!log.contains("not-a-token"), "{log}");
    let revision = team
        .stage
        .commit("Blue", &[("shop/a.yaml", &settings("blue"))]);
    team.stage.until_synced("shop", &revision);
    assert_eq!(team.states(&revision), Vec::<String>::new());
}
