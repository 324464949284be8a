//! A Git server over HTTP or SSH that never ends, or never begins: told within a minute as one
//! that can't be reached; drift is reverted meanwhile; the agent stays small, and ends
//! when it is asked to.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::agent::Agent;
use crate::support::git_http::{Asked, GitHttp};
use crate::support::hostile_git::Manner;
use crate::support::sshd::Sshd;
use crate::support::stage::Stage;
use crate::support::wait::{poll, wait_seeing};

/// From the server's turn to the words about it: a poll each second, what is waited for
/// longest, and other tests beside.
const TOLD: Duration = Duration::from_secs(75);

/// What a pod has, in KiB.
const MEMORY: u64 = 256 << 10;

const ENDED: Duration = Duration::from_secs(5);

/// Generous: seven agents share two cores with others.
const SOON: Duration = Duration::from_secs(10);

/// More than are changed until a server is told.
const OBJECTS: usize = 40;

#[test]
fn whatever_a_server_does_it_costs_nothing_but_its_commits() {
    let manners = [
        ("refs", Manner::EndlessRefs, Asked::All),
        ("headers", Manner::EndlessHeaders, Asked::All),
        ("promises", Manner::EndlessPromises, Asked::All),
        (
            "trickle",
            Manner::Trickle(Duration::from_secs(5)),
            Asked::All,
        ),
        ("silence", Manner::Silence, Asked::All),
        ("pack", Manner::EndlessPack, Asked::Objects),
        ("progress", Manner::EndlessProgress, Asked::Objects),
    ];
    thread::scope(|scope| {
        for (name, manner, asked) in manners {
            scope.spawn(move || suffer(name, &Way::Http(manner, asked)));
        }
    });
}

#[test]
fn so_it_is_over_ssh() {
    let manners = [
        ("ssh-silence", "silence"),
        ("ssh-banner", "banner"),
        (
            "ssh-refs",
            "yes '003a1111111111111111111111111111111111111111 refs/heads/b'",
        ),
        ("ssh-trickle", "while printf 1; do sleep 5; done"),
    ];
    thread::scope(|scope| {
        for (name, manner) in manners {
            scope.spawn(move || suffer(name, &Way::Ssh(manner)));
        }
    });
}

/// How a server never ends.
#[derive(Debug, Clone)]
enum Way {
    Http(Manner, Asked),
    Ssh(&'static str),
}

/// A server that has its turn later.
enum Server {
    Http(GitHttp, Manner, Asked),
    Ssh(Sshd, &'static str),
}

impl Server {
    fn start(way: &Way, repository: &Path) -> Self {
        match way.clone() {
            Way::Http(manner, asked) => {
                Self::Http(GitHttp::start(repository.parent().unwrap()), manner, asked)
            }
            Way::Ssh(manner) => Self::Ssh(Sshd::start(), manner),
        }
    }

    /// The daemon that follows a repository there.
    fn follower(&self, stage: &Stage) -> Agent {
        let remote = stage.repository.remote();
        let name = remote.file_name().unwrap().to_str().unwrap();
        match self {
            Self::Http(server, ..) => over(stage, &server.url(name)),
            Self::Ssh(server, _) => {
                let known = format!("{} {}", server.host(), server.host_key("ecdsa"));
                over(stage, &server.url(&remote))
                    .env("AGENT_GIT_SSH_KEY", server.key())
                    .env("AGENT_GIT_KNOWN_HOSTS", server.known_hosts(&[known]))
            }
        }
    }

    fn turn(&self) {
        match self {
            Self::Http(server, manner, asked) => server.answer_as(Some((manner.clone(), *asked))),
            Self::Ssh(server, manner) => server.serve_as(Some(manner)),
        }
    }

    fn turn_back(&self) {
        match self {
            Self::Http(server, ..) => server.answer_as(None),
            Self::Ssh(server, _) => server.serve_as(None),
        }
    }
}

fn suffer(name: &str, manner: &Way) {
    let mut stage = Stage::new(&format!("endless-{name}"), env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 1);
    let server = Server::start(manner, &stage.repository.remote());
    stage.start_as(server.follower(&stage));
    stage.until_synced("shop", &revision);

    server.turn();
    commit(&stage, 2);
    let begun = Instant::now();
    let told = |stage: &Stage| stage.log().contains("can't be reached");
    let mut delays = Vec::new();
    for number in 0..OBJECTS {
        // One after the other: what is changed again and again is contended.
        delays.push(drift(&mut stage, number));
        if poll(Duration::from_secs(2), || {
            told(&stage).then_some(()).ok_or(())
        })
        .is_ok()
        {
            break;
        }
        assert!(begun.elapsed() < TOLD, "{manner:?}:\n{}", stage.log());
    }
    delays.push(drift(&mut stage, OBJECTS));
    let highest = high_water_mark(stage.daemon().id());
    delays.sort();
    println!(
        "{manner:?}: told after {:?}, {} MiB at most; {} edits reverted in {:?} (median), {:?} (worst)",
        begun.elapsed(),
        highest >> 10,
        delays.len(),
        delays[delays.len() / 2],
        delays[delays.len() - 1],
    );
    assert!(highest < MEMORY, "{manner:?}: {highest} KiB");
    // In the middle of a question that has no answer, with entries that can't be pushed.
    stage.daemon().terminate(ENDED);

    // What was done meanwhile is in the record as soon as there is a server for it.
    server.turn_back();
    stage.daemon().restart();
    let words = "revert drift on ConfigMap";
    wait_seeing("every revert to be in the record", TOLD, || {
        let seen = stage.entries_on(words).len();
        if seen == delays.len() {
            Ok(())
        } else {
            Err(format!("{seen} of {}", delays.len()))
        }
    });
}

fn over(stage: &Stage, url: &str) -> Agent {
    let run = stage.agent(&["run", "--repo", url, "--poll-interval", "1s"]);
    let data = run.home().join("data");
    run.args(["--environment", &stage.environment, "--data-dir"])
        .args([data])
}

/// Somebody changes an object, and it is as declared again: how long that took, by the
/// API server's clock.
fn drift(stage: &mut Stage, number: usize) -> Duration {
    let name = format!("o-{number}");
    let patch = r#"{"data":{"number":"changed"}}"#;
    let since = stage.cluster.audit_position();
    stage.kubectl(&["patch", "configmap", &name, "--type=merge", "-p", patch]);
    wait_seeing(&format!("{name} to be as declared"), SOON, || {
        let seen = stage.get("configmap", &name)["data"]["number"].clone();
        if seen == "1" {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
    let events = stage.cluster.audit_since(since);
    let of = |program: &str| {
        let mut events = events.iter().filter(|event| {
            let object = &event.object;
            object.namespace == stage.namespace && object.name == name && event.is_write()
        });
        events
            .find(|event| event.user_agent.starts_with(program))
            .map(|event| event.reached)
            .expect("its request is in the log")
    };
    of("gitops-agent/")
        .duration_since(of("kubectl/"))
        .unsigned_abs()
}

/// The most memory that a process had, in KiB.
fn high_water_mark(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn commit(stage: &Stage, number: usize) -> String {
    let mut text = String::new();
    for object in 0..=OBJECTS {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: o-{object}}}\ndata: {{number: '{number}'}}"
        )
        .unwrap();
    }
    let configuration = stage.configuration(&[("shop", "prune: true")]);
    let files = [
        ("agent.yaml", &*configuration),
        ("shop/objects.yaml", &*text),
    ];
    stage.commit(&format!("Number {number}"), &files)
}
