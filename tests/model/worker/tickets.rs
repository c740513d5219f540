//! Rule T: when reads began, counted in reads.

use std::collections::BTreeSet;

pub(crate) type Ticket = usize;

#[derive(Debug, Default)]
pub(crate) struct Tickets {
    next: Ticket,
    open: BTreeSet<Ticket>,
}

impl Tickets {
    pub(crate) fn take(&mut self) -> Ticket {
        self.open.insert(self.next);
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn close(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    /// What is written by now is seen by tickets from this one on.
    pub(super) fn bound(&self) -> Ticket {
        self.next
    }

    /// The oldest read that is not over; the next one, where there is none.
    pub(super) fn oldest(&self) -> Ticket {
        self.open.first().copied().unwrap_or(self.next)
    }
}
