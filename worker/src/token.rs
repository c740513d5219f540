//! Access tokens for destinations that want them (RFC 6749, client credentials): fetched by one attempt while the others
//! wait for it, kept until shortly before they end, and not asked for again at once where there was none.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use entity::destination::{ClientAuth, OAuth2Client};
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use moka::sync::Cache;
use relay::clock::Clock;
use relay::egress::{Egress, Outgoing, SendError};
use relay::header;
use relay::id::{DestinationId, TenantId};
use relay::secret::fingerprint;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

mod answer;

use answer::Answer;

/// The tokens of this process's destinations.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    slots: Cache<Owner, Arc<Mutex<Slot>>>,
    clock: Clock,
}

/// Whose token it is. Nobody else ever gets it, whatever the endpoint and the client are.
pub(crate) type Owner = (TenantId, DestinationId);

/// A token and when it was fetched, so that one that was refused is told from its successor.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    generation: u64,
}

/// Why there is no token. Nothing was sent to the destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoToken {
    /// The endpoint gave none; says why.
    #[error("the token endpoint {0}")]
    Denied(String),
    /// Our guard does not let anything go to the endpoint; says why.
    #[error("the token endpoint is not reached: {0}")]
    Refused(String),
}

/// There is no token, for whatever reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    None(#[from] NoToken),
    /// Our own fault, or the fence.
    #[error(transparent)]
    Ours(SendError),
}

/// How tokens are asked for.
pub(crate) struct Asking<'a> {
    pub(crate) egress: &'a Egress,
    pub(crate) client: &'a OAuth2Client,
    /// How long the attempt may still take.
    pub(crate) within: Duration,
    /// See [`Outgoing::may_write`].
    pub(crate) may_write: Arc<dyn Fn() -> bool + Send + Sync>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Of which client; a change of it makes everything here void.
    client: [u8; 32],
    /// With the time from which it is not used any more.
    token: Option<(Token, Duration)>,
    generation: u64,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    why: NoToken,
    /// Until when nobody asks again.
    until: Duration,
    wait: Duration,
}

/// Destinations whose tokens are kept; a forgotten one's is fetched again.
const KEPT: u64 = 100_000;
/// No token is kept for longer.
const LONGEST: Duration = Duration::from_hours(24);
/// How long an endpoint may take.
const FETCH_WITHIN: Duration = Duration::from_secs(10);
/// Before the attempt's own end, so that a failure is noted and not asked for again by the next attempt.
const TO_TELL: Duration = Duration::from_millis(250);
/// After a failure nobody asks for so long, doubled each time up to the longest: an endpoint that is down is not asked by
/// every delivery.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Tokens {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { slots: Cache::builder().max_capacity(KEPT).time_to_idle(LONGEST).build(), clock }
    }

    /// A token that is good for some time, by the attempt's own deadline.
    pub(crate) async fn get(&self, owner: Owner, asking: &Asking<'_>) -> Result<Token, TokenError> {
        let slot = self.slots.get_with(owner, Arc::default);
        let found = async { slot.lock().await.get(&self.clock, asking).await };
        let late = || Err(NoToken::Denied("gave none in time".to_owned()).into());
        tokio::time::timeout(asking.within, found).await.unwrap_or_else(|_| late())
    }

    /// The destination does not take this token. Whoever fetched another meanwhile keeps it.
    pub(crate) async fn spurn(&self, owner: Owner, token: &Token, within: Duration) {
        let Some(slot) = self.slots.get(&owner) else { return };
        // Whoever holds it is fetching another.
        let Ok(mut slot) = tokio::time::timeout(within, slot.lock()).await else { return };
        if slot.token.as_ref().is_some_and(|(kept, _)| kept.generation == token.generation) {
            slot.token = None;
        }
    }
}

impl Slot {
    async fn get(&mut self, clock: &Clock, asking: &Asking<'_>) -> Result<Token, TokenError> {
        let client = identity(asking.client);
        if self.client != client {
            *self = Self { client, generation: self.generation, ..Self::default() };
        }
        let now = clock.boot();
        match (&self.token, &self.failed) {
            (Some((token, until)), _) if now < *until => return Ok(token.clone()),
            (_, Some(failed)) if now < failed.until => return Err(failed.why.clone().into()),
            _ => {}
        }
        let fetched = fetch(asking).await;
        let now = clock.boot();
        match fetched {
            Ok(answer) => {
                self.generation += 1;
                let token = Token { value: answer.token, generation: self.generation };
                (self.token, self.failed) = (Some((token.clone(), now + answer.lifetime.min(LONGEST))), None);
                Ok(token)
            }
            Err(TokenError::None(why)) => {
                let wait = self.failed.as_ref().map_or(FIRST_WAIT, |failed| (failed.wait * 2).min(LONGEST_WAIT));
                self.failed = Some(Failed { why: why.clone(), until: now + wait, wait });
                Err(why.into())
            }
            Err(ours) => Err(ours),
        }
    }
}

/// Tells clients apart without keeping their secrets a second time.
fn identity(client: &OAuth2Client) -> [u8; 32] {
    let style = match client.client_auth {
        ClientAuth::Basic => "basic",
        ClientAuth::Post => "post",
    };
    let scope = client.scope.as_deref().unwrap_or_default();
    let parts = [&client.token_url, &client.client_id, client.client_secret.expose_secret(), scope, style];
    fingerprint(parts.join("\0").as_bytes())
}

async fn fetch(asking: &Asking<'_>) -> Result<Answer, TokenError> {
    let (headers, body) = request(asking.client);
    let outgoing = Outgoing {
        url: asking.client.token_url.clone(),
        headers,
        body,
        tls: None,
        timeout: FETCH_WITHIN.min(asking.within.saturating_sub(TO_TELL)),
        may_write: Arc::clone(&asking.may_write),
        begun: None,
    };
    let why = match asking.egress.send(outgoing).await {
        Ok(response) => return Answer::read(&response).map_err(|why| NoToken::Denied(why).into()),
        Err(SendError::Refused(refusal)) => return Err(NoToken::Refused(refusal.to_string()).into()),
        Err(SendError::TimedOut) => "gave no complete answer in time".to_owned(),
        Err(SendError::NotSent(why) | SendError::Unreachable(why)) => format!("is not reached: {why}"),
        Err(ours @ (SendError::Exhausted | SendError::NoWayOut(_) | SendError::Fenced)) => {
            return Err(TokenError::Ours(ours));
        }
    };
    Err(NoToken::Denied(why).into())
}

fn request(client: &OAuth2Client) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut form = form();
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = &client.scope {
        form.append_pair("scope", scope);
    }
    match client.client_auth {
        ClientAuth::Basic => {
            // Both are form-encoded before they are joined (RFC 6749, 2.3.1).
            let pair = format!("{}:{}", encoded(&client.client_id), encoded(client.client_secret.expose_secret()));
            headers.insert(AUTHORIZATION, header::secret_value(&format!("Basic {}", STANDARD.encode(pair))));
        }
        ClientAuth::Post => {
            form.append_pair("client_id", &client.client_id);
            form.append_pair("client_secret", client.client_secret.expose_secret());
        }
    }
    let body = form.finish();
    (headers, Bytes::from(body))
}

fn form() -> url::form_urlencoded::Serializer<'static, String> {
    url::form_urlencoded::Serializer::new(String::new())
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
