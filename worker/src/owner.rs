//! The one task that decides for this worker's shards. It holds the schedule, and talks to everything that waits (the
//! database, the destinations, the lease keeper) by messages, so that nothing it knows is ever shared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use entity::change::Changed;
use entity::command::Command;
use entity::configuration::News;
use entity::finish::{Fate, Write};
use entity::health::Turn;
use entity::pending::{Due, Head};
use entity::shard::Lease;
use entity::stat::Statistics;
use entity::wake::Wake;
use entity::{Database, DbErr, destination};
use relay::clock::Clock;
use relay::id::{DestinationId, TenantId};
use relay::process::vital;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::deliver::Sender;
use crate::handed::{Hand, Handed, Works};
use crate::lease::Leases;
use crate::pulse::Pulse;
use crate::reader::{Page, Reader};
use crate::schedule::asking::{Probe, Question};
use crate::schedule::lanes::Wanted;
use crate::schedule::parked::Reading;
use crate::schedule::tickets::Ticket;
use crate::schedule::{Ended, Schedule, Start};

mod asking;
mod commands;
mod hand_over;
mod health;
pub(crate) mod numbers;
mod reading;
mod sending;
mod telling;
mod writing;

/// What the owner hears.
#[derive(Debug)]
pub(crate) enum Message {
    /// A shard is ours. It was asked for at this boot time.
    Acquired(Lease, Duration),
    /// A renewal said "not yours".
    Lost(Lease),
    /// We own more than our share; one shard is handed over at a time.
    HandOver,
    /// A durable commit on an old connection came after this many acknowledgements.
    Durable(u64),
    /// The connection of the renewals is a new one: the database may have crashed.
    Doubtful,
    /// The api of this process committed something.
    Handed(Handed),
    /// A page of what is due.
    Loaded(Page, Result<Vec<Due>, DbErr>),
    /// Parked rows of a destination.
    TookBack(DestinationId, Reading, Ticket, Result<Vec<Due>, DbErr>),
    /// Who is first in these lines.
    Headed(Wanted, Ticket, Result<Vec<(Head, Due)>, DbErr>),
    /// Destinations of a shard that have parked rows, and whose they are.
    Discovered(Lease, Vec<(TenantId, DestinationId)>),
    /// Payloads were read, or not.
    Fetched,
    /// What a destination wants.
    Answered(Vec<Question>, Result<Vec<Option<Arc<destination::Model>>>, DbErr>),
    /// The oldest row of a disabled destination.
    Oldest(Probe, Result<Option<Due>, DbErr>),
    /// Which destinations of a shard fail, and since when.
    Recalled(Lease, u64, Vec<(DestinationId, i64)>),
    /// It was written which began to fail and which are well, or not.
    Turned(Vec<Turn>, Result<(), DbErr>),
    /// A destination was disabled or healed, or it was not to be.
    Stepped(DestinationId),
    /// An attempt ended.
    Ended(Start, Ended),
    /// A batch was written, or not.
    Written(Vec<Write>, Result<Vec<Fate>, DbErr>),
    /// Commands of the api.
    Commands(Vec<Command>),
    /// The rows that a command is about.
    CommandRows(Command, Result<Vec<Due>, DbErr>),
    /// Nothing is left of a command.
    CommandEnded(i64),
    /// A shard was given back.
    Released(Lease),
}

/// Rows written in one statement.
const BATCH: usize = 256;
/// An outcome waits so long for others to be written with it: a statement costs more than a row.
const LINGER: Duration = Duration::from_millis(10);
/// Payloads read in one statement, and statements at a time.
const FETCH: usize = 64;
const FETCHES: usize = 2;
/// After a fault of our own, so long nothing is tried; while it lasts, longer each time, up to the longest: a database or
/// a proxy that comes back should not meet everything at once, nor wait long for us.
const BREATH: Duration = Duration::from_millis(200);
const LONGEST_BREATH: Duration = Duration::from_secs(5);
/// So many outcomes are remembered until a renewal has made them durable; then one is asked for early, but not more often
/// than this.
const REMEMBERED: usize = 10_000;
const DURABLE_EVERY: Duration = Duration::from_secs(1);
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
    pub(crate) statistics: Statistics,
    pub(crate) sender: Arc<Sender>,
    pub(crate) numbers: numbers::Numbers,
    pub(crate) pulse: Pulse,
    pub(crate) inbox: mpsc::UnboundedReceiver<Message>,
    pub(crate) outbox: mpsc::UnboundedSender<Message>,
    pub(crate) tracker: TaskTracker,
    pub(crate) state: State,
}

