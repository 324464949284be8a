//! JSON that is kept rather than worked on.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::digest::{Digest, canonical};

/// A JSON value as compact bytes, keys sorted: parsed it takes about ten times the
/// memory. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Json(Arc<[u8]>);

impl Json {
    /// The value, parsed anew.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.0).expect("it was written from a value")
    }

    /// The bytes, canonical.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as [`Digest::of_json`] of the value.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&self.0)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self(canonical(value).into_bytes().into())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A value as text: a text as it is, any other value as JSON.
pub fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
