//! A tenant, set up through the admin API.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, items, text};
use crate::client::Client;
use crate::process::Process;
use crate::receiver::Receiver;
use crate::source::Source;
use crate::tail::Tail;
use crate::wait::eventually;

/// Seen by whoever `client` is: the operator, unless it was said otherwise.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub id: String,
    pub slug: String,
    pub client: Client,
}

#[derive(Debug, Clone)]
pub struct Destination {
    pub id: String,
    pub signing_secret: String,
    /// As it was when it was made.
    pub created: Value,
}

impl Destination {
    /// Below its tenant.
    pub fn path(&self) -> String {
        format!("/destinations/{}", self.id)
    }
}

impl Tenant {
    /// A new one, whose slug begins with a name and is like no other.
    pub async fn create(operator: &Client, name: &str) -> Self {
        let unique = Uuid::now_v7().simple().to_string();
        let slug = format!("{name}-{}", &unique[20..]);
        let made = operator.post("/v1/tenants", json!({ "name": name, "slug": slug })).await.json(201);
        Self { id: text(&made, "id"), slug, client: operator.clone() }
    }

    /// The same tenant, seen by another caller.
    #[must_use]
    pub fn seen_by(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    /// The same tenant, where another process serves it.
    #[must_use]
    pub fn at(&self, process: &Process) -> Self {
        self.seen_by(&self.client.at(process))
    }

    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/tenants/{}{rest}", self.id)
    }

    pub async fn get(&self, rest: &str) -> Answer {
        self.client.get(&self.path(rest)).await
    }

    pub async fn post(&self, rest: &str, body: Value) -> Answer {
        self.client.post(&self.path(rest), body).await
    }

    pub async fn patch(&self, rest: &str, body: Value) -> Answer {
        self.client.patch(&self.path(rest), body).await
    }

    pub async fn put(&self, rest: &str, body: Value) -> Answer {
        self.client.put(&self.path(rest), body).await
    }

    pub async fn delete(&self, rest: &str) -> Answer {
        self.client.delete(&self.path(rest)).await
    }

    /// An action that needs no words.
    pub async fn act(&self, rest: &str) -> Answer {
        self.client.act(&self.path(rest)).await
    }

    /// A new API key of this tenant, as its holder.
    pub async fn key(&self, scopes: Value) -> Client {
        let made = self.post("/api-keys", json!({ "name": "a key", "scopes": scopes })).await.json(201);
        self.client.with_key(&text(&made, "key"))
    }

    /// An Ondato source that anybody may post to.
    pub async fn source(&self) -> Source {
        self.source_of(json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" } })).await
    }

    /// An Ondato source that asks for this password, held by the provider that is given.
    pub async fn guarded_source(&self, username: &str, password: &str) -> (Source, String) {
        let source = self.source_of(json!({ "name": "in", "provider": "ondato" })).await;
        let credential = json!({ "kind": "basic", "username": username, "password": password });
        let made = self.post(&format!("/sources/{}/credentials", source.id), credential).await.json(201);
        (source.as_user(username, password), text(&made, "id"))
    }

    pub async fn source_of(&self, fields: Value) -> Source {
        let made = self.post("/sources", fields).await.json(201);
        let url = text(&made, "url");
        let path = url[url.find("/in/").unwrap_or_else(|| panic!("no /in/ in {url}"))..].to_owned();
        Source { id: text(&made, "id"), path, provider: self.client.without_key(), authorization: None }
    }

    pub async fn destination(&self, receiver: &Receiver) -> Destination {
        self.destination_of(json!({ "name": "out", "url": receiver.url() })).await
    }

    /// A destination that is tried at these times (see `schedule_s` in the API), a second apart mostly.
    pub async fn destination_tried(&self, receiver: &Receiver, schedule_s: &[u64]) -> Destination {
        let retry = json!({ "schedule_s": schedule_s });
        self.destination_of(json!({ "name": "out", "url": receiver.url(), "retry": retry })).await
    }

    /// A destination at a receiver, with what else it is told.
    pub async fn destination_with(&self, receiver: &Receiver, told: Value) -> Destination {
        let mut fields = json!({ "name": "out", "url": receiver.url() });
        fields.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        self.destination_of(fields).await
    }

    pub async fn destination_of(&self, fields: Value) -> Destination {
        let created = self.post("/destinations", fields).await.json(201);
        Destination { id: text(&created, "id"), signing_secret: text(&created, "signing_secret"), created }
    }

    /// Everything of these types goes to the destination. Gives the subscription's id.
    pub async fn subscribe(&self, destination: &Destination, event_types: &[&str]) -> String {
        let fields = json!({ "destination_id": destination.id, "event_types": event_types });
        text(&self.post("/subscriptions", fields).await.json(201), "id")
    }

    /// Watches what happens from now on; `query` begins with `?`, or is empty.
    pub async fn tail(&self, query: &str) -> Tail {
        self.tail_from(query, "").await
    }

    /// The same, from where another tail broke off.
    pub async fn tail_from(&self, query: &str, last_event_id: &str) -> Tail {
        Tail::open(&self.client, &self.path(&format!("/tail{query}")), last_event_id).await
    }

    pub async fn event(&self, id: &str) -> Value {
        self.get(&format!("/events/{id}")).await.json(200)
    }

    pub async fn deliveries(&self, event_id: &str) -> Vec<Value> {
        items(&self.get(&format!("/deliveries?event_id={event_id}")).await.json(200))
    }

    pub async fn delivery(&self, id: &str) -> Value {
        self.get(&format!("/deliveries/{id}")).await.json(200)
    }

    /// The only delivery of an event, whole.
    pub async fn delivery_of(&self, event_id: &str) -> Value {
        let deliveries = self.deliveries(event_id).await;
        assert_eq!(deliveries.len(), 1, "deliveries of {event_id}: {deliveries:#?}");
        self.delivery(&text(&deliveries[0], "id")).await
    }

    /// Waits until a delivery is what `is` says.
    pub async fn delivery_when(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        eventually(&format!("delivery {id} to be {what}"), async || {
            last = self.delivery(id).await;
            is(&last).then(|| last.clone())
        })
        .await
    }

    /// Waits until a delivery is in this state.
    pub async fn delivery_in(&self, id: &str, state: &str) -> Value {
        self.delivery_when(id, state, |delivery| delivery["state"] == state).await
    }

    /// Waits until a delivery waits for its next attempt, having had so many.
    pub async fn delivery_waiting(&self, id: &str, attempts: u64) -> Value {
        let what = format!("waiting after {attempts} attempts");
        self.delivery_when(id, &what, |it| {
            it["state"] == "pending" && it["attempts"] == attempts && it["next_attempt_at"].is_string()
        })
        .await
    }

    /// Waits until all deliveries of an event have ended.
    pub async fn settled(&self, event_id: &str) -> Vec<Value> {
        eventually(&format!("the end of all deliveries of {event_id}"), async || {
            let deliveries = self.deliveries(event_id).await;
            let waiting = deliveries.iter().any(|it| it["state"] == "pending" || it["state"] == "held");
            (!waiting).then_some(deliveries)
        })
        .await
    }
}
