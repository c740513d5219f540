//! The one task that decides for this worker's shards. It holds the schedule, and talks to everything that waits (the
//! database, the destinations, the lease keeper) by messages, so that nothing it knows is ever shared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use entity::change::Changed;
use entity::command::{self, Command};
use entity::delivery::SHARDS;
use entity::finish::{self, Fate, Write};
use entity::pending::{self, Due};
use entity::shard::Lease;
use entity::wake::Wake;
use entity::{Database, DbErr, work};
use relay::clock::Clock;
use relay::id::{DeliveryId, DestinationId};
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::deliver::Sender;
use crate::lease::{self, Leases};
use crate::reader::{Page, Reader};
use crate::schedule::line::Reading;
use crate::schedule::tickets::Ticket;
use crate::schedule::{Ended, Met, Schedule, Start};

/// What the owner hears.
#[derive(Debug)]
pub(crate) enum Message {
    /// A shard is ours.
    Acquired(Lease),
    /// A renewal said "not yours".
    Lost(i16),
    /// We own more than our share; one shard is handed over at a time.
    HandOver,
    /// A durable commit on an old connection came after this many acknowledgements.
    Durable(u64),
    /// The connection of the renewals is a new one: the database may have crashed.
    Doubtful,
    /// A page of what is due.
    Loaded(Page, Result<Vec<Due>, DbErr>),
    /// Parked rows of a destination.
    TookBack(DestinationId, Reading, Ticket, Result<Vec<Due>, DbErr>),
    /// Destinations of a shard that have parked rows.
    Discovered(Lease, Vec<DestinationId>),
    /// An attempt ended.
    Ended(DeliveryId, Lease, Ended),
    /// A batch was written, or not.
    Written(Vec<Write>, Result<Vec<Fate>, DbErr>),
    /// Commands of the api.
    Commands(Vec<Command>),
    /// The rows that a command is about.
    CommandRows(Command, Vec<Due>),
    /// A shard was given back.
    Released(Lease),
}

/// Rows written in one statement.
const BATCH: usize = 256;
/// Payloads read in one statement.
const FETCH: usize = 64;
/// Reads of parked rows at a time.
const TAKE_BACKS: usize = 4;
/// After a fault of our own, so long nothing is tried.
const BREATH: Duration = Duration::from_millis(200);
/// How often commands are looked for, and whether a hand-over has drained.
const COMMANDS_EVERY: Duration = Duration::from_millis(200);
/// Rule D: how often parked destinations are looked for.
const DISCOVER_EVERY: Duration = Duration::from_secs(30);
/// A hand-over waits for what is in flight: no attempt is longer than 30 s.
const DRAIN: Duration = Duration::from_secs(35);

pub(crate) struct Owner {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) id: Uuid,
    pub(crate) wake: Wake,
    pub(crate) leases: Arc<Leases>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Message>,
    pub(crate) outbox: mpsc::UnboundedSender<Message>,
    pub(crate) tracker: TaskTracker,
    pub(crate) state: State,
}

/// What the owner remembers between messages.
pub(crate) struct State {
    schedule: Schedule,
    reader: Reader,
    /// Rule E: attempts of a shard that have not ended, whoever owns it now.
    running: HashMap<i16, usize>,
    /// Rule R: written under a shard that seemed not ours; a renewal will say.
    fenced: Vec<Write>,
    /// Commands whose write is under way, by the delivery they are about.
    carried_out: HashMap<DeliveryId, Vec<i64>>,
    handing_over: Option<Lease>,
    writing: bool,
    batch: usize,
    not_before: Instant,
    commanded_at: Instant,
    discovered_at: Instant,
    stopping: bool,
}

impl State {
    pub(crate) fn new(durable_at_once: bool) -> Self {
        let now = Instant::now();
        Self {
            schedule: Schedule::new(durable_at_once),
            reader: Reader::new(now),
            running: HashMap::new(),
            fenced: Vec::new(),
            carried_out: HashMap::new(),
            handing_over: None,
            writing: false,
            batch: BATCH,
            not_before: now,
            commanded_at: now,
            discovered_at: now,
            stopping: false,
        }
    }
}

