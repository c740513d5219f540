//! `/in/{tenant}/{source_key}`: a provider's request becomes a committed event, or a fast and honest error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use entity::credential;
use entity::ingest::NewEvent;
use entity::source::Configured;
use poem::http::{HeaderMap, HeaderValue, Method, Uri};
use poem::{Request, Response};
use relay::handshake::Reply;
use relay::id::{CredentialId, Id};
use relay::inbound::Inbound;
use relay::verification::{Failure, Keys, Presented, Remote};
use tracing::Instrument as _;

mod address;
mod answer;
mod arrival;
mod body;
mod credentials;
pub(crate) mod event;
mod flusher;
mod notices;
mod numbers;
mod proof;
mod quota;
mod refusal;
mod rejections;
mod room;
mod sameness;
mod stored;
pub mod target;

pub use body::CAP as BODY_CAP;
pub use flusher::Flusher;
pub use notices::Notices;
pub use numbers::Numbers;
pub use quota::Quotas;
pub use rejections::Rejections;
pub use room::Room;

use arrival::{Arrival, CameTo, Stored};
use credentials::Unproven;
use proof::Proof;
use refusal::Refusal;

use crate::app::App;
use crate::last_used::LastUsed;
use crate::request::Asked;

/// After so long the source is looked at again before anything is stored: what was revoked holds within 1 s.
const STALE: Duration = Duration::from_millis(500);
/// Everything but the body: providers give up soon, and 503 within 2 s is promised.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);

/// The front door.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub app: App,
    /// When credentials were last used.
    pub uses: LastUsed,
    pub flusher: Flusher,
    pub quotas: Quotas,
    /// For the bodies of all requests together.
    pub room: Room,
    /// The keys that publishers sign with.
    pub remote: Remote,
    pub rejections: Rejections,
    pub notices: Notices,
    pub numbers: Numbers,
}

/// A request that has a source.
struct Addressed {
    source: Arc<Configured>,
    /// What follows the source key.
    rest: String,
    /// When it was looked for.
    at: Instant,
}

/// What a request that was let in came to.
enum Taken {
    Event(Stored),
    /// A provider tried the URL.
    Handshake(Reply),
    /// Somebody asked whether there is anything here.
    Nothing,
}

impl Ingest {
    /// Whether a path is the front door's.
    #[must_use]
    pub fn serves(path: &str) -> bool {
        path.starts_with("/in/")
    }

    /// Answers one request.
    pub async fn answer(&self, mut request: Request) -> Response {
        let arrival = Arrival::at(self.app.clock.now());
        // At this level, so that no filter takes the id from the lines that it lets through.
        let span = tracing::error_span!("request", request_id = %arrival.id);
        let answered = self.answer_to(&mut request, arrival.id).instrument(span);
        let (mut response, came_to, source) = answered.await;
        self.numbers.count(came_to, arrival.began.elapsed());
        arrival.tell(&self.app.tracer, &request, source.as_deref(), (came_to, &response));
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::try_from(arrival.id.to_string()) {
            headers.insert("request-id", value);
        }
        answer::harmless(headers);
        response
    }

    /// The answer, what the request came to, and its source, if it has one.
    async fn answer_to(&self, request: &mut Request, id: Id<Asked>) -> (Response, CameTo, Option<Arc<Configured>>) {
        let mut budget = Budget::default();
        match budget.spend(self.addressed(request.uri())).await {
            Ok(addressed) => {
                let source = Arc::clone(&addressed.source);
                let (response, came_to) = self.answer_at(request, addressed, (id, budget)).await;
                (response, came_to, Some(source))
            }
            Err(refusal) => (refused(request, refusal, id).await, CameTo::Refused(refusal), None),
        }
    }

