//! What a comparison says.

use serde_json::Value;

use crate::model::Manager;

/// What an apply of desired would do to live.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Clean,
    /// Something or nothing: only a dry-run can tell.
    Maybe(Vec<Difference>),
    /// It would change the object for certain, if only who owns a field.
    Drifted(Vec<Difference>),
    /// It would not make these as desired: the API server, or an admission, gives values of
    /// its own to what is applied. No comparison says so, only an answer.
    Overruled(Vec<Difference>, Hold),
}

/// How an admission holds to the value that it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It is the same at each write.
    Steady,
    /// It is another at each write.
    Changing,
}

impl Verdict {
    /// The differences, in the order of the walk.
    pub fn differences(&self) -> &[Difference] {
        match self {
            Self::Clean => &[],
            Self::Maybe(found) | Self::Drifted(found) | Self::Overruled(found, _) => found,
        }
    }
}

impl Difference {
    /// Whether live has another value than the one that is declared, which is neither
    /// another spelling of it nor what the server fills in where nothing is said.
    pub fn is_another_value(&self) -> bool {
        match &self.kind {
            Kind::Changed { desired, .. } => {
                let unsaid = match desired {
                    Value::Null => true,
                    Value::String(text) => text.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    Value::Object(map) => map.is_empty(),
                    Value::Bool(_) | Value::Number(_) => false,
                };
                !unsaid && self.doubt != Some(Doubt::Spelling)
            }
            Kind::Missing { .. } => self.doubt != Some(Doubt::Zero),
            Kind::NotOwned | Kind::Extra { .. } | Kind::Reordered | Kind::Unclear => false,
        }
    }

    /// Whether it is one that only the server's own answer to our apply can have made: we
    /// own the field, and nobody else does.
    pub fn is_answered(&self) -> bool {
        let ours = matches!(self.doubt, Some(Doubt::Rewritten | Doubt::Zero));
        self.owner.is_none() && ours && self.is_another_value()
    }
}

/// One place where desired and live are not one.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where, such as `spec.template.spec.containers[name=c].image`.
    pub path: String,
    /// In what way.
    pub kind: Kind,
    /// Why it may be none; `None` where an apply would change something for certain.
    pub doubt: Option<Doubt>,
    /// Who, other than we, owns the field now; of several the one who wrote last.
    pub owner: Option<Manager>,
}

/// In what way a field differs. Values of Secrets are replaced by `[redacted]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// It has another value.
    Changed {
        /// The value in the cluster.
        live: Value,
        /// The value in Git.
        desired: Value,
    },
    /// It is not there.
    Missing {
        /// The value in Git.
        desired: Value,
    },
    /// The value is as desired, but the field is not ours (or no longer).
    NotOwned,
    /// We own it and no longer desire it: an apply removes it, unless somebody else
    /// owns it as well (`owner`), and then gives up our part.
    Extra {
        /// The value in the cluster, if it is still there.
        live: Option<Value>,
    },
    /// The items of a list are there, in another order.
    Reordered,
    /// Desired, ownership and live can't be lined up here.
    Unclear,
}

/// Why an apply might change nothing although something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Perhaps the same value in another spelling (`1000m` and `1`).
    Spelling,
    /// The desired value is null, empty, 0 or false, which the server may drop or
    /// fill in.
    Zero,
    /// We own the field, so either desired has moved since the last apply, or the
    /// server rewrites what we send.
    Rewritten,
    /// Live has fields inside a value that is owned as a whole; they may be defaults.
    Defaulted,
    /// Without ownership, items are lined up by a guess.
    Guessed,
    /// Keys twice, another version, or another shape than ownership says.
    Unaligned,
}
