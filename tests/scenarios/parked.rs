//! A paused destination: what waits for it costs nothing, and none of it is forgotten.

use std::time::{Duration, Instant};

use harness::ondato::APPROVED;
use harness::wait::HOLDS_WITHIN;
use harness::{
    Database, Process, Receiver, Relay, Reply, Route, eventually, on_each_database, on_each_database_alone, system,
};

on_each_database_alone![twenty_thousand_parked_rows_cost_nothing_and_drain];
on_each_database![parked_rows_outlive_their_worker];

const ROWS: usize = 20_000;
const MEMORY_KIB: u64 = 64 * 1024;

async fn twenty_thousand_parked_rows_cost_nothing_and_drain(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    route.source.send_many(500, 64, |_| APPROVED.to_owned()).await;
    receiver.wait_for(500).await;
    let memory = system::memory_kib(relay.workers[0].pid());

    let paused = pause(&route).await;
    route.source.send_many(ROWS, 64, |_| APPROVED.to_owned()).await;

    is_idle(&relay).await;
    let grown = system::memory_kib(relay.workers[0].pid()).saturating_sub(memory);
    assert!(grown < MEMORY_KIB, "the worker grew by {grown} KiB");
    let late = receiver.requests().iter().filter(|request| request.at > paused + HOLDS_WITHIN).count();
    assert_eq!(late, 0, "sent to a paused destination");

    resume(&route).await;
    receiver.wait_up_to(Duration::from_secs(240), ROWS + 500).await;
    assert_eq!((receiver.ids().len(), receiver.count()), (ROWS + 500, ROWS + 500), "each of them once");
}

async fn parked_rows_outlive_their_worker(database: Database) {
    let relay = Relay::plan(database).workers(2).start().await;
    let receiver = Receiver::answering([Reply::status(200).held()]).await;
    let route = relay.route(&receiver).await;
    route.source.send(APPROVED).await;
    let owner = relay.worker_behind(receiver.wait_for(1).await[0].sender);
    receiver.release();
    let paused = pause(&route).await;
    let mut early = 1;
    while paused.elapsed() <= HOLDS_WITHIN {
        early += route.source.send_many(50, 10, |_| APPROVED.to_owned()).await.len();
    }
    let events = route.source.send_many(1_000, 16, |_| APPROVED.to_owned()).await;

    relay.workers[owner].kill();
    if relay.database.is_postgres() {
        relay.clock.advance(Duration::from_secs(20));
    } else {
        relay.start_again().await;
    }
    resume(&route).await;

    relay
        .pass_time_until("all that was parked to arrive", async || {
            (receiver.ids().len() == early + events.len()).then_some(())
        })
        .await;
    let arrived = receiver.requests();
    for event in &events {
        let times = arrived.iter().filter(|request| request.one("webhook-id") == event).count();
        assert_eq!(times, 1, "{event} was parked, so it was never in flight when the worker died");
    }
}

/// When the destination was paused.
async fn pause(route: &Route) -> Instant {
    let path = format!("/destinations/{}", route.destination.id);
    route.tenant.act(&format!("{path}/pause")).await.succeeded();
    assert_eq!(route.tenant.get(&path).await.json(200)["state"], "paused");
    Instant::now()
}

async fn resume(route: &Route) {
    route.tenant.act(&format!("/destinations/{}/resume", route.destination.id)).await.succeeded();
}

/// Waits until a second passes in which the worker hardly computes and hardly reads the queue.
async fn is_idle(relay: &Relay) {
    let worker = &relay.workers[0];
    eventually("the worker to leave the parked rows alone", async || {
        let before = (system::processor_time(worker.pid()), rows_read(relay).await);
        a_second(worker).await;
        let computed = system::processor_time(worker.pid()).saturating_sub(before.0);
        let read = rows_read(relay).await - before.1;
        (computed < Duration::from_millis(300) && read < 1_000).then_some(())
    })
    .await;
}

/// Rows of the queue that were read so far, where the database counts them.
async fn rows_read(relay: &Relay) -> i64 {
    if !relay.database.is_postgres() {
        return 0;
    }
    let read = "coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)";
    let sql = format!("SELECT ({read})::bigint FROM pg_stat_user_tables WHERE relname = 'pending'");
    relay.database.number(&sql).await
}

/// Watches the process for a second, which it must survive.
async fn a_second(worker: &Process) {
    let began = Instant::now();
    eventually("a second to pass", async || (began.elapsed() >= Duration::from_secs(1)).then_some(())).await;
    assert!(!worker.has_ended());
}
