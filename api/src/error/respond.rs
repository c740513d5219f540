//! The one place where an error becomes a response: our own, and what the framework refuses before a handler runs.

use poem::Response;
use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderName, HeaderValue, header};
use poem_openapi::error::ParsePathError;
use poem_openapi::types::ToJSON;

use super::Error;
use super::problem::{self, MEDIA_TYPE};
use crate::document;
use crate::request::Facts;

/// How soon to come again when the database is away: it is looked at every second.
const RETRY_AFTER_S: &str = "1";

/// The response of an error, told once in the log if it is ours.
pub(crate) fn respond(error: poem::Error, facts: &Facts) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let error = named(error, facts);
    if let Error::Answered(parts) = error {
        return parts.replayed();
    }
    log(&error);
    let problem = problem::Problem { request_id: facts.request_id.clone(), ..problem::of(&error) };
    let mut response = Response::builder()
        .status(poem::error::ResponseError::status(&error))
        .content_type(MEDIA_TYPE)
        .body(problem.to_json_string());
    for (name, value) in headers(&error) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// An id in the path that is none is answered like one that is unknown.
fn named(error: poem::Error, facts: &Facts) -> Error {
    if error.is::<NotFoundError>() || error.is::<ParsePathError>() {
        return Error::NotFound;
    }
    if error.is::<MethodNotAllowedError>() {
        return Error::MethodNotAllowed(document::methods_of(&facts.path));
    }
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(other) if other.status().is_client_error() => Error::Other(other.status()),
        Err(other) => Error::Fault(other.to_string().into()),
    }
}

/// Within the span of the request, which names it.
fn log(error: &Error) {
    match error {
        Error::Fault(cause) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "answering an admin request");
        }
        Error::Unavailable(cause) => {
            tracing::warn!(error = &**cause as &dyn std::error::Error, "answered an admin request with 503");
        }
        _ => {}
    }
}

fn headers(error: &Error) -> Vec<(HeaderName, HeaderValue)> {
    match error {
        Error::Unauthenticated => vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))],
        Error::Unavailable(_) => vec![(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S))],
        Error::TooMany { wait, .. } => {
            vec![(header::RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil() as u64))]
        }
        Error::MethodNotAllowed(methods) => {
            let allowed = HeaderValue::from_str(&methods.join(", ")).ok();
            allowed.map(|allowed| (header::ALLOW, allowed)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
