//! Libraries that others wrote, at the relay's doors: one that signs and verifies, and one that fetches tokens.

use std::convert::Infallible;

use harness::answer::text;
use harness::ondato::{APPROVED, event};
use harness::receiver::Request;
use harness::{Client, Database, Receiver, Relay, Source, Tenant, json, on_each_database};
use hmac::{Hmac, KeyInit, Mac};
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicRequestTokenError, BasicTokenResponse};
use oauth2::http::{HeaderMap, HeaderName};
use oauth2::{AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, TokenResponse, TokenUrl};
use sha2::Sha256;
use standardwebhooks::Webhook;

on_each_database![
    standard_webhooks_signs_what_we_take,
    standard_webhooks_verifies_what_we_deliver,
    stripes_own_recipe_signs_what_we_take,
    oauth2_fetches_a_token_that_opens_the_source,
    oauth2_understands_why_it_gets_no_token,
];

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &str = r#"{"type":"invoice.paid","data":{"customer":"Zoë"}}"#;

async fn signed_source(tenant: &Tenant, provider: &str, secret: &str) -> Source {
    let source = tenant.source_of(json!({ "name": "in", "provider": provider })).await;
    let credential = json!({ "kind": "hmac", "secret": secret });
    tenant.post(&format!("/sources/{}/credentials", source.id), credential).await.is(201);
    source
}

async fn standard_webhooks_signs_what_we_take(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = signed_source(&tenant, "standard-webhooks", SECRET).await;
    let now = chrono::Utc::now().timestamp();
    let post = async |secret: &str, time: i64| {
        let signature = Webhook::new(secret).unwrap().sign("msg_1", time, BODY.as_bytes()).unwrap();
        let time = time.to_string();
        let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", &*time), ("webhook-signature", &*signature)];
        source.post_with(&headers, BODY).await
    };

    let id = post(SECRET, now).await.event_id();
    let _ = post(OTHER_SECRET, now).await.problem(401);
    let _ = post(SECRET, now - 330).await.problem(401);

    let stored = tenant.event(&id).await;
    assert_eq!(
        (&stored["event_type"], &stored["external_id"]),
        (&"invoice.paid".into(), &"msg_1".into()),
        "{stored:#}"
    );
}

async fn standard_webhooks_verifies_what_we_deliver(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;

    route.source.send(APPROVED).await;

    let delivered = &receiver.wait_for(1).await[0];
    let (ours, other) = (Webhook::new(&route.destination.signing_secret).unwrap(), Webhook::new(OTHER_SECRET).unwrap());
    ours.verify(&delivered.body, &headers(delivered)).unwrap();
    assert!(other.verify(&delivered.body, &headers(delivered)).is_err());
    assert!(ours.verify(&[&delivered.body, &b" "[..]].concat(), &headers(delivered)).is_err());
}

fn headers(request: &Request) -> HeaderMap {
    let header = |(name, value): &(String, String)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    request.headers.iter().map(header).collect()
}

/// No light crate signs for Stripe, so this is what its documentation says, without any code of the relay.
async fn stripes_own_recipe_signs_what_we_take(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = signed_source(&tenant, "stripe", SECRET).await;
    let time = chrono::Utc::now().timestamp();
    let post = async |secret: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{BODY}").as_bytes());
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("t={time},v1={digits}");
        source.post_with(&[("stripe-signature", &signature)], BODY).await
    };

    post(SECRET).await.succeeded();
    let _ = post(OTHER_SECRET).await.problem(401);
}

/// What Ondato is given: the client's id and secret, and where it gets tokens.
struct Registered {
    source: Source,
    id: ClientId,
    secret: ClientSecret,
    token_url: TokenUrl,
}

impl Registered {
    async fn with(relay: &Relay) -> Self {
        let tenant = relay.tenant("acme").await;
        let source = tenant.source_of(json!({ "name": "in", "provider": "ondato" })).await;
        let credentials = format!("/sources/{}/credentials", source.id);
        let made = tenant.post(&credentials, json!({ "kind": "oauth2_client" })).await.json(201);
        Self {
            source,
            id: ClientId::new(text(&made, "client_id")),
            secret: ClientSecret::new(text(&made, "client_secret")),
            token_url: TokenUrl::new(text(&made, "token_url")).unwrap(),
        }
    }

    async fn token(&self, way: &AuthType) -> Result<BasicTokenResponse, BasicRequestTokenError<Infallible>> {
        let client = BasicClient::new(self.id.clone())
            .set_client_secret(self.secret.clone())
            .set_token_uri(self.token_url.clone())
            .set_auth_type(way.clone());
        let provider = &self.source.provider;
        client.exchange_client_credentials().request_async(&|request| fetch(provider.clone(), request)).await
    }
}

/// The harness's HTTP client, as the library wants one.
async fn fetch(client: Client, request: HttpRequest) -> Result<HttpResponse, Infallible> {
    let (asked, body) = request.into_parts();
    let headers: Vec<_> = asked.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let answer = client.ask(asked.method, asked.uri.path(), &headers, body).await;
    let mut response = HttpResponse::new(answer.body.to_vec());
    *response.status_mut() = answer.status.try_into().unwrap();
    *response.headers_mut() = answer.headers;
    Ok(response)
}

async fn oauth2_fetches_a_token_that_opens_the_source(database: Database) {
    let relay = Relay::start(database).await;
    let registered = Registered::with(&relay).await;
    for way in [AuthType::BasicAuth, AuthType::RequestBody] {
        let token = registered.token(&way).await.unwrap();
        assert!(token.expires_in().is_some_and(|lifetime| lifetime.as_secs() >= 60), "{token:?}");

        let bearing = format!("Bearer {}", token.access_token().secret());
        let sender = Source { authorization: Some(bearing), ..registered.source.clone() };
        sender.post(event(APPROVED)).await.is(202);
    }
}

async fn oauth2_understands_why_it_gets_no_token(database: Database) {
    let relay = Relay::start(database).await;
    let registered = Registered::with(&relay).await;
    let guesser = Registered { secret: ClientSecret::new("a guess".to_owned()), ..registered };
    for way in [AuthType::BasicAuth, AuthType::RequestBody] {
        let Err(RequestTokenError::ServerResponse(refusal)) = guesser.token(&way).await else {
            panic!("no refusal that the library can read, {way:?}");
        };
        assert_eq!(*refusal.error(), BasicErrorResponseType::InvalidClient, "{way:?}");
    }
}
