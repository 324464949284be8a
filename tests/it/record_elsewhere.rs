//! A record in a repository of its own is read there by every command that reads one, with
//! the login that the daemon has.

use crate::support::agent::Ran;
use crate::support::git::{Repository, git};
use crate::support::git_http::GitHttp;
use crate::support::stage::Stage;

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: one}\n";

/// An environment whose drift is left, recorded in another repository.
struct Apart {
    stage: Stage<'static>,
    record: Repository,
}

impl Apart {
    fn new(name: &str) -> Self {
        let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
        let record = Repository::with(&[("README.md", "")]);
        let configuration = stage.configuration(&[("shop", "drift: report")]);
        let files = [
            ("agent.yaml", configuration.as_str()),
            ("shop/settings.yaml", SETTINGS),
        ];
        stage.commit("Start", &files);
        let invocation = stage.invocation();
        stage.start_as(invocation.args(["--record-repo", record.url()]));
        let mut apart = Self { stage, record };
        apart.until("Synced");
        let patch = r#"{"data":{"a":"two"}}"#;
        let words = [
            "patch",
            "configmap",
            "settings",
            "--type=merge",
            "--field-manager=mallory",
            "-p",
            patch,
        ];
        apart.stage.kubectl(&words);
        apart.until("Drifted");
        apart
    }

    fn until(&mut self, state: &str) {
        let (record, branch) = (&self.record, self.stage.branch());
        self.stage.until(&format!("{state} to be recorded"), |_| {
            let seen = record.recorded_status(&branch);
            let there = seen["units"]["shop"]["state"] == *state;
            if there { Ok(()) } else { Err(seen.to_string()) }
        });
    }

    fn object(&self) -> String {
        format!("ConfigMap/{}/settings", self.stage.namespace)
    }

    /// Each command that reads a record, its exit code and what it says.
    fn commands(&self) -> Vec<(Vec<String>, i32, String)> {
        let (environment, object) = (self.stage.environment.as_str(), self.object());
        let branch = self.stage.branch();
        let all: [(&[&str], i32, &str); 7] = [
            (&["status"], 1, "shop  Drifted"),
            (&["history", "shop"], 0, "mallory changed ConfigMap"),
            (&["report"], 0, "mallory"),
            (&["why", &object, "data.a"], 0, "by mallory"),
            (&["diff", "--recorded"], 1, "-  a: two"),
            (&["diff"], 1, "\"two\" (set by mallory"),
            (&["record", "rebuild-notes"], 0, "notes on 1 commit"),
        ];
        all.into_iter()
            .map(|(words, code, says)| {
                let words = [words, &["--environment", environment]].concat();
                let says = says.replace("{branch}", &branch);
                (words.into_iter().map(str::to_owned).collect(), code, says)
            })
            .collect()
    }

    fn run(&self, words: &[String], place: &[(&str, &str)]) -> Ran {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let agent = self.stage.agent(&words);
        let with = |agent: crate::support::agent::Agent, (name, value): &(&str, &str)| {
            agent.env(*name, *value)
        };
        place.iter().fold(agent, with).run()
    }
}

#[test]
fn every_command_that_reads_a_record_reads_it_where_it_is() {
    let apart = Apart::new("apart");
    let path = apart.record.remote();
    for (words, code, says) in apart.commands() {
        let flag = ["--record-repo".to_owned(), path.display().to_string()];
        let ran = apart.run(&[&words[..], &flag].concat(), &[]);
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
        assert!(ran.stdout.contains(&says), "{words:?}: {ran:?}");
    }
    // The notes are in the checkout, beside the commits.
    let notes = format!("--notes=agent/{}", apart.stage.environment);
    let log = git(&apart.stage.repository.work(), &["log", "-1", &notes]);
    assert!(log.contains("shop: deployed"), "{log}");

    // Where it isn't, it says what to do.
    for (words, _, _) in apart.commands() {
        let ran = apart.run(&words, &[]);
        match words[0].as_str() {
            // It plans without, as it does in a clone that has no record.
            "diff" if words[1] != "--recorded" => assert_eq!(ran.code, Some(1), "{ran:?}"),
            "why" => assert!(ran.stderr.contains("without a record"), "{ran:?}"),
            _ => {
                assert_eq!(ran.code, Some(2), "{words:?}: {ran:?}");
                assert!(ran.stderr.contains("--record-repo"), "{words:?}: {ran:?}");
            }
        }
    }
}

