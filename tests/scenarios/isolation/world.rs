//! A tenant that has one of everything.

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Client, Receiver, Relay, eventually, json};

use super::ids::Ids;

#[derive(Debug)]
pub(super) struct World {
    pub(super) ids: Ids,
    /// Holds every scope.
    pub(super) key: Client,
}

impl World {
    /// Its delivery was rejected once by the receiver, and waits for a day.
    pub(super) async fn create(relay: &Relay, receiver: &Receiver) -> Self {
        let tenant = relay.tenant("acme").await;
        let (source, credential) = tenant.guarded_source("ondato", "correct horse battery").await;
        let destination = tenant.destination_tried(receiver, &[0, 86_400, 86_400]).await;
        let subscription = tenant.subscribe(&destination, &["*"]).await;
        let scopes = json!(["read", "write", "payloads", "replay", "secrets", "keys", "audit"]);
        let key = tenant.post("/api-keys", json!({ "name": "all scopes", "scopes": scopes })).await.json(201);
        let event = source.send(APPROVED).await;
        let delivery = text(&tenant.delivery_of(&event).await, "id");
        tenant.delivery_waiting(&delivery, 1).await;
        eventually("the failure to be noted", async || {
            let shown = tenant.get(&destination.path()).await.json(200);
            (!shown["failing_since"].is_null()).then_some(())
        })
        .await;
        // It repeats the event, which fails once more, and is not finished before that delivery is.
        let replay = tenant.post("/replays", json!({ "filter": { "source_id": source.id } })).await.json(202);
        let replay = text(&replay, "id");
        eventually("the replay to wait for its delivery", async || {
            let made = tenant.get(&format!("/deliveries?replay_id={replay}")).await.json(200);
            let is_sent = tenant.get(&format!("/replays/{replay}")).await.json(200)["sent"]["deliveries"] == 1;
            (is_sent && made["items"][0]["attempts"] == 1).then_some(())
        })
        .await;
        let ids = Ids {
            slug: tenant.slug,
            tenant: tenant.id,
            api_key: text(&key, "id"),
            source: source.id,
            credential,
            destination: destination.id,
            subscription,
            event,
            delivery,
            replay,
        };
        Self { ids, key: relay.anybody().with_key(&text(&key, "key")) }
    }
}
