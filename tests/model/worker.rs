//! One life of a worker: what it holds, what it knows, what it hears and what it does next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::call::Call;
use crate::configuration::Configuration;
use crate::rules::Rules;
use crate::statement::{Answer, Lease, Owner, Row, Statement, Write};

mod leases;
mod memory;
mod parked;
mod reading;
mod sending;
pub(crate) mod tickets;

use leases::{Held, Keeper};
use memory::Known;
use parked::Parked;
use reading::Reader;
pub(crate) use sending::{Outcome, Request};
use tickets::Tickets;

/// What the world does for a worker.
#[derive(Debug)]
pub(crate) enum Effect {
    Ask(Call, Statement),
    Start(Request),
    /// The request with this number is given up.
    Abort(usize),
    /// This fault, mechanism or guard was met.
    Meet(&'static str),
    /// Everything is handed over.
    Ends,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) owner: Owner,
    rules: Rules,
    /// How far its boot-time clock is from anybody else's.
    offset: i64,
    held: BTreeMap<usize, Held>,
    known: BTreeMap<usize, Known>,
    pub(crate) tickets: Tickets,
    /// By destination.
    lines: BTreeMap<usize, Line>,
    keeper: Keeper,
    reader: Reader,
    pub(crate) configuration: Configuration,
    writes: VecDeque<Write>,
    /// Written under a shard that seemed not ours: it waits for the next renewal.
    aside: Vec<Write>,
    is_writing: bool,
    /// Writes that were acknowledged.
    stamp: usize,
    /// Requests that have not ended, whoever owns their shards now.
    requests: BTreeMap<usize, (usize, Lease)>,
    requested: usize,
    is_stopping: bool,
    effects: Vec<Effect>,
}

/// What is known of a destination.
#[derive(Debug)]
struct Line {
    lease: Lease,
    parked: Parked,
    /// Rule F: who is first is to be read.
    is_dirty: bool,
    is_heading: bool,
}

impl Worker {
    pub(crate) fn new(owner: Owner, rules: Rules, offset: i64) -> Self {
        Self {
            owner,
            rules,
            offset,
            held: BTreeMap::new(),
            known: BTreeMap::new(),
            tickets: Tickets::default(),
            lines: BTreeMap::new(),
            keeper: Keeper::default(),
            reader: Reader::default(),
            configuration: Configuration::new(rules),
            writes: VecDeque::new(),
            aside: Vec::new(),
            is_writing: false,
            stamp: 0,
            requests: BTreeMap::new(),
            requested: 0,
            is_stopping: false,
            effects: Vec::new(),
        }
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// After every message and every tick.
    pub(crate) fn act(&mut self, now: i64) {
        self.abort_at_the_fence(now);
        self.drop_what_seems_lost(now);
        self.renew(now);
        self.look_for_shards(now);
        self.finish_hand_over();
        self.write();
        self.load(now);
        self.discover_all(now);
        self.read_heads(now);
        self.take_back(now);
        self.start(now);
        for (call, statement) in self.configuration.asks(now) {
            self.ask(call, statement);
        }
    }

    pub(crate) fn hear(&mut self, call: Call, answer: Answer, now: i64) {
        match call {
            Call::Load(ticket, leases) => self.loaded(ticket, &leases, answer),
            Call::TakeBack(reading) => self.took_back(&reading, answer),
            Call::Head(destination, ticket, lease) => self.headed(destination, (ticket, lease), &answer, now),
            Call::Discover(lease) => self.discovered(lease, answer),
            Call::Write(batch, connection) => self.written(batch, connection, &answer),
            Call::Renew(renewal) => self.renewed(&renewal, &answer),
            Call::Acquire { asked_at } => self.acquired(asked_at, answer),
            Call::Release { lease, .. } => self.released(lease, &answer),
            Call::Look { began } => self.configuration.looked(began, &answer),
            Call::Fill { key, seen } => self.configuration.filled(key, seen, &answer),
            Call::Ingest(_) | Call::People => {}
        }
    }

    fn ask(&mut self, call: Call, statement: Statement) {
        self.effects.push(Effect::Ask(call, statement));
    }

    fn meet(&mut self, what: &'static str) {
        self.effects.push(Effect::Meet(what));
    }

    fn line(&mut self, destination: usize, lease: Lease) -> &mut Line {
        let new = Line { lease, parked: Parked::default(), is_dirty: false, is_heading: false };
        self.lines.entry(destination).or_insert(new)
    }

    fn known_of(&self, destination: usize) -> impl Iterator<Item = (&usize, &Known)> {
        self.known.iter().filter(move |(_, known)| known.row.destination == destination)
    }

    /// Deliveries of which it knows more than the database: what came of them, with the attempts they had before.
    pub(crate) fn unwritten(&self, shard: usize) -> Vec<Row> {
        let of = self.known.values().filter(|known| known.lease.shard == shard && known.is_ahead_of_the_database());
        of.map(|known| known.row).collect()
    }

    /// Rows of a destination that it will look at again by itself.
    pub(crate) fn remembers(&self, destination: usize) -> BTreeSet<usize> {
        self.known_of(destination).filter(|(_, known)| !known.is_buried()).map(|(id, _)| *id).collect()
    }
}
