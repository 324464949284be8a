//! Entries that can't be written for now (a full disk, no inode, no descriptor left), kept
//! until they can, in order. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::model::EnvironmentName;
use crate::record::Entry;
use crate::record::story::{self, Changes};

/// How many bytes of entries wait one by one: thousands of reverts, and a small part of
/// what a Pod has. Past that the oldest are gathered into one entry, which is as long as
/// its subjects, of which it keeps some hundred, and the files that they change, which are
/// no more than the record has.
const MOST: usize = 8 << 20;
/// How many subjects the gathered entry keeps.
const SUBJECTS: usize = 300;

/// Entries on their way to the disk.
#[derive(Debug)]
pub(super) struct Unwritten {
    environment: EnvironmentName,
    gathered: Option<Gathered>,
    waiting: VecDeque<Entry>,
    size: usize,
    written: u64,
}

/// The oldest entries, as one.
#[derive(Debug)]
struct Gathered {
    count: u64,
    subjects: Vec<String>,
    changes: Changes,
    time: Timestamp,
}

impl Unwritten {
    pub(super) fn new(environment: &EnvironmentName) -> Self {
        Self {
            environment: environment.clone(),
            gathered: None,
            waiting: VecDeque::new(),
            size: 0,
            written: 0,
        }
    }

    /// Takes an entry in.
    pub(super) fn take(&mut self, entry: Entry) {
        self.size += size(&entry);
        self.waiting.push_back(entry);
        while self.size > MOST
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.size -= size(&oldest);
            self.gather(oldest);
        }
    }

    fn gather(&mut self, entry: Entry) {
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            count: 0,
            subjects: Vec::new(),
            changes: Changes::new(),
            time: entry.time,
        });
        gathered.count += 1;
        gathered.time = entry.time;
        gathered.changes.extend(entry.changes);
        if gathered.subjects.len() < SUBJECTS {
            gathered.subjects.push(entry.subject);
        }
    }

    /// Writes what waits, the oldest first, as far as that works.
    pub(super) fn write<E>(
        &mut self,
        mut append: impl FnMut(&Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(gathered) = &self.gathered {
            append(&gathered.entry(&self.environment))?;
            self.written += gathered.count;
            self.gathered = None;
        }
        while let Some(entry) = self.waiting.front() {
            append(entry)?;
            self.size -= size(entry);
            self.written += 1;
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// How many entries wait.
    pub(super) fn count(&self) -> u64 {
        let gathered = self.gathered.as_ref().map_or(0, |gathered| gathered.count);
        gathered + self.waiting.len() as u64
    }

    /// How many entries were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What waits, in a line for each.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &str> {
        let gathered = self.gathered.iter().flat_map(|gathered| &gathered.subjects);
        let waiting = self.waiting.iter().map(|entry| &entry.subject);
        gathered.chain(waiting).map(String::as_str)
    }
}

impl Gathered {
    fn entry(&self, environment: &EnvironmentName) -> Entry {
        let more = self.count - self.subjects.len() as u64;
        let more = (more > 0).then(|| format!("… and {more} more"));
        let lines: Vec<&str> = self
            .subjects
            .iter()
            .chain(&more)
            .map(String::as_str)
            .collect();
        let changes = self.changes.clone();
        story::gathered(environment, self.count, &lines, changes, self.time)
    }
}

fn size(entry: &Entry) -> usize {
    let files = entry.changes.iter();
    let files = files.map(|(path, content)| path.len() + content.as_ref().map_or(0, Vec::len));
    files.sum::<usize>() + entry.subject.len() + entry.body.len() + size_of::<Entry>()
}

#[cfg(test)]
mod tests;
