//! Declared fields to which the API server, or an admission, gives values of its own.

use std::fmt;

use super::subject::{Observation, Subject};
use super::text;
use super::types::{FieldChange, Step};
use crate::fields::{Difference, Hold, Verdict};
use crate::model::{Desired, ObjectId, Origin};

/// How many fields are named.
const NAMED: usize = 5;

/// An object that no apply makes as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    /// The object.
    pub object: ObjectId,
    /// Where it is declared.
    pub origin: Origin,
    /// The fields, each with what was answered and what is declared.
    pub fields: Vec<FieldChange>,
    /// Whether it is always answered alike.
    pub hold: Hold,
}

/// The same for as long as it goes on: what is answered anew each time is left out.
impl fmt::Display for Overruled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = "nothing";
        let field = |field: &FieldChange| {
            let declared = field.to.as_deref().unwrap_or(none);
            let answered = field.from.as_deref().unwrap_or(none);
            match self.hold {
                Hold::Steady => {
                    format!(
                        "{} is declared as {declared}, and the API server makes {answered} of it",
                        field.path
                    )
                }
                Hold::Changing => {
                    format!(
                        "{}, declared as {declared}, is given another value at each write",
                        field.path
                    )
                }
            }
        };
        let verb = match self.hold {
            Hold::Steady => "overruled",
            Hold::Changing => "contended",
        };
        let mut named: Vec<String> = self.fields.iter().take(NAMED).map(field).collect();
        let more = self.fields.len().saturating_sub(NAMED);
        named.extend((more > 0).then(|| format!("… and {more} more fields")));
        write!(f, "{verb} by admission: {}", named.join("; "))
    }
}

impl Overruled {
    /// What is said of it where the object is not at hand.
    pub fn line(&self) -> String {
        format!("{} ({}): {self}", self.object, self.origin)
    }

    pub(super) fn of(desired: &Desired, differences: &[Difference], hold: Hold) -> Option<Self> {
        let answered = differences.iter().filter(|one| one.is_another_value());
        let answered: Vec<&Difference> = answered.collect();
        (!answered.is_empty()).then(|| Self {
            object: desired.id.clone(),
            origin: desired.origin.clone(),
            fields: text::fields(&answered),
            hold,
        })
    }
}

/// All of a unit, as far as no step is under way that may change it.
pub(super) fn overruled(subject: &Subject<'_>, steps: &[Step]) -> Vec<Overruled> {
    let stands = |desired: &&Desired| {
        let mut steps = steps.iter();
        !steps.any(|step| step.object == desired.id && step.standing.acts())
    };
    let of = |desired: &Desired| match subject.observed.get(&desired.id)? {
        Observation::AsDesired(found) => Overruled::of(desired, &found.overruled, Hold::Steady),
        Observation::Present(seen) => match &seen.verdict {
            Verdict::Overruled(differences, hold) => Overruled::of(desired, differences, *hold),
            Verdict::Clean | Verdict::Maybe(_) | Verdict::Drifted(_) => None,
        },
        Observation::Absent | Observation::Unknown(_) => None,
    };
    subject
        .desired
        .values()
        .filter(stands)
        .filter_map(of)
        .collect()
}
