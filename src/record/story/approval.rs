//! Who approved what was done.

use super::{Scene, pair};
use crate::model::{Signature, SourceCommit};

/// What was done, and who approved that.
pub(super) fn told(scene: &Scene<'_>, text: String) -> String {
    let approvers = scene.approved.iter().map(|commit| {
        let (name, revision) = (&commit.author.name, commit.revision.short());
        format!("\n\napproved by {name} with {revision}: {}", commit.subject)
    });
    std::iter::once(text).chain(approvers).collect()
}

/// Which commit approved it, and whose that is.
pub(super) fn trailers(commit: &SourceCommit) -> [(String, String); 2] {
    let Signature { name, email, .. } = &commit.author;
    [
        pair("Approval", &commit.revision),
        pair("Approved-By", &format!("{name} <{email}>")),
    ]
}
