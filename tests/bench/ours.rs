//! Our agent, as people run it: its first sync, and what it costs once it is there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::cluster::{PATIENCE, between, ours, rest, until_healthy};
use crate::objects::Size;
use crate::process::Usage;
use crate::requests::Requests;
use crate::support::agent::Agent;
use crate::support::audit::{AuditEvent, AuditPosition};
use crate::support::control_plane::ControlPlane;
use crate::support::git::git;
use crate::support::stage::Stage;

/// An agent that serves an environment of a size.
pub struct Ours<'c> {
    pub stage: Stage<'c>,
    pub size: Size,
    kustomize: String,
    admin: String,
}

/// From the start of the agent until everything is there.
pub struct FirstSync {
    /// Until the last object was applied.
    pub applied: Duration,
    /// Until the last Deployment had its pods.
    pub healthy: Duration,
    /// Until the record said that everything is healthy.
    pub recorded: Duration,
    pub usage: Usage,
    pub requests: Requests,
}

/// `agent diff` of what is as declared.
pub struct Diff {
    pub time: Duration,
    /// With what it runs.
    pub cpu: Duration,
    pub requests: Requests,
}

/// A time in which nothing happens.
pub struct Idle {
    pub time: Duration,
    pub cpu: Duration,
    pub requests: Requests,
    pub resident: u64,
}

/// A start over what is as declared.
pub struct Restart {
    pub ready: Duration,
    /// Until the last request of its start.
    pub settled: Duration,
    pub usage: Usage,
    pub requests: Requests,
}

impl<'c> Ours<'c> {
    /// Makes the repository; the agent isn't started yet.
    pub fn new(
        plane: &'c ControlPlane,
        binary: &'static str,
        kustomize: &Path,
        size: Size,
    ) -> Result<Self> {
        let stage = Stage::on(plane, "bench", binary);
        // A collection of garbage at one of the pushes would be measured along with it.
        git(&stage.repository.remote(), &["config", "gc.auto", "0"]);
        size.write(&stage.repository.work())?;
        let names: Vec<String> = size.names().collect();
        let units: Vec<(&str, &str)> = names
            .iter()
            .map(|name| (name.as_str(), "prune: true"))
            .collect();
        stage.configure(&units);
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Ok(Self {
            stage,
            size,
            kustomize: kustomize.display().to_string(),
            admin,
        })
    }

    pub fn first_sync(&mut self) -> Result<FirstSync> {
        let (position, began, clock) = (
            self.stage.cluster.audit_position(),
            Timestamp::now(),
            Instant::now(),
        );
        let run = self
            .with_tools(self.stage.invocation())
            .args(["--admin-addr", &self.admin]);
        self.stage.start_as(run);
        self.until_recorded("everything to be healthy", |units| {
            let healthy = |unit: &&Value| unit["state"] == "Synced" && unit["health"] == "Current";
            units.values().filter(healthy).count() == self.size.units
        })?;
        let (recorded, usage) = (clock.elapsed(), self.usage());
        let healthy = until_healthy(self.stage.cluster, &self.stage.namespace, position)?;
        let events = self.stage.cluster.audit_since(position);
        Ok(FirstSync {
            applied: between(began, self.last_applied(&events)?),
            healthy: between(began, healthy),
            recorded,
            usage,
            requests: Requests::of_ours(&events),
        })
    }

    pub fn diff(&self) -> Result<Diff> {
        rest(self.stage.cluster)?;
        let (position, before) = (
            self.stage.cluster.audit_position(),
            Usage::of(std::process::id()),
        );
        let clock = Instant::now();
        let diff = self
            .stage
            .agent(&["diff", "--environment", &self.stage.environment]);
        let ran = self.with_tools(diff).run();
        let time = clock.elapsed();
        ensure!(
            ran.code == Some(0),
            "agent diff: {}{}",
            ran.stdout,
            ran.stderr
        );
        Ok(Diff {
            time,
            cpu: Usage::of(std::process::id())
                .children
                .saturating_sub(before.children),
            requests: Requests::of_ours(&self.stage.cluster.audit_since(position)),
        })
    }

    pub fn idle(&mut self, time: Duration) -> Result<Idle> {
        rest(self.stage.cluster)?;
        let (position, before) = (self.stage.cluster.audit_position(), self.usage());
        sleep(time);
        let after = self.usage();
        Ok(Idle {
            time,
            cpu: after.cpu_since(before),
            requests: Requests::of_ours(&self.stage.cluster.audit_since(position)),
            resident: after.resident,
        })
    }

