//! OpenPGP signatures (RFC 9580) against a keyring. Pure.
//!
//! The library does the mathematics and nothing else. What makes a key good is checked
//! here: that its owner has bound it by a signature of his own, that it is for signing,
//! that it had neither expired nor been revoked. A revocation with the reason
//! "superseded" or "retired" counts from its own time on, any other always (RFC 9580,
//! 5.2.3.31), by whatever digest it was made. Revocations by a third party that the owner
//! has named are not looked at.

use jiff::Timestamp;
use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{RevocationCode, Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};

use super::{Distrust, Fault, Signer};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Reads an armored keyring: one block or several, each with one key or several.
pub(super) fn parse(text: &str) -> Result<Vec<SignedPublicKey>, String> {
    let mut keys: Vec<SignedPublicKey> = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let block = format!("{BEGIN}{block}");
        let (found, _) = SignedPublicKey::from_string_many(&block)
            .map_err(|error| format!("a key block can't be read: {error}"))?;
        for key in found {
            let key = key.map_err(|error| format!("a key can't be read: {error}"))?;
            match keys
                .iter_mut()
                .find(|known| known.fingerprint() == key.fingerprint())
            {
                Some(known) => join(known, key),
                None => keys.push(key),
            }
        }
    }
    Ok(keys)
}

/// Two copies of a key count as one: what revokes it may stand in either.
fn join(known: &mut SignedPublicKey, other: SignedPublicKey) {
    let details = other.details;
    known
        .details
        .revocation_signatures
        .extend(details.revocation_signatures);
    known
        .details
        .direct_signatures
        .extend(details.direct_signatures);
    known.details.users.extend(details.users);
    for subkey in other.public_subkeys {
        let mut subkeys = known.public_subkeys.iter_mut();
        match subkeys.find(|one| one.key.fingerprint() == subkey.key.fingerprint()) {
            Some(one) => one.signatures.extend(subkey.signatures),
            None => known.public_subkeys.push(subkey),
        }
    }
}

/// Who has signed `payload`. `now` is for signatures that expire themselves.
pub(super) fn check(
    signature: &str,
    payload: &[u8],
    now: Timestamp,
    keys: &[SignedPublicKey],
) -> Result<Signer, Distrust> {
    let signature = read(signature)?;
    let issuer = issuer(&signature);
    let mut mismatch = false;
    for key in keys {
        if may_be_by(key, &signature) {
            match signature.verify(&key.primary_key, payload) {
                Ok(()) => return by_primary(key, &signature, now),
                Err(_) => mismatch = true,
            }
        }
        for subkey in &key.public_subkeys {
            if may_be_by(&subkey.key, &signature) {
                match signature.verify(&subkey.key, payload) {
                    Ok(()) => return by_subkey(key, subkey, &signature, now),
                    Err(_) => mismatch = true,
                }
            }
        }
    }
    Err(if mismatch {
        Distrust::Mismatch(issuer)
    } else {
        Distrust::UnknownKey(issuer)
    })
}

/// Whether a signature names a key as its issuer, or none at all.
fn may_be_by(key: &impl KeyDetails, signature: &Signature) -> bool {
    let (ids, prints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
    let by_id = ids.iter().any(|id| **id == key.legacy_key_id());
    let by_print = prints.iter().any(|print| **print == key.fingerprint());
    by_id || by_print || ids.is_empty() && prints.is_empty()
}

fn read(text: &str) -> Result<Signature, Distrust> {
    let unreadable = |what: String| Distrust::Unreadable(what);
    let (found, _) = DetachedSignature::from_string_many(text.trim_start())
        .map_err(|error| unreadable(error.to_string()))?;
    let found: Vec<DetachedSignature> = found
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(error.to_string()))?;
    let [one] = <[_; 1]>::try_from(found)
        .map_err(|more| unreadable(format!("there are {} of them", more.len())))?;
    let signature = one.signature;
    match signature.typ() {
        Some(SignatureType::Binary | SignatureType::Text) => {}
        _ => {
            return Err(unreadable(
                "it is not the signature of a document".to_owned(),
            ));
        }
    }
    if unknown_and_critical(&signature) {
        return Err(unreadable(
            "it has a critical part that is not known".to_owned(),
        ));
    }
    Ok(signature)
}

