//! Two workers share the work.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::ondato::APPROVED;
use harness::{Client, Database, Receiver, Relay, Route, Source, json, on_each_database_alone, on_postgres, within};
use sea_orm::sqlx::postgres::PgListener;

on_each_database_alone![five_thousand_events_are_delivered_once_each];
on_postgres![
    what_one_process_commits_is_sent_by_whoever_owns_its_destination,
    a_worker_that_ends_says_that_its_shards_are_free_and_is_nobodys_neighbour,
];

const EVENTS: usize = 5_000;
/// So many that their shards cannot all but a few be one worker's.
const DESTINATIONS: usize = 100;

/// On SQLite there is only one worker, and the same must hold.
async fn five_thousand_events_are_delivered_once_each(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    let receiver = Receiver::start().await;
    let source = source(&relay, &receiver).await;
    if relay.database.is_postgres() {
        fair_shares(&relay).await;
    }

    let accepted = source.send_many(EVENTS, 32, |number| format!("Number.{}", number % DESTINATIONS)).await;
    let requests = receiver.wait_up_to(Duration::from_secs(120), EVENTS).await;

    assert_eq!(receiver.ids(), accepted.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(requests.len(), EVENTS, "each of them once");
    for worker in &relay.workers {
        let sent = sent(worker).await;
        let share = EVENTS as f64 / relay.workers.len() as f64;
        assert!(sent >= share * 0.4, "one of {} workers sent {sent} of {EVENTS}", relay.workers.len());
    }
    assert_eq!(receiver.count(), EVENTS, "each of them once");
}

/// It hands itself what it commits, as far as the destinations are its own.
async fn what_one_process_commits_is_sent_by_whoever_owns_its_destination(database: Database) {
    const FEW: usize = 1_000;
    let relay = Relay::plan(database).together().workers(2).start().await;
    let receiver = Receiver::start().await;
    let source = source(&relay, &receiver).await;
    fair_shares(&relay).await;
    let accepted = source.send_many(FEW, 32, |number| format!("Number.{}", number % DESTINATIONS)).await;
    receiver.wait_up_to(Duration::from_secs(120), FEW).await;
    assert_eq!(receiver.ids(), accepted.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(receiver.count(), FEW, "each of them once");
    for worker in &relay.workers {
        assert!(sent(worker).await > 0.0, "one of them sent nothing");
    }
}

/// Who is told need not wait until it looks by itself, nor until the heartbeat of one that is gone has ended.
async fn a_worker_that_ends_says_that_its_shards_are_free_and_is_nobodys_neighbour(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    tenant.settled(&source.send(APPROVED).await).await;
    let mut listener = PgListener::connect(&relay.database.url()).await.unwrap();
    listener.listen("hookyard_due").await.unwrap();
    let mut next = async || {
        let said = tokio::time::timeout(Duration::from_secs(30), listener.recv()).await;
        said.expect("nothing is said").unwrap().payload().to_owned()
    };

    relay.workers[0].terminate();
    while next().await != "freed" {}
    // The first of these is what the share of the others is counted by.
    assert_eq!(relay.database.number("SELECT count(*) FROM worker").await, 0);
    assert_eq!(relay.database.number("SELECT count(*) FROM shard WHERE owner IS NOT NULL").await, 0);
}

/// A source whose events go to one of many destinations, by their types.
async fn source(relay: &Relay, receiver: &Receiver) -> Source {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    for number in 0..DESTINATIONS {
        let url = receiver.url_of(&format!("/{number}"));
        let destination = tenant.destination_of(json!({ "name": "out", "url": url })).await;
        tenant.subscribe(&destination, &[&format!("Number.{number}")]).await;
    }
    source
}

/// A fair share is half of the 64 shards, and they change hands one a second.
async fn fair_shares(relay: &Relay) {
    let sql = "SELECT count(*) FROM (SELECT owner FROM shard GROUP BY owner HAVING count(*) BETWEEN 28 AND 36) AS fair";
    within(Duration::from_secs(90), "the shards to be shared", async || {
        (relay.database.number(sql).await == 2).then_some(())
    })
    .await;
}

/// Attempts that a worker counted.
async fn sent(worker: &harness::Process) -> f64 {
    Client::of(worker).metric("hookyard_attempts_total").await
}
