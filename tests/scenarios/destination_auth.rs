//! How deliveries prove who sends them, and what becomes of them where they cannot.

use std::time::Duration;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::receiver::Request;
use harness::source::basic;
use harness::{Database, Receiver, Relay, Reply, Source, Tenant, Value, json, on_each_database};

on_each_database![
    a_bearer_token_or_a_header_goes_along,
    a_token_is_fetched_once_and_used_until_shortly_before_its_end,
    a_token_that_is_refused_is_fetched_anew_once,
    without_a_token_nothing_is_sent,
    one_fetch_serves_all_that_wait_for_it,
    one_fetch_serves_all_that_are_refused_at_once,
    what_is_changed_while_a_token_is_waited_for_holds,
    the_client_proves_itself_as_the_endpoint_wants,
    secrets_of_every_kind_stay_inside,
];

/// A destination at the receiver with this authentication, and what sends events there.
struct Way {
    tenant: Tenant,
    source: Source,
    destination: String,
}

impl Way {
    async fn of(relay: &Relay, receiver: &Receiver, auth: Value) -> Self {
        let tenant = relay.tenant("acme").await;
        let fields = json!({ "name": "out", "url": receiver.url(), "auth": auth });
        let destination = tenant.destination_of(fields).await;
        tenant.subscribe(&destination, &["*"]).await;
        let source = tenant.source().await;
        Self { tenant, source, destination: destination.id }
    }

    /// Sends an event and gives its delivery once it was tried so often.
    async fn tried(&self, attempts: u64) -> Value {
        let event = self.source.send(APPROVED).await;
        let delivery = text(&self.tenant.delivery_of(&event).await, "id");
        self.tenant.delivery_waiting(&delivery, attempts).await
    }

    async fn delivered(&self) -> Value {
        let event = self.source.send(APPROVED).await;
        let delivery = text(&self.tenant.delivery_of(&event).await, "id");
        self.tenant.delivery_in(&delivery, "delivered").await
    }
}

fn oauth(receiver: &Receiver) -> Value {
    json!({
        "kind": "oauth2_client_credentials",
        "token_url": receiver.url_of("/token"),
        "client_id": "relay",
        "client_secret": "canary secret",
    })
}

fn token(value: &str, expires_in: u64) -> String {
    json!({ "access_token": value, "token_type": "Bearer", "expires_in": expires_in }).to_string()
}

/// What arrived at a path.
fn at(receiver: &Receiver, path: &str) -> Vec<Request> {
    receiver.requests().into_iter().filter(|request| request.path == path).collect()
}

async fn a_bearer_token_or_a_header_goes_along(database: Database) {
    let relay = Relay::start(database).await;
    for (auth, name, value) in [
        (json!({ "kind": "bearer", "token": "canary" }), "authorization", "Bearer canary"),
        (json!({ "kind": "header", "name": "X-Api-Key", "value": "canary" }), "x-api-key", "canary"),
        (json!({ "kind": "header", "name": "Authorization", "value": "Key canary" }), "authorization", "Key canary"),
    ] {
        let receiver = Receiver::start().await;
        Way::of(&relay, &receiver, auth).await.delivered().await;
        assert_eq!(receiver.requests()[0].one(name), value);
    }
}

