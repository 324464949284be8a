//! Which pull requests are planned before they are merged.

use schemars::JsonSchema;

use super::decode::Decoder;
use super::node::Node;

/// Whose pull requests the agent plans, and tells the result on the forge. As it stands
/// on the branch that is followed, never as a pull request changes it: a preview shows
/// what is live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase", inline)]
pub enum Previews {
    /// Everybody's.
    All,
    /// Those of members of the repository, from its own branches.
    #[default]
    Members,
    /// Nobody's.
    None,
}

const WORDS: [(&str, Previews); 3] = [
    ("all", Previews::All),
    ("members", Previews::Members),
    ("none", Previews::None),
];

impl Previews {
    /// What cannot be read allows nothing.
    pub(super) fn decode(node: Option<&Node>, decoder: &mut Decoder<'_>) -> Self {
        match node {
            Some(node) => decoder.word(node, &WORDS, &[]).unwrap_or(Self::None),
            None => Self::default(),
        }
    }
}