impl Owner {
    /// Runs until `stop`, then drains, hands every shard over and returns.
    pub(crate) async fn run(mut self, stop: CancellationToken, mut news: broadcast::Receiver<Changed>) {
        let mut deadline = None;
        loop {
            let next_look = self.next_look();
            tokio::select! {
                Some(message) = self.inbox.recv() => self.hear(message),
                changed = news.recv() => self.changed(&changed),
                () = self.wake.rung() => self.state.reader.hurry(Instant::now()),
                () = stop.cancelled(), if !self.state.stopping => {
                    self.stop();
                    deadline = Some(Instant::now() + DRAIN);
                }
                () = tokio::time::sleep_until(next_look) => {}
            }
            for _ in 0..BATCH {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.hear(message);
            }
            self.act();
            if self.state.stopping && (self.is_drained() || deadline.is_some_and(|end| Instant::now() > end)) {
                return self.release_all().await;
            }
        }
    }

    fn next_look(&self) -> Instant {
        let commands = self.state.commanded_at + COMMANDS_EVERY;
        self.state.reader.next_look().min(commands).max(Instant::now() + Duration::from_millis(1))
    }

    fn hear(&mut self, message: Message) {
        let state = &mut self.state;
        match message {
            Message::Acquired(lease) => self.acquired(lease),
            Message::Lost(shard) => state.forget(shard),
            Message::HandOver => self.hand_over(),
            Message::Durable(stamp) => {
                state.schedule.durable(stamp);
                self.rewrite_fenced();
            }
            Message::Doubtful => {
                state.schedule.rewrite();
                self.rewrite_fenced();
            }
            Message::Loaded(page, rows) => self.loaded(&page, rows),
            Message::TookBack(destination, reading, ticket, rows) => {
                let rows = rows.map_err(|error| fault(&error, "parked rows were not read")).ok();
                state.schedule.took_back(destination, reading, ticket, rows);
            }
            Message::Discovered(lease, destinations) => self.discovered(lease, destinations),
            Message::Ended(id, lease, ended) => self.ended(id, lease, ended),
            Message::Written(batch, fates) => self.written(batch, fates),
            Message::Commands(commands) => self.commands(commands),
            Message::CommandRows(command, rows) => self.command_rows(command, &rows),
            Message::Released(lease) => state.forget(lease.shard),
        }
    }

    /// After every message: write what ended, start what may start, read what is wanted.
    fn act(&mut self) {
        let now = Instant::now();
        self.write(now);
        self.finish_hand_over();
        if self.state.stopping {
            return;
        }
        if now >= self.state.not_before {
            self.start();
        }
        self.take_back();
        self.read(now);
        if now >= self.state.commanded_at + COMMANDS_EVERY {
            self.state.commanded_at = now;
            self.look_for_commands();
        }
        if now >= self.state.discovered_at + DISCOVER_EVERY {
            self.state.discovered_at = now;
            self.leases.held().into_iter().for_each(|lease| self.discover(lease));
        }
    }

    fn acquired(&mut self, lease: Lease) {
        self.state.forget(lease.shard);
        self.state.reader.restart(lease.shard);
        self.discover(lease);
    }

    fn changed(&mut self, changed: &Result<Changed, broadcast::error::RecvError>) {
        match changed {
            Ok(Changed::Destination(id)) => self.state.schedule.reopen(*id),
            Ok(_) => {}
            Err(_) => self.state.schedule.reopen_all(),
        }
    }

    fn start(&mut self) {
        let starts = self.state.schedule.start();
        for chunk in starts.chunks(FETCH) {
            for start in chunk {
                *self.state.running.entry(start.due.shard).or_default() += 1;
            }
            let (db, sender, outbox) = (self.db.clone(), Arc::clone(&self.sender), self.outbox.clone());
            let (tracker, chunk) = (self.tracker.clone(), chunk.to_vec());
            self.tracker.spawn(async move { fetch_and_attempt(&db, &sender, &outbox, &tracker, chunk).await });
        }
    }

    fn ended(&mut self, id: DeliveryId, lease: Lease, ended: Ended) {
        if let Some(running) = self.state.running.get_mut(&lease.shard) {
            *running = running.saturating_sub(1);
        }
        if matches!(ended, Ended::Aborted) {
            self.state.not_before = Instant::now() + BREATH;
        }
        self.state.schedule.ended(id, lease.epoch, ended);
    }

