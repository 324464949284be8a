//! `status.yaml` as text. Each entry has all of it, so what did not change since the last
//! one is not written out again.

use std::collections::BTreeMap;

use super::status::{StatusFile, UnitStatus};
use crate::model::{UnitName, emit};

/// The units as they were written out last.
#[derive(Debug, Default)]
pub struct StatusText {
    units: BTreeMap<UnitName, (UnitStatus, String)>,
}

impl StatusText {
    /// The file, as [`emit`] would write it.
    pub fn of(&mut self, file: &StatusFile) -> String {
        self.units.retain(|name, _| file.units.contains_key(name));
        if file.units.is_empty() {
            return emit(file);
        }
        let head = StatusFile {
            environment: file.environment.clone(),
            revision: file.revision.clone(),
            error: file.error.clone(),
            units: BTreeMap::new(),
        };
        let mut text = emit(&head);
        text.truncate(text.rfind("units:").unwrap_or(text.len()));
        text.push_str("units:\n");
        for (name, status) in &file.units {
            let kept = self.units.get(name).filter(|(before, _)| before == status);
            if kept.is_none() {
                let written = (status.clone(), block(name, status));
                self.units.insert(name.clone(), written);
            }
            text.push_str(&self.units[name].1);
        }
        text
    }
}

/// A unit, indented as it stands in the file.
fn block(name: &UnitName, status: &UnitStatus) -> String {
    let alone = emit(&BTreeMap::from([(name, status)]));
    let lines = alone.lines().map(|line| {
        if line.is_empty() {
            "\n".to_owned()
        } else {
            format!("  {line}\n")
        }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::status::State;

    fn status(message: &str) -> UnitStatus {
        UnitStatus {
            state: State::Blocked,
            health: "Current".to_owned(),
            revision: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            message: message.to_owned(),
            objects: 3,
            desired: None,
        }
    }

    #[test]
    fn it_is_what_would_be_written_in_one() {
        let mut text = StatusText::default();
        let mut file = StatusFile {
            environment: "prod".parse().expect("a name"),
            revision: None,
            error: Some("units:\n  of old\n".to_owned()),
            units: BTreeMap::new(),
        };
        assert_eq!(text.of(&file), emit(&file));
        let name = |name: &str| name.parse::<UnitName>().expect("a name");
        for (unit, message) in [
            ("shop", ""),
            ("web", "one line"),
            ("web", "two lines:\n\n  one indented\n- another"),
            ("a", "trailing\n"),
            ("on", "  leading"),
        ] {
            file.units.insert(name(unit), status(message));
            assert_eq!(text.of(&file), emit(&file), "{unit}: {message}");
        }
        file.units.remove(&name("web"));
        assert_eq!(text.of(&file), emit(&file));
    }
}
