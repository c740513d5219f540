//! Processes that kill themselves at a chosen point. One event at a time, so that every duplicate is counted exactly.

use std::time::Duration;

use harness::{Process, Reply, Route, within};

use crate::checker::Findings;
use crate::experiment::Context;
use crate::stage::{LEASE_AND_MORE, plan};

/// What must have come of each event, by whoever is killed at this point.
struct Expected {
    place: &'static str,
    /// The process that gets there.
    is_the_api: bool,
    /// Requests that its destination sees.
    requests: usize,
}

pub(super) async fn kill_after_answer(context: Context) -> Result<Findings, String> {
    rounds(context, Expected { place: "after-answer", is_the_api: false, requests: 2 }).await
}

pub(super) async fn kill_before_send(context: Context) -> Result<Findings, String> {
    rounds(context, Expected { place: "before-send", is_the_api: false, requests: 1 }).await
}

pub(super) async fn kill_before_commit(context: Context) -> Result<Findings, String> {
    rounds(context, Expected { place: "before-commit", is_the_api: true, requests: 1 }).await
}

pub(super) async fn kill_after_commit(context: Context) -> Result<Findings, String> {
    rounds(context, Expected { place: "after-commit", is_the_api: true, requests: 1 }).await
}

async fn rounds(context: Context, expected: Expected) -> Result<Findings, String> {
    let relay = plan(context.kind).await.start().await;
    let receiver = harness::Receiver::always(Reply::status(200)).await;
    let Route { tenant, source, .. } = relay.route_tried(&receiver, Some(&[0, 1, 1, 1, 1, 1])).await;
    let mut findings = Findings::default();
    for round in 0..context.rounds(20, 2) {
        let seen = receiver.count();
        let body = harness::ondato::event_with_id("Fault.Single", &format!("fault-{round}"));
        relay.arm(expected.place, "kill");
        let first = source.try_post(&[("content-type", "application/json")], body.clone()).await;
        let process = dies(&relay, &expected).await;
        findings.faults += 1;
        process.start_again().await;
        if !expected.is_the_api {
            relay.clock.advance(LEASE_AND_MORE);
        }
        // The provider had no answer and sends it again; whoever had one hears the same.
        findings.unknown += usize::from(first.is_err());
        let again = source.post(body).await.event_id();
        if let Ok(first) = first
            && first.event_id() != again
        {
            findings.broken.push("an event was accepted twice, under two ids".to_owned());
        }
        let deliveries = tenant.settled(&again).await;
        findings.accepted += 1;
        if deliveries.len() != 1 || deliveries[0]["state"] != "delivered" {
            findings.broken.push(format!(
                "{} deliveries, of which the first is {}",
                deliveries.len(),
                deliveries[0]["state"]
            ));
        }
        let requests = receiver.requests().split_off(seen);
        findings.delivered += usize::from(!requests.is_empty());
        findings.duplicates += requests.len().saturating_sub(1);
        findings.allowed += expected.requests - 1;
        if requests.len() != expected.requests || requests.iter().any(|request| request.one("webhook-id") != again) {
            findings.broken.push(format!(
                "{} requests instead of {}, or not of this event",
                requests.len(),
                expected.requests
            ));
        }
    }
    Ok(findings)
}

async fn dies(relay: &harness::Relay, expected: &Expected) -> Process {
    let process = if expected.is_the_api { &relay.apis[0] } else { &relay.workers[0] };
    let what = format!("a process to die at {}", expected.place);
    within(Duration::from_secs(30), &what, async || process.has_ended().then_some(())).await;
    process.clone()
}
