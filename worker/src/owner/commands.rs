//! What the api asks of the owner by rows.

use entity::command::{self, Command};
use entity::finish;
use entity::pending::{self, Due};
use entity::{Database, DbErr};

use super::{Message, Owner, fault};
use crate::schedule::Met;

impl Owner {
    pub(super) fn look_for_commands(&self) {
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.tracker.spawn(async move {
            match command::waiting(&db.read).await {
                Ok(commands) if commands.is_empty() => {}
                Ok(commands) => drop(outbox.send(Message::Commands(commands))),
                Err(error) => fault(&error, "commands were not read"),
            }
        });
    }

    pub(super) fn commands(&mut self, commands: Vec<Command>) {
        for command in commands {
            if self.leases.epoch(command.shard).is_some() {
                let (db, outbox) = (self.db.clone(), self.outbox.clone());
                self.tracker.spawn(async move {
                    match rows_of(&db, &command).await {
                        Ok(rows) => drop(outbox.send(Message::CommandRows(command, rows))),
                        Err(error) => fault(&error, "the rows of a command were not read"),
                    }
                });
            }
        }
    }

    pub(super) fn command_rows(&mut self, command: Command, rows: &[Due]) {
        let Some(epoch) = self.leases.epoch(command.shard) else { return };
        let is_over = rows.is_empty();
        for due in rows.iter().filter(|due| due.shard == command.shard) {
            let row = finish::Row { tenant_id: due.tenant_id, id: due.id, shard: due.shard, epoch };
            let schedule = &mut self.state.schedule;
            let (met, is_single) = match command.kind {
                Some(command::Kind::Cancel) => (schedule.cancel(row, "cancelled by request"), true),
                Some(command::Kind::TryNow) => (schedule.try_now(row, self.clock.now()), true),
                Some(command::Kind::EndDestination) => (schedule.cancel(row, "destination deleted"), false),
                Some(command::Kind::EndSubscription) => (schedule.cancel(row, "subscription deleted"), false),
                None => return,
            };
            match met {
                Met::Written if is_single => self.state.carried_out.entry(due.id).or_default().push(command.id),
                Met::Nothing if is_single => self.commands_done(vec![command.id]),
                Met::Written | Met::Nothing | Met::Later => {}
            }
        }
        if is_over {
            self.commands_done(vec![command.id]);
        }
    }

    pub(super) fn commands_done(&self, done: Vec<i64>) {
        if done.is_empty() {
            return;
        }
        let db = self.db.clone();
        self.tracker.spawn(async move {
            for id in done {
                if let Err(error) = command::done(&db.finish, id).await {
                    fault(&error, "a command was carried out but not deleted; it is met again");
                }
            }
        });
    }
}

async fn rows_of(db: &Database, command: &Command) -> Result<Vec<Due>, DbErr> {
    match command.kind {
        Some(command::Kind::Cancel | command::Kind::TryNow) => {
            Ok(pending::find(&db.read, command.tenant_id, command.target.into()).await?.into_iter().collect())
        }
        Some(command::Kind::EndDestination) => pending::of_destination(db, command.target.into(), 0).await,
        Some(command::Kind::EndSubscription) => {
            pending::of_subscription(db, command.shard, command.target.into()).await
        }
        None => Ok(Vec::new()),
    }
}
