//! A tail that breaks off goes on where it was, at whichever process, and survives what its process survives.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::answer::text;
use harness::tail::News;
use harness::wire::Wire;
use harness::{Database, Receiver, Relay, Route, eventually, json, on_each_database, on_postgres, within};

on_each_database![
    a_stream_goes_on_where_it_broke_off,
    what_is_too_long_ago_is_not_told_and_that_is_said,
    a_quiet_stream_goes_on_where_it_broke_off,
    of_very_much_nothing_is_left_out,
];
on_postgres![a_stream_outlives_an_outage_of_the_database];

async fn a_stream_goes_on_where_it_broke_off(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let receiver = Receiver::answering([500]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    super::quiet(&tenant, &source).await;
    let old = source.send("old").await;
    let waiting = text(&tenant.delivery_of(&old).await, "id");
    tenant.delivery_waiting(&waiting, 1).await;
    let mut tail = tenant.tail("").await;
    let first = source.send("first").await;
    tail.until(|news| news.data["event_id"] == first.as_str()).await;
    let broken_off = tail.last_id.clone();
    drop(tail);

    let missed = source.send("missed").await;
    tenant.settled(&missed).await;
    relay.clock.advance(Duration::from_secs(7));
    tenant.delivery_in(&waiting, "delivered").await;
    let other = tenant.at(relay.apis.last().unwrap());
    let mut tail = other.tail_from("", &broken_off).await;
    let live = source.send("live").await;
    let told = tail.until(|news| news.data["event_id"] == live.as_str()).await;
    goes_on(&told, &[&missed, &live], &[&missed, &old, &live]);
    let broken_off = tail.last_id.clone();

    // Whoever comes with a new process knows nothing but what the cursor says.
    let missed = source.send("missed").await;
    tenant.settled(&missed).await;
    relay.kill();
    relay.start_again().await;
    relay.clock.advance(Duration::from_secs(16));
    let mut tail = tenant.tail_from("", &broken_off).await;
    let live = source.send("live").await;
    let told = tail.until(|news| news.data["event_id"] == live.as_str()).await;
    goes_on(&told, &[&missed, &live], &[&missed, &live]);
}

/// With these events, and with the deliveries of those; nothing is told twice.
fn goes_on(told: &[News], events: &[&String], delivered: &[&String]) {
    let of = |kind: &str, field: &str| {
        let of_kind = told.iter().filter(|news| news.kind == kind);
        of_kind.map(|news| text(&news.data, field)).collect::<BTreeSet<_>>()
    };
    let these = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
    assert_eq!(of("event", "id"), these(events), "{told:#?}");
    assert_eq!(of("delivery", "event_id"), these(delivered), "{told:#?}");
    assert_eq!(told.len(), events.len() + delivered.len(), "{told:#?}");
}

async fn what_is_too_long_ago_is_not_told_and_that_is_said(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mut tail = tenant.tail("?kinds=event").await;
    source.send("first").await;
    tail.told().await;
    let broken_off = tail.last_id.clone();
    drop(tail);

    tenant.settled(&source.send("missed").await).await;
    relay.clock.advance(Duration::from_secs(330));
    relay.clock_is_followed().await;
    let mut tail = tenant.tail_from("?kinds=event", &broken_off).await;
    let gap = tail.told().await;
    let said = [&gap.data["after"], &gap.data["before"]].map(harness::Value::is_string);
    assert_eq!((gap.kind.as_str(), said), ("gap", [true, true]), "{gap:?}");
    let live = source.send("live").await;
    assert_eq!(text(&tail.told().await.data, "id"), live);
}

/// Nothing was told for far longer than a break may last.
async fn a_quiet_stream_goes_on_where_it_broke_off(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mut tail = tenant.tail("?event_type=rare").await;
    let mut place = tail.said_where().await;
    for _ in 0..10 {
        relay.clock.advance(Duration::from_secs(40));
        place = tail.said_where().await;
    }
    drop(tail);

    let missed = source.send("rare").await;
    tenant.settled(&missed).await;
    relay.clock.advance(Duration::from_secs(60));
    relay.clock_is_followed().await;
    let mut tail = tenant.tail_from("?event_type=rare", &place).await;
    let told = tail.until(|news| news.kind == "delivery").await;
    goes_on(&told, &[&missed], &[&missed]);
}

/// More than a cursor can remember. What has an id from before the last that was told may have been committed after it.
async fn of_very_much_nothing_is_left_out(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mut tail = tenant.tail("?kinds=event").await;
    let late = source.send("late").await;
    tail.told().await;
    source.send_many(400, 8, |_| "many".to_owned()).await;
    for _ in 0..400 {
        tail.told().await;
    }
    let place = tail.last_id.clone();
    drop(tail);

    let mut again = tenant.tail_from("?kinds=event", &place).await;
    let live = source.send("live").await;
    let told = again.until(|news| news.data["id"] == live.as_str()).await;
    let told: BTreeSet<_> = told.iter().map(|news| text(&news.data, "id")).collect();
    assert!(told.contains(&late), "whatever is not remembered is told again: {} told", told.len());
    assert!(told.len() < 200, "what is remembered is not: {} told", told.len());
}

async fn a_stream_outlives_an_outage_of_the_database(database: Database) {
    let mut wire = Wire::to(&database.server_address());
    let url = database.url().replace(&database.server_address(), &wire.address().to_string());
    let relay = Relay::plan(database).setting("HOOKYARD_DATABASE_URL", url).start().await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mut tail = tenant.tail("").await;
    let before = source.send("before").await;
    tail.until(|news| news.data["event_id"] == before.as_str()).await;

    wire.cut().await;
    within(Duration::from_secs(10), "the outage to be noticed", async || {
        (source.post("{}").await.status == 503).then_some(())
    })
    .await;
    wire.mend();
    let after = eventually("events to be taken again", async || {
        let answer = source.post(harness::ondato::event("after")).await;
        (answer.status == 202).then(|| answer.event_id())
    })
    .await;
    let told = tail.until(|news| news.data["event_id"] == after.as_str()).await;
    assert_eq!(told.last().unwrap().data["state"], json!("delivered"));
    assert!(told.iter().all(|news| news.kind != "gap"), "{told:#?}");
}
