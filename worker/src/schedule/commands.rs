//! What people ask of a delivery, and shards that change hands.

use entity::delivery::State;
use entity::finish::{Change, Write};
use entity::pending::Due;

use super::{Known, Met, Place, Schedule, row};

impl Schedule {
    /// Cancels a delivery of one of our shards; one in flight ends with its true outcome.
    pub(crate) fn cancel(&mut self, due: &Due, epoch: i64, reason: &str, command: Option<i64>) -> Met {
        match self.known.get_mut(&due.id).map(|known| &mut known.place) {
            Some(Place::InFlight { cancelled, .. }) => {
                *cancelled = Some(reason.to_owned());
                return Met::UnderWay;
            }
            Some(Place::Writing { .. }) => return Met::Later,
            Some(Place::Buried { redo: Some(_), .. }) => return Met::Nothing,
            Some(Place::Waiting) => self.unlist(due),
            Some(Place::Buried { redo: None, .. }) | None => {}
        }
        let change = Change::Finish { state: State::Cancelled, reason: Some(reason.to_owned()), last: None };
        self.command(due, epoch, change, command)
    }

    /// Ends a delivery of one of our shards that has waited for too long; one in flight ends as it ends.
    pub(crate) fn expire(&mut self, due: &Due, epoch: i64) -> Met {
        match self.known.get(&due.id).map(|known| &known.place) {
            Some(Place::InFlight { .. }) => return Met::UnderWay,
            Some(Place::Writing { .. }) => return Met::Later,
            Some(Place::Buried { redo: Some(_), .. }) => return Met::Nothing,
            Some(Place::Waiting) => self.unlist(due),
            Some(Place::Buried { redo: None, .. }) | None => {}
        }
        let change = Change::Finish { state: State::Failed, reason: Some("expired".to_owned()), last: None };
        self.command(due, epoch, change, None)
    }

    /// Makes a delivery due now, if it waits for its time. In a line it still waits for its turn.
    pub(crate) fn try_now(&mut self, due: &Due, epoch: i64, now: i64, command: i64) -> Met {
        match self.known.get(&due.id).map(|known| &known.place) {
            Some(Place::Writing { .. }) => Met::Later,
            Some(Place::Buried { redo: None, .. }) | None => {
                self.command(due, epoch, Change::Move { due_at: now }, Some(command))
            }
            Some(Place::Waiting | Place::InFlight { .. } | Place::Buried { redo: Some(_), .. }) => Met::Nothing,
        }
    }

    fn command(&mut self, due: &Due, epoch: i64, change: Change, command: Option<i64>) -> Met {
        // What waited for a slot keeps its line busy already.
        if !self.known.get(&due.id).is_some_and(|known| matches!(known.place, Place::Waiting)) {
            self.engage(due.id, due.destination_id, due.order_key);
        }
        self.place(due, Place::Writing { park: None });
        self.writes.push_back(Write { row: row(due, epoch), change, command });
        Met::Written
    }

    fn unlist(&mut self, due: &Due) {
        self.tests.retain(|(test, _)| test.id != due.id);
        if let Some(line) = self.lines.get_mut(&due.destination_id) {
            line.queues.iter_mut().for_each(|queue| queue.waiting.retain(|waiting| waiting.id != due.id));
        }
    }

    /// Rule H: nothing more starts in this shard.
    pub(crate) fn drain(&mut self, shard: i16) {
        self.draining.insert(shard);
    }

    /// Whether nothing of this shard is in flight or unwritten, and nothing of it would have to be written again by whoever
    /// remembers it (rule B).
    pub(crate) fn is_drained(&self, shard: i16) -> bool {
        !self.known.values().any(|known| known.shard == shard && self.is_open(known))
    }

    /// The same, of all shards.
    pub(crate) fn is_all_drained(&self) -> bool {
        !self.known.values().any(|known| self.is_open(known))
    }

    fn is_open(&self, known: &Known) -> bool {
        match &known.place {
            Place::Waiting => false,
            Place::InFlight { .. } | Place::Writing { .. } => true,
            Place::Buried { stamp, redo, .. } => redo.is_some() && *stamp > self.durable,
        }
    }

    /// Rule R: the shard has another owner. All of its memory goes at once; its requests are aborted by their fence.
    pub(crate) fn forget(&mut self, shard: i16) {
        let in_flight = |known: &Known| match known.place {
            Place::InFlight { due, class, .. } if known.shard == shard => Some((due, class)),
            _ => None,
        };
        let lost: Vec<_> = self.known.values().filter_map(in_flight).collect();
        for (due, class) in lost {
            self.leave(&due, class);
        }
        self.known.retain(|_, known| known.shard != shard);
        self.lines.retain(|_, line| line.shard != shard);
        self.tests.retain(|(due, _)| due.shard != shard);
        self.held_since.remove(&shard);
        self.writes.retain(|write| write.row.shard != shard);
        self.parks.retain(|write| write.row.shard != shard);
        self.draining.remove(&shard);
    }
}
