//! What providers know: of each of their events, what they were told about it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Which of a tenant's destinations an event is for follows from its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For whoever takes everything.
    Other,
    /// For those who take some of it as well.
    Some,
    /// For those who want an order as well: one provider sends these, each after the last one was accepted.
    InOrder,
}

impl Kind {
    pub(crate) const fn event_type(self) -> &'static str {
        match self {
            Self::Other => "Fault.Other",
            Self::Some => "Fault.Some",
            Self::InOrder => "Fault.InOrder",
        }
    }
}

/// One event and its story.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tenant: usize,
    pub(crate) kind: Kind,
    /// The id that a 2xx gave. Whatever else a later one gave is in `contradictions`.
    pub(crate) accepted: Option<String>,
    pub(crate) contradictions: Vec<String>,
}

/// How often a request of a provider came to what.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answers {
    pub(crate) accepted: usize,
    /// 503 and the like: the provider is told to come again.
    pub(crate) refused: usize,
    /// No answer, or no whole one: it may have been accepted or not.
    pub(crate) unknown: usize,
    /// Of these: none within a provider's patience.
    pub(crate) hung: usize,
}

impl Answers {
    pub(crate) const fn not_accepted(self) -> usize {
        self.refused + self.unknown
    }
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    answers: Answers,
    accepted_at: Option<Instant>,
    /// The slowest answer with a status, whatever it was.
    slowest_ms: u128,
    /// Statuses that no provider should ever see.
    strange: BTreeMap<u16, usize>,
}

/// Shared by all providers.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Inner>);

impl Ledger {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Written before the event is sent for the first time. Gives its number, by which everybody knows it.
    pub(crate) fn begin(&self, tenant: usize, kind: Kind) -> usize {
        let mut inner = self.inner();
        inner.entries.push(Entry { tenant, kind, accepted: None, contradictions: Vec::new() });
        inner.entries.len() - 1
    }

    pub(crate) fn accepted(&self, number: usize, id: String) {
        let mut inner = self.inner();
        (inner.answers.accepted, inner.accepted_at) = (inner.answers.accepted + 1, Some(Instant::now()));
        let entry = &mut inner.entries[number];
        match &entry.accepted {
            None => entry.accepted = Some(id),
            Some(first) if *first == id => {}
            Some(_) => entry.contradictions.push(id),
        }
    }

    pub(crate) fn refused(&self, status: u16) {
        let mut inner = self.inner();
        inner.answers.refused += 1;
        if ![429, 503].contains(&status) {
            *inner.strange.entry(status).or_default() += 1;
        }
    }

    pub(crate) fn unknown(&self, hung: bool) {
        let answers = &mut self.inner().answers;
        answers.unknown += 1;
        answers.hung += usize::from(hung);
    }

    pub(crate) fn took(&self, since: Instant) {
        let mut inner = self.inner();
        inner.slowest_ms = inner.slowest_ms.max(since.elapsed().as_millis());
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.inner().entries.clone()
    }

    pub(crate) fn answers(&self) -> Answers {
        self.inner().answers
    }

    pub(crate) fn strange(&self) -> BTreeMap<u16, usize> {
        self.inner().strange.clone()
    }

    pub(crate) fn slowest_ms(&self) -> u128 {
        self.inner().slowest_ms
    }

    /// Whether something was accepted after this.
    pub(crate) fn accepts_since(&self, when: Instant) -> bool {
        self.inner().accepted_at.is_some_and(|at| at > when)
    }
}
