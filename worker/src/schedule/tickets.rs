//! Rule T: every read of the queue takes a ticket before it starts, and so does every commit that is handed over, so that
//! what it returns can be told from what was written since.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// When a read began, counted in reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// The tickets of reads whose rows were not offered yet. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tickets(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    open: BTreeSet<Ticket>,
}

impl Tickets {
    /// For a read that is about to start.
    pub(crate) fn take(&self) -> Ticket {
        let mut book = self.book();
        let ticket = Ticket(book.next);
        book.next += 1;
        book.open.insert(ticket);
        ticket
    }

    /// All rows of the read were offered, or it failed.
    pub(crate) fn close(&self, ticket: Ticket) {
        self.book().open.remove(&ticket);
    }

    /// A bound between the reads that have begun and those to come: what is written now is seen by tickets from it on.
    pub(crate) fn bound(&self) -> Ticket {
        Ticket(self.book().next)
    }

    /// The oldest read that is not over; the next one, where there is none.
    pub(crate) fn oldest(&self) -> Ticket {
        let book = self.book();
        book.open.first().copied().unwrap_or(Ticket(book.next))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
