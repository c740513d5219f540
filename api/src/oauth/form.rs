//! What a client sends to the token endpoint, read strictly: RFC 6749, 2.3.1 and 4.4.2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use poem::Request;
use poem::http::HeaderMap;
use poem::http::header::{AUTHORIZATION, CONTENT_TYPE};
use secrecy::SecretString;
use url::form_urlencoded::parse;

use super::refusal::Refusal;

/// No request that means well is longer.
const BODY_CAP: usize = 8 << 10;
/// The only grant there is.
const GRANT_TYPE: &str = "client_credentials";

/// The client as it presents itself: id and secret, in each way that they can be read.
pub type Presented = Vec<(String, SecretString)>;

/// The client, if the request is one for a token. `scope` and what is unknown are ignored.
///
/// # Errors
/// It is not such a request, or has no client or two.
pub async fn read(request: &mut Request) -> Result<Presented, Refusal> {
    if !is_form(request.headers()) {
        return Err(Refusal::NotAForm);
    }
    let query = Form::of(request.uri().query().unwrap_or_default().as_bytes())?;
    if query.client_id.is_some() || query.client_secret.is_some() {
        return Err(Refusal::InQuery);
    }
    let body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
    let body = Limited::new(body, BODY_CAP).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
        true => Refusal::TooLarge,
        false => Refusal::Broken,
    })?;
    let form = Form::of(&body.to_bytes())?;
    match form.grant_type.as_deref() {
        None => Err(Refusal::NoGrantType),
        Some(GRANT_TYPE) => client(request.headers(), form),
        Some(_) => Err(Refusal::GrantType),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (values.next().map(|value| value.to_str()), values.next()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The parameters that have a meaning here.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

impl Form {
    /// A parameter without a value counts as left out (RFC 6749, 3.2); one that stands there twice is refused.
    fn of(text: &[u8]) -> Result<Self, Refusal> {
        let mut form = Self::default();
        for (name, value) in parse(text) {
            let place = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "scope" => &mut form.scope,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Refusal::Repeated);
            }
        }
        let Self { grant_type, client_id, client_secret, scope } = form;
        let said = |value: Option<String>| value.filter(|value| !value.is_empty());
        Ok(Self {
            grant_type: said(grant_type),
            client_id: said(client_id),
            client_secret: said(client_secret),
            scope: said(scope),
        })
    }
}

/// In the header or in the body, and never in both; an id may be repeated in the body if it is the same.
fn client(headers: &HeaderMap, form: Form) -> Result<Presented, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => {
            let (Some(id), Some(secret)) = (form.client_id, form.client_secret) else { return Err(Refusal::Client) };
            return Ok(vec![(id, secret.into())]);
        }
        (Some(header), None) => header,
        (Some(_), Some(_)) => return Err(Refusal::TwoWays),
    };
    if form.client_secret.is_some() {
        return Err(Refusal::TwoWays);
    }
    let presented = header.to_str().ok().and_then(basic).ok_or(Refusal::Client)?;
    match form.client_id {
        Some(id) if presented.iter().all(|(known, _)| *known != id) => Err(Refusal::TwoWays),
        _ => Ok(presented),
    }
}

