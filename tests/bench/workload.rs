//! What is measured: workloads, each bounded in time, and the ratios that they are about.

use std::time::Duration;

use crate::relay::{Customer, ONE_OF_EACH, Storage, Subject};
use crate::report::Line;
use crate::run::{Bench, Outcome, Pace, Plan};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// W1: events that nobody subscribed to, of several sizes.
    Ingest,
    /// W2: one tenant, one destination, as fast as it goes; the floor beside it.
    EndToEnd,
    /// W2: at 1,000 events a second.
    Steady,
    /// W2: five destinations for each event.
    FanOut,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) runs: usize,
    pub(crate) during: Duration,
    /// Also say which statements took most of PostgreSQL's time.
    pub(crate) statements: bool,
}

pub(crate) async fn measure(workload: Workload, storage: Storage, scale: Scale) -> Vec<Line> {
    let measuring = Measuring { storage, scale, lines: Vec::new() };
    match workload {
        Workload::Ingest => measuring.ingest().await,
        Workload::EndToEnd => measuring.end_to_end().await,
        Workload::Steady => measuring.steady().await,
        Workload::FanOut => measuring.fan_out().await,
    }
}

struct Measuring {
    storage: Storage,
    scale: Scale,
    lines: Vec<Line>,
}

impl Measuring {
    async fn floor(&mut self, durable: bool) -> f64 {
        let bench = Bench::open().await;
        let subject = Subject::floor(self.storage, durable, &bench.sink).await;
        let outcome = bench.run(&subject, &Plan::new(Pace::Closed, self.scale.during, 1)).await;
        subject.end().await;
        let events = outcome.events_per_s();
        self.note("end to end", if durable { "durable floor" } else { "no storage" }, outcome);
        events
    }

    async fn relay(&mut self, name: &str, customers: &[Customer], plan: &Plan) -> f64 {
        let bench = Bench::open().await;
        let subject = Subject::relay(self.storage, ONE_OF_EACH, customers, &bench.sink).await;
        let outcome = bench.run(&subject, plan).await;
        if self.scale.statements {
            subject.meter.dearest().await.iter().for_each(|statement| eprintln!("  {statement}"));
        }
        subject.end().await;
        let events = outcome.events_per_s();
        self.note(name, "relay", outcome);
        events
    }

    fn note(&mut self, workload: &str, subject: &str, outcome: Outcome) {
        eprintln!(
            "{workload}, {subject} on {}: {:.0} events/s, {:.3} ms of CPU each",
            self.storage.name(),
            outcome.events_per_s(),
            outcome.processor_ms()
        );
        self.lines.push(Line {
            workload: workload.to_owned(),
            subject: subject.to_owned(),
            database: self.storage.name(),
            outcome,
        });
    }

    async fn ingest(mut self) -> Vec<Line> {
        for body_bytes in [256, 1024, 8192, 65536] {
            let plan = Plan { body_bytes, fan_out: 0, ..Plan::new(Pace::Closed, self.scale.during, 1) };
            self.relay(&format!("ingest {body_bytes} B"), &[Customer::well(0)], &plan).await;
        }
        self.lines
    }

    async fn end_to_end(mut self) -> Vec<Line> {
        let mut ratios = Vec::new();
        for _ in 0..self.scale.runs {
            self.floor(false).await;
            let floor = self.floor(true).await;
            let plan = Plan::new(Pace::Closed, self.scale.during, 1);
            let relay = self.relay("end to end", &[Customer::well(1)], &plan).await;
            ratios.push(relay / floor);
        }
        println!(
            "{}: the relay reaches {:.2} of the durable floor (median of {ratios:.2?})",
            self.storage.name(),
            median(&mut ratios)
        );
        self.lines
    }

    async fn steady(mut self) -> Vec<Line> {
        let plan = Plan::new(Pace::Open(1000.0), self.scale.during, 1);
        self.relay("1,000 events/s", &[Customer::well(1)], &plan).await;
        self.lines
    }

    async fn fan_out(mut self) -> Vec<Line> {
        for fan_out in [1, 5] {
            let plan = Plan { fan_out, ..Plan::new(Pace::Closed, self.scale.during, 1) };
            self.relay(&format!("fan-out {fan_out}"), &[Customer::well(fan_out.into())], &plan).await;
        }
        self.lines
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
