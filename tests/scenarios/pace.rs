//! How often a destination is asked, how many requests it has at a time, and when it is left alone.

use std::time::Duration;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Reply, Source, Tenant, Value, eventually, json, on_each_database};

on_each_database![
    a_rate_is_never_exceeded,
    a_rate_outlives_its_worker,
    no_more_than_its_cap_is_in_flight,
    a_cap_holds_for_whichever_worker_has_the_destination,
    a_breaker_is_opened_anew_by_the_next_worker,
    who_is_told_to_come_back_later_does,
    a_destination_that_fails_is_left_alone_until_a_probe_succeeds,
    five_timeouts_in_a_row_are_enough,
];

/// One in so many seconds of the test's clock, by which every request is signed.
const INTERVAL_S: i64 = 20;
const OPENED: &str = "hookyard_breakers_opened_total";

async fn a_rate_is_never_exceeded(database: Database) {
    let relay = Relay::start(database).await;
    let (limited, free) = (Receiver::start().await, Receiver::start().await);
    let (tenant, source) = beside(&relay, &limited, &free, slowly()).await;

    let events = source.send_many(3, 1, |_| APPROVED.to_owned()).await;
    free.wait_for(3).await;
    for count in 1..=3 {
        // A lease may be lost on the way, and with it an interval.
        relay.pass_time_until("the next to arrive", async || (limited.count() >= count).then_some(())).await;
    }

    are_apart(&limited);
    assert_eq!(limited.order(), events);
    // A higher one holds at once.
    let destination = text(&tenant.get("/destinations").await.json(200)["items"][1], "id");
    let told = json!({ "rate_limit": { "per_second": 1000 } });
    tenant.patch(&format!("/destinations/{destination}"), told).await.succeeded();
    source.send_many(20, 1, |_| APPROVED.to_owned()).await;
    limited.wait_for(23).await;
}

/// What its former owner sent is not known to the next one, so nothing is sent at first.
async fn a_rate_outlives_its_worker(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    let (limited, free) = (Receiver::start().await, Receiver::start().await);
    let (_, source) = beside(&relay, &limited, &free, slowly()).await;
    source.send_many(3, 1, |_| APPROVED.to_owned()).await;
    relay.pass_time_until("the first to arrive", async || (limited.count() >= 1).then_some(())).await;

    lose(&relay, relay.worker_behind(limited.requests()[0].sender)).await;
    for count in 2..=3 {
        relay.pass_time_until("the next to arrive", async || (limited.count() >= count).then_some(())).await;
    }
    are_apart(&limited);
}

async fn no_more_than_its_cap_is_in_flight(database: Database) {
    let relay = Relay::start(database).await;
    let (capped, free) = (Receiver::always(Reply::status(200).held()).await, Receiver::start().await);
    let (_, source) = beside(&relay, &capped, &free, json!({ "max_in_flight": 3 })).await;

    source.send_many(12, 4, |_| APPROVED.to_owned()).await;
    free.wait_for(12).await;
    capped.wait_for(3).await;
    source.send(APPROVED).await;
    free.wait_for(13).await;
    assert_eq!(capped.count(), 3);
    capped.release();

    capped.wait_for(13).await;
    assert_eq!(capped.most_at_once(), 3);
}

/// Only one of two workers sends; the other sends when the first has lost it, and then as many.
async fn a_cap_holds_for_whichever_worker_has_the_destination(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    let (capped, free) = (Receiver::always(Reply::status(200).held()).await, Receiver::start().await);
    let (_, source) = beside(&relay, &capped, &free, json!({ "max_in_flight": 3 })).await;

    let events = source.send_many(12, 4, |_| APPROVED.to_owned()).await;
    free.wait_for(12).await;
    let first = capped.wait_for(3).await;
    let owner = relay.worker_behind(first[0].sender);
    assert!(first.iter().all(|request| relay.worker_behind(request.sender) == owner));
    lose(&relay, owner).await;
    let second = capped.wait_for(6).await;
    let source = source.at(&relay.apis[0]);
    source.send(APPROVED).await;
    // The other destination may have been the lost worker's too, and see again what it saw.
    eventually("the other destination to have it", async || (free.ids().len() == 13).then_some(())).await;
    assert_eq!(capped.count(), 6);
    if relay.database.is_postgres() {
        assert!(second[3..].iter().all(|request| relay.worker_behind(request.sender) != owner));
    }
    capped.release();

    eventually("all of them to arrive", async || (capped.ids().len() == 13).then_some(())).await;
    assert!(events.iter().all(|event| capped.ids().contains(event)));
    assert!(capped.count() <= 13 + 3, "{} requests for 13 events", capped.count());
}

