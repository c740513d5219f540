//! What the api asks of the owner by rows.

use std::collections::HashMap;

use entity::command::{self, Command, Kind};
use entity::pending::{self, Due};
use entity::{Database, DbErr};

use super::{BATCH, Message, Owner, fault};
use crate::schedule::Met;

/// Commands that somebody is at: they are not begun again before that has ended. By number, with their shard.
#[derive(Debug, Default)]
pub(super) struct Busy(HashMap<i64, i16>);

/// Commands whose rows are read at a time; the next look takes more.
const AT_A_TIME: usize = 32;

impl Busy {
    pub(super) fn ended(&mut self, command: i64) {
        self.0.remove(&command);
    }

    /// The shard has another owner, who will find them.
    pub(super) fn forget(&mut self, shard: i16) {
        self.0.retain(|_, of| *of != shard);
    }
}

impl Owner {
    pub(super) fn look_for_commands(&self) {
        let shards: Vec<i16> = self.leases.held().iter().map(|lease| lease.shard).collect();
        if shards.is_empty() {
            return;
        }
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.spawn(async move {
            match command::waiting(&db.steady, &shards).await {
                Ok(commands) if commands.is_empty() => {}
                Ok(commands) => drop(outbox.send(Message::Commands(commands))),
                Err(error) => fault(&error, "commands were not read"),
            }
        });
    }

    pub(super) fn commands(&mut self, commands: Vec<Command>) {
        let busy = &mut self.state.busy.0;
        // One at a time, and none while outcomes wait to be written: each ends up to a thousand deliveries.
        let mut may_expire = self.state.schedule.unwritten_count() < BATCH;
        let mut is_its_turn = |command: &Command| command.kind != Kind::Expire || std::mem::take(&mut may_expire);
        let fresh = commands.into_iter().filter(|command| !busy.contains_key(&command.id));
        let fresh = fresh.filter(|command| is_its_turn(command)).take(AT_A_TIME);
        let fresh: Vec<Command> = fresh.filter(|command| self.leases.epoch(command.shard).is_some()).collect();
        busy.extend(fresh.iter().map(|command| (command.id, command.shard)));
        if fresh.is_empty() {
            return;
        }
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.spawn(async move {
            for command in fresh {
                let rows = rows_of(&db, &command).await;
                let _ = outbox.send(Message::CommandRows(command, rows));
            }
        });
    }

    pub(super) fn command_rows(&mut self, command: Command, rows: Result<Vec<Due>, DbErr>) {
        let (Some(epoch), Ok(rows)) = (
            self.leases.epoch(command.shard),
            rows.map_err(|error| fault(&error, "the rows of a command were not read")),
        ) else {
            return self.state.busy.ended(command.id);
        };
        if rows.is_empty() {
            return self.command_done(command.id);
        }
        match self.carry_out(&command, &rows, epoch) {
            // The command is deleted by the write that carries it out.
            Met::Written => {}
            Met::Nothing => self.command_done(command.id),
            // It is met again: until nothing is left to do.
            Met::Later => self.state.busy.ended(command.id),
        }
    }

    fn carry_out(&mut self, command: &Command, rows: &[Due], epoch: i64) -> Met {
        let (schedule, now) = (&mut self.state.schedule, self.clock.now());
        let mut met = Met::Nothing;
        for due in rows {
            met = match command.kind {
                Kind::Cancel => schedule.cancel(due, epoch, "cancelled by request", Some(command.id)),
                Kind::TryNow => schedule.try_now(due, epoch, now, command.id),
                Kind::EndDestination => {
                    schedule.cancel(due, epoch, "destination deleted", None);
                    Met::Later
                }
                Kind::EndSubscription => {
                    schedule.cancel(due, epoch, "subscription deleted", None);
                    Met::Later
                }
                Kind::Expire => {
                    schedule.expire(due, epoch);
                    Met::Later
                }
            };
        }
        met
    }

    fn command_done(&mut self, command: i64) {
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.spawn(async move {
            if let Err(error) = command::done(&db.finish, command).await {
                fault(&error, "a command that found nothing to do was not deleted; it is met again");
            }
            let _ = outbox.send(Message::CommandEnded(command));
        });
    }
}

async fn rows_of(db: &Database, command: &Command) -> Result<Vec<Due>, DbErr> {
    match command.kind {
        Kind::Cancel | Kind::TryNow => {
            Ok(pending::find(&db.steady, command.tenant_id, command.target.into()).await?.into_iter().collect())
        }
        Kind::EndDestination => pending::of_destination(db, command.destination_id).await,
        Kind::Expire => {
            let mut rows = pending::of_destination(db, command.destination_id).await?;
            rows.retain(|due| due.id.uuid() < command.target);
            Ok(rows)
        }
        Kind::EndSubscription => pending::of_subscription(db, command.destination_id, command.target.into()).await,
    }
}
