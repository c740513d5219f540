//! What every experiment stands on: the real programs with two tenants, providers that send, destinations that keep a log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::relay::Plan;
use harness::source::basic;
use harness::{Database, Process, Relay, json, within};

use crate::checker::{self, Findings};
use crate::ledger::{Entry, Kind, Ledger};
use crate::providers::{Door, Load, Traffic};
use crate::sink::Sink;

/// Destinations of each tenant: one takes everything, one some of it, one wants an order.
pub(crate) const PLACES: usize = 3;
const TENANTS: usize = 2;
const PASSWORD: &str = "a-password-of-the-faults";

/// Once a second, for longer than any fault lasts.
const OFTEN: [u64; 50] = {
    let mut often = [1; 50];
    often[0] = 0;
    often
};
/// Longer than a lease.
pub(crate) const LEASE_AND_MORE: Duration = Duration::from_secs(16);
/// Events a second, of programs that were built to be debugged.
pub(crate) const RATE: u64 = 120;
/// So many events show that the load runs.
const RUNS: usize = 50;

pub(crate) struct Stage {
    pub(crate) relay: Relay,
    pub(crate) sink: Sink,
    pub(crate) ledger: Arc<Ledger>,
    doors: Vec<Door>,
    /// Ids, by place.
    pub(crate) destinations: Vec<String>,
    load: Option<Load>,
    /// The longest time after a fault until something was accepted and something arrived.
    recovery: Option<Duration>,
    /// How often each delivery may arrive again: events by their numbers, destinations by their places.
    allowed: HashMap<(usize, usize), usize>,
    faults: usize,
    /// What is older may be gone from the database.
    keeps: Option<Duration>,
}

impl Stage {
    pub(crate) async fn set(plan: Plan) -> Self {
        let relay = plan.start().await;
        let sink = Sink::open().await;
        let (mut doors, mut destinations) = (Vec::new(), Vec::new());
        for number in 0..TENANTS {
            let tenant = relay.tenant("faults").await;
            let (source, _) = tenant.guarded_source("provider", PASSWORD).await;
            for place in 0..PLACES {
                let url = sink.url(number * PLACES + place);
                let mut fields =
                    json!({ "name": "out", "url": url, "timeout_s": 30, "retry": { "schedule_s": OFTEN.as_slice() } });
                if place == PLACES - 1 {
                    fields["order"] = json!({ "mode": "fifo" });
                }
                let destination = tenant.destination_of(fields).await;
                let types: &[&str] = match place {
                    0 => &["*"],
                    1 => &[Kind::Some.event_type()],
                    _ => &[Kind::InOrder.event_type()],
                };
                tenant.subscribe(&destination, types).await;
                sink.expect_signed_with(&destination.signing_secret);
                destinations.push(destination.id);
            }
            doors.push(Door { tenant: number, path: source.path, authorization: basic("provider", PASSWORD) });
        }
        let ledger = Arc::default();
        let (load, recovery, allowed, faults) = (None, None, HashMap::new(), 0);
        Self { relay, sink, ledger, doors, destinations, load, recovery, allowed, faults, keeps: None }
    }

    /// The same, with providers that send so many events a second, and whose first ones were accepted.
    pub(crate) async fn under_load(plan: Plan, per_second: u64) -> Self {
        let mut stage = Self::set(plan).await;
        stage.load(per_second).await;
        stage
    }

    /// Providers send so many events a second from now on.
    pub(crate) async fn load(&mut self, per_second: u64) {
        self.begin_load(Traffic::of(per_second));
        self.accepts(RUNS).await;
    }

    pub(crate) fn begin_load(&mut self, traffic: Traffic) {
        self.load = Some(Load::begin(&self.ledger, &self.doors, &self.relay.apis, traffic));
    }

    pub(crate) fn pace(&self, per_second: u64) {
        self.load.as_ref().expect("there is a load").pace(per_second);
    }

    /// So many more events are accepted.
    pub(crate) async fn accepts(&self, count: usize) {
        let enough = self.ledger.answers().accepted + count;
        within(Duration::from_secs(120), &format!("{count} more events to be accepted"), async || {
            (self.ledger.answers().accepted >= enough).then_some(())
        })
        .await;
    }

    /// So many more requests of providers are refused, or not answered.
    pub(crate) async fn refuses(&self, count: usize) {
        let enough = self.ledger.answers().not_accepted() + count;
        within(Duration::from_secs(60), &format!("{count} more requests not to be accepted"), async || {
            (self.ledger.answers().not_accepted() >= enough).then_some(())
        })
        .await;
    }

    /// Between two faults, so that each finds the relay at work: as many events as it may take, spread over what happens in
    /// that time.
    pub(crate) async fn goes_on(&self, round: usize) {
        self.accepts(15 + 7 * (round % 11)).await;
    }

    /// A process has just died, or stands still: what its destinations took and the database does not know of may be sent again,
    /// and nothing else.
    pub(crate) async fn allow_what_is_unwritten(&mut self) {
        self.faults += 1;
        self.allow_now().await;
    }

    async fn allow_now(&mut self) {
        // What it wrote last is still on its way to the sink.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let pending = checker::pending(&self.relay.database).await;
        let log = self.sink.log();
        let taken = log.iter().filter(|it| it.status == 200);
        let (mut keys, mut times) = (HashMap::new(), HashMap::<(usize, usize), usize>::new());
        for it in taken {
            keys.insert((it.webhook_id.as_str(), self.destinations[it.place].as_str()), (it.number, it.place));
            *times.entry((it.number, it.place)).or_default() += 1;
        }
        // Each time that it was taken may be followed by one more.
        for key in pending.iter().filter_map(|(event, to)| keys.get(&(event.as_str(), to.as_str()))) {
            let allowed = self.allowed.entry(*key).or_default();
            *allowed = (*allowed).max(times[key]);
        }
    }

