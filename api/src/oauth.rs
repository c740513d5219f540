//! `POST /oauth/token` (RFC 6749, 4.4): where a provider that authenticates by OAuth2 fetches its access tokens.

use std::net::IpAddr;
use std::time::Duration;

use poem::http::{HeaderValue, Method, StatusCode};
use poem::{Request, Response};
use relay::id::{CredentialId, Id};
use relay::quota::{Quotas, Rate};
use relay::secret;
use secrecy::{ExposeSecret, SecretString};
use tracing::Instrument;

mod client;
pub mod form;
mod issuer;
mod refusal;
mod tokens;

use client::Clients;
pub use issuer::Issuer;
pub use refusal::Refusal;
pub use tokens::{Grant, Tokens};

use crate::app::App;
use crate::last_used::{LastUsed, Used};
use crate::request::Asked;

/// Where it is served; what follows the public URL in `token_url`.
pub const PATH: &str = "/oauth/token";

/// How long a token is good.
const LIFE_S: i64 = 3600;
/// What one client may ask for: a token before each of a thousand events a second.
const ISSUED: Rate = Rate { per_second: 1_000, burst: 4_000 };
/// What one address may get wrong, here and in the admin API: each costs a look at the database.
pub(crate) const GUESSES: Rate = Rate { per_second: 5, burst: 100 };
/// The request must be there so soon.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Everything after the body: senders give up soon, and 503 within 2 s is promised.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);

/// The token server.
#[derive(Debug)]
pub struct TokenServer {
    app: App,
    /// When credentials were last used.
    uses: LastUsed,
    clients: Clients,
    /// By client.
    issued: Quotas<CredentialId>,
    /// Wrong secrets and unknown clients, by address.
    guesses: Quotas<Option<IpAddr>>,
    issuer: Issuer,
}

impl TokenServer {
    #[must_use]
    pub fn new(app: &App, uses: &LastUsed, issuer: Issuer) -> Self {
        Self {
            app: app.clone(),
            uses: uses.clone(),
            clients: Clients::default(),
            issued: Quotas::default(),
            guesses: Quotas::default(),
            issuer,
        }
    }

    /// Whether a path is the token server's.
    #[must_use]
    pub fn serves(path: &str) -> bool {
        path == PATH
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Response {
        let id = Id::<Asked>::at(self.app.clock.now());
        let span = tracing::error_span!("request", request_id = %id);
        self.answer_as(request, id).instrument(span).await
    }

    async fn answer_as(&self, request: Request, id: Id<Asked>) -> Response {
        let mut response = match self.issue(request).await {
            Ok(token) => {
                count("issued", 1);
                issued(&token)
            }
            Err(refusal) => {
                count(refusal.error(), 1);
                tracing::debug!(cause = refusal.description(), "issued no token");
                refusal.response()
            }
        };
        let headers = response.headers_mut();
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        headers.insert("pragma", HeaderValue::from_static("no-cache"));
        if let Ok(value) = HeaderValue::try_from(id.to_string()) {
            headers.insert("request-id", value);
        }
        response
    }

    async fn issue(&self, mut request: Request) -> Result<SecretString, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        let asked = tokio::time::timeout(BODY_WITHIN, form::read(&mut request)).await.map_err(|_| Refusal::Slow)??;
        if asked.is_empty() {
            return Err(Refusal::NoClient);
        }
        let address = request.remote_addr().as_socket_addr().map(|address| address.ip().to_canonical());
        let issued = tokio::time::timeout(ANSWER_WITHIN, self.grant(&asked, address));
        issued.await.map_err(|_| Refusal::Away)?
    }

    /// A new token for whoever proves to be a client. Earlier ones stay good: senders use several at once.
    async fn grant(&self, asked: &form::Presented, address: Option<IpAddr>) -> Result<SecretString, Refusal> {
        let (now, boot) = (self.app.clock.now(), self.app.clock.boot());
        self.guesses.ask(&address, GUESSES, boot).map_err(|_| Refusal::Quota)?;
        let client = self.clients.authenticate(&self.app, asked).await.inspect_err(|refusal| {
            if *refusal == Refusal::Client {
                // Beyond the rate there is nothing more to count.
                let _ = self.guesses.take(address, GUESSES, boot);
            }
        })?;
        let (tenant, source, credential) = client.owner();
        self.issued.take(credential, ISSUED, boot).map_err(|_| Refusal::Quota)?;
        self.uses.note(Used::Credential(tenant, source, credential), client.last_used_at, now);
        let token = secret::access_token();
        let hash = secret::fingerprint(token.expose_secret().as_bytes());
        let grant = Grant { tenant, source, credential, expires_at: now + 1000 * LIFE_S };
        self.issuer.store(hash, grant).await?;
        self.app.tokens.keep(hash, grant);
        Ok(token)
    }
}

/// Begins all counters at nought, so that a scraper sees them before the first token.
pub(crate) fn begin_counting() {
    metrics::describe_counter!("hookyard_tokens_total", "Requests for access tokens, by what they came to");
    count("issued", 0);
    Refusal::ALL.into_iter().for_each(|refusal| count(refusal.error(), 0));
}

fn count(outcome: &'static str, more: u64) {
    metrics::counter!("hookyard_tokens_total", "outcome" => outcome).increment(more);
}

/// RFC 6749, 5.1. No `scope`: whatever was asked for, a token opens its source and nothing else.
fn issued(token: &SecretString) -> Response {
    let token = token.expose_secret();
    Response::builder()
        .status(StatusCode::OK)
        .content_type("application/json")
        .body(format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{LIFE_S}}}"#))
}
