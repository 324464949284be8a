//! `agent.yaml` and `unit.yaml`: as written, then validated and resolved. Pure: files
//! come through [`crate::model::Tree`]. Every problem is found at once, each with its
//! file, line, column and a suggestion.
//!
//! A file is read as a tree that knows its places (`node`), decoded into fields
//! (`decode`, `written`), and resolved against the repository's directories (`resolve`,
//! `units`). An environment with any problem is an error as a whole: a list of units
//! with one missing would have that unit pruned.

mod decode;
mod each;
mod field_path;
mod ignore;
mod kind;
mod node;
mod order;
mod previews;
mod problem;
mod resolve;
mod schema;
mod settings;
mod single;
mod unit;
mod units;
mod verify;
mod written;

#[cfg(test)]
mod tests;

pub use field_path::{FieldPath, FieldPathError, Pointer};
pub use node::LastRead;
pub use previews::Previews;
pub use problem::{Problem, Problems, did_you_mean, nearest};
pub use resolve::{Incomplete, Resolved, resolve, resolve_after};
pub use schema::{SchemaOf, schema};
pub use unit::{
    Config, ConflictPolicy, DEFAULT_HEALTH_TIMEOUT, DriftPolicy, Environment, ForeignPolicy,
    IgnoreRule, MaxPrune, Unit, UnitType,
};
pub use verify::{Verify, VerifyMode, verify};

/// The file at a repository's root.
pub const AGENT_FILE: &str = "agent.yaml";

/// The file in a unit's directory.
pub const UNIT_FILE: &str = "unit.yaml";
