//! A worker that dies or freezes with a request in flight.

use std::time::Duration;

use ::relay::clock::NEVER;
use ::relay::id::{DeliveryId, DestinationId, TenantId};
use entity::attempt::Outcome;
use entity::delivery::{State, shard_of};
use entity::finish::{self, AttemptLog, Change, Fate, Row, Write};
use harness::answer::{items, text};
use harness::ondato::APPROVED;
use harness::wire::Wire;
use harness::{
    Client, Database, Receiver, Relay, Reply, Route, eventually, json, on_each_database, on_postgres, within,
};
use uuid::Uuid;

on_each_database![
    a_worker_killed_in_flight_is_followed_by_another,
    no_statement_writes_of_a_shard_that_is_another_owners,
];
on_postgres![
    a_worker_frozen_beyond_its_lease_writes_nothing,
    what_waited_in_a_frozen_worker_is_sent_by_the_other_alone,
    a_worker_that_nobody_replaced_forgets_nothing,
];

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

/// What it knew of is taken over with the shard: when it wakes up it is nobody's business any more, and it knows that without
/// having been told by the database, which it does not reach.
async fn what_waited_in_a_frozen_worker_is_sent_by_the_other_alone(database: Database) {
    let place = database.server_address();
    let mut wires = [Wire::to(&place), Wire::to(&place)];
    let mut plan = Relay::plan(database.clone()).workers(2);
    for (number, wire) in wires.iter().enumerate() {
        let url = database.url().replace(&place, &wire.address().to_string());
        plan = plan.setting_of_worker(number, "HOOKYARD_DATABASE_URL", url);
    }
    let relay = plan.start().await;
    both_own_shards(&relay).await;
    let receiver = Receiver::answering([Reply::status(200).held()]).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destination = tenant.destination_with(&receiver, json!({ "max_in_flight": 1 })).await;
    tenant.subscribe(&destination, &["*"]).await;
    source.send(APPROVED).await;
    let first = receiver.wait_for(1).await[0].clone();
    let number = relay.worker_behind(first.sender);
    let frozen = &relay.workers[number];
    let waiting = source.send_many(10, 1, |_| APPROVED.to_owned()).await;
    let known = async || (Client::of(frozen).metric("hookyard_deliveries_in_memory").await >= 11.0).then_some(());
    eventually("it to know of all of them", known).await;

    frozen.freeze();
    wires[number].silence();
    relay.clock.advance(LEASE_AND_MORE);
    receiver.wait_for(12).await;
    for event in &waiting {
        tenant.settled(event).await;
    }
    receiver.release();
    frozen.thaw();
    // The answer waits for it to wake up: it takes it, or sees before that its time is over.
    let awake = async || {
        let client = Client::of(frozen);
        let (attempts, put_off) = ("hookyard_attempts_total", "hookyard_attempts_put_off_total");
        (client.metric(attempts).await + client.metric(put_off).await >= 1.0).then_some(())
    };
    eventually("it to be awake", awake).await;
    wires[number].mend();
    both_own_shards(&relay).await;

    assert_eq!(receiver.count(), 12, "the first one twice, and all others once");
}

/// Whoever sends them, and however late they come: nobody can show this with programs that look at their lease before.
async fn no_statement_writes_of_a_shard_that_is_another_owners(database: Database) {
    const EPOCH: i64 = 7;
    let relay = Relay::start(database.clone()).await;
    let Route { tenant, source, destination, .. } = relay.route(&Receiver::start().await).await;
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    tenant.delivery_in(&delivery, "held").await;
    let parked = format!("SELECT count(*) FROM pending WHERE attempts = 0 AND due_at = {NEVER}");
    eventually("it to be parked", async || (database.number(&parked).await == 1).then_some(())).await;
    relay.kill();
    let owner = Uuid::from_u128(1);
    let written = if database.is_postgres() { format!("'{owner}'") } else { format!("X'{}'", owner.simple()) };
    database.execute(&format!("UPDATE shard SET owner = {written}, epoch = {EPOCH}")).await;

    let db = entity::Database::open(&database.url()).await.unwrap();
    let write = async |owner: Uuid, epoch: i64, change: Change| {
        let row = Row {
            tenant_id: tenant.id.parse::<TenantId>().unwrap(),
            id: delivery.parse::<DeliveryId>().unwrap(),
            shard: shard_of(destination.id.parse::<DestinationId>().unwrap()),
            epoch,
        };
        finish::write(&db, owner, &[Write { row, change, command: None }], 1).await.unwrap()[0]
    };
    let log = |number| AttemptLog {
        number,
        at: 1,
        duration_ms: 1,
        outcome: Outcome::Rejected,
        status: Some(503),
        error: None,
        remote_address: None,
        response_headers: None,
        response_body: None,
        keep: true,
    };
    let finished = |state, last| Change::Finish { state, reason: None, last };
    for (whose, epoch) in [(owner, EPOCH + 1), (owner, EPOCH - 1), (Uuid::from_u128(2), EPOCH)] {
        for change in [
            finished(State::Delivered, Some(log(1))),
            finished(State::Cancelled, None),
            Change::Reschedule { due_at: 5, last: log(1) },
            Change::Move { due_at: 5 },
        ] {
            assert_eq!(write(whose, epoch, change.clone()).await, Fate::Fenced, "{change:?} of {whose}, {epoch}");
        }
    }
    assert_eq!(database.number(&parked).await, 1);
    assert_eq!(database.number("SELECT count(*) FROM delivery").await, 0);
    assert_eq!(database.number("SELECT count(*) FROM attempt").await, 0);

    // Nor takes the owner an attempt back that is known of by then.
    for (number, fate) in [(3, Fate::Done), (2, Fate::Gone), (4, Fate::Done)] {
        assert_eq!(write(owner, EPOCH, Change::Reschedule { due_at: 5, last: log(number) }).await, fate, "{number}");
    }
    assert_eq!(database.number("SELECT count(*) FROM pending WHERE attempts = 4").await, 1);
}

/// Its lease has ended, its connections are gone, and what its attempt came to is not written: it still owns its shards.
async fn a_worker_that_nobody_replaced_forgets_nothing(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let worker = &relay.workers[0];
    tenant.settled(&source.send(APPROVED).await).await;

    let held = relay.database.hold_writes_to("delivery").await;
    let event = source.send(APPROVED).await;
    let answered = async || (Client::of(worker).metric("hookyard_attempts_total").await >= 2.0).then_some(());
    eventually("the answer, whose end cannot be written", answered).await;
    worker.freeze();
    held.end_the_others().await;
    held.release().await;
    relay.clock.advance(LEASE_AND_MORE);
    worker.thaw();

    let pending = "SELECT count(*) FROM pending";
    eventually("its end to be written", async || (relay.database.number(pending).await == 0).then_some(())).await;
    assert_eq!(receiver.count(), 2, "one for each event");
    eventually("the api to answer again", async || {
        let answer = tenant.get(&format!("/deliveries?event_id={event}")).await;
        (answer.status == 200 && items(&answer.json(200))[0]["attempts"] == 1).then_some(())
    })
    .await;
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
