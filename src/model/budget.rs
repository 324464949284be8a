//! How much a commit may bring. What it brings in one unit has a bound, and so has what
//! all units of a revision bring together, so that no commit costs more memory and time
//! than the agent has.

use std::fmt;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Files and directories that are looked at, each as often as it is met.
    Paths,
    /// Bytes in the files that are read.
    Bytes,
    /// Values in the YAML that is read.
    Values,
    /// Objects that are declared.
    Objects,
    /// Bytes of those objects as JSON.
    Rendered,
}

impl Measure {
    const ALL: [Self; 5] = [
        Self::Paths,
        Self::Bytes,
        Self::Values,
        Self::Objects,
        Self::Rendered,
    ];

    /// In words, for a number of them.
    fn words(self) -> &'static str {
        match self {
            Self::Paths => "files and directories",
            Self::Bytes => "bytes in the files that are read",
            Self::Values => "values in its YAML",
            Self::Objects => "objects",
            Self::Rendered => "bytes of objects",
        }
    }

    /// What one unit may have, where the agent has [`PLAIN_MEMORY`] memory. Several times what the
    /// largest collections of manifests that people use have; a large unit takes some ten
    /// megabytes while it is rendered.
    fn of_unit(self) -> u64 {
        match self {
            Self::Paths => 100_000,
            Self::Bytes => 48 * MIB,
            Self::Values => 1_000_000,
            Self::Objects => 20_000,
            Self::Rendered => 16 * MIB,
        }
    }

    /// What all units of a revision may have together. What is rendered stays in memory,
    /// that of the revision before as well until the new one has taken its place.
    fn of_revision(self) -> u64 {
        match self {
            Self::Paths => 1_000_000,
            Self::Bytes => 192 * MIB,
            Self::Values => 4_000_000,
            Self::Objects => 40_000,
            Self::Rendered => 32 * MIB,
        }
    }
}

const MIB: u64 = 1024 * 1024;

/// The memory for which the bounds are made as they stand here: the limit in `deploy/`.
pub const PLAIN_MEMORY: u64 = 256 * MIB;

/// With more memory the bounds grow along, up to so many times.
const MOST: u64 = 16;

/// Why something is not taken: it is more than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct Exceeded {
    measure: Measure,
    limit: u64,
    whole: Whole,
}

/// What a bound is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Configuration,
    Unit,
    Revision,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, words) = (self.limit, self.measure.words());
        match self.whole {
            Whole::Configuration => write!(
                f,
                "with it the configuration leads to more than {limit} {words}, the most that it may"
            ),
            Whole::Unit => write!(
                f,
                "with it the unit has more than {limit} {words}, the most that one may have"
            ),
            Whole::Revision => write!(
                f,
                "with it the units of the revision have more than {limit} {words}, the most that all of them may have"
            ),
        }
    }
}

impl Exceeded {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.whole {
            Whole::Configuration => "name fewer directories",
            Whole::Unit => {
                "make it smaller, make several units of it, or give the agent more memory"
            }
            Whole::Revision => "make the units smaller, or give the agent more memory",
        }
    }
}

/// How much was spent, of each measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost([u64; Measure::ALL.len()]);

impl Cost {
    fn add(&mut self, measure: Measure, amount: u64) -> u64 {
        let spent = &mut self.0[measure as usize];
        *spent = spent.saturating_add(amount);
        *spent
    }

    fn of(&self, measure: Measure) -> u64 {
        self.0[measure as usize]
    }
}

/// How many times the bounds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(u64);

impl Default for Scale {
    fn default() -> Self {
        Self(1)
    }
}

impl Scale {
    /// For so many bytes of memory.
    pub fn of_memory(bytes: u64) -> Self {
        Self((bytes / PLAIN_MEMORY).clamp(1, MOST))
    }
}

/// What one unit, or the configuration, may still spend.
#[derive(Debug, Clone, Copy)]
pub struct UnitBudget {
    whole: Whole,
    scale: Scale,
    spent: Cost,
}

