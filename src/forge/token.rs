//! What to log in at a forge's API with.

use std::path::PathBuf;

use super::error::ForgeError;
use crate::model::Redacted;

/// A token for the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForgeToken {
    /// As given.
    Given(Redacted),
    /// In a file, read again at each request, so that a rotated one is taken up. A file
    /// with `user:token` is as good: that is what Git takes.
    File(PathBuf),
}

impl ForgeToken {
    pub(super) fn read(&self) -> Result<Redacted, ForgeError> {
        let path = match self {
            Self::Given(token) => return Ok(token.clone()),
            Self::File(path) => path,
        };
        let failed = |reason: String| ForgeError::Token {
            path: path.display().to_string(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let line = text.trim();
        let token = line.split_once(':').map_or(line, |(_, token)| token);
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(failed("it holds no token".to_owned()));
        }
        Ok(Redacted::new(token))
    }
}
