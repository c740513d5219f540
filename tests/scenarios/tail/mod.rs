//! The live tail: what happens is told as it happens, each thing once.

mod bounds;
mod ends;
mod filters;
mod resumed;

use std::collections::BTreeSet;
use std::time::Duration;

use harness::answer::text;
use harness::{Database, Receiver, Relay, Reply, Route, Source, Tenant, json, on_each_database};

on_each_database![
    what_happens_is_told_as_it_happens,
    what_was_made_before_is_told_when_it_ends,
    each_thing_is_told_once_however_many_there_are,
];

async fn what_happens_is_told_as_it_happens(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([Reply::status(500), Reply::status(200)]).await;
    let Route { tenant, destination, .. } = relay.route(&receiver).await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    quiet(&tenant, &source).await;
    let mut tail = tenant.tail("").await;
    assert_eq!(
        ["content-type", "cache-control", "x-accel-buffering"].map(|name| tail.header(name)),
        ["text/event-stream", "no-store", "no"]
    );

    source.as_user("ondato", "wrong").post("{}").await.is(401);
    let rejection = tail.told().await;
    let said = ["source_id", "cause"].map(|field| text(&rejection.data, field));
    assert_eq!((rejection.kind.as_str(), said), ("rejection", [source.id.clone(), "credential_wrong".to_owned()]));

    let event = source.send("a.b").await;
    let accepted = tail.told().await;
    assert_eq!((accepted.kind.as_str(), text(&accepted.data, "id")), ("event", event.clone()));
    let mut shown = tenant.event(&event).await;
    for more in ["headers", "deliveries"] {
        shown.as_object_mut().unwrap().remove(more);
    }
    assert_eq!(accepted.data, shown, "as it is read elsewhere");

    let failed = tail.told().await.data;
    let of = ["event_id", "destination_id", "state"].map(|field| text(&failed, field));
    assert_eq!(of, [&event, &destination.id, "pending"]);
    assert_eq!((&failed["attempts"], &failed["last_status"]), (&json!(1), &json!(500)));
    relay.clock.advance(Duration::from_secs(7));
    let delivered = tail.told().await;
    assert_eq!((delivered.kind.as_str(), &delivered.data["id"]), ("delivery", &failed["id"]));
    assert_eq!(delivered.data, tenant.deliveries(&event).await[0], "as it is read elsewhere");
    assert_eq!((&delivered.data["state"], &delivered.data["attempts"]), (&json!("delivered"), &json!(2)));
}

async fn what_was_made_before_is_told_when_it_ends(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500, 500]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(text(&tenant.delivery_of(&source.send("a.b").await).await, "id"));
        tenant.delivery_waiting(waiting.last().unwrap(), 1).await;
    }
    a_moment_passes(&relay).await;
    let mut tail = tenant.tail("?kinds=delivery").await;
    relay.clock.advance(Duration::from_secs(7));
    let told = [tail.told().await, tail.told().await].map(|news| news.data);
    let ids: BTreeSet<_> = told.iter().map(|delivery| text(delivery, "id")).collect();
    assert_eq!(ids, waiting.iter().cloned().collect());
    assert!(told.iter().all(|delivery| delivery["state"] == "delivered"), "{told:#?}");

    let again = text(&tenant.act(&format!("/deliveries/{}/retry", waiting[0])).await.json(202), "id");
    let retried = tail.told().await.data;
    assert_eq!((text(&retried, "id"), text(&retried, "retry_of")), (again, waiting[0].clone()));
}

async fn each_thing_is_told_once_however_many_there_are(database: Database) {
    let relay = Relay::plan(database).apis(2).workers(2).start().await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    quiet(&tenant, &source).await;
    let mut tail = tenant.tail("").await;

    let other = source.at(relay.apis.last().unwrap());
    let types = |_| "a.b".to_owned();
    let (here, there) = tokio::join!(source.send_many(150, 8, types), other.send_many(150, 8, types));
    let sent: BTreeSet<String> = here.into_iter().chain(there).collect();

    let (mut events, mut deliveries) = (Vec::new(), Vec::new());
    while events.len() + deliveries.len() < 2 * sent.len() {
        let news = tail.told().await;
        if news.kind == "event" {
            events.push(text(&news.data, "id"));
        } else {
            let of = text(&news.data, "event_id");
            assert!(events.contains(&of), "{of} is delivered before it is told of");
            deliveries.push(of);
        }
    }
    assert_eq!(events.into_iter().collect::<BTreeSet<_>>(), sent);
    assert_eq!(deliveries.into_iter().collect::<BTreeSet<_>>(), sent);
    let marker = source.send("marker").await;
    assert_eq!(text(&tail.told().await.data, "id"), marker, "nothing is told twice");
}

/// A tail begins a quarter of a second back.
async fn a_moment_passes(relay: &Relay) {
    relay.clock.advance(Duration::from_secs(1));
    relay.clock_is_followed().await;
}

/// Ondato does not send from here, which would be told as well.
async fn quiet(tenant: &Tenant, source: &Source) {
    let here = json!({ "ip_allowlist": { "mode": "enforce", "cidrs": ["127.0.0.0/8"] } });
    tenant.patch(&format!("/sources/{}", source.id), here).await.is(200);
}
