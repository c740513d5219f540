//! What must never happen; what happened; and for each delivery how many repetitions the faults so far explain.

use std::collections::{BTreeMap, BTreeSet};

use crate::statement::{Lease, Owner, Row, wants_an_order};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An attempt was made again, and no fault explains it.
    SentTwice,
    /// A fault's explanation was needed in a world without faults.
    ExplainedByNothing,
    /// Two workers held a shard under the same epoch, or sent the same delivery under it.
    TwoOwnersInOneEpoch,
    /// A request of an old owner was on the wire when the shard had a new one.
    SentAfterTakeover,
    WrittenAfterTakeover,
    /// What was read under an older epoch was sent under a newer one.
    SentFromAnOlderEpoch,
    Overtaken,
    /// A worker takes nothing for parked, and something is.
    ParkedDenied,
    /// Something was accepted or started on configuration that had long changed.
    UsedWhatIsGone,
    /// All is calm, and rows are left.
    Forgotten,
    /// What was acknowledged does not exist.
    Lost,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Faults may explain repetitions.
    pub(crate) has_faults: bool,
    /// The first thing that must not happen, and what it was about.
    pub(crate) found: Option<(Violation, String)>,
    pub(crate) met: BTreeMap<&'static str, usize>,
    /// When the ingest of each delivery began and when it was committed.
    ingested: BTreeMap<usize, (usize, i64, i64)>,
    /// Whose end was committed once, whatever became of that.
    ended: BTreeSet<usize>,
    sent: BTreeMap<(usize, usize), usize>,
    repeated: BTreeMap<usize, usize>,
    explained: BTreeMap<usize, usize>,
    owners: BTreeMap<Lease, Owner>,
}

impl Ledger {
    pub(crate) fn new(has_faults: bool) -> Self {
        Self { has_faults, ..Self::default() }
    }

    pub(crate) fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    pub(crate) fn violates(&mut self, violation: Violation, what: impl FnOnce() -> String) {
        self.found.get_or_insert_with(|| (violation, what()));
    }

    pub(crate) fn ingested(&mut self, row: &Row, begun: i64, now: i64) {
        self.ingested.insert(row.id, (row.destination, begun, now));
    }

    pub(crate) fn ended(&mut self, id: usize) {
        self.ended.insert(id);
    }

    /// Rule S, and with it all the others: an epoch has one owner.
    pub(crate) fn holds(&mut self, owner: Owner, lease: Lease) {
        let first = *self.owners.entry(lease).or_insert(owner);
        if first != owner {
            self.violates(Violation::TwoOwnersInOneEpoch, || format!("{lease:?} is held by {first:?} and {owner:?}"));
        }
    }

    /// A fault may have this delivery sent once more.
    pub(crate) fn explains(&mut self, id: usize, why: &'static str) {
        if self.has_faults {
            self.meet(why);
            *self.explained.entry(id).or_default() += 1;
        } else {
            self.violates(Violation::ExplainedByNothing, || format!("{id}: {why}"));
        }
    }

    /// An attempt begins: nobody who was there before it waits in the same line.
    pub(crate) fn starts(&mut self, row: &Row) {
        if !wants_an_order(row.destination) {
            return;
        }
        self.meet("sent from a line");
        let (_, begun, _) = self.ingested[&row.id];
        let is_ahead = |(id, (destination, _, committed)): &(&usize, &(usize, i64, i64))| {
            *destination == row.destination && *committed < begun && !self.ended.contains(id)
        };
        if let Some((ahead, _)) = self.ingested.iter().find(is_ahead) {
            let what = format!("{} overtook {ahead}", row.id);
            self.violates(Violation::Overtaken, || what);
        }
    }

    /// An attempt goes on the wire.
    pub(crate) fn sends(&mut self, owner: Owner, lease: Lease, (id, attempt): (usize, usize)) {
        self.holds(owner, lease);
        let times = self.sent.entry((id, attempt)).or_default();
        *times += 1;
        if *times == 1 {
            return;
        }
        let repeated = self.repeated.entry(id).or_default();
        *repeated += 1;
        let (repeated, explained) = (*repeated, self.explained.get(&id).copied().unwrap_or_default());
        if repeated > explained {
            self.violates(Violation::SentTwice, || {
                format!("{id}, attempt {attempt}: repeated {repeated} times, {explained} of them explained")
            });
        } else {
            self.meet("sent again after a fault");
        }
    }
}
