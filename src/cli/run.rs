//! `agent run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::access::{ClusterArgs, ForgeArgs, RepositoryArgs, ToolArgs};
use super::exit;
use super::records::NameArgs;
use super::serving::{Serving, holder, term};
use super::telemetry;
use super::verify::{SigningArgs, VerifyArgs};
use super::webhook::{Listeners, WebhookArgs};
use crate::forge::Forge;
use crate::forge::webhook::endpoint;
use crate::kube::{self, Cluster, Lease};
use crate::model::{DigestKey, EnvironmentName};
use crate::reconcile::{
    Ending, Environment, Journal, JournalOptions, Options, Proposing, RunMode, Window,
};
use crate::record::SigningKey;
use crate::review::{Memory, Planner, Previewer, Proposer, ProposerMemory, Teller};
use crate::runtime::admin::{self, Readiness};
use crate::runtime::metrics::Metrics;
use crate::runtime::{clock, shutdown};
use crate::source::verify::{Policy, Verifier};
use crate::source::{Follow, Follower, Remote, SourceState};

/// Examples are part of the help.
const EXAMPLES: &str = "Examples:
  agent run --repo https://git.example.com/team/deploy --environment staging
  agent run --repo . --environment staging --once

With --once the exit code tells: 0 synced and healthy, 1 not, 2 an error.

What stands after `env:` can be set in the environment instead of the flag.";

/// Renewed after two thirds of it, and given up after five sixths.
const SHORTEST_LEASE: Duration = Duration::from_secs(6);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The environment repository: http(s)://, ssh://, file:// or a path
    #[arg(long, env = "AGENT_REPO", hide_env_values = true, value_name = "URL")]
    repo: String,
    /// The branch to follow
    #[arg(long, env = "AGENT_BRANCH", default_value = "main")]
    branch: String,
    /// The environment to serve; may be given several times
    #[arg(
        long,
        env = "AGENT_ENVIRONMENT",
        value_name = "NAME",
        required = true,
        value_delimiter = ','
    )]
    environment: Vec<EnvironmentName>,
    /// How often to ask the repository for news
    #[arg(long, env = "AGENT_POLL_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    poll_interval: Duration,
    /// How often every object is compared again with what is known of it, which asks the API server for nothing; 0s for never
    #[arg(long, env = "AGENT_COMPARE_INTERVAL", value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    compare_interval: Duration,
    /// How often each kind is listed anew, should an event have been lost; 0s for never
    #[arg(long, env = "AGENT_RELIST_INTERVAL", value_name = "DURATION", default_value = "12h", value_parser = humantime::parse_duration)]
    relist_interval: Duration,
    /// Where the mirror of the repository and the record are kept [default: a directory of the user's cache]
    #[arg(long, env = "AGENT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The repository that the record goes to [default: the environment repository]
    #[arg(
        long,
        env = "AGENT_RECORD_REPO",
        hide_env_values = true,
        value_name = "URL"
    )]
    record_repo: Option<String>,
    #[command(flatten)]
    record: NameArgs,
    /// Where to serve /livez, /readyz and /metrics, such as 127.0.0.1:8080
    #[arg(long, env = "AGENT_ADMIN_ADDR", value_name = "ADDRESS")]
    admin_addr: Option<SocketAddr>,
    /// What tells this agent from others that serve the same environment; must be the same after a restart [default: the host's name and the data directory]
    #[arg(long, env = "AGENT_IDENTITY", value_name = "NAME")]
    identity: Option<String>,
    /// For how long an environment goes unserved when the agent that serves it dies while another stands by
    #[arg(long, env = "AGENT_LEASE_DURATION", value_name = "DURATION", default_value = "60s", value_parser = lease_duration)]
    lease_duration: Duration,
    /// Do one round: until every unit is as declared, or can't be brought there
    #[arg(long, env = "AGENT_ONCE")]
    once: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How often the forge is asked for pull requests to preview; 0s for never
    #[arg(long, env = "AGENT_PULL_REQUEST_INTERVAL", value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    pull_request_interval: Duration,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    forge: ForgeArgs,
    #[command(flatten)]
    tools: ToolArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    verify: VerifyArgs,
    #[command(flatten)]
    signing: SigningArgs,
}

