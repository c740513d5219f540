//! Takes a token request in the ways of RFC 6749, and says whose it is.
//!
//! Input: a client's id; its secret; a request.

#![no_main]

use api::oauth::Refusal;
use api::oauth::form::read;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use fuzz::sent::{NOW, Sent, line};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use poem::Request;
use secrecy::ExposeSecret as _;
use url::form_urlencoded::{Serializer, byte_serialize, parse};

type Client = (String, String);

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT: &str = "grant_type=client_credentials";

fuzz_target!(|input: &[u8]| {
    let (id, rest) = line(input);
    let (secret, request) = line(rest);
    if let (Ok(id), Ok(secret)) = (std::str::from_utf8(id), std::str::from_utf8(secret)) {
        an_honest_client(id, secret);
    }
    let sent = Sent::read(request, NOW);
    if let Ok(clients) = clients(&sent) {
        is_a_token_request(&sent);
        assert!(matches!(clients.len(), 1 | 2), "{sent:?}");
        assert!(clients.iter().all(|client| is_said(&sent, client)), "{sent:?} {clients:?}");
    }
});

/// Whoever sends id and secret in one of the three ways is taken for who it is.
fn an_honest_client(id: &str, secret: &str) {
    if id.is_empty() || secret.is_empty() {
        return;
    }
    let pair = (id.to_owned(), secret.to_owned());
    let form =
        Serializer::new(GRANT.to_owned()).append_pair("client_id", id).append_pair("client_secret", secret).finish();
    if form.len() <= 8 << 10 {
        assert_eq!(clients(&request(None, &form)), Ok(vec![pair.clone()]));
    }
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let as_the_rfc_says = clients(&request(Some(&format!("{}:{}", encoded(id), encoded(secret))), GRANT));
    assert_eq!(as_the_rfc_says.map(|clients| clients[0].clone()), Ok(pair.clone()));
    if !id.contains(':') {
        let sent = request(Some(&format!("{id}:{secret}")), GRANT);
        let as_it_is = clients(&sent).unwrap_or_default();
        assert!(as_it_is.contains(&pair), "{pair:?}");
        assert!(as_it_is.iter().all(|client| is_said(&sent, client)), "{pair:?} {as_it_is:?}");
    }
}

fn request(basic: Option<&str>, body: &str) -> Sent {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", FORM.parse().expect("it is a value"));
    if let Some(pair) = basic {
        headers.insert("authorization", format!("Basic {}", STANDARD.encode(pair)).parse().expect("it is a value"));
    }
    Sent { headers, body: body.into(), ..Sent::read(b"", NOW) }
}

fn clients(sent: &Sent) -> Result<Vec<Client>, Refusal> {
    let query = sent.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("/oauth/token{query}").parse().map_err(|_| Refusal::Broken)?;
    let mut request = Request::builder().uri(uri).body(sent.body.clone());
    *request.headers_mut() = sent.headers.clone();
    let presented = read(&mut request).now_or_never().expect("the body is there")?;
    Ok(presented.into_iter().map(|(id, secret)| (id, secret.expose_secret().to_owned())).collect())
}

fn values(form: &[u8], name: &str) -> Vec<String> {
    parse(form).filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect()
}

fn is_a_token_request(sent: &Sent) {
    let content_type = sent.header("content-type").unwrap_or_default().to_ascii_lowercase();
    assert!(content_type.trim_ascii_start().starts_with(FORM.as_bytes()), "{sent:?}");
    assert!(sent.body.len() <= 8 << 10);
    assert_eq!(values(&sent.body, "grant_type"), ["client_credentials"], "{sent:?}");
    for name in ["client_id", "client_secret", "scope"] {
        assert!(values(&sent.body, name).len() <= 1, "{sent:?}");
    }
    let query = sent.query.as_deref().unwrap_or_default();
    let in_query = ["client_id", "client_secret"].map(|name| values(query.as_bytes(), name).concat());
    assert_eq!(in_query.concat(), "", "{sent:?}");
}

/// In the header or in the body, never in both.
fn is_said(sent: &Sent, (id, secret): &Client) -> bool {
    let [ids, secrets] = ["client_id", "client_secret"].map(|name| values(&sent.body, name));
    if !sent.headers.contains_key("authorization") {
        return ids == [id.clone()] && secrets == [secret.clone()];
    }
    let Some(value) = sent.header("authorization") else { return false };
    let pair = value.get("Basic ".len()..).and_then(|pair| STANDARD.decode(pair.trim_ascii()).ok());
    let pair = pair.unwrap_or_default();
    let is_in_both = secrets.iter().any(|secret| !secret.is_empty());
    let is_raw = pair == format!("{id}:{secret}").as_bytes();
    let decoded =
        |text: &str| values(format!("x={}", text.replace('&', "%26").replace('=', "%3D")).as_bytes(), "x").concat();
    let is_encoded = std::str::from_utf8(&pair).ok().and_then(|pair| pair.split_once(':'));
    let is_encoded =
        is_encoded.is_some_and(|(raw, hidden)| (decoded(raw), decoded(hidden)) == (id.clone(), secret.clone()));
    !is_in_both && (is_raw || is_encoded)
}
