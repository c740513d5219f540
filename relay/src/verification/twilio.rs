//! Twilio's own scheme: an HMAC-SHA1 over the URL and what a form holds. Of other bodies the URL holds the hash, in its
//! item `bodySHA256`: <https://www.twilio.com/docs/usage/security>.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::template::full_url;
use super::{Algorithm, Failure, Fault, Keys, Presented, Twilio, rules};
use crate::id::CredentialId;
use crate::inbound::Inbound;
use crate::secret::equal;

const SIGNATURE: &str = "x-twilio-signature";
const BODY_HASH: &str = "bodySHA256";
const FORM: &str = "application/x-www-form-urlencoded";

impl Twilio {
    /// The MACs are made under every live token, whatever is wrong with the request.
    pub(super) fn verify(&self, request: &Presented<'_>, keys: &Keys) -> Result<CredentialId, Failure> {
        let signature = read_signature(&request.inbound);
        let bytes = signature.as_deref().unwrap_or_default();
        let url = full_url(request, self.public_url.as_deref());
        let form = form(&request.inbound);
        let mut found = None;
        for key in &keys.hmac {
            let token = key.value.expose_secret();
            for url in [without_port(&url), with_port(&url)] {
                let mac = Algorithm::HmacSha1.mac(token.as_bytes(), |take| {
                    take(url.as_bytes());
                    take(form.as_bytes());
                });
                found = found.or((equal(&mac, bytes) && !token.is_empty()).then_some(key.id));
            }
        }
        if keys.hmac.is_empty() {
            return Err(Failure::NoCredential);
        }
        signature?;
        is_body_signed(&request.inbound, &form)?;
        found.ok_or(Failure::Mismatch)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        rules::public_url(self.public_url.as_deref())
    }
}

fn read_signature(inbound: &Inbound<'_>) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(super::header(inbound, SIGNATURE)?).map_err(|_| Failure::Malformed)
}

/// Names and values of a form, sorted, each pair once. Nothing of another body.
fn form(inbound: &Inbound<'_>) -> String {
    if !is_form(inbound) {
        return String::new();
    }
    let pairs: BTreeSet<_> = url::form_urlencoded::parse(inbound.body).collect();
    pairs.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect()
}

fn is_form(inbound: &Inbound<'_>) -> bool {
    let content_type = inbound.header("content-type").unwrap_or_default();
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(FORM.as_bytes())
}

/// Nothing more is needed of a form that says something, which is signed itself, and of no body; but where the URL names a
/// hash, it holds of every body, so that none can be taken away.
fn is_body_signed(inbound: &Inbound<'_>, form: &str) -> Result<(), Failure> {
    let Some(hash) = inbound.query_item(BODY_HASH) else {
        return if inbound.body.is_empty() || !form.is_empty() { Ok(()) } else { Err(Failure::Missing) };
    };
    let hash = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).map_err(|_| Failure::Malformed)?;
    if equal(&hash, &Sha256::digest(inbound.body)) { Ok(()) } else { Err(Failure::Mismatch) }
}

fn without_port(url: &str) -> String {
    let (start, port) = port_of(url);
    [&url[..start], &url[start + port.len()..]].concat()
}

/// With the one it has, or else the scheme's default.
fn with_port(url: &str) -> String {
    match (port_of(url), url.starts_with("https:")) {
        ((_, port), _) if !port.is_empty() => url.to_owned(),
        ((start, _), true) => [&url[..start], ":443", &url[start..]].concat(),
        ((start, _), false) => [&url[..start], ":80", &url[start..]].concat(),
    }
}

