//! A tenant of the demo, set up through the admin API as its developers would.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relay::preset::{self, Preset};
use relay::signature::SigningSecret;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::client::{Admin, text};
use super::receiver::Receiver;
use crate::serve::Error;

/// A tenant with one source.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) slug: &'static str,
    /// Its place in the admin API.
    pub(super) path: String,
    pub(super) provider: &'static Preset,
    pub(super) source_id: String,
    /// Where the provider posts.
    pub(super) url: String,
    pub(super) subscriptions: Vec<Subscription>,
}

/// Some of a tenant's events, on their way to a receiver.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) pattern: &'static str,
    pub(super) receiver: Receiver,
    /// What requests to the receiver are signed with.
    pub(super) secret: SigningSecret,
}

impl Tenant {
    /// A tenant with a source for this provider. `verification`: null for the provider's usual one.
    pub(super) async fn create(
        admin: &Admin,
        slug: &'static str,
        provider: &str,
        verification: Value,
    ) -> Result<Self, Error> {
        let made = admin.create("/v1/tenants", &json!({ "name": slug, "slug": slug })).await?;
        let path = format!("/v1/tenants/{}", text(&made, "id")?);
        let provider = preset::find(provider).ok_or_else(|| format!("there is no provider {provider}"))?;
        let mut source = json!({ "name": provider.title, "provider": provider.name });
        if !verification.is_null() {
            source["verification"] = verification;
        }
        let source = admin.create(&format!("{path}/sources"), &source).await?;
        let (source_id, url) = (text(&source, "id")?, text(&source, "url")?);
        Ok(Self { slug, path, provider, source_id, url, subscriptions: Vec::new() })
    }

    /// A password for the provider, made by Hookyard and shown this once.
    pub(super) async fn password(&self, admin: &Admin, username: &str) -> Result<SecretString, Error> {
        let path = format!("{}/sources/{}/credentials", self.path, self.source_id);
        let made = admin.create(&path, &json!({ "kind": "basic", "username": username })).await?;
        Ok(text(&made, "password")?.into())
    }

    /// Has events of these types delivered to a receiver. `retry`: null for the usual schedule.
    pub(super) async fn subscribe(
        &mut self,
        admin: &Admin,
        pattern: &'static str,
        receiver: &Receiver,
        retry: Value,
    ) -> Result<(), Error> {
        let mut destination = json!({ "name": receiver.name(), "url": receiver.url() });
        if !retry.is_null() {
            destination["retry"] = retry;
        }
        let destination = admin.create(&format!("{}/destinations", self.path), &destination).await?;
        let secret = text(&destination, "signing_secret")?.parse()?;
        let subscription = json!({ "destination_id": text(&destination, "id")?, "event_types": [pattern] });
        let subscription = admin.create(&format!("{}/subscriptions", self.path), &subscription).await?;
        let id = text(&subscription, "id")?;
        self.subscriptions.push(Subscription { id, pattern, receiver: receiver.clone(), secret });
        Ok(())
    }
}

impl Subscription {
    /// Whether it should get events of this type: the demo's own reading of the two patterns that it uses.
    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.pattern.strip_suffix('*').map_or(self.pattern == event_type, |prefix| event_type.starts_with(prefix))
    }
}

/// All things of a kind that these tenants have, each with its tenant: one page holds them.
pub(super) async fn items<'a>(
    admin: &Admin,
    tenants: &[&'a Tenant],
    kind: &str,
) -> Result<Vec<(&'a Tenant, Value)>, Error> {
    let mut found = Vec::new();
    for tenant in tenants {
        let page = admin.get(&format!("{}/{kind}?limit=250", tenant.path)).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        found.extend(items.into_iter().map(|item| (*tenant, item)));
    }
    Ok(found)
}

/// What stands in `Authorization` for a user and a password (RFC 7617).
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}
