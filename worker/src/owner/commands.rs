//! What the api asks of the owner by rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use entity::command::{self, Command, Kind};
use entity::pending::{self, Due};
use entity::{Database, DbErr};
use relay::id::{DeliveryId, TenantId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{BATCH, Message, Owner, fault};
use crate::schedule::Met;

/// Commands that somebody is at, and those that were put off. By number.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// They are not begun again before that has ended.
    being: HashMap<i64, Being>,
    /// How often each was put off, since there were too many, or since too much waited to be written.
    put_off: HashMap<i64, u32>,
}

#[derive(Debug)]
struct Being {
    shard: i16,
    /// None: it is said when it has ended.
    until: Option<Instant>,
}

/// Commands of many deliveries whose rows are read at a look; the next takes more. Those of one are read together.
const AT_A_TIME: usize = 128;
/// No more of these is carried out while so many outcomes wait to be written: nothing would be sent meanwhile.
const UNWRITTEN: usize = 3 * BATCH;
/// What attempts alone are in the way of is looked at again so much later: it is known there what is wanted, and an attempt
/// may take half a minute. Looked at each time, some of those would keep everybody else's waiting.
const LATER: Duration = Duration::from_secs(1);

impl Busy {
    pub(super) fn ended(&mut self, command: i64) {
        self.being.remove(&command);
    }

    fn put_off(&mut self, command: i64) {
        self.being.remove(&command);
        *self.put_off.entry(command).or_default() += 1;
    }

    /// The shard has another owner, who will find them.
    pub(super) fn forget(&mut self, shard: i16) {
        self.being.retain(|_, being| being.shard != shard);
    }

    /// Those that nobody is at: first what was put off most often, since two that take many looks would else take each of them;
    /// last what nobody waits for.
    fn fresh(&mut self, mut commands: Vec<Command>) -> Vec<Command> {
        let now = Instant::now();
        self.being.retain(|_, being| being.until.is_none_or(|until| until > now));
        // What is not among them has ended, or is another's.
        let put_off = std::mem::take(&mut self.put_off);
        self.put_off = commands.iter().filter_map(|it| Some((it.id, *put_off.get(&it.id)?))).collect();
        commands.retain(|command| !self.being.contains_key(&command.id));
        let put_off = |command: &Command| self.put_off.get(&command.id).copied().unwrap_or_default();
        commands.sort_by_key(|command| (command.kind == Kind::Expire, Reverse(put_off(command))));
        commands
    }

    fn begun(&mut self, command: &Command) {
        self.being.insert(command.id, Being { shard: command.shard, until: None });
    }

    /// It moved something, or there is nothing to move: others come first again.
    fn carried_out(&mut self, command: i64) {
        self.put_off.remove(&command);
    }

