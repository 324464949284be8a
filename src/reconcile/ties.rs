//! What an environment is tied to, by its record, before its task begins.

use std::path::Path;

use tracing::debug;

use super::journal::read_status;
use crate::model::{EnvironmentName, chain};
use crate::record::{BranchPattern, RecordBranch};
use crate::source::Remote;

/// The cluster that an environment's record is of, if it is another one than `here`. What
/// is here of the record decides where that is of this one; else its remote is asked, which
/// may be further. Nothing of it is written.
///
/// # Errors
/// When what is here can't be read.
pub fn recorded_elsewhere(
    environment: &EnvironmentName,
    here: &str,
    data_dir: &Path,
    (remote, names): (Remote, &BranchPattern),
) -> anyhow::Result<Option<String>> {
    let mut branch = RecordBranch::open(data_dir, remote, environment, names)?;
    let recorded = cluster(environment, &branch)?;
    if recorded.as_deref() == Some(here) {
        return Ok(None);
    }
    if let Err(error) = branch.refresh() {
        // Whoever opens the record next says so.
        debug!(%environment, error = %chain(&error), "the remote's record cannot be read, going on with what is here");
    }
    let recorded = cluster(environment, &branch)?;
    Ok(recorded.filter(|recorded| recorded != here))
}

fn cluster(environment: &EnvironmentName, branch: &RecordBranch) -> anyhow::Result<Option<String>> {
    let files = branch.files()?;
    Ok(read_status(environment, branch, &files)?.ties.cluster)
}