pub async fn run(args: RunArgs) -> anyhow::Result<u8> {
    telemetry::start();
    let data_dir = match &args.data_dir {
        Some(directory) => directory.clone(),
        None => default_data_dir()?,
    };
    std::fs::create_dir_all(&data_dir).with_context(|| {
        format!(
            "the data directory {} cannot be made; choose another with --data-dir",
            data_dir.display()
        )
    })?;
    let (policy, signing_key) = (args.verify.policy()?, args.signing.key()?);
    let mut background = JoinSet::new();
    let stop = shutdown::on_signal(&mut background)?;
    let cluster = Arc::new(kube::connect(&args.cluster.access()).await?);
    let remote = args.repository.remote(&args.repo)?;
    let forge = args.forge.connect(&remote)?;
    let served = forge.as_ref().map(|forge| forge.kind().to_string());
    info!(repository = %remote.url, branch = args.branch, forge = served, "following");
    let follower = Follower::start(Follow {
        data_dir: data_dir.clone(),
        remote: remote.clone(),
        branch: args.branch.clone(),
        poll_interval: args.poll_interval,
    })?;
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    readiness.require(fetched(follower.state()));
    let opened = Arc::new(AtomicBool::new(false));
    readiness.require({
        let opened = Arc::clone(&opened);
        move || {
            let opened = opened.load(Ordering::Relaxed);
            (!opened).then(|| "the environments are being opened".to_owned())
        }
    });
    if let Some(address) = args.admin_addr {
        let age = age_of(follower.state());
        background.spawn(admin::serve(
            address,
            readiness.clone(),
            metrics.clone(),
            age,
            stop.clone(),
        ));
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
        background.spawn(endpoint::serve(endpoint, stop.clone()));
    }
    let start = Start {
        args: &args,
        data_dir,
        remote,
        forge,
        cluster,
        follower: &follower,
        pull_requests: hint,
        policy,
        signing_key,
        metrics,
        readiness,
        windows: watch::Sender::default(),
        opened,
    };
    // An essential task that ends takes the process along: the outside restarts it.
    tokio::select! {
        result = start.environments(&stop) => result,
        Some(ended) = background.join_next() => {
            ended??;
            Ok(exit::SAME)
        }
    }
}

/// What the environments' tasks are started from.
struct Start<'a> {
    args: &'a RunArgs,
    data_dir: PathBuf,
    remote: Remote,
    forge: Option<Arc<dyn Forge>>,
    cluster: Arc<Cluster>,
    follower: &'a Follower,
    /// Counts up when a webhook says that pull requests may have changed.
    pull_requests: watch::Receiver<u64>,
    /// Which commits have to be signed.
    policy: Option<Policy>,
    /// What the record's entries are signed with.
    signing_key: Option<SigningKey>,
    metrics: Metrics,
    readiness: Readiness,
    /// Of the environments that are ours.
    windows: watch::Sender<Vec<Window>>,
    /// Whether each environment says for itself by now whether it is ready.
    opened: Arc<AtomicBool>,
}