/// What the owner remembers between messages.
pub(crate) struct State {
    schedule: Schedule,
    reader: Reader,
    works: Works,
    /// Bytes of bodies that were handed over and not heard of yet.
    on_the_way: Arc<AtomicUsize>,
    /// Attempts whose payloads are to be read, and reads under way.
    unread: sending::Unread,
    fetching: usize,
    /// Rule E: attempts of a shard that have not ended, whoever owns it now.
    running: HashMap<i16, usize>,
    /// Shards whose parked destinations were not looked for yet (rule D).
    undiscovered: HashSet<i16>,
    /// What waits for the next renewal: written under a shard that seemed not ours (rule R), or refused for its data.
    aside: Vec<Write>,
    busy: commands::Busy,
    /// The database took no write the last time: nothing more is sent that could not be written down.
    cannot_write: bool,
    /// Reads that are under way: of parked rows, of who is first in line, of what destinations want.
    taking_back: usize,
    reading_heads: usize,
    asking: usize,
    health: health::Health,
    handing_over: Option<Lease>,
    writing: bool,
    /// When what is not written yet began to wait.
    unwritten_since: Option<Instant>,
    batch: usize,
    not_before: Instant,
    /// How long nothing is tried after the next fault of our own.
    breath: Duration,
    commanded_at: Instant,
    /// When a renewal was last asked for to forget by.
    hurried_at: Instant,
    discovered_at: Instant,
    /// Whether any attempt comes to something or anything is written; whether anything is written.
    still: telling::Stillness,
    unwritten_still: telling::Stillness,
    told_at: Instant,
    stopping: bool,
}

impl State {
    pub(crate) fn new(durable_at_once: bool) -> Self {
        let now = Instant::now();
        Self {
            schedule: Schedule::new(durable_at_once),
            reader: Reader::new(now),
            works: Works::default(),
            on_the_way: Arc::default(),
            unread: sending::Unread::default(),
            fetching: 0,
            running: HashMap::new(),
            undiscovered: HashSet::new(),
            aside: Vec::new(),
            busy: commands::Busy::default(),
            cannot_write: false,
            taking_back: 0,
            reading_heads: 0,
            asking: 0,
            health: health::Health::default(),
            handing_over: None,
            writing: false,
            unwritten_since: None,
            batch: BATCH,
            not_before: now,
            breath: BREATH,
            commanded_at: now,
            hurried_at: now,
            discovered_at: now,
            still: telling::Stillness::default(),
            unwritten_still: telling::Stillness::default(),
            told_at: now,
            stopping: false,
        }
    }
}

impl Owner {
    /// Runs until `stop`, then drains, hands every shard over and returns.
    pub(crate) async fn run(mut self, stop: CancellationToken, mut news: broadcast::Receiver<News>) {
        let mut deadline = None;
        loop {
            let next_look = self.next_look();
            tokio::select! {
                Some(message) = self.inbox.recv() => self.hear(message),
                changed = news.recv() => self.changed(&changed),
                () = self.wake.rung() => self.hurry(),
                () = self.sender.launches.fewer() => self.tell_the_time(),
                () = stop.cancelled(), if !self.state.stopping => {
                    self.stop();
                    deadline = Some(Instant::now() + DRAIN);
                }
                () = tokio::time::sleep_until(next_look) => self.tell_the_time(),
            }
            for _ in 0..BATCH {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.hear(message);
            }
            self.act();
            if self.state.stopping && (self.is_drained() || deadline.is_some_and(|end| Instant::now() > end)) {
                return self.let_all_go();
            }
        }
    }

    fn next_look(&self) -> Instant {
        let commands = self.state.commanded_at + COMMANDS_EVERY;
        let write = self.state.unwritten_since.filter(|_| !self.state.writing).map(|since| since + LINGER);
        let look = self.state.reader.next_look().min(commands).min(self.next_start().unwrap_or(commands));
        let look = look.min(write.map_or(commands, |at| at.max(self.state.not_before)));
        look.max(Instant::now() + Duration::from_millis(1))
    }

    /// When something may start that waits only for its time.
    fn next_start(&self) -> Option<Instant> {
        let at = self.state.schedule.next_start().filter(|_| self.state.can_write_down() && !self.state.stopping)?;
        let start = Instant::now() + at.saturating_sub(self.clock.boot());
        Some(start.max(self.state.not_before))
    }

