//! One bad event harms no other.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use harness::answer::text;
use harness::ondato::{APPROVED, event, event_with_id};
use harness::{Database, Receiver, Relay, Route, Source, eventually, on_each_database};

on_each_database![
    a_poisonous_event_harms_no_other_of_its_batch,
    an_attempt_that_makes_us_panic_harms_no_other,
    a_commit_that_makes_us_panic_is_no_2xx_and_harms_no_other,
    a_process_that_loses_a_part_of_itself_ends_and_nothing_is_lost,
];

async fn a_poisonous_event_harms_no_other_of_its_batch(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let poison = [
        ("a zero in its id", event_with_id(APPROVED, "\0before and after\0"), "external_id"),
        ("a type of 600 bytes", event(&"T".repeat(600)), "event_type"),
        ("an id of 10 kB", event_with_id(APPROVED, &"i".repeat(10_000)), "external_id"),
        ("a line end in its type", event("Kyc\r\nX-Injected: yes"), "event_type"),
    ];

    let held = relay.database.hold_writes().await;
    let ahead = [post(&source, event(APPROVED)), post(&source, event(APPROVED))];
    relay.let_requests_arrive().await;
    let good: Vec<_> = (0..20).map(|_| post(&source, event(APPROVED))).collect();
    let bad: Vec<_> = poison.iter().map(|(_, body, _)| post(&source, body.clone())).collect();
    relay.let_requests_arrive().await;
    held.release().await;

    for posted in ahead.into_iter().chain(good) {
        let deliveries = tenant.settled(&posted.await.unwrap()).await;
        assert_eq!(text(&deliveries[0], "state"), "delivered");
    }
    for (posted, (what, body, field)) in bad.into_iter().zip(poison) {
        let id = posted.await.unwrap();
        let kept = tenant.event(&id).await;
        assert!(kept[field].is_null(), "{what}: {kept:#}");
        assert_eq!(tenant.get(&format!("/events/{id}/body")).await.is(200).body, body, "{what}");
        assert_eq!(text(&tenant.settled(&id).await[0], "state"), "delivered", "{what}");
    }
    assert_eq!(receiver.count(), 26);
}

/// Nothing is counted: it was no fault of the destination's.
async fn an_attempt_that_makes_us_panic_harms_no_other(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route_tried(&receiver, Some(&[0])).await;
    relay.arm("before-send", "panic");
    let poison = source.send(APPROVED).await;
    eventually("the panic", async || (!relay.is_armed("before-send")).then_some(())).await;
    let good = source.send(APPROVED).await;
    tenant.settled(&good).await;
    assert_eq!(receiver.ids(), [good.clone()].into());

    let put_off = tenant.delivery(&text(&tenant.deliveries(&poison).await[0], "id")).await;
    assert_eq!((&put_off["state"], &put_off["attempts"]), (&"pending".into(), &0.into()), "{put_off:#}");
    relay.pass_time_until("it to be tried again", async || receiver.ids().contains(&poison).then_some(())).await;
    let delivered = &tenant.settled(&poison).await[0];
    assert_eq!((&delivered["state"], &delivered["attempts"]), (&"delivered".into(), &1.into()), "{delivered:#}");
    assert_eq!(receiver.count(), 2);
}

async fn a_commit_that_makes_us_panic_is_no_2xx_and_harms_no_other(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    relay.arm("before-commit", "panic");
    let _ = source.post(event(APPROVED)).await.problem(503);
    assert!(!relay.is_armed("before-commit"));
    tenant.settled(&source.send(APPROVED).await).await;
    assert_eq!(receiver.count(), 1);
}

async fn a_process_that_loses_a_part_of_itself_ends_and_nothing_is_lost(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    relay.arm("before-finish", "panic");
    let event = source.send(APPROVED).await;
    let worker = &relay.workers[0];
    let status = worker.ended().await;
    assert_eq!(status.signal(), Some(ABORTED), "{status}\n{}", worker.log());
    assert!(worker.logged().contains("the failpoint before-finish"), "{}", worker.logged());

    worker.start_again().await;
    relay.clock.advance(Duration::from_secs(20));
    assert_eq!(tenant.settled(&event).await[0]["state"], "delivered");
    assert_eq!(receiver.count(), 2, "its end was never written");
}

/// SIGABRT.
const ABORTED: i32 = 6;

/// Gives the id of the event that was accepted.
fn post(source: &Source, body: Vec<u8>) -> tokio::task::JoinHandle<String> {
    let source = source.clone();
    tokio::spawn(async move { source.post(body).await.event_id() })
}
