//! What callers send: bodies and queries, each checked against its schema in the document before it is parsed, so that
//! every fault is named by its place and no unknown name is passed over.

use std::collections::HashSet;
use std::sync::Arc;

use poem::error::ReadBodyError;
use poem::http::{Method, header};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::ParseFromJSON;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use relay::secret::fingerprint;
use serde_json::{Map, Value};

use crate::document;
use crate::error::{Error, Place, Trouble};
use crate::request::Facts;
use crate::schema;
use crate::wire::Moment;

/// A JSON body. That of a POST whose fields are all optional may be left out.
#[derive(Debug)]
pub struct Input<T>(pub T);

/// The query. Its fields are a schema like a body's; the document turns them into parameters.
#[derive(Debug)]
pub struct Search<T>(pub T);

/// The largest body of the admin API.
pub const MAX_BODY: usize = 1024 * 1024;
/// Marks what the document is to show as parameters.
pub const QUERY_MEDIA_TYPE: &str = "application/x-hookyard-query";

impl<T: ParseFromJSON> Input<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, Error> {
        let bytes = read_body(request, body).await?;
        if let Some(facts) = request.data::<Arc<Facts>>() {
            facts.body.get_or_init(|| fingerprint(&bytes));
        }
        let may_be_left_out = request.method() == Method::POST && document::is_optional(&T::name());
        let value = if bytes.is_empty() && may_be_left_out {
            Value::Object(Map::new())
        } else {
            check_media_type(request)?;
            serde_json::from_slice(&bytes).map(whole).map_err(|error| Error::NotJson(error.to_string()))?
        };
        parse(value, Place::Body).map(Self)
    }
}

/// With `1.0` as `1`: to JSON Schema both are the same integer, and some writers know only numbers with a fraction.
fn whole(value: Value) -> Value {
    /// Below it every integer is a number with a fraction as well; here its neighbour is read as itself.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let exact = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            exact.map_or(Value::Number(number), |float| Value::from(float as i64))
        }
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, whole(value))).collect(),
        other => other,
    }
}

async fn read_body(request: &Request, body: &mut RequestBody) -> Result<Vec<u8>, Error> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_BODY) {
        return Err(Error::TooLarge(MAX_BODY));
    }
    let body = body.take().map_err(|error| Error::Fault(error.into()))?;
    body.into_bytes_limit(MAX_BODY).await.map(|bytes| bytes.to_vec()).map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => Error::TooLarge(MAX_BODY),
        _ => Error::NotJson("it ended too soon".to_owned()),
    })
}

/// `application/json`, or another type that ends in `+json`.
fn check_media_type(request: &Request) -> Result<(), Error> {
    let essence = request.content_type().and_then(|text| text.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json");
    if is_json { Ok(()) } else { Err(Error::MediaType) }
}

fn parse<T: ParseFromJSON>(value: Value, place: Place) -> Result<T, Error> {
    let faults = schema::faults(document::schemas(), &T::name(), &value);
    if !faults.is_empty() {
        let troubles = faults.into_iter().map(|fault| Trouble::at(place, fault.pointer, fault.detail));
        return Err(Error::Invalid(troubles.collect()));
    }
    T::parse_from_json(Some(value))
        .map_err(|error| Error::Invalid(vec![Trouble::at(place, String::new(), error.into_message())]))
}

impl<T: ParseFromJSON> Search<T> {
    fn read(request: &Request) -> Result<Self, Error> {
        let pairs: Vec<(String, String)> = request.params().map_err(|_| unreadable_query())?;
        let mut seen = HashSet::new();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(Error::Invalid(vec![Trouble::at(Place::Query, name, "stands there twice")]));
        }
        let properties = &document::schemas()[&*T::name()]["properties"];
        let value = pairs.into_iter().map(|(name, text)| {
            let value = typed(&properties[&name]["type"], text);
            (name, value)
        });
        let value = Value::Object(value.collect());
        let is_empty = is_empty_span(&value);
        let read = parse(value, Place::Query)?;
        if is_empty {
            let told = "is not later than `after`: there is nothing in between";
            return Err(Error::Invalid(vec![Trouble::at(Place::Query, "before", told)]));
        }
        Ok(Self(read))
    }
}

/// Whether nothing can be at `after` or later, and earlier than `before`.
fn is_empty_span(query: &Value) -> bool {
    let time = |name: &str| query[name].as_str()?.parse::<Moment>().ok();
    time("after").zip(time("before")).is_some_and(|(after, before)| after >= before)
}

fn unreadable_query() -> Error {
    Error::Invalid(vec![Trouble::at(Place::Query, "", "the query cannot be read: name=value, joined with &")])
}

/// In a query everything is text; what is no number or truth value stays text, and the schema says so.
fn typed(kind: &Value, text: String) -> Value {
    match (kind.as_str(), text.as_str()) {
        (Some("integer"), _) => text.parse::<i64>().map_or(Value::String(text), Value::from),
        (Some("boolean"), "true") => Value::Bool(true),
        (Some("boolean"), "false") => Value::Bool(false),
        _ => Value::String(text),
    }
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Input<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(request_of::<T>("application/json"))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Self::read(request, body).await.map_err(Into::into)
    }
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Search<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(request_of::<T>(QUERY_MEDIA_TYPE))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Self::read(request).map_err(Into::into)
    }
}

/// Whether the body may be left out is told by the document, from its schema.
fn request_of<T: ParseFromJSON>(content_type: &'static str) -> MetaRequest {
    let content = vec![MetaMediaType { content_type, schema: T::schema_ref() }];
    MetaRequest { description: None, content, required: true }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_json_by_its_media_type() {
        for (content_type, good) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let request = Request::builder().content_type(content_type).finish();
            assert_eq!(check_media_type(&request).is_ok(), good, "{content_type}");
        }
        assert!(check_media_type(&Request::default()).is_err());
    }

    #[test]
    fn an_integer_is_one_however_it_is_written() {
        for (given, read) in [
            (json!({"a": [1.0, -2e2, -0.0]}), json!({"a": [1, -200, 0]})),
            (json!([1.5, 1e300, 3, "1.0", null]), json!([1.5, 1e300, 3, "1.0", null])),
            (json!(9_007_199_254_740_991.0), json!(9_007_199_254_740_991_i64)),
            // As `9007199254740993.0` is read.
            (json!(9_007_199_254_740_992.0), json!(9_007_199_254_740_992.0)),
        ] {
            assert_eq!(whole(given), read);
        }
    }

    #[test]
    fn a_span_of_nothing_is_known() {
        let time = |second: u32| format!("2026-11-22T10:00:0{second}Z");
        for (query, is_empty) in [
            (json!({"after": time(1), "before": time(2)}), false),
            (json!({"after": time(1), "before": time(1)}), true),
            (json!({"after": time(2), "before": time(1)}), true),
            (json!({"after": time(2)}), false),
            (json!({"after": "soon", "before": time(1)}), false),
            (json!({}), false),
        ] {
            assert_eq!(is_empty_span(&query), is_empty, "{query}");
        }
    }

    #[test]
    fn a_query_s_values_have_the_types_of_their_schema() {
        for (kind, text, value) in [
            ("integer", "5", Value::from(5)),
            ("integer", "5.0", Value::from("5.0")),
            ("boolean", "true", Value::from(true)),
            ("boolean", "1", Value::from("1")),
            ("string", "5", Value::from("5")),
        ] {
            assert_eq!(typed(&Value::from(kind), text.to_owned()), value);
        }
    }
}
