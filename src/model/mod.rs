//! The nouns that every other module speaks in. Pure: no clock, no file, no
//! network.

mod applied;
mod budget;
mod cause;
mod claim;
mod digest;
mod id;
mod json;
mod lineage;
mod manifest;
mod name;
mod number;
mod owned;
mod revision;
mod secret;
mod shown;
mod tally;
mod tree;
mod uid;
mod unseen;
mod yaml;

pub use applied::{Applied, AppliedList};
pub use budget::{Budget, Cost, Exceeded, Measure, PLAIN_MEMORY, Scale, UnitBudget};
pub use cause::{chain, root_cause};
pub use claim::Claim;
pub use digest::{Digest, canonical};
pub use id::{EnvironmentName, GroupKind, ObjectId, UnitName};
pub use json::{Json, text_of};
pub use lineage::{Lineage, LineageError};
pub use manifest::{DELETION, Desired, Live, Manager, OWN_PREFIX, Origin, REPLACE, group_of};
pub use name::{Group, Kind, Label, Name, NameError, Namespace, Subdomain, Version};
pub use number::{named, number_of};
pub use owned::{Controller, Owned};
pub use revision::{Revision, RevisionError, Signature, SourceCommit};
pub use secret::{
    DigestKey, Redacted, has_values, holds_secret, is_secret, mask_secret, secret_values,
    shows_secret,
};
pub use shown::{
    LINE, cut, cut_inside, cut_lines, is_seen, json_as_yaml, json_text, shell_quoted, shown,
    shown_json, shown_line, yaml_quoted,
};
pub use tally::{Deleted, LATELY, Pinned, Tally};
pub use tree::{EntryKind, Tree, TreeError};
pub use uid::Uid;
pub use yaml::{emit, yaml};

/// The field manager under which the agent applies.
pub const FIELD_MANAGER: &str = "gitops-agent";
/// The group of the policies and webhooks that can refuse what is written, or change it.
pub const ADMISSION: &str = "admissionregistration.k8s.io";

/// The label that makes an object a member of an ApplySet (KEP-3659).
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
