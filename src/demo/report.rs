//! What the reader of the demo sees at its end: what each event became, and whether that is as it should be.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::check::{Check, requests_of};
use super::delivery::Delivery;
use super::provider::Posted;
use super::scene::Scene;
use super::tenant::Subscription;

const COLUMNS: [&str; 7] = ["tenant", "event", "receiver", "state", "attempts", "answers", "latency"];

/// One row a delivery, in the order in which the events were posted.
pub(super) fn table(scene: &Scene<'_>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(COLUMNS);
    for posted in &scene.posted {
        let of_it = scene.deliveries.iter().filter(|delivery| delivery.event_id == posted.event_id);
        for (place, delivery) in of_it.enumerate() {
            table.add_row(row(scene, posted, delivery, place == 0));
        }
    }
    table
}

/// Names the event only in its first row.
fn row(scene: &Scene<'_>, posted: &Posted<'_>, delivery: &Delivery, is_first: bool) -> Vec<Cell> {
    let subscription = scene.way_of(delivery).map(|(_, subscription)| subscription);
    let named = |text: &str| Cell::new(if is_first { text } else { "" });
    let event = match scene.derived_types.get(&posted.event_id) {
        Some(derived) => format!("{} ({derived})", posted.event_type),
        None => posted.event_type.to_owned(),
    };
    vec![
        named(posted.tenant.slug),
        named(&event),
        Cell::new(subscription.map_or("?", |subscription| subscription.receiver.name())),
        Cell::new(&delivery.state),
        Cell::new(delivery.attempts).set_alignment(CellAlignment::Right),
        Cell::new(delivery.statuses.join(", ")),
        Cell::new(subscription.and_then(|it| latency(posted, it)).map_or_else(|| "-".to_owned(), millis))
            .set_alignment(CellAlignment::Right),
    ]
}

/// From the first byte of the post until the receiver had the request that it accepted.
fn latency(posted: &Posted<'_>, subscription: &Subscription) -> Option<Duration> {
    let requests = requests_of(posted, subscription);
    requests.iter().find(|request| request.was_accepted()).map(|request| request.at.duration_since(posted.at))
}

/// In milliseconds.
pub(super) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

/// Prints every claim, and under it what contradicts it; returns how many do not hold.
pub(super) fn verdict(checks: &[Check]) -> usize {
    for check in checks {
        println!("     {:<4}{}", if check.faults.is_empty() { "yes" } else { "NO" }, check.claim);
        for fault in &check.faults {
            println!("         {fault}");
        }
    }
    checks.iter().filter(|check| !check.faults.is_empty()).count()
}
