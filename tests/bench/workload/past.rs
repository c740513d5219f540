//! Workloads of those who have been here for long.

use std::time::{Duration, Instant};

use harness::{Database, Relay, Tenant};
use relay::id::{DestinationId, SubscriptionId};

use super::Measuring;
use crate::history::{self, Past, QUESTIONS};
use crate::relay::{Customer, ONE_OF_EACH, Storage, Subject};
use crate::run::{Bench, Pace, Plan, millis};

/// Events in a long past, and in a short one that it is compared with.
const LONG: i64 = 10_000_000;
const SHORT: i64 = 10_000;
/// How often each question is asked.
const TIMES: u32 = 20;
/// Destinations of the tenant.
const DESTINATIONS: usize = 10;
/// Events that are too old; with their deliveries, and with every second body, five million rows.
const OLD: i64 = 2_000_000;
/// New events a second, meanwhile.
const NEW: f64 = 500.0;

impl Measuring {
    /// The same questions about a short past and a long one.
    pub(super) async fn search(&mut self) {
        let short = self.asked(SHORT).await;
        let long = self.asked(LONG).await;
        println!(
            "{}, {LONG} events and {LONG} deliveries of one tenant over 89 days, against {SHORT}:",
            self.storage.name()
        );
        println!("| question | p50 ms | p99 ms | first ms | of {SHORT}: p50 ms | a page has |");
        println!("|---|---|---|---|---|---|");
        for ((question, long, plans), (_, short, _)) in long.iter().zip(&short) {
            println!(
                "| {question} | {:.1} | {:.1} | {:.1} | {:.1} | {}{} |",
                millis(&long.micros, 0.5),
                millis(&long.micros, 0.99),
                long.first.as_secs_f64() * 1000.0,
                millis(&short.micros, 0.5),
                long.items,
                if long.goes_on { ", and there is more" } else { "" }
            );
            plans.iter().for_each(|plan| eprintln!("  {question}: {plan}"));
        }
    }

    async fn asked(&self, events: i64) -> Vec<(&'static str, history::Answers, Vec<String>)> {
        let bench = Bench::open().await;
        let mut subject = self.start(&bench, ONE_OF_EACH, &[Customer::well(DESTINATIONS)]).await;
        let tenant = subject.tenants[0].clone();
        let routes = routes(&tenant).await;
        let source = tenant.source().await;
        let began = Instant::now();
        let storage = self.storage;
        let past = Past {
            storage,
            tenant: tenant.id.parse().unwrap(),
            source: source.id.parse().unwrap(),
            routes: &routes,
            days_ago: (89, 1),
            events,
            with_body: events + 1,
            some_wait: true,
        };
        subject.while_stopped(async |database| past.write(database).await).await;
        eprintln!("{events} events and their deliveries written in {:.0} s", began.elapsed().as_secs_f64());
        let day = chrono::Utc::now() - chrono::TimeDelta::days(60);
        let (early, late) = (day.format("%FT00:00:00Z").to_string(), day.format("%FT23:59:59Z").to_string());
        let destination = routes[3].1.to_string();
        let path = |template: &str, time: u32| {
            let number = i64::from(time) * 4 * (events / 4 / i64::from(TIMES + 1));
            let below = template
                .replace("{external_id}", &history::external_id(number))
                .replace("{request_id}", &history::request_id(number))
                .replace("{source}", &source.id)
                .replace("{destination}", &destination)
                .replace("{early}", &early)
                .replace("{late}", &late);
            tenant.path(&below)
        };
        let client = subject.relay.as_ref().unwrap().operator();
        let mut asked = Vec::new();
        for (question, template) in QUESTIONS {
            let answers = history::ask(&client, |time| path(template, time), TIMES).await;
            eprintln!("  {question}: {:.1} ms", millis(&answers.micros, 0.5));
            asked.push((question, answers, Vec::new()));
        }
        let paths: Vec<String> = QUESTIONS.iter().map(|(_, template)| path(template, 1)).collect();
        for (asked, plans) in asked.iter_mut().zip(plans(storage, &mut subject, &paths).await) {
            asked.2 = plans;
        }
        self.end(subject).await;
        asked
    }

