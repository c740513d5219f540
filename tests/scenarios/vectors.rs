//! Requests as providers send them, signed by others than us: what is right is stored, and what is not is refused for the
//! reason it should be. Each is sent at its own time.

use futures_util::StreamExt;
use futures_util::stream;
use harness::answer::{items, text};
use harness::{
    Database, Receiver, Relay, Source, Tenant, eventually, json, on_each_database, on_each_database_alone, raw,
};

mod schemes;
mod vector;

use schemes::SCHEMES;
use vector::{Request, Vector};

// Some have a second or two in which they are what they are.
on_each_database_alone![every_request_is_taken_or_refused_as_it_should_be];
on_each_database![every_provider_has_a_source_for_one_post];

/// As many vectors at once.
const AT_ONCE: usize = 4;

/// One vector and the source that it is sent to.
struct Trial {
    vector: Vector,
    tenant: Tenant,
    source: Source,
}

/// Whoever publishes keys.
struct Publishers {
    /// What PayPal serves, and the authorities that vouch for it.
    paypal: Receiver,
    /// Serves the same, and is neither.
    stranger: Receiver,
    issuer: Receiver,
}

async fn every_request_is_taken_or_refused_as_it_should_be(database: Database) {
    let publishers = Publishers::start().await;
    let mut vectors = vector::all();
    for (number, vector) in vectors.iter_mut().enumerate() {
        publishers.publish(number, vector);
    }
    let relay = publishers.relay(database, vectors[0].at_ms - 60_000).await;
    let tenant = relay.tenant("acme").await;
    let trials = all(vectors.into_iter().map(|vector| Trial::prepare(&tenant, vector))).await;

    for trials in trials.chunk_by(|one, next| one.vector.at_ms == next.vector.at_ms) {
        come_to(&relay, trials[0].vector.at_ms).await;
        all(trials.iter().map(Trial::send)).await;
        all(trials.iter().map(Trial::forge)).await;
        all(trials.iter().map(Trial::check)).await;
    }

    assert_eq!(publishers.stranger.count(), 0, "a stranger was asked for a certificate");
    let asked = publishers.paypal.requests();
    assert!(asked.iter().all(|request| !request.path.starts_with("/v1/other")), "{asked:?}");
}

/// A minute early, what a leap over years makes the processes do is done in time. Then the relay is in the last second
/// before: its clock goes on, and some vectors are right up to their time, others from then on.
async fn come_to(relay: &Relay, time_ms: i64) {
    relay.clock.advance_to(time_ms - 60_000);
    relay.clock_is_followed().await;
    eventually("the relay to be ready", async || {
        (relay.anybody().operations("/readyz").await.status == 200).then_some(())
    })
    .await;
    relay.clock.advance_to(time_ms - 900);
    relay.clock_is_followed().await;
}

/// All of them, some at a time.
async fn all<T>(what: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    stream::iter(what).buffered(AT_ONCE).collect().await
}

impl Trial {
    async fn prepare(tenant: &Tenant, vector: Vector) -> Self {
        let mut fields = json!({ "name": vector.scheme, "provider": vector.preset });
        if let Some(verification) = &vector.verification {
            fields["verification"] = verification.clone();
        }
        let source = tenant.source_of(fields).await;
        for credential in &vector.credentials {
            tenant.post(&format!("/sources/{}/credentials", source.id), credential.clone()).await.is(201);
        }
        Self { vector, tenant: tenant.clone(), source }
    }

    /// As the provider sent it.
    async fn send(&self) {
        let status = self.post(&self.vector.request).await;
        match &self.vector.cause {
            None if status == 401 => panic!("{} was refused: {:?}", self.vector.name, self.refused(1).await),
            None => assert_eq!(status / 100, 2, "{}", self.vector.name),
            Some(_) => assert_eq!(status, 401, "{}", self.vector.name),
        }
    }

    /// What was right is so only as it is.
    async fn forge(&self) {
        for (what, forged) in self.forgeries() {
            assert_eq!(self.post(&forged).await, 401, "{} with {what}", self.vector.name);
        }
    }

