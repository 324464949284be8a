//! What an environment's task tells the record: which files of the recorded tree
//! differ, and the threads that commit and push, so that no pass waits for a remote.

mod differing;
mod end;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use git2::{Oid, Repository};
use serde_json::Value;
use tokio::sync::watch;
use tracing::{info, warn};

pub(super) use read::read_status;
use read::{read_drifted, read_foreign, refresh};

use super::noting::Noting;
use super::recording::{News, Queued, Told, Trouble, push, write};
use crate::model::{Digest, EnvironmentName, ObjectId, Revision, UnitName, chain};
use crate::record::foreign::ForeignFile;
use crate::record::status::{StatusChange, StatusFile};
use crate::record::status_files::{self, STATUS};
use crate::record::story::Changes;
use crate::record::{
    BranchPattern, Drifted, Entry, PushError, RecordBranch, SigningKey, content_id, path, text,
};
use crate::runtime::metrics::{EnvironmentLabels, Metrics};
use crate::source::Remote;

/// Entries that wait for the thread. It takes about a millisecond for each, so this is
/// a storm of seconds; past it, passes wait.
const QUEUE: usize = 1024;

/// An environment's record, from the side of its task.
pub struct Journal {
    environment: EnvironmentName,
    branch: String,
    /// Whether nothing is known of what is recorded.
    unread: bool,
    /// The repository that its entries are in.
    repository: PathBuf,
    /// Files that were left as drift by the entry that changed them last, as of when that was
    /// first asked for.
    drifted: OnceLock<Drifted>,
    /// Content of the recorded tree, by path.
    files: BTreeMap<String, Oid>,
    /// How everything stands, as recorded.
    status: StatusFile,
    /// The revision that it stood at when this process opened it.
    opened_at: Option<Revision>,
    /// The lists of foreign fields, by path.
    foreign: BTreeMap<String, ForeignFile>,
    entries: Option<SyncSender<Entry>>,
    /// Wakes the thread that pushes.
    news: Option<SyncSender<News>>,
    unpushed: watch::Receiver<usize>,
    /// How many entries were entered in this process.
    entered: u64,
    /// How many of them are on the disk.
    on_disk: watch::Receiver<u64>,
    pushed: watch::Receiver<InRemote>,
    trouble: watch::Receiver<Trouble>,
    /// What each unit declared when it was last synced.
    desired: watch::Sender<Arc<BTreeMap<UnitName, Digest>>>,
    writer: Option<JoinHandle<()>>,
}

/// How much of the record its repository has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InRemote {
    /// How many of the entries that were entered in this process.
    pub entries: u64,
    /// The newest entry there.
    pub tip: Option<Revision>,
}

/// Where the record is kept and goes.
#[derive(Debug, Clone)]
pub struct JournalOptions<'a> {
    /// Where entries wait for the remote.
    pub data_dir: &'a Path,
    /// The repository that has the branch.
    pub remote: Remote,
    /// What the branches are called.
    pub names: &'a BranchPattern,
    /// The environment repository, whose commits get notes.
    pub source: Remote,
    /// What entries are signed with.
    pub signing_key: Option<SigningKey>,
    /// Told how many entries wait.
    pub metrics: Metrics,
}

