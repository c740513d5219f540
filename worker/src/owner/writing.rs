//! What the owner writes, and what becomes of it.

use std::sync::atomic::Ordering;

use entity::DbErr;
use entity::finish::{self, Change, Fate, Write};
use relay::failpoint;
use tokio::time::Instant;

use super::{BATCH, BREATH, LINGER, Message, Owner, REMEMBERED, fault};

impl Owner {
    pub(super) fn write(&mut self, now: Instant) {
        let state = &mut self.state;
        if !state.schedule.has_writes() {
            state.unwritten_since = None;
            return;
        }
        let since = *state.unwritten_since.get_or_insert(now);
        let is_worth_it = state.stopping
            || now >= since + LINGER
            || state.schedule.unwritten_count() >= state.batch
            || state.schedule.is_waited_for();
        if state.writing || now < state.not_before || !is_worth_it {
            return;
        }
        self.state.writing = true;
        self.state.unwritten_since = None;
        let batch = self.state.schedule.writes(self.state.batch);
        let (db, outbox, owner, present) = (self.db.clone(), self.outbox.clone(), self.id, self.clock.now());
        let took = self.numbers.batch_seconds.clone();
        self.numbers.batch_rows.record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        self.spawn(async move {
            failpoint::reach("before-finish", &batch.len());
            let began = Instant::now();
            let fates = finish::write(&db, owner, &batch, present).await;
            took.record(began.elapsed());
            let _ = outbox.send(Message::Written(batch, fates));
        });
    }

    /// A batch that fails for its data is cut down until the bad one stands alone; that one waits for the next renewal, and
    /// keeps nothing else waiting.
    pub(super) fn written(&mut self, batch: Vec<Write>, fates: Result<Vec<Fate>, DbErr>) {
        if let Ok(fates) = &fates {
            self.count(&batch, fates);
        }
        let state = &mut self.state;
        state.writing = false;
        match fates {
            Ok(fates) => {
                state.cannot_write = false;
                if fates.iter().any(|fate| *fate != Fate::Fenced) {
                    state.still.ends();
                    state.unwritten_still.ends();
                }
                for (write, fate) in batch.iter().zip(&fates) {
                    if let (Change::Finish { state, .. }, Fate::Done) = (&write.change, fate) {
                        self.numbers.ended(*state);
                    }
                }
                let done = batch.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Fenced);
                done.filter_map(|(write, _)| write.command).for_each(|command| state.busy.ended(command));
                let fenced = state.schedule.written(batch, &fates);
                if !fenced.is_empty() {
                    state.aside.extend(fenced);
                    self.leases.hurry.notify_one();
                }
                state.batch = (state.batch * 2).min(BATCH);
                self.leases.stamp.store(state.schedule.stamp(), Ordering::Release);
                if state.schedule.buried_count() > REMEMBERED {
                    self.hasten();
                }
            }
            Err(error) => {
                fault(&error, "outcomes were not written and are kept");
                self.numbers.batch_failures.increment(1);
                if entity::database::is_away(&error) {
                    state.cannot_write = true;
                    state.not_before = Instant::now() + BREATH;
                    state.schedule.unwritten(batch);
                } else if let [_] = batch.as_slice() {
                    state.aside.extend(batch);
                } else {
                    state.batch = (batch.len() / 2).max(1);
                    state.schedule.unwritten(batch);
                }
            }
        }
    }

    /// What was acknowledged, by destination. What a database loses in a crash is written, and counted, once more.
    fn count(&self, batch: &[Write], fates: &[Fate]) {
        let done = batch.iter().zip(fates).filter(|(write, fate)| **fate == Fate::Done && write.change.is_an_outcome());
        let mut counting = None;
        for (write, _) in done {
            if let Some(destination) = self.state.schedule.destination_of(write.row.id) {
                let counting = counting.get_or_insert_with(|| self.statistics.at(self.clock.now()));
                counting.of(write.row.tenant_id, destination, |tally| tally.write(write));
            }
        }
    }

    /// Rule R: after a renewal it is known whose the shards are, and what was put aside is tried again.
    pub(super) fn write_again(&mut self) {
        let ours = |write: &Write| self.leases.epoch(write.row.shard) == Some(write.row.epoch);
        let kept: Vec<Write> = std::mem::take(&mut self.state.aside).into_iter().filter(ours).collect();
        self.state.schedule.unwritten(kept);
    }
}
