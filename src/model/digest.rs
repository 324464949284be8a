//! Digests over JSON whose bytes don't depend on the order of keys.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A SHA-256 over canonical bytes; printed as `sha256:…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a JSON value, whatever the order of its keys.
    pub fn of_json(value: &Value) -> Self {
        Self::of_bytes(canonical(value).as_bytes())
    }

    /// The first 12 hexadecimal digits, for people and file names.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

/// The one spelling of a JSON value: keys sorted, no blanks. `serde_json` without
/// `preserve_order` keeps maps sorted, so its own output is that spelling.
pub fn canonical(value: &Value) -> String {
    value.to_string()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bytes = text
            .strip_prefix("sha256:")
            .and_then(|hash| hex::decode(hash).ok());
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!(
                "`{text}` is not a digest (sha256: and 64 hexadecimal digits)"
            )),
        }
    }
}
