//! What is measured: workloads, each bounded in time, and the ratios that they are about.

use std::sync::Arc;
use std::time::{Duration, Instant};

use relay::keyring::Keyring;

use crate::load::{Choice, Chosen};
use crate::relay::{Customer, How, ONE_OF_EACH, Processes, Storage, Subject};
use crate::report::Line;
use crate::run::{Bench, Outcome, Pace, Plan, millis};
use crate::seed;
use crate::sink::Behaviour;

mod past;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Events that nobody subscribed to, of several sizes; the floor beside it (W1)
    Ingest,
    /// One destination, as fast as it goes; the floor beside it (W2)
    EndToEnd,
    /// One destination, 1,000 events a second (W2)
    Steady,
    /// Five destinations for each event (W2)
    FanOut,
    /// Bodies of several sizes, as fast as it goes
    Sizes,
    /// A fifth of the destinations fails or takes ten seconds (W3)
    Sick,
    /// One tenant sends ten times what 99 others send together (W4)
    Noisy,
    /// A million deliveries wait; new events come meanwhile (W5)
    Backlog,
    /// A hundred thousand destinations (W6)
    Destinations,
    /// Four minutes beside a transaction that does not end (W8); PostgreSQL only
    Soak,
    /// Two apis and two workers (W9); PostgreSQL only
    Processes,
    /// What people look for, among ten million events and as many deliveries of one tenant
    Search,
    /// Five million rows are too old; new events come meanwhile
    Forget,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) runs: usize,
    pub(crate) during: Duration,
    pub(crate) how: How,
    /// Also say which statements took most of PostgreSQL's time.
    pub(crate) statements: bool,
}

pub(crate) async fn measure(workload: Workload, storage: Storage, scale: Scale) -> Vec<Line> {
    let mut measuring = Measuring { storage, scale, lines: Vec::new() };
    match workload {
        Workload::Ingest => measuring.ingest().await,
        Workload::EndToEnd => measuring.end_to_end().await,
        Workload::Steady => measuring.steady().await,
        Workload::FanOut => measuring.fan_out().await,
        Workload::Sizes => measuring.sizes().await,
        Workload::Sick => measuring.sick().await,
        Workload::Noisy => measuring.noisy().await,
        Workload::Backlog => measuring.backlog().await,
        Workload::Destinations => measuring.destinations().await,
        Workload::Soak if storage == Storage::Postgres => measuring.soak().await,
        Workload::Processes if storage == Storage::Postgres => measuring.processes().await,
        Workload::Soak | Workload::Processes => {}
        Workload::Search => measuring.search().await,
        Workload::Forget => measuring.forget().await,
    }
    measuring.lines
}

struct Measuring {
    storage: Storage,
    scale: Scale,
    lines: Vec<Line>,
}

/// Tenants where several are needed.
const TENANTS: usize = 100;
/// Events a second that any of the machines that this runs on delivers without effort.
const MODERATE: f64 = 1_000.0;
/// Deliveries that wait.
const BACKLOG: u32 = 1_000_000;
/// Numbers of events that wait: no run sends as many itself.
const BACKLOG_FROM: u32 = 100_000_000;
/// Tenants, and destinations of each.
const MANY: (usize, u32) = (1_000, 100);

impl Measuring {
    async fn floor(&mut self, workload: &str, durable: bool, delivers: bool) -> f64 {
        let bench = Bench::open().await;
        let subject = Subject::floor(self.storage, durable, delivers, &bench.sink).await;
        let plan = Plan { fan_out: delivers.into(), ..self.closed(1) };
        let outcome = bench.run(&subject, &plan).await;
        subject.end().await;
        self.note(workload, if durable { "durable floor" } else { "no storage" }, outcome)
    }

    /// A relay of its own for one run.
    async fn relay(&mut self, workload: &str, customers: &[Customer], plan: &Plan) -> f64 {
        let bench = Bench::open().await;
        let subject = self.start(&bench, ONE_OF_EACH, customers).await;
        let outcome = bench.run(&subject, plan).await;
        self.end(subject).await;
        self.note(workload, "relay", outcome)
    }