impl Default for UnitBudget {
    fn default() -> Self {
        Self::new(Scale::default())
    }
}

impl UnitBudget {
    /// Of a unit of which nothing was read yet.
    pub fn new(scale: Scale) -> Self {
        Self {
            whole: Whole::Unit,
            scale,
            spent: Cost::default(),
        }
    }

    /// Of the configuration of a revision of which nothing was read yet.
    pub fn of_configuration() -> Self {
        Self {
            whole: Whole::Configuration,
            ..Self::default()
        }
    }

    /// Spends something.
    pub fn draw(&mut self, measure: Measure, amount: u64) -> Result<(), Exceeded> {
        self.spent.add(measure, amount);
        self.holds(measure)
    }

    /// Whether it has never asked for more than there is: else, what follows need not be
    /// looked at.
    pub fn check(&self) -> Result<(), Exceeded> {
        let mut all = Measure::ALL.into_iter();
        all.try_for_each(|measure| self.holds(measure))
    }

    fn holds(&self, measure: Measure) -> Result<(), Exceeded> {
        let (whole, limit) = (self.whole, measure.of_unit() * self.scale.0);
        if self.spent.of(measure) > limit {
            return Err(Exceeded {
                measure,
                limit,
                whole,
            });
        }
        Ok(())
    }

    /// What was spent.
    pub fn spent(&self) -> Cost {
        self.spent
    }
}

/// What the units of one revision may still spend together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    scale: Scale,
    spent: Cost,
}

impl Budget {
    /// Of a revision of which nothing was read yet.
    pub fn new(scale: Scale) -> Self {
        let spent = Cost::default();
        Self { scale, spent }
    }

    /// Takes in a whole unit, or leaves it out: a unit that is too much costs the others
    /// nothing.
    pub fn take(&mut self, cost: &Cost) -> Result<(), Exceeded> {
        let mut spent = self.spent;
        for measure in Measure::ALL {
            let limit = measure.of_revision() * self.scale.0;
            if spent.add(measure, cost.of(measure)) > limit {
                let whole = Whole::Revision;
                return Err(Exceeded {
                    measure,
                    limit,
                    whole,
                });
            }
        }
        self.spent = spent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(measure: Measure, amount: u64) -> Cost {
        let mut cost = Cost::default();
        cost.add(measure, amount);
        cost
    }

    #[test]
    fn a_unit_may_have_so_much_and_no_more() {
        let mut unit = UnitBudget::default();
        assert_eq!(unit.draw(Measure::Objects, 20_000), Ok(()));
        assert_eq!(unit.check(), Ok(()));
        let more = unit.draw(Measure::Objects, 1).map_err(|it| it.to_string());
        let words = "with it the unit has more than 20000 objects, the most that one may have";
        assert_eq!(more, Err(words.to_owned()));
        assert!(unit.check().is_err());
        assert_eq!(unit.draw(Measure::Paths, 1), Ok(()));
    }

    #[test]
    fn a_unit_that_is_too_much_costs_the_others_nothing() {
        let mut budget = Budget::default();
        assert_eq!(budget.take(&of(Measure::Objects, 30_000)), Ok(()));
        let more = budget.take(&of(Measure::Objects, 10_001));
        let words = "with it the units of the revision have more than 40000 objects, the most that all of them may have";
        assert_eq!(more.map_err(|it| it.to_string()), Err(words.to_owned()));
        assert_eq!(budget.take(&of(Measure::Objects, 10_000)), Ok(()));
    }

    #[test]
    fn bounds_grow_with_memory_and_do_not_overflow() {
        let mut unit = UnitBudget::new(Scale::of_memory(2 * PLAIN_MEMORY));
        assert_eq!(unit.draw(Measure::Objects, 40_000), Ok(()));
        assert!(unit.draw(Measure::Objects, u64::MAX).is_err());
        assert_eq!(Scale::of_memory(0), Scale(1));
        assert_eq!(Scale::of_memory(u64::MAX), Scale(MOST));
    }
}
