//! A stop loses nothing and hands over: what was done is told, the Lease is let go, and
//! nothing that hangs holds it up. Every listener is on, as `deploy/` has them.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::agent::Agent;
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::git_http::GitHttp;
use crate::support::leash::scratch;
use crate::support::liar::{Asked, Liar, Lie};
use crate::support::parts::Part;
use crate::support::ports::free_address;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::valve::Valve;
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");
const UNITS: usize = 60;
/// The bound is five seconds; the rest is for a machine that runs many tests at once.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn what_was_done_until_then_is_told_at_whatever_moment_it_comes() {
    let mut stage = Stage::new("moments", AGENT);
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    let (agent, admin) = listening(stage.over_http(&server));
    stage.start_as(agent);
    for (round, moment) in [1, UNITS / 3, UNITS - 1].into_iter().enumerate() {
        if round > 0 {
            stage.daemon().restart();
        }
        let revision = commit(&stage, round);
        stage.until("so many units to be applied", |stage| {
            let count = live(stage, round);
            if count >= moment {
                Ok(())
            } else {
                Err(format!("{count}"))
            }
        });
        // Somebody who keeps a connection open holds up nothing.
        let idle = TcpStream::connect(&admin).unwrap();
        let asked = Instant::now();
        let status = stage.daemon().terminate(SOON);
        println!("ended after {:?}", asked.elapsed());
        drop(idle);
        assert!(status.success(), "{status}: {}", stage.log());
        assert_eq!(stage.holder(), None, "the Lease is let go");
        let applied = live(&stage, round);
        let told = told(&stage, &revision);
        assert_eq!(told, applied, "{}", stage.log());
        let value = format!("a: \"{round}\"");
        let files = stage.recorded_files().into_iter();
        let texts = files.filter_map(|path| stage.recorded(&path));
        let recorded = texts.filter(|text| text.contains(&value)).count();
        assert_eq!(recorded, applied, "the tree is as live");
    }
    let waits = stage.entries_on("u").into_iter();
    let waits = waits.filter(|entry| entry.subject.contains(" waits for "));
    let waits: Vec<String> = waits.map(|entry| entry.subject).collect();
    assert_eq!(waits, Vec::<String>::new(), "what is on its way is no news");
    stage.daemon().restart();
    let last = stage.repository.revision("HEAD");
    stage.until("every unit to be told", |stage| {
        let told = told(stage, &last);
        if told == UNITS {
            Ok(())
        } else {
            Err(format!("{told}"))
        }
    });
    assert!(!stage.log().contains("panicked"), "{}", stage.log());
}

#[test]
fn git_that_hangs_is_not_waited_for_and_what_waits_is_pushed_by_the_next() {
    let mut stage = Stage::new("deaf", AGENT);
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    let revision = commit(&stage, 0);
    let (agent, _) = listening(stage.over_http(&server));
    stage.start_as(agent);
    stage.until("every unit to be told", |stage| {
        let told = told(stage, &revision);
        if told == UNITS {
            Ok(())
        } else {
            Err(format!("{told}"))
        }
    });
    server.hold();
    stage.kubectl(&["delete", "configmap", "u7"]);
    until_logged(&stage, "again");
    let status = stage.daemon().terminate(SOON);
    assert!(status.success(), "{status}: {}", stage.log());
    assert_eq!(stage.holder(), None, "the Lease is let go");
    until_logged(
        &stage,
        "entries could not be pushed; they wait in the data directory",
    );
    assert!(stage.entries_on("create ConfigMap").is_empty());
    server.release();
    stage.daemon().restart();
    stage.until_entry("create ConfigMap");
}