impl Journal {
    /// Opens the record and takes in what the remote has. Blocks.
    ///
    /// # Errors
    /// When the data directory can't be used, or the recorded state can't be read. A
    /// remote that is away is no error: what is known of it here is gone on with.
    pub fn open(
        environment: &EnvironmentName,
        options: JournalOptions<'_>,
    ) -> anyhow::Result<Self> {
        let JournalOptions {
            data_dir, remote, ..
        } = options;
        let followed = remote.url == options.source.url;
        let mut branch = RecordBranch::open(data_dir, remote, environment, options.names)?
            .signed_by(options.signing_key);
        let refreshed = refresh(&mut branch)?;
        let unread = !matches!(refreshed, Some(Ok(()))) && branch.tip().is_none();
        match refreshed.unwrap_or(Ok(())) {
            Ok(()) => {}
            // Whoever follows the repository says why.
            Err(PushError::Source(_)) if followed => {
                warn!(%environment, "the remote's record cannot be read, going on with what is here");
            }
            Err(error) => {
                warn!(%environment, error = %chain(&error), "the remote's record cannot be read, going on with what is here");
            }
        }
        let noting = Noting::start(environment, branch.notes(options.data_dir, options.source))?;
        let repository = branch.path().to_owned();
        let files = branch.files()?;
        let status = read_status(environment, &branch, &files)?;
        let foreign = read_foreign(&branch, &files)?;
        let (entries, inbox) = sync_channel(QUEUE);
        let (count, unpushed) = watch::channel(branch.queued());
        let labels = EnvironmentLabels {
            environment: environment.to_string(),
        };
        let metrics = &options.metrics;
        let gauge = metrics.record_queue.get_or_create(&labels).clone();
        let in_memory = metrics.record_unwritten.get_or_create(&labels).clone();
        let (written, on_disk) = watch::channel(0);
        let (reached, pushed) = watch::channel(InRemote::default());
        let (troubled, trouble) = watch::channel(Trouble::default());
        let desired = watch::Sender::new(Arc::new(status.desired()));
        let branch_name = branch.name().to_owned();
        let told = move |queued: Queued| {
            let all = queued.written + queued.unwritten;
            gauge.set(i64::try_from(all).unwrap_or(i64::MAX));
            in_memory.set(i64::try_from(queued.unwritten).unwrap_or(i64::MAX));
            count.send_replace(all);
        };
        let told = Arc::new(Told {
            queued: told,
            written,
            reached,
            trouble: troubled,
            counted: Mutex::default(),
        });
        // One that waits is enough: who is woken by it sees all that came before.
        let (news, woken) = sync_channel(1);
        let (name, to_push, also_told) =
            (environment.clone(), branch.another()?, Arc::clone(&told));
        let pushing = std::thread::Builder::new()
            .name(format!("push-{environment}"))
            .spawn(move || push(&name, to_push, &woken, noting, &also_told))?;
        let (name, waker) = (environment.clone(), news.clone());
        let writer = std::thread::Builder::new()
            .name(format!("record-{environment}"))
            .spawn(move || {
                write(&name, branch, &inbox, &told, &news);
                drop(news);
                if pushing.join().is_err() {
                    warn!(environment = %name, "the thread that pushes the record panicked");
                }
            })?;
        Ok(Self {
            environment: environment.clone(),
            branch: branch_name,
            unread,
            repository,
            drifted: OnceLock::new(),
            files,
            opened_at: status.revision.clone(),
            status,
            foreign,
            entries: Some(entries),
            news: Some(waker),
            unpushed,
            entered: 0,
            on_disk,
            pushed,
            trouble,
            desired,
            writer: Some(writer),
        })
    }

    /// The branch, for messages.
    pub(super) fn branch(&self) -> &str {
        &self.branch
    }

    /// Where it is noted what is about to be done.
    pub(super) fn begun(&self) -> PathBuf {
        self.repository.join("begun")
    }

    /// Whether the remote could not be read and nothing is known here either, so that
    /// what is entered may have been recorded before.
    pub fn is_unread(&self) -> bool {
        self.unread
    }

    /// What the record says now.
    pub fn status(&self) -> &StatusFile {
        &self.status
    }

    /// The revision that the record told last before this process.
    pub(super) fn opened_at(&self) -> Option<&Revision> {
        self.opened_at.as_ref()
    }

    /// How many entries were entered in this process.
    pub(super) fn entered(&self) -> u64 {
        self.entered
    }

