//! The database is away: honest errors, fast, and recovery without a restart.

use std::time::{Duration, Instant};

use harness::ondato::{APPROVED, event};
use harness::wire::Wire;
use harness::{Client, Database, Receiver, Relay, Route, Source, eventually, on_postgres, on_sqlite};

on_sqlite![a_locked_database_is_an_honest_error];
on_postgres![a_database_that_is_gone_is_an_honest_error, a_database_that_is_silent_is_an_honest_error];

async fn a_locked_database_is_an_honest_error(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { source, .. } = relay.route(&receiver).await;
    source.send(APPROVED).await;

    let held = relay.database.hold_writes().await;
    refuses(&source).await;
    held.release().await;

    recovers(&source, &receiver).await;
}

async fn a_database_that_is_gone_is_an_honest_error(database: Database) {
    let mut wire = Wire::to(&database.server_address());
    let relay = behind(&wire, database).await;
    let receiver = Receiver::start().await;
    let Route { source, .. } = relay.route(&receiver).await;
    source.send(APPROVED).await;

    wire.cut().await;
    refuses(&source).await;
    refuses_a_stranger_too(&relay, &source).await;
    says_that_it_is_not_ready(&relay).await;
    wire.mend();

    recovers(&source, &receiver).await;
    eventually("it to be ready again", async || {
        (relay.anybody().operations("/readyz").await.status == 200).then_some(())
    })
    .await;
}

async fn a_database_that_is_silent_is_an_honest_error(database: Database) {
    let mut wire = Wire::to(&database.server_address());
    let relay = behind(&wire, database).await;
    let receiver = Receiver::start().await;
    let Route { source, .. } = relay.route(&receiver).await;
    source.send(APPROVED).await;

    wire.silence();
    refuses(&source).await;
    refuses_a_stranger_too(&relay, &source).await;
    wire.mend();

    recovers(&source, &receiver).await;
}

async fn behind(wire: &Wire, database: Database) -> Relay {
    let url = database.url().replace(&database.server_address(), &wire.address().to_string());
    Relay::plan(database).setting("HOOKYARD_DATABASE_URL", url).start().await
}

/// Three times, since the first may find a connection that does not know yet.
async fn refuses(source: &Source) {
    for _ in 0..3 {
        let asked = Instant::now();
        let answer = source.post(event(APPROVED)).await;
        let _ = answer.problem(503);
        assert!(answer.header("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "{answer}");
        assert!(asked.elapsed() < Duration::from_secs(2), "after {:?}: {answer}", asked.elapsed());
    }
}

/// What cannot be looked up is neither unknown nor unauthorized.
async fn refuses_a_stranger_too(relay: &Relay, source: &Source) {
    let unknown = Source { path: format!("{}x", source.path), ..source.clone() };
    refuses(&unknown).await;
    let answer = relay.anybody().with_key("a-key-that-nobody-has-ever-seen-here").get("/v1/tenants").await;
    let _ = answer.problem(503);
}

async fn says_that_it_is_not_ready(relay: &Relay) {
    for process in relay.processes() {
        let client = Client::of(process);
        eventually("it to say that it is not ready", async || {
            let answer = client.operations("/readyz").await;
            (answer.status == 503 && !answer.body.is_empty()).then_some(())
        })
        .await;
        client.operations("/livez").await.is(200);
    }
}

async fn recovers(source: &Source, receiver: &Receiver) {
    let accepted = eventually("events to be accepted again", async || {
        let answer = source.post(event(APPROVED)).await;
        if answer.status != 202 {
            answer.is(503);
        }
        (answer.status == 202).then(|| answer.event_id())
    })
    .await;
    eventually("the event to arrive", async || receiver.ids().contains(&accepted).then_some(())).await;
}
