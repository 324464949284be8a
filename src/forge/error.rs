//! Requests to a forge that failed, sorted by what can be done about it.

use jiff::Timestamp;

/// When it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Soon, with growing patience.
    Soon,
    /// Not before this; until then nothing is sent.
    At(Timestamp),
    /// When the token, its rights, or what was asked for change; now and then to find out.
    WhenInputsChange,
}

/// A request to a forge that failed. `act` is what was asked for, such as
/// `GET /repos/team/deploy/pulls`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// The token's file can't be used.
    #[error("the forge's token cannot be read from {path}: {reason}")]
    Token {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// No answer came.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The forge.
        host: String,
        /// Why not.
        reason: String,
    },
    /// It wants fewer requests.
    #[error("{host} takes no more requests until {until}")]
    Limited {
        /// The forge.
        host: String,
        /// When it takes them again.
        until: Timestamp,
    },
    /// 401.
    #[error("{host} does not accept the token ({act}): {message}")]
    Unauthorized {
        /// The forge.
        host: String,
        /// What was asked for.
        act: String,
        /// The forge's words.
        message: String,
    },
    /// 403.
    #[error("{host} does not allow the token to do this ({act}): {message}")]
    Forbidden {
        /// The forge.
        host: String,
        /// What was asked for.
        act: String,
        /// The forge's words.
        message: String,
    },
    /// 404: it is not there, or the token may not know of it.
    #[error("{host} knows of no such thing, or the token may not see it ({act})")]
    NotFound {
        /// The forge.
        host: String,
        /// What was asked for.
        act: String,
    },
    /// Another 4xx.
    #[error("{host} refuses it ({act}, {status}): {message}")]
    Refused {
        /// The forge.
        host: String,
        /// What was asked for.
        act: String,
        /// The status code.
        status: u16,
        /// The forge's words.
        message: String,
    },
    /// 5xx.
    #[error("{host} failed ({act}, {status}): {message}")]
    Failed {
        /// The forge.
        host: String,
        /// What was asked for.
        act: String,
        /// The status code.
        status: u16,
        /// The forge's words.
        message: String,
    },
    /// An answer that is not what the API says.
    #[error("{host} gave an answer that is not understood ({act}): {reason}")]
    Unclear {
        /// The forge.
        host: String,
        /// What was asked for.
        act: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ForgeError {
    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } | Self::Failed { .. } => Retry::Soon,
            Self::Limited { until, .. } => Retry::At(*until),
            Self::Token { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Unclear { .. } => Retry::WhenInputsChange,
        }
    }
}