    /// What keeps entries from where they belong.
    pub(super) fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.clone()
    }

    /// How much of the record its repository has.
    pub(super) fn in_remote(&self) -> watch::Receiver<InRemote> {
        self.pushed.clone()
    }

    /// What each unit declared when it was last synced.
    pub(super) fn desired(&self) -> watch::Receiver<Arc<BTreeMap<UnitName, Digest>>> {
        self.desired.subscribe()
    }

    /// The objects that are recorded of a unit.
    pub(super) fn objects(&self, unit: &UnitName) -> BTreeSet<ObjectId> {
        let prefix = format!("{unit}/");
        let files = self.files.range(prefix.clone()..);
        let files = files.take_while(|(path, _)| path.starts_with(&prefix));
        files
            .filter_map(|(path, _)| Some(path::to_object(path)?.1))
            .collect()
    }

    /// Whether an object is recorded with this content; `None` for not at all.
    pub(super) fn holds(&self, unit: &UnitName, id: &ObjectId, content: Option<&str>) -> bool {
        let content = content.map(|text| content_id(text.as_bytes()));
        self.files.get(&path::of_object(unit, id)).copied() == content
    }

    /// Whether the recorded tree has a file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether an object is recorded of another unit.
    pub(super) fn has_elsewhere(&self, unit: &UnitName, id: &ObjectId) -> bool {
        let mut others = self.status.units.keys().filter(|other| *other != unit);
        others.any(|other| self.has(&path::of_object(other, id)))
    }

    /// Whether an object's recorded form was drift before this process changed it; where
    /// `content` is given, and it was that before.
    pub(super) fn was_drift(&self, path: &str, content: Option<&Option<Vec<u8>>>) -> bool {
        let drifted = self
            .drifted
            .get_or_init(|| read_drifted(&self.repository, &self.environment, &self.branch));
        let before = drifted.get(path);
        before.is_some_and(|before| {
            content.is_none_or(|content| content.as_deref().map(content_id) == *before)
        })
    }

    /// An object as it is recorded; `None` where it isn't, or not on disk yet.
    pub(super) fn recorded(&self, unit: &UnitName, id: &ObjectId) -> Option<Value> {
        let content = self.files.get(&path::of_object(unit, id))?;
        let repository = Repository::open_bare(&self.repository).ok()?;
        let blob = repository.find_blob(*content).ok()?;
        serde_saphyr::from_slice(blob.content()).ok()
    }

    /// The foreign fields that are recorded of a unit.
    pub(super) fn foreign(&self, unit: &UnitName) -> ForeignFile {
        let recorded = self.foreign.get(&path::of_foreign(unit));
        recorded.cloned().unwrap_or_default()
    }

    /// The change that makes them these; none if they are.
    pub(super) fn foreign_change(&self, unit: &UnitName, now: &ForeignFile) -> Changes {
        let path = path::of_foreign(unit);
        if self.foreign.get(&path).cloned().unwrap_or_default() == *now {
            return Changes::new();
        }
        Changes::from([(path, now.content())])
    }

    /// The change of one object's file.
    pub(super) fn change(unit: &UnitName, id: &ObjectId, content: Option<String>) -> Changes {
        Changes::from([(path::of_object(unit, id), content.map(String::into_bytes))])
    }

    /// Takes an entry in, and what it changes of the status. The work is proportional to
    /// that.
    pub(super) fn enter(&mut self, mut entry: Entry, change: StatusChange) {
        let recorded = self.files.contains_key(STATUS);
        let units: Vec<UnitName> = change.units.keys().cloned().collect();
        let files = status_files::change(&mut self.status, change, recorded);
        entry.changes.extend(files);
        if !self.files.contains_key(text::README) {
            entry.changes.insert(
                text::README.to_owned(),
                Some(text::readme(&self.environment, &self.branch).into_bytes()),
            );
        }
        for (path, content) in &entry.changes {
            match content {
                Some(content) => drop(self.files.insert(path.clone(), content_id(content))),
                None => drop(self.files.remove(path)),
            }
            if path::is_foreign(path) {
                let content = content.as_deref().map(ForeignFile::parse);
                self.foreign
                    .insert(path.clone(), content.unwrap_or_default());
            }
        }
        self.entered += 1;
        self.show_desired(&units);
        info!(environment = %self.environment, "{}", entry.subject);
        if self
            .entries
            .as_ref()
            .is_some_and(|entries| entries.send(entry).is_err())
        {
            warn!(environment = %self.environment, "the record's thread has ended; see above why");
        }
    }

    /// Has it looked, without waiting for that, whether the record's repository has all
    /// entries that were pushed.
    pub(super) fn look(&self) {
        // Full: it has something to push, which looks as well.
        let _ = self.news.as_ref().map(|news| news.try_send(News::Look));
    }

    /// Tells what units declare now, where that is something else.
    fn show_desired(&self, units: &[UnitName]) {
        self.desired.send_if_modified(|known| {
            let mut moved = false;
            for name in units {
                let desired = self.status.units.get(name).and_then(|unit| unit.desired);
                if known.get(name) == desired.as_ref() {
                    continue;
                }
                let known = Arc::make_mut(known);
                match desired {
                    Some(desired) => drop(known.insert(name.clone(), desired)),
                    None => drop(known.remove(name)),
                }
                moved = true;
            }
            moved
        });
    }
}