    async fn answer_at(
        &self,
        request: &mut Request,
        addressed: Addressed,
        (id, budget): (Id<Asked>, Budget),
    ) -> (Response, CameTo) {
        let source = Arc::clone(&addressed.source);
        match self.take(request, addressed, (id, budget)).await {
            Ok(Taken::Event(stored)) => {
                if address::is_strange(&source, request) {
                    self.rejections.report(&source, request, self.app.clock.now());
                }
                (answer::accepted(source.settings.response.as_ref(), stored.known_as), CameTo::Stored(stored))
            }
            Ok(Taken::Handshake(reply)) => (answer::handshake(reply), CameTo::Handshake),
            Ok(Taken::Nothing) => (Response::default(), CameTo::Nothing),
            Err(refusal) => {
                let now = self.app.clock.now();
                self.rejections.note(&source, request, refusal, now);
                if refusal.concerns_the_tenant() {
                    self.notices.refused(&source, refusal.cause(), now);
                }
                (refused(request, refusal, id).await, CameTo::Refused(refusal))
            }
        }
    }

    /// From the first look at the address to the commit. What costs little and refuses much comes first.
    async fn take(
        &self,
        request: &mut Request,
        addressed: Addressed,
        (id, mut budget): (Id<Asked>, Budget),
    ) -> Result<Taken, Refusal> {
        let source = &addressed.source;
        address::check(source, request)?;
        if request.method() == Method::HEAD {
            return Ok(Taken::Nothing);
        }
        self.quotas.take(source, (self.app.clock.boot(), self.app.clock.now()), &self.notices)?;
        let keys = self.keys(source, id)?;
        if let Some(reply) = proof::unsigned_handshake(source, &inbound(request, &addressed.rest, &[]), &keys) {
            return reply.map(Taken::Handshake);
        }
        answer::check_method(request.method())?;
        let proof = budget.spend(proof::by_headers(&self.app, source, request.headers())).await?;
        let (body, _places) = body::read(request, source, &self.room).await?;
        let inbound = inbound(request, &addressed.rest, &body);
        let by = match proof {
            Proof::Given(by) => by,
            Proof::Asked(unproven) => {
                let url = format!("{}{}", self.app.public_url, request.uri().path());
                let presented = Presented { inbound, url: &url, now: self.app.clock.now() };
                let proved = proof::by_signature(source, &presented, &keys, &self.remote, unproven);
                // Only publishers of keys can take so long.
                budget.or(Refusal::KeysAway, proved).await?
            }
        };
        proof::note(&self.app, &self.uses, source, by);
        if let Some(reply) = proof::signed_handshake(source, &inbound, &keys, by) {
            return reply.map(Taken::Handshake);
        }
        let source = budget.spend(self.still(request, &addressed, by)).await?;
        budget.spend(self.store(request, &source, &inbound, body.clone())).await
    }

    /// The source as it is now, if that is not what was looked at: what was revoked while the body came, or while keys
    /// were fetched, lets nobody in.
    async fn still(
        &self,
        request: &Request,
        addressed: &Addressed,
        by: Option<CredentialId>,
    ) -> Result<Arc<Configured>, Refusal> {
        if addressed.at.elapsed() <= STALE {
            return Ok(Arc::clone(&addressed.source));
        }
        let source = self.addressed(request.uri()).await?.source;
        address::check(&source, request)?;
        let now = self.app.clock.now();
        let is_live = |id| source.credentials.iter().any(|row| row.id() == id && row.is_live(now));
        if source.verification != addressed.source.verification || by.is_some_and(|id| !is_live(id)) {
            return Err(Refusal::Unauthorized(Unproven::signature(Failure::NoCredential)));
        }
        Ok(source)
    }

