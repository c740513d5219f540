//! Problem details (RFC 9457): what each error says to people and to programs.

use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};

use super::Error;
use crate::idempotency;

/// Why there is no answer, and what to do.
#[derive(Debug, Clone, Object)]
pub struct Problem {
    /// Names the kind of problem; stable, for programs.
    #[oai(rename = "type")]
    pub kind: String,
    /// The same for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and the next step.
    pub detail: String,
    /// The same as in the header `request-id`.
    pub request_id: String,
    /// What is wrong with the request, place by place.
    #[oai(skip_serializing_if_is_none)]
    pub errors: Option<Vec<Trouble>>,
}

/// What is wrong at one place of the request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Trouble {
    /// A JSON pointer into the body.
    pub pointer: Option<String>,
    /// A parameter of the path or the query.
    pub parameter: Option<String>,
    /// A header.
    pub header: Option<String>,
    /// What is wrong there.
    pub detail: String,
}

/// Where in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Body,
    Path,
    Query,
    Header,
}

impl Trouble {
    /// `name` is a pointer, a parameter's name or a header's.
    #[must_use]
    pub fn at(place: Place, name: impl Into<String>, detail: impl Into<String>) -> Self {
        let name = name.into();
        let (mut pointer, mut parameter, mut header) = (None, None, None);
        match place {
            Place::Body => pointer = Some(name),
            Place::Path => parameter = Some(name),
            Place::Query => parameter = Some(name.trim_start_matches('/').to_owned()),
            Place::Header => header = Some(name),
        }
        Self { pointer, parameter, header, detail: detail.into() }
    }

    /// A field of the body is wrong.
    #[must_use]
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::at(Place::Body, pointer, detail)
    }
}

/// The problem of an error. One text for each kind, so that what is another's reads like what does not exist.
pub(super) fn of(error: &Error) -> Problem {
    let (kind, title, status, detail) = match error {
        Error::NotFound => ("not-found", "Not found", 404, NOTHING_HERE.to_owned()),
        Error::MethodNotAllowed(_) => (
            "method-not-allowed",
            "Method not allowed",
            405,
            "The header `allow` names the methods of this path.".into(),
        ),
        Error::Unauthenticated => ("unauthenticated", "Unauthenticated", 401, NO_KEY.to_owned()),
        Error::MissingScope(scope) => ("missing-scope", "Missing scope", 403, missing(&scope.to_string())),
        Error::OperatorOnly => ("operator-only", "Operators only", 403, OPERATOR_ONLY.to_owned()),
        Error::WiderKey(what) => ("wider-key", "Wider than your own key", 403, wider(what)),
        Error::NotJson(why) => ("not-json", "Not JSON", 400, format!("The body cannot be read as JSON: {why}.")),
        Error::MediaType => ("media-type", "Unsupported media type", 415, NOT_JSON_TYPE.to_owned()),
        Error::TooLarge(most) => ("too-large", "Body too large", 413, format!("A body may have at most {most} bytes.")),
        Error::Invalid(_) => ("invalid", "Invalid request", 422, INVALID.to_owned()),
        Error::Conflict(why) => ("conflict", "Conflict", 409, why.clone()),
        Error::Expired => ("payload-expired", "Payload expired", 410, EXPIRED.to_owned()),
        Error::PreconditionFailed(unmet) => ("precondition-failed", "Precondition failed", 412, unmet.to_string()),
        Error::Full(why) => ("limit-reached", "Limit reached", 409, why.clone()),
        Error::KeyReused => ("idempotency-key-reused", "Idempotency-Key used for another request", 422, reused()),
        Error::KeyInUse => ("idempotency-key-in-use", "Idempotency-Key in use", 409, IN_USE.to_owned()),
        Error::TooMany { why, .. } => {
            ("too-many", "Too many requests", 429, format!("{why} Repeat it after `retry-after` seconds."))
        }
        Error::Other(status) => return other(*status),
        Error::Answered(parts) => return other(parts.status()),
        Error::Unavailable(_) => ("unavailable", "Unavailable", 503, AWAY.to_owned()),
        Error::Fault(_) => ("internal", "Internal error", 500, FAULT.to_owned()),
    };
    let errors = if let Error::Invalid(errors) = error { Some(errors.clone()) } else { None };
    Problem { errors, ..problem(kind, title, status, detail) }
}

const NOTHING_HERE: &str = "There is nothing at this address that this key may see. Check the path and the ids in it.";
const NO_KEY: &str = "Send a live API key in the header `authorization: Bearer …`.";
const OPERATOR_ONLY: &str = "Only an operator's key may do this.";
const NOT_JSON_TYPE: &str = "Send the body as JSON, with the header `content-type: application/json`.";
const INVALID: &str = "`errors` says what is wrong and where. Nothing was changed.";
const EXPIRED: &str =
    "The event is known, but its headers and body are no longer kept, so it cannot be read or sent again.";
const IN_USE: &str =
    "A request with the same Idempotency-Key is being answered at this moment. Repeat this one in a second.";
const AWAY: &str =
    "This is our fault and passes. Nothing was found out about the request; repeat it after `retry-after` seconds.";
const FAULT: &str = "This is our fault. Tell the operator the `request_id`, which is in the log beside the reason.";

fn missing(scope: &str) -> String {
    format!("This needs a key with the scope `{scope}`. A key with the scope `keys` can make one.")
}

fn wider(what: &str) -> String {
    format!("A key can only make keys that may do what it may do itself: {what}.")
}

fn reused() -> String {
    let hours = idempotency::KEPT_HOURS;
    format!(
        "Within {hours} hours, the same Idempotency-Key may only repeat the same body. Use a new key for a new request."
    )
}

fn other(status: StatusCode) -> Problem {
    let title = status.canonical_reason().unwrap_or("Refused");
    problem(
        "refused",
        title,
        status.as_u16(),
        "The request could not be read as one of this API. See /docs.".to_owned(),
    )
}

fn problem(kind: &str, title: &str, status: u16, detail: String) -> Problem {
    Problem {
        kind: format!("urn:hookyard:problem:{kind}"),
        title: title.to_owned(),
        status,
        detail,
        request_id: String::new(),
        errors: None,
    }
}

/// The media type of problems.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

impl ApiResponse for Error {
    fn meta() -> MetaResponses {
        let response = |range: &str, description| MetaResponse {
            description,
            status: None,
            status_range: Some(range.to_owned()),
            content: vec![MetaMediaType { content_type: MEDIA_TYPE, schema: Problem::schema_ref() }],
            headers: Vec::new(),
        };
        MetaResponses {
            responses: vec![response("4XX", "Refused; the body says why."), response("5XX", "Our own fault.")],
        }
    }

    fn register(registry: &mut Registry) {
        <Json<Problem> as ApiResponse>::register(registry);
    }
}
