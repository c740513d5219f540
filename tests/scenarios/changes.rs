//! A change of configuration holds in every process within a second.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::answer::text;
use harness::ondato::{APPROVED, event};
use harness::signature::is_signed;
use harness::wait::HOLDS_WITHIN;
use harness::{Database, Destination, Receiver, Relay, Reply, Route, Source, Tenant, json, on_each_database, within};

on_each_database![
    a_new_url_holds_within_a_second,
    a_revoked_credential_holds_within_a_second,
    a_deleted_subscription_holds_within_a_second,
    a_new_subscription_holds_within_a_second,
    a_revoked_api_key_holds_within_a_second,
    a_subscription_that_is_deleted_in_a_burst_cancels_all_that_waits,
    what_waits_for_its_next_try_goes_by_what_holds_then,
];

async fn everywhere(database: Database) -> Relay {
    Relay::plan(database).apis(2).workers(2).start().await
}

/// Four destinations, so that each worker has to do with the change.
async fn a_new_url_holds_within_a_second(database: Database) {
    let relay = everywhere(database).await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destinations = four_destinations(&tenant, &old).await;
    send_everywhere(&relay, &tenant, &source).await;

    for destination in &destinations {
        let path = format!("/destinations/{}", destination.id);
        tenant.patch(&path, json!({ "url": new.url() })).await.is(200);
    }

    within(HOLDS_WITHIN, "the new URL", async || {
        let before = old.count();
        send_everywhere(&relay, &tenant, &source).await;
        (old.count() == before).then_some(())
    })
    .await;
    let before = old.count();
    for _ in 0..5 {
        send_everywhere(&relay, &tenant, &source).await;
    }
    assert_eq!(old.count(), before, "and goes on to hold");
}

async fn a_revoked_credential_holds_within_a_second(database: Database) {
    let relay = everywhere(database).await;
    let tenant = relay.tenant("acme").await;
    let (source, credential) = tenant.guarded_source("ondato", "correct horse battery").await;
    let sources: Vec<_> = relay.apis.iter().map(|api| source.at(api)).collect();
    for source in &sources {
        source.send(APPROVED).await;
    }

    tenant.delete(&format!("/sources/{}/credentials/{credential}", source.id)).await.is(204);

    within(HOLDS_WITHIN, "the password to be refused", async || {
        let mut refused = 0;
        for source in &sources {
            refused += usize::from(source.post(event(APPROVED)).await.status == 401);
        }
        (refused == sources.len()).then_some(())
    })
    .await;
    for source in sources.iter().cycle().take(10) {
        source.post(event(APPROVED)).await.is(401);
    }
}

async fn a_deleted_subscription_holds_within_a_second(database: Database) {
    let relay = everywhere(database).await;
    let receiver = Receiver::always(500).await;
    let route = relay.route_tried(&receiver, Some(&[0, 86_400])).await;
    let (tenant, source) = (&route.tenant, &route.source);
    let waiting = text(&tenant.delivery_of(&source.send(APPROVED).await).await, "id");
    tenant.delivery_waiting(&waiting, 1).await;

    tenant.delete(&format!("/subscriptions/{}", route.subscription)).await.is(204);

    within(HOLDS_WITHIN, "nothing to match", async || (matches(&relay, tenant, source).await == 0).then_some(())).await;
    assert_eq!(matches(&relay, tenant, source).await, 0, "and goes on to hold");
    let cancelled = tenant.delivery_in(&waiting, "cancelled").await;
    assert!(cancelled["reason"].is_string(), "{cancelled:#}");
}

