//! The ids of everything that a tenant has.

use harness::Answer;
use relay::id::{
    ApiKeyId, CredentialId, DeliveryId, DestinationId, EventId, ReplayId, SourceId, SubscriptionId, TenantId,
};

#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(super) slug: String,
    pub(super) tenant: String,
    pub(super) api_key: String,
    pub(super) source: String,
    pub(super) credential: String,
    pub(super) destination: String,
    pub(super) subscription: String,
    pub(super) event: String,
    pub(super) delivery: String,
    pub(super) replay: String,
}

impl Ids {
    /// Well formed, and nobody's.
    pub(super) fn unknown() -> Self {
        let now = i64::try_from(uuid::Uuid::now_v7().as_u128() >> 80).expect("48 bits fit");
        Self {
            slug: "nobody-at-all".to_owned(),
            tenant: TenantId::at(now).to_string(),
            api_key: ApiKeyId::at(now).to_string(),
            source: SourceId::at(now).to_string(),
            credential: CredentialId::at(now).to_string(),
            destination: DestinationId::at(now).to_string(),
            subscription: SubscriptionId::at(now).to_string(),
            event: EventId::at(now).to_string(),
            delivery: DeliveryId::at(now).to_string(),
            replay: ReplayId::at(now).to_string(),
        }
    }

    /// What stands in a path behind a collection's name.
    pub(super) fn named_by(&self, collection: &str) -> &str {
        match collection {
            "tenants" => &self.tenant,
            "api-keys" => &self.api_key,
            "sources" => &self.source,
            "credentials" => &self.credential,
            "destinations" => &self.destination,
            "subscriptions" => &self.subscription,
            "events" => &self.event,
            "deliveries" => &self.delivery,
            "replays" => &self.replay,
            "providers" => "ondato",
            _ => panic!("isolation/ids.rs does not know what stands behind /{collection}/"),
        }
    }
}

/// All of an answer that may not differ, with what the caller asked for blotted out.
pub(super) fn without(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> =
        answer.headers.iter().map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
    // How much the caller may still ask is about the caller.
    headers.retain(|(name, _)| name != "date" && name != "ratelimit" && !name.ends_with("request-id"));
    headers.sort();
    (answer.status, headers, blotted(&answer.text()))
}

/// Ids, and the id of the request, are as long as each other; nothing else is touched.
fn blotted(text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<harness::Value>(text) else { return text.to_owned() };
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| name != "request_id");
    }
    let mut text = value.to_string();
    for prefix in ["ten_", "key_", "src_", "crd_", "dst_", "sub_", "evt_", "dlv_", "rpl_"] {
        let parts: Vec<_> = text.split(prefix).collect();
        let rest = parts[1..].iter().map(|part| part.get(26..).unwrap_or(part));
        text = std::iter::once(parts[0]).chain(rest).collect::<Vec<_>>().join(prefix);
    }
    text
}
