//! What the API server wants of the names of the kinds that Kubernetes itself brings.

use crate::model::{GroupKind, Label, Name, NameError, Subdomain};
use crate::render::builtin_scope;

/// What an object's name has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// A segment of a path, as every name is.
    Segment,
    /// A DNS subdomain.
    Subdomain,
    /// A DNS label.
    Label,
}

/// What is demanded of a kind's names. Of a kind that others bring, their own server may
/// take any name.
pub(super) fn demanded(kind: &GroupKind) -> Rule {
    match (&*kind.group, &*kind.kind) {
        ("", "Namespace" | "Service") => Rule::Label,
        (
            "rbac.authorization.k8s.io"
            | "certificates.k8s.io"
            | "apiregistration.k8s.io"
            | "internal.apiserver.k8s.io",
            _,
        )
        | ("networking.k8s.io", "IPAddress") => Rule::Segment,
        _ if builtin_scope(kind).is_some() => Rule::Subdomain,
        _ => Rule::Segment,
    }
}

impl Rule {
    /// How a name breaks it.
    pub(super) fn broken_by(self, name: &Name) -> Option<NameError> {
        match self {
            Self::Segment => None,
            Self::Subdomain => name.parse::<Subdomain>().err(),
            Self::Label => name.parse::<Label>().err(),
        }
    }
}
