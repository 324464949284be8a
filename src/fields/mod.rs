//! Deciding what differs, with `metadata.managedFields` as the schema: under
//! server-side apply the API server writes down which paths of an object we own,
//! the keys of list items included, so desired and live can be walked side by
//! side without any OpenAPI schema. The rules are those of
//! sigs.k8s.io/structured-merge-diff, which the API server itself merges by.
//! Pure.
//!
//! What an apply does to an object follows from two things: whether the set of
//! paths that we own would change, and whether an owned value would. The first is
//! known here for certain. The second is not, where a value that we own is another
//! than the one we ask for: the server (a default, a normal form, an admission
//! webhook) may have rewritten it, and would again. So [`compare`] says `Drifted`
//! for the first, and `Maybe` for the second, which one dry-run answers.

mod builtin;
mod clear;
mod compare;
mod holders;
mod items;
mod kept;
mod list;
mod managers;
mod natural;
mod others;
mod owners;
mod path;
mod people;
mod place;
mod project;
mod recorded;
mod scalar;
mod set;
#[cfg(test)]
mod tests;
mod top;
mod unowned;
mod verdict;

pub use clear::{Sharing, clear};
pub use compare::compare;
pub use holders::holders;
pub use kept::{Absence, kept};
pub use list::usual_key;
pub use others::{Foreign, Others, others};
pub use owners::{Owner, labelled_by_us, owned, owners};
pub use people::set_by_people;
pub use project::{aligned, project, project_desired_paths};
pub use recorded::{compare_recorded, live_of_recorded};
pub(crate) use scalar::same;
pub use set::{Element, FieldSet, FieldSetError};
pub use verdict::{Difference, Doubt, Hold, Kind, Verdict};
