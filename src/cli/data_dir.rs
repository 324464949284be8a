//! The daemon's data directory, and who it makes of a process.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tracing::warn;

use crate::model::EnvironmentName;
use crate::runtime::files::{own_directory, own_file};
use crate::runtime::random;

/// What lies in it, each of them a directory that the agent alone may enter.
const ROOMS: [&str; 5] = [MARKS, "mirror", "notes", "record", "verified"];
/// Where it is kept which holder of Leases this directory makes of a process.
const MARKS: &str = "holders";

/// Makes it, unless it is there.
///
/// # Errors
/// When it can't be made, or somebody else may have put files there.
pub fn prepare(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
    let directory = match chosen {
        Some(directory) => directory.to_owned(),
        None => by_default()?,
    };
    for room in ROOMS.map(|room| directory.join(room)) {
        own_directory(&room).with_context(|| {
            format!(
                "{} cannot be used to keep data in; choose another data directory with --data-dir",
                room.display()
            )
        })?;
    }
    Ok(directory)
}

fn by_default() -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = cache
        .or_else(home)
        .context("there is no home directory to keep data in; give --data-dir")?;
    Ok(base.join("gitops-agent").join("data"))
}

/// Who holds an environment's Lease: a process, not a name. Of two with one name, each
/// waits for the other; but what is started again in the same data directory is the same
/// holder, and has the Lease at once. The lock says that no other process is there.
#[derive(Debug)]
pub struct Holder {
    /// As the Lease has it.
    pub name: String,
    /// Held as long as this lives.
    _lock: Option<File>,
}

impl Holder {
    /// The one that this data directory makes of the process. Where it can't be kept there,
    /// or another process has it, a new one.
    pub fn of(data_dir: &Path, environment: &EnvironmentName, identity: Option<&str>) -> Self {
        let identity = identity.map_or_else(host, str::to_owned);
        let path = data_dir.join(MARKS).join(environment.as_str());
        let (mark, lock) = match kept(&path) {
            Ok(Some((mark, lock))) => (mark, Some(lock)),
            Ok(None) => (fresh(), None),
            Err(error) => {
                warn!(%environment, file = %path.display(), %error, "who this agent is cannot be kept; after a crash it waits for its own Lease to expire");
                (fresh(), None)
            }
        };
        Self {
            name: format!("{identity}_{mark}"),
            _lock: lock,
        }
    }
}

/// The mark in a file, which is made if there is none; nothing where another process has
/// the file.
fn kept(path: &Path) -> std::io::Result<Option<(String, File)>> {
    let mut file = own_file(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    let mut mark = String::new();
    // One that was cut off by a crash is not one.
    let whole = file.read_to_string(&mut mark).is_ok() && is_mark(&mark);
    if !whole {
        mark = fresh();
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(mark.as_bytes())?;
    }
    Ok(Some((mark, file)))
}

fn is_mark(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn fresh() -> String {
    hex::encode(&random::bytes()[..8])
}

/// The host, or the Pod.
fn host() -> String {
    let host = rustix::system::uname();
    host.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_a_process_and_stays_the_same_in_its_directory() {
        let place = tempfile::tempdir().unwrap();
        let data = prepare(Some(place.path())).unwrap();
        let shop: EnvironmentName = "shop".parse().unwrap();
        let of = |data: &Path| Holder::of(data, &shop, Some("agent"));
        let first = of(&data);
        assert!(first.name.starts_with("agent_"), "{first:?}");
        let beside = of(&data);
        assert_ne!(first.name, beside.name, "another process may be there");
        let name = first.name.clone();
        drop(first);
        // A program that another test starts has the file for as long as it takes to start.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while of(&data).name != name {
            assert!(
                std::time::Instant::now() < deadline,
                "after a restart it is the same"
            );
            std::thread::yield_now();
        }

        let elsewhere = tempfile::tempdir().unwrap();
        let elsewhere = prepare(Some(elsewhere.path())).unwrap();
        assert_ne!(of(&elsewhere).name, name);
        std::fs::write(data.join(MARKS).join("shop"), "abc").unwrap();
        assert_ne!(of(&data).name, "agent_abc");
    }
}
