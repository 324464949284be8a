//! What can't be written down is kept and written later: a disk without room or inodes, a
//! process without descriptors. Drift is reverted all along.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::agent::Agent;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

/// Generous: see the other module on stopping.
const SOON: Duration = Duration::from_secs(8);
/// Makes a small disk that only the agent sees, and that goes with it.
const SMALL_DISK: &str =
    "mkdir -p \"$0\" && mount -t tmpfs -o size=24m,nr_inodes=4k tmpfs \"$0\" && exec \"$@\"";

struct Scene {
    stage: Stage<'static>,
    admin: String,
    data: PathBuf,
    reverts: usize,
}

impl Scene {
    /// An agent whose data is on a small disk.
    fn new(name: &str) -> Self {
        let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
        stage.repository.write("shop/config.yaml", CONFIG);
        let revision = stage.configure(&[("shop", "")]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        drop(listener);
        let agent = stage.invocation().args(["--admin-addr", &admin]);
        let data = agent.home().join("data");
        stage.start_as(on_a_small_disk(agent, &data));
        stage.until_synced("shop", &revision);
        stage.until_state("shop", "Synced");
        Self {
            stage,
            admin,
            data,
            reverts: 0,
        }
    }

    /// The data directory as the agent sees it.
    fn inside(&mut self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.stage.daemon().id()));
        root.join(self.data.strip_prefix("/").unwrap())
    }

    fn drift(&mut self) {
        self.reverts += 1;
        let value = format!("drifted-{}", self.reverts);
        let patch = format!(r#"{{"data":{{"a":"{value}"}}}}"#);
        self.stage
            .kubectl(&["patch", "configmap", "config", "-p", &patch]);
        let reverts = self.reverts;
        let stage = &self.stage;
        wait_seeing("the drift to be reverted", PATIENCE, || {
            let log = stage.log();
            let told = log.matches("revert drift on ConfigMap").count();
            let live = stage.get("configmap", "config")["data"]["a"].clone();
            if live == "one" && told == reverts {
                Ok(())
            } else {
                Err(format!("{live} {told}"))
            }
        });
    }

    /// Drifts while nothing can be written, which is told.
    fn drift_unwritten(&mut self) {
        let before = self.stage.record_tip();
        (0..3).for_each(|_| self.drift());
        wait_seeing("the trouble to be told", PATIENCE, || {
            let page = get(&self.admin, "/readyz");
            let told = page.contains("cannot be written and are kept in memory");
            if told && page.contains(" 200 ") {
                Ok(())
            } else {
                Err(page)
            }
        });
        let name = "gitops_agent_record_unwritten_entries{";
        let page = get(&self.admin, "/metrics");
        let line = page.lines().find(|line| line.starts_with(name));
        assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{line:?}");
        assert_eq!(self.stage.record_tip(), before);
    }

    /// Waits until every drift and every revert is in the record, in order.
    fn until_all_is_told(&mut self) {
        let expected: Vec<String> = (1..=self.reverts)
            .map(|number| format!("drifted-{number}"))
            .collect();
        self.stage.until("every revert to be told", |stage| {
            let reverts = stage.entries_on("revert drift").into_iter();
            let bodies: Vec<String> = reverts.map(|entry| entry.message).collect();
            let all = bodies.len() == expected.len();
            let ordered = bodies
                .iter()
                .zip(&expected)
                .all(|(body, value)| body.contains(value));
            if all && ordered {
                Ok(())
            } else {
                Err(format!("{bodies:#?}\n{}", stage.log()))
            }
        });
        let found = self.stage.entries_on("kubectl-patch changed").len();
        assert_eq!(found, self.reverts);
        wait_seeing("the trouble to be over", PATIENCE, || {
            let page = get(&self.admin, "/readyz");
            if page.ends_with("ready\n") {
                Ok(())
            } else {
                Err(page)
            }
        });
        self.stage.assert_consistent();
    }
}

#[test]
fn a_disk_without_room() {
    let mut scene = Scene::new("full");
    let filler = scene.inside().join("filler");
    fill(&filler);
    scene.drift_unwritten();
    // Nothing is wrong with the repository.
    scene.stage.commit("More", &[("more.txt", "more")]);
    wait_seeing("the trouble to be told as what it is", PATIENCE, || {
        let log = scene.stage.log();
        let told = log.contains("can't be kept: ") && log.contains("of the data directory");
        told.then_some(()).ok_or(log)
    });
    let log = scene.stage.log();
    assert!(!log.contains("can't be reached"), "{log}");
    fs::remove_file(&filler).unwrap();
    scene.until_all_is_told();

    // The end of the process is the end of what it has; then the log tells it.
    fill(&filler);
    scene.drift();
    assert!(scene.stage.daemon().terminate(SOON).success());
    let log = scene.stage.log();
    assert!(log.contains("not recorded"), "{log}");
}

#[test]
fn a_disk_without_inodes() {
    let mut scene = Scene::new("inodes");
    let directory = scene.inside().join("fillers");
    fs::create_dir(&directory).unwrap();
    let mut number = 0;
    while File::create(directory.join(number.to_string())).is_ok() {
        number += 1;
    }
    scene.drift_unwritten();
    fs::remove_dir_all(&directory).unwrap();
    scene.until_all_is_told();
}

#[test]
fn a_process_without_descriptors() {
    let mut scene = Scene::new("descriptors");
    scene.drift();
    scene.until_all_is_told();
    let id = i32::try_from(scene.stage.daemon().id()).unwrap();
    let limit = |current| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(1024),
        };
        prlimit(Pid::from_raw(id), Resource::Nofile, limit).unwrap();
    };
    limit(3);
    (0..3).for_each(|_| scene.drift());
    let told = scene.stage.entries_on("revert drift").len();
    assert_eq!(told, 1, "nothing can be written");
    limit(1024);
    scene.until_all_is_told();
    assert!(scene.stage.daemon().terminate(SOON).success());
}

fn on_a_small_disk(agent: Agent, data: &Path) -> Agent {
    let data = data.to_str().unwrap();
    agent.through(&["unshare", "-m", "sh", "-c", SMALL_DISK, data])
}

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write(&[b'x'; 4096]).is_ok_and(|count| count > 0) {}
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    std::io::read_to_string(stream).unwrap()
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {a: one}\n";