#[test]
fn the_login_is_that_of_the_daemon() {
    let apart = Apart::new("apart-login");
    let remote = apart.record.remote();
    let server = GitHttp::start(remote.parent().unwrap());
    server.demand_login(Some("git:let-me-in"));
    let url = server.url(remote.file_name().unwrap().to_str().unwrap());
    let place = [
        ("AGENT_RECORD_REPO", url.as_str()),
        ("AGENT_GIT_TOKEN", "let-me-in"),
        ("AGENT_GIT_USERNAME", "git"),
    ];
    for (words, code, says) in apart.commands() {
        let ran = apart.run(&words, &place);
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
        assert!(ran.stdout.contains(&says), "{words:?}: {ran:?}");
    }
    let history = ["history".to_owned()];
    for wrong in ["", "nothing-secret"] {
        let ran = apart.run(&history, &[place[0], ("AGENT_GIT_TOKEN", wrong)]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("doesn't let the agent in"), "{ran:?}");
        assert!(!ran.stderr.contains("nothing-secret"), "{ran:?}");
    }
    // The diff goes on without it, and says what that means.
    let diff = ["diff".to_owned()];
    let ran = apart.run(&diff, &[place[0]]);
    assert!(
        ran.stderr
            .contains("without the record, drift is taken for a change"),
        "{ran:?}"
    );
}

/// A synced environment whose record is looked at each second.
fn compared_often(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
    stage.repository.write("shop/settings.yaml", SETTINGS);
    let revision = stage.configure(&[("shop", "")]);
    let invocation = stage.invocation();
    stage.start_as(invocation.args(["--compare-interval", "1s"]));
    stage.until_synced("shop", &revision);
    stage
}

/// Nothing happens meanwhile that would be an entry.
#[test]
fn a_branch_that_is_taken_away_is_put_back() {
    let mut stage = compared_often("taken-away");
    let revision = stage.commit(
        "Another",
        &[("shop/settings.yaml", &SETTINGS.replace("one", "two"))],
    );
    stage.until_synced("shop", &revision);
    stage.until("both to be recorded", |stage| {
        let told = stage.entries().len();
        if told >= 2 {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
    let (remote, branch) = (stage.repository.remote(), stage.branch());
    let all = git(&remote, &["rev-parse", &branch]);
    let (reference, before) = (format!("refs/heads/{branch}"), format!("{branch}~1"));
    let (deleted, set_back) = (["-d", &reference], [&*reference, &*before]);
    for taken in [deleted, set_back] {
        git(&remote, &["update-ref", taken[0], taken[1]]);
        stage.until("the record to be whole again", |_| {
            let format = "--format=%(objectname)";
            let listed = git(&remote, &["for-each-ref", format, &reference]);
            let whole = listed.trim() == all.trim();
            whole.then_some(()).ok_or(listed)
        });
    }
}

/// As by a wrong `git push --force`.
#[test]
fn a_branch_that_is_replaced_goes_on_as_it_was() {
    let mut stage = compared_often("replaced");
    let (remote, branch) = (stage.repository.remote(), stage.branch());
    let before = git(&remote, &["rev-parse", &branch]);
    let repository = &stage.repository;
    repository.git(&["checkout", "--quiet", "--orphan", "stray"]);
    repository.git(&["commit", "--quiet", "-m", "Stray"]);
    let stray = repository.revision("HEAD");
    let target = format!("stray:{branch}");
    repository.git(&["push", "--quiet", "--force", "origin", &target]);
    repository.git(&["checkout", "--quiet", "main"]);
    stage.until("the record to be put back", |stage| {
        let log = stage.repository.log_as(&branch, "%H");
        let there = log.contains(&before.trim().to_owned());
        there.then_some(()).ok_or_else(|| log.join(" "))
    });
    let kept = stage.repository.log_as(&branch, "%H");
    assert!(kept.contains(&stray), "{kept:?}");
    stage.kubectl(&["delete", "configmap", "settings"]);
    stage.until_entry("create ConfigMap");
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let ran = stage
        .agent(&["status", "--environment", &stage.environment])
        .run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = stage
        .agent(&["history", "--environment", &stage.environment])
        .run();
    assert!(ran.stdout.contains("sync shop"), "{ran:?}");
}
