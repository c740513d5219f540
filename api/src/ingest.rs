//! `POST /in/{tenant}/{source_key}`: a provider's request becomes a committed event, or a fast and honest error.

use std::time::{Duration, Instant};

use bytes::Bytes;
use entity::dedupe;
use entity::ingest::{NewDelivery, NewEvent};
use entity::source::Configured;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderValue, Method, Uri};
use poem::{Request, Response};
use relay::id::{DeliveryId, EventId, Id};
use relay::preset::{self, Extracted, Inbound};

mod credentials;
mod flusher;
mod refusal;
mod stored;

pub use flusher::Flusher;
use refusal::Refusal;

use crate::app::App;
use crate::last_used::LastUsed;
use crate::request::Asked;

/// The largest body that is accepted.
const BODY_CAP: usize = 1 << 20;
/// A body must be there so soon.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A body that took longer is stored only if its sender is still let in: what was revoked holds within 1 s.
const STALE: Duration = Duration::from_millis(500);
/// A body that is too large is read on so far, so that its sender hears the answer instead of a broken pipe.
const READ_ON: usize = 8 << 20;
/// Everything after the body: providers give up soon, and 503 within 2 s is promised.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);

/// The front door.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub app: App,
    /// When credentials were last used.
    pub uses: LastUsed,
    pub flusher: Flusher,
}

/// A request that has a source.
struct Addressed {
    source: std::sync::Arc<Configured>,
    /// What follows the source key.
    rest: String,
}

