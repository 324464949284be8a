//! How the branches of records are called.

use std::fmt;
use std::str::FromStr;

use crate::model::EnvironmentName;

/// What stands for the environment's name in a pattern.
const PLACE: &str = "{environment}";

/// The name of every environment's branch: text with `{environment}` in it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchPattern {
    before: String,
    after: String,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// All environments would have one branch.
    #[error("`{0}` must have {PLACE} in it, once, such as in live/{PLACE}")]
    Place(String),
    /// Git does not allow such a name.
    #[error("`{0}` makes no names of branches; git-check-ref-format(1) tells what Git allows")]
    Name(String),
}

impl BranchPattern {
    /// The branch that records an environment.
    pub fn of(&self, environment: &EnvironmentName) -> String {
        format!("{}{environment}{}", self.before, self.after)
    }

    /// The environment that a branch records, if it does.
    pub fn environment(&self, branch: &str) -> Option<EnvironmentName> {
        let name = branch.strip_prefix(self.before.as_str())?;
        name.strip_suffix(self.after.as_str())?.parse().ok()
    }
}

impl Default for BranchPattern {
    fn default() -> Self {
        Self {
            before: "live/".to_owned(),
            after: String::new(),
        }
    }
}

impl FromStr for BranchPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (before, after) = text
            .split_once(PLACE)
            .filter(|(_, after)| !after.contains(PLACE))
            .ok_or_else(|| PatternError::Place(text.to_owned()))?;
        let name = format!("refs/heads/{before}x{after}");
        if !git2::Reference::is_valid_name(&name) || text.starts_with("refs/") {
            return Err(PatternError::Name(text.to_owned()));
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }
}

impl fmt::Display for BranchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACE}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        let name: EnvironmentName = "staging".parse().expect("a name");
        for text in [
            "live/{environment}",
            "agent-{environment}-log",
            "{environment}",
        ] {
            let pattern: BranchPattern = text.parse().expect("a pattern");
            assert_eq!(pattern.to_string(), text);
            assert_eq!(
                pattern.environment(&pattern.of(&name)).as_ref(),
                Some(&name)
            );
        }
        let pattern = BranchPattern::default();
        assert_eq!(pattern.of(&name), "live/staging");
        for other in ["main", "live/", "live/Staging", "live/a/b", "xlive/a"] {
            assert_eq!(pattern.environment(other), None, "{other}");
        }
    }

    #[test]
    fn what_git_does_not_allow_is_refused() {
        for text in ["live", "{environment}/{environment}", ""] {
            assert!(
                matches!(text.parse::<BranchPattern>(), Err(PatternError::Place(_))),
                "{text}"
            );
        }
        for text in [
            "a..b/{environment}",
            "/{environment}",
            "{environment}.lock",
            "a b/{environment}",
            "refs/heads/{environment}",
        ] {
            assert!(
                matches!(text.parse::<BranchPattern>(), Err(PatternError::Name(_))),
                "{text}"
            );
        }
    }
}
