//! An authorization server that others wrote issues the tokens of destinations.

use std::time::Duration;

use harness::answer::text;
use harness::authorization_server::{BASIC_CLIENT, POST_CLIENT, SECRET};
use harness::ondato::APPROVED;
use harness::receiver::Request;
use harness::{AuthorizationServer, Database, Receiver, Relay, Source, Tenant, Value, json, on_each_database};

on_each_database![
    either_kind_of_client_gets_a_token_and_goes_on_using_it,
    what_the_server_refuses_is_told_and_nothing_is_sent,
    a_token_that_was_taken_back_is_fetched_anew_once,
];

/// A destination that wants tokens of the server, and what sends events there.
struct Way {
    tenant: Tenant,
    source: Source,
    destination: String,
}

impl Way {
    async fn of(relay: &Relay, receiver: &Receiver, auth: &Value) -> Self {
        let tenant = relay.tenant("acme").await;
        let destination = tenant.destination_with(receiver, json!({ "auth": auth })).await;
        tenant.subscribe(&destination, &["*"]).await;
        let source = tenant.source().await;
        Self { tenant, source, destination: destination.path() }
    }

    async fn delivery(&self) -> String {
        text(&self.tenant.delivery_of(&self.source.send(APPROVED).await).await, "id")
    }

    async fn delivered(&self) -> Value {
        self.tenant.delivery_in(&self.delivery().await, "delivered").await
    }
}

fn client(server: &AuthorizationServer, id: &str) -> Value {
    json!({
        "kind": "oauth2_client_credentials",
        "token_url": server.token_url(),
        "client_id": id,
        "client_secret": SECRET,
        "client_auth": if id == BASIC_CLIENT { "basic" } else { "post" },
        "scope": "events",
    })
}

fn token(request: &Request) -> &str {
    request.one("authorization").strip_prefix("Bearer ").expect("a bearer token")
}

async fn either_kind_of_client_gets_a_token_and_goes_on_using_it(database: Database) {
    let server = AuthorizationServer::start(&database.directory()).await;
    let relay = Relay::start(database).await;
    for id in [BASIC_CLIENT, POST_CLIENT] {
        let receiver = Receiver::start().await;
        let way = Way::of(&relay, &receiver, &client(&server, id)).await;

        way.delivered().await;
        way.delivered().await;

        let [first, second] = &receiver.requests()[..] else { panic!("two requests") };
        let said = server.introspect(token(first)).await;
        let of_whom = (&said["active"], &said["client_id"], &said["scope"], &said["token_type"]);
        assert_eq!(of_whom, (&json!(true), &json!(id), &json!("events"), &json!("Bearer")), "{said:#}");
        assert_eq!((token(second), server.issued_to(id)), (token(first), 1));
        assert_eq!(server.introspect("another").await, json!({ "active": false }));
    }
}

async fn what_the_server_refuses_is_told_and_nothing_is_sent(database: Database) {
    let server = AuthorizationServer::start(&database.directory()).await;
    let relay = Relay::start(database).await;
    for id in [BASIC_CLIENT, POST_CLIENT] {
        for (field, wrong, why) in [
            ("client_secret", "a guess", "the token endpoint answered 401: invalid_client"),
            ("scope", "secrets", "the token endpoint answered 400: invalid_scope"),
        ] {
            let receiver = Receiver::start().await;
            let right = client(&server, id);
            let mut auth = right.clone();
            auth[field] = wrong.into();
            let way = Way::of(&relay, &receiver, &auth).await;

            let delivery = way.delivery().await;
            let waiting = way.tenant.delivery_waiting(&delivery, 1).await;
            let attempt = &waiting["attempt_log"][0];
            assert_eq!((&attempt["outcome"], &attempt["error"]), (&json!("unauthorized"), &json!(why)), "{attempt:#}");
            assert_eq!(receiver.count(), 0);

            way.tenant.patch(&way.destination, json!({ "auth": right })).await.is(200);
            // A change holds in every process within a second.
            relay.clock.advance(Duration::from_secs(2));
            way.tenant.act(&format!("/deliveries/{delivery}/retry")).await.succeeded();
            way.tenant.delivery_in(&delivery, "delivered").await;
        }
    }
}

/// The receiver does not ask the server by itself: what it answers is the script's, and that it was right to is checked.
async fn a_token_that_was_taken_back_is_fetched_anew_once(database: Database) {
    let server = AuthorizationServer::start(&database.directory()).await;
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([200, 401, 200]).await;
    let way = Way::of(&relay, &receiver, &client(&server, POST_CLIENT)).await;

    way.delivered().await;
    server.revoke(token(&receiver.requests()[0])).await;
    let delivered = way.delivered().await;
    way.delivered().await;

    assert_eq!(delivered["attempts"], 1, "the same attempt: {delivered:#}");
    let requests = receiver.requests();
    let [first, refused, again, next] = &requests.iter().map(token).collect::<Vec<_>>()[..] else {
        panic!("four requests: {requests:?}")
    };
    assert_eq!((refused, next, server.issued_to(POST_CLIENT)), (first, again, 2));
    assert_eq!(server.introspect(refused).await["active"], false);
    assert_eq!(server.introspect(again).await["active"], true);
}
