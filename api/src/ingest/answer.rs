//! What a provider hears when nothing is wrong.

use entity::source;
use poem::Response;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use relay::handshake::Reply;
use relay::id::EventId;

use super::refusal::Refusal;

/// The methods that providers send events with.
pub(super) const METHODS: &str = "POST, PUT, PATCH, GET, DELETE";
/// With the one that only tells whether a URL is good.
pub(super) const ALLOWED: &str = "POST, PUT, PATCH, GET, DELETE, HEAD";

/// Whether a request of this method can be an event.
pub(super) fn check_method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::POST | Method::PUT | Method::PATCH | Method::GET | Method::DELETE => Ok(()),
        _ => Err(Refusal::Method),
    }
}

/// The answer to an event that is stored: what the source says, or 202 and the event's id.
pub(super) fn accepted(custom: Option<&source::Response>, event: EventId) -> Response {
    let mut response = match custom {
        None => Response::builder()
            .status(StatusCode::ACCEPTED)
            .content_type("application/json")
            .body(format!(r#"{{"event_id":"{event}"}}"#)),
        Some(custom) => answer(
            custom.status,
            custom.content_type.as_deref().or(custom.body.as_ref().map(|_| "text/plain; charset=utf-8")),
            custom.body.clone().unwrap_or_default(),
        ),
    };
    if let Ok(value) = HeaderValue::try_from(event.to_string()) {
        response.headers_mut().insert("hookyard-event-id", value);
    }
    response
}

/// The answer to a provider that tries the URL.
pub(super) fn handshake(reply: Reply) -> Response {
    let mut response = answer(reply.status, reply.content_type, reply.body);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What a tenant chose to answer is nothing that a browser should run on this origin, where the documentation is.
pub(super) fn harmless(headers: &mut HeaderMap) {
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("default-src 'none'; sandbox"));
}

fn answer(status: u16, content_type: Option<&str>, body: String) -> Response {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    if let Some(content_type) = content_type {
        response = response.content_type(content_type);
    }
    response.body(body)
}
