//! The world that the schedule is put into.

use super::*;

/// What is under way between the worker and the world.
enum Traffic {
    Read(Read),
    Written(Vec<Write>, Option<Vec<Fate>>),
    /// The write's connection was lost: whether it ran is not known.
    Lost(Vec<Write>),
    Attempt(Start),
    /// The configuration was read: whether the destination takes nothing.
    Judged(Start, bool),
    /// Somebody wants something of a row; the row, once it was read.
    Command(bool, DeliveryId, Option<Due>),
}

/// What is read of the database.
enum Read {
    /// Due rows were asked for; the rows, once the statement ran.
    Due(Ticket, Option<Vec<Due>>),
    /// A row that was committed, on its way to the schedule without a read.
    Handed(Ticket, Due),
    Parked(DestinationId, Reading, Ticket, Option<Vec<Due>>),
    Heads(Wanted, Ticket, Option<Vec<(Head, Due)>>),
    Asked(Question, Option<Policy>),
    Probed(Probe, Option<Option<Due>>),
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) schedule: Schedule,
    pub(super) rows: BTreeMap<i64, Due>,
    /// Finished since the last sync: what a crash brings back.
    unsynced: Vec<Due>,
    traffic: Vec<Traffic>,
    policies: HashMap<DestinationId, Policy>,
    pub(super) sent: HashMap<DeliveryId, usize>,
    pub(super) ended: HashMap<DeliveryId, State>,
    /// Whose end was written once, whatever became of that.
    finished: HashSet<DeliveryId>,
    pub(super) made: usize,
    pub(super) met: BTreeMap<&'static str, usize>,
    pub(super) faults: Vec<String>,
    /// Few destinations with long lines, or several with short ones.
    destinations: u64,
    burst: u64,
    /// Destinations change their order as they go: then nothing is said of who overtakes whom.
    turns: bool,
    /// Failures are signs of illness.
    ill: bool,
    pub(super) now: i64,
    writing: bool,
    in_flight: HashMap<DestinationId, usize>,
    starts: HashMap<DestinationId, Vec<i64>>,
    /// Replays that started while something that is none waited in memory for the same destination.
    overtaken: HashMap<DestinationId, usize>,
}

/// Milliseconds between two steps: so a breaker's wait is not for ever.
const STEP: i64 = 5;
const INTERVAL: i64 = 60;
/// See `pace`: so much too early is in time.
const EARLY: i64 = 10;
const KEYS: u64 = 4;
const HOUR: i64 = 3_600_000;
/// Of a class and for one destination: what has room beside the widest window, and once more what is taken back when half
/// of a window is left.
const MOST_WAITING: usize = 64 + 8 + 64 / 2;

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

