//! A fresh control plane for each contestant, and reading off it when things happened.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;

use crate::process::cpu_of_all;
use crate::support::audit::{AuditEvent, AuditPosition};
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::wait::poll;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// Starts one whose controllers do not hold themselves back, and waits until it has
/// nothing left to do for its own start.
pub fn start() -> Result<ControlPlane> {
    let flags = [
        "--kube-api-qps=10000",
        "--kube-api-burst=20000",
        "--concurrent-deployment-syncs=50",
        "--concurrent-replicaset-syncs=50",
        "--concurrent-service-endpoint-syncs=20",
        "--concurrent-endpoint-syncs=20",
    ];
    let plane = ControlPlane::start(&Options {
        controller_manager_flags: flags.map(str::to_owned).to_vec(),
        ..Options::default()
    })?;
    rest(&plane)?;
    Ok(plane)
}

/// Waits until the control plane uses less than a tenth of a core.
pub fn rest(plane: &ControlPlane) -> Result<()> {
    const LOOK: Duration = Duration::from_secs(1);
    let outcome = poll(PATIENCE, || {
        let ids = plane.ids();
        let before = cpu_of_all(&ids);
        std::thread::sleep(LOOK);
        let used = cpu_of_all(&ids).saturating_sub(before);
        if used < LOOK / 10 { Ok(()) } else { Err(used) }
    });
    outcome.map_err(|used| anyhow!("the control plane doesn't come to rest: {used:?} in {LOOK:?}"))
}

/// Waits until every Deployment of a namespace has all its replicas, and says when the
/// last of them came to it.
pub fn until_healthy(
    plane: &ControlPlane,
    namespace: &str,
    since: AuditPosition,
) -> Result<Timestamp> {
    const SHOWN: &str =
        "jsonpath={range .items[*]}{.spec.replicas}={.status.availableReplicas}{\"\\n\"}{end}";
    let outcome = poll(PATIENCE, || {
        let listed = plane.try_kubectl(&["-n", namespace, "get", "deployments", "-o", SHOWN]);
        let listed = listed.map_err(|error| format!("{error:#}"))?;
        let waiting = listed.lines().filter(|line| *line != "1=1").count();
        if waiting == 0 {
            return Ok(());
        }
        // Looking must not be what is measured.
        std::thread::sleep(Duration::from_secs(1));
        Err(format!("{waiting} Deployments have no pod"))
    });
    outcome.map_err(|seen| anyhow!("{seen}"))?;
    let events = plane.audit_since(since);
    let moved = events.iter().filter(|event| {
        let object = &event.object;
        object.resource == "deployments"
            && object.subresource == "status"
            && object.namespace == namespace
    });
    moved
        .map(|event| event.reached)
        .max()
        .context("no Deployment has moved")
}

/// The requests of our agents.
pub fn ours(events: &[AuditEvent]) -> impl Iterator<Item = &AuditEvent> {
    events
        .iter()
        .filter(|event| event.user_agent.starts_with("gitops-agent/"))
}

/// From one time to another; none where the other was first.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}