#[test]
fn an_api_server_that_hangs_is_not_waited_for() {
    let mut stage = Stage::new("mute", AGENT);
    let valve = Valve::before(stage.cluster.server()[8..].parse().unwrap());
    commit(&stage, 0);
    let (agent, _) = listening(stage.invocation());
    let kubeconfig = agent.home().join("through");
    let text = fs::read_to_string(stage.cluster.kubeconfig()).unwrap();
    let through = format!("https://{}", valve.address());
    fs::write(&kubeconfig, text.replace(&stage.cluster.server(), &through)).unwrap();
    stage.start_as(agent.kubeconfig(&kubeconfig));
    let some = |stage: &Stage| live(stage, 0);
    stage.until("some units to be applied", |stage| match some(stage) {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    valve.shut();
    let asked = Instant::now();
    let status = stage.daemon().terminate(SOON);
    println!("ended after {:?}", asked.elapsed());
    assert!(status.success(), "{status}: {}", stage.log());
    until_logged(&stage, "the lease could not be let go");

    // One that is reached by nobody from the start.
    stage.daemon().restart();
    until_logged(&stage, "admin endpoints");
    stage.daemon().terminate(SOON);
    valve.open();
}

/// A pass that has only asked so far has nothing to end.
#[test]
fn watches_that_never_speak_are_not_waited_for() {
    let liar = Liar::before(ControlPlane::shared());
    let mut stage = Stage::new("speechless", AGENT);
    commit(&stage, 0);
    liar.lie(Asked::is_watch, Lie::Silence);
    let lists = |asked: &Asked| asked.method == "GET" && asked.path == "/api/v1/configmaps";
    liar.lie(lists, Lie::Silence);
    let (agent, _) = listening(stage.invocation());
    stage.start_as(agent.kubeconfig(liar.kubeconfig()));
    stage.until("it to ask", |_| {
        let told = liar.told();
        (told > 1).then_some(()).ok_or_else(|| told.to_string())
    });
    let status = stage.daemon().terminate(SOON);
    assert!(status.success(), "{status}: {}", stage.log());
    assert_eq!(stage.holder(), None, "the Lease is let go");
}

/// The API server answers what it knows by itself.
#[test]
fn what_the_api_server_keeps_objects_in_may_hang() {
    let cluster = ControlPlane::start(&Options::default()).unwrap();
    let mut stage = Stage::on(&cluster, "no-store", AGENT);
    commit(&stage, 0);
    let (agent, _) = listening(stage.invocation());
    stage.start_as(agent);
    stage.until("some units to be applied", |stage| match live(stage, 0) {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    cluster.signal(Part::Etcd, Signal::STOP);
    let status = stage.daemon().terminate(SOON);
    cluster.signal(Part::Etcd, Signal::CONT);
    assert!(status.success(), "{status}: {}", stage.log());
}

#[test]
fn a_terminal_that_is_closed_ends_it_in_order() {
    // Who runs the tests may have them outlive a terminal (`nohup`), which is inherited.
    let directory = scratch("hangup");
    let script = directory.path().join("agent");
    let text = format!("#!/bin/sh\nexec env --default-signal=HUP {AGENT} \"$@\"\n");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script: &'static str = Box::leak(script.display().to_string().into_boxed_str());
    let mut stage = Stage::new("hangup", script);
    stage.repository.write("u0/config.yaml", &config(0, 0));
    let revision = stage.configure(&[("u0", "")]);
    stage.start();
    stage.until_synced("u0", &revision);
    let status = stage.daemon().end_by(Signal::HUP, SOON);
    assert!(status.success(), "{status}: {}", stage.log());
    assert_eq!(stage.holder(), None, "the Lease is let go");
}

#[test]
fn a_log_that_nobody_reads_ends_nothing() {
    let mut stage = Stage::new("unread", AGENT);
    stage.repository.write("u0/config.yaml", &config(0, 0));
    stage.configure(&[("u0", "")]);
    let (agent, admin) = listening(stage.invocation());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut daemon = agent.start_logging_to(writer);
    goes_on(&mut stage, &mut daemon, 1);
    assert!(lost(&admin) > 0, "what is not said is counted");
    assert!(daemon.terminate(SOON).success());

    // A full disk.
    let (agent, admin) = listening(stage.invocation());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut daemon = agent.start_logging_to(full);
    goes_on(&mut stage, &mut daemon, 2);
    assert!(lost(&admin) > 0, "what is not said is counted");
    assert!(daemon.terminate(SOON).success());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let stage = Stage::new("head", AGENT);
    commit(&stage, 0);
    let errors = stage.repository.work().join("errors");
    let script = format!(
        "\"$0\" diff --environment {} 2>{} | true",
        stage.environment,
        errors.display()
    );
    let agent = Agent::new("/bin/bash").kubeconfig(stage.cluster.kubeconfig());
    let agent = agent.directory(stage.repository.work());
    let piped = agent.args(["-o", "pipefail", "-c", &script, AGENT]).run();
    assert_eq!(piped.code, Some(1), "something differs: {piped:?}");
    assert_eq!(fs::read_to_string(errors).unwrap(), "");
}

/// The agent still does its work with what is committed now.
fn goes_on(stage: &mut Stage, daemon: &mut crate::support::agent::Daemon, value: usize) {
    stage.commit("More", &[("u0/config.yaml", &config(0, value))]);
    daemon.wait("the value to be live", PATIENCE, || {
        let seen = stage.get("configmap", "u0")["data"]["a"].clone();
        if seen.as_str() == Some(&value.to_string()) {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

fn lost(admin: &str) -> u64 {
    let page = get(admin, "/metrics");
    let name = "gitops_agent_log_lines_lost_total ";
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    std::io::read_to_string(stream).unwrap()
}

fn config(number: usize, value: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: u{number}}}\ndata: {{a: '{value}'}}\n"
    )
}

/// Many units of one object each.
fn commit(stage: &Stage, value: usize) -> String {
    let names: Vec<String> = (0..UNITS).map(|number| format!("u{number}")).collect();
    let units: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    for (number, name) in names.iter().enumerate() {
        stage
            .repository
            .write(&format!("{name}/config.yaml"), &config(number, value));
    }
    stage.configure(&units)
}

/// How many objects are live with a value.
fn live(stage: &Stage, value: usize) -> usize {
    let value = value.to_string();
    let list = stage
        .cluster
        .get(&["-n", &stage.namespace, "configmaps"])
        .unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["data"]["a"].as_str() == Some(&value))
        .count()
}

/// How many units' syncs to a revision are in the record that others can read.
fn told(stage: &Stage, revision: &str) -> usize {
    let entries = stage.entries_on("sync u").into_iter();
    let of_it = |subject: &str| subject.contains(&revision[..7]);
    entries.filter(|entry| of_it(&entry.subject)).count()
}

fn until_logged(stage: &Stage, words: &str) {
    wait_seeing(&format!("`{words}` in the log"), PATIENCE, || {
        let log = stage.log();
        log.contains(words).then_some(()).ok_or(log)
    });
}

/// With every listener on; gives the admin address too.
fn listening(agent: Agent) -> (Agent, String) {
    let (admin, webhook) = (free_address(), free_address());
    let agent = agent.args([
        "--admin-addr",
        &admin,
        "--webhook-addr",
        &webhook,
        "--webhook-unsigned",
    ]);
    (agent, admin)
}
