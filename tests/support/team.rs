//! A team that decides about proposals: an environment with `drift: propose`, its
//! repository on the forge, and what people do there.

use serde_json::{Value, json};

use super::git::git;
use super::gitea::{Forged, Gitea, User};
use super::programs::{Program, Programs};
use super::stage::Stage;

/// An environment whose repository is on the forge, and the agent's account there.
pub struct Team {
    pub stage: Stage<'static>,
    pub forged: Forged<'static>,
    bot: User,
}

impl Team {
    /// With one unit, `shop`, of these files, and the agent at work.
    pub fn new(agent: &'static str, name: &str, more: &str, files: &[(&str, &str)]) -> Self {
        let programs = Programs::build(&[Program::Kustomize]);
        let programs = programs.unwrap_or_else(|error| panic!("{error:#}"));
        let gitea = Gitea::shared();
        let (owner, bot) = (gitea.user("owner"), gitea.user("bot"));
        let mut stage = Stage::new(name, agent);
        stage.repository = gitea.repository(&owner, "deploy").repository;
        let configuration = stage.configuration(&[("shop", more)]);
        let all = [&[("agent.yaml", configuration.as_str())], files].concat();
        let revision = stage.commit("Start", &all);
        let forged = gitea.forged(&owner, "deploy");
        forged.let_in(&bot, "write");
        forged.until_filled();
        let mut team = Self { stage, forged, bot };
        let invocation = team
            .stage
            .invocation()
            .args(["--poll-interval", "1s", "--forge", "gitea"])
            .args(["--pull-request-interval", "1s"])
            .env("AGENT_KUSTOMIZE", programs.path(Program::Kustomize))
            .env("AGENT_GIT_TOKEN", &team.bot.token);
        team.stage.start_as(invocation);
        team.stage.until_synced("shop", &revision);
        team
    }

    pub fn branch(&self) -> String {
        format!("agent/propose/{}/shop", self.stage.environment)
    }

    /// Waits for there to be so many proposals, the newest of them with this title and in
    /// this state, and gives that.
    pub fn until_proposal(&mut self, count: usize, title: &str, state: &str) -> Value {
        let (forged, branch) = (&self.forged, self.branch());
        let what = format!("proposal {count} to be {state}: {title}");
        self.stage.until(&what, |_| {
            let all = proposals(forged, &branch);
            let is = |pull: &&Value| pull["state"] == state && self::title(pull).contains(title);
            match all.first().filter(is) {
                Some(pull) if all.len() == count => Ok(pull.clone()),
                _ => Err(json!(all).to_string()),
            }
        })
    }

    /// The lines that a proposal changes, and who wrote and who made its commit.
    pub fn lines(&self) -> (Vec<String>, String) {
        let remote = self.stage.repository.remote();
        let diff = git(&remote, &["diff", &format!("main...{}", self.branch())]);
        let changed = |line: &&str| {
            (line.starts_with('-') || line.starts_with('+'))
                && !line.starts_with("---")
                && !line.starts_with("+++")
        };
        let lines = diff.lines().filter(changed).map(str::to_owned).collect();
        (
            lines,
            git(&remote, &["log", "-1", "--format=%an %cn", &self.branch()])
                .trim()
                .to_owned(),
        )
    }

    pub fn close(&self, pull: &Value) {
        self.forged.call(
            "PATCH",
            &format!("/pulls/{}", pull["number"]),
            &json!({"state": "closed"}),
        );
    }

    /// What is held, let go and put back, in the order of the record.
    pub fn holds(&self) -> Vec<String> {
        let prefix = format!("{}: ", self.stage.environment);
        let told = self.stage.entries().into_iter();
        let told = told.map(|entry| entry.subject.replace(&prefix, ""));
        let told = told.map(|subject| match subject.strip_prefix("revert drift on ") {
            Some(_) => "revert drift".to_owned(),
            None => subject,
        });
        told.filter(|subject| {
            let starts = |word: &&str| subject.starts_with(word);
            ["keep drift ", "release drift ", "revert "]
                .iter()
                .any(starts)
        })
        .collect()
    }

    /// Leaves nothing of the agent's memory but what is in Git and in the cluster.
    pub fn restart_elsewhere(&mut self) {
        let data = self.stage.daemon().home().join("data");
        self.stage.daemon().kill();
        std::fs::remove_dir_all(data).expect("it is ours");
        self.stage.daemon().restart();
    }
}

/// All proposals from a branch, the newest first.
pub fn proposals(forged: &Forged<'_>, branch: &str) -> Vec<Value> {
    let all = forged.call("GET", "/pulls?state=all", &Value::Null);
    let mut all: Vec<Value> = all.as_array().cloned().unwrap_or_default();
    all.retain(|pull| title(pull).contains(": keep "));
    all.sort_by_key(|pull| std::cmp::Reverse(pull["number"].as_u64()));
    assert!(
        all.iter()
            .all(|pull| pull["state"] == "closed" || pull["head"]["ref"] == *branch)
    );
    all
}

fn title(pull: &Value) -> &str {
    pull["title"].as_str().unwrap_or_default()
}

/// That a proposal's text has all of these words.
pub fn assert_says(pull: &Value, words: &[&str]) {
    let text = pull["body"].as_str().unwrap_or_default();
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}