/// What the former owner found out is not known to the next one, which finds it out as exactly.
async fn a_breaker_is_opened_anew_by_the_next_worker(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    let (ill, free) = (Receiver::always(503).await, Receiver::start().await);
    let told = json!({ "retry": { "schedule_s": [0, 36_000] }, "max_in_flight": 1 });
    let (_, source) = beside(&relay, &ill, &free, told).await;

    source.send_many(25, 4, |_| APPROVED.to_owned()).await;
    a_breaker_opens(&relay).await;
    assert_eq!(ill.count(), 20);
    lose(&relay, relay.worker_behind(ill.requests()[0].sender)).await;
    let source = source.at(&relay.apis[0]);
    source.send_many(20, 4, |_| APPROVED.to_owned()).await;
    ill.wait_for(40).await;
    eventually("the free one to have all", async || (free.ids().len() == 45).then_some(())).await;
    assert_eq!(ill.count(), 40);
    relay.clock.advance(Duration::from_secs(11));
    ill.wait_for(41).await;
    source.send(APPROVED).await;
    eventually("the free one to have it", async || (free.ids().len() == 46).then_some(())).await;
    assert_eq!(ill.count(), 41);
}

/// A worker dies, and its lease with it.
async fn lose(relay: &Relay, worker: usize) {
    relay.workers[worker].kill();
    if relay.database.is_postgres() {
        relay.clock.advance(Duration::from_secs(20));
    } else {
        relay.start_again().await;
    }
}

async fn who_is_told_to_come_back_later_does(database: Database) {
    let relay = Relay::start(database).await;
    let busy = Reply::status(429).header("retry-after", "120");
    let (told, free) = (Receiver::answering([busy]).await, Receiver::start().await);
    let (_, source) = beside(&relay, &told, &free, json!({})).await;

    source.send(APPROVED).await;
    a_breaker_opens(&relay).await;
    let later = source.send_many(3, 1, |_| APPROVED.to_owned()).await;
    free.wait_for(4).await;
    relay.clock.advance(Duration::from_secs(121));

    let arrived = told.wait_for(2).await;
    assert!(arrived[1].signed_at() - arrived[0].signed_at() >= 119, "nothing else came either");
    relay.pass_time_until("the rest", async || (told.ids().len() == 4).then_some(())).await;
    assert!(later.iter().all(|event| told.ids().contains(event)));
}

async fn a_destination_that_fails_is_left_alone_until_a_probe_succeeds(database: Database) {
    let relay = Relay::start(database).await;
    let (ill, free) = (Receiver::always(503).await, Receiver::start().await);
    let told = json!({ "retry": { "schedule_s": [0, 3600] } });
    let (tenant, source) = beside(&relay, &ill, &free, told).await;

    source.send_many(20, 4, |_| APPROVED.to_owned()).await;
    a_breaker_opens(&relay).await;
    let waiting = source.send_many(10, 1, |_| APPROVED.to_owned()).await;
    free.wait_for(30).await;
    relay.clock.advance(Duration::from_secs(10));
    ill.wait_for(21).await;
    ill.recover();
    relay.clock.advance(Duration::from_secs(20));
    ill.wait_for(30).await;

    let arrived = ill.requests();
    let waits = [arrived[20].signed_at() - arrived[19].signed_at(), arrived[21].signed_at() - arrived[20].signed_at()];
    assert!(waits[0] >= 9 && waits[1] >= 19, "{waits:?}");
    for event in &waiting[1..] {
        let deliveries = tenant.settled(event).await;
        assert!(deliveries.iter().all(|it| it["state"] == "delivered" && it["attempts"] == 1), "{deliveries:#?}");
    }
    assert_eq!(relay.counted(OPENED).await, 1);
}

async fn five_timeouts_in_a_row_are_enough(database: Database) {
    let relay = Relay::start(database).await;
    let (slow, free) = (Receiver::always(Reply::status(200).held()).await, Receiver::start().await);
    let (_, source) = beside(&relay, &slow, &free, json!({ "timeout_s": 1 })).await;

    source.send_many(5, 5, |_| APPROVED.to_owned()).await;
    a_breaker_opens(&relay).await;
    source.send_many(3, 1, |_| APPROVED.to_owned()).await;
    free.wait_for(8).await;
    slow.release();
    relay.clock.advance(Duration::from_secs(10));

    let arrived = slow.wait_for(8).await;
    assert!(arrived[5].signed_at() - arrived[4].signed_at() >= 9);
}

/// One tenant whose events go to two destinations, of which the first is told something.
async fn beside(relay: &Relay, told: &Receiver, free: &Receiver, what: Value) -> (Tenant, Source) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    for destination in [tenant.destination_with(told, what).await, tenant.destination(free).await] {
        tenant.subscribe(&destination, &["*"]).await;
    }
    (tenant, source)
}

fn slowly() -> Value {
    json!({ "rate_limit": { "per_second": 0.05 } })
}

/// By the times of their signatures, which are whole seconds.
fn are_apart(receiver: &Receiver) {
    let times: Vec<_> = receiver.requests().iter().map(harness::receiver::Request::signed_at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= INTERVAL_S - 1), "{times:?}");
}

/// Waits until a breaker has opened.
async fn a_breaker_opens(relay: &Relay) {
    eventually("a breaker to open", async || (relay.counted(OPENED).await == 1).then_some(())).await;
}
