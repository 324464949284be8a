//! `agent run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::access::{ClusterArgs, ForgeArgs, RepositoryArgs, ToolArgs};
use super::data_dir;
use super::exit;
use super::reached::Reaching;
use super::records::PlaceArgs;
use super::serve::Start;
use super::telemetry;
use super::verify::{SigningArgs, VerifyArgs};
use super::webhook::{Listeners, WebhookArgs};
use crate::forge::webhook::endpoint;
use crate::kube::{self, LONGEST_LEASE};
use crate::model::{EnvironmentName, Namespace};
use crate::runtime::admin::{self, Readiness};
use crate::runtime::metrics::Metrics;
use crate::runtime::shutdown::{self, Stop};
use crate::runtime::{clock, exec};
use crate::source::{Follow, Follower, SourceState};

/// Examples are part of the help.
const EXAMPLES: &str = "Examples:
  agent run --repo https://git.example.com/team/deploy --environment staging
  agent run --repo . --environment staging --once

With --once the exit code tells: 0 synced and healthy, 1 not, 2 an error.

What stands after `env:` can be set in the environment instead of the flag.";

/// How long the listeners may take to close.
const CLOSING: Duration = Duration::from_millis(500);

/// Renewed after two thirds of it, and given up after five sixths.
const SHORTEST_LEASE: Duration = Duration::from_secs(6);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The environment repository: http(s)://, ssh://, file:// or a path
    #[arg(long, env = "AGENT_REPO", hide_env_values = true, value_name = "URL")]
    pub(super) repo: String,
    /// The branch to follow
    #[arg(long, env = "AGENT_BRANCH", default_value = "main")]
    pub(super) branch: String,
    /// The environment to serve; may be given several times
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        required = true,
        value_delimiter = ','
    )]
    pub(super) environment: Vec<EnvironmentName>,
    /// How often to ask the repository for news
    #[arg(long, env = "AGENT_POLL_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) poll_interval: Duration,
    /// How often every object is compared again with what is known of it, which asks the API server only, once an hour, about values that it gave itself, and the record's branch with what was pushed to it; 0s for never
    #[arg(long, env = "AGENT_COMPARE_INTERVAL", value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(super) compare_interval: Duration,
    /// How often each kind is listed anew, should an event have been lost; 0s for never
    #[arg(long, env = "AGENT_RELIST_INTERVAL", value_name = "DURATION", default_value = "12h", value_parser = humantime::parse_duration)]
    pub(super) relist_interval: Duration,
    /// Where the mirror of the repository and the record are kept [default: a directory of the user's cache]
    #[arg(long, env = "AGENT_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) record: PlaceArgs,
    /// Where to serve /livez, /readyz and /metrics, such as 127.0.0.1:8080
    #[arg(long, env = "AGENT_ADMIN_ADDR", value_name = "ADDRESS")]
    pub(super) admin_addr: Option<SocketAddr>,
    /// What this agent is called where it holds a Lease; what is added tells processes of one name apart [default: the host's name]
    #[arg(long, env = "AGENT_IDENTITY", value_name = "NAME")]
    pub(super) identity: Option<String>,
    /// For how long an environment goes unserved when the agent that serves it dies while another stands by
    #[arg(long, env = "AGENT_LEASE_DURATION", value_name = "DURATION", default_value = "60s", value_parser = lease_duration)]
    pub(super) lease_duration: Duration,
    /// Go on in another cluster than the one that the record is of, as when a lost one is replaced; for one start
    #[arg(long, env = "AGENT_NEW_CLUSTER")]
    pub(super) new_cluster: bool,
    /// Take over what an agent has applied that kept its inventories in this namespace of the cluster instead
    #[arg(long, env = "AGENT_FROM_NAMESPACE", value_name = "NAMESPACE")]
    pub(super) from_namespace: Option<Namespace>,
    /// Do one round: until every unit is as declared, or can't be brought there
    #[arg(long, env = "AGENT_ONCE")]
    pub(super) once: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// How often the forge is asked for pull requests to preview; 0s for never
    #[arg(long, env = "AGENT_PULL_REQUEST_INTERVAL", value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    pub(super) pull_request_interval: Duration,
    #[command(flatten)]
    pub(super) repository: RepositoryArgs,
    #[command(flatten)]
    pub(super) forge: ForgeArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) webhook: WebhookArgs,
    #[command(flatten)]
    pub(super) verify: VerifyArgs,
    #[command(flatten)]
    pub(super) signing: SigningArgs,
}

