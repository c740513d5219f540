//! What was measured, for people and for machines.

use comfy_table::{Table, presets};
use harness::{Value, json};

use crate::run::{Outcome, millis};

/// One line of the table: what was measured, on what, and what came of it.
pub(crate) struct Line {
    pub(crate) workload: String,
    pub(crate) subject: String,
    pub(crate) database: &'static str,
    pub(crate) outcome: Outcome,
}

const HEADINGS: [&str; 15] = [
    "workload",
    "of",
    "on",
    "accepted/s",
    "ack p50 ms",
    "p99",
    "events/s",
    "delivered/s",
    "to deliver p50",
    "p99",
    "CPU ms/event",
    "MiB peak",
    "written B/event",
    "stmts/event",
    "lost/twice",
];

pub(crate) fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(HEADINGS);
    for line in lines {
        table.add_row(cells(line));
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn cells(line: &Line) -> Vec<String> {
    let outcome = &line.outcome;
    let (ack, deliver) = (&outcome.tally.acknowledge, &outcome.tally.deliver[0]);
    let processor = outcome
        .cost
        .processor
        .iter()
        .map(|(name, time)| format!("{name} {:.3}", outcome.per_event(time.as_secs_f64() * 1000.0)));
    let memory = outcome.cost.memory_kib.iter().map(|(name, kib)| format!("{name} {}", kib / 1024));
    let number = |number: f64| format!("{number:.0}");
    vec![
        line.workload.clone(),
        line.subject.clone(),
        line.database.to_owned(),
        number(outcome.accepted_per_s()),
        format!("{:.2}", millis(ack, 0.5)),
        format!("{:.2}", millis(ack, 0.99)),
        number(outcome.events_per_s()),
        number(outcome.delivered_per_s()),
        format!("{:.2}", millis(deliver, 0.5)),
        format!("{:.2}", millis(deliver, 0.99)),
        format!("{:.3} ({})", outcome.processor_ms(), processor.collect::<Vec<_>>().join(", ")),
        memory.collect::<Vec<_>>().join(", "),
        number(outcome.per_event(outcome.cost.written as f64)),
        format!("{:.3}", outcome.per_event(outcome.cost.statements as f64)),
        format!("{}/{}", outcome.lost, outcome.twice) + &refused(outcome),
    ]
}

fn refused(outcome: &Outcome) -> String {
    if outcome.tally.refused == 0 { String::new() } else { format!(", {} refused", outcome.tally.refused) }
}

pub(crate) fn json(line: &Line) -> Value {
    let outcome = &line.outcome;
    let quantiles = |histogram: &hdrhistogram::Histogram<u64>| {
        json!({ "p50": millis(histogram, 0.5), "p90": millis(histogram, 0.9), "p99": millis(histogram, 0.99),
            "p999": millis(histogram, 0.999), "max": millis(histogram, 1.0), "count": histogram.len() })
    };
    let groups: Vec<Value> = outcome.tally.deliver.iter().filter(|group| !group.is_empty()).map(quantiles).collect();
    let parts: serde_json::Map<String, Value> = outcome
        .cost
        .processor
        .iter()
        .map(|(name, time)| ((*name).to_owned(), json!(outcome.per_event(time.as_secs_f64() * 1000.0))))
        .collect();
    let memory: serde_json::Map<String, Value> =
        outcome.cost.memory_kib.iter().map(|(name, kib)| ((*name).to_owned(), json!(kib))).collect();
    json!({
        "workload": line.workload, "subject": line.subject, "database": line.database,
        "accepted": outcome.tally.accepted, "refused": outcome.tally.refused,
        "accepted_per_s": outcome.accepted_per_s(), "events_per_s": outcome.events_per_s(),
        "delivered_per_s": outcome.delivered_per_s(), "acknowledge_ms": quantiles(&outcome.tally.acknowledge),
        "deliver_ms": groups, "early": outcome.tally.early, "backlog_delivered": outcome.tally.foreign,
        "lost": outcome.lost, "twice": outcome.twice,
        "processor_ms_per_event": parts, "peak_memory_kib": memory,
        "written_bytes": outcome.cost.written, "database_bytes": outcome.cost.size,
        "statements": outcome.cost.statements, "commits": outcome.cost.commits,
    })
}
