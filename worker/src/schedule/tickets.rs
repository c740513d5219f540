//! Rule T: every read of the queue takes a ticket before it starts, so that what it returns can be told from what was
//! written since.

use std::collections::BTreeSet;

/// When a read began, counted in reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// The tickets of reads whose rows were not offered yet.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    next: u64,
    open: BTreeSet<Ticket>,
}

impl Tickets {
    /// For a read that is about to start.
    pub(crate) fn take(&mut self) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.open.insert(ticket);
        ticket
    }

    /// All rows of the read were offered, or it failed.
    pub(crate) fn close(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    /// A bound between the reads that have begun and those to come: what is written now is seen by tickets from it on.
    pub(crate) fn bound(&self) -> Ticket {
        Ticket(self.next)
    }

    /// Whether every read that began before `bound` is over.
    pub(crate) fn are_closed_before(&self, bound: Ticket) -> bool {
        self.open.first().is_none_or(|oldest| *oldest >= bound)
    }
}
