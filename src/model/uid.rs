//! `metadata.uid`: what tells an object from another one of the same name.

use std::fmt;

/// The uid of a live object, in little memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// As nearly every API server makes them.
    Uuid([u8; 16]),
    /// An aggregated API may call its objects by anything.
    Other(Box<str>),
}

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Uid {
    /// Reads what stands in an object; `None` for one without a uid.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let form = uuid(text).map_or_else(|| Form::Other(text.into()), Form::Uuid);
        Some(Self(form))
    }

    /// A UUID from its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Form::Uuid(bytes))
    }

    /// The bytes of a UUID; `None` for anything else.
    pub fn bytes(&self) -> Option<&[u8; 16]> {
        match &self.0 {
            Form::Uuid(bytes) => Some(bytes),
            Form::Other(_) => None,
        }
    }
}

/// Only the spelling that is written back the same.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = text.match_indices('-').map(|(at, _)| at);
    if text.len() != 36 || !hyphens.eq(HYPHENS) || text.contains(char::is_uppercase) {
        return None;
    }
    hex::decode(text.replace('-', "")).ok()?.try_into().ok()
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Other(text) => f.write_str(text),
            Form::Uuid(bytes) => {
                let digits = hex::encode(bytes);
                let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
                f.write_str(&parts.join("-"))
            }
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_is_written_as_it_was_read() {
        let usual = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        assert_eq!(Uid::parse(usual).map(|it| it.bytes().is_some()), Some(true));
        for text in [
            usual,
            &usual.to_uppercase(),
            "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8fé",
            "uid-web",
        ] {
            assert_eq!(
                Uid::parse(text).map(|it| it.to_string()).as_deref(),
                Some(text)
            );
        }
        assert_eq!(Uid::parse(""), None);
    }
}
