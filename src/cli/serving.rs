//! Whether an environment is ours to serve.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::kube::{Lease, Term};
use crate::model::EnvironmentName;
use crate::reconcile::{Context, RunMode, ready};
use crate::runtime::admin::Readiness;

/// How far the serving of an environment is.
#[derive(Clone)]
pub enum Serving {
    /// It is being opened.
    Opening,
    /// Another agent serves it. A Pod that waits its turn is ready, or a rolling update
    /// would wait for it and it for the update.
    StandingBy,
    /// By us.
    Ours(Arc<Context>),
}

impl Serving {
    /// A place to say it, which the process's readiness looks at.
    pub fn announced(name: &EnvironmentName, readiness: &Readiness) -> watch::Sender<Self> {
        let (sender, state) = watch::channel(Self::Opening);
        let name = name.clone();
        readiness.require(move || {
            let missing = state.borrow().missing();
            missing.map(|missing| format!("{name}: {missing}"))
        });
        sender
    }

    fn missing(&self) -> Option<String> {
        match self {
            Self::Opening => Some("it is being opened".to_owned()),
            Self::StandingBy => None,
            Self::Ours(context) => ready(context),
        }
    }
}

/// What tells this agent from others, and is the same after a restart: the host, or the
/// Pod, and the data directory.
pub fn holder(data_dir: &Path) -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let path = std::fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    format!("{host}_{}", hex::encode(&digest[..4]))
}

/// Waits for the Lease: for ever, or for one round no longer than an agent that died may
/// have held it.
pub async fn term(
    lease: &Lease,
    mode: RunMode,
    duration: Duration,
    mut told: impl FnMut(&str),
) -> anyhow::Result<Term> {
    let mut other = String::new();
    let acquired = lease.acquire(|holder| {
        if other != holder {
            holder.clone_into(&mut other);
            told(holder);
        }
    });
    let what = "the lease that lets one agent of several serve an environment cannot be had; grant get, create, patch and watch on leases in the agent's namespace";
    match mode {
        RunMode::Forever => acquired.await.context(what),
        RunMode::Once => match tokio::time::timeout(duration * 2, acquired).await {
            Ok(term) => term.context(what),
            Err(_) if other.is_empty() => bail!(
                "the environment's Lease could not be read within {}: is the API server reachable?",
                humantime::format_duration(duration * 2)
            ),
            Err(_) => bail!("{other} serves the environment; stop it, or leave the round to it"),
        },
    }
}