    fn read(&mut self, now: Instant) {
        if !self.state.schedule.has_room() || now < self.state.not_before {
            return;
        }
        let running = &self.state.running;
        let draining = self.state.handing_over.map(|lease| lease.shard);
        let shards: Vec<i16> = (0..SHARDS)
            .filter(|shard| self.leases.epoch(*shard).is_some() && Some(*shard) != draining)
            .filter(|shard| !self.state.reader.is_new(*shard) || running.get(shard).is_none_or(|count| *count == 0))
            .collect();
        let present = self.clock.now();
        let tickets = &mut self.state.schedule.tickets;
        let Some(page) = self.state.reader.next((now, present), &shards, tickets) else { return };
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.tracker.spawn(async move {
            let rows = pending::load_due(&db, &page.cursors, present).await;
            let _ = outbox.send(Message::Loaded(page, rows));
        });
    }

    fn loaded(&mut self, page: &Page, rows: Result<Vec<Due>, DbErr>) {
        let now = Instant::now();
        match rows {
            Ok(rows) => {
                for due in &rows {
                    if let Some(epoch) = self.leases.epoch(due.shard) {
                        self.state.schedule.offer(*due, epoch, page.ticket);
                    }
                }
                self.state.schedule.tickets.close(page.ticket);
                self.state.reader.read(now, page, &rows);
            }
            Err(error) => {
                fault(&error, "what is due was not read");
                self.state.schedule.tickets.close(page.ticket);
                self.state.reader.failed(now);
                self.state.not_before = now + BREATH;
            }
        }
        self.state.schedule.dig_up();
    }

    fn take_back(&mut self) {
        for (destination, shard, reading, ticket) in self.state.schedule.take_back(TAKE_BACKS) {
            let (db, outbox) = (self.db.clone(), self.outbox.clone());
            self.tracker.spawn(async move {
                let rows = pending::take_back(&db, shard, destination, reading.after, reading.limit).await;
                let _ = outbox.send(Message::TookBack(destination, reading, ticket, rows));
            });
        }
    }

