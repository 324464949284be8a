//! SSH signatures (OpenSSH's PROTOCOL.sshsig) against the allowed signers. Pure.

use jiff::Timestamp;
use ssh_key::{HashAlg, PublicKey, SshSig};

use super::allowed::{Allowed, NAMESPACE};
use super::{Distrust, Fault, Signer};

/// Who has signed `payload`, at the time that it names itself.
pub(super) fn check(
    signature: &str,
    payload: &[u8],
    time: Timestamp,
    allowed: &[Allowed],
) -> Result<Signer, Distrust> {
    let signature = SshSig::from_pem(signature.trim())
        .map_err(|error| Distrust::Unreadable(error.to_string()))?;
    let key = PublicKey::from(signature.public_key().clone());
    let shown = format!("the SSH key {}", key.fingerprint(HashAlg::Sha256));
    let of_key = Distrust::of_key(&shown);
    let mut lines = allowed
        .iter()
        .filter(|line| line.key.key_data() == key.key_data())
        .peekable();
    if lines.peek().is_none() {
        return Err(Distrust::UnknownKey(shown.clone()));
    }
    if signature.namespace() != NAMESPACE {
        return Err(of_key(Fault::OtherUse(signature.namespace().to_owned())));
    }
    if key.verify(NAMESPACE, payload, &signature).is_err() {
        return Err(Distrust::Mismatch(shown.clone()));
    }
    let mut fault = None;
    for line in lines {
        match line.permits(time) {
            Ok(()) => {
                return Ok(Signer {
                    key: shown.clone(),
                    name: line.principals.clone(),
                });
            }
            Err(found) => fault = Some(found),
        }
    }
    Err(of_key(fault.unwrap_or(Fault::Unbound)))
}
