//! What is to be enforced: the newest commit, or what stays where that one can't be used.

use std::fmt;
use std::mem;

use crate::model::{Revision, SourceCommit};

/// What is enforced of what the source has.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Target {
    /// No commit was looked at.
    #[default]
    Unknown,
    /// The newest commit.
    Follows(SourceCommit),
    /// The newest commit can't be enforced.
    Stays {
        head: SourceCommit,
        hindrance: Hindrance,
        instead: Instead,
    },
}

/// Why a commit can't be enforced.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hindrance {
    /// It can't be read, or its configuration is wrong.
    Wrong(String),
    /// It is not signed by somebody who may.
    Untrusted(String),
    /// It does not go on from what was applied.
    Strange(String),
}

/// What is enforced in the place of a commit that can't be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Instead {
    /// What was enforced before it.
    Last(SourceCommit),
    /// Nothing, as far as it is known: nothing was before it, or that was not looked at yet.
    Unread,
    /// Nothing: what was applied last can't be used either.
    Nothing { last: Revision, why: String },
}

impl Target {
    /// The newest commit that was looked at.
    pub(super) fn head(&self) -> Option<&SourceCommit> {
        match self {
            Self::Unknown => None,
            Self::Follows(head) | Self::Stays { head, .. } => Some(head),
        }
    }

    /// The commit that is enforced.
    pub(super) fn enforced(&self) -> Option<&SourceCommit> {
        match self {
            Self::Follows(head) => Some(head),
            Self::Stays {
                instead: Instead::Last(last),
                ..
            } => Some(last),
            Self::Unknown | Self::Stays { .. } => None,
        }
    }

    /// What keeps the newest commit from being enforced.
    pub(super) fn hindrance(&self) -> Option<&Hindrance> {
        match self {
            Self::Stays { hindrance, .. } => Some(hindrance),
            Self::Unknown | Self::Follows(_) => None,
        }
    }

    /// The newest commit, where it can't be enforced.
    pub(super) fn refused(&self) -> Option<&SourceCommit> {
        self.hindrance().and(self.head())
    }

    /// Whether it is known that nothing can be enforced.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(
            self,
            Self::Stays {
                instead: Instead::Nothing { .. },
                ..
            }
        )
    }

    /// Whether the newest commit is of another history.
    pub(super) fn is_estranged(&self) -> bool {
        matches!(self.hindrance(), Some(Hindrance::Strange(_)))
    }

    /// Everything that is wrong, in words.
    pub(super) fn problem(&self) -> Option<String> {
        let Self::Stays {
            hindrance, instead, ..
        } = self
        else {
            return None;
        };
        Some(match instead {
            Instead::Last(_) | Instead::Unread => hindrance.to_string(),
            Instead::Nothing { last, why } => format!(
                "{hindrance}\n{}, which was applied last, can't be used either, so that nothing is enforced: {why}",
                last.short()
            ),
        })
    }

    /// The newest commit can't be enforced: what was before it stays.
    pub(super) fn stay(&mut self, head: SourceCommit, hindrance: Hindrance) {
        let instead = match mem::take(self) {
            Self::Unknown => Instead::Unread,
            Self::Follows(last) => Instead::Last(last),
            Self::Stays { instead, .. } => instead,
        };
        *self = Self::Stays {
            head,
            hindrance,
            instead,
        };
    }

    /// It has to be found out anew whether what is enforced may be: gives that back.
    pub(super) fn doubt(&mut self) -> Option<SourceCommit> {
        match self {
            Self::Unknown => None,
            Self::Follows(_) => match mem::take(self) {
                Self::Follows(head) => Some(head),
                Self::Unknown | Self::Stays { .. } => None,
            },
            Self::Stays { instead, .. } => match mem::replace(instead, Instead::Unread) {
                Instead::Last(last) => Some(last),
                Instead::Unread | Instead::Nothing { .. } => None,
            },
        }
    }

    /// This stands in for a newest commit that can't be enforced.
    pub(super) fn stand_in(&mut self, last: SourceCommit) {
        match self {
            Self::Stays { instead, .. } => *instead = Instead::Last(last),
            Self::Unknown | Self::Follows(_) => *self = Self::Follows(last),
        }
    }

    /// What was applied last can't be used either; whether that is news.
    pub(super) fn is_without(&mut self, last: Revision, why: String) -> bool {
        let nothing = Instead::Nothing { last, why };
        match self {
            Self::Stays { instead, .. } if *instead != nothing => {
                *instead = nothing;
                true
            }
            Self::Stays { .. } | Self::Unknown | Self::Follows(_) => false,
        }
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(why) | Self::Untrusted(why) | Self::Strange(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::Signature;

    fn commit(number: u8) -> SourceCommit {
        let author = Signature {
            name: "Sue".to_owned(),
            email: String::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        SourceCommit {
            revision: number.to_string().repeat(40).parse().expect("a hash"),
            author,
            committed: Timestamp::UNIX_EPOCH,
            subject: String::new(),
        }
    }

    fn untrusted() -> Hindrance {
        Hindrance::Untrusted("it is not signed".to_owned())
    }

    #[test]
    fn what_was_enforced_stays() {
        let mut target = Target::Follows(commit(1));
        target.stay(commit(2), untrusted());
        target.stay(commit(3), Hindrance::Strange("it is another's".to_owned()));
        assert_eq!(target.enforced(), Some(&commit(1)));
        assert_eq!(target.head(), Some(&commit(3)));
        assert_eq!(target.problem().expect("it has one"), "it is another's");
        assert!(target.is_estranged() && !target.is_nothing());
        assert_eq!(target.doubt(), Some(commit(1)));
        assert_eq!(target.enforced(), None);
        assert_eq!(target.refused(), Some(&commit(3)));
    }

    #[test]
    fn what_was_applied_last_stands_in_unless_it_can_not() {
        let mut target = Target::default();
        target.stay(commit(2), untrusted());
        assert_eq!(target.enforced(), None);
        let (last, why) = (commit(1).revision, "nor is that".to_owned());
        assert!(target.is_without(last.clone(), why.clone()));
        assert!(!target.is_without(last, why), "it is told once");
        assert!(target.is_nothing());
        assert_eq!(
            target.problem().expect("it has one"),
            "it is not signed\n11111111, which was applied last, can't be used either, so that nothing is enforced: nor is that"
        );
        target.stand_in(commit(1));
        assert_eq!(target.enforced(), Some(&commit(1)));
        assert_eq!(target.problem().expect("it has one"), "it is not signed");
    }
}
