//! Whether a relay says that it can do its work: not while nothing moves, and all the same while nothing is to be moved.

use std::time::{Duration, Instant};

use harness::ondato::APPROVED;
use harness::program::Program;
use harness::relay::settings_of;
use harness::{Client, Database, Process, Receiver, Relay, eventually, json, on_each_database, on_sqlite, within};

on_each_database![
    what_cannot_be_read_or_written_makes_a_worker_unready_until_it_can,
    bodies_that_cannot_be_read_make_a_worker_unready_until_they_can,
    a_relay_is_ready_while_everything_waits_for_its_destination,
];
on_sqlite![a_process_that_waits_for_another_to_end_says_so];

async fn what_cannot_be_read_or_written_makes_a_worker_unready_until_it_can(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    route.tenant.settled(&route.source.send(APPROVED).await).await;
    let worker = Client::of(&relay.workers[0]);
    is_ready(&worker).await;

    for (table, why) in
        [("pending", "nothing moves"), ("delivery", "no outcome was written"), ("shard", "leases were not renewed")]
    {
        relay.database.execute(&format!("ALTER TABLE {table} RENAME TO out_of_reach")).await;
        let event = if table == "pending" { None } else { Some(route.source.send(APPROVED).await) };

        is_unready(&relay, &worker, why).await;
        eventually("the metric to say it", async || (worker.metrics().await.one("hookyard_ready") < 1.0).then_some(()))
            .await;
        relay.database.execute(&format!("ALTER TABLE out_of_reach RENAME TO {table}")).await;

        is_ready(&worker).await;
        let event = match event {
            Some(event) => event,
            None => route.source.send(APPROVED).await,
        };
        assert_eq!(route.tenant.settled(&event).await[0]["state"], "delivered", "{table}");
    }
    eventually("the metric to say it", async || (worker.metrics().await.one("hookyard_ready") > 0.0).then_some(()))
        .await;
    worker.operations("/livez").await.is(200);
}

/// It tries again and again, and that is no work.
async fn bodies_that_cannot_be_read_make_a_worker_unready_until_they_can(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let route = relay.route_tried(&receiver, Some(&[0, 3_600])).await;
    let event = route.source.send(APPROVED).await;
    eventually("the first attempt to be written", async || {
        (route.tenant.delivery_of(&event).await["attempts"] == 1).then_some(())
    })
    .await;
    // Nobody has the body in memory any more.
    relay.kill();
    relay.start_again().await;
    relay.database.execute("ALTER TABLE payload RENAME TO out_of_reach").await;
    receiver.recover();
    relay.clock.advance(Duration::from_secs(5_000));

    let worker = Client::of(&relay.workers[0]);
    // In steps so short that it tries several times within its patience.
    is_unready_by(&relay, &worker, "nothing moves", (Duration::from_secs(10), Duration::from_secs(2))).await;
    assert_eq!(receiver.count(), 1);

    relay.database.execute("ALTER TABLE out_of_reach RENAME TO payload").await;
    is_ready(&worker).await;
    assert_eq!(route.tenant.settled(&event).await[0]["state"], "delivered");
}

async fn a_relay_is_ready_while_everything_waits_for_its_destination(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, ill) = (Receiver::start().await, Receiver::always(500).await);
    let route = relay.route(&receiver).await;
    route.tenant.act(&format!("{}/pause", route.destination.path())).await.succeeded();
    let slow = route.tenant.destination_with(&receiver, json!({ "rate_limit": { "per_second": 0.001 } })).await;
    let tomorrow = json!({ "order": { "mode": "fifo" }, "retry": { "schedule_s": [0, 86_400] } });
    let in_order = route.tenant.destination_with(&ill, tomorrow).await;
    for destination in [&slow, &in_order] {
        route.tenant.subscribe(destination, &["*"]).await;
    }
    route.source.send_many(25, 1, |_| APPROVED.to_owned()).await;
    let worker = Client::of(&relay.workers[0]);
    let metrics = eventually("all of it to wait", async || {
        let metrics = worker.metrics().await;
        let is = |name: &str, least: f64| metrics.samples.get(name).is_some_and(|value| *value >= least);
        let all = is("hookyard_destinations_held", 1.0)
            && is("hookyard_destinations_parked", 1.0)
            && is("hookyard_backlog{state=\"parked\"}", 1.0)
            && is("hookyard_deliveries_in_memory", 20.0);
        all.then_some(metrics)
    })
    .await;
    assert!(metrics.one("hookyard_oldest_due_seconds") < 5.0, "it waits for others");

    for _ in 0..2 {
        stands_still(&worker).await;
        relay.clock.advance(Duration::from_secs(62));
        is_ready(&worker).await;
    }

    let failing = route.tenant.destination(&ill).await;
    route.tenant.subscribe(&failing, &["*"]).await;
    route.source.send_many(25, 1, |_| APPROVED.to_owned()).await;
    eventually("it to be left alone", async || {
        (worker.metrics().await.one("hookyard_breakers_open") >= 1.0).then_some(())
    })
    .await;
    is_ready(&worker).await;
}

async fn a_process_that_waits_for_another_to_end_says_so(database: Database) {
    let relay = Relay::start(database).await;
    let settings = settings_of(Program::Hookyard, &relay.database, &relay.clock);
    let second = Process::spawn(Program::Hookyard, settings, &relay.database.directory(), "hookyard-second");
    second.ready().await;

    is_unready(&relay, &Client::of(&second), "another process has delivered").await;
    relay.kill();

    is_ready(&Client::of(&second)).await;
}

/// Returns when the worker has looked several times at how it is: it looks more often than it renews its leases.
async fn stands_still(worker: &Client) {
    let renewals = async || worker.metrics().await.one("hookyard_lease_renewals_total{outcome=\"renewed\"}");
    let before = renewals().await;
    eventually("two renewals", async || (renewals().await >= before + 2.0).then_some(())).await;
}

async fn is_ready(process: &Client) {
    eventually("it to be ready", async || (process.operations("/readyz").await.status == 200).then_some(())).await;
}

/// Waits until it says that it is not ready, and why; meanwhile time passes in steps that are longer than its patience.
async fn is_unready(relay: &Relay, process: &Client, why: &str) {
    is_unready_by(relay, process, why, (Duration::from_secs(62), Duration::from_secs(5))).await;
}

/// The same, in steps of this length, so often.
async fn is_unready_by(relay: &Relay, process: &Client, why: &str, (step, every): (Duration, Duration)) {
    let mut stepped = Instant::now();
    within(harness::wait::PATIENCE * 2, &format!("it to say: {why}"), async || {
        if stepped.elapsed() > every {
            relay.clock.advance(step);
            stepped = Instant::now();
        }
        let answer = process.operations("/readyz").await;
        (answer.status == 503 && answer.text().contains(why)).then_some(())
    })
    .await;
}