    /// A process has just been stopped: what it was about to write to a destination (armed as `may-write.log`) and has not written
    /// may have passed its last look at the fence. It arrives when the process wakes up, after another has sent it.
    pub(crate) async fn allow_what_is_about_to_be_written(&mut self, stopped: &Process) {
        let pending: HashSet<(String, String)> = checker::pending(&self.relay.database).await.into_iter().collect();
        let noted = self.relay.noted("may-write");
        let mut writes = HashMap::<(&str, &str), (&str, usize)>::new();
        for line in noted.lines() {
            let [process, event, to] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let write = writes.entry((event, to)).or_default();
            *write = (process, write.1 + 1);
        }
        let (entries, log) = (self.ledger.entries(), self.sink.log());
        let stopped = stopped.pid().to_string();
        for ((event, to), (process, times)) in writes {
            if process != stopped || !pending.contains(&(event.to_owned(), to.to_owned())) {
                continue;
            }
            let number = entries.iter().position(|entry| entry.accepted.as_deref() == Some(event));
            let place = self.destinations.iter().position(|destination| destination == to);
            let (Some(number), Some(place)) = (number, place) else { continue };
            let arrived = || log.iter().filter(|it| (it.number, it.place) == (number, place));
            if times > arrived().count() {
                let taken = arrived().filter(|it| it.status == 200).count();
                let allowed = self.allowed.entry((number, place)).or_default();
                *allowed = (*allowed).max(taken + 1);
            }
        }
    }

    /// A fault after which nothing may arrive twice.
    pub(crate) const fn count_fault(&mut self) {
        self.faults += 1;
    }

    /// The fault is over: something is accepted and something arrives soon.
    pub(crate) async fn recovers(&mut self) {
        let since = Instant::now();
        within(Duration::from_secs(90), "the relay to recover", async || {
            (self.ledger.accepts_since(since) && self.sink.hears_since(since)).then_some(())
        })
        .await;
        self.recovery = self.recovery.max(Some(since.elapsed()));
    }

    /// Time passes in which the leases of whoever died end.
    pub(crate) fn let_leases_end(&self) {
        self.relay.clock.advance(LEASE_AND_MORE);
    }

    /// Time passes at once, for longer than a lease, where workers live: what they have in flight may be aborted at the fence, and
    /// what came of it is not known then. Destinations answer nobody meanwhile, so that it can be said what that was.
    pub(crate) async fn pass(&mut self, time: Duration) {
        self.sink.think(Duration::from_secs(60));
        self.sink.is_quiet().await;
        self.relay.clock.advance(time);
        // Whoever had a lease has noticed by then that it ended, or has another.
        within(Duration::from_secs(30), "all shards to be somebody's again", async || {
            let free = format!("SELECT count(*) FROM shard WHERE expires_at <= {}", self.relay.clock.now_ms());
            (self.relay.database.number(&free).await == 0).then_some(())
        })
        .await;
        self.sink.is_quiet().await;
        self.allow_now().await;
        self.sink.think(Duration::ZERO);
    }

    /// No new events; what was begun is accepted in the end, and everything that was accepted is delivered. Then the books are
    /// compared.
    pub(crate) async fn settle(&mut self) -> Result<Findings, String> {
        if let Some(load) = self.load.take() {
            load.end(Duration::from_secs(120)).await?;
        }
        let mut left = -1;
        let limit = Instant::now() + Duration::from_secs(240);
        let mut passed = Instant::now();
        while left != 0 {
            if Instant::now() > limit {
                return Err(format!("{left} deliveries are still pending"));
            }
            left = self.relay.database.number("SELECT count(*) FROM pending").await;
            if left > 0 && passed.elapsed() > Duration::from_secs(20) {
                // What a breaker keeps back waits for longer than anybody here.
                self.relay.clock.advance(Duration::from_secs(30));
                passed = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        checker::compare(self).await
    }

    /// The relay was told to forget what is older than this.
    pub(crate) const fn keeps(&mut self, time: Duration) {
        self.keeps = Some(time);
    }

    /// Whether an event that was accepted under this id is still to be in the database.
    pub(crate) fn is_kept(&self, id: &str) -> bool {
        let Some(keeps) = self.keeps else { return true };
        let id: relay::id::EventId = id.parse().expect("the relay gave it");
        id.millis() > self.relay.clock.now_ms() - i64::try_from(keeps.as_millis()).unwrap()
    }

    /// Where an event belongs that was accepted: its id, and those of its destinations.
    pub(crate) fn belongs(&self, entry: &Entry) -> Option<(String, Vec<String>)> {
        let places = checker::places(entry).into_iter().map(|place| self.destinations[place].clone());
        Some((entry.accepted.clone()?, places.collect()))
    }

    pub(crate) const fn recovery(&self) -> Option<Duration> {
        self.recovery
    }

    pub(crate) const fn allowed(&self) -> &HashMap<(usize, usize), usize> {
        &self.allowed
    }

    pub(crate) const fn faults(&self) -> usize {
        self.faults
    }
}

/// One of each program on a database of its own.
pub(crate) async fn plan(kind: harness::Kind) -> Plan {
    Relay::plan(Database::create(kind).await).setting("HOOKYARD_LOG", "warn")
}
