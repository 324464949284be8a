//! Gitea and Forgejo: the events of GitHub under headers of their own, and the bare
//! hexadecimal HMAC-SHA256 of the body.

use http::HeaderMap;
use serde_json::Error;

use super::signature::Claim;
use super::{Hint, github, text};

pub(super) const EVENT: &str = "x-gitea-event";
pub(super) const FORGEJO_EVENT: &str = "x-forgejo-event";
const SIGNATURES: [&str; 2] = ["x-gitea-signature", "x-forgejo-signature"];

pub(super) fn claim(headers: &HeaderMap) -> Claim {
    // Without a secret Gitea sends the header all the same, empty.
    let claims = SIGNATURES.map(|name| Claim::hex(text(headers, name)));
    let [first, second] = claims;
    if first == Claim::None { second } else { first }
}

pub(super) fn hint(event: &str, body: &[u8]) -> Result<Hint, Error> {
    github::hint(event, body)
}
