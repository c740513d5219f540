//! The live tail: what happens to a tenant, told while it happens, as server-sent events.

use futures_util::{StreamExt, stream};
use poem::http::{HeaderValue, header};
use poem::web::sse::{self, SSE};
use poem::{IntoResponse, Response};
use poem_openapi::param::{Header, Path};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object, OpenApi};
use relay::id::kind;

use super::Tag;
use super::deliveries::{Delivery, DeliveryState};
use super::events::Event;
use super::sources::Rejection;
use crate::auth::{Caller, Scope};
use crate::error::{Error, Place, Trouble};
use crate::input::Search;
use crate::wire::{Id, Kinds, Text, Time, time};

mod cursor;
mod follower;
mod places;
mod wanted;
mod watched;
mod window;

pub use places::Tails;

use cursor::Cursor;
use follower::Follower;

/// Which news, and for how long. What does not have what is asked for is left out.
#[derive(Debug, Clone, Object)]
pub struct TailSearch {
    /// Only these, separated by commas: `event`, `delivery`, `rejection`.
    pub kinds: Option<Text<Kinds>>,
    /// Events and rejections of this source, and deliveries of its events.
    pub source_id: Option<Id<kind::Source>>,
    /// Events of exactly this type, or this finer one, and their deliveries.
    #[oai(validator(max_length = 512))]
    pub event_type: Option<String>,
    /// Deliveries to this destination.
    pub destination_id: Option<Id<kind::Destination>>,
    /// Deliveries in this state; those that are tried again are `pending`.
    pub state: Option<DeliveryState>,
    /// The stream ends after so many seconds; an hour unless said otherwise.
    #[oai(validator(minimum(value = "1"), maximum(value = "3600")))]
    pub duration_s: Option<u16>,
}

/// A refused request, and whose it was.
#[derive(Debug, Clone, Object)]
pub struct SourceRejection {
    pub source_id: Id<kind::Source>,
    #[oai(flatten)]
    pub rejection: Rejection,
}

/// Something is not told.
#[derive(Debug, Clone, Object)]
pub struct Gap {
    /// Why, and of what.
    pub reason: String,
    /// From this time on; null if that goes on.
    #[oai(nullable)]
    pub after: Option<Time>,
    /// Until this time.
    #[oai(nullable)]
    pub before: Option<Time>,
}

/// One message of the stream. It is written as the lines of a server-sent event; what has no `data` is no news.
#[derive(Debug, Object)]
pub struct Message {
    /// `event`, `delivery`, `rejection` or `gap`.
    pub event: Option<String>,
    /// JSON: an `Event`, a `Delivery`, a `Rejection` with its `source_id`, or the `reason` of a gap with its `after` and `before`.
    pub data: Option<String>,
    /// Where the stream can be taken up again, for `Last-Event-ID`.
    pub id: Option<String>,
    /// Milliseconds after which to come again when the stream has ended.
    pub retry: Option<i64>,
}

impl Gap {
    fn of(why: &str, after: i64, before: i64) -> Self {
        let reason = format!("{why}, and what was made in this time is not told any more");
        Self { reason, after: Some(time(after)), before: Some(time(before)) }
    }
}

/// A stream of news.
pub struct News(SSE);

/// Clients come again so soon when the stream has ended.
const RETRY_MS: u64 = 2_000;
/// So often something is said when there is no news, so that nobody on the way takes the connection for dead.
const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(15);

impl News {
    fn of(follower: Follower) -> Self {
        let news = stream::unfold(follower, Follower::next).flat_map(stream::iter);
        let stream = stream::iter([sse::Event::retry(RETRY_MS)]).chain(news);
        Self(SSE::new(stream).keep_alive(HEARTBEAT))
    }
}

impl IntoResponse for News {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl ApiResponse for News {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "Server-sent events.",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: "text/event-stream", schema: Message::schema_ref() }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        Message::register(registry);
        Event::register(registry);
        Delivery::register(registry);
        SourceRejection::register(registry);
        Gap::register(registry);
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Tail")]
impl Api {
    /// Watch what happens, as it happens
    ///
    /// Server-sent events, about half a second after the fact: `event` (one was accepted), `delivery` (one has ended, or an
    /// attempt of it has failed), `rejection` (a source refused a request, or reported it; of a flood only some are told) and
    /// `gap` (something is not told, since nobody read for minutes, or since more than 1,000 deliveries are unfinished: then
    /// only the oldest and the newest 500 are watched). What becomes of a delivery later comes as another `delivery`.
    ///
    /// `id` can be sent as `Last-Event-ID` within five minutes: the stream goes on from there, and some of what was
    /// told in the last ten seconds may be told again. It ends after an hour at most, when the relay restarts, when the key
    /// is not good any more, and when nobody reads; clients come again by themselves. A tenant has at most 5 of them in each
    /// process.
    #[oai(path = "/tenants/:tenant_id/tail", method = "get", operation_id = "tail")]
    async fn tail(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<TailSearch>,
        #[oai(name = "last-event-id")] last_event_id: Header<Option<String>>,
    ) -> Result<News, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        // Of a str: the framework's types have another method of that name.
        let said = last_event_id.0.as_deref().filter(|text| !str::is_empty(text));
        let cursor = said.map(read_cursor).transpose()?;
        let place = access.app().tails.enter(access.id())?;
        Ok(News::of(Follower::open(access, &query.0, cursor, place).await?))
    }
}

fn read_cursor(text: &str) -> Result<Cursor, Error> {
    let strange = |_| Error::Invalid(vec![Trouble::at(Place::Header, "last-event-id", "is no `id` of this stream")]);
    text.parse().map_err(strange)
}