    /// What can be seen of all that.
    async fn check(&self) {
        match &self.vector.cause {
            None => drop(self.refused(self.forgeries().len()).await),
            Some(cause) => assert_eq!(self.refused(1).await, [cause.as_str()], "{}", self.vector.name),
        }
        let events = items(&self.tenant.get(&format!("/events?source_id={}", self.source.id)).await.json(200));
        let is_stored = self.vector.cause.is_none() && !self.vector.is_handshake;
        assert_eq!(events.len(), usize::from(is_stored), "{}: {events:#?}", self.vector.name);
        for event in events {
            let body = self.tenant.get(&format!("/events/{}/body", text(&event, "id"))).await;
            assert_eq!(body.is(200).body, self.vector.request.body, "{}", self.vector.name);
        }
    }

    fn forgeries(&self) -> Vec<(&'static str, Request)> {
        if self.vector.cause.is_none() { self.vector.forgeries() } else { Vec::new() }
    }

    async fn post(&self, request: &Request) -> u16 {
        let path = format!("{}{}", self.source.path, request.path);
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let bytes = raw::request(&request.method, &path, &headers, &request.body);
        raw::exchange(self.source.provider.process().address(), bytes).await.status
    }

    /// Waits until so many requests are shown as refused, and says why they were.
    async fn refused(&self, count: usize) -> Vec<String> {
        let path = format!("/sources/{}/rejections", self.source.id);
        eventually(&format!("{} to be refused {count} times", self.vector.name), async || {
            let mut rejections = items(&self.tenant.get(&path).await.json(200));
            rejections.retain(|rejection| rejection["refused"] == true);
            (rejections.len() == count).then(|| rejections.iter().map(|it| text(it, "cause")).collect())
        })
        .await
    }
}

impl Publishers {
    async fn start() -> Self {
        let [paypal, stranger, issuer] = [Receiver::always(404), Receiver::always(404), Receiver::always(404)];
        Self { paypal: paypal.await, stranger: stranger.await, issuer: issuer.await }
    }

    /// A relay that takes them for what they are.
    async fn relay(&self, database: Database, time_ms: i64) -> Relay {
        let root = database.directory().join("root.pem");
        std::fs::write(&root, vector::root()).unwrap();
        let paypal = format!("{};{}", self.paypal.url_of(""), root.display());
        Relay::plan(database).at(time_ms).setting("HOOKYARD_TEST_PAYPAL", paypal).start().await
    }

    /// Serves what a vector needs, and has it name URLs of this machine.
    fn publish(&self, number: usize, vector: &mut Vector) {
        if let Some(verification) = &mut vector.verification
            && let Some(keys) = verification.as_object_mut().unwrap().remove("jwks")
        {
            self.issuer.publish("/keys", keys.to_string());
            verification["jwks_url"] = self.issuer.url_of("/keys").into();
        }
        for (url, document) in &vector.remote {
            let (publisher, path) = self.place(url, number);
            publisher.publish(&path, document.clone());
        }
        for (_, value) in vector.request.headers.iter_mut().filter(|(name, _)| name == "PAYPAL-CERT-URL") {
            let (publisher, path) = self.place(value, number);
            *value = publisher.url_of(&path);
        }
    }

    /// Where a URL is served. Certificates get a name for each vector, so that none is taken for another's.
    fn place(&self, url: &str, number: usize) -> (&Receiver, String) {
        let path = |rest: &str| format!("/{}", rest.split_once('/').unwrap().1);
        match (url.strip_prefix("https://api.sandbox.paypal.com/"), url.strip_prefix("https://cacerts.example.com/")) {
            (Some(path), _) => (&self.paypal, format!("/{path}-{number}")),
            (_, Some(path)) => (&self.paypal, format!("/{path}")),
            _ => (&self.stranger, path(url.strip_prefix("https://").unwrap())),
        }
    }
}

#[test]
fn every_scheme_has_a_request_that_is_taken() {
    let vectors = vector::all();
    for (scheme, _) in SCHEMES {
        let is_taken = |vector: &Vector| vector.scheme == scheme && vector.cause.is_none();
        assert!(vectors.iter().any(is_taken), "{scheme}");
    }
}

async fn every_provider_has_a_source_for_one_post(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let providers = items(&relay.anybody().get("/v1/providers").await.json(200));
    assert!(providers.len() >= 36, "only {}", providers.len());
    for provider in providers {
        let mut fields = json!({ "name": "in", "provider": provider["name"] });
        if provider["default_verification"].is_null() {
            tenant.post("/sources", fields.clone()).await.problem_about(422, &["/verification"]);
            fields["verification"] = json!({ "kind": "none" });
        }
        let made = tenant.post("/sources", fields).await.json(201);
        assert_eq!(made["provider"], provider["name"]);
    }
}
