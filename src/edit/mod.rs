//! Changing the files of the environment repository as a person would: only what is
//! meant, everything else as it was.
//!
//! [`adopt_changes`] finds the edit of source files that makes a unit's render say what
//! is live, or leave out what is not there any more. It tries one place after another, the one a person would choose first, and
//! takes the first for which rendering the edited files gives exactly that, and nothing
//! else in the unit otherwise than before. Pure but for the renderer that it asks.

mod changes;
mod gone;
mod kustomize;
mod locate;
mod manifests;
mod new;
mod source;
mod tree;
pub mod yaml;

pub use new::{NotAdopted, adopt_object};
pub use source::{Adoption, Left, LiveObject, Others, Wanted, Why, adopt_changes};
pub use tree::{EditedTree, Edits};
