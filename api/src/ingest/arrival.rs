//! A request at the front door, from its first byte to what is counted and told of it.

use std::time::Instant;

use entity::source::Configured;
use poem::{Request, Response};
use relay::id::{EventId, Id};
use relay::trace::{self, HEADER, Kind, Span, Trace, TraceParent, Tracer};

use super::refusal::Refusal;
use crate::request::Asked;

/// Characters of a method that are told: no known one is longer, and a stranger's may be of any length.
const METHOD: usize = 32;

/// When a request came, and under which name it is known.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) id: Id<Asked>,
    /// Milliseconds since 1970.
    at: i64,
    pub(super) began: Instant,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameTo {
    Stored(Stored),
    Handshake,
    /// Somebody asked whether there is anything here.
    Nothing,
    Refused(Refusal),
}

/// An event that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// The id that the request would have.
    pub(super) own: EventId,
    /// The id that it has: that of the first, where it is a repeat.
    pub(super) known_as: EventId,
}

impl Stored {
    pub(super) fn is_repeat(self) -> bool {
        self.own != self.known_as
    }
}

impl CameTo {
    /// As metrics and spans have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stored(stored) if stored.is_repeat() => "duplicate",
            Self::Stored(_) => "accepted",
            Self::Handshake => "handshake",
            Self::Nothing => "nothing",
            Self::Refused(refusal) => refusal.name(),
        }
    }
}

impl Arrival {
    pub(super) fn at(now: i64) -> Self {
        Self { id: Id::at(now), at: now, began: Instant::now() }
    }

    /// Tells the operator's collector. What there is no event of has a span of its own all the same.
    pub(super) fn tell(
        &self,
        tracer: &Tracer,
        request: &Request,
        source: Option<&Configured>,
        (came_to, response): (CameTo, &Response),
    ) {
        if !tracer.is_on() {
            return;
        }
        let (own, known_as) = match came_to {
            CameTo::Stored(stored) => (stored.own, Some(stored.known_as)),
            CameTo::Handshake | CameTo::Nothing | CameTo::Refused(_) => (EventId::at(self.at), None),
        };
        let headers = request.headers().get_all(HEADER);
        // What anybody could say decides on nothing.
        let said = TraceParent::of(headers.iter().map(poem::http::HeaderValue::as_bytes));
        let trace = Trace::of(own, said.filter(|_| known_as.is_some()));
        tracer.tell(&trace, || {
            let status = response.status();
            let mut attributes = vec![
                ("hookyard.outcome", came_to.name().into()),
                ("hookyard.request.id", self.id.to_string().into()),
                ("http.request.method", request.method().as_str().chars().take(METHOD).collect::<String>().into()),
                ("http.response.status_code", i64::from(status.as_u16()).into()),
            ];
            if let Some(source) = source {
                attributes.push(("hookyard.tenant.id", source.source.tenant().to_string().into()));
                attributes.push(("hookyard.source.id", source.source.id().to_string().into()));
            }
            attributes.extend(known_as.map(|event| ("hookyard.event.id", event.to_string().into())));
            Span {
                trace: trace.id,
                id: trace::arrival(own),
                parent: trace.provider.map(|provider| provider.span),
                kind: Kind::Server,
                name: "webhook",
                began_at: self.at,
                took: self.began.elapsed(),
                attributes,
                error: status.is_server_error().then(|| came_to.name().to_owned()),
            }
        });
    }
}