    fn discover(&self, lease: Lease) {
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.tracker.spawn(async move {
            match pending::parked_destinations(&db, lease.shard).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => drop(outbox.send(Message::Discovered(lease, found))),
                Err(error) => fault(&error, "parked destinations were not looked for"),
            }
        });
    }

    fn discovered(&mut self, lease: Lease, destinations: Vec<DestinationId>) {
        if self.leases.epoch(lease.shard) == Some(lease.epoch) {
            for destination in destinations {
                self.state.schedule.discovered(destination, lease.shard, lease.epoch);
            }
        }
    }

    fn write(&mut self, now: Instant) {
        if self.state.writing || now < self.state.not_before || !self.state.schedule.has_writes() {
            return;
        }
        self.state.writing = true;
        let batch = self.state.schedule.writes(self.state.batch);
        let (db, outbox, owner, present) = (self.db.clone(), self.outbox.clone(), self.id, self.clock.now());
        self.tracker.spawn(async move {
            let fates = finish::write(&db, owner, &batch, present).await;
            let _ = outbox.send(Message::Written(batch, fates));
        });
    }

    /// A batch that fails for its data is cut down until the bad one stands alone; that one goes to the end of the line.
    fn written(&mut self, batch: Vec<Write>, fates: Result<Vec<Fate>, DbErr>) {
        let state = &mut self.state;
        state.writing = false;
        match fates {
            Ok(fates) => {
                let done: Vec<i64> =
                    batch.iter().filter_map(|write| state.carried_out.remove(&write.row.id)).flatten().collect();
                let fenced = state.schedule.written(batch, &fates);
                if !fenced.is_empty() {
                    state.fenced.extend(fenced);
                    self.leases.hurry.notify_one();
                }
                state.batch = (state.batch * 2).min(BATCH);
                self.leases.stamp.store(state.schedule.stamp(), std::sync::atomic::Ordering::Release);
                self.commands_done(done);
            }
            Err(error) => {
                fault(&error, "outcomes were not written and are kept");
                state.not_before = Instant::now() + BREATH;
                if entity::database::is_away(&error) {
                    state.schedule.unwritten(batch);
                } else if let [_] = batch.as_slice() {
                    state.schedule.write_later(batch);
                } else {
                    state.batch = (batch.len() / 2).max(1);
                    state.schedule.unwritten(batch);
                }
            }
        }
    }

    /// Rule R: after a renewal it is known whose the shards are.
    fn rewrite_fenced(&mut self) {
        let ours = |write: &Write| self.leases.epoch(write.row.shard) == Some(write.row.epoch);
        let kept: Vec<Write> = std::mem::take(&mut self.state.fenced).into_iter().filter(ours).collect();
        self.state.schedule.unwritten(kept);
    }

    fn look_for_commands(&self) {
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.tracker.spawn(async move {
            match command::waiting(&db.read).await {
                Ok(commands) if commands.is_empty() => {}
                Ok(commands) => drop(outbox.send(Message::Commands(commands))),
                Err(error) => fault(&error, "commands were not read"),
            }
        });
    }

    fn commands(&mut self, commands: Vec<Command>) {
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

    fn command_rows(&mut self, command: Command, rows: &[Due]) {
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

    fn commands_done(&self, done: Vec<i64>) {
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

    /// Rule H: stop starting, wait, flush, then release.
    fn hand_over(&mut self) {
        if self.state.handing_over.is_none()
            && let Some(lease) = self.leases.held().pop()
        {
            tracing::info!(shard = lease.shard, "handing a shard over");
            self.state.schedule.drain(lease.shard);
            self.state.handing_over = Some(lease);
        }
    }

    fn finish_hand_over(&mut self) {
        let Some(lease) = self.state.handing_over else { return };
        if self.leases.epoch(lease.shard) != Some(lease.epoch) {
            self.state.handing_over = None;
        } else if self.state.is_drained(lease.shard) {
            self.state.handing_over = None;
            let (db, id, leases, outbox) = (self.db.clone(), self.id, Arc::clone(&self.leases), self.outbox.clone());
            self.tracker.spawn(async move {
                if let Err(error) = lease::release(&db, id, &leases, lease).await {
                    fault(&error, "a shard was not released; its lease will expire");
                }
                let _ = outbox.send(Message::Released(lease));
            });
        }
    }

    fn stop(&mut self) {
        self.state.stopping = true;
        self.leases.held().into_iter().for_each(|lease| self.state.schedule.drain(lease.shard));
    }

    fn is_drained(&self) -> bool {
        self.state.schedule.in_flight() == 0 && !self.state.schedule.has_writes() && !self.state.writing
    }

    async fn release_all(self) {
        for lease in self.leases.held() {
            if let Err(error) = lease::release(&self.db, self.id, &self.leases, lease).await {
                fault(&error, "a shard was not released; its lease will expire");
            }
        }
        if let Err(error) = entity::shard::leave(&self.db, &self.clock, self.id).await {
            fault(&error, "this worker's heartbeat was not taken away; it will expire");
        }
    }
}

impl State {
    /// Rule R: all memory of a shard at once.
    fn forget(&mut self, shard: i16) {
        self.schedule.forget(shard);
        self.reader.forget(shard);
        self.fenced.retain(|write| write.row.shard != shard);
    }

    fn is_drained(&self, shard: i16) -> bool {
        self.schedule.is_drained(shard) && !self.fenced.iter().any(|write| write.row.shard == shard)
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

/// Reads the payloads of a chunk in one statement, then makes its attempts side by side.
async fn fetch_and_attempt(
    db: &Database,
    sender: &Arc<Sender>,
    outbox: &mpsc::UnboundedSender<Message>,
    tracker: &TaskTracker,
    chunk: Vec<Start>,
) {
    let keys: Vec<_> = chunk.iter().map(|start| (start.due.tenant_id, start.due.event_id)).collect();
    let works = match work::read(db, &keys).await {
        Ok(works) => works,
        Err(error) => {
            fault(&error, "payloads were not read; their deliveries wait");
            for start in &chunk {
                let _ = outbox.send(Message::Ended(start.due.id, lease_of(start), Ended::Aborted));
            }
            return;
        }
    };
    for start in chunk {
        let work = works.get(&start.due.event_id).cloned();
        let (sender, outbox) = (Arc::clone(sender), outbox.clone());
        tracker.spawn(async move {
            let ended = sender.attempt(&start, work.as_ref()).await;
            let _ = outbox.send(Message::Ended(start.due.id, lease_of(&start), ended));
        });
    }
}

fn lease_of(start: &Start) -> Lease {
    Lease { shard: start.due.shard, epoch: start.epoch }
}

fn fault(error: &DbErr, what: &str) {
    tracing::error!(error = error as &dyn std::error::Error, "{what}");
}