fn issuer(signature: &Signature) -> String {
    let print = signature.issuer_fingerprint();
    let id = signature.issuer_key_id();
    match (print.first(), id.first()) {
        (Some(print), _) => shown(&format!("{print:X}")),
        (None, Some(id)) => shown(&id.to_string().to_uppercase()),
        (None, None) => "an OpenPGP key that it doesn't name".to_owned(),
    }
}

fn shown(digits: &str) -> String {
    format!("the OpenPGP key {digits}")
}

fn by_primary(
    key: &SignedPublicKey,
    signature: &Signature,
    now: Timestamp,
) -> Result<Signer, Distrust> {
    let shown = shown(&format!("{:X}", key.fingerprint()));
    let time = of_document(signature, now, &shown)?;
    let fault = Distrust::of_key(&shown);
    let own = primary(key, time).map_err(fault)?;
    if !signs(own, Otherwise::Signs) {
        return Err(fault(Fault::NotForSigning));
    }
    Ok(signer(key, shown.clone()))
}

fn by_subkey(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    signature: &Signature,
    now: Timestamp,
) -> Result<Signer, Distrust> {
    let shown = shown(&format!("{:X}", subkey.key.fingerprint()));
    let time = of_document(signature, now, &shown)?;
    let fault = Distrust::of_key(&shown);
    primary(key, time).map_err(fault)?;
    let of_primary = |one: &&Signature| {
        one.verify_subkey_binding(&key.primary_key, &subkey.key)
            .is_ok()
    };
    let all: Vec<&Signature> = subkey.signatures.iter().filter(of_primary).collect();
    let of_type = |typ| {
        all.iter()
            .copied()
            .filter(move |one| one.typ() == Some(typ))
    };
    revoked(of_type(SignatureType::SubkeyRevocation), time).map_err(fault)?;
    let bindings = of_type(SignatureType::SubkeyBinding).filter(|one| strong(one));
    let binding = newest(bindings).ok_or_else(|| fault(Fault::Unbound))?;
    if !signs(binding, Otherwise::DoesNot) {
        return Err(fault(Fault::NotForSigning));
    }
    // The subkey has to agree, or anybody could call somebody else's key his own.
    let agrees = binding.embedded_signature().is_some_and(|back| {
        strong(back)
            && back
                .verify_primary_key_binding(&subkey.key, &key.primary_key)
                .is_ok()
    });
    if !agrees {
        return Err(fault(Fault::Unbound));
    }
    valid_at(subkey.key.created_at().as_secs(), binding, time).map_err(fault)?;
    Ok(signer(key, shown.clone()))
}

/// When the document was signed, if that signature is good for anything.
fn of_document(signature: &Signature, now: Timestamp, shown: &str) -> Result<u64, Distrust> {
    let fault = Distrust::of_key(shown);
    if !strong(signature) {
        let by = signature
            .hash_alg()
            .map_or_else(String::new, |hash| hash.to_string());
        return Err(fault(Fault::Weak(by)));
    }
    let Some(created) = signature.created() else {
        return Err(Distrust::Unreadable("it has no time".to_owned()));
    };
    let time = u64::from(created.as_secs());
    let ends = signature
        .signature_expiration_time()
        .map(|after| u64::from(after.as_secs()));
    match ends
        .filter(|after| *after > 0)
        .map(|after| stamp(time + after))
    {
        Some(end) if end <= now => Err(fault(Fault::Expired(end))),
        _ => Ok(time),
    }
}