/// Where a URL's port stands or would stand, and the port with its colon, if it has one.
fn port_of(url: &str) -> (usize, &str) {
    let authority = url.find("://").map_or(0, |start| start + "://".len());
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |length| authority + length);
    let port = url[authority..end].rfind(':').map(|colon| authority + colon);
    let port = port.filter(|colon| url[colon + 1..end].bytes().all(|byte| byte.is_ascii_digit()));
    let start = port.unwrap_or(end);
    (start, &url[start..end])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Sent, keys};
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn sent(url: &str, signed: &str, content_type: &str, body: &str) -> Sent {
        let mac = Algorithm::HmacSha1.mac(b"12345", |take| take(signed.as_bytes()));
        let headers = [(SIGNATURE, STANDARD.encode(mac)), ("content-type", content_type.to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query.to_owned())));
        Sent { url: url.to_owned(), query, ..Sent::new(&headers, body.as_bytes()) }
    }

    fn verdict(sent: &Sent) -> Option<Failure> {
        Twilio::default().verify(&sent.presented(), &keys(&["other", "12345"])).err()
    }

    #[test]
    fn the_port_is_signed_or_not() {
        for (url, signed, failure) in [
            ("https://a.example/x", "https://a.example/x", None),
            ("https://a.example/x", "https://a.example:443/x", None),
            ("https://a.example/x", "https://a.example:80/x", Some(Failure::Mismatch)),
            ("http://a.example/x", "http://a.example:80/x", None),
            ("https://a.example:8443/x", "https://a.example:8443/x", None),
            ("https://a.example:8443/x", "https://a.example/x", None),
            ("https://a.example:8443/x", "https://a.example:443/x", Some(Failure::Mismatch)),
            ("https://u:p@a.example/x", "https://u:p@a.example:443/x", None),
            ("https://[::1]/x?y=http://b:1", "https://[::1]:443/x?y=http://b:1", None),
            ("https://a.example", "https://a.example:443", None),
            ("https://a.example?b=c", "https://a.example:443?b=c", None),
        ] {
            assert_eq!(verdict(&sent(url, signed, "", "")), failure, "{url} {signed}");
        }
        for url in ["", ":", "://", "a", "https://:", "https://\u{e9}:1/"] {
            assert_eq!(verdict(&sent(url, "other", FORM, "a=b")), Some(Failure::Mismatch), "{url}");
        }
    }

    #[test]
    fn a_form_is_signed_sorted_and_each_pair_once() {
        let params = "A1A2ab\u{e4} ";
        for (body, failure) in [
            ("A=1&A=2&a=b%C3%A4+", None),
            ("a=b%C3%A4%20&A=2&A=1&A=2", None),
            ("A=1&A=2&a=b%C3%A4+&c=", Some(Failure::Mismatch)),
            ("A=1&a=b%C3%A4+", Some(Failure::Mismatch)),
            ("", Some(Failure::Mismatch)),
        ] {
            let sent = sent(URL, &format!("{URL}{params}"), "Application/X-WWW-Form-Urlencoded; charset=UTF-8", body);
            assert_eq!(verdict(&sent), failure, "{body}");
        }
    }

    #[test]
    fn a_signature_of_the_url_alone_is_good_for_no_body() {
        for (content_type, body, failure) in [
            ("", "", None),
            (FORM, "", None),
            (FORM, "&&", Some(Failure::Missing)),
            (FORM, "=", Some(Failure::Missing)),
            (FORM, "a=b", Some(Failure::Mismatch)),
            ("application/json", "{}", Some(Failure::Missing)),
            ("", "a=b", Some(Failure::Missing)),
        ] {
            assert_eq!(verdict(&sent(URL, URL, content_type, body)), failure, "{content_type} {body}");
        }
    }

    #[test]
    fn a_hash_in_the_url_holds_of_every_body() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let of_braces = "44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A";
        for (hash, content_type, body, failure) in [
            (of_braces, "application/json", "{}", None),
            (of_braces, "application/json", "[]", Some(Failure::Mismatch)),
            (of_braces, "application/json", "", Some(Failure::Mismatch)),
            (of_braces, FORM, "&&", Some(Failure::Mismatch)),
            (of_nothing, "", "", None),
            ("00", "", "{}", Some(Failure::Mismatch)),
            ("xy", "", "{}", Some(Failure::Malformed)),
        ] {
            let url = format!("{URL}&bodySHA256={hash}");
            assert_eq!(verdict(&sent(&url, &url, content_type, body)), failure, "{hash} {content_type} {body}");
        }
    }

    #[test]
    fn a_token_that_is_empty_signs_nothing() {
        let mac = Algorithm::HmacSha1.mac(b"", |take| take(b"https://a.example/x"));
        let headers = [(SIGNATURE, STANDARD.encode(mac))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let sent = Sent { url: "https://a.example/x".to_owned(), ..Sent::new(&headers, b"") };
        assert_eq!(Twilio::default().verify(&sent.presented(), &keys(&[""])).err(), Some(Failure::Mismatch));
    }

    #[test]
    fn another_url_may_have_been_given() {
        let elsewhere = Twilio { public_url: Some("https://elsewhere.example/hook".into()) };
        let sent =
            Sent { path: "/sms".to_owned(), ..sent(URL, "https://elsewhere.example/hook/sms?foo=1&bar=2", "", "") };
        assert!(elsewhere.verify(&sent.presented(), &keys(&["12345"])).is_ok());
        for (url, is_fit) in [
            ("https://elsewhere.example/hook", true),
            ("http://elsewhere.example:8080", true),
            ("https://elsewhere.example/hook?a=b", false),
            ("https://elsewhere.example/hook#a", false),
            ("https://elsewhere.example/a b", false),
            ("ftp://elsewhere.example/", false),
            ("elsewhere.example", false),
            ("", false),
        ] {
            let twilio = Twilio { public_url: Some(url.to_owned().into()) };
            assert_eq!(twilio.check().is_ok(), is_fit, "{url}");
        }
    }
}
