//! Whether everything is as it was promised: each claim with what contradicts it.

use std::collections::HashSet;

use relay::signature;

use super::delivery::Delivery;
use super::provider::Posted;
use super::receiver::Received;
use super::scene::Scene;
use super::tenant::Subscription;

/// A claim, and what is not as claimed; nothing if it holds.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) claim: &'static str,
    pub(super) faults: Vec<String>,
}

/// All claims, in the order of an event's way.
pub(super) fn all(scene: &Scene<'_>) -> Vec<Check> {
    let check = |claim, faults| Check { claim, faults };
    vec![
        check("each event was accepted with 202, under an id of its own", ids(scene)),
        check("the repeat was answered with the id of the first, and is counted there", repeat(scene)),
        check("the wrong password was answered with 401", intruder(scene)),
        check("each event has one delivery for each subscription that wants its type, and no other", fan_out(scene)),
        check("each delivery was delivered: at once, or after as many tries as its receiver refused", attempts(scene)),
        check("each receiver accepted each of its events once, in the bytes that were posted", bytes(scene)),
        check("each request was signed with its destination's own secret (Standard Webhooks)", signatures(scene)),
        check("no receiver saw an event of another tenant, or of a type that nobody wanted there", isolation(scene)),
    ]
}

fn ids(scene: &Scene<'_>) -> Vec<String> {
    let mut seen = HashSet::new();
    let twice = scene.posted.iter().filter(|posted| !seen.insert(&posted.event_id));
    twice.map(|posted| format!("{} got {}, which another event has", posted.event_type, posted.event_id)).collect()
}

fn repeat(scene: &Scene<'_>) -> Vec<String> {
    let first = scene.posted.first().map(|posted| posted.event_id.as_str());
    let mut faults = Vec::new();
    if first != Some(&scene.repeat) {
        faults.push(format!("it got {} instead of {}", scene.repeat, first.unwrap_or("nothing")));
    }
    if scene.duplicates != 1 {
        faults.push(format!("{} repeats are counted instead of 1", scene.duplicates));
    }
    faults
}

fn intruder(scene: &Scene<'_>) -> Vec<String> {
    if scene.intruder == 401 { Vec::new() } else { vec![format!("it was answered with {}", scene.intruder)] }
}

fn fan_out(scene: &Scene<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (posted, subscription) in scene.expected() {
        let is_of_it = |it: &&Delivery| it.event_id == posted.event_id && it.subscription_id == subscription.id;
        let many = scene.deliveries.iter().filter(is_of_it).count();
        if many != 1 {
            faults.push(format!("{} has {many} deliveries to {}", posted.event_type, subscription.receiver.name()));
        }
    }
    let expected = scene.expected().count();
    if scene.deliveries.len() != expected {
        faults.push(format!("there are {} deliveries instead of {expected}", scene.deliveries.len()));
    }
    faults
}

fn attempts(scene: &Scene<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for delivery in &scene.deliveries {
        let Some((posted, subscription)) = scene.way_of(delivery) else { continue };
        let refusals = subscription.receiver.refusals();
        let statuses = [vec!["503"; refusals], vec!["200"]].concat();
        if delivery.state != "delivered" || delivery.attempts != statuses.len() as u64 || delivery.statuses != statuses
        {
            let (state, seen) = (&delivery.state, delivery.statuses.join(", "));
            let name = subscription.receiver.name();
            faults.push(format!("{} to {name}: {state}, {} attempts ({seen})", posted.event_type, delivery.attempts));
        }
    }
    faults
}

fn bytes(scene: &Scene<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (posted, subscription) in scene.expected() {
        let (requests, name) = (requests_of(posted, subscription), subscription.receiver.name());
        let accepted = requests.iter().filter(|request| request.was_accepted()).count();
        if accepted != 1 {
            faults.push(format!("{name} accepted {} {accepted} times", posted.event_type));
        }
        if requests.iter().any(|request| request.body != posted.body.as_bytes()) {
            faults.push(format!("{name} got other bytes for {}", posted.event_type));
        }
    }
    faults
}

fn signatures(scene: &Scene<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for subscription in scene.tenants.iter().flat_map(|tenant| &tenant.subscriptions) {
        let requests = subscription.receiver.requests();
        for request in requests.iter().filter(|request| !is_signed(request, subscription)) {
            faults.push(format!(
                "{}: {} is not signed as it should be",
                subscription.receiver.name(),
                request.event_id()
            ));
        }
    }
    faults
}

fn is_signed(request: &Received, subscription: &Subscription) -> bool {
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| request.header(name));
    signature::verify(&subscription.secret, id, timestamp, &request.body, signature)
}

fn isolation(scene: &Scene<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for tenant in scene.tenants {
        for subscription in &tenant.subscriptions {
            let own = |posted: &&Posted<'_>| posted.tenant.slug == tenant.slug && subscription.wants(posted.event_type);
            let own: HashSet<&str> = scene.posted.iter().filter(own).map(|posted| posted.event_id.as_str()).collect();
            let requests = subscription.receiver.requests();
            for request in requests.iter().filter(|request| !own.contains(request.event_id())) {
                let event_type = request.header("hookyard-event-type");
                faults.push(format!("{} saw {} ({event_type})", subscription.receiver.name(), request.event_id()));
            }
        }
    }
    faults
}

/// What a receiver got of an event, in the order of arrival.
pub(super) fn requests_of(posted: &Posted<'_>, subscription: &Subscription) -> Vec<Received> {
    let mut requests = subscription.receiver.requests();
    requests.retain(|request| request.event_id() == posted.event_id);
    requests
}
