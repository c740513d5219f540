//! What a filter demands, as a tree.

use std::fmt;

use super::operator::Operator;
use super::seen::Seen;

/// A part of a filter that holds or does not.
#[derive(Debug)]
pub(super) enum Clause {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
}

/// One operator for what is at one place.
#[derive(Debug)]
pub(super) struct Test {
    /// In the filter's list of places.
    pub(super) place: usize,
    pub(super) operator: Operator,
    /// False if the operator must hold of none of the values that stand there.
    pub(super) is_wanted: bool,
    /// As the filter says it.
    pub(super) words: String,
}

impl Clause {
    pub(super) fn all(mut clauses: Vec<Self>) -> Self {
        if clauses.len() == 1 { clauses.remove(0) } else { Self::All(clauses) }
    }

    pub(super) fn any(mut clauses: Vec<Self>) -> Self {
        if clauses.len() == 1 { clauses.remove(0) } else { Self::Any(clauses) }
    }

    /// The first clause that fails, of all that must hold.
    pub(super) fn failing(&self, seen: &Seen<'_>) -> Option<&Self> {
        match self {
            Self::All(clauses) => clauses.iter().find_map(|clause| clause.failing(seen)),
            _ => (!self.holds(seen)).then_some(self),
        }
    }

    fn holds(&self, seen: &Seen<'_>) -> bool {
        match self {
            Self::All(clauses) => clauses.iter().all(|clause| clause.holds(seen)),
            Self::Any(clauses) => clauses.iter().any(|clause| clause.holds(seen)),
            Self::Not(clause) => !clause.holds(seen),
            Self::Test(test) => seen.at(test.place).iter().any(|found| test.operator.holds(found)) == test.is_wanted,
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(clauses) => write!(out, "all of: ({})", Listed(clauses)),
            Self::Any(clauses) => write!(out, "any of: ({})", Listed(clauses)),
            Self::Not(clause) => write!(out, "not: {clause}"),
            Self::Test(test) => out.write_str(&test.words),
        }
    }
}

/// One after the other.
pub(super) struct Listed<'c>(pub(super) &'c [Clause]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(out, "{between}{clause}")?;
        }
        Ok(())
    }
}
