//! The world: what is under way, in the order in which it arrives, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::call::{Call, Ingest};
use crate::database::Database;
use crate::dice::Dice;
use crate::ledger::{Ledger, Violation};
use crate::rules::Rules;
use crate::statement::{Answer, HOSTS, Owner, Row, Statement};
use crate::times::{CALM, RESTLESS, TICK};
use crate::worker::{Effect, Outcome, Request, Worker};

mod faults;
mod people;
mod requests;
mod statements;

use statements::PEOPLE;

/// What happens at its time.
#[derive(Debug)]
enum Event {
    /// A worker looks around.
    Tick(Owner),
    /// A statement arrives at the database.
    Arrives(usize),
    Commits(usize),
    Answered(usize, Answer),
    /// Whoever asked hears that the connection is lost.
    GivenUp(Owner, Call),
    /// A request is about to be written to its socket.
    Sends(Owner, usize),
    Responds(Owner, usize, Outcome),
    /// What was committed reaches the worker of the same process.
    Handed(Ingest, Vec<Row>, Owner),
    Rings(Owner),
    /// Somebody wants something, or something breaks.
    Happens,
    /// An event comes in.
    Accepts(usize),
    /// A process starts.
    Starts(usize),
    Recovers,
    Calms,
}

/// A statement that was sent.
#[derive(Debug)]
struct Ask {
    owner: Owner,
    call: Call,
    statement: Statement,
    /// In which life of the database.
    generation: usize,
    /// Whoever asked was told that the connection is lost.
    is_given_up: bool,
}

/// An attempt that has started.
#[derive(Debug)]
struct Sending {
    request: Request,
    is_on_the_wire: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Host {
    is_alive: bool,
    life: usize,
    /// It is frozen until then.
    asleep_until: i64,
    /// It does not reach the database until then.
    cut_until: i64,
}

pub(crate) struct World {
    rules: Rules,
    dice: Dice,
    now: i64,
    queue: BTreeMap<(i64, usize), Event>,
    /// Counts everything that gets a number.
    count: usize,
    database: Database,
    workers: [Worker; HOSTS],
    hosts: [Host; HOSTS],
    asks: BTreeMap<usize, Ask>,
    sending: BTreeMap<(Owner, usize), Sending>,
    acknowledged: BTreeSet<usize>,
    is_calm: bool,
    ledger: Ledger,
}

impl World {
    pub(crate) fn new(seed: u64, rules: Rules, has_faults: bool) -> Self {
        let mut dice = Dice::new(seed);
        let workers = [0, 1, 2].map(|host| Worker::new(Owner { host, life: 0 }, rules, dice.between(0, 1_000_000)));
        Self {
            rules,
            dice,
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            database: Database::new(rules),
            workers,
            hosts: [Host { is_alive: true, ..Host::default() }; HOSTS],
            asks: BTreeMap::new(),
            sending: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            is_calm: false,
            ledger: Ledger::new(has_faults),
        }
    }

    /// A while of everything, then a while of peace, in which all must end.
    pub(crate) fn run(mut self) -> Ledger {
        for host in 0..HOSTS {
            self.soon(Event::Tick(self.workers[host].owner));
        }
        self.soon(Event::Happens);
        self.at(RESTLESS, Event::Calms);
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.happens(event);
            if self.ledger.found.is_some() || self.is_calm && self.is_over() {
                break;
            }
            if self.now > RESTLESS + CALM {
                let left: Vec<Row> = self.database.rows.values().copied().collect();
                self.ledger.violates(Violation::Forgotten, || format!("{left:?}"));
            }
        }
        if let Some(lost) = self.acknowledged.difference(&self.database.events).next().copied() {
            self.ledger.violates(Violation::Lost, || format!("event {lost}"));
        }
        self.ledger
    }

    fn is_over(&self) -> bool {
        let is_ingesting = self.asks.values().any(|ask| matches!(ask.statement, Statement::Ingest { .. }));
        self.database.rows.is_empty() && !is_ingesting
    }

