//! What the admin API answers: a status, a body, and the two headers that clients act on. In parts, since an answer to
//! an `Idempotency-Key` is kept and given again exactly.

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use serde::{Deserialize, Serialize};

mod put;

pub use put::Put;

/// An answer with the status `STATUS`.
#[derive(Debug)]
pub struct Answer<const STATUS: u16, T> {
    body: Option<T>,
    version: Option<i64>,
    location: Option<String>,
}

/// Here it is.
pub type Found<T> = Answer<200, T>;
/// It was made.
pub type Created<T> = Answer<201, T>;
/// It will be done.
pub type Accepted<T> = Answer<202, T>;
/// It is gone.
pub type Gone = Answer<204, Nothing>;

/// An object without fields.
#[derive(Debug, Clone, Object)]
pub struct Nothing {}

impl<const STATUS: u16, T> Answer<STATUS, T> {
    #[must_use]
    pub fn of(body: T) -> Self {
        Self { body: Some(body), version: None, location: None }
    }

    /// The version that `If-Match` can name.
    #[must_use]
    pub fn version(self, version: i64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Where it can be read from now on.
    #[must_use]
    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }
}

impl Gone {
    #[must_use]
    pub fn gone() -> Self {
        Self { body: None, version: None, location: None }
    }
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    status: u16,
    etag: Option<String>,
    location: Option<String>,
    body: Option<String>,
}

impl<const STATUS: u16, T: ToJSON> Answer<STATUS, T> {
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            status: STATUS,
            etag: self.version.map(etag),
            location: self.location.clone(),
            body: self.body.as_ref().filter(|_| STATUS != 204).map(ToJSON::to_json_string),
        }
    }
}

/// How a version reads in `ETag` and `If-Match`.
#[must_use]
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

impl Parts {
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same response once more, marked.
    pub(crate) fn replayed(self) -> Response {
        let mut response = self.into_response();
        response.headers_mut().insert("idempotency-replayed", poem::http::HeaderValue::from_static("true"));
        response
    }
}

impl IntoResponse for Parts {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status());
        if let Some(etag) = self.etag {
            response = response.header(header::ETAG, etag);
        }
        if let Some(location) = self.location {
            response = response.header(header::LOCATION, location);
        }
        match self.body {
            Some(body) => response.content_type("application/json").body(body),
            None => response.finish(),
        }
    }
}

impl<const STATUS: u16, T: ToJSON> IntoResponse for Answer<STATUS, T> {
    fn into_response(self) -> Response {
        self.parts().into_response()
    }
}

impl<const STATUS: u16, T: Type> ApiResponse for Answer<STATUS, T> {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: false,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let (description, headers) = match STATUS {
            201 => ("Made.", vec![header("etag", "The version."), header("location", "Where it can be read.")]),
            202 => ("Accepted: it will be done.", vec![]),
            204 => ("Gone.", vec![]),
            _ => ("Here it is.", vec![header("etag", "The version, where there is one.")]),
        };
        let content = MetaMediaType { content_type: "application/json", schema: T::schema_ref() };
        let content = if STATUS == 204 { vec![] } else { vec![content] };
        let response = MetaResponse { description, status: Some(STATUS), status_range: None, content, headers };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        if STATUS != 204 {
            T::register(registry);
        }
    }
}