impl Ingest {
    /// Whether a path is the front door's.
    #[must_use]
    pub fn serves(path: &str) -> bool {
        path.starts_with("/in/")
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Response {
        let id = Id::<Asked>::at(self.app.clock.now());
        let mut response = match self.accept(request).await {
            Ok(event) => {
                count("accepted", 1);
                accepted(event)
            }
            Err(refusal) => {
                count(refusal.name(), 1);
                tracing::debug!(request_id = %id, cause = refusal.name(), "refused a webhook");
                refusal.response(id)
            }
        };
        if let Ok(value) = HeaderValue::try_from(id.to_string()) {
            response.headers_mut().insert("request-id", value);
        }
        response
    }

    async fn accept(&self, mut request: Request) -> Result<EventId, Refusal> {
        let mut addressed = in_time(self.admit(&request)).await?;
        let began = Instant::now();
        let body = read(&mut request).await?;
        if began.elapsed() > STALE {
            addressed = in_time(self.admit(&request)).await?;
        }
        in_time(self.store(&request, &addressed, body)).await
    }

    /// The source, if it takes such a request from whoever sends it.
    async fn admit(&self, request: &Request) -> Result<Addressed, Refusal> {
        let addressed = self.source_of(request.uri()).await?;
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        credentials::check(&self.app, &self.uses, &addressed.source, request.headers()).await?;
        Ok(addressed)
    }

    /// The source whose key the path holds. Whatever is wrong with the path, the answer is the same.
    async fn source_of(&self, uri: &Uri) -> Result<Addressed, Refusal> {
        let (slug, key, rest) = parts(uri.path()).ok_or(Refusal::Unknown)?;
        let hash = relay::secret::fingerprint(key.as_bytes());
        let configuration = &self.app.configuration;
        let key = configuration.source_key(hash).await.map_err(Refusal::away)?.ok_or(Refusal::Unknown)?;
        if key.expires_at.is_some_and(|end| end <= self.app.clock.now()) {
            return Err(Refusal::Unknown);
        }
        let found = configuration.source(key.tenant_id.into(), key.source_id.into()).await.map_err(Refusal::away)?;
        let source = found.filter(|found| found.slug == slug && found.source.enabled).ok_or(Refusal::Unknown)?;
        Ok(Addressed { source, rest: rest.to_owned() })
    }

    async fn store(&self, request: &Request, addressed: &Addressed, body: Bytes) -> Result<EventId, Refusal> {
        let source = &addressed.source.source;
        let headers = stored::pairs(request.headers());
        let query = request.uri().query();
        let inbound = Inbound { headers: &headers, query, body: &body };
        let said = preset::find(&source.provider).map(|preset| preset.extract(&inbound)).unwrap_or_default();
        let now = self.app.clock.now();
        let id = EventId::at(now);
        let event = NewEvent {
            tenant_id: source.tenant(),
            id,
            source_id: Some(source.id()),
            received_at: now,
            method: request.method().to_string(),
            path: addressed.rest.clone(),
            query: query.map(str::to_owned),
            remote_address: request.remote_addr().as_socket_addr().map(|address| address.ip().to_string()),
            content_type: stored::content_type(request.headers()),
            test: false,
            hops: hops(request.headers()),
            headers: stored::text(&headers),
            dedupe: said.external_id.as_deref().map(|external| dedupe::Key::of(external, now)),
            deliveries: self.matching(&addressed.source, &said, id).await?,
            event_type: said.event_type,
            derived_type: said.derived_type,
            external_id: said.external_id,
            request_id: said.request_id,
            occurred_at: said.occurred_at,
            body,
        };
        self.flusher.store(event).await
    }

    /// One delivery for each subscription that wants such an event.
    async fn matching(
        &self,
        source: &Configured,
        said: &Extracted,
        event: EventId,
    ) -> Result<Vec<NewDelivery>, Refusal> {
        let rules = self.app.configuration.subscriptions(source.source.tenant()).await.map_err(Refusal::away)?;
        let (event_type, derived) = (said.event_type.as_deref(), said.derived_type.as_deref());
        let matching = rules.iter().filter(|rule| rule.matches(Some(source.source.id()), event_type, derived));
        Ok(matching
            .map(|rule| NewDelivery {
                id: DeliveryId::at(event.millis()),
                subscription_id: rule.id,
                destination_id: rule.destination_id,
            })
            .collect())
    }
}

/// Begins all counters at nought, so that a scraper sees them before the first webhook.
pub(crate) fn begin_counting() {
    metrics::describe_counter!("hookyard_webhooks_total", "Requests of providers, by what they came to");
    count("accepted", 0);
    Refusal::ALL.into_iter().for_each(|refusal| count(refusal.name(), 0));
}

fn count(outcome: &'static str, more: u64) {
    metrics::counter!("hookyard_webhooks_total", "outcome" => outcome).increment(more);
}

fn accepted(event: EventId) -> Response {
    Response::builder()
        .status(poem::http::StatusCode::ACCEPTED)
        .content_type("application/json")
        .body(format!(r#"{{"event_id":"{event}"}}"#))
}

async fn in_time<T>(step: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    tokio::time::timeout(ANSWER_WITHIN, step).await.unwrap_or(Err(Refusal::Away))
}

/// Tenant, source key and what follows, of `/in/{tenant}/{source_key}…`.
fn parts(path: &str) -> Option<(&str, &str, &str)> {
    let (slug, rest) = path.strip_prefix("/in/")?.split_once('/')?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (key, rest) = rest.split_at(end);
    (!slug.is_empty() && !key.is_empty()).then_some((slug, key, rest))
}

/// The whole body, within its cap and its time, however it is framed.
async fn read(request: &mut Request) -> Result<Bytes, Refusal> {
    let body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
    tokio::time::timeout(BODY_WITHIN, collect(body)).await.map_err(|_| Refusal::Slow)?
}

/// What is beyond the cap is read on for a while and thrown away.
async fn collect(mut body: BoxBody<Bytes, std::io::Error>) -> Result<Bytes, Refusal> {
    let (mut kept, mut size) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        size += data.len();
        if size > READ_ON {
            break;
        }
        if size <= BODY_CAP {
            kept.push(data);
        } else {
            kept.clear();
        }
    }
    match kept.as_slice() {
        _ if size > BODY_CAP => Err(Refusal::TooLarge),
        [whole] => Ok(whole.clone()),
        parts => Ok(parts.concat().into()),
    }
}

/// How many relays the event went through, by its own account; what is no number is none.
fn hops(headers: &HeaderMap) -> i16 {
    headers.get("hookyard-hops").and_then(|value| value.to_str().ok()?.parse().ok()).map_or(0, |hops: i16| hops.max(0))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_path_names_tenant_and_key_and_keeps_what_follows() {
        for (path, expected) in [
            ("/in/acme/k7", Some(("acme", "k7", ""))),
            ("/in/acme/k7/", Some(("acme", "k7", "/"))),
            ("/in/acme/k7/a/b", Some(("acme", "k7", "/a/b"))),
            ("/in/acme/", None),
            ("/in/acme", None),
            ("/in//k7", None),
            ("/inn/acme/k7", None),
        ] {
            assert_eq!(parts(path), expected, "{path}");
        }
    }
}
