//! The provider's own id makes a repeat a repeat.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::answer::items;
use harness::ondato::{APPROVED, event, event_with_id};
use harness::{Answer, Database, Receiver, Relay, Route, eventually, on_each_database};
use tokio::task::JoinSet;

on_each_database![
    a_repeat_gets_the_first_answer_again,
    fifty_repeats_in_parallel_are_one_event,
    twins_in_one_batch_are_one_event,
    pairs_in_parallel_are_one_event_each,
    an_expired_id_lets_a_new_event_in,
    the_same_id_at_another_source_is_another_event,
];

async fn a_repeat_gets_the_first_answer_again(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;

    let first = source.post(event_with_id(APPROVED, "one")).await;
    for _ in 0..2 {
        let again = source.post(event_with_id(APPROVED, "one")).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
    }

    tenant.settled(&first.event_id()).await;
    eventually("both repeats to be counted", async || {
        (tenant.event(&first.event_id()).await["duplicates"] == 2).then_some(())
    })
    .await;
    assert_eq!(events_with(&tenant, "one").await, 1);
    assert_eq!(receiver.count(), 1);
}

async fn fifty_repeats_in_parallel_are_one_event(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;

    let answers = all(&source, vec![event_with_id(APPROVED, "one"); 50]).join_all().await;

    let ids: BTreeSet<_> = answers.iter().map(Answer::event_id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    tenant.settled(ids.first().unwrap()).await;
    assert_eq!(events_with(&tenant, "one").await, 1);
    assert_eq!(receiver.count(), 1);
}

async fn twins_in_one_batch_are_one_event(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;

    let held = relay.database.hold_writes().await;
    let ahead = all(&source, vec![event(APPROVED), event(APPROVED)]);
    relay.let_requests_arrive().await;
    let twins = all(&source, vec![event_with_id(APPROVED, "one"); 20]);
    relay.let_requests_arrive().await;
    held.release().await;

    assert!(ahead.join_all().await.iter().all(|answer| answer.status == 202));
    let ids: BTreeSet<_> = twins.join_all().await.iter().map(Answer::event_id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    tenant.settled(ids.first().unwrap()).await;
    assert_eq!(events_with(&tenant, "one").await, 1);
    assert_eq!(receiver.wait_for(3).await.len(), 3);
}

async fn pairs_in_parallel_are_one_event_each(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let receiver = Receiver::start().await;
    let Route { source, .. } = relay.route(&receiver).await;
    let sources: Vec<_> = relay.apis.iter().map(|api| source.at(api)).collect();

    for round in 0..4 {
        let mut pairs = JoinSet::new();
        for number in 0..50 {
            let source = sources[number % sources.len()].clone();
            // Both of a pair reach every api in one of the rounds, in any order.
            let id = format!("{round}-{}", (number + round) / 2);
            pairs.spawn(async move { (id.clone(), source.post(event_with_id(APPROVED, &id)).await.event_id()) });
        }
        let answers: BTreeSet<_> = pairs.join_all().await.into_iter().collect();
        let ids: BTreeSet<_> = answers.iter().map(|(id, _)| id).collect();
        assert_eq!(answers.len(), ids.len(), "{answers:#?}");
    }
}

async fn an_expired_id_lets_a_new_event_in(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;

    let first = source.post(event_with_id(APPROVED, "one")).await.event_id();
    tenant.settled(&first).await;
    relay.clock.advance(Duration::from_hours(8 * 24));
    relay.clock_is_followed().await;

    let second = eventually("a new event of the same id", async || {
        let answer = source.post(event_with_id(APPROVED, "one")).await.event_id();
        (answer != first).then_some(answer)
    })
    .await;
    assert_eq!(source.post(event_with_id(APPROVED, "one")).await.event_id(), second);
    tenant.settled(&second).await;
    assert_eq!(events_with(&tenant, "one").await, 2);
    assert_eq!(receiver.count(), 2);
}

async fn the_same_id_at_another_source_is_another_event(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let other = tenant.source().await;

    let first = source.post(event_with_id(APPROVED, "one")).await.event_id();
    let second = other.post(event_with_id(APPROVED, "one")).await.event_id();

    assert_ne!(first, second);
    receiver.wait_for(2).await;
}

/// Posts all of these at once.
fn all(source: &harness::Source, bodies: Vec<Vec<u8>>) -> JoinSet<Answer> {
    bodies
        .into_iter()
        .map(|body| {
            let source = source.clone();
            async move { source.post(body).await }
        })
        .collect()
}

async fn events_with(tenant: &harness::Tenant, external_id: &str) -> usize {
    items(&tenant.get(&format!("/events?external_id={external_id}")).await.json(200)).len()
}
