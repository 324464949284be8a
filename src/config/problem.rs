//! What is wrong with a repository's files, where, and what to do about it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::model::cut;

/// One thing that is wrong. Printed as `agent.yaml:12:7: message; hint`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, from the repository's root.
    pub path: String,
    /// From 1; 0 where it is about the file as a whole.
    pub line: u32,
    /// In characters, from 1; 0 where it is about the file or the line as a whole.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What is wrong, in the order of the files, each once: as much of it as a person reads,
/// and how much more there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    told: BTreeSet<Problem>,
    more: usize,
}

/// How many problems are told.
const TOLD: usize = 100;

/// How many characters of a message are told.
const MESSAGE: usize = 1_000;

impl Problem {
    /// About a file as a whole.
    pub fn in_file(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: 0,
            column: 0,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with advice where there is any.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, ":{number}")?;
            }
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, mut problem: Problem) {
        if let Cow::Owned(message) = cut(&problem.message, MESSAGE) {
            problem.message = message;
        }
        self.told.insert(problem);
        while self.told.len() > TOLD {
            self.told.pop_last();
            self.more += 1;
        }
    }

    /// Adds one if it may be told, and counts it otherwise: what nobody reads need not be
    /// put into words.
    pub fn push_with(&mut self, problem: impl FnOnce() -> Problem) {
        if self.told.len() < TOLD {
            self.push(problem());
        } else {
            self.more += 1;
        }
    }

    /// Adds others.
    pub fn append(&mut self, others: Self) {
        self.more += others.more;
        others
            .told
            .into_iter()
            .for_each(|problem| self.push(problem));
    }

    /// The same, each told otherwise.
    pub fn map(self, change: impl FnMut(Problem) -> Problem) -> Self {
        let mut changed = Self {
            more: self.more,
            ..Self::default()
        };
        changed.extend(self.told.into_iter().map(change));
        changed
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.told.len() + self.more
    }

    /// How many there are beside those that are told.
    pub fn more(&self) -> usize {
        self.more
    }

    /// Those that are told, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.told.iter()
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let mut all = Self::default();
        all.extend(problems);
        all
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self::from_iter([problem])
    }
}

/// One on each line, and at the end how many more there are.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.told.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// `did you mean …?` for the known word that is nearest to one that is not known.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|to| format!("did you mean `{to}`?"))
}

/// The known word that a misspelt one must have been: at most every third letter is
/// different.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody misspells a longer one, and comparing takes the product of the lengths.
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return None;
    }
    let distance = |to: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &to.to_lowercase());
    known
        .into_iter()
        .filter(|to| to.len() <= LONGEST)
        .map(|to| (distance(to), to))
        .filter(|(distance, to)| *distance <= to.len().max(word.len()) / 3)
        .min()
        .map(|(_, to)| to)
}
