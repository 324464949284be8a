//! A pull-based GitOps agent: it follows an environment Git repository, renders what the
//! repository declares, compares that with what is live in Kubernetes, corrects the
//! difference, and writes everything that happened back into Git.
//!
//! # The way of the data
//! The modules stand in the order in which data flows through them, and each imports only
//! from those above it.
//!
//! `snapshot -> render -> observe -> plan -> check -> apply -> record`
//!
//! One task for each environment ([`reconcile`]) runs a *pass* over a unit whenever an
//! event says that it may not be as declared. The pass is one function; `agent diff` is
//! the same one, stopped after `check`.
//!
//! # Invariants
//! - A pass takes no hint about what changed. Reasons wake it, they do not steer it: so a
//!   restart is no special case.
//! - A pass does not wait. It does what can be done now and ends; health, another unit, a
//!   right that is missing are states that an event ends.
//! - A read that failed is never absence. What is pruned is decided from a complete
//!   render, a complete inventory and the renders of all other units.
//! - An inventory is widened before the first write and narrowed after the last one.
//! - What is deleted unasked is counted, in the record and in the cluster ([`model::Tally`]),
//!   before it is deleted. Where nobody remembers it, nothing more is deleted unasked.
//! - A label is a claim. What is deleted, let go or replaced is proven to be ours by its own
//!   managedFields, by its uid on the unit's list ([`model::AppliedList`]), and by no
//!   controller above it that is not declared.
//! - The comparison knows no schema: `metadata.managedFields` say what is ours
//!   ([`fields`]), and the API server decides what they leave open.
//! - Nothing is computed twice from the same input: a render is kept by the ids of the
//!   Git trees that it was made from, a comparison by the resourceVersion of the live
//!   object, and what the API server makes of a difference by what was compared. Only that
//!   one spelling stands for another is believed for good, and kept in the inventory: both
//!   are what they are. What the server adds to a value is believed for the process, and
//!   that it gives a declared field another value, as an admission does, for an hour, since
//!   the policy or webhook may go. `agent diff` asks about both anew.
//! - Declared objects are kept as JSON, live ones packed against another of their kind:
//!   parsed, ten thousand of them would take gigabytes. They are parsed one at a time.
//! - `model`, `config`, `fields`, `edit`, `health`, `plan` and the text of `record` are pure: no
//!   clock, no file, no network, no randomness; same input, same bytes out.
//! - A program that renders reads the files that it renders and no others, writes nothing
//!   and reaches nothing, as far as the kernel can hold that ([`runtime::exec`]).
//! - A Secret's values leave the process only towards the API server. Everything that is
//!   shown or recorded has gone through [`model::mask_secret`].

pub mod cli;
pub mod config;
pub mod edit;
pub mod fields;
pub mod forge;
pub mod health;
pub mod kube;
pub mod model;
pub mod plan;
pub mod reconcile;
pub mod record;
pub mod render;
pub mod review;
pub mod runtime;
pub mod source;
