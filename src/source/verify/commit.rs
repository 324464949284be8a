//! A raw commit, taken apart into what was signed and its signature, as Git's
//! `parse_signed_commit` does. Pure.

use jiff::Timestamp;

use super::keys::Keys;
use super::{Distrust, Signer, openpgp, ssh};

/// A commit's content without its signature, and that.
struct Signed {
    payload: Vec<u8>,
    signature: String,
    /// When it was committed, as it says itself.
    time: Timestamp,
}

/// Who has signed a commit, given its raw content.
pub(super) fn signer(raw: &[u8], keys: &Keys, now: Timestamp) -> Result<Signer, Distrust> {
    let signed = split(raw)?;
    let begins = |kind: &str| {
        signed
            .signature
            .starts_with(&format!("-----BEGIN {kind}-----"))
    };
    if begins("SSH SIGNATURE") {
        ssh::check(&signed.signature, &signed.payload, signed.time, &keys.ssh)
    } else if begins("PGP SIGNATURE") {
        openpgp::check(&signed.signature, &signed.payload, now, &keys.openpgp)
    } else if begins("SIGNED MESSAGE") {
        Err(Distrust::X509)
    } else {
        Err(Distrust::Unreadable("it is of no known kind".to_owned()))
    }
}

/// Headers end at the first empty line; one goes on in lines that begin with a space.
fn split(raw: &[u8]) -> Result<Signed, Distrust> {
    let (mut payload, mut signatures) = (Vec::with_capacity(raw.len()), Vec::new());
    let mut time = None;
    let mut rest = raw;
    let mut within = Within::Other;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        if line == b"\n" {
            break;
        }
        rest = after;
        within = match line.strip_prefix(b" ") {
            Some(_) => within,
            None => Within::of(line),
        };
        match within {
            Within::Signature => match line.strip_prefix(b"gpgsig ") {
                Some(first) => signatures.push(first.to_vec()),
                None => signatures
                    .last_mut()
                    .map(|signature| signature.extend_from_slice(&line[1..]))
                    .unwrap_or_default(),
            },
            // For repositories of another hash; Git leaves it out as well.
            Within::OtherSignature => {}
            Within::Other => payload.extend_from_slice(line),
        }
        if let Some(committer) = line.strip_prefix(b"committer ") {
            time = seconds(committer);
        }
    }
    payload.extend_from_slice(rest);
    let signature = match signatures.len() {
        0 => return Err(Distrust::Unsigned),
        1 => signatures.remove(0),
        more => return Err(Distrust::Unreadable(format!("there are {more} of them"))),
    };
    let unreadable = |what: &str| Distrust::Unreadable(what.to_owned());
    Ok(Signed {
        payload,
        signature: String::from_utf8(signature).map_err(|_| unreadable("it is no text"))?,
        time: time.ok_or_else(|| unreadable("the commit has no time"))?,
    })
}

/// Which header a line belongs to.
#[derive(Clone, Copy)]
enum Within {
    Signature,
    OtherSignature,
    Other,
}

impl Within {
    fn of(line: &[u8]) -> Self {
        if line.starts_with(b"gpgsig ") {
            Self::Signature
        } else if line.starts_with(b"gpgsig") {
            Self::OtherSignature
        } else {
            Self::Other
        }
    }
}

/// The time in `Name <address> 1700000000 +0100`.
fn seconds(committer: &[u8]) -> Option<Timestamp> {
    let text = String::from_utf8_lossy(committer);
    let (_, time) = text.rsplit_once('>')?;
    let seconds = time.split_whitespace().next()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}
