//! The webhook's flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::Args;
use tokio::sync::watch;

use crate::forge::webhook::Place;
use crate::forge::webhook::endpoint::Endpoint;
use crate::forge::webhook::secrets::Trust;
use crate::runtime::metrics::Metrics;
use crate::source::{RepoUrl, Waker};

/// Where webhooks are taken, and whose.
#[derive(Debug, Args)]
#[command(next_help_heading = "Webhook")]
pub struct WebhookArgs {
    /// Where to take webhooks, at /webhook, such as 0.0.0.0:8081
    #[arg(
        long = "webhook-addr",
        env = "AGENT_WEBHOOK_ADDR",
        value_name = "ADDRESS"
    )]
    address: Option<SocketAddr>,
    /// File with the secret that the forge signs with; several while it is being changed
    #[arg(
        long = "webhook-secret-file",
        env = "AGENT_WEBHOOK_SECRET_FILE",
        value_name = "FILE",
        value_delimiter = ','
    )]
    secret_files: Vec<PathBuf>,
    /// Take webhooks that are not signed
    #[arg(long = "webhook-unsigned", env = "AGENT_WEBHOOK_UNSIGNED")]
    unsigned: bool,
}

/// What the webhook tells, and where it is counted.
pub struct Listeners {
    /// Looks at the repository.
    pub waker: Waker,
    /// Counts that pull requests may have changed.
    pub pull_requests: watch::Sender<u64>,
    /// Counts deliveries.
    pub metrics: Metrics,
}

impl WebhookArgs {
    /// The endpoint for a branch of a repository; none without an address.
    pub fn endpoint(
        &self,
        repository: &RepoUrl,
        branch: &str,
        listeners: Listeners,
    ) -> anyhow::Result<Option<Endpoint>> {
        let Some(address) = self.address else {
            ensure!(
                self.secret_files.is_empty() && !self.unsigned,
                "--webhook-secret-file and --webhook-unsigned do nothing without --webhook-addr"
            );
            return Ok(None);
        };
        Ok(Some(Endpoint {
            address,
            trust: self.trust()?,
            place: Place::new(&repository.to_string(), branch),
            waker: listeners.waker,
            pull_requests: listeners.pull_requests,
            metrics: listeners.metrics,
        }))
    }

    fn trust(&self) -> anyhow::Result<Trust> {
        match (self.secret_files.as_slice(), self.unsigned) {
            ([], true) => Ok(Trust::Anybody),
            (files @ [_, ..], false) => Ok(Trust::Signed(files.to_vec())),
            ([], false) => bail!(
                "a webhook needs a secret: name its file with --webhook-secret-file, or take unsigned ones with --webhook-unsigned"
            ),
            ([_, ..], true) => bail!(
                "--webhook-unsigned and --webhook-secret-file contradict each other: who may leave the signature out needs no secret"
            ),
        }
    }
}