    async fn start(&self, bench: &Bench, processes: Processes, customers: &[Customer]) -> Subject {
        Subject::relay(self.storage, (processes, self.scale.how), customers, &bench.sink).await
    }

    async fn end(&self, subject: Subject) {
        if self.scale.statements {
            subject.meter.dearest().await.iter().for_each(|statement| eprintln!("  {statement}"));
        }
        subject.end().await;
    }

    fn closed(&self, doors: usize) -> Plan {
        Plan::new(Pace::Closed, self.scale.during, doors)
    }

    /// Events a second, from the first request to the last delivery.
    fn note(&mut self, workload: &str, subject: &str, outcome: Outcome) -> f64 {
        eprintln!(
            "{workload}, {subject} on {}: {:.0} events/s, {:.3} ms of CPU each",
            self.storage.name(),
            outcome.events_per_s(),
            outcome.processor_ms()
        );
        let events = outcome.events_per_s();
        let (workload, subject, database) = (workload.to_owned(), subject.to_owned(), self.storage.name());
        self.lines.push(Line { workload, subject, database, outcome });
        events
    }

    /// A run that was only to be compared with.
    fn p99(&self) -> f64 {
        self.lines.last().map_or(0.0, |line| millis(&line.outcome.tally.deliver[0], 0.99))
    }

    fn say(&self, what: &str) {
        println!("{}: {what}", self.storage.name());
    }

