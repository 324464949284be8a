//! What the API server said, sorted by what can be done about it.

use std::time::Duration;

use kube::core::Status;

use crate::model::{GroupKind, root_cause};

/// When it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Soon, at the latest after this time where the server named one.
    After(Option<Duration>),
    /// When the object, a right or a policy changes; now and then to find out.
    WhenInputsChange,
}

/// A request to the API server that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 401: the credentials are not accepted.
    #[error("the API server does not accept our credentials: {0}")]
    Unauthorized(String),
    /// 403 of the authorizer.
    #[error("{0}")]
    Forbidden(String),
    /// 403 or 400 of an admission plugin or webhook.
    #[error("{0}")]
    Denied(String),
    /// 422 or 400: the object is not valid.
    #[error("{message}")]
    Invalid {
        /// The server's words.
        message: String,
        /// Whether it says that a field can't be changed.
        immutable: bool,
    },
    /// 409: somebody else owns a field, or a precondition does not hold.
    #[error("{0}")]
    Conflict(String),
    /// 404: the object or its namespace does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The API server does not serve this kind.
    #[error("the cluster has no kind {0}; is its CustomResourceDefinition installed?")]
    NoSuchKind(GroupKind),
    /// 429: too many requests.
    #[error("the API server is busy: {message}")]
    Throttled {
        /// The server's words.
        message: String,
        /// When to try again, as it said.
        after: Option<Duration>,
    },
    /// 410: what a watch had seen last is too long ago.
    #[error("{0}")]
    Expired(String),
    /// It was not sent: by the time of its turn it was not wanted any more.
    #[error("it was not sent, since it is not wanted any more")]
    Withdrawn,
    /// The server can't be reached, or failed.
    #[error("the API server is not available: {0}")]
    Unavailable(String),
    /// Any other refusal.
    #[error("{0}")]
    Rejected(String),
}

impl ApiError {
    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled { after, .. } => Retry::After(*after),
            Self::Unavailable(_)
            | Self::Conflict(_)
            | Self::NotFound(_)
            | Self::NoSuchKind(_)
            | Self::Expired(_)
            | Self::Withdrawn => Retry::After(None),
            Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::Denied(_)
            | Self::Invalid { .. }
            | Self::Rejected(_) => Retry::WhenInputsChange,
        }
    }
}

impl ApiError {
    /// With every occurrence of these texts blacked out: an API server may quote the value
    /// that it does not like.
    pub fn without(mut self, secrets: &[String]) -> Self {
        let message = match &mut self {
            Self::NoSuchKind(_) | Self::Withdrawn => return self,
            Self::Unauthorized(message)
            | Self::Forbidden(message)
            | Self::Denied(message)
            | Self::Invalid { message, .. }
            | Self::Conflict(message)
            | Self::NotFound(message)
            | Self::Expired(message)
            | Self::Throttled { message, .. }
            | Self::Unavailable(message)
            | Self::Rejected(message) => message,
        };
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            *message = message.replace(secret.as_str(), "[redacted]");
        }
        self
    }

    /// Whether it passes by itself: the server is away or busy.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable(_))
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => from_status(&status),
            kube::Error::BuildRequest(error) => Self::Rejected(error.to_string()),
            kube::Error::Auth(error) => Self::Unauthorized(error.to_string()),
            other => Self::Unavailable(root_cause(&other)),
        }
    }
}

/// Sorts a Status by its code; admission answers with 403 and 400 too, and is told
/// apart by its words (`admission webhook "…" denied the request`).
pub fn from_status(status: &Status) -> ApiError {
    let message = status.message.trim().to_owned();
    match status.code {
        401 => ApiError::Unauthorized(message),
        400 | 403 if message.contains("denied the request") => ApiError::Denied(message),
        403 if message.contains("exceeded quota") || message.contains("is forbidden: violates") => {
            ApiError::Denied(message)
        }
        // A namespace or a CRD that goes: it passes by itself.
        403 if message.contains("is being terminated") || message.contains("is terminating") => {
            ApiError::Conflict(message)
        }
        403 => ApiError::Forbidden(message),
        404 => ApiError::NotFound(message),
        409 => ApiError::Conflict(message),
        410 => ApiError::Expired(message),
        400 | 422 => ApiError::Invalid {
            immutable: says_immutable(status),
            message,
        },
        429 => ApiError::Throttled {
            message,
            after: retry_after(status),
        },
        // A field that no schema knows, told as if the server had failed.
        500 if message.starts_with("failed to create typed patch object") => ApiError::Invalid {
            immutable: false,
            message,
        },
        500..=599 => ApiError::Unavailable(message),
        _ => ApiError::Rejected(message),
    }
}

/// Whether a field that can't be changed is all that the server objects to: with any
/// other objection, the object would be refused as a new one as well.
fn says_immutable(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut causes = causes.map(|cause| cause.message.as_str()).peekable();
    if causes.peek().is_none() {
        return names_immutable(&status.message);
    }
    causes.all(names_immutable)
}

/// The words of Kubernetes' validation: most kinds, StatefulSet, Service, `RoleBinding`.
fn names_immutable(text: &str) -> bool {
    [
        "is immutable",
        "updates to statefulset spec for fields other than",
        "may not change once set",
        "cannot change roleRef",
    ]
    .iter()
    .any(|words| text.contains(words))
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = u64::from(status.details.as_ref()?.retry_after_seconds);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
