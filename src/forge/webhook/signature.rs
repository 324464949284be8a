//! How a delivery proves where it comes from, checked over the raw body as it arrives,
//! in constant time, before anything in it is read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

use super::text;
use crate::model::Redacted;

/// The bytes of an HMAC-SHA256.
type Code = [u8; 32];

/// What the headers claim.
#[derive(Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    None,
    /// Something that no known way of signing looks like.
    Malformed,
    /// The HMAC of the body.
    Code(Code),
    /// The HMACs of `<id>.<timestamp>.<body>`, of which one has to hold.
    Standard {
        /// What stands before the body.
        prefix: String,
        /// One for each secret that the sender has.
        codes: Vec<Code>,
    },
    /// The secret itself.
    Token(Redacted),
}

/// A check under way, for each secret that may have been used.
pub struct Check(State);

enum State {
    /// Known already.
    Settled(bool),
    Codes {
        macs: Vec<Hmac<Sha256>>,
        wanted: Vec<Code>,
    },
}

impl Claim {
    /// From a header `sha256=<hexadecimal>`.
    pub(super) fn hub(headers: &HeaderMap, name: &str) -> Self {
        match text(headers, name) {
            "" => Self::None,
            value => value
                .strip_prefix("sha256=")
                .map_or(Self::Malformed, Self::hex),
        }
    }

    /// From bare hexadecimal digits.
    pub(super) fn hex(value: &str) -> Self {
        let mut code = [0; 32];
        match value {
            "" => Self::None,
            value if hex::decode_to_slice(value, &mut code).is_ok() => Self::Code(code),
            _ => Self::Malformed,
        }
    }

    /// The secret itself.
    pub(super) fn token(value: &str) -> Self {
        match value {
            "" => Self::None,
            value => Self::Token(Redacted::new(value)),
        }
    }

    /// As Standard Webhooks has it: `v1,<base64>`, several of them apart by spaces.
    ///
    /// The timestamp is not compared with the clock. It is against replays, and an old
    /// hint does what a new one does.
    pub(super) fn standard(headers: &HeaderMap) -> Self {
        let signatures = text(headers, "webhook-signature");
        if signatures.is_empty() {
            return Self::None;
        }
        let decoded = signatures
            .split(' ')
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        let codes: Vec<Code> = decoded.filter_map(|code| code.try_into().ok()).collect();
        if codes.is_empty() {
            return Self::Malformed;
        }
        let (id, time) = (
            text(headers, "webhook-id"),
            text(headers, "webhook-timestamp"),
        );
        Self::Standard {
            prefix: format!("{id}.{time}."),
            codes,
        }
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Malformed => "Malformed",
            Self::Code(_) => "Code",
            Self::Standard { .. } => "Standard",
            Self::Token(_) => "Token",
        })
    }
}

impl Check {
    /// Begins to check a claim against each of the secrets.
    pub fn new(claim: &Claim, secrets: &[Redacted]) -> Self {
        let raw = |secret: &Redacted| mac(secret.expose().as_bytes());
        Self(match claim {
            Claim::None | Claim::Malformed => State::Settled(false),
            Claim::Token(token) => State::Settled(same(token, secrets)),
            Claim::Code(code) => State::Codes {
                macs: secrets.iter().map(raw).collect(),
                wanted: vec![*code],
            },
            Claim::Standard { prefix, codes } => {
                let begun = |secret: &Redacted| mac(&standard_key(secret)).chain_update(prefix);
                State::Codes {
                    macs: secrets.iter().map(begun).collect(),
                    wanted: codes.clone(),
                }
            }
        })
    }

    /// Whether it fails whatever the body is.
    pub fn failed(&self) -> bool {
        matches!(self.0, State::Settled(false))
    }

    /// Takes in the next part of the body.
    pub fn update(&mut self, part: &[u8]) {
        if let State::Codes { macs, .. } = &mut self.0 {
            for mac in macs {
                mac.update(part);
            }
        }
    }

    /// Whether the claim holds for one of the secrets. All of them are tried.
    pub fn holds(self) -> bool {
        match self.0 {
            State::Settled(holds) => holds,
            State::Codes { macs, wanted } => macs.into_iter().fold(false, |held, mac| {
                wanted.iter().fold(held, |held, code| {
                    mac.clone().verify_slice(code).is_ok() | held
                })
            }),
        }
    }
}

/// The HMAC of a body under a secret, as GitHub and Gitea sign.
pub fn sign(secret: &Redacted, body: &[u8]) -> String {
    let code = mac(secret.expose().as_bytes())
        .chain_update(body)
        .finalize();
    hex::encode(code.into_bytes())
}

/// Compared by their HMACs, so that neither content nor length shows in the time taken.
fn same(token: &Redacted, secrets: &[Redacted]) -> bool {
    let of = |text: &Redacted| mac(b"token").chain_update(text.expose());
    secrets.iter().fold(false, |held, secret| {
        let code = of(token).finalize().into_bytes();
        of(secret).verify_slice(&code).is_ok() | held
    })
}

/// After Standard Webhooks a secret is `whsec_` and the key in base64.
fn standard_key(secret: &Redacted) -> Vec<u8> {
    let text = secret.expose();
    let key = text.strip_prefix("whsec_").map(|key| STANDARD.decode(key));
    match key {
        Some(Ok(key)) => key,
        Some(Err(_)) | None => text.as_bytes().to_vec(),
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key length")
}
