//! A worker that dies or freezes with a request in flight.

use std::time::Duration;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Reply, Route, eventually, on_each_database, on_postgres, within};

on_each_database![a_worker_killed_in_flight_is_followed_by_another];
on_postgres![a_worker_frozen_beyond_its_lease_writes_nothing];

/// The test clock jumps over a lease.
const LEASE_AND_MORE: Duration = Duration::from_secs(20);

async fn a_worker_killed_in_flight_is_followed_by_another(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    let receiver = Receiver::answering([Reply::status(200).held()]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let event = source.send(APPROVED).await;
    let first = receiver.wait_for(1).await[0].clone();

    relay.workers[relay.worker_behind(first.sender)].kill();
    if relay.database.is_postgres() {
        relay.clock.advance(LEASE_AND_MORE);
    } else {
        relay.start_again().await;
    }

    let deliveries = tenant.settled(&event).await;
    assert!(deliveries.len() == 1 && deliveries[0]["state"] == "delivered", "{deliveries:#?}");
    let requests = receiver.requests();
    assert_eq!(requests.iter().map(|request| request.one("webhook-id")).collect::<Vec<_>>(), [&event, &event]);
}

async fn a_worker_frozen_beyond_its_lease_writes_nothing(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    both_own_shards(&relay).await;
    let receiver = Receiver::answering([Reply::status(500).held()]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let event = source.send(APPROVED).await;
    let first = receiver.wait_for(1).await[0].clone();
    let frozen = &relay.workers[relay.worker_behind(first.sender)];

    frozen.freeze();
    relay.clock.advance(LEASE_AND_MORE);
    receiver.wait_for(2).await;
    let delivery = text(&tenant.settled(&event).await[0], "id");
    let written = tenant.delivery(&delivery).await;
    assert_eq!((&written["state"], &written["attempts"]), (&"delivered".into(), &1.into()));
    eventually("the other to own every shard", async || (owners(&relay, 1).await == 1).then_some(())).await;

    receiver.release();
    frozen.thaw();
    both_own_shards(&relay).await;
    assert_eq!(tenant.deliveries(&event).await.len(), 1);
    assert_eq!(tenant.delivery(&delivery).await, written, "what the frozen one wrote");
    assert_eq!(receiver.count(), 2);
    tenant.settled(&source.send(APPROVED).await).await;
}

/// Shards change hands one a second, so this takes its time.
async fn both_own_shards(relay: &Relay) {
    within(Duration::from_secs(90), "both workers to own shards", async || (owners(relay, 1).await == 2).then_some(()))
        .await;
}

/// How many workers own so many shards.
async fn owners(relay: &Relay, shards: usize) -> i64 {
    let owners = format!("SELECT owner FROM shard WHERE owner IS NOT NULL GROUP BY owner HAVING count(*) >= {shards}");
    let sql = format!("SELECT count(*) FROM ({owners}) AS owners");
    relay.database.number(&sql).await
}