    /// What the owner hears of when it is done; it would wait for ever for what panicked.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(vital(work));
    }

    fn tell_the_time(&mut self) {
        self.state.schedule.at(self.clock.boot(), self.clock.now());
    }

    fn hear(&mut self, message: Message) {
        self.tell_the_time();
        let state = &mut self.state;
        match message {
            Message::Acquired(lease, asked_at) => self.acquired(lease, asked_at),
            Message::Lost(lease) | Message::Released(lease) => self.gone(lease),
            Message::HandOver => self.hand_over(),
            Message::Durable(stamp) => {
                state.schedule.durable(stamp);
                self.write_again();
            }
            Message::Doubtful => {
                state.schedule.rewrite();
                self.write_again();
            }
            Message::Handed(handed) => self.handed(handed),
            Message::Loaded(page, rows) => self.loaded(page, rows),
            Message::TookBack(destination, reading, ticket, rows) => {
                state.taking_back = state.taking_back.saturating_sub(1);
                let rows = rows.map_err(|error| fault(&error, "parked rows were not read")).ok();
                state.schedule.took_back(destination, reading, ticket, rows);
            }
            Message::Headed(wanted, ticket, found) => self.headed(wanted, ticket, found),
            Message::Discovered(lease, destinations) => self.discovered(lease, destinations),
            Message::Fetched => state.fetching = state.fetching.saturating_sub(1),
            Message::Answered(questions, found) => self.answered(questions, found),
            Message::Oldest(probe, found) => self.probe(probe, found),
            Message::Recalled(lease, turned, failing) => self.recalled(lease, turned, failing),
            Message::Turned(turns, result) => self.turned(&turns, result),
            Message::Stepped(destination) => self.stepped(destination),
            Message::Ended(start, ended) => self.ended(&start, ended),
            Message::Written(batch, fates) => self.written(batch, fates),
            Message::Commands(commands) => self.commands(commands),
            Message::CommandRows(command, rows) => self.command_rows(command, rows),
            Message::CommandEnded(command) => state.busy.ended(command),
        }
    }

    /// Something may be due.
    fn hurry(&mut self) {
        self.state.reader.hurry(Instant::now());
    }

    /// Where the api of the same process hands over what it commits.
    pub(crate) fn hand(&self) -> Arc<Hand> {
        Arc::new(Hand {
            tickets: self.state.schedule.tickets.clone(),
            leases: Arc::clone(&self.leases),
            clock: self.clock.clone(),
            owner: self.outbox.clone(),
            on_the_way: Arc::clone(&self.state.on_the_way),
            begun: std::sync::Mutex::default(),
        })
    }

    /// After every message: write what ended, start what may start, read what is wanted.
    fn act(&mut self) {
        let now = Instant::now();
        self.write(now);
        self.write_turns(now);
        self.fetch();
        self.finish_hand_over();
        if self.state.stopping {
            return self.hasten();
        }
        self.tell_the_time();
        if now >= self.state.not_before {
            self.ask();
            self.read_heads();
        }
        if now >= self.state.not_before && self.state.can_write_down() {
            self.start();
            self.look_for_probes();
        }
        self.discover_new();
        self.take_back();
        self.read(now);
        if now >= self.state.commanded_at + COMMANDS_EVERY {
            self.state.commanded_at = now;
            self.look_for_commands();
        }
        if now >= self.state.discovered_at + DISCOVER_EVERY {
            self.state.discovered_at = now;
            self.state.schedule.ask_the_stuck();
            self.state.schedule.retire_all();
            self.discover_all();
        }
        self.tell(now);
    }

    /// The shard is held from here on, and not a moment before its old memory is gone. It is read once it is known how its
    /// destinations are.
    fn acquired(&mut self, lease: Lease, asked_at: Duration) {
        if self.state.stopping {
            return self.give_back(lease);
        }
        self.state.forget(lease.shard);
        self.leases.hold(lease, asked_at);
        self.state.schedule.hold(lease.shard);
        self.state.undiscovered.insert(lease.shard);
        self.recall(lease);
    }

    /// The shard is not ours any more under this epoch; it may be again under a newer one.
    fn gone(&mut self, lease: Lease) {
        if self.leases.epoch(lease.shard).is_none_or(|epoch| epoch == lease.epoch) {
            self.state.forget(lease.shard);
        }
    }

    fn changed(&mut self, changed: &Result<News, broadcast::error::RecvError>) {
        match changed {
            Ok(News::Changed(Changed::Destination(id))) => {
                self.state.schedule.ask_again(*id);
                self.recall_if_failing(*id);
            }
            Ok(News::Changed(Changed::Payload(event))) => self.state.works.forget(*event),
            Ok(News::Everything | News::Changed(Changed::Tenant(_))) | Err(_) => {
                self.state.works = Works::default();
                self.state.schedule.ask_all();
                self.leases.held().into_iter().for_each(|lease| self.recall(lease));
            }
            Ok(News::Changed(_)) => {}
        }
    }
}

impl State {
    /// Rule R: all memory of a shard at once.
    fn forget(&mut self, shard: i16) {
        self.schedule.forget(shard);
        self.reader.forget(shard);
        self.undiscovered.remove(&shard);
        self.aside.retain(|write| write.row.shard != shard);
        self.busy.forget(shard);
        self.health.forget(shard);
        // What could not be written may just have been forgotten: then nobody would find out that the database is back.
        self.cannot_write &= self.schedule.has_writes();
    }

    /// What is sent now could be lost to a crash until it is written: so only a little of it may wait.
    fn can_write_down(&self) -> bool {
        !self.cannot_write && self.schedule.unwritten_count() < 4 * BATCH
    }

    /// Whether attempts of this shard have not ended, under whichever epoch they began.
    fn is_running(&self, shard: i16) -> bool {
        self.running.get(&shard).is_some_and(|count| *count > 0)
    }

    fn is_drained(&self, shard: i16) -> bool {
        self.schedule.is_drained(shard) && !self.aside.iter().any(|write| write.row.shard == shard)
    }
}

fn fault(error: &DbErr, what: &str) {
    tracing::error!(error = error as &dyn std::error::Error, "{what}");
}
