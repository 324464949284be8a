//! Which commits have to be signed, and with which keys.

use schemars::JsonSchema;

use super::decode::Decoder;
use super::node::{At, LastRead, Node, Value};
use super::problem::Problems;
use super::{AGENT_FILE, Problem};
use crate::model::{EntryKind, Tree};

/// Which commits have to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", inline)]
pub enum VerifyMode {
    /// The newest, which answers for all below it.
    Head,
    /// Every one since the last that was accepted, on both sides of a merge.
    SinceLast,
}

/// What a revision asks of those that come after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// Which commits.
    pub mode: VerifyMode,
    /// Files of the repository with the keys.
    pub keys: Vec<String>,
}

/// Which commits have to be signed, and with which keys.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyEntry {
    /// Which commits.
    #[schemars(required)]
    pub mode: Option<VerifyMode>,
    /// Files of the repository with the keys that may sign: SSH keys in the form of
    /// `allowed_signers`, or an armored OpenPGP keyring.
    #[schemars(with = "Vec<String>", extend("minItems" = 1, "examples" = [["keys/allowed_signers"]]))]
    pub keys: Vec<At<String>>,
}

const MODES: [(&str, VerifyMode); 2] = [
    ("head", VerifyMode::Head),
    ("since-last", VerifyMode::SinceLast),
];

/// What the `agent.yaml` of a revision asks for; nothing if it asks for nothing. Nothing
/// else in it needs to be right. `last` is the file as others have read it.
pub fn verify(tree: &dyn Tree, last: &mut LastRead) -> Result<Option<Verify>, Problems> {
    let root = last
        .read(tree, AGENT_FILE)
        .map_err(|error| Problem::in_file(AGENT_FILE, error.to_string()))??;
    let Value::Map(fields) = &root.value else {
        return Ok(None);
    };
    let Some((_, node)) = fields.iter().find(|(key, _)| key.value == "verify") else {
        return Ok(None);
    };
    let mut decoder = Decoder::new(AGENT_FILE);
    let entry = VerifyEntry::decode(node, &mut decoder);
    let found = entry.resolve(tree, &mut decoder);
    if decoder.problems.is_empty() {
        Ok(found)
    } else {
        Err(decoder.problems)
    }
}

impl VerifyEntry {
    pub(super) fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let before = decoder.problems.len();
        let mut fields = decoder.fields(node);
        let entry = Self {
            mode: fields
                .take("mode")
                .and_then(|node| decoder.word(node, &MODES, &[])),
            keys: fields
                .take("keys")
                .map(|node| decoder.texts(node))
                .unwrap_or_default(),
        };
        fields.finish(decoder);
        if (entry.mode.is_none() || entry.keys.is_empty()) && decoder.problems.len() == before {
            let message = "`verify` needs a `mode` and `keys`";
            let hint = "write `verify: {mode: head, keys: [keys/allowed_signers]}`";
            decoder.wrong(node, message, Some(hint.to_owned()));
        }
        entry
    }

    /// None where something about it is wrong.
    pub(super) fn resolve(self, tree: &dyn Tree, decoder: &mut Decoder<'_>) -> Option<Verify> {
        for key in &self.keys {
            match tree.kind(&key.value) {
                Ok(Some(EntryKind::File)) => {}
                Ok(_) => decoder.wrong(key, format!("there is no file `{}`", key.value), None),
                Err(error) => decoder.wrong(key, error.to_string(), None),
            }
        }
        Some(Verify {
            mode: self.mode?,
            keys: self.keys.into_iter().map(|key| key.value).collect(),
        })
    }
}
