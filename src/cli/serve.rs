//! The tasks of the environments, and of what tells of them elsewhere.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::exit;
use super::run::RunArgs;
use super::serving::{Serving, holder, term};
use crate::forge::Forge;
use crate::kube::{self, Cluster, Lease, Term};
use crate::model::{DigestKey, EnvironmentName};
use crate::reconcile::{
    Ending, Environment, Journal, JournalOptions, Options, Proposing, RunMode, Window,
};
use crate::record::SigningKey;
use crate::review::{Memory, Planner, Previewer, Proposer, ProposerMemory, Teller};
use crate::runtime::admin::Readiness;
use crate::runtime::backoff::grown;
use crate::runtime::metrics::Metrics;
use crate::source::verify::{Policy, Verifier};
use crate::source::{Follower, Remote};

/// How long to wait for a cluster that cannot be used yet.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// What the environments' tasks are started from.
pub struct Start<'a> {
    pub args: &'a RunArgs,
    pub data_dir: PathBuf,
    pub remote: Remote,
    pub forge: Option<Arc<dyn Forge>>,
    pub cluster: Arc<Cluster>,
    pub follower: &'a Follower,
    /// Counts up when a webhook says that pull requests may have changed.
    pub pull_requests: watch::Receiver<u64>,
    /// Which commits have to be signed.
    pub policy: Option<Policy>,
    /// What the record's entries are signed with.
    pub signing_key: Option<SigningKey>,
    pub metrics: Metrics,
    pub readiness: Readiness,
    /// Of the environments that are ours.
    pub windows: watch::Sender<Vec<Window>>,
    /// Whether each environment says for itself by now whether it is ready.
    pub opened: Arc<AtomicBool>,
}

impl Start<'_> {
    /// Runs one task for each environment; one that can't go on does not stop another.
    pub async fn environments(&self, stop: &CancellationToken) -> anyhow::Result<u8> {
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
        let mut failures = 0;
        loop {
            match kube::digest_key(&self.cluster, &self.args.cluster.namespace).await {
                Ok(key) => return Ok(key),
                Err(error)
                    if matches!(error.retry(), kube::Retry::After(_)) && !stop.is_cancelled() =>
                {
                    error!(%error, "the cluster cannot be used yet, trying again");
                    let wait = grown(AGAIN, failures);
                    failures += 1;
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
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
            let ending = self.within(&term, name, key.clone(), &serving, stop).await;
            let lost = term.lost().is_cancelled() && !stop.is_cancelled();
            term.release().await;
            match ending? {
                Ending::Stopped if lost => serving.send_replace(Serving::Opening),
                ending => return Ok(ending),
            };
        }
    }

    /// Runs an environment until it ends, or until its Lease is no longer ours.
    async fn within(
        &self,
        term: &Term,
        name: &EnvironmentName,
        key: DigestKey,
        serving: &watch::Sender<Serving>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Ending> {
        let environment = self.environment(name, key, stop).await?;
        serving.send_replace(Serving::Ours(environment.context()));
        let over = stop.child_token();
        let window = environment.window();
        let _telling = self.tell(&window, &over)?;
        self.windows.send_modify(|all| all.push(window));
        let mut running = JoinSet::new();
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
        ended.context("the environment has no task")??
    }

    /// The tasks that tell a forge of an environment.
    fn tell(&self, window: &Window, over: &CancellationToken) -> anyhow::Result<JoinSet<()>> {
        let mut tasks = JoinSet::new();
        let Some(forge) = self.told() else {
            return Ok(tasks);
        };
        let branch = self.args.branch.clone();
        let record = self.args.forge.of_record(&self.remote, &self.record()?);
        let teller = Teller::new(Arc::clone(forge), window.clone(), branch, record);
        tasks.spawn(teller.run(over.clone()));
        let proposer = self.proposer(forge, window.clone());
        tasks.spawn(proposer.run(over.clone()));
        Ok(tasks)
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
        let elsewhere = self.args.record.elsewhere(&self.args.repository)?;
        Ok(elsewhere.unwrap_or_else(|| self.remote.clone()))
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

/// Beyond a year is a year: no clock overflows, and nobody sees the difference.
fn unless_zero(interval: Duration) -> Option<Duration> {
    (!interval.is_zero()).then(|| interval.min(Duration::from_hours(24 * 365)))
}