async fn a_token_is_fetched_once_and_used_until_shortly_before_its_end(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    receiver.publish("/token", token("first", 3_600));
    let way = Way::of(&relay, &receiver, oauth(&receiver)).await;

    way.delivered().await;
    way.delivered().await;
    receiver.publish("/token", token("second", 3_600));
    relay.clock.advance(Duration::from_secs(3_200));
    way.delivered().await;
    relay.clock.advance(Duration::from_secs(60));
    way.delivered().await;

    let used: Vec<_> = at(&receiver, "/hook").iter().map(|request| request.one("authorization").to_owned()).collect();
    assert_eq!(used, ["Bearer first", "Bearer first", "Bearer first", "Bearer second"]);
    let asked = at(&receiver, "/token");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].one("authorization"), basic("relay", "canary+secret"));
    assert_eq!(asked[0].one("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(&asked[0].body[..], b"grant_type=client_credentials");
}

async fn a_token_that_is_refused_is_fetched_anew_once(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([401]).await;
    receiver.publish("/token", token("t", 3_600));
    let way = Way::of(&relay, &receiver, oauth(&receiver)).await;

    let delivered = way.delivered().await;
    assert_eq!(delivered["attempts"], 1, "the same attempt: {delivered:#}");
    assert_eq!((at(&receiver, "/token").len(), at(&receiver, "/hook").len()), (2, 2));

    let receiver = receiver.otherwise(401);
    let waiting = way.tried(1).await;
    assert_eq!(waiting["attempt_log"][0]["outcome"], "rejected");
    assert_eq!(waiting["last_status"], 401);
    assert_eq!((at(&receiver, "/token").len(), at(&receiver, "/hook").len()), (3, 4), "once more, and not for ever");
}

async fn without_a_token_nothing_is_sent(database: Database) {
    let relay = Relay::start(database).await;
    for (reply, why) in [
        (Reply::status(400).body(r#"{"error": "invalid_client"}"#), "the token endpoint answered 400: invalid_client"),
        (Reply::status(200).body(token("two words", 60)), "the token endpoint gave no token that a header can hold"),
    ] {
        // Whatever else it is asked, it answers the same.
        let receiver = Receiver::always(reply).await;
        let way = Way::of(&relay, &receiver, oauth(&receiver)).await;
        let waiting = way.tried(1).await;
        let attempt = &waiting["attempt_log"][0];
        assert_eq!((&attempt["outcome"], &attempt["error"]), (&"unauthorized".into(), &why.into()), "{waiting:#}");
        assert_eq!((at(&receiver, "/token").len(), at(&receiver, "/hook").len()), (1, 0));
        // Another delivery does not ask again at once.
        way.tried(1).await;
        assert_eq!((at(&receiver, "/token").len(), at(&receiver, "/hook").len()), (1, 0));
    }
    let receiver = Receiver::start().await;
    let way = Way::of(&relay, &receiver, oauth(&Receiver::closed())).await;
    let waiting = way.tried(1).await;
    let error = text(&waiting["attempt_log"][0], "error");
    assert!(error.starts_with("the token endpoint is not reached"), "{error}");
    assert_eq!(receiver.count(), 0);
}

async fn one_fetch_serves_all_that_wait_for_it(database: Database) {
    const EVENTS: usize = 30;
    let relay = Relay::start(database).await;
    let (receiver, endpoint) =
        (Receiver::start().await, Receiver::always(Reply::status(200).body(token("t", 600)).held()).await);
    let way = Way::of(&relay, &receiver, oauth(&endpoint)).await;
    way.source.send_many(EVENTS, 10, |_| APPROVED.to_owned()).await;
    endpoint.wait_for(1).await;
    endpoint.release();
    receiver.wait_for(EVENTS).await;
    assert_eq!(endpoint.count(), 1);
}

/// Each of them sends once more, with the token that one of them fetched.
async fn one_fetch_serves_all_that_are_refused_at_once(database: Database) {
    const EVENTS: usize = 8;
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering(std::iter::repeat_n(Reply::status(401).held(), EVENTS)).await;
    let endpoint = Receiver::always(Reply::status(200).body(token("t", 600))).await;
    let way = Way::of(&relay, &receiver, oauth(&endpoint)).await;
    let events = way.source.send_many(EVENTS, EVENTS, |_| APPROVED.to_owned()).await;
    receiver.wait_for(EVENTS).await;
    assert_eq!(endpoint.count(), 1);
    receiver.release();
    for event in &events {
        let delivery = &way.tenant.settled(event).await[0];
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&"delivered".into(), &1.into()), "{delivery:#}");
    }
    assert_eq!((endpoint.count(), receiver.count()), (2, 2 * EVENTS));
}

/// The endpoint takes its time, and what is sent then is what holds then, to where it is to go then.
async fn what_is_changed_while_a_token_is_waited_for_holds(database: Database) {
    let relay = Relay::start(database).await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let endpoint = Receiver::always(Reply::status(200).body(token("t", 600)).held()).await;
    let (moved, gone) = (Way::of(&relay, &old, oauth(&endpoint)).await, Way::of(&relay, &old, oauth(&endpoint)).await);
    let [to_new, to_nobody] = [moved.source.send(APPROVED).await, gone.source.send(APPROVED).await];
    endpoint.wait_for(2).await;

    let told = json!({ "url": new.url(), "auth": oauth(&endpoint) });
    moved.tenant.patch(&format!("/destinations/{}", moved.destination), told).await.is(200);
    gone.tenant.delete(&format!("/destinations/{}", gone.destination)).await.is(204);
    relay.changes_are_heard().await;
    endpoint.release();

    assert_eq!(moved.tenant.settled(&to_new).await[0]["state"], "delivered");
    assert_eq!(gone.tenant.settled(&to_nobody).await[0]["state"], "cancelled");
    assert_eq!((old.count(), new.count()), (0, 1));
}

async fn the_client_proves_itself_as_the_endpoint_wants(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    receiver.publish("/token", token("t", 600));
    let mut auth = oauth(&receiver);
    auth["client_auth"] = "post".into();
    auth["scope"] = "events write".into();
    Way::of(&relay, &receiver, auth).await.delivered().await;
    let asked = &at(&receiver, "/token")[0];
    assert_eq!(asked.header("authorization"), None);
    let form = "grant_type=client_credentials&scope=events+write&client_id=relay&client_secret=canary+secret";
    assert_eq!(asked.body, form);
}

async fn secrets_of_every_kind_stay_inside(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    receiver.publish("/token", token("canary-token", 600));
    for auth in [
        json!({ "kind": "basic", "username": "u", "password": "canary" }),
        json!({ "kind": "bearer", "token": "canary" }),
        json!({ "kind": "header", "name": "x-key", "value": "canary" }),
        oauth(&receiver),
    ] {
        let way = Way::of(&relay, &receiver, auth.clone()).await;
        let waiting = way.tried(1).await;
        let path = format!("/destinations/{}", way.destination);
        let elsewhere = Receiver::start().await;
        let moved = way.tenant.patch(&path, json!({ "url": elsewhere.url() })).await;
        moved.problem_about(422, &["/auth"]);
        let shown = way.tenant.patch(&path, json!({ "name": "renamed" })).await.json(200);
        assert_eq!(shown["auth"]["kind"], auth["kind"]);
        for said in [waiting.to_string(), shown.to_string(), moved.text()] {
            assert!(!said.contains("canary"), "{said}");
        }
    }
    for process in relay.processes() {
        assert!(!process.log().contains("canary"), "{}", process.log());
    }
}
