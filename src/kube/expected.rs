//! What has to hold for a write: where it does not, the API server refuses it, and the next
//! plan is made from what is there.

use std::borrow::Cow;

use super::error::ApiError;
use crate::model::{Desired, json_as_yaml};

/// What an object has to be for a write to hold; else it fails with a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Whatever it is, or nothing at all.
    Anything,
    /// This very object, in whatever state.
    Same {
        /// Its uid.
        uid: &'a str,
    },
    /// This very object, as it was seen.
    Unchanged {
        /// Its uid.
        uid: &'a str,
        /// The state that it was seen in.
        resource_version: &'a str,
    },
}

impl Expected<'_> {
    /// What a refusal says: an object that is there in its place is told as one whose uid
    /// can't be changed.
    pub(super) fn unmet(self, error: ApiError) -> ApiError {
        match error {
            ApiError::Invalid { message, .. }
                if self != Self::Anything && message.contains("metadata.uid: Invalid value") =>
            {
                ApiError::Conflict(message)
            }
            other => other,
        }
    }

    /// The object's declaration, with what it has to be.
    pub(super) fn declared_in(self, desired: &Desired) -> Cow<'_, str> {
        let (uid, version) = match self {
            Self::Anything => {
                let text = std::str::from_utf8(desired.json.bytes()).expect("JSON is text");
                return json_as_yaml(text);
            }
            Self::Same { uid } => (uid, None),
            Self::Unchanged {
                uid,
                resource_version,
            } => (uid, Some(resource_version)),
        };
        let mut body = desired.body();
        body["metadata"]["uid"] = uid.into();
        if let Some(version) = version {
            body["metadata"]["resourceVersion"] = version.into();
        }
        json_as_yaml(&body.to_string()).into_owned().into()
    }
}
