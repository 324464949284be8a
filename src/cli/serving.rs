//! Whether an environment is ours to serve.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;

use crate::kube::{Heard, Lease, Term};
use crate::model::EnvironmentName;
use crate::reconcile::{Context, RunMode, Trouble, ready};
use crate::runtime::admin::Readiness;

/// How long what the API server does not let us do is left alone: rights may be given meanwhile.
const REFUSED: Duration = Duration::from_secs(5);

/// How far the serving of an environment is.
#[derive(Clone)]
pub enum Serving {
    /// It is being opened.
    Opening,
    /// Another agent serves it. A Pod that waits its turn is ready, or a rolling update
    /// would wait for it and it for the update.
    StandingBy,
    /// Nobody does from here: what it would be mistaken for.
    Mistaken(String),
    /// Nobody does: the Lease can't be had, or the cluster's admission refuses it.
    LockedOut(String),
    /// By us, with what keeps entries from its record.
    Ours(Arc<Context>, watch::Receiver<Trouble>),
}

impl Serving {
    /// A place to say it, which the process's readiness looks at.
    pub fn announced(name: &EnvironmentName, readiness: &Readiness) -> watch::Sender<Self> {
        let (sender, state) = watch::channel(Self::Opening);
        let (troubled, of) = (state.clone(), name.clone());
        readiness.mention(move || {
            let trouble = troubled.borrow().trouble();
            trouble.map(|trouble| format!("{of}: {trouble}"))
        });
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
            Self::Mistaken(why) | Self::LockedOut(why) => Some(why.clone()),
            Self::Ours(context, _) => ready(context),
        }
    }

    fn trouble(&self) -> Option<String> {
        match self {
            Self::Opening | Self::StandingBy | Self::Mistaken(_) | Self::LockedOut(_) => None,
            Self::Ours(_, trouble) => trouble.borrow().text(),
        }
    }
}

/// Waits for the Lease: for ever, or for one round no longer than an agent that died may
/// have held it.
pub async fn term(
    lease: &Lease,
    mode: RunMode,
    duration: Duration,
    mut told: impl FnMut(Heard<'_>),
) -> anyhow::Result<Term> {
    let mut other = String::new();
    let mut hear = |heard: Heard<'_>| {
        let why = match heard {
            Heard::Holder(holder) => {
                format!("{holder} serves the environment; stop it, or leave the round to it")
            }
            Heard::Away(why) => format!("the environment's Lease cannot be had: {why}"),
            Heard::Barred(why) => why.to_owned(),
        };
        if other != why {
            other = why;
            told(heard);
        }
    };
    let what = "the lease that lets one agent of several serve an environment cannot be had; grant get, create, patch and watch on leases in the agent's namespace";
    match mode {
        RunMode::Forever => loop {
            match lease.acquire(&mut hear).await {
                Ok(term) => return Ok(term),
                Err(error) => hear(Heard::Away(&format!("{error}; {what}"))),
            }
            tokio::time::sleep(REFUSED).await;
        },
        RunMode::Once => match tokio::time::timeout(duration * 2, lease.acquire(&mut hear)).await {
            Ok(term) => term.context(what),
            Err(_) if other.is_empty() => bail!(
                "the environment's Lease could not be read within {}: is the API server reachable?",
                humantime::format_duration(duration * 2)
            ),
            Err(_) => bail!(other),
        },
    }
}
