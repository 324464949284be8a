//! Why a unit could not be rendered: every problem, and when to try again.

use crate::config::{Problem, Problems};
use crate::model::{Exceeded, TreeError};
use crate::render::yaml::{Position, YamlError};
use crate::runtime::exec::{ExecError, Retry};

/// Everything that is wrong with a unit's files. Nothing of it was rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problems}")]
pub struct RenderErrors {
    /// What, where, and what to do.
    pub problems: Problems,
    /// When trying again may help.
    pub retry: Retry,
}

impl From<Problems> for RenderErrors {
    /// The files are wrong, and nothing but other files can help.
    fn from(problems: Problems) -> Self {
        Self {
            problems,
            retry: Retry::WhenInputsChange,
        }
    }
}

impl From<Problem> for RenderErrors {
    fn from(problem: Problem) -> Self {
        Problems::from(problem).into()
    }
}

impl From<TreeError> for RenderErrors {
    fn from(error: TreeError) -> Self {
        let retry = match &error {
            TreeError::Unreadable { .. } => Retry::Later,
            _ => Retry::WhenInputsChange,
        };
        Self {
            problems: of_tree(&error).into(),
            retry,
        }
    }
}

impl RenderErrors {
    /// A program that the unit at `path` needs did not do its work.
    pub(super) fn of_program(path: &str, error: &ExecError) -> Self {
        let mut message = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            message = format!("{message}: {source}");
        }
        Self {
            problems: Problem::in_file(path, message).into(),
            retry: error.retry(),
        }
    }
}

/// At a place in a file.
pub(super) fn at(path: &str, place: Position, message: impl Into<String>) -> Problem {
    Problem {
        line: place.line,
        column: place.column,
        ..Problem::in_file(path, message)
    }
}

pub(super) fn of_yaml(path: &str, error: &YamlError) -> Problem {
    at(path, error.at, error.message.clone())
}

/// More than a unit may have, with what stands at a path.
pub fn exceeded(path: &str, error: Exceeded) -> Problem {
    Problem::in_file(path, error.to_string()).hint(error.hint())
}

/// A tree's errors begin with the path, and so does a problem.
pub(super) fn of_tree(error: &TreeError) -> Problem {
    let path = match error {
        TreeError::NotFound { path }
        | TreeError::WrongKind { path, .. }
        | TreeError::Escapes { path, .. }
        | TreeError::LinkLoop { path }
        | TreeError::TooLarge { path, .. }
        | TreeError::TooMany { path, .. }
        | TreeError::LfsPointer { path }
        | TreeError::Misnamed { path }
        | TreeError::Submodule { path }
        | TreeError::Unreadable { path, .. } => path,
    };
    let text = error.to_string();
    let message = text.strip_prefix(&format!("{path}: ")).unwrap_or(&text);
    Problem::in_file(path, message)
}
