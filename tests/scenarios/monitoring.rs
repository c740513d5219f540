//! What operators are given to watch the relay with, held against what the programs really count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use harness::ondato::{APPROVED, event_with_id};
use harness::{Client, Database, Metrics, Receiver, Relay, Value, eventually, on_each_database};

on_each_database![
    every_metric_is_explained_and_every_explained_one_is_there,
    dashboard_and_alerts_ask_for_what_is_there,
    what_happens_is_counted,
];

const PAGE: &str = "docs/operations/monitoring.md";
const DASHBOARD: &str = "docs/operations/grafana-dashboard.json";
const ALERTS: &str = "docs/operations/alerts.yaml";

async fn every_metric_is_explained_and_every_explained_one_is_there(database: Database) {
    let relay = watched(database).await;
    let metrics = complete(&relay).await;
    let mut explained = explained();
    for (name, kind) in &explained {
        assert!(read(PAGE).contains(&format!("| `{name}` | {kind} |")), "{name}");
    }
    if !relay.database.is_postgres() {
        explained.remove("hookyard_partition_days_ahead").expect("SQLite has no days");
    }
    assert_eq!(metrics.kinds, explained, "{PAGE} and what is counted differ");
    let unsaid: Vec<_> = metrics.kinds.keys().filter(|name| !metrics.helps.contains_key(*name)).collect();
    assert!(unsaid.is_empty(), "without a help: {unsaid:?}");
    for (name, _) in metrics.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
        let buckets = metrics.samples.keys().filter(|sample| sample.starts_with(&format!("{name}_bucket")));
        assert!(buckets.count() > 5, "{name} has no buckets");
    }
    // Alerts compare with what was counted before: it begins at nought, not at the first time.
    for counter in [
        "hookyard_leases_lost_total",
        "hookyard_finish_failures_total",
        "hookyard_ingest_failures_total",
        "hookyard_webhooks_total{outcome=\"busy\"}",
        "hookyard_attempts_put_off_total{reason=\"unusable\"}",
        "hookyard_connections_refused_total{reason=\"tls_handshake\"}",
        "hookyard_api_requests_total{status=\"5xx\"}",
    ] {
        assert!(metrics.one(counter).abs() < f64::EPSILON, "{counter}");
    }
}

async fn dashboard_and_alerts_ask_for_what_is_there(database: Database) {
    let is_postgres = database.is_postgres();
    let relay = watched(database).await;
    let metrics = complete(&relay).await;
    let (dashboard, alerts) = (dashboard_expressions(), alert_expressions());
    assert!(dashboard.len() > 20 && alerts.len() > 10, "{} and {}", dashboard.len(), alerts.len());
    for expression in dashboard.iter().chain(&alerts) {
        for asked in names(expression) {
            if asked.name == "hookyard_partition_days_ahead" && !is_postgres {
                continue;
            }
            let (name, kind) =
                metrics.kind_of(asked.name).unwrap_or_else(|| panic!("no {} in {expression}", asked.name));
            // A counter alone says nothing, and a gauge has no rate.
            assert_eq!(asked.is_rate, kind != "gauge", "{name} is a {kind}: {expression}");
            assert_eq!(asked.name == name, kind != "histogram", "a histogram is asked for by its parts: {expression}");
        }
    }
    for rule in read(ALERTS).split("- alert: ").skip(1) {
        for field in ["expr:", "for:", "severity:", "summary:", "description:"] {
            assert_eq!(rule.matches(&format!(" {field}")).count(), 1, "{field} in {rule}");
        }
    }
}