async fn a_new_subscription_holds_within_a_second(database: Database) {
    let relay = everywhere(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destination = tenant.destination(&receiver).await;
    assert_eq!(matches(&relay, &tenant, &source).await, 0);

    tenant.subscribe(&destination, &["*"]).await;

    let apis = relay.apis.len();
    within(HOLDS_WITHIN, "everything to match", async || {
        (matches(&relay, &tenant, &source).await == apis).then_some(())
    })
    .await;
    assert_eq!(matches(&relay, &tenant, &source).await, apis, "and goes on to hold");
}

async fn a_revoked_api_key_holds_within_a_second(database: Database) {
    let relay = everywhere(database).await;
    let tenant = relay.tenant("acme").await;
    let made = tenant.post("/api-keys", json!({ "name": "a key" })).await.json(201);
    let holder = relay.anybody().with_key(&text(&made, "key"));
    let holders: Vec<_> = relay.apis.iter().map(|api| tenant.seen_by(&holder.at(api))).collect();
    for holder in &holders {
        holder.get("/sources").await.is(200);
    }

    tenant.delete(&format!("/api-keys/{}", text(&made, "id"))).await.is(204);

    within(HOLDS_WITHIN, "the key to be refused", async || {
        let mut refused = 0;
        for holder in &holders {
            refused += usize::from(holder.get("/sources").await.status == 401);
        }
        (refused == holders.len()).then_some(())
    })
    .await;
}

/// What is in flight then is not taken back; of what waits nothing is sent, and each of it says what became of it.
async fn a_subscription_that_is_deleted_in_a_burst_cancels_all_that_waits(database: Database) {
    const IN_FLIGHT: usize = 3;
    let relay = everywhere(database).await;
    let receiver = Receiver::always(Reply::status(200).held()).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destination = tenant.destination_with(&receiver, json!({ "max_in_flight": IN_FLIGHT })).await;
    let subscription = tenant.subscribe(&destination, &["*"]).await;
    let events = source.send_many(60, 6, |_| APPROVED.to_owned()).await;
    receiver.wait_for(IN_FLIGHT).await;

    tenant.delete(&format!("/subscriptions/{subscription}")).await.is(204);
    relay.changes_are_heard().await;
    receiver.release();

    let mut delivered = BTreeSet::new();
    for event in &events {
        let delivery = &tenant.settled(event).await[0];
        if delivery["state"] == "delivered" {
            delivered.insert(event.clone());
        } else {
            let (state, reason) = (&delivery["state"], &delivery["reason"]);
            assert_eq!((state, reason), (&"cancelled".into(), &"subscription deleted".into()), "{delivery:#}");
        }
    }
    assert_eq!((delivered.len(), delivered), (IN_FLIGHT, receiver.ids()));
}

/// Where to, and what it is signed with.
async fn what_waits_for_its_next_try_goes_by_what_holds_then(database: Database) {
    let relay = everywhere(database).await;
    let (old, new) = (Receiver::always(500).await, Receiver::start().await);
    let Route { tenant, source, destination, .. } = relay.route_tried(&old, Some(&[0, 600])).await;
    let delivery = text(&tenant.delivery_of(&source.send(APPROVED).await).await, "id");
    tenant.delivery_waiting(&delivery, 1).await;

    tenant.patch(&destination.path(), json!({ "url": new.url() })).await.is(200);
    let rotated = tenant.post(&format!("{}/secrets", destination.path()), json!({ "overlap_s": 0 })).await.json(200);
    relay.clock.advance(Duration::from_secs(1_000));

    let request = new.wait_for(1).await.remove(0);
    assert!(
        is_signed(&request, &text(&rotated, "signing_secret")) && !is_signed(&request, &destination.signing_secret)
    );
    assert_eq!(tenant.delivery_in(&delivery, "delivered").await["attempts"], 2);
    assert_eq!(old.count(), 1);
}

async fn four_destinations(tenant: &Tenant, receiver: &Receiver) -> Vec<Destination> {
    let mut destinations = Vec::new();
    for _ in 0..4 {
        let destination = tenant.destination(receiver).await;
        tenant.subscribe(&destination, &["*"]).await;
        destinations.push(destination);
    }
    destinations
}

/// One event through each api, delivered wherever it goes.
async fn send_everywhere(relay: &Relay, tenant: &Tenant, source: &Source) {
    for api in &relay.apis {
        tenant.settled(&source.at(api).send(APPROVED).await).await;
    }
}

/// How many of the apis find a subscription for an event.
async fn matches(relay: &Relay, tenant: &Tenant, source: &Source) -> usize {
    let mut matches = 0;
    for api in &relay.apis {
        let event = source.at(api).send(APPROVED).await;
        matches += usize::from(tenant.event(&event).await["matched"] != 0);
    }
    matches
}