    async fn ingest(&mut self) {
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            let floor = self.floor("ingest 1024 B", true, false).await;
            let plan = Plan { fan_out: 0, ..self.closed(1) };
            ratios.push(self.relay("ingest 1024 B", &[Customer::well(0)], &plan).await / floor);
        }
        self.say(&format!("ingest reaches {:.2} of the durable floor's (median of {ratios:.2?})", median(&mut ratios)));
        for body_bytes in [256, 8 << 10, 64 << 10] {
            let plan = Plan { body_bytes, fan_out: 0, ..self.closed(1) };
            self.relay(&format!("ingest {body_bytes} B"), &[Customer::well(0)], &plan).await;
        }
    }

    async fn end_to_end(&mut self) {
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            self.floor("end to end", false, true).await;
            let floor = self.floor("end to end", true, true).await;
            ratios.push(self.relay("end to end", &[Customer::well(1)], &self.closed(1)).await / floor);
        }
        self.say(&format!(
            "end to end reaches {:.2} of the durable floor (median of {ratios:.2?})",
            median(&mut ratios)
        ));
    }

    async fn steady(&mut self) {
        for _ in 0..self.scale.runs {
            let plan = Plan::new(Pace::Open(MODERATE), self.scale.during, 1);
            self.relay("1,000 events/s", &[Customer::well(1)], &plan).await;
        }
    }

    async fn fan_out(&mut self) {
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            let one = self.relay("fan-out 1", &[Customer::well(1)], &self.closed(1)).await;
            let plan = Plan { fan_out: 5, ..self.closed(1) };
            ratios.push(5.0 * self.relay("fan-out 5", &[Customer::well(5)], &plan).await / one);
        }
        self.say(&format!(
            "fan-out 5 makes {:.2} × the deliveries of fan-out 1 (median of {ratios:.2?})",
            median(&mut ratios)
        ));
    }

    async fn sizes(&mut self) {
        for body_bytes in [256, 1 << 10, 8 << 10, 64 << 10] {
            let plan = Plan { body_bytes, ..self.closed(1) };
            self.relay(&format!("end to end {body_bytes} B"), &[Customer::well(1)], &plan).await;
        }
    }

    /// The same tenants twice: all well, then a fifth of them sick. What counts are those that are well.
    async fn sick(&mut self) {
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            let well = vec![Customer::well(1); TENANTS];
            let plan = Plan::new(Pace::Open(MODERATE), self.scale.during, TENANTS);
            self.relay("all well", &well, &plan).await;
            let alone = self.p99();
            let behaviour = |number: usize| match number % 10 {
                0 => Customer::sick(Behaviour::Slow),
                5 => Customer::sick(Behaviour::Failing),
                _ => Customer::well(1),
            };
            let choice: Choice = Arc::new(|number| {
                let door = number as usize % TENANTS;
                Chosen { door, of_type: 0, arrives: !door.is_multiple_of(5) }
            });
            let customers: Vec<_> = (0..TENANTS).map(behaviour).collect();
            self.relay("a fifth sick", &customers, &Plan { choice, ..plan }).await;
            ratios.push(self.p99() / alone);
        }
        self.say(&format!("beside sick ones the p99 is {:.2} × (median of {ratios:.2?})", median(&mut ratios)));
    }

    /// 99 quiet tenants alone, then beside one that sends ten times as much as all of them.
    async fn noisy(&mut self) {
        const QUIET: f64 = 300.0;
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            let customer = |number| Customer { group: usize::from(number == 0), ..Customer::well(1) };
            let customers: Vec<_> = (0..TENANTS).map(customer).collect();
            let quiet = |number: u32| 1 + number as usize % (TENANTS - 1);
            let alone: Choice = Arc::new(move |number| Chosen { door: quiet(number), of_type: 0, arrives: true });
            let plan = Plan::new(Pace::Open(QUIET), self.scale.during, TENANTS);
            self.relay("99 quiet ones", &customers, &Plan { choice: alone, ..plan.clone() }).await;
            let solo = self.p99();
            let beside: Choice = Arc::new(move |number| {
                let door = if number.is_multiple_of(11) { quiet(number / 11) } else { 0 };
                Chosen { door, of_type: 0, arrives: true }
            });
            self.relay(
                "beside a noisy one",
                &customers,
                &Plan { choice: beside, pace: Pace::Open(11.0 * QUIET), ..plan },
            )
            .await;
            ratios.push(self.p99() / solo);
        }
        self.say(&format!(
            "beside a noisy tenant the others' p99 is {:.2} × (median of {ratios:.2?})",
            median(&mut ratios)
        ));
    }

    /// A relay is started on a million deliveries that wait for half of the destinations, and takes new ones for the others.
    async fn backlog(&mut self) {
        const NEW: f64 = 500.0;
        let bench = Bench::open().await;
        let customers = vec![Customer::well(1); TENANTS];
        let mut subject = self.start(&bench, ONE_OF_EACH, &customers).await;
        let live = bench.run(&subject, &self.closed(TENANTS)).await;
        let live = self.note("live, 100 tenants", "relay", live);
        let others: Choice =
            Arc::new(|number| Chosen { door: 2 * (number as usize % (TENANTS / 2)), of_type: 0, arrives: true });
        let plan = Plan { choice: others, ..Plan::new(Pace::Open(NEW), self.scale.during, TENANTS) };
        let alone = bench.run(&subject, &plan).await;
        self.note("500 events/s", "relay", alone);
        let alone = self.p99();
        let storage = self.storage;
        let began = Instant::now();
        let started =
            subject.while_stopped(async |database| seed::backlog(storage, database, BACKLOG, BACKLOG_FROM).await).await;
        eprintln!(
            "{BACKLOG} deliveries written in {:.0} s, the relay ready in {started:.1?}",
            began.elapsed().as_secs_f64()
        );
        let (drain_began, before) = (Instant::now(), bench.ledger.look(|tally| tally.foreign));
        let beside = bench.run(&subject, &plan).await;
        let (drained, took) = (beside.tally.foreign + before, drain_began.elapsed());
        self.note("500 events/s, draining", "relay", beside);
        let meanwhile = self.p99();
        let from = (bench.ledger.look(|tally| tally.foreign), Instant::now());
        tokio::time::sleep(self.scale.during).await;
        let rate = per_second(bench.ledger.look(|tally| tally.foreign) - from.0, from.1.elapsed());
        let memory = subject.meter.peaks();
        self.end(subject).await;
        self.say(&format!(
            "a million waiting: ready in {started:.1?}; drained {drained} in the first {took:.0?}, then {rate:.0}/s, {:.2} of the \
             live rate; new events' p99 {meanwhile:.1} ms, {:.1} × that without them; peak {memory:?} KiB",
            rate / live,
            meanwhile / alone
        ));
    }

    async fn destinations(&mut self) {
        let all = u32::try_from(MANY.0).unwrap() * MANY.1;
        let zipf = zipf(all);
        let choice: Choice = Arc::new(move |number| {
            let place = zipf[number as usize % zipf.len()];
            Chosen { door: (place / MANY.1) as usize, of_type: place % MANY.1, arrives: true }
        });
        // A thousand passwords are checked for the first time.
        let warm_up = Duration::from_secs(40);
        let plan = Plan { choice, warm_up, ..self.closed(1) };
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            let one = self.relay("1 destination", &[Customer::well(1)], &self.closed(1)).await;
            ratios.push(self.many_destinations(&plan).await / one);
        }
        self.say(&format!(
            "100,000 destinations make {:.2} of the throughput of one (median of {ratios:.2?})",
            median(&mut ratios)
        ));
    }

    async fn many_destinations(&mut self, plan: &Plan) -> f64 {
        let bench = Bench::open().await;
        let customers = vec![Customer { of_type: crate::body::type_name(0), ..Customer::well(1) }; MANY.0];
        let mut subject = self.start(&bench, ONE_OF_EACH, &customers).await;
        let (storage, tenants) = (self.storage, subject.tenants.clone());
        let keyring = Keyring::parse(&harness::relay::master_keys()).unwrap();
        let started = subject
            .while_stopped(async |database| {
                seed::destinations(storage, database, &keyring, &tenants, MANY.1).await;
            })
            .await;
        self.say(&format!("100,000 destinations: ready in {started:.1?}"));
        let outcome = bench.run(&subject, plan).await;
        self.end(subject).await;
        self.note("100,000 destinations", "relay", outcome)
    }

    /// A reader that keeps its snapshot: nothing that is deleted meanwhile can be cleaned up.
    async fn soak(&mut self) {
        const PARTS: u32 = 4;
        let bench = Bench::open().await;
        let subject = self.start(&bench, ONE_OF_EACH, &[Customer::well(1)]).await;
        let snapshot = subject.database.connection().await;
        for text in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM shard"] {
            sea_orm::ConnectionTrait::execute_unprepared(&snapshot, text).await.unwrap();
        }
        let plan = Plan { during: Duration::from_secs(50), ..self.closed(1) };
        let mut parts = Vec::new();
        for part in 1..=PARTS {
            let outcome = bench.run(&subject, &plan).await;
            parts.push(self.note(&format!("held snapshot, part {part}"), "relay", outcome));
        }
        snapshot.close().await.unwrap();
        self.end(subject).await;
        self.say(&format!("under a held snapshot the last part reaches {:.2} of the first", parts[3] / parts[0]));
    }

    async fn processes(&mut self) {
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            let mut rates = Vec::new();
            for count in [1, 2] {
                let bench = Bench::open().await;
                let customers = vec![Customer::well(1); TENANTS];
                let processes = Processes { apis: count, workers: count };
                let subject = Subject::relay(
                    self.storage,
                    (processes, How { together: false, ..self.scale.how }),
                    &customers,
                    &bench.sink,
                )
                .await;
                let outcome = bench.run(&subject, &self.closed(TENANTS * count)).await;
                self.end(subject).await;
                rates.push(self.note(&format!("{count} api, {count} worker"), "relay", outcome));
            }
            ratios.push(rates[1] / rates[0]);
        }
        self.say(&format!("two of each reach {:.2} of one of each (median of {ratios:.2?})", median(&mut ratios)));
    }
}

/// Places of a million events among so many, by Zipf's law with exponent 1.1, scattered and the same in every run.
fn zipf(all: u32) -> Vec<u32> {
    let mut sums = Vec::with_capacity(all as usize);
    let mut sum = 0.0;
    for rank in 1..=all {
        sum += f64::from(rank).powf(-1.1);
        sums.push(sum);
    }
    let place = |number: u32| {
        let dice = f64::from(number.wrapping_mul(0x9e37_79b1)) / f64::from(u32::MAX) * sum;
        let rank = u32::try_from(sums.partition_point(|sum| *sum < dice)).unwrap_or(0).min(all - 1);
        // Neighbours in rank are not neighbours in place: odd and without a common factor with `all`.
        u32::try_from(u64::from(rank) * 7_919 % u64::from(all)).unwrap_or(0)
    };
    (0..1_000_000).map(place).collect()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
