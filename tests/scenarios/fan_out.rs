//! From one event to the subscriptions that want it.

use std::collections::BTreeSet;

use harness::answer::text;
use harness::ondato::{APPROVED, event};
use harness::{Database, Receiver, Relay, Tenant, json, on_each_database};

on_each_database![
    two_subscriptions_make_two_deliveries_of_one_event,
    a_subscription_holds_from_the_next_event_on,
    an_event_that_nobody_wants_is_kept_and_says_so,
    patterns_match_at_every_depth,
    a_subscription_to_one_source_hears_no_other,
    a_replay_delivers_the_event_again,
];

async fn two_subscriptions_make_two_deliveries_of_one_event(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destination = tenant.destination(&receiver).await;
    let subscriptions = BTreeSet::from([
        tenant.subscribe(&destination, &["*"]).await,
        tenant.subscribe(&destination, &[APPROVED]).await,
    ]);

    let event = source.send(APPROVED).await;
    let deliveries = tenant.settled(&event).await;

    assert_eq!(tenant.event(&event).await["matched"], 2);
    assert_eq!(deliveries.iter().map(|it| text(it, "subscription_id")).collect::<BTreeSet<_>>(), subscriptions);
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "delivered"));
    let requests = receiver.requests();
    assert!(requests.len() == 2 && requests.iter().all(|request| request.one("webhook-id") == event));
    let heard: BTreeSet<_> = requests.iter().map(|request| request.one("hookyard-subscription").to_owned()).collect();
    assert_eq!(heard, subscriptions);
}

/// A worker that has not heard of it yet does not take it for one that was deleted.
async fn a_subscription_holds_from_the_next_event_on(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let (source, destination) = (tenant.source().await, tenant.destination(&receiver).await);
    for count in 1..=10 {
        tenant.subscribe(&destination, &["*"]).await;
        let deliveries = tenant.settled(&source.send(APPROVED).await).await;
        let ends: Vec<_> = deliveries.iter().map(|it| (text(it, "state"), it["reason"].clone())).collect();
        assert_eq!(ends, vec![("delivered".to_owned(), json!(null)); count]);
    }
}

async fn an_event_that_nobody_wants_is_kept_and_says_so(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    tenant.subscribe(&tenant.destination(&receiver).await, &["Form.*"]).await;

    let event = source.send(APPROVED).await;

    let kept = tenant.event(&event).await;
    assert_eq!((&kept["matched"], &kept["event_type"]), (&0.into(), &APPROVED.into()));
    assert!(tenant.deliveries(&event).await.is_empty());
    let unmatched = tenant.get("/events?matched=false").await.json(200);
    assert_eq!(unmatched["items"][0]["id"], event);
}

async fn patterns_match_at_every_depth(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let patterns = ["*", "KycIdentification.*", APPROVED, "A.*", "A.B.*", "A.B.C"];
    let by_subscription = subscribe_to_each(&tenant, &receiver, &patterns).await;

    for (event_type, expected) in [
        (Some(APPROVED), &["*", "KycIdentification.*", APPROVED][..]),
        (Some("KycIdentification.Approved.Late"), &["*", "KycIdentification.*"]),
        (Some("KycIdentification"), &["*"]),
        (Some("KycIdentificationX.Approved"), &["*"]),
        (Some("kycidentification.approved"), &["*"]),
        (Some("X.KycIdentification.Approved"), &["*"]),
        (Some("A.B"), &["*", "A.*"]),
        (Some("A.B.C"), &["*", "A.*", "A.B.*", "A.B.C"]),
        (Some("A.B.C.D"), &["*", "A.*", "A.B.*"]),
        (None, &["*"]),
    ] {
        let body = event_type.map_or_else(|| b"{}".to_vec(), event);
        let id = source.post(body).await.event_id();
        let matched = tenant.deliveries(&id).await;
        let matched: BTreeSet<_> = matched.iter().map(|it| by_subscription[&text(it, "subscription_id")]).collect();
        assert_eq!(matched, expected.iter().copied().collect(), "{event_type:?}");
    }
}

async fn a_subscription_to_one_source_hears_no_other(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let (heard, unheard) = (tenant.source().await, tenant.source().await);
    let destination = tenant.destination(&receiver).await;
    let fields = json!({ "destination_id": destination.id, "event_types": ["*"], "source_ids": [heard.id] });
    tenant.post("/subscriptions", fields).await.is(201);

    let wanted = heard.send(APPROVED).await;
    let unwanted = unheard.send(APPROVED).await;

    tenant.settled(&wanted).await;
    assert_eq!(tenant.event(&unwanted).await["matched"], 0);
    assert_eq!(receiver.ids(), BTreeSet::from([wanted]));
}

async fn a_replay_delivers_the_event_again(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let event = route.source.send(APPROVED).await;
    route.tenant.settled(&event).await;

    route.tenant.post(&format!("/events/{event}/replay"), json!({})).await.is(202);

    receiver.wait_for(2).await;
    let deliveries = route.tenant.settled(&event).await;
    assert_eq!(
        deliveries.iter().map(|it| text(it, "trigger")).collect::<BTreeSet<_>>(),
        ["event", "replay"].map(str::to_owned).into()
    );
    assert_eq!(receiver.ids(), BTreeSet::from([event]));
}

/// One subscription a pattern; gives the pattern of each.
async fn subscribe_to_each<'a>(
    tenant: &Tenant,
    receiver: &Receiver,
    patterns: &[&'a str],
) -> std::collections::BTreeMap<String, &'a str> {
    let destination = tenant.destination(receiver).await;
    let mut by_subscription = std::collections::BTreeMap::new();
    for pattern in patterns {
        by_subscription.insert(tenant.subscribe(&destination, &[pattern]).await, *pattern);
    }
    by_subscription
}
