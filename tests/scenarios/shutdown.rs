//! An orderly end: no new work, what is in flight ends, the shards go to others.

use std::time::Duration;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Client, Database, Receiver, Relay, Reply, Route, on_each_database, on_postgres, on_sqlite, within};

on_each_database![what_is_in_flight_ends_before_the_process_does];
on_postgres![the_shards_of_a_worker_that_ends_go_to_another_at_once];
on_sqlite![nothing_is_left_but_the_database_and_its_keys];

async fn what_is_in_flight_ends_before_the_process_does(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([Reply::status(200).held()]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let event = source.send(APPROVED).await;
    receiver.wait_for(1).await;

    let worker = &relay.workers[0];
    worker.terminate();
    stops_being_ready(worker).await;
    receiver.release();
    let status = worker.ended().await;
    assert!(status.success(), "{status}\n{}", worker.log());
    worker.start_again().await;

    let delivery = text(&tenant.settled(&event).await[0], "id");
    let delivered = tenant.delivery(&delivery).await;
    assert_eq!((&delivered["state"], &delivered["attempts"]), (&"delivered".into(), &1.into()));
    tenant.settled(&source.send(APPROVED).await).await;
    assert_eq!(receiver.count(), 2, "one for each event");
}

/// In less than the time of a lease, so nobody waited for one to run out.
async fn the_shards_of_a_worker_that_ends_go_to_another_at_once(database: Database) {
    let relay = Relay::plan(database).apis(2).workers(2).start().await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    tenant.settled(&source.send(APPROVED).await).await;

    for process in [&relay.workers[0], &relay.apis[1]] {
        process.terminate();
        let status = process.ended().await;
        assert!(status.success(), "{status}\n{}", process.log());
    }
    let event = source.send(APPROVED).await;

    let delivered = async || (tenant.deliveries(&event).await[0]["state"] == "delivered").then_some(());
    within(Duration::from_secs(8), "the other worker to deliver", delivered).await;
}

async fn nothing_is_left_but_the_database_and_its_keys(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    tenant.settled(&source.send(APPROVED).await).await;

    relay.apis[0].terminate();
    assert!(relay.apis[0].ended().await.success());

    for file in std::fs::read_dir(relay.database.directory()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let ours = name == "clock" || name.ends_with(".out") || name.ends_with(".log");
        assert!(ours || name.starts_with("hookyard.db") || name == "hookyard.keys", "{name} was left behind");
    }
}

/// Either it says so, or it has closed the door already.
async fn stops_being_ready(process: &harness::Process) {
    let client = Client::of(process);
    within(Duration::from_secs(10), "it not to be ready any more", async || {
        let answer = client.try_operations("/readyz").await;
        answer.map_or(true, |answer| answer.status == 503).then_some(())
    })
    .await;
}
