//! The nouns that every other module speaks in. Pure: no clock, no file, no
//! network.

mod cause;
mod digest;
mod id;
mod json;
mod manifest;
mod revision;
mod secret;
mod tree;
mod yaml;

pub use cause::{chain, root_cause};
pub use digest::{Digest, canonical};
pub use id::{EnvironmentName, GroupKind, NameError, ObjectId, UnitName};
pub use json::Json;
pub use manifest::{Desired, Live, Manager, Origin, group_of};
pub use revision::{Revision, RevisionError, Signature, SourceCommit};
pub use secret::{DigestKey, Redacted, holds_secret, mask_secret, secret_values};
pub use tree::{EntryKind, Tree, TreeError};
pub use yaml::{emit, yaml};

/// The field manager under which the agent applies.
pub const FIELD_MANAGER: &str = "gitops-agent";
/// The label that makes an object a member of an ApplySet (KEP-3659).
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
