//! What a record has when an environment's task begins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use git2::Oid;
use tracing::warn;

use crate::model::{EnvironmentName, Tally, chain};
use crate::record::foreign::ForeignFile;
use crate::record::status::{StatusFile, Ties};
use crate::record::status_files::{self, StatusError};
use crate::record::{Drifted, PushError, RecordBranch, RecordView, path};

/// How long the record's repository may take at the start where the record is here as well.
const FRESH: Duration = Duration::from_secs(3);

/// Takes in what the remote has; `None` where it does not answer, and the record is here as
/// well: what comes of that is taken in by the push that comes next.
pub(super) fn refresh(branch: &mut RecordBranch) -> anyhow::Result<Option<Result<(), PushError>>> {
    if branch.tip().is_none() {
        return Ok(Some(branch.refresh()));
    }
    let (told, answer) = sync_channel(1);
    let mut another = branch.another()?;
    std::thread::Builder::new()
        .name(format!("refresh-{}", branch.environment()))
        .spawn(move || {
            // Nobody may be waiting for it any more.
            let _ = told.send(another.refresh());
        })?;
    let answer = answer.recv_timeout(FRESH).ok();
    if answer.is_none() {
        let environment = branch.environment();
        warn!(%environment, "the remote's record does not answer, going on with what is here");
    }
    Ok(answer)
}

/// What others own of the recorded objects, by file.
pub(super) fn read_foreign(
    branch: &RecordBranch,
    files: &BTreeMap<String, Oid>,
) -> anyhow::Result<BTreeMap<String, ForeignFile>> {
    let mut found = BTreeMap::new();
    for path in files.keys().filter(|path| path::is_foreign(path)) {
        if let Some(content) = branch.read(path)? {
            found.insert(path.clone(), ForeignFile::parse(&content));
        }
    }
    Ok(found)
}

/// What was left as drift. Where that can't be read, less can be said of what became of it.
pub(super) fn read_drifted(
    repository: &Path,
    environment: &EnvironmentName,
    branch: &str,
) -> Drifted {
    let view = RecordView::of_branch(repository, environment, branch.to_owned());
    let found = view.and_then(|view| view.map_or(Ok(Drifted::new()), |view| view.drifted()));
    found.unwrap_or_else(|error| {
        warn!(%environment, error = %chain(&error), "the record's entries cannot be read");
        Drifted::new()
    })
}

/// How everything stood when the last entry was written.
pub(in crate::reconcile) fn read_status(
    environment: &EnvironmentName,
    branch: &RecordBranch,
    files: &BTreeMap<String, Oid>,
) -> anyhow::Result<StatusFile> {
    let paths = files.keys().map(String::as_str);
    let found = match status_files::parse(paths, |path| branch.read(path)) {
        Ok(found) => found,
        Err(StatusError::Read(error)) => return Err(error.into()),
        Err(error @ StatusError::Parse { .. }) => {
            warn!(%environment, error = %chain(&error), "the recorded status cannot be read, and is written anew");
            None
        }
    };
    Ok(found.unwrap_or_else(|| StatusFile {
        environment: environment.clone(),
        revision: None,
        error: None,
        warning: None,
        refused: None,
        ties: Ties::default(),
        tally: Tally::default(),
        units: BTreeMap::new(),
    }))
}
