//! What the agent starts ends with it, with all that it has started itself, however the
//! agent is asked to end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::agent::{Agent, Daemon};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const SOON: Duration = Duration::from_secs(10);

/// A program that hangs, and has others hang; it writes down their ids.
fn hanging(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (program, pids) = (directory.join(name), directory.join("pids"));
    let script = format!(
        "#!/bin/sh\nsleep 1000 &\necho $$ $! >> {}\nexec sleep 1000\n",
        pids.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program, pids)
}

fn kubeconfig(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n"
    )
}

/// One that is dead and not reaped yet counts as gone.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Ends it once both programs run, and expects them to be gone.
fn ends_with_all(mut daemon: Daemon, pids: &Path, signal: Signal) -> Option<i32> {
    daemon.wait("the program to hang", SOON, || {
        let told = fs::read_to_string(pids).unwrap_or_default();
        if told.ends_with('\n') {
            Ok(())
        } else {
            Err(told)
        }
    });
    let status = daemon.end_by(signal, SOON);
    let told = fs::read_to_string(pids).unwrap();
    wait_seeing("what it started to be gone", SOON, || {
        let left: Vec<&str> = told.split_whitespace().filter(|pid| runs(pid)).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    status.code()
}

#[test]
fn of_a_program_that_gives_credentials() {
    let run: &[&str] = &["run", "--repo", "file:///nowhere", "--environment", "test"];
    let diff: &[&str] = &["diff"];
    for (arguments, signal, code) in [
        (run, Signal::TERM, 0),
        (diff, Signal::TERM, 143),
        (diff, Signal::INT, 130),
    ] {
        let agent = Agent::new(AGENT).args(arguments);
        let (program, pids) = hanging(agent.home(), "credentials");
        let file = agent.home().join("kubeconfig");
        let user = format!(
            "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: {}}}",
            program.display()
        );
        fs::write(&file, kubeconfig(&user)).unwrap();
        let data = agent.home().join("data");
        fs::write(
            agent.home().join("agent.yaml"),
            "version: 1\nenvironments: {test: {units: []}}\n",
        )
        .unwrap();
        let home = agent.home().to_owned();
        let agent = agent
            .kubeconfig(file)
            .directory(home)
            .env("AGENT_DATA_DIR", data);
        let ended = ends_with_all(agent.start(), &pids, signal);
        assert_eq!(ended, Some(code), "{arguments:?}");
    }
}

#[test]
fn of_ssh() {
    let repo = "ssh://git@127.0.0.1/home/git/env.git";
    let agent = Agent::new(AGENT).args(["run", "--repo", repo, "--environment", "test"]);
    let (program, pids) = hanging(agent.home(), "ssh");
    let file = agent.home().join("kubeconfig");
    fs::write(&file, kubeconfig("token: t")).unwrap();
    let data = agent.home().join("data");
    let agent = agent.kubeconfig(file).with_program(&program);
    let daemon = agent.env("AGENT_DATA_DIR", data).start();
    ends_with_all(daemon, &pids, Signal::TERM);
}