    /// The relay is started with a past that is too old, and forgets it while new events come.
    pub(super) async fn forget(&mut self) {
        let bench = Bench::open().await;
        let mut subject = self.start(&bench, ONE_OF_EACH, &[Customer::well(1)]).await;
        let plan = Plan::new(Pace::Open(NEW), self.scale.during, 1);
        let alone = bench.run(&subject, &plan).await;
        self.note("500 events/s", "relay", alone);
        let alone = self.p99();
        let tenant = subject.tenants[0].clone();
        let (routes, source) = (routes(&tenant).await, tenant.source().await);
        let past = Past {
            storage: self.storage,
            tenant: tenant.id.parse().unwrap(),
            source: source.id.parse().unwrap(),
            routes: &routes,
            days_ago: (120, 101),
            events: OLD,
            with_body: 2,
            some_wait: false,
        };
        let began = Instant::now();
        subject.while_stopped(async |database| past.write(database).await).await;
        eprintln!("{OLD} old events with deliveries written in {:.0} s", began.elapsed().as_secs_f64());
        let (began, mut worst) = (Instant::now(), 0.0f64);
        let mut left = is_left(&subject, &past).await;
        while left && began.elapsed() < Duration::from_secs(600) {
            let beside = bench.run(&subject, &plan).await;
            self.note("500 events/s, forgetting", "relay", beside);
            worst = worst.max(self.p99());
            left = is_left(&subject, &past).await;
        }
        let took = began.elapsed();
        let memory = subject.meter.peaks();
        self.end(subject).await;
        self.say(&format!(
            "five million old rows: {} after {took:.0?}; new events' p99 {worst:.1} ms at worst, {:.1} x that without them; peak {memory:?} KiB",
            if left { "not all forgotten" } else { "all forgotten" },
            worst / alone
        ));
    }
}

/// How the database searches for each of these.
async fn plans(storage: Storage, subject: &mut Subject, paths: &[String]) -> Vec<Vec<String>> {
    let mut plans = Vec::new();
    if storage == Storage::Sqlite {
        let ask = async |database: &Database| {
            let plan = Relay::plan(database.clone()).on_real_time().setting("HOOKYARD_LOG_FORMAT", "json");
            let relay = plan.setting("HOOKYARD_LOG", "warn,entity::search=trace").start().await;
            let connection = database.connection().await;
            for path in paths {
                plans.push(history::plans_of(&relay, &connection, path).await);
            }
            connection.close().await.unwrap();
        };
        subject.while_stopped(ask).await;
        return plans;
    }
    subject.while_stopped(async |database| history::explain(database).await).await;
    let client = subject.relay.as_ref().unwrap().operator();
    for path in paths {
        let before = history::log_length();
        let _ = client.get(path).await.json(200);
        plans.push(history::plans_since(before));
    }
    plans
}

async fn is_left(subject: &Subject, past: &Past<'_>) -> bool {
    let tenant = past.storage.uuid(past.tenant.uuid());
    let before = chrono::Utc::now().timestamp_millis() - 100 * 86_400_000;
    let before = past.storage.uuid(relay::id::first_of(before));
    let tables = [("event", "id"), ("delivery", "id"), ("payload", "event_id")];
    let any = tables
        .map(|(table, id)| format!("EXISTS (SELECT 1 FROM {table} WHERE tenant_id = {tenant} AND {id} < {before})"));
    subject.database.number(&format!("SELECT CAST(CASE WHEN {} THEN 1 ELSE 0 END AS bigint)", any.join(" OR "))).await
        > 0
}

/// The tenant's subscriptions with their destinations.
async fn routes(tenant: &Tenant) -> Vec<(SubscriptionId, DestinationId)> {
    let subscriptions = harness::answer::items(&tenant.get("/subscriptions").await.json(200));
    let id = |row: &harness::Value, field| harness::answer::text(row, field);
    let route = |row: &harness::Value| (id(row, "id").parse().unwrap(), id(row, "destination_id").parse().unwrap());
    subscriptions.iter().map(route).collect()
}
