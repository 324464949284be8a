//! Seeing what becomes of a field, to the millisecond: by a watch of the API server.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cluster::Cluster;
use crate::support::leash::{self, Process};

/// A watch of one field of one object. Ends when dropped.
pub struct FieldWatch {
    what: String,
    seen: Receiver<(Instant, String)>,
    _kubectl: Process,
}

impl FieldWatch {
    /// Watches a field, named as jsonpath has it.
    pub fn start(cluster: &Cluster, object: [&str; 3], field: &str) -> Result<Self> {
        let [namespace, kind, name] = object;
        let mut command = cluster.command();
        command
            .args(["-n", namespace, "get", kind, name, "--watch"])
            .arg(format!("-ojsonpath={{{field}}}{{\"\\n\"}}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut kubectl = leash::spawn(&mut command)?;
        let (sender, seen) = channel();
        let lines = BufReader::new(kubectl.stdout()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            what: format!("{field} of {kind} {name}"),
            seen,
            _kubectl: kubectl,
        })
    }

    /// Waits until the field has a value, and says when it was seen.
    pub fn until(&self, value: &str, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        let mut last = String::new();
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(rest) {
                Ok((when, seen)) if seen == value => return Ok(when),
                Ok((_, seen)) => last = seen,
                Err(RecvTimeoutError::Timeout) => bail!(
                    "waited {patience:?} for {} to be {value}; seen at the end: {last}",
                    self.what
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the watch of {} ended; seen at the end: {last}", self.what)
                }
            }
        }
    }
}
