//! What the API server said, sorted by what can be done about it.

use std::fmt;
use std::time::Duration;

use kube::core::{Status, Version};

use super::admission::Admitter;
use super::bounds::is_too_large;
use super::heed::heeded;
use super::immutable::says_immutable;
use crate::model::{GroupKind, ObjectId, root_cause};
use crate::runtime::net::certificate_problem;

/// When it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Soon, at the latest after this time where the server named one.
    After(Option<Duration>),
    /// When the object, a right or a policy changes; now and then to find out.
    WhenInputsChange,
}

/// A version of a kind that is not served, though others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The kind.
    pub kind: GroupKind,
    /// The version that was asked for.
    pub version: String,
    /// The versions that are served.
    pub served: Vec<String>,
}

/// `autoscaling/v2beta2 of HorizontalPodAutoscaler is no longer served; the cluster has v2`
impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupKind { group, kind } = &self.kind;
        if !group.is_empty() {
            write!(f, "{group}/")?;
        }
        let asked = Version::parse(&self.version);
        let mut served = self.served.iter();
        let older = served.all(|served| asked.priority() < Version::parse(served).priority());
        let longer = if older { "no longer" } else { "not" };
        let (version, served) = (&self.version, self.served.join(", "));
        write!(
            f,
            "{version} of {kind} is {longer} served; the cluster has {served}"
        )
    }
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
    /// 404 of an object by its name: it or its namespace does not exist.
    #[error("{message}")]
    NotFound {
        /// What does not exist.
        name: String,
        /// The server's words.
        message: String,
    },
    /// What serves an API is not there, as 404 for a whole path says: nothing is known of its
    /// objects.
    #[error("{0}")]
    Away(String),
    /// The API server does not serve this kind.
    #[error("the cluster has no kind {0}; is its CustomResourceDefinition installed?")]
    NoSuchKind(GroupKind),
    /// The API server serves this kind, but not in this version.
    #[error("{0}")]
    NoSuchVersion(Box<Unserved>),
    /// 429: too many requests.
    #[error("the API server is busy: {message}")]
    Throttled {
        /// The server's words.
        message: String,
        /// When to try again, as it said; heeded as far as [`ApiError::retry`] says.
        after: Option<Duration>,
    },
    /// 410: what a watch had seen last is too long ago.
    #[error("{0}")]
    Expired(String),
    /// It was not sent: by the time of its turn it was not wanted any more.
    #[error("it was not sent, since it is not wanted any more")]
    Withdrawn,
    /// The answer is of something else than what was asked for.
    #[error("the API server was asked for {asked} and answered with {told}")]
    Misanswered {
        /// What was asked for.
        asked: String,
        /// What came back.
        told: String,
    },
    /// The answer, or one line of it, is larger than what is taken in.
    #[error("the API server's answer cannot be taken in: {0}")]
    TooLarge(String),
    /// 500 for this object alone, while the server answers for it otherwise.
    #[error("the API server fails on this object: {0}")]
    Faulted(String),
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
            Self::Throttled { after, .. } => Retry::After(after.map(heeded)),
            Self::Unavailable(_)
            | Self::Conflict(_)
            | Self::NotFound { .. }
            | Self::Away(_)
            | Self::NoSuchKind(_)
            | Self::Expired(_)
            | Self::Misanswered { .. }
            | Self::TooLarge(_)
            | Self::Unauthorized(_)
            | Self::Withdrawn => Retry::After(None),
            Self::Forbidden(_)
            | Self::Denied(_)
            | Self::Invalid { .. }
            | Self::Faulted(_)
            | Self::NoSuchVersion(_)
            | Self::Rejected(_) => Retry::WhenInputsChange,
        }
    }
}