/// The signature by which the owner of a key has last said what it is, if the key was
/// good at a time.
fn primary(key: &SignedPublicKey, time: u64) -> Result<&Signature, Fault> {
    let own = &key.primary_key;
    let by_itself = |one: &&Signature| one.verify_key(own).is_ok();
    revoked(
        key.details.revocation_signatures.iter().filter(by_itself),
        time,
    )?;
    let direct = key.details.direct_signatures.iter().filter(by_itself);
    let direct = direct.filter(|one| strong(one));
    let of_users = key.details.users.iter().flat_map(|user| {
        let own_word =
            |one: &&Signature| one.verify_certification(own, Tag::UserId, &user.id).is_ok();
        let all: Vec<&Signature> = user.signatures.iter().filter(own_word).collect();
        let taken_back = |one: &&Signature| one.typ() == Some(SignatureType::CertRevocation);
        let ended = newest(all.iter().copied().filter(taken_back)).and_then(Signature::created);
        all.into_iter()
            .filter(move |one| !taken_back(one) && strong(one))
            .filter(move |one| ended.is_none_or(|end| one.created() > Some(end)))
    });
    let newest = newest(direct.chain(of_users)).ok_or(Fault::Unbound)?;
    valid_at(own.created_at().as_secs(), newest, time)?;
    Ok(newest)
}

/// Whether a key was there already at a time, and had not expired.
fn valid_at(created: u32, binding: &Signature, time: u64) -> Result<(), Fault> {
    let created = u64::from(created);
    if time < created {
        return Err(Fault::Early(stamp(created)));
    }
    let lasts = binding
        .key_expiration_time()
        .map(|after| u64::from(after.as_secs()));
    match lasts
        .filter(|lasts| *lasts > 0)
        .map(|lasts| created + lasts)
    {
        Some(end) if time >= end => Err(Fault::Expired(stamp(end))),
        _ => Ok(()),
    }
}

fn revoked<'s>(revocations: impl Iterator<Item = &'s Signature>, time: u64) -> Result<(), Fault> {
    for revocation in revocations {
        let since = revocation.created().map_or(0, |at| u64::from(at.as_secs()));
        match revocation.revocation_reason_code() {
            Some(RevocationCode::KeySuperseded) if since <= time => {
                return Err(Fault::Revoked(" as superseded"));
            }
            Some(RevocationCode::KeyRetired) if since <= time => {
                return Err(Fault::Revoked(" as retired"));
            }
            Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired) => {}
            Some(RevocationCode::KeyCompromised) => {
                return Err(Fault::Revoked(" as compromised"));
            }
            _ => return Err(Fault::Revoked("")),
        }
    }
    Ok(())
}

/// What a key may do of which its owner says nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    Signs,
    DoesNot,
}

fn signs(binding: &Signature, otherwise: Otherwise) -> bool {
    let says = binding.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|one| matches!(one.data, SubpacketData::KeyFlags(_)))
    });
    if says {
        binding.key_flags().sign()
    } else {
        otherwise == Otherwise::Signs
    }
}

fn strong(signature: &Signature) -> bool {
    let digest = matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha224
                | HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    );
    digest && !unknown_and_critical(signature)
}

/// RFC 9580, 5.2.3.7: what is critical and not understood makes the signature void.
fn unknown_and_critical(signature: &Signature) -> bool {
    signature.config().is_none_or(|config| {
        config.hashed_subpackets().any(|one| {
            let unknown = matches!(
                one.data,
                SubpacketData::Other(..)
                    | SubpacketData::Experimental(..)
                    | SubpacketData::Notation(_)
            );
            one.is_critical && unknown
        })
    })
}

fn newest<'s>(signatures: impl Iterator<Item = &'s Signature>) -> Option<&'s Signature> {
    signatures.max_by_key(|one| one.created())
}

fn signer(key: &SignedPublicKey, shown: String) -> Signer {
    let user = key.details.users.first();
    let name = user.map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
    Signer {
        key: shown,
        name: name.unwrap_or_else(|| "no name".to_owned()),
    }
}

fn stamp(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