/// Id and secret of `Authorization: Basic`: form-encoded before they are joined, as the RFC has it, and as they are, as
/// many clients have it.
fn basic(value: &str) -> Option<Presented> {
    let (scheme, pair) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(pair.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let (decoded_id, decoded_secret) = (decoded(id), decoded(secret));
    let is_plain = (&*decoded_id, &*decoded_secret) == (id, secret);
    let raw = (id.to_owned(), secret.into());
    if is_plain { Some(vec![raw]) } else { Some(vec![(decoded_id, decoded_secret.into()), raw]) }
}

/// One form-encoded value; what would end it stands for itself.
fn decoded(value: &str) -> String {
    let value = value.replace('&', "%26").replace('=', "%3D");
    parse(value.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    async fn read(headers: &[(&str, &str)], query: &str, body: &str) -> Result<Vec<(String, String)>, Refusal> {
        let mut request = Request::builder().uri(format!("/oauth/token{query}").parse().unwrap());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.to_owned());
        let presented = super::read(&mut request).await?;
        Ok(presented.into_iter().map(|(id, secret)| (id, secret.expose_secret().to_owned())).collect())
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(id, secret)| ((*id).to_owned(), (*secret).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_client_authenticates_in_the_body_or_in_the_header() {
        let header = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let body = "grant_type=client_credentials&client_id=a&client_secret=b%20c&scope=x&audience=y&audience=z";
        assert_eq!(read(&[FORM], "", body).await, Ok(pairs(&[("a", "b c")])));
        assert_eq!(read(&[FORM], "?x=1", body).await, Ok(pairs(&[("a", "b c")])));
        for (pair, body, expected) in [
            ("a:b", "grant_type=client_credentials", vec![("a", "b")]),
            ("a:b:c", "grant_type=client_credentials", vec![("a", "b:c")]),
            ("a%3A1:b+c", "grant_type=client_credentials", vec![("a:1", "b c"), ("a%3A1", "b+c")]),
            ("a:b=c&d%", "grant_type=client_credentials", vec![("a", "b=c&d%")]),
            ("a:b", "grant_type=client_credentials&client_id=a", vec![("a", "b")]),
            ("a:b", "grant_type=client_credentials&client_secret=", vec![("a", "b")]),
        ] {
            let authorization = header(pair);
            let headers = [FORM, ("authorization", authorization.as_str())];
            assert_eq!(read(&headers, "", body).await, Ok(pairs(&expected)), "{pair} {body}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_has_the_name_that_the_rfc_gives_it() {
        let json = [("content-type", "application/json")];
        let basic = |pair: &str| {
            [FORM, ("authorization", Box::leak(format!("Basic {}", STANDARD.encode(pair)).into_boxed_str()))]
        };
        let whole = "grant_type=client_credentials&client_id=a&client_secret=b";
        let grant = "grant_type=client_credentials";
        for (headers, query, body, refusal) in [
            (&json[..], "", whole, Refusal::NotAForm),
            (&[], "", whole, Refusal::NotAForm),
            (&[FORM], "?client_secret=b", whole, Refusal::InQuery),
            (&[FORM], "?client_id=a", grant, Refusal::InQuery),
            (&[FORM], "", "client_id=a&client_secret=b", Refusal::NoGrantType),
            (&[FORM], "", "grant_type=&client_id=a&client_secret=b", Refusal::NoGrantType),
            (&[FORM], "", "grant_type=password&client_id=a&client_secret=b", Refusal::GrantType),
            (&[FORM], "", "grant_type=client_credentials&client_id=a&client_id=a&client_secret=b", Refusal::Repeated),
            (&[FORM], "", "grant_type=client_credentials&scope=a&scope=b", Refusal::Repeated),
            (&[FORM], "", grant, Refusal::Client),
            (&[FORM], "", "grant_type=client_credentials&client_id=a", Refusal::Client),
            (&basic("a:b"), "", whole, Refusal::TwoWays),
            (&basic("a:b"), "", "grant_type=client_credentials&client_id=c", Refusal::TwoWays),
            (&basic("ab"), "", grant, Refusal::Client),
            (&[FORM, ("authorization", "Bearer x")], "", grant, Refusal::Client),
            (&[FORM, ("authorization", "Basic %")], "", grant, Refusal::Client),
            (&[FORM, ("authorization", "Basic YTpi"), ("authorization", "Basic YTpi")], "", grant, Refusal::TwoWays),
        ] {
            assert_eq!(read(headers, query, body).await, Err(refusal), "{headers:?} {query} {body}");
        }
        let long = format!("{whole}&x={}", "x".repeat(BODY_CAP));
        assert_eq!(read(&[FORM], "", &long).await, Err(Refusal::TooLarge));
    }
}
