//! What people ask of a delivery, and shards that change hands.

use entity::delivery::State;
use entity::finish::{Change, Row, Write};
use entity::pending::Due;
use relay::id::{DeliveryId, DestinationId};

use super::{Known, Met, Place, Schedule, bytes};

impl Schedule {
    /// Cancels a delivery of one of our shards; one in flight ends with its true outcome.
    pub(crate) fn cancel(&mut self, row: Row, reason: &str, command: Option<i64>) -> Met {
        match self.known.get_mut(&row.id).map(|known| &mut known.place) {
            Some(Place::InFlight { cancelled, .. }) => {
                *cancelled = Some(reason.to_owned());
                return Met::Later;
            }
            Some(Place::Writing { .. }) => return Met::Later,
            Some(Place::Buried { redo: Some(_), .. }) => return Met::Nothing,
            Some(Place::Waiting) => self.unlist(row.id),
            Some(Place::Buried { redo: None, .. }) | None => {}
        }
        let change = Change::Finish { state: State::Cancelled, reason: Some(reason.to_owned()), last: None };
        self.command(row, change, command)
    }

    /// Makes a delivery due now, if it waits for its time.
    pub(crate) fn try_now(&mut self, row: Row, now: i64, command: i64) -> Met {
        match self.known.get(&row.id).map(|known| &known.place) {
            Some(Place::Writing { .. }) => Met::Later,
            Some(Place::Buried { redo: None, .. }) | None => {
                self.command(row, Change::BringForward { due_at: now }, Some(command))
            }
            Some(Place::Waiting | Place::InFlight { .. } | Place::Buried { redo: Some(_), .. }) => Met::Nothing,
        }
    }

    pub(super) fn command(&mut self, row: Row, change: Change, command: Option<i64>) -> Met {
        let destination = self.known.get(&row.id).map_or_else(|| uuid_of(row.id), |known| known.destination);
        self.known.insert(row.id, Known { shard: row.shard, destination, place: Place::Writing { seq: None } });
        self.writes.push(Write { row, change, command });
        Met::Written
    }

    pub(super) fn unlist(&mut self, id: DeliveryId) {
        let Some(known) = self.known.get(&id) else { return };
        if let Some(line) = self.lines.get_mut(&known.destination) {
            line.waiting.retain(|due| due.id != id);
        }
    }

    /// Rule H: nothing more starts in this shard.
    pub(crate) fn drain(&mut self, shard: i16) {
        self.draining.insert(shard);
    }

    /// Whether nothing of this shard is in flight or unwritten.
    pub(crate) fn is_drained(&self, shard: i16) -> bool {
        !self
            .known
            .values()
            .any(|known| known.shard == shard && matches!(known.place, Place::InFlight { .. } | Place::Writing { .. }))
    }

    /// Rule R: the shard has another owner. All of its memory goes at once; its requests are aborted by their fence.
    pub(crate) fn forget(&mut self, shard: i16) {
        let lost: Vec<Due> = self
            .known
            .values()
            .filter(|known| known.shard == shard)
            .filter_map(|known| if let Place::InFlight { due, .. } = &known.place { Some(*due) } else { None })
            .collect();
        for due in lost {
            self.in_flight -= 1;
            self.bodies -= bytes(&due);
            self.ring.ended(due.tenant_id);
        }
        self.known.retain(|_, known| known.shard != shard);
        self.lines.retain(|_, line| line.shard != shard);
        self.writes.retain(|write| write.row.shard != shard);
        self.draining.remove(&shard);
    }
}

/// A place-holder where the destination is not known and does not matter: no line has a delivery's id.
fn uuid_of(id: DeliveryId) -> DestinationId {
    id.uuid().into()
}
