//! What things are called. A name is text that the API server would take for one: so it
//! stays within its segment of a URL and of a path, and is read as what it is.
//!
//! Rules: `k8s.io/apimachinery/pkg/api/validation/path` (every name),
//! `k8s.io/apimachinery/pkg/util/validation` (labels and subdomains of RFC 1123).

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::shown::{cut_inside, is_seen, shown_line};

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: use {rule}")]
pub struct NameError {
    /// As it can be shown.
    text: String,
    what: &'static str,
    rule: &'static str,
}

impl NameError {
    /// Of a text that breaks a rule.
    pub(super) fn new(text: &str, what: &'static str, rule: &'static str) -> Self {
        Self {
            text: cut_inside(&shown_line(text), 200).into_owned(),
            what,
            rule,
        }
    }
}

/// What a label has to be.
pub(super) const LABEL: &str =
    "at most 63 of a-z, 0-9 and `-`, starting and ending with a letter or digit";
const SUBDOMAIN: &str =
    "at most 253 of a-z, 0-9, `-` and `.`, each part starting and ending with a letter or digit";
const SEGMENT: &str =
    "at most 253 characters that can be seen, no `/` and no `%`, and neither `.` nor `..`";
const KIND: &str = "at most 63 of A-Z, a-z, 0-9 and `-`, starting with a letter";

/// A label of RFC 1123.
pub(super) const fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text.as_bytes(), 0, text.len())
}

/// A subdomain of RFC 1123.
const fn is_subdomain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'.' {
            if !is_part(bytes, from, at) {
                return false;
            }
            from = at + 1;
        }
        at += 1;
    }
    bytes.len() <= 253 && is_part(bytes, from, bytes.len())
}

const fn is_part(bytes: &[u8], from: usize, to: usize) -> bool {
    if from >= to || bytes[from] == b'-' || bytes[to - 1] == b'-' {
        return false;
    }
    let mut at = from;
    while at < to {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        at += 1;
    }
    true
}

const fn is_group(text: &str) -> bool {
    text.is_empty() || is_subdomain(text)
}

const fn is_kind(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 63 || !bytes[0].is_ascii_alphabetic() {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() && bytes[at] != b'-' {
            return false;
        }
        at += 1;
    }
    true
}

fn is_segment(text: &str) -> bool {
    let short = !text.is_empty() && text.chars().nth(253).is_none();
    let inside = !text.contains(['/', '%', '\n', '\t']) && text != "." && text != "..";
    short && inside && is_seen(text)
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:expr, $valid:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Cow<'static, str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                if $valid(&text) {
                    Ok(Self(Cow::Owned(text)))
                } else {
                    Err(NameError::new(&text, $what, $rule))
                }
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.into_owned()
            }
        }

        impl Deref for $type {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// The name of an object, within its kind and namespace: a segment of a path.
    Name, "name", SEGMENT, is_segment
}
name! {
    /// The name of a namespace: a DNS label.
    Namespace, "namespace", LABEL, is_label
}
name! {
    /// An API group: a DNS subdomain, empty for the core group.
    Group, "API group", SUBDOMAIN, is_group
}
name! {
    /// A DNS label: what the API server wants of some names.
    Label, "name", LABEL, is_label
}
name! {
    /// A DNS subdomain: what the API server wants of most names.
    Subdomain, "name", SUBDOMAIN, is_subdomain
}
name! {
    /// A kind, such as `Deployment`.
    Kind, "kind", KIND, is_kind
}
name! {
    /// A version of an API, such as `v1`: a DNS label.
    Version, "API version", LABEL, is_label
}

impl Group {
    /// One that the source code names.
    ///
    /// # Panics
    /// When it is none, which in a constant is an error of the compiler.
    pub const fn known(text: &'static str) -> Self {
        assert!(is_group(text), "this is no API group");
        Self(Cow::Borrowed(text))
    }
}

impl Kind {
    /// One that the source code names.
    ///
    /// # Panics
    /// When it is none, which in a constant is an error of the compiler.
    pub const fn known(text: &'static str) -> Self {
        assert!(is_kind(text), "this is no kind");
        Self(Cow::Borrowed(text))
    }
}

impl Name {
    /// One that the source code names, a DNS subdomain.
    ///
    /// # Panics
    /// When it is none, which in a constant is an error of the compiler.
    pub const fn known(text: &'static str) -> Self {
        assert!(is_subdomain(text), "this is no name");
        Self(Cow::Borrowed(text))
    }
}

impl Namespace {
    /// One that the source code names.
    ///
    /// # Panics
    /// When it is none, which in a constant is an error of the compiler.
    pub const fn known(text: &'static str) -> Self {
        assert!(is_label(text), "this is no namespace");
        Self(Cow::Borrowed(text))
    }
}

/// A label is a name, too.
impl From<Namespace> for Name {
    fn from(namespace: Namespace) -> Self {
        Self(namespace.0)
    }
}

#[cfg(test)]
mod tests;
