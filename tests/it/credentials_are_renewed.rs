//! Credentials for the API server that end are had anew, and the daemon goes on by itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::ports::{free_address, readyz};
use crate::support::stage::Stage;
use crate::support::wait::wait_seeing;

const PATIENCE: Duration = Duration::from_mins(1);
const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {greeting: hello}\n";

/// An agent whose credentials a program gives, and where that reads them.
struct Scene {
    stage: Stage<'static>,
    says: PathBuf,
    runs: PathBuf,
    /// The admin address.
    address: String,
}

impl Scene {
    fn give(&self, token: &str) -> String {
        let given = serde_json::json!({"status": {"token": token.trim()}});
        fs::write(&self.says, given.to_string()).unwrap();
        given.to_string()
    }

    /// Takes away the account whose token the agent has, and waits until it notices.
    fn lose_the_account(&mut self) {
        // Tokens of another account of the same name are of nobody.
        self.stage.kubectl(&["delete", "serviceaccount", "agent"]);
        self.stage.kubectl(&["create", "serviceaccount", "agent"]);
        let lost = "the lease could not be renewed in time";
        self.until_logged(lost);
    }

    fn until_logged(&mut self, words: &str) {
        let path = self.stage.daemon().home().join("daemon.log");
        self.stage.until(words, |_| {
            let log = fs::read_to_string(&path).unwrap_or_default();
            if log.contains(words) {
                Ok(())
            } else {
                Err(log)
            }
        });
    }

    fn until_readyz(&self, status: &str) {
        wait_seeing("/readyz to say it", PATIENCE, || {
            let page = readyz(&self.address)?;
            if page.contains(status) {
                Ok(())
            } else {
                Err(page)
            }
        });
    }
}

fn started(name: &str) -> Scene {
    let (mut scene, agent, revision) = prepared(name);
    scene.stage.start_as(agent);
    scene.stage.until_synced("shop", &revision);
    scene
}

/// The same before it is started, with the commit that is to be synced.
fn prepared(name: &str) -> (Scene, Agent, String) {
    let stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
    stage.repository.write("shop/a.yaml", CONFIG);
    let revision = stage.configure(&[("shop", "")]);
    let account = format!("--serviceaccount={}:agent", stage.namespace);
    stage.kubectl(&["create", "serviceaccount", "agent"]);
    let admin = "--clusterrole=cluster-admin";
    let name = stage.environment.clone();
    stage
        .cluster
        .kubectl(&["create", "clusterrolebinding", &name, admin, &account]);
    let token = stage.kubectl(&["create", "token", "agent"]);

    let agent = stage.invocation();
    let (says, runs) = (agent.home().join("says"), agent.home().join("runs"));
    let kubeconfig = stage.cluster.kubeconfig_for_token("PLACE");
    let script = format!("echo >> {}; cat {}", runs.display(), says.display());
    let plugin = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, args: [-c, '{script}']}}"
    );
    let text = fs::read_to_string(&kubeconfig).unwrap();
    fs::write(&kubeconfig, text.replace("token: PLACE", &plugin)).unwrap();
    let address = free_address();
    let agent = agent
        .args(["--admin-addr", &address])
        .kubeconfig(kubeconfig);
    let scene = Scene {
        stage,
        says,
        runs,
        address,
    };
    scene.give(&token);
    (scene, agent, revision)
}

/// As on a node whose helper for credentials comes up later.
#[test]
fn a_program_that_fails_at_the_start_is_waited_for() {
    let (mut scene, agent, revision) = prepared("later");
    let given = fs::read_to_string(&scene.says).unwrap();
    fs::remove_file(&scene.says).unwrap();
    scene.stage.start_as(agent);
    scene.until_readyz("503 Service Unavailable");
    scene.until_readyz("the cluster cannot be used yet: the API server does not accept our credentials: the kubeconfig's program sh failed");
    assert!(scene.stage.daemon().terminate(PATIENCE).success());

    scene.stage.daemon().restart();
    scene.until_readyz("the kubeconfig's program sh failed");
    let runs = || fs::read_to_string(&scene.runs).unwrap().lines().count();
    assert!(runs() < 20, "{}", runs());
    fs::write(&scene.says, given).unwrap();
    scene.stage.until_synced("shop", &revision);
    scene.until_readyz("200 OK");
}

#[test]
fn a_daemon_goes_on_with_the_next_token_however_late_it_comes() {
    let mut scene = started("renewed");
    scene.lose_the_account();
    scene.stage.kubectl(&["delete", "configmap", "a"]);
    scene.give(&scene.stage.kubectl(&["create", "token", "agent"]));
    scene
        .stage
        .until("what was deleted to be there again", |stage| {
            let found = stage
                .cluster
                .get(&["-n", &stage.namespace, "configmap", "a"]);
            found.map(drop).ok_or("it is not".to_owned())
        });
    scene.until_readyz(" 200 ");
    let log = scene.stage.log();
    assert!(log.contains("not even what was had anew"), "{log}");
    let runs = fs::read_to_string(&scene.runs).unwrap().lines().count();
    assert!(runs < 30, "the program was run {runs} times");
}

#[test]
fn a_program_that_hangs_is_told_and_keeps_the_daemon_from_being_ready() {
    let mut scene = started("hangs");
    fs::remove_file(&scene.says).unwrap();
    let made = Command::new("mkfifo").arg(&scene.says).status();
    assert!(made.unwrap().success());
    scene.lose_the_account();
    scene.until_logged("has given no credentials yet");
    scene.until_readyz(" 503 ");

    let token = scene.stage.kubectl(&["create", "token", "agent"]);
    // To the one that waits, and to those after it.
    let given = scene.give(&token);
    let next = scene.says.with_extension("next");
    fs::write(&next, given).unwrap();
    fs::rename(next, &scene.says).unwrap();
    scene.until_readyz(" 200 ");
}
