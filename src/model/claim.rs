//! Whose an object is.

use std::fmt;

use super::{EnvironmentName, UnitName};

/// A unit of an environment, as the owner of objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The environment.
    pub environment: EnvironmentName,
    /// The unit.
    pub unit: UnitName,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { environment, unit } = self;
        write!(f, "the environment {environment}, unit {unit}")
    }
}
