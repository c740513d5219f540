//! One run: warm up, load, wait until everything has arrived, and say what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cost::Cost;
use crate::ledger::{Ledger, Tally};
use crate::load::{Choice, Chosen, Load};
use crate::relay::Subject;
use crate::sink::Sink;

/// Not counted: connections, caches and windows are new.
const WARM_UP: Duration = Duration::from_secs(2);
/// The same for many sources: each one's password is checked slowly once.
const WARM_UP_MANY: Duration = Duration::from_secs(6);
/// Nothing arrives for so long: what is missing is lost, or waits for another attempt.
const GIVE_UP: Duration = Duration::from_secs(10);

/// How it is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// As fast as it answers.
    Closed,
    /// So many a second.
    Open(f64),
}

#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) pace: Pace,
    pub(crate) during: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    pub(crate) body_bytes: usize,
    /// Deliveries that each event comes to, where all destinations are well.
    pub(crate) fan_out: u8,
    pub(crate) choice: Choice,
}

impl Plan {
    /// One kilobyte over 64 connections, to all doors in turn.
    pub(crate) fn new(pace: Pace, during: Duration, doors: usize) -> Self {
        let choice: Choice =
            Arc::new(move |number| Chosen { door: number as usize % doors, of_type: 0, arrives: true });
        let warm_up = if doors == 1 { WARM_UP } else { WARM_UP_MANY };
        Self { pace, during, warm_up, connections: 64, body_bytes: 1024, fan_out: 1, choice }
    }
}

pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// From the first request until the last was answered.
    pub(crate) loading: Duration,
    /// From the first request until the last delivery.
    pub(crate) all: Duration,
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) cost: Cost,
}

pub(crate) struct Bench {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) sink: Sink,
}

impl Bench {
    pub(crate) async fn open() -> Self {
        let ledger = Arc::new(Ledger::open());
        let sink = Sink::open(Arc::clone(&ledger)).await;
        Self { ledger, sink }
    }

    pub(crate) async fn run(&self, subject: &Subject, plan: &Plan) -> Outcome {
        let load = Load {
            ledger: Arc::clone(&self.ledger),
            doors: Arc::new(subject.doors.clone()),
            choice: Arc::clone(&plan.choice),
            body_bytes: plan.body_bytes,
            connections: plan.connections,
        };
        let pass = async |during| match plan.pace {
            Pace::Closed => load.closed(during).await,
            Pace::Open(per_second) => load.open(per_second, during).await,
        };
        pass(plan.warm_up).await;
        self.settle(plan.fan_out).await;
        subject.meter.forget().await;
        let before = subject.meter.read().await;
        self.ledger.begin();
        let (first, began) = (self.ledger.sent(), Instant::now());
        pass(plan.during).await;
        let loading = began.elapsed();
        let last = self.ledger.sent();
        self.settle(plan.fan_out).await;
        // Outcomes are written a moment after the last arrival.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let cost = subject.meter.since(&before).await;
        let all = self.ledger.last_arrival().saturating_duration_since(began).max(loading);
        let (lost, twice) =
            self.ledger.lost_and_twice(first..last, plan.fan_out, |number| (plan.choice)(number).arrives);
        Outcome { tally: self.ledger.begin(), loading, all, lost, twice, cost }
    }

    /// Until all that was accepted has arrived, or nothing comes any more.
    async fn settle(&self, fan_out: u8) {
        let mut last = (0, Instant::now());
        loop {
            let (arrived, accepted) = self.ledger.look(|tally| (tally.arrived_well(), tally.to_arrive));
            if arrived >= accepted * u64::from(fan_out) {
                return;
            }
            if arrived != last.0 {
                last = (arrived, Instant::now());
            }
            if last.1.elapsed() > GIVE_UP {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(crate) fn millis(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

impl Outcome {
    pub(crate) fn accepted_per_s(&self) -> f64 {
        per(self.tally.accepted, self.loading)
    }

    /// Events that were taken in and delivered, over all the time that this took.
    pub(crate) fn events_per_s(&self) -> f64 {
        per(self.tally.accepted, self.all)
    }

    pub(crate) fn delivered_per_s(&self) -> f64 {
        per(self.tally.arrived(), self.all)
    }

    /// Processor time per event, in milliseconds: of all parts.
    pub(crate) fn processor_ms(&self) -> f64 {
        let all: Duration = self.cost.processor.iter().map(|(_, time)| *time).sum();
        self.per_event(all.as_secs_f64() * 1000.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(crate) fn per_event(&self, what: f64) -> f64 {
        what / (self.tally.accepted.max(1) as f64)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(0.001)
}