async fn what_happens_is_counted(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, refusing) = (Receiver::start().await, Receiver::always(400).await);
    let route = relay.route(&receiver).await;
    let never = route.tenant.destination_tried(&refusing, &[0]).await;
    route.tenant.subscribe(&never, &["*"]).await;

    let event = route.source.send(APPROVED).await;
    let body = event_with_id(APPROVED, "twice");
    for _ in 0..2 {
        route.source.post(body.clone()).await.is(202);
    }
    let unknown = harness::Source { path: format!("{}x", route.source.path), ..route.source.clone() };
    unknown.post("{}").await.is(404);
    route.tenant.settled(&event).await;

    let expected = BTreeMap::from([
        ("hookyard_webhooks_total{outcome=\"accepted\"}", 2.0),
        ("hookyard_webhooks_total{outcome=\"duplicate\"}", 1.0),
        ("hookyard_webhooks_total{outcome=\"unknown\"}", 1.0),
        ("hookyard_webhook_seconds_count", 3.0),
        ("hookyard_attempts_total{outcome=\"delivered\"}", 2.0),
        ("hookyard_attempts_total{outcome=\"rejected\"}", 2.0),
        ("hookyard_attempt_seconds_count", 4.0),
        ("hookyard_delivery_seconds_count{attempt=\"first\"}", 2.0),
        ("hookyard_deliveries_total{state=\"delivered\"}", 2.0),
        ("hookyard_deliveries_total{state=\"failed\"}", 2.0),
        ("hookyard_finish_batch_rows_sum", 4.0),
        ("hookyard_shards_owned", 64.0),
        ("hookyard_ready", 1.0),
        ("hookyard_outcomes_unwritten", 0.0),
        ("hookyard_attempts_in_flight", 0.0),
        ("hookyard_oldest_due_seconds", 0.0),
    ]);
    let metrics = eventually("all of it to be counted", async || {
        let metrics = scraped(&relay).await;
        expected.iter().all(|(sample, value)| metrics.samples.get(*sample) == Some(value)).then_some(metrics)
    });
    let metrics = metrics.await;
    for (sample, least) in [
        ("hookyard_ingest_batch_rows_sum", 2.0),
        ("hookyard_ingest_batch_seconds_sum", 0.000_001),
        ("hookyard_finish_batch_seconds_sum", 0.000_001),
        ("hookyard_lease_renewals_total{outcome=\"renewed\"}", 1.0),
        ("hookyard_api_requests_total{status=\"2xx\"}", 5.0),
        ("process_resident_memory_bytes", 1_000_000.0),
        ("process_open_fds", 5.0),
        ("process_cpu_seconds_total", 0.01),
    ] {
        assert!(metrics.one(sample) >= least, "{sample} is {}", metrics.one(sample));
    }

    // What waits is counted now and then.
    let later = route.tenant.destination_tried(&refusing, &[0, 86_400]).await;
    route.tenant.subscribe(&later, &["*"]).await;
    route.source.send(APPROVED).await;
    eventually("the backlog to be counted", async || {
        let metrics = scraped(&relay).await;
        (metrics.samples.get("hookyard_backlog{state=\"later\"}") == Some(&1.0)).then_some(())
    })
    .await;
}

/// One that tells a collector, which is away.
async fn watched(database: Database) -> Relay {
    Relay::plan(database).setting("HOOKYARD_OTLP_ENDPOINT", "http://127.0.0.1:1").start().await
}

/// All that is counted, as soon as what is counted only now and then has been.
async fn complete(relay: &Relay) -> Metrics {
    let seldom = [
        "hookyard_table_bytes",
        "hookyard_backlog",
        "hookyard_shards_owned",
        "hookyard_clock_offset_seconds",
        // An api counts from when it serves.
        "hookyard_webhook_seconds",
        "hookyard_api_requests_total",
        "hookyard_connections_refused_total",
    ];
    eventually("all metrics to be there", async || {
        let metrics = scraped(relay).await;
        let days = !relay.database.is_postgres() || metrics.kinds.contains_key("hookyard_partition_days_ahead");
        (days && seldom.iter().all(|name| metrics.kinds.contains_key(*name))).then_some(metrics)
    })
    .await
}

/// Api and worker together; what both count is the worker's.
async fn scraped(relay: &Relay) -> Metrics {
    let mut all = Metrics::default();
    for process in relay.processes() {
        all = all.and(Client::of(process).metrics().await);
    }
    all
}

/// The metrics of the page's tables, each with what it is.
fn explained() -> BTreeMap<String, String> {
    let page = read(PAGE);
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once("` | "));
    let metrics = cells.filter(|(name, _)| name.starts_with("hookyard_") || name.starts_with("process_"));
    metrics.map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap().to_owned())).collect()
}

fn dashboard_expressions() -> BTreeSet<String> {
    fn look(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) if name == "expr" => drop(found.insert(text.clone())),
                        _ => look(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    look(&serde_json::from_str(&read(DASHBOARD)).unwrap(), &mut found);
    found
}

/// Each stands on one line, or on the deeper ones below `expr: >-`.
fn alert_expressions() -> BTreeSet<String> {
    let page = read(ALERTS);
    let rules = page.split(" expr: ").skip(1);
    rules.map(|rest| rest.split("\n        for: ").next().unwrap().replace(">-", "").replace('\n', " ")).collect()
}

/// A metric in an expression.
struct Asked<'a> {
    name: &'a str,
    /// It is asked how fast it grows.
    is_rate: bool,
}

fn names(expression: &str) -> Vec<Asked<'_>> {
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut asked = Vec::new();
    let mut at = 0;
    while let Some(found) = ["hookyard_", "process_"].iter().filter_map(|start| expression[at..].find(start)).min() {
        let begin = at + found;
        let rest = &expression[begin..];
        let end = begin + rest.find(|letter| !is_of_a_name(letter)).unwrap_or(rest.len());
        let before = &expression[..begin];
        let is_rate = ["rate(", "increase("].iter().any(|function| before.ends_with(function));
        asked.push(Asked { name: &expression[begin..end], is_rate });
        at = end;
    }
    assert!(!asked.is_empty(), "it asks for nothing of ours: {expression}");
    asked
}

fn read(path: &str) -> String {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
