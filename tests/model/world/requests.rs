//! Requests on their way to the destinations and back.

use super::{Event, Sending, World};
use crate::ledger::Violation;
use crate::statement::{Owner, Setting};
use crate::times::FRESH;
use crate::worker::{Outcome, Request};

impl World {
    pub(super) fn starts_request(&mut self, owner: Owner, request: Request) {
        self.ledger.starts(&request.row);
        if request.lease != request.read_under {
            self.ledger.violates(Violation::SentFromAnOlderEpoch, || format!("{request:?}"));
        }
        self.uses(request.row.destination);
        self.sending.insert((owner, request.number), Sending { request, is_on_the_wire: false });
        self.soon(Event::Sends(owner, request.number));
    }

    /// Rule C: nothing is done on what has been gone for longer than a look may be old.
    pub(super) fn uses(&mut self, key: usize) {
        let (setting, since) = self.database.setting(key);
        if setting != Setting::Active && self.now - since > FRESH {
            let ago = self.now - since;
            self.ledger.violates(Violation::UsedWhatIsGone, || format!("{key} is {setting:?} since {ago} ms"));
        }
    }

    /// A request is written to its socket, if that may be.
    pub(super) fn sends(&mut self, owner: Owner, number: usize) {
        let Some(sending) = self.sending.get_mut(&(owner, number)) else { return };
        let (row, lease) = (sending.request.row, sending.request.lease);
        let worker = &mut self.workers[owner.host];
        if !worker.may_write(number, self.now) {
            self.ledger.meet("not written beyond the fence");
            self.sending.remove(&(owner, number));
            worker.ends(number, Outcome::Aborted, self.now);
            return self.acts(owner);
        }
        sending.is_on_the_wire = true;
        if self.database.epoch(lease.shard) != lease.epoch {
            self.ledger.violates(Violation::SentAfterTakeover, || format!("{} by {owner:?}", row.id));
        }
        self.ledger.sends(owner, lease, (row.id, row.attempts));
        let outcome = match self.dice.roll(5) {
            0 => Outcome::Failed(self.dice.between(20, 300)),
            _ => Outcome::Delivered,
        };
        let delay = if self.dice.is(10) { self.dice.between(100, 1_500) } else { self.dice.between(1, 40) };
        self.after(delay, Event::Responds(owner, number, outcome));
    }

    pub(super) fn responds(&mut self, owner: Owner, number: usize, outcome: Outcome) {
        if self.sending.remove(&(owner, number)).is_some() {
            self.workers[owner.host].ends(number, outcome, self.now);
            self.acts(owner);
        }
    }

    /// The worker gives a request up. What it came to is not known to anybody who still owns the shard.
    pub(super) fn aborts(&mut self, owner: Owner, number: usize) {
        let Some(Sending { request, is_on_the_wire }) = self.sending.remove(&(owner, number)) else { return };
        if is_on_the_wire && self.database.is_owned_by(owner, request.lease) {
            self.ledger.explains(request.row.id, "aborted at the fence");
        }
    }
}