    /// The source whose key the path holds. Whatever is wrong with the path, the answer is the same.
    async fn addressed(&self, uri: &Uri) -> Result<Addressed, Refusal> {
        let at = Instant::now();
        let (slug, key, rest) = target::parts(uri.path()).ok_or(Refusal::Unknown)?;
        let hash = relay::secret::fingerprint(key.as_bytes());
        let configuration = &self.app.configuration;
        let key = configuration.source_key(hash).await.map_err(Refusal::away)?.ok_or(Refusal::Unknown)?;
        if key.expires_at.is_some_and(|end| end <= self.app.clock.now()) {
            return Err(Refusal::Unknown);
        }
        let found = configuration.source(key.tenant_id.into(), key.source_id.into()).await.map_err(Refusal::away)?;
        let source = found.filter(|found| found.slug == slug && found.source.enabled).ok_or(Refusal::Unknown)?;
        Ok(Addressed { source, rest: rest.to_owned(), at })
    }

    /// The credentials with which signatures are checked.
    fn keys(&self, source: &Configured, id: Id<Asked>) -> Result<Keys, Refusal> {
        credential::keys(&source.credentials, &self.app.keyring, self.app.clock.now()).map_err(|error| {
            let (error, source) = (&error as &dyn std::error::Error, source.source.id());
            tracing::error!(request_id = %id, error, source.id = %source, "a credential was not opened");
            Refusal::Fault
        })
    }

    async fn store(
        &self,
        request: &Request,
        source: &Configured,
        inbound: &Inbound<'_>,
        body: Bytes,
    ) -> Result<Taken, Refusal> {
        let rules = self.app.configuration.subscriptions(source.source.tenant()).await.map_err(Refusal::away)?;
        let remote_address = address::of(request).map(|address| address.to_string());
        let event = event::of(source, &rules, inbound, body, self.app.clock.now());
        let own = event.id;
        let key = self.app.payload_keys.sealing(event.tenant_id).await.map_err(Refusal::unsealed)?;
        let known_as = self.flusher.store(NewEvent { remote_address, ..event }.sealed(key.as_deref())).await?;
        Ok(Taken::Event(Stored { own, known_as }))
    }
}

async fn refused(request: &mut Request, refusal: Refusal, id: Id<Asked>) -> Response {
    match refusal {
        // Why it is one stands where it was found out, perhaps for many webhooks together.
        Refusal::Fault => tracing::error!("refused a webhook for a fault of ours"),
        _ => tracing::debug!(cause = refusal.cause(), "refused a webhook"),
    }
    body::drain(request).await;
    refusal.response(id)
}

/// What is left of [`ANSWER_WITHIN`]. Waiting for the body is the sender's time, and not counted.
struct Budget(Duration);

impl Default for Budget {
    fn default() -> Self {
        Self(ANSWER_WITHIN)
    }
}

impl Budget {
    async fn spend<T>(&mut self, step: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        self.or(Refusal::Away, step).await
    }

    /// What it comes to if it takes longer than is left.
    async fn or<T>(&mut self, late: Refusal, step: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        let began = Instant::now();
        let result = tokio::time::timeout(self.0, step).await.unwrap_or(Err(late));
        self.0 = self.0.saturating_sub(began.elapsed());
        result
    }
}

/// The request as the rules of the trade look at it.
fn inbound<'a>(request: &'a Request, rest: &'a str, body: &'a [u8]) -> Inbound<'a> {
    Inbound {
        method: request.method().as_str(),
        headers: request.headers(),
        path: rest,
        query: request.uri().query(),
        body,
    }
}

/// How many relays the event went through, by its own account; what is no number is none.
fn hops(headers: &HeaderMap) -> i16 {
    let said = headers.get("hookyard-hops").and_then(|value| value.to_str().ok());
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    said.filter(is_number).map_or(0, |text| text.parse().unwrap_or(i16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_hops_that_is_too_large_is_a_large_number() {
        for (said, number) in [("0", 0), ("3", 3), ("99999", i16::MAX), ("", 0), ("-1", 0), ("3, 3", 0), ("x", 0)] {
            let mut headers = HeaderMap::new();
            headers.insert("hookyard-hops", HeaderValue::from_str(said).unwrap());
            assert_eq!(hops(&headers), number, "{said}");
        }
    }
}