    fn at(&mut self, at: i64, event: Event) {
        self.count += 1;
        self.queue.insert((at, self.count), event);
    }

    fn after(&mut self, delay: i64, event: Event) {
        self.at(self.now + delay, event);
    }

    /// As soon as messages arrive.
    fn soon(&mut self, event: Event) {
        let delay = self.dice.latency();
        self.after(delay, event);
    }

    fn happens(&mut self, event: Event) {
        if let Some(owner) = self.whose(&event) {
            let host = self.hosts[owner.host];
            if !self.is_alive(owner) {
                return self.unheard(&event);
            }
            if host.asleep_until > self.now {
                let delay = host.asleep_until - self.now + self.dice.between(0, TICK / 2);
                return self.after(delay, event);
            }
        }
        match event {
            Event::Tick(owner) => {
                self.check_what_is_denied(owner);
                self.acts(owner);
                let delay = self.dice.between(TICK / 2, TICK);
                self.after(delay, Event::Tick(owner));
            }
            Event::Arrives(ask) => self.arrives(ask),
            Event::Commits(ask) => self.commits(ask),
            Event::Answered(ask, answer) => self.answered(ask, answer),
            Event::GivenUp(owner, call) => self.hears(owner, call, Answer::Lost),
            Event::Sends(owner, number) => self.sends(owner, number),
            Event::Responds(owner, number, outcome) => self.responds(owner, number, outcome),
            Event::Handed(ingest, rows, owner) => {
                self.workers[owner.host].handed(&ingest, &rows);
                self.acts(owner);
            }
            Event::Rings(owner) => {
                self.workers[owner.host].ring();
                self.acts(owner);
            }
            Event::Happens => self.something_happens(),
            Event::Accepts(host) => self.accepts(host),
            Event::Starts(host) => self.starts(host),
            Event::Recovers => self.database.is_up = true,
            Event::Calms => self.calms(),
        }
    }

    /// Who has to be awake for it.
    fn whose(&self, event: &Event) -> Option<Owner> {
        let owner = match event {
            Event::Tick(owner)
            | Event::GivenUp(owner, _)
            | Event::Sends(owner, _)
            | Event::Responds(owner, ..)
            | Event::Handed(.., owner)
            | Event::Rings(owner) => *owner,
            Event::Answered(ask, _) => self.asks.get(ask)?.owner,
            _ => return None,
        };
        Some(owner).filter(|owner| *owner != PEOPLE)
    }

    fn is_alive(&self, owner: Owner) -> bool {
        let host = &self.hosts[owner.host];
        host.is_alive && host.life == owner.life
    }

    fn unheard(&mut self, event: &Event) {
        if let Event::Answered(ask, _) = event {
            self.asks.remove(ask);
        }
    }

    /// A worker does what is to be done next.
    fn acts(&mut self, owner: Owner) {
        let worker = &mut self.workers[owner.host];
        worker.act(self.now);
        for effect in worker.effects() {
            match effect {
                Effect::Ask(call, statement) => self.asks(owner, call, statement),
                Effect::Start(request) => self.starts_request(owner, request),
                Effect::Abort(number) => self.aborts(owner, number),
                Effect::Meet(what) => self.ledger.meet(what),
                Effect::Ends => self.ends(owner),
            }
        }
    }

    /// Rule P: what a worker denies is not there.
    fn check_what_is_denied(&mut self, owner: Owner) {
        let worker = &self.workers[owner.host];
        for (destination, lease) in worker.denied() {
            let rows = self.database.parked(destination);
            if rows.is_empty() || !self.database.is_owned_by(owner, lease) {
                continue;
            }
            let remembered = worker.remembers(destination);
            if let Some(id) = rows.into_iter().find(|id| !remembered.contains(id)) {
                self.ledger.violates(Violation::ParkedDenied, || format!("{id} of {destination}"));
            }
        }
    }
}