impl Start<'_> {
    /// Runs one task for each environment; one that can't go on does not stop another.
    async fn environments(&self, stop: &CancellationToken) -> anyhow::Result<u8> {
        let key = self.digest_key(stop).await?;
        let mut served = FuturesUnordered::new();
        for name in &self.args.environment {
            let serving = Serving::announced(name, &self.readiness);
            let key = key.clone();
            served.push(async move { (name, self.serve(name, key, serving, stop).await) });
        }
        self.opened.store(true, Ordering::Relaxed);
        let mut telling = self.preview(key, stop);
        let mut code = exit::SAME;
        loop {
            // Both arms are cancel-safe: each set keeps what has ended.
            let ended = tokio::select! {
                ended = served.next() => ended,
                Some(ended) = telling.join_next() => {
                    // It ends when told to, and holds up nothing; but no panic is lost.
                    ended?;
                    continue;
                }
            };
            let Some((name, ending)) = ended else { break };
            match ending? {
                Ending::Stopped => info!(environment = %name, "stopped"),
                Ending::Synced => info!(environment = %name, "as declared"),
                Ending::Unsettled(wrong) => {
                    code = exit::DIFFERENT;
                    for line in wrong {
                        error!(environment = %name, "{line}");
                    }
                }
            }
        }
        Ok(code)
    }

    /// The forge, if there is one to tell what happens. What ends by itself has nobody to
    /// keep it up to date.
    fn told(&self) -> Option<&Arc<dyn Forge>> {
        self.forge.as_ref().filter(|_| !self.args.once)
    }

    /// The task that previews pull requests for the environments that are ours.
    fn preview(&self, key: DigestKey, stop: &CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let Some(forge) = self.told() else {
            return tasks;
        };
        if let Some(interval) = unless_zero(self.args.pull_request_interval) {
            let previewer = Previewer {
                forge: Arc::clone(forge),
                remote: self.remote.clone(),
                mirror: self.follower.mirror_path().to_owned(),
                branch: self.args.branch.clone(),
                source: self.follower.state(),
                windows: self.windows.subscribe(),
                planner: Planner {
                    cluster: Arc::clone(&self.cluster),
                    namespace: self.args.cluster.namespace.clone(),
                    tools: self.args.tools.tools(),
                    key,
                },
                interval,
                hint: self.pull_requests.clone(),
                stop: stop.clone(),
                memory: Memory::default(),
            };
            tasks.spawn(previewer.run());
        }
        tasks
    }

    /// The key is kept in the cluster, and tried for until it is had.
    async fn digest_key(&self, stop: &CancellationToken) -> anyhow::Result<DigestKey> {
        let mut wait = Duration::from_millis(500);
        loop {
            match kube::digest_key(&self.cluster, &self.args.cluster.namespace).await {
                Ok(key) => return Ok(key),
                Err(error)
                    if matches!(error.retry(), kube::Retry::After(_)) && !stop.is_cancelled() =>
                {
                    error!(%error, "the cluster cannot be used yet, trying again");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(15)),
                        () = stop.cancelled() => anyhow::bail!("stopped before the cluster could be reached"),
                    }
                }
                Err(error) => {
                    return Err(error).context("the key for digests of Secrets cannot be had");
                }
            }
        }
    }

    /// Runs an environment whenever its Lease is ours.
    async fn serve(
        &self,
        name: &EnvironmentName,
        key: DigestKey,
        serving: watch::Sender<Serving>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Ending> {
        let (namespace, duration) = (&self.args.cluster.namespace, self.args.lease_duration);
        let identity = self.args.identity.clone();
        let holder = identity.unwrap_or_else(|| holder(&self.data_dir));
        let lease = Lease::new(&self.cluster, namespace, name, holder, duration);
        loop {
            let told = |other: &str| {
                serving.send_replace(Serving::StandingBy);
                info!(environment = %name, "standing by: {other} serves it");
            };
            let term = tokio::select! {
                // Cancel-safe: what was taken in between expires.
                () = stop.cancelled() => return Ok(Ending::Stopped),
                term = term(&lease, self.mode(), duration, told) => term?,
            };
            let environment = self.environment(name, key.clone(), stop).await?;
            serving.send_replace(Serving::Ours(environment.context()));
            let over = stop.child_token();
            let (mut running, mut telling) = (JoinSet::new(), JoinSet::new());
            let window = environment.window();
            if let Some(forge) = self.told() {
                let branch = self.args.branch.clone();
                let record = self.args.forge.of_record(&self.remote, &self.record()?);
                let teller = Teller::new(Arc::clone(forge), window.clone(), branch, record);
                telling.spawn(teller.run(over.clone()));
                let proposer = self.proposer(forge, window.clone());
                telling.spawn(proposer.run(over.clone()));
            }
            self.windows.send_modify(|all| all.push(window));
            running.spawn(environment.run(over.clone()));
            let ended = tokio::select! {
                // Cancel-safe: the task stays in the set.
                ended = running.join_next() => ended,
                () = term.lost().cancelled() => {
                    over.cancel();
                    running.join_next().await
                }
            };
            self.windows
                .send_modify(|all| all.retain(|window| window.name != *name));
            let lost = term.lost().is_cancelled() && !stop.is_cancelled();
            term.release().await;
            let ending = ended.context("the environment has no task")???;
            if !lost || ending != Ending::Stopped {
                return Ok(ending);
            }
            serving.send_replace(Serving::Opening);
        }
    }

    fn verifier(&self, name: &EnvironmentName) -> Verifier {
        let mirror = self.follower.mirror_path();
        Verifier::new(self.policy.clone(), name, &self.data_dir, mirror)
    }

    fn proposer(&self, forge: &Arc<dyn Forge>, window: Window) -> Proposer {
        let interval = unless_zero(self.args.pull_request_interval);
        Proposer {
            forge: Arc::clone(forge),
            remote: self.remote.clone(),
            mirror: self.follower.mirror_path().to_owned(),
            branch: self.args.branch.clone(),
            source: self.follower.state(),
            window,
            signing_key: self.signing_key.clone(),
            tools: self.args.tools.tools(),
            interval: interval.unwrap_or(Duration::from_mins(1)),
            hint: self.pull_requests.clone(),
            memory: ProposerMemory::default(),
        }
    }

    fn mode(&self) -> RunMode {
        if self.args.once {
            RunMode::Once
        } else {
            RunMode::Forever
        }
    }

    /// Opens the record. One of which nothing is known, neither here nor from its remote,
    /// is opened anew once there is a revision to enforce: else what it tells already
    /// would be told again.
    async fn journal(
        &self,
        name: &EnvironmentName,
        stop: &CancellationToken,
    ) -> anyhow::Result<Journal> {
        let mut source = self.follower.state();
        loop {
            let waits = source.borrow_and_update().head.is_none();
            let journal = self.open_journal(name).await?;
            if !journal.is_unread() || !waits || self.args.once {
                return Ok(journal);
            }
            tokio::select! {
                changed = source.changed() => changed.context("the task that follows the repository has ended")?,
                () = stop.cancelled() => return Ok(journal),
            }
            tokio::task::spawn_blocking(|| journal.close()).await?;
        }
    }

    /// Where the record goes.
    fn record(&self) -> anyhow::Result<Remote> {
        match &self.args.record_repo {
            Some(address) => self.args.repository.remote(address),
            None => Ok(self.remote.clone()),
        }
    }

    async fn open_journal(&self, name: &EnvironmentName) -> anyhow::Result<Journal> {
        let (data_dir, metrics, opened) =
            (self.data_dir.clone(), self.metrics.clone(), name.clone());
        let (source, names) = (self.remote.clone(), self.args.record.names.clone());
        let remote = self.record()?;
        let signing_key = self.signing_key.clone();
        let journal = tokio::task::spawn_blocking(move || {
            Journal::open(
                &opened,
                JournalOptions {
                    data_dir: &data_dir,
                    remote,
                    names: &names,
                    source,
                    signing_key,
                    metrics,
                },
            )
        });
        journal.await?
    }

    async fn environment(
        &self,
        name: &EnvironmentName,
        key: DigestKey,
        stop: &CancellationToken,
    ) -> anyhow::Result<Environment> {
        let options = Options {
            environment: name.clone(),
            cluster: Arc::clone(&self.cluster),
            namespace: self.args.cluster.namespace.clone(),
            key,
            repository: self.follower.mirror_path().to_owned(),
            source: self.follower.state(),
            waker: self.follower.waker(),
            verifier: self.verifier(name),
            tools: self.args.tools.tools(),
            proposing: match self.told() {
                Some(_) => Proposing::OnTheForge,
                None => Proposing::Nowhere,
            },
            metrics: self.metrics.clone(),
            mode: self.mode(),
            compare: unless_zero(self.args.compare_interval),
            relist: unless_zero(self.args.relist_interval),
        };
        Ok(Environment::new(options, self.journal(name, stop).await?))
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
    Ok(duration)
}

/// Beyond a year is a year: no clock overflows, and nobody sees the difference.
fn unless_zero(interval: Duration) -> Option<Duration> {
    (!interval.is_zero()).then(|| interval.min(Duration::from_hours(24 * 365)))
}

fn default_data_dir() -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = cache
        .or_else(home)
        .context("there is no home directory to keep data in; give --data-dir")?;
    Ok(base.join("gitops-agent").join("data"))
}
