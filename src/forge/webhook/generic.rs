//! Whatever can sign: `X-Signature: sha256=<hexadecimal HMAC of the body>`, as Flux's
//! `generic-hmac` receiver has it. A script, or a forge that isn't known here:
//!
//! `{"repository": "team/deploy", "ref": "refs/heads/main"}`, of which both fields, and
//! the whole body, may be left out.

use serde::Deserialize;
use serde_json::Error;

use super::{Hint, News};

pub(super) const SIGNATURE: &str = "x-signature";

#[derive(Debug, Default, Deserialize)]
struct Body {
    repository: Option<String>,
    r#ref: Option<String>,
}

pub(super) fn hint(body: &[u8]) -> Result<Hint, Error> {
    let body = if body.trim_ascii().is_empty() {
        Body::default()
    } else {
        serde_json::from_slice(body)?
    };
    let news = match body.r#ref.as_deref() {
        None => News::SomeBranch,
        Some(full) if full.starts_with("refs/") => News::of_ref(full),
        Some(branch) => News::Branches(vec![branch.to_owned()]),
    };
    Ok(Hint {
        repository: body.repository,
        news,
    })
}
