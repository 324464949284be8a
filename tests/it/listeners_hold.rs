//! Whoever can reach a listener can't take the agent's descriptors, its memory, or the
//! place of others.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit, setrlimit};

use crate::support::hook::{Hook, gitea_push};
use crate::support::ports::free_address;
use crate::support::stage::Stage;

/// As in `deploy/`.
const MEMORY: u64 = 256 << 10;
const DESCRIPTORS: u64 = 1024;
const HALF_OPEN: usize = 1300;
const UNFINISHED: usize = 900;
/// Generous: see the other module on stopping.
const SOON: Duration = Duration::from_secs(8);

struct Scene {
    stage: Stage<'static>,
    admin: String,
    webhook: String,
    drifts: usize,
}

impl Scene {
    fn new(name: &str) -> Self {
        // This process holds the other ends.
        let ours = Rlimit {
            current: Some(8192),
            maximum: Some(20_000),
        };
        // Where that may not be, the default is enough or the test says that it isn't.
        let _ = setrlimit(Resource::Nofile, ours);
        let mut stage = Stage::new(name, env!("CARGO_BIN_EXE_agent"));
        stage.repository.write("shop/config.yaml", CONFIG);
        let revision = stage.configure(&[("shop", "")]);
        let [admin, webhook] = [free_address(), free_address()];
        let agent = stage.invocation();
        let agent = agent.args(["--admin-addr", &admin, "--webhook-addr", &webhook]);
        stage.start_as(agent.args(["--webhook-unsigned", "--poll-interval", "1h"]));
        let id = i32::try_from(stage.daemon().id()).unwrap();
        let limit = Rlimit {
            current: Some(DESCRIPTORS),
            maximum: Some(DESCRIPTORS),
        };
        prlimit(Pid::from_raw(id), Resource::Nofile, limit).unwrap();
        stage.until_synced("shop", &revision);
        Self {
            stage,
            admin,
            webhook,
            drifts: 0,
        }
    }

    /// Drift is reverted, probes and webhooks are answered, wherever they come from.
    fn works(&mut self) {
        self.drifts += 1;
        let patch = format!(r#"{{"data":{{"a":"drifted-{}"}}}}"#, self.drifts);
        self.stage
            .kubectl(&["patch", "configmap", "config", "-p", &patch]);
        self.stage.until("the drift to be reverted", |stage| {
            let live = stage.get("configmap", "config")["data"]["a"].clone();
            if live == "one" {
                Ok(())
            } else {
                Err(live.to_string())
            }
        });
        let probe = b"GET /livez HTTP/1.1\r\nHost: agent\r\n\r\n";
        let push = gitea_push("none", "remote", "main");
        for last in [1, 9] {
            let from = Ipv4Addr::new(127, 0, 0, last);
            let answer = Hook::from(from, &self.admin).raw(probe, b"").unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = Hook::from(from, &self.webhook)
                .post(&push.0, &push.1)
                .unwrap();
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        let id = self.stage.daemon().id();
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
        assert!(descriptors < 300, "{descriptors} descriptors");
    }

    fn ends_in_order(mut self) {
        let drifts = self.drifts;
        self.stage.until("every revert to be told", |stage| {
            let told = stage.entries_on("revert drift").len();
            if told == drifts {
                Ok(())
            } else {
                Err(format!("{told} of {drifts}"))
            }
        });
        let peak = self.peak();
        assert!(peak < MEMORY, "{peak} KiB");
        println!("at most {peak} KiB");
        assert!(self.stage.daemon().terminate(SOON).success());
    }

    /// The most memory that it ever had, in KiB.
    fn peak(&mut self) -> u64 {
        let status = format!("/proc/{}/status", self.stage.daemon().id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().split_whitespace().next();
        number.unwrap().parse().unwrap()
    }
}

#[test]
fn connections_that_say_nothing() {
    let mut scene = Scene::new("silent");
    let addresses = [scene.admin.clone(), scene.webhook.clone()];
    let held: Vec<TcpStream> = addresses
        .iter()
        .flat_map(|address| (0..HALF_OPEN / 2).map(move |_| TcpStream::connect(address).unwrap()))
        .collect();
    scene.works();
    drop(held);
    scene.ends_in_order();
}

#[test]
fn heads_that_do_not_end() {
    let mut scene = Scene::new("heads");
    let addresses = [scene.admin.clone(), scene.webhook.clone()];
    let line = format!("X-Long: {}\r\n", "a".repeat(8_000));
    let mut refused = 0;
    for number in 0..UNFINISHED {
        let mut stream = TcpStream::connect(&addresses[number % 2]).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut sent = stream.write_all(b"POST /webhook HTTP/1.1\r\nHost: agent\r\n");
        for _ in 0..30 {
            sent = sent.and_then(|()| stream.write_all(line.as_bytes()));
        }
        let mut answer = [0; 12];
        let ended = stream.read(&mut answer);
        refused += usize::from(ended.is_err() || answer.ends_with(b"431") || answer == [0; 12]);
    }
    assert_eq!(refused, UNFINISHED);
    scene.works();
    scene.ends_in_order();
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {a: one}\n";
