//! How a status lies in the recorded tree: `status.yaml` for the environment, and
//! `<unit>/status.yaml` for each unit, so that an entry writes only what it changes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::path;
use super::status::{RefusedRevision, StatusChange, StatusFile, Ties, UnitStatus};
use super::story::Changes;
use crate::model::{EnvironmentName, Revision, Tally, UnitName, emit};

/// The state of the environment.
pub const STATUS: &str = "status.yaml";

/// What `status.yaml` at the root says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    environment: EnvironmentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedRevision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    #[serde(flatten)]
    ties: Ties,
    #[serde(flatten)]
    tally: Tally,
}

/// Changes a status; gives the files that say so. `recorded` tells whether there are any
/// yet.
pub fn change(status: &mut StatusFile, change: StatusChange, recorded: bool) -> Changes {
    let mut changes = Changes::new();
    let before = (&status.revision, &status.error);
    let same = before == (&change.revision, &change.error)
        && status.refused == change.refused
        && status.warning == change.warning
        && status.ties == change.ties
        && status.tally == change.tally;
    if !recorded || !same {
        status.revision = change.revision;
        status.error = change.error;
        status.refused = change.refused;
        status.warning = change.warning;
        status.ties = change.ties;
        status.tally = change.tally;
        let head = Head {
            environment: status.environment.clone(),
            revision: status.revision.clone(),
            error: status.error.clone(),
            refused: status.refused.clone(),
            warning: status.warning.clone(),
            ties: status.ties.clone(),
            tally: status.tally.clone(),
        };
        changes.insert(STATUS.to_owned(), Some(emit(&head).into_bytes()));
    }
    for (name, unit) in change.units {
        let path = path::of_status(&name);
        match unit {
            Some(unit) if status.units.get(&name) == Some(&unit) => {}
            Some(unit) => {
                changes.insert(path, Some(emit(&*unit).into_bytes()));
                status.units.insert(name, unit);
            }
            None if status.units.remove(&name).is_some() => {
                changes.insert(path, None);
            }
            None => {}
        }
    }
    changes
}

/// The status that is recorded in these files; `None` if `status.yaml` is not among them.
/// `read` gives the content of one.
///
/// # Errors
/// The file that can't be understood, and why; or why one can't be read.
pub fn parse<'a, E>(
    paths: impl IntoIterator<Item = &'a str>,
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<StatusFile>, StatusError<E>> {
    let Some(head) = one::<Head, E>(STATUS, &mut read)? else {
        return Ok(None);
    };
    let names: BTreeSet<UnitName> = paths.into_iter().filter_map(path::to_status).collect();
    let mut units = BTreeMap::new();
    for name in names {
        if let Some(status) = one::<UnitStatus, E>(&path::of_status(&name), &mut read)? {
            units.insert(name, status.into());
        }
    }
    Ok(Some(StatusFile {
        environment: head.environment,
        revision: head.revision,
        error: head.error,
        refused: head.refused,
        warning: head.warning,
        ties: head.ties,
        tally: head.tally,
        units,
    }))
}

/// Why a recorded status can't be had.
#[derive(Debug, thiserror::Error)]
pub enum StatusError<E> {
    /// A file can't be read.
    #[error(transparent)]
    Read(E),
    /// A file says something else than a status.
    #[error("{path} can't be understood; is this agent older than the one that wrote it?")]
    Parse {
        /// In the recorded tree.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
}

fn one<T: for<'de> Deserialize<'de>, E>(
    path: &str,
    read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<T>, StatusError<E>> {
    let Some(content) = read(path).map_err(StatusError::Read)? else {
        return Ok(None);
    };
    let parsed = serde_saphyr::from_slice(&content);
    parsed.map(Some).map_err(|source| StatusError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::model::{Deleted, Digest, GroupKind, ObjectId, Pinned};
    use crate::plan::Gone;
    use crate::record::status::{GoneObject, State};

    fn status(message: &str) -> UnitStatus {
        UnitStatus {
            state: State::Blocked,
            health: "Current".to_owned(),
            revision: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            message: message.to_owned(),
            objects: 3,
            desired: None,
            decisions: None,
            proposal: None,
            max_prune: None,
            gone: vec![GoneObject {
                object: ObjectId::new(
                    GroupKind::known("", "ConfigMap"),
                    None,
                    crate::model::Name::known("a"),
                ),
                gone: Gone {
                    since: jiff::Timestamp::UNIX_EPOCH,
                    declared: Digest::of_bytes(b"a"),
                    put_back: None,
                },
            }],
        }
    }

    fn name(name: &str) -> UnitName {
        name.parse().expect("a name")
    }

    fn parsed(files: &BTreeMap<String, Vec<u8>>) -> Option<StatusFile> {
        let read = |path: &str| Ok::<_, Infallible>(files.get(path).cloned());
        parse(files.keys().map(String::as_str), read).expect("a status")
    }

    #[test]
    fn files_that_change_make_the_status_that_was_meant() {
        let mut file = StatusFile {
            environment: "prod".parse().expect("a name"),
            revision: None,
            error: None,
            warning: Some("a clock".to_owned()),
            refused: Some(RefusedRevision {
                revision: "b".repeat(40).parse().expect("a revision"),
                author: "Ann".to_owned(),
                subject: "Break it".to_owned(),
                since: jiff::Timestamp::UNIX_EPOCH,
                idle: true,
            }),
            ties: Ties {
                source: format!("{} main https://git.example/deploy", "a".repeat(40))
                    .parse()
                    .ok(),
                cluster: Some("c0ffee".to_owned()),
                namespace: Some(crate::model::Namespace::known("gitops-agent")),
            },
            tally: Tally {
                deleted: vec![Deleted {
                    at: jiff::Timestamp::UNIX_EPOCH,
                    objects: 3,
                }],
                unknown_until: Some(jiff::Timestamp::UNIX_EPOCH),
                pinned: Pinned {
                    environment: Some(7),
                    units: [(name("web"), 5)].into(),
                },
            },
            units: BTreeMap::new(),
        };
        let mut files = BTreeMap::new();
        for (unit, message) in [
            ("shop", "first"),
            ("web", "two lines:\n\n  one indented\n- another"),
            ("shop", "  leading"),
            ("web", ""),
        ] {
            let (after, error) = if message.is_empty() {
                (None, None)
            } else {
                let error = "units:\n  of old\n".to_owned();
                (Some(status(message).into()), Some(error))
            };
            let heads = usize::from(files.is_empty() || message.is_empty());
            let wanted = StatusChange {
                error,
                units: [(name(unit), after)].into(),
                ..file.unchanged()
            };
            let again = wanted.clone();
            let changes = change(&mut file, wanted, !files.is_empty());
            assert_eq!(changes.len(), 1 + heads, "{unit}: {message}");
            for (path, content) in changes {
                match content {
                    Some(content) => drop(files.insert(path, content)),
                    None => drop(files.remove(&path)),
                }
            }
            assert_eq!(parsed(&files).as_ref(), Some(&file));
            assert!(change(&mut file, again, true).is_empty());
        }
        assert_eq!(file.units.len(), 1);
    }

    #[test]
    fn a_file_that_says_something_else_is_named() {
        let head = b"environment: prod\n".to_vec();
        let files: BTreeMap<&str, Vec<u8>> =
            [(STATUS, head), ("shop/status.yaml", b"- a\n".to_vec())].into();
        let read = |path: &str| Ok::<_, Infallible>(files.get(path).cloned());
        let error = parse(files.keys().copied(), read).expect_err("no status");
        assert!(
            error.to_string().starts_with("shop/status.yaml can't"),
            "{error}"
        );
    }
}
