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
use tracing::{error, info, warn};

use super::data_dir::Holder;
use super::elsewhere::Found;
use super::exit;
use super::reached::Reaching;
use super::run::RunArgs;
use super::serving::{Serving, term};
use crate::forge::Forge;
use crate::kube::{Cluster, Heard, Lease, Term};
use crate::model::{DigestKey, EnvironmentName, Namespace};
use crate::reconcile::{
    Elsewhere, Ending, Environment, Followed, Here, Journal, JournalOptions, Met, Options,
    Proposing, RunMode, Window,
};
use crate::record::SigningKey;
use crate::runtime::admin::Readiness;
use crate::runtime::metrics::Metrics;
use crate::runtime::shutdown::Stop;
use crate::source::verify::{Policy, Verifier};
use crate::source::{Follower, Remote};

/// How long it may take to let a Lease go: while the process goes on, and at its end, where
/// an API server that does not answer has had its chance before.
const RELEASE: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_millis(800);

/// What is known of the place that all environments are served from.
#[derive(Clone)]
struct Ours {
    /// For digests of Secrets' values.
    key: DigestKey,
    here: Here,
}

/// What the environments' tasks are started from.
pub struct Start<'a> {
    pub args: &'a RunArgs,
    pub data_dir: PathBuf,
    pub remote: Remote,
    pub forge: Option<Arc<dyn Forge>>,
    pub cluster: Arc<Cluster>,
    /// How it is waited for.
    pub reaching: Reaching,
    /// Where the inventories are.
    pub namespace: Namespace,
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
    /// Runs one task for each environment. Where one can't go on, the others are ended in
    /// order, and the outside starts the process again.
    pub async fn environments(&self, stop: &Stop) -> anyhow::Result<u8> {
        let Some(cluster) = self.cluster_uid().await? else {
            return Ok(exit::SAME);
        };
        let here = Here {
            cluster,
            namespace: self.namespace.clone(),
        };
        let found = tokio::select! {
            // Nothing has begun.
            () = stop.asked() => return Ok(exit::SAME),
            found = self.find(&here) => found?,
        };
        // It is made where it is not there: not where nothing is to be written.
        let refused = |found: &Found| matches!(found, Found::Refused(_));
        let key = if found.values().all(refused) {
            None
        } else {
            match self.digest_key().await? {
                None => return Ok(exit::SAME),
                key => key,
            }
        };
        let mut served = FuturesUnordered::new();
        for name in &self.args.environment {
            let serving = Serving::announced(name, &self.readiness);
            let ours = key.clone().map(|key| Ours {
                key,
                here: here.clone(),
            });
            let found = found[name].clone();
            served.push(async move {
                let never = CancellationToken::new();
                let ending = match (found, ours) {
                    (Found::Refused(why), _) => {
                        self.mistaken(&never, name, why, &serving, stop).await
                    }
                    (_, None) => Ok(Ending::Stopped),
                    (found, Some(ours)) => self.serve(name, found, ours, serving, stop).await,
                };
                (name, ending)
            });
        }
        self.opened.store(true, Ordering::Relaxed);
        let mut telling = key.map_or_else(JoinSet::new, |key| self.preview(key, stop));
        let (mut code, mut failed) = (exit::SAME, None);
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
            let ending = match ending {
                Ok(ending) => ending,
                Err(error) => {
                    stop.ask();
                    failed = failed.or(Some(error));
                    continue;
                }
            };
            let (worse, wrong) = match ending {
                Ending::Stopped => {
                    info!(environment = %name, "stopped");
                    continue;
                }
                Ending::Synced => {
                    info!(environment = %name, "as declared");
                    continue;
                }
                Ending::Unsettled(wrong) => (exit::DIFFERENT, wrong),
                Ending::Unusable(wrong) => (exit::ERROR, wrong),
            };
            code = code.max(worse);
            for line in wrong {
                error!(environment = %name, "{line}");
            }
        }
        failed.map_or(Ok(code), Err)
    }

    /// Runs an environment whenever its Lease is ours.
    async fn serve(
        &self,
        name: &EnvironmentName,
        found: Found,
        ours: Ours,
        serving: watch::Sender<Serving>,
        stop: &Stop,
    ) -> anyhow::Result<Ending> {
        if let Found::Unheard = found
            && let Some(ending) = self.heard_of(name, &serving, stop).await?
        {
            return Ok(ending);
        }
        let (namespace, duration) = (&self.namespace, self.args.lease_duration);
        let holder = Holder::of(&self.data_dir, name, self.args.identity.as_deref());
        let lease = Lease::new(
            &self.cluster,
            namespace,
            name,
            holder.name.clone(),
            duration,
        );
        loop {
            let told = |heard: Heard<'_>| match heard {
                Heard::Holder(other) => {
                    serving.send_replace(Serving::StandingBy);
                    info!(environment = %name, "standing by: {other} serves it");
                }
                Heard::Away(why) => {
                    let why = format!("its Lease cannot be had yet: {why}");
                    warn!(environment = %name, "{why}");
                    serving.send_replace(Serving::LockedOut(why));
                }
                Heard::Barred(why) => {
                    serving.send_replace(Serving::LockedOut(why.to_owned()));
                    error!(environment = %name, "it is not served: {why}");
                }
            };
            let term = tokio::select! {
                // Cancel-safe: what was taken in between expires.
                () = stop.asked() => return Ok(Ending::Stopped),
                term = term(&lease, self.mode(), duration, told) => term?,
            };
            let ending = self.within(&term, name, ours.clone(), &serving, stop).await;
            let lost = term.lost().is_cancelled() && !stop.is_asked();
            term.release(if stop.is_asked() { LAST } else { RELEASE })
                .await;
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
        ours: Ours,
        serving: &watch::Sender<Serving>,
        stop: &Stop,
    ) -> anyhow::Result<Ending> {
        let journal = tokio::select! {
            // One that is being opened has begun nothing.
            () = stop.asked() => return Ok(Ending::Stopped),
            journal = self.journal(name, stop) => journal?,
        };
        let recorded = &journal.status().ties;
        if let Some(why) = self.refused(name, recorded, &ours.here) {
            journal.close(stop).await;
            return self.mistaken(term.lost(), name, why, serving, stop).await;
        }
        let met = match ours.here.apart(recorded) {
            Some(Elsewhere::Cluster(_)) => Met::Anew,
            Some(Elsewhere::Namespace(before)) => {
                info!(environment = %name, "what was applied with the inventories in the namespace {before} is taken over as far as it is declared; what is not declared any more is kept, and no agent looks after it: `kubectl -n {before} get configmaps -l gitops-agent.dev/environment={name}` has what is left there");
                Met::Before
            }
            None => Met::Before,
        };
        let environment = self.environment(name, ours, met, journal, (term, stop));
        serving.send_replace(Serving::Ours(environment.context(), environment.trouble()));
        let over = stop.token();
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

    /// Waits for somebody to say what is meant: what is recorded is of elsewhere.
    async fn mistaken(
        &self,
        lost: &CancellationToken,
        name: &EnvironmentName,
        why: String,
        serving: &watch::Sender<Serving>,
        stop: &Stop,
    ) -> anyhow::Result<Ending> {
        if self.args.once {
            return Ok(Ending::Unusable(vec![why]));
        }
        error!(environment = %name, "{why}");
        serving.send_replace(Serving::Mistaken(why));
        tokio::select! {
            // Both are cancel-safe: a token holds nothing.
            () = stop.asked() => {}
            () = lost.cancelled() => {}
        }
        Ok(Ending::Stopped)
    }

    fn verifier(&self, name: &EnvironmentName) -> Verifier {
        let mirror = self.follower.mirror_path();
        Verifier::new(self.policy.clone(), name, &self.data_dir, mirror)
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
    async fn journal(&self, name: &EnvironmentName, stop: &Stop) -> anyhow::Result<Journal> {
        let mut source = self.follower.state();
        loop {
            let waits = source.borrow_and_update().head.is_none();
            let journal = self.open_journal(name).await?;
            if !journal.is_unread() || !waits || self.args.once {
                return Ok(journal);
            }
            source
                .changed()
                .await
                .context("the task that follows the repository has ended")?;
            journal.close(stop).await;
        }
    }

    /// Where the record goes.
    pub(super) fn record(&self) -> anyhow::Result<Remote> {
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

    fn environment(
        &self,
        name: &EnvironmentName,
        ours: Ours,
        met: Met,
        journal: Journal,
        (term, stop): (&Term, &Stop),
    ) -> Environment {
        let options = Options {
            environment: name.clone(),
            cluster: Arc::new(self.cluster.fenced(term.fence())),
            namespace: ours.here.namespace,
            former: self.args.from_namespace.clone(),
            key: ours.key,
            cluster_uid: ours.here.cluster,
            met,
            repository: self.follower.mirror_path().to_owned(),
            followed: Followed {
                repository: self.remote.url.to_string(),
                branch: self.args.branch.clone(),
            },
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
            barred: term.barred(),
            stop: stop.clone(),
        };
        Environment::new(options, journal)
    }
}

/// Beyond a year is a year: no clock overflows, and nobody sees the difference.
pub(super) fn unless_zero(interval: Duration) -> Option<Duration> {
    (!interval.is_zero()).then(|| interval.min(Duration::from_hours(24 * 365)))
}