/// Ids are made from the place in line.
fn seq_of(delivery: DeliveryId) -> i64 {
    i64::try_from(delivery.uuid().as_u128() - 1).unwrap()
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let destinations = if seed.is_multiple_of(2) { 1 } else { 4 };
        let order = [Ordering::Any, Ordering::Whole, Ordering::Keyed][usize::try_from(seed / 2 % 3).unwrap()];
        let policy = Policy {
            interval: (seed / 6).is_multiple_of(4).then(|| Duration::from_millis(INTERVAL.unsigned_abs())),
            most: if (seed / 6) % 4 == 1 { 2 } else { 64 },
            order,
            standing: Standing::Active,
        };
        Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            schedule: Schedule::new(false),
            rows: BTreeMap::new(),
            unsynced: Vec::new(),
            traffic: Vec::new(),
            policies: (0..destinations).map(|number| (DestinationId::from(id(number)), policy)).collect(),
            sent: HashMap::new(),
            ended: HashMap::new(),
            finished: HashSet::new(),
            made: 0,
            met: BTreeMap::new(),
            faults: Vec::new(),
            destinations,
            burst: if seed.is_multiple_of(2) { 3 } else { 1 },
            turns: (seed / 24) % 3 == 1,
            ill: (seed / 24) % 3 == 2,
            now: 0,
            writing: false,
            in_flight: HashMap::new(),
            starts: HashMap::new(),
            overtaken: HashMap::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn some_destination(&mut self) -> DestinationId {
        id(self.dice.roll(self.destinations)).into()
    }

    fn ingest(&mut self) {
        self.made += 1;
        let number = self.made as u64;
        let seq = i64::try_from(number).unwrap();
        let destination_id = self.some_destination();
        let key = i32::try_from(self.dice.roll(KEYS)).unwrap() + 1;
        // As the api would: no line where no order is wanted.
        let order_key = match self.policies[&destination_id].order {
            Ordering::Any => None,
            Ordering::Whole => Some(WHOLE),
            Ordering::Keyed => Some(key),
        };
        let due = Due {
            tenant_id: TenantId::from(id(0)),
            id: DeliveryId::from(id(number)),
            shard: 0,
            due_at: self.now,
            seq,
            event_id: EventId::from(id(number)),
            subscription_id: None,
            destination_id,
            order_key,
            attempts: 0,
            trigger: if self.dice.is(3) { Trigger::Replay } else { Trigger::Event },
            size: 1,
        };
        // The api of the same process hands it over, and takes its ticket before it commits.
        if self.dice.is(2) {
            let ticket = self.schedule.tickets.take();
            self.reads(Read::Handed(ticket, due));
        }
        self.rows.insert(seq, due);
    }

    pub(super) fn tell_the_time(&mut self) {
        self.schedule.at(Duration::from_millis(self.now.unsigned_abs()), self.now);
    }

    /// One thing happens.
    pub(super) fn step(&mut self, quiet: bool) {
        self.now += STEP;
        self.tell_the_time();
        match self.dice.roll(if quiet { 7 } else { 13 }) {
            0 => self.read(),
            1 => self.write(),
            2 | 3 => (0..4).for_each(|_| self.progress()),
            4 => self.start(),
            5 => self.sync(),
            6 => self.ask(),
            7 | 8 => (0..self.burst).for_each(|_| self.ingest()),
            9 => self.toggle(),
            10 => self.command(),
            11 if self.turns && self.dice.is(10) => self.turn(),
            _ if self.dice.is(40) => self.crash(),
            _ => {}
        }
        self.is_drained();
    }

    /// Rules B and H: whoever hands over now forgets nothing that a crash could bring back.
    fn is_drained(&mut self) {
        if self.schedule.is_all_drained() {
            self.meet("could hand over");
            if let Some(row) = self.unsynced.first() {
                self.faults.push(format!("{} is not on disk, and nobody would remember it", row.seq));
            }
        }
    }

    fn read(&mut self) {
        if self.traffic.iter().filter(|traffic| matches!(traffic, Traffic::Read(Read::Due(..)))).count() < 2 {
            let ticket = self.schedule.tickets.take();
            self.reads(Read::Due(ticket, None));
        }
        for (destination, _, reading, ticket) in self.schedule.take_back(4) {
            self.reads(Read::Parked(destination, reading, ticket, None));
        }
        if let Some((wanted, ticket)) = self.schedule.wanted_heads(3) {
            self.reads(Read::Heads(wanted, ticket, None));
        }
    }

    fn write(&mut self) {
        if !self.writing && self.schedule.has_writes() {
            self.writing = true;
            let batch = self.schedule.writes(5);
            self.traffic.push(Traffic::Written(batch, None));
        }
    }

    fn ask(&mut self) {
        while let Some(question) = self.schedule.question() {
            self.reads(Read::Asked(question, None));
        }
        if self.dice.is(40) {
            // Much later: whatever is disabled is probed.
            self.now += HOUR;
            self.tell_the_time();
        }
        for probe in self.schedule.due_probes() {
            self.reads(Read::Probed(probe, None));
        }
    }

    /// Whatever is asked is answered at once.
    pub(super) fn answer_all(&mut self) {
        while let Some(question) = self.schedule.question() {
            let policy = self.policies[&question.destination];
            self.schedule.answered(question, Some(policy));
        }
    }

    fn start(&mut self) {
        for start in self.schedule.start(usize::MAX) {
            self.begins(start);
        }
        for (destination, line) in &self.schedule.lines {
            let policy = self.policies[destination];
            if let Some(queue) = line.queues.iter().find(|queue| queue.waiting.len() > MOST_WAITING) {
                self.faults.push(format!("{} wait in memory", queue.waiting.len()));
            }
            if line.has_waiting() && !line.pace.allows(Duration::from_millis(self.now.unsigned_abs())) {
                *self.met.entry("waited for the pace").or_default() += 1;
            }
            if line.has_waiting() && line.in_flight == policy.most {
                *self.met.entry("waited for a slot").or_default() += 1;
            }
        }
    }

    fn begins(&mut self, start: Start) {
        let destination = start.due.destination_id;
        let policy = self.policies[&destination];
        let in_flight = self.in_flight.entry(destination).or_default();
        *in_flight += 1;
        if *in_flight > policy.most {
            self.faults.push(format!("{in_flight} in flight"));
        }
        let starts = self.starts.entry(destination).or_default();
        if policy.interval.is_some()
            && let Some(last) = starts.last()
            && self.now - last < INTERVAL - EARLY
        {
            self.faults.push(format!("started {} ms after the last", self.now - last));
        }
        starts.push(self.now);
        self.goes_last(&start);
        if start.due.due_at != NEVER && start.due.due_at > self.now && !start.is_probe {
            self.faults.push(format!("{} started before its time", start.due.seq));
        }
        self.stands_first(&start);
        self.traffic.push(Traffic::Attempt(start));
    }

    /// A replay starts before others only now and then.
    fn goes_last(&mut self, start: &Start) {
        let destination = start.due.destination_id;
        let Some(line) = self.schedule.lines.get(&destination) else { return };
        let waits = |class: Class| !line.queues[class].waiting.is_empty();
        let waits_with_it = [waits(Class::First) || waits(Class::Retry), waits(Class::Replay)];
        match (line.class_of(&start.due), waits_with_it) {
            (Class::Replay, [true, _]) if !start.is_probe => {
                let overtaken = self.overtaken.entry(destination).or_default();
                *overtaken += 1;
                if *overtaken * Class::Replay.part() > self.starts[&destination].len() {
                    self.faults.push(format!("{} was the {overtaken}th replay to overtake", start.due.seq));
                }
                self.meet("had its turn all the same");
            }
            (Class::First | Class::Retry, [_, true]) => self.meet("went before replays"),
            _ => {}
        }
    }

    /// Nobody of its line stands before it.
    fn stands_first(&mut self, start: &Start) {
        let order = self.policies[&start.due.destination_id].order;
        let is_ahead = |row: &&Due| {
            row.seq < start.due.seq
                && row.destination_id == start.due.destination_id
                && (order == Ordering::Whole || row.order_key == start.due.order_key)
                // What a crash brought back has ended all the same: its end is only written again.
                && !self.finished.contains(&row.id)
        };
        if self.turns || order == Ordering::Any {
            return;
        }
        if let Some(ahead) = self.rows.values().find(is_ahead) {
            self.faults.push(format!("{} overtook {}", start.due.seq, ahead.seq));
        }
        self.meet("sent from a line");
    }

    /// Something that is under way goes one step on: a statement runs, or its answer arrives.
    fn progress(&mut self) {
        if self.traffic.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.roll(self.traffic.len() as u64)).unwrap();
        let traffic = self.traffic.swap_remove(at);
        self.goes_on(traffic);
    }

    fn reads(&mut self, read: Read) {
        self.traffic.push(Traffic::Read(read));
    }

    fn read_goes_on(&mut self, read: Read) {
        match read {
            Read::Due(ticket, None) => {
                let due = self.rows.values().filter(|row| row.due_at <= self.now).take(300).copied().collect();
                self.reads(Read::Due(ticket, Some(due)));
            }
            Read::Due(ticket, Some(rows)) => {
                rows.into_iter().for_each(|due| self.schedule.offer(due, EPOCH, ticket));
                self.schedule.tickets.close(ticket);
                self.schedule.dig_up();
            }
            // Others' news comes first, mostly: by then it may have been read, sent and finished.
            late @ Read::Handed(..) if !self.dice.is(8) => self.reads(late),
            Read::Handed(ticket, due) => {
                self.schedule.offer(due, EPOCH, ticket);
                self.schedule.tickets.close(ticket);
                self.schedule.dig_up();
                self.meet("handed over");
            }
            Read::Parked(destination, reading, ticket, None) => {
                let rows = self.parked(destination, reading);
                self.reads(Read::Parked(destination, reading, ticket, Some(rows)));
            }
            Read::Parked(destination, reading, ticket, rows) => {
                self.schedule.took_back(destination, reading, ticket, rows);
            }
            Read::Heads(wanted, ticket, None) => {
                let heads = wanted.iter().filter_map(|(head, _)| Some((*head, self.head(*head)?))).collect();
                self.reads(Read::Heads(wanted, ticket, Some(heads)));
            }
            Read::Heads(wanted, ticket, heads) => self.schedule.headed(wanted, ticket, heads),
            Read::Asked(question, None) => {
                let policy = self.policies[&question.destination];
                self.reads(Read::Asked(question, Some(policy)));
            }
            Read::Asked(question, policy) => self.schedule.answered(question, policy),
            Read::Probed(probe, None) => {
                let oldest = self.head(Head { destination: probe.destination, line: WHOLE });
                self.reads(Read::Probed(probe, Some(oldest)));
            }
            Read::Probed(probe, Some(oldest)) => {
                if let Some(start) = self.schedule.probe(probe, oldest) {
                    self.meet("probed");
                    self.begins(start);
                }
            }
        }
    }

    fn goes_on(&mut self, traffic: Traffic) {
        match traffic {
            Traffic::Written(batch, None) => {
                let fates = batch.iter().map(|write| self.apply(write)).collect();
                self.traffic.push(Traffic::Written(batch, Some(fates)));
            }
            Traffic::Written(batch, Some(fates)) => {
                self.writing = false;
                let fenced = self.schedule.written(batch, &fates);
                assert!(fenced.is_empty());
            }
            Traffic::Lost(batch) => {
                self.writing = false;
                self.schedule.unwritten(batch);
            }
            Traffic::Attempt(start) => {
                let held = match self.policies[&start.due.destination_id].standing {
                    Standing::Active => false,
                    Standing::Held => true,
                    Standing::Probed { .. } => !start.is_probe,
                };
                self.traffic.push(Traffic::Judged(start, held));
            }
            Traffic::Judged(start, held) => self.attempted(start, held),
            Traffic::Command(cancels, delivery, None) => {
                // A row that is gone has nothing left to be done.
                if let Some(row) = self.rows.get(&seq_of(delivery)).copied() {
                    self.traffic.push(Traffic::Command(cancels, delivery, Some(row)));
                }
            }
            Traffic::Command(cancels, delivery, Some(row)) => self.commanded(cancels, delivery, row),
            Traffic::Read(read) => self.read_goes_on(read),
        }
    }

    fn parked(&mut self, destination: DestinationId, reading: Reading) -> Vec<Due> {
        let of = self.rows.values().filter(|row| row.destination_id == destination);
        match reading.kind {
            Kind::Rows(_) => {
                let parked = of.filter(|row| row.due_at == NEVER && row.seq > reading.after);
                parked.take(reading.limit).copied().collect()
            }
            Kind::Lines => {
                let mut heads = BTreeMap::new();
                for row in of {
                    if let Some(key) = row.order_key.filter(|key| i64::from(*key) > reading.after) {
                        heads.entry(key).or_insert(*row);
                    }
                }
                self.meet("keyed by scan");
                heads.into_values().take(reading.limit).collect()
            }
        }
    }

    fn head(&self, head: Head) -> Option<Due> {
        let stands = |row: &&Due| {
            row.destination_id == head.destination && (head.line == WHOLE || row.order_key == Some(head.line))
        };
        self.rows.values().find(stands).copied()
    }

    fn apply(&mut self, write: &Write) -> Fate {
        let seq = seq_of(write.row.id);
        if !self.rows.contains_key(&seq) {
            return Fate::Gone;
        }
        match &write.change {
            Change::Finish { state, .. } => {
                let row = self.rows.remove(&seq).unwrap();
                self.unsynced.push(row);
                self.ended.insert(row.id, *state);
                self.finished.insert(row.id);
            }
            Change::Reschedule { due_at, last } => {
                let row = self.rows.get_mut(&seq).unwrap();
                (row.due_at, row.attempts) = (*due_at, last.number);
            }
            Change::Park => self.rows.get_mut(&seq).unwrap().due_at = NEVER,
            Change::Move { due_at } => self.rows.get_mut(&seq).unwrap().due_at = *due_at,
        }
        Fate::Done
    }

    fn attempted(&mut self, start: Start, held: bool) {
        *self.in_flight.get_mut(&start.due.destination_id).unwrap() -= 1;
        let row = self.rows.get(&seq_of(start.due.id));
        assert!(row.is_none_or(|row| row.attempts <= start.due.attempts), "an attempt was made on a row of the past");
        let ill = if self.ill { Sign::Ill { timed_out: self.dice.is(2), quiet: None } } else { Sign::Refusal };
        let ended = match self.dice.roll(if held { 1 } else { 10 }) {
            _ if held => Ended::Held,
            0 => Ended::Aborted,
            1 if start.is_probe => Ended::Held,
            1 | 2 if !start.is_probe => {
                let due_at = self.now + 20 * STEP;
                Ended::Again { due_at, last: log(&start), overloaded: self.dice.is(2), sign: ill }
            }
            3 => self.finished(&start, State::Failed, ill),
            4 if !start.is_probe && self.dice.is(4) => {
                self.meet("put off");
                Ended::PutOff { due_at: self.now + 20 * STEP }
            }
            _ => {
                *self.sent.entry(start.due.id).or_default() += 1;
                self.finished(&start, State::Delivered, Sign::Well)
            }
        };
        let was_open = self.is_broken(start.due.destination_id);
        self.schedule.ended(start.due.id, start.epoch, ended);
        if !was_open && self.is_broken(start.due.destination_id) {
            self.meet("opened a breaker");
        }
    }

    fn is_broken(&self, destination: DestinationId) -> bool {
        let line = self.schedule.lines.get(&destination);
        line.is_some_and(|line| line.breaker.opens_at() != Some(Duration::ZERO))
    }

    fn finished(&mut self, start: &Start, state: State, sign: Sign) -> Ended {
        if start.is_probe {
            // As the owner would: it is well again.
            self.policies.get_mut(&start.due.destination_id).unwrap().standing = Standing::Active;
            self.schedule.ask_again(start.due.destination_id);
        }
        Ended::Finished { state, reason: None, last: Some(log(start)), sign }
    }

    /// Somebody wants something of a row: to cancel it, or to have it tried now.
    fn command(&mut self) {
        let rows: Vec<DeliveryId> = self.rows.values().map(|row| row.id).collect();
        if let Some(delivery) = self.dice.pick(&rows) {
            let cancels = self.dice.is(2);
            self.traffic.push(Traffic::Command(cancels, delivery, None));
        }
    }

    fn commanded(&mut self, cancels: bool, delivery: DeliveryId, row: Due) {
        let met = if cancels {
            self.schedule.cancel(&row, EPOCH, "by request", Some(1))
        } else {
            self.schedule.try_now(&row, EPOCH, self.now, 1)
        };
        match met {
            Met::Written => self.meet(if cancels { "cancelled" } else { "tried now" }),
            Met::Nothing => {}
            // It is asked for until nothing is left to do.
            Met::Later | Met::UnderWay => self.traffic.push(Traffic::Command(cancels, delivery, None)),
        }
    }

    /// A renewal committed durably, on a connection that had seen no crash.
    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        let stamp = self.schedule.stamp();
        self.schedule.durable(stamp);
    }

    /// The database loses what was not on disk; statements under way fail, and renewals come on a new connection.
    fn crash(&mut self) {
        self.meet("crashed");
        for row in std::mem::take(&mut self.unsynced) {
            self.ended.remove(&row.id);
            self.rows.insert(row.seq, row);
        }
        for traffic in std::mem::take(&mut self.traffic) {
            match traffic {
                Traffic::Read(read) => self.fails(read),
                // Its answer was under way already.
                answered @ Traffic::Written(_, Some(_)) if self.dice.is(2) => {
                    self.meet("heard of a write after a crash");
                    self.traffic.push(answered);
                }
                Traffic::Written(batch, _) => self.traffic.push(Traffic::Lost(batch)),
                kept => self.traffic.push(kept),
            }
        }
        self.schedule.rewrite();
    }

    fn fails(&mut self, read: Read) {
        match read {
            Read::Due(ticket, _) => self.schedule.tickets.close(ticket),
            // What is committed stays so, and its news is in this process.
            handed @ Read::Handed(..) => self.reads(handed),
            Read::Parked(destination, reading, ticket, _) => {
                self.schedule.took_back(destination, reading, ticket, None);
            }
            Read::Heads(wanted, ticket, _) => self.schedule.headed(wanted, ticket, None),
            Read::Asked(question, _) => self.schedule.answered(question, None),
            Read::Probed(probe, _) => self.schedule.unread(probe),
        }
    }

    /// A destination is paused, disabled, or taken up again.
    fn toggle(&mut self) {
        let destination = self.some_destination();
        let since = self.now;
        let standing = &mut self.policies.get_mut(&destination).unwrap().standing;
        *standing = match *standing {
            Standing::Active if self.dice.is(2) => Standing::Held,
            Standing::Active => Standing::Probed { since },
            Standing::Held | Standing::Probed { .. } => Standing::Active,
        };
        self.schedule.ask_again(destination);
    }

    /// A destination wants another order.
    fn turn(&mut self) {
        self.meet("turned to another order");
        let destination = self.some_destination();
        let order = self.dice.pick(&[Ordering::Any, Ordering::Whole, Ordering::Keyed]).unwrap();
        self.policies.get_mut(&destination).unwrap().order = order;
        self.schedule.ask_again(destination);
    }

    pub(super) fn calm(&mut self) {
        let all: Vec<DestinationId> = self.policies.keys().copied().collect();
        for destination in all {
            self.policies.get_mut(&destination).unwrap().standing = Standing::Active;
            self.schedule.ask_again(destination);
        }
        for _ in 0..400_000 {
            let is_idle = self.schedule.dirty.is_empty() && !self.schedule.has_writes();
            if self.rows.is_empty() && self.traffic.is_empty() && is_idle {
                return;
            }
            self.step(true);
        }
    }
}

fn log(start: &Start) -> AttemptLog {
    AttemptLog {
        number: start.due.attempts + 1,
        at: 0,
        duration_ms: 0,
        outcome: entity::attempt::Outcome::Delivered,
        status: None,
        error: None,
        remote_address: None,
        response_headers: None,
        response_body: None,
        keep: false,
    }
}