    pub fn restart(&mut self) -> Result<Restart> {
        self.stage.daemon().terminate(PATIENCE);
        rest(self.stage.cluster)?;
        let (position, began, clock) = (
            self.stage.cluster.audit_position(),
            Timestamp::now(),
            Instant::now(),
        );
        self.stage.daemon().restart();
        while !self.is_ready() {
            ensure!(
                clock.elapsed() < PATIENCE,
                "it doesn't become ready:\n{}",
                self.stage.log()
            );
            sleep(Duration::from_millis(5));
        }
        let ready = clock.elapsed();
        // Ready is what it calls itself; at rest it is once it watches and computes nothing.
        self.until_it_watches(position)?;
        self.rest()?;
        let events = self.stage.cluster.audit_since(position);
        let last = ours(&events).map(|event| event.received).max();
        Ok(Restart {
            ready,
            settled: between(began, last.context("it has asked for nothing")?),
            usage: self.usage(),
            requests: Requests::of_ours(&events),
        })
    }

    /// Waits until the agent has nothing to do, for three seconds in a row.
    pub fn rest(&mut self) -> Result<()> {
        let (began, mut quiet) = (Instant::now(), 0);
        while quiet < 3 {
            let before = self.usage();
            sleep(Duration::from_secs(1));
            let still = self.usage().cpu_since(before) <= Duration::from_millis(20);
            quiet = if still { quiet + 1 } else { 0 };
            ensure!(began.elapsed() < PATIENCE, "the agent doesn't come to rest");
        }
        rest(self.stage.cluster)
    }

    fn until_it_watches(&self, since: AuditPosition) -> Result<()> {
        let began = Instant::now();
        loop {
            let events = self.stage.cluster.audit_since(since);
            if ours(&events).any(|event| event.verb == "watch") {
                return Ok(());
            }
            let log = || self.stage.log();
            ensure!(began.elapsed() < PATIENCE, "it watches nothing:\n{}", log());
            sleep(Duration::from_millis(100));
        }
    }

    pub fn usage(&mut self) -> Usage {
        Usage::of(self.stage.daemon().id())
    }

    /// Waits until the record says of the units what is wanted.
    pub fn until_recorded(
        &self,
        what: &str,
        wanted: impl Fn(&BTreeMap<String, Value>) -> bool,
    ) -> Result<()> {
        let (began, mut seen) = (Instant::now(), String::new());
        while began.elapsed() < PATIENCE {
            // To look often must not cost what is measured.
            let tip = self.record_tip();
            if tip != seen {
                let status = self.stage.repository.recorded_status(&tip);
                let units = serde_json::from_value(status["units"].clone()).unwrap_or_default();
                if wanted(&units) {
                    return Ok(());
                }
                seen = tip;
            }
            sleep(Duration::from_millis(10));
        }
        Err(anyhow!(
            "waited {PATIENCE:?} for {what}; the agent's log:\n{}",
            self.stage.log()
        ))
    }

    /// The newest entry of the record; empty while there is none.
    pub fn record_tip(&self) -> String {
        let reference = self
            .stage
            .repository
            .remote()
            .join("refs/heads")
            .join(self.stage.branch());
        let tip = fs::read_to_string(reference).unwrap_or_default();
        tip.trim().to_owned()
    }

    /// When each object had been applied for the first time, the last of them.
    fn last_applied(&self, events: &[AuditEvent]) -> Result<Timestamp> {
        let mut first: BTreeMap<_, Timestamp> = BTreeMap::new();
        let applied = ours(events).filter(|event| {
            let here = event.object.namespace == self.stage.namespace;
            here && event.is_write() && event.response.code < 300
        });
        for event in applied {
            let object = (&event.object.resource, &event.object.name);
            let at = first.entry(object).or_insert(event.reached);
            *at = event.reached.min(*at);
        }
        ensure!(
            first.len() == self.size.total(),
            "{} objects were applied",
            first.len()
        );
        first.into_values().max().context("nothing was applied")
    }

    fn is_ready(&self) -> bool {
        let answer = TcpStream::connect(&self.admin).and_then(|mut stream| {
            stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        answer.is_ok_and(|answer| answer.contains(" 200 "))
    }

    fn with_tools(&self, agent: Agent) -> Agent {
        agent.env("AGENT_KUSTOMIZE", &self.kustomize)
    }
}