    fn later(&mut self, command: &Command) {
        self.being.insert(command.id, Being { shard: command.shard, until: Some(Instant::now() + LATER) });
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
        // One at a time, and none while outcomes wait to be written: each ends up to a thousand deliveries.
        let mut may_expire = self.state.schedule.unwritten_count() < BATCH;
        let is_its_turn = |command: &Command| command.kind != Kind::Expire || std::mem::take(&mut may_expire);
        let mut fresh = self.state.busy.fresh(commands);
        fresh.retain(|command| self.leases.epoch(command.shard).is_some());
        let (of_one, mut of_many): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|command| command.kind.is_of_one());
        of_many.retain(is_its_turn);
        of_many.drain(AT_A_TIME.min(of_many.len())..).for_each(|command| self.state.busy.put_off(command.id));
        of_one.iter().chain(&of_many).for_each(|command| self.state.busy.begun(command));
        if of_one.is_empty() && of_many.is_empty() {
            return;
        }
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.spawn(async move {
            rows_of_each(&db, of_one, &outbox).await;
            for command in of_many {
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
        if !command.kind.is_of_one() && self.state.schedule.unwritten_count() >= UNWRITTEN {
            return self.state.busy.put_off(command.id);
        }
        self.state.busy.carried_out(command.id);
        match self.carry_out(&command, &rows, epoch) {
            // The command is deleted by the write that carries it out.
            Met::Written if command.kind.is_of_one() => {}
            // It is met again: until nothing is left to do.
            Met::Written | Met::Later => self.state.busy.ended(command.id),
            Met::UnderWay => self.state.busy.later(&command),
            Met::Nothing => self.command_done(command.id),
        }
    }

    /// What came of it; of many rows, whether any is written now. None of them is left alone: they are there until they are.
    fn carry_out(&mut self, command: &Command, rows: &[Due], epoch: i64) -> Met {
        let (schedule, now) = (&mut self.state.schedule, self.clock.now());
        let mut carry_out = |due: &Due| match command.kind {
            Kind::Cancel => schedule.cancel(due, epoch, "cancelled by request", Some(command.id)),
            Kind::TryNow => schedule.try_now(due, epoch, now, command.id),
            Kind::CancelReplay => schedule.cancel(due, epoch, "cancelled by request", None),
            Kind::EndDestination => schedule.cancel(due, epoch, "destination deleted", None),
            Kind::EndSubscription => schedule.cancel(due, epoch, "subscription deleted", None),
            Kind::Expire => schedule.expire(due, epoch),
        };
        if let ([due], true) = (rows, command.kind.is_of_one()) {
            return carry_out(due);
        }
        let moves = rows.iter().filter(|due| matches!(carry_out(due), Met::Written | Met::Later)).count();
        if moves > 0 { Met::Written } else { Met::UnderWay }
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

/// Reads the rows of commands that are about one delivery each: one statement for each tenant.
async fn rows_of_each(db: &Database, commands: Vec<Command>, outbox: &mpsc::UnboundedSender<Message>) {
    let mut by_tenant = BTreeMap::<TenantId, Vec<Command>>::new();
    for command in commands {
        by_tenant.entry(command.tenant_id).or_default().push(command);
    }
    for (tenant, commands) in by_tenant {
        let ids: Vec<DeliveryId> = commands.iter().map(|command| command.target.into()).collect();
        let found = pending::these(db, tenant, &ids).await;
        if let Err(error) = &found {
            fault(error, "the rows of commands were not read");
        }
        for command in commands {
            let _ = outbox.send(match &found {
                Ok(found) => {
                    let rows = found.iter().filter(|due| due.id.uuid() == command.target).copied().collect();
                    Message::CommandRows(command, Ok(rows))
                }
                Err(_) => Message::CommandEnded(command.id),
            });
        }
    }
}

async fn rows_of(db: &Database, command: &Command) -> Result<Vec<Due>, DbErr> {
    match command.kind {
        Kind::Cancel | Kind::TryNow => pending::these(db, command.tenant_id, &[command.target.into()]).await,
        Kind::CancelReplay => {
            pending::of_replay(db, (command.tenant_id, command.destination_id), command.target.into()).await
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

#[cfg(test)]
mod tests {
    use relay::id::Uuid;

    use super::*;

    fn command(id: i64) -> Command {
        let (tenant_id, destination_id) = (TenantId::at(id), relay::id::DestinationId::at(id));
        Command { id, shard: 1, tenant_id, kind: Kind::EndDestination, destination_id, target: Uuid::nil() }
    }

    /// One look: the first is carried out, what comes behind it is put off. Whose turn it was.
    fn look(busy: &mut Busy, ids: &[i64]) -> i64 {
        let fresh = busy.fresh(ids.iter().copied().map(command).collect());
        fresh.iter().for_each(|command| busy.begun(command));
        busy.carried_out(fresh[0].id);
        busy.ended(fresh[0].id);
        fresh[1..].iter().for_each(|command| busy.put_off(command.id));
        fresh[0].id
    }

    #[test]
    fn those_that_take_many_looks_take_turns() {
        let mut busy = Busy::default();
        let turns: Vec<i64> = (0..7).map(|_| look(&mut busy, &[1, 2, 3])).collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn what_nobody_waits_for_comes_last() {
        let mut busy = Busy::default();
        let expire = Command { kind: Kind::Expire, ..command(1) };
        busy.put_off(1);
        let fresh = busy.fresh(vec![expire, command(2)]);
        assert_eq!(fresh.iter().map(|command| command.id).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn what_has_ended_is_not_remembered() {
        let mut busy = Busy::default();
        look(&mut busy, &[1, 2, 3]);
        look(&mut busy, &[3]);
        assert!(busy.put_off.is_empty() && busy.being.is_empty());
    }
}