impl ApiError {
    /// Whether it passes by itself and says nothing of what was asked: the server is away or
    /// busy, or our credentials have to be renewed.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. } | Self::Unavailable(_) | Self::Unauthorized(_)
        )
    }

    /// Whether it says that this very object does not exist.
    pub(super) fn denies(&self, id: &ObjectId) -> bool {
        // Some servers say `namespace/name`.
        let last = |name: &str| name.rsplit('/').next() == Some(id.name.as_str());
        matches!(self, Self::NotFound { name, .. } if last(name))
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => from_status(&status),
            kube::Error::BuildRequest(error) => Self::Rejected(error.to_string()),
            kube::Error::Auth(error) => Self::Unauthorized(error.to_string()),
            other if is_too_large(&other) => Self::TooLarge(root_cause(&other)),
            other => Self::Unavailable(match certificate_problem(&other) {
                Some(problem) => problem.to_string(),
                None => root_cause(&other),
            }),
        }
    }
}

/// Sorts a Status by its code; admission answers with whatever code its policy or webhook
/// likes, and is told apart by its words.
pub fn from_status(status: &Status) -> ApiError {
    let message = status.message.trim().to_owned();
    let admitter = Admitter::of(&message);
    match status.code {
        401 => ApiError::Unauthorized(message),
        400.. if admitter.is_some_and(|it| it.denied()) => ApiError::Denied(message),
        403 if message.contains("exceeded quota") || message.contains("is forbidden: violates") => {
            ApiError::Denied(message)
        }
        // A namespace or a CRD that goes: it passes by itself.
        403 if message.contains("is being terminated") || message.contains("is terminating") => {
            ApiError::Conflict(message)
        }
        403 => ApiError::Forbidden(message),
        404 => not_found(status, message),
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

/// A path that nothing serves is answered with 404 as well, in plain text or in words that name
/// no object: by a server or a proxy from which an API has gone, if only for a moment.
fn not_found(status: &Status, message: String) -> ApiError {
    let details = status
        .details
        .as_ref()
        .filter(|_| status.reason == "NotFound");
    match details
        .map(|it| it.name.clone())
        .filter(|it| !it.is_empty())
    {
        Some(name) => ApiError::NotFound { name, message },
        None => ApiError::Away(format!(
            "the API server says that nothing serves this path ({message}), which may be so while an API comes or goes; if it lasts, look at `kubectl get apiservices` and at what stands before the server"
        )),
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = u64::from(status.details.as_ref()?.retry_after_seconds);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_served_says_nothing_of_an_object() {
        let id = ObjectId::new(
            GroupKind::known("", "ConfigMap"),
            Some("shop".parse().expect("a namespace")),
            "web".parse().expect("a name"),
        );
        let answer = |reason: &str, name: &str| {
            let details = serde_json::json!({"name": name, "kind": "configmaps"});
            let status = serde_json::json!({"code": 404, "reason": reason,
                "message": "words", "details": details});
            from_status(&serde_json::from_value(status).expect("a Status"))
        };
        assert!(answer("NotFound", "web").denies(&id));
        assert!(answer("NotFound", "shop/web").denies(&id));
        assert!(!answer("NotFound", "shop").denies(&id));
        assert!(matches!(answer("NotFound", ""), ApiError::Away(_)));
        assert!(matches!(answer("", "web"), ApiError::Away(_)));
        let plain = Status::failure("404 page not found", "").with_code(404);
        let error = from_status(&plain);
        assert!(matches!(error, ApiError::Away(_)) && !error.denies(&id));
        assert!(error.to_string().contains("404 page not found"), "{error}");
    }

    #[test]
    fn a_version_that_is_gone_is_told_from_one_that_never_was() {
        let told = |group: &str, kind: &str, version: &str, served: &str| {
            let unserved = Unserved {
                kind: GroupKind::new(group, kind).expect("names"),
                version: version.to_owned(),
                served: vec![served.to_owned()],
            };
            unserved.to_string()
        };
        assert_eq!(
            told("autoscaling", "HorizontalPodAutoscaler", "v2beta2", "v2"),
            "autoscaling/v2beta2 of HorizontalPodAutoscaler is no longer served; the cluster has v2"
        );
        assert_eq!(
            told("", "ConfigMap", "v2", "v1"),
            "v2 of ConfigMap is not served; the cluster has v1"
        );
    }
}
