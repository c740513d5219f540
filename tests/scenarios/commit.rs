//! A 2xx means that the event and its deliveries are committed.

use std::collections::BTreeSet;

use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Route, on_each_database, on_postgres};

on_each_database![what_was_accepted_survives_a_kill];
on_postgres![what_was_accepted_survives_a_kill_of_the_api_alone];

/// Once a second, for longer than any scenario lasts.
const OFTEN: [u64; 50] = {
    let mut often = [1; 50];
    often[0] = 0;
    often
};

async fn what_was_accepted_survives_a_kill(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::closed();
    let route = relay.route_tried(&receiver, Some(&OFTEN)).await;

    let accepted = route.source.send_many(100, 8, |_| APPROVED.to_owned()).await;
    relay.kill();
    receiver.open();
    relay.start_again().await;

    all_arrive(&relay, &receiver, accepted, &route).await;
}

async fn what_was_accepted_survives_a_kill_of_the_api_alone(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::closed();
    let route = relay.route_tried(&receiver, Some(&OFTEN)).await;

    let accepted = route.source.send_many(100, 8, |_| APPROVED.to_owned()).await;
    relay.apis[0].kill();
    receiver.open();
    relay.apis[0].start_again().await;

    all_arrive(&relay, &receiver, accepted, &route).await;
}

async fn all_arrive(relay: &Relay, receiver: &Receiver, accepted: Vec<String>, route: &Route) {
    let accepted: BTreeSet<String> = accepted.into_iter().collect();
    assert_eq!(accepted.len(), 100);
    relay.pass_time_until("all accepted events to arrive", async || (receiver.ids().len() >= 100).then_some(())).await;
    assert_eq!(receiver.ids(), accepted);
    for event in &accepted {
        let deliveries = route.tenant.settled(event).await;
        assert!(deliveries.len() == 1 && deliveries[0]["state"] == "delivered", "{deliveries:#?}");
    }
}