pub async fn run(args: RunArgs) -> anyhow::Result<u8> {
    telemetry::start().context("the log cannot be written")?;
    warn_of_gaps();
    let namespace = args.cluster.own_namespace();
    if args.from_namespace.as_ref() == Some(&namespace) {
        bail!(
            "--from-namespace names {namespace}, where this agent keeps its inventories itself; it is for the namespace that they were in before"
        );
    }
    let data_dir = data_dir::prepare(args.data_dir.as_deref())?;
    let (policy, signing_key) = (args.verify.policy()?, args.signing.key()?);
    let mut background = JoinSet::new();
    let stop = shutdown::on_signal(&mut background)?;
    let access = args.cluster.access();
    let remote = args.repository.remote(&args.repo)?;
    let forge = args.forge.connect(&remote)?;
    let served = forge.as_ref().map(|forge| forge.kind().to_string());
    info!(repository = %remote.url, branch = args.branch, forge = served, "following");
    let follower = Follower::start(Follow {
        data_dir: data_dir.clone(),
        remote: remote.clone(),
        branch: args.branch.clone(),
        poll_interval: args.poll_interval,
        once: args.once,
    })?;
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    readiness.require(fetched(follower.state()));
    readiness.mention(behind(follower.state()));
    let opened = Arc::new(AtomicBool::new(false));
    let (why, unreached) = watch::channel(None);
    let reaching = Reaching {
        stop: stop.clone(),
        once: args.once,
        why,
    };
    readiness.require({
        let opened = Arc::clone(&opened);
        move || {
            let opening = || "the environments are being opened".to_owned();
            let why = unreached.borrow().clone();
            let why = why.map(|why| format!("the cluster cannot be used yet: {why}"));
            (!opened.load(Ordering::Relaxed)).then(|| why.unwrap_or_else(opening))
        }
    });
    readiness.require({
        let stop = stop.clone();
        move || stop.is_asked().then(|| "it is being stopped".to_owned())
    });
    // Listeners outlive the environments: whoever watches sees how they end.
    let closing = CancellationToken::new();
    if let Some(address) = args.admin_addr {
        let age = age_of(follower.state());
        let (ready, counted) = (readiness.clone(), metrics.clone());
        let serving = admin::serve(address, ready, counted, age, closing.clone());
        background.spawn(serving.await?);
    }
    // The sender that stays here keeps the channel open where no webhook is taken.
    let (pull_requests, hint) = watch::channel(0);
    let listeners = Listeners {
        waker: follower.waker(),
        pull_requests: pull_requests.clone(),
        metrics: metrics.clone(),
    };
    if let Some(endpoint) = args
        .webhook
        .endpoint(&remote.url, &args.branch, listeners)?
    {
        background.spawn(endpoint::serve(endpoint, closing.clone()).await?);
    }
    let serving = Box::pin(async {
        // A program that gives credentials may take its time, or fail for a while.
        let Some(cluster) = reaching.had(|| kube::connect(&access)).await? else {
            return Ok(exit::SAME);
        };
        let start = Start {
            args: &args,
            data_dir,
            remote,
            forge,
            cluster: Arc::new(cluster),
            reaching,
            namespace,
            follower: &follower,
            pull_requests: hint,
            policy,
            signing_key,
            metrics,
            readiness,
            windows: watch::Sender::default(),
            opened,
        };
        start.environments(&stop).await
    });
    let ended = alongside(&mut background, &stop, serving).await;
    closing.cancel();
    close(background).await;
    ended
}

/// Runs the environments to their end. A task beside them that ends before takes them
/// along, in order: the outside starts the process again.
async fn alongside(
    background: &mut JoinSet<anyhow::Result<()>>,
    stop: &Stop,
    environments: impl Future<Output = anyhow::Result<u8>>,
) -> anyhow::Result<u8> {
    let mut environments = pin!(environments);
    let ended = tokio::select! {
        // Cancel-safe: what has ended stays in the set.
        result = &mut environments => return result,
        Some(ended) = background.join_next() => ended,
    };
    stop.ask();
    let result = environments.await;
    ended??;
    result
}

/// Gives the listeners a moment for the answers under way. The task that listens to
/// signals stays to the end.
async fn close(mut background: JoinSet<anyhow::Result<()>>) {
    let closed = async { while background.len() > 1 && background.join_next().await.is_some() {} };
    // What is not answered by then was too slow.
    let _ = tokio::time::timeout(CLOSING, closed).await;
}

/// Said at the start, as every render would have to say it otherwise.
fn warn_of_gaps() {
    const SO: &str = "what renders runs without that; kustomizations in pull requests of people who may not write to the repository are not previewed";
    match exec::gaps() {
        Ok(gaps) if gaps.is_empty() => {}
        Ok(gaps) => {
            let gaps = exec::listed(&gaps);
            warn!("this kernel cannot keep kustomize from {gaps}: {SO}");
        }
        Err(error) => warn!(%error, "kustomize cannot be confined, and will not run"),
    }
}

fn fetched(state: watch::Receiver<SourceState>) -> impl Fn() -> Option<String> {
    move || {
        let state = state.borrow();
        match (&state.head, &state.problem) {
            (Some(_), _) => None,
            (None, Some(problem)) => Some(problem.to_string()),
            (None, None) => Some("the repository is being fetched".to_owned()),
        }
    }
}

/// What keeps newer commits away, while what there is is enforced.
fn behind(state: watch::Receiver<SourceState>) -> impl Fn() -> Option<String> {
    move || {
        let state = state.borrow();
        let problem = state.problem.as_ref().filter(|_| state.head.is_some());
        problem.map(|problem| format!("no newer commit can be had: {problem}"))
    }
}

fn age_of(state: watch::Receiver<SourceState>) -> impl Fn() -> Option<f64> + Clone {
    move || {
        Some(
            clock::now()
                .duration_since(state.borrow().last_contact?)
                .as_secs_f64(),
        )
    }
}

fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < SHORTEST_LEASE {
        let shortest = humantime::format_duration(SHORTEST_LEASE);
        return Err(format!(
            "it must be at least {shortest}, or a slow API server would end it"
        ));
    }
    if duration > LONGEST_LEASE {
        let longest = humantime::format_duration(LONGEST_LEASE);
        return Err(format!(
            "it may be at most {longest}: no agent believes a Lease for longer"
        ));
    }
    Ok(duration)
}
