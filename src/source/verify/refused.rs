//! A commit that is refused, in words.

use std::fmt;

use super::Distrust;
use crate::model::{Revision, SourceCommit};

/// A commit that is not deployed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The commit at fault.
    pub commit: SourceCommit,
    /// How many parents it has.
    pub parents: usize,
    /// The newest commit, where that is another one.
    pub head: Option<Revision>,
    /// Why.
    pub why: Distrust,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceCommit {
            revision,
            author,
            subject,
            ..
        } = &self.commit;
        let what = if self.parents > 1 {
            "the merge"
        } else {
            "the commit"
        };
        let (short, name, email, why) = (revision.short(), &author.name, &author.email, &self.why);
        // The reason first: in the record's subject there is no room for all of it.
        write!(f, "{what} {short} {why} ({name} <{email}>: {subject})")?;
        if self.head.is_some() {
            f.write_str("; every commit since the last accepted one has to be signed")?;
        }
        if let Distrust::LeavesBehind(base) = &self.why {
            let base = base.short();
            write!(
                f,
                "; to go back, revert what came since; if the branch was rewritten on purpose, sign a merge of both (`git merge -s ours {base}`)"
            )?;
        }
        let unsigned = matches!(self.why, Distrust::Unsigned | Distrust::UnknownKey(_));
        if unsigned && self.parents > 1 {
            f.write_str("; if the forge made it, let it sign its merges and trust its key")?;
        }
        Ok(())
    }
}
