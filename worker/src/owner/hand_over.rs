//! Rule H: stop starting, wait, flush, then release; for one shard or for all.

use std::sync::Arc;

use entity::shard::Lease;
use tokio::time::Instant;

use super::{DURABLE_EVERY, Message, Owner, fault};
use crate::lease;

impl Owner {
    /// Rule H: stop starting, wait, flush, then release.
    pub(super) fn hand_over(&mut self) {
        if self.state.handing_over.is_none()
            && let Some(lease) = self.leases.held().pop()
        {
            tracing::info!(shard = lease.shard, "handing a shard over");
            self.state.schedule.drain(lease.shard);
            self.state.handing_over = Some(lease);
        }
    }

    pub(super) fn finish_hand_over(&mut self) {
        let Some(lease) = self.state.handing_over else { return };
        if self.leases.epoch(lease.shard) != Some(lease.epoch) {
            self.state.handing_over = None;
        } else if !self.state.is_drained(lease.shard) {
            self.hasten();
        } else {
            self.state.handing_over = None;
            self.give_back(lease);
        }
    }

    /// Nothing of it is in flight or unwritten here.
    pub(super) fn give_back(&self, lease: Lease) {
        let (db, id, leases, outbox) = (self.db.clone(), self.id, Arc::clone(&self.leases), self.outbox.clone());
        self.spawn(async move {
            let released = lease::release(&db, id, &leases, lease).await;
            let _ = outbox.send(Message::Released(lease));
            match released {
                Ok(()) => lease::announce(&db).await,
                Err(error) => fault(&error, "a shard was not released; its lease will expire"),
            }
        });
    }

    pub(super) fn stop(&mut self) {
        self.state.stopping = true;
        self.leases.held().into_iter().for_each(|lease| self.state.schedule.drain(lease.shard));
    }

    pub(super) fn is_drained(&self) -> bool {
        let state = &self.state;
        state.schedule.is_all_drained() && !state.schedule.has_writes() && !state.writing && state.aside.is_empty()
    }

    /// A renewal that comes soon says what is on disk.
    pub(super) fn hasten(&mut self) {
        let now = Instant::now();
        if now >= self.state.hurried_at + DURABLE_EVERY {
            self.state.hurried_at = now;
            self.leases.hurry.notify_one();
        }
    }

    /// Nothing starts here any more. In the database all of it is given back by [`lease::leave`].
    pub(super) fn let_all_go(self) {
        self.leases.held().into_iter().for_each(|lease| self.leases.let_go(lease));
    }
}
