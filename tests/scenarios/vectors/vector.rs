//! One request of a provider as `data/vectors.json` has it, and what nobody but the provider could have changed in it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use harness::Value;
use harness::answer::text;

use super::schemes::proofs;

#[derive(Debug)]
pub(super) struct Vector {
    pub(super) scheme: String,
    pub(super) preset: String,
    /// For failure messages.
    pub(super) name: String,
    pub(super) credentials: Vec<Value>,
    pub(super) verification: Option<Value>,
    /// What is served at other URLs: URL and document.
    pub(super) remote: Vec<(String, String)>,
    pub(super) request: Request,
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
    /// Why it must be refused; nothing if it must be taken.
    pub(super) cause: Option<String>,
    /// It is answered and not stored.
    pub(super) is_handshake: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// What follows the source's URL.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// The file, in the order of time.
pub(super) fn all() -> Vec<Vector> {
    let said: Vec<Value> = serde_json::from_str(include_str!("../../data/vectors.json")).unwrap();
    let mut vectors: Vec<_> = said.iter().enumerate().map(|(number, said)| Vector::read(number, said)).collect();
    vectors.sort_by_key(|vector| vector.at_ms);
    vectors
}

/// Whom PayPal's certificates are vouched for by, in PEM.
pub(super) fn root() -> String {
    let said: Vec<Value> = serde_json::from_str(include_str!("../../data/vectors.json")).unwrap();
    said.iter().find_map(|said| said["roots"].as_str()).unwrap().to_owned()
}

impl Vector {
    fn read(number: usize, said: &Value) -> Self {
        let scheme = text(said, "scheme");
        let note = said["note"].as_str().unwrap_or_default();
        let at = DateTime::parse_from_rfc3339(&text(said, "at")).unwrap();
        let cause = (said["valid"] == false).then(|| text(said, "cause"));
        Self {
            name: format!("{scheme} (number {number}): {note}"),
            preset: text(said, "preset"),
            credentials: said["credentials"].as_array().unwrap().clone(),
            verification: Some(&said["verification"]).filter(|it| !it.is_null()).cloned(),
            remote: pairs(said["remote"].as_object().into_iter().flatten()),
            request: Request::read(said),
            at_ms: at.timestamp_millis(),
            cause,
            is_handshake: note.ends_with("a handshake"),
            scheme,
        }
    }

    /// The request, forged in all the ways that only the provider's secret would make good.
    pub(super) fn forgeries(&self) -> Vec<(&'static str, Request)> {
        let body_is_signed = match &self.verification {
            Some(said) if said["kind"] == "jwt" => said["body_claim"].is_string(),
            _ => proofs(&self.scheme).body_is_signed,
        };
        let another_body = body_is_signed.then(|| ("another body", self.request.with_another_body()));
        let forged = self.request.with_another_proof(proofs(&self.scheme).headers);
        another_body.into_iter().chain([("another signature", forged)]).collect()
    }
}

impl Request {
    fn read(said: &Value) -> Self {
        let query = said["query"].as_str().map(|query| format!("?{query}")).unwrap_or_default();
        let encoded = said["body_base64"].as_str().map(|encoded| STANDARD.decode(encoded).unwrap());
        let header = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
        Self {
            method: text(said, "method"),
            path: text(said, "path") + &query,
            headers: said["headers"].as_array().unwrap().iter().map(header).collect(),
            body: encoded.unwrap_or_else(|| text(said, "body").into_bytes()),
        }
    }

    fn with_another_body(&self) -> Self {
        let mut body = self.body.clone();
        let middle = body.len() / 2;
        body[middle] ^= 1;
        Self { body, ..self.clone() }
    }

    /// With other signatures in these headers; without headers, in the body.
    fn with_another_proof(&self, headers: &[&str]) -> Self {
        let mut forged = self.clone();
        if headers.is_empty() {
            let body: Value = serde_json::from_slice(&self.body).unwrap();
            let signature = text(&body["signature"], "signature");
            forged.body = text_of(&self.body).replace(&signature, &altered(&signature)).into_bytes();
        }
        for (_, value) in forged.headers.iter_mut().filter(|(name, _)| is_one_of(name, headers)) {
            *value = altered(value);
        }
        assert!(forged.headers != self.headers || forged.body != self.body, "nothing was changed");
        forged
    }
}

fn is_one_of(name: &str, headers: &[&str]) -> bool {
    headers.iter().any(|header| header.eq_ignore_ascii_case(name))
}

/// Each signature or secret in a text with another letter near its end: what is long, and what stands last.
fn altered(text: &str) -> String {
    let pieces: Vec<_> = text.split_inclusive([' ', ',', ';', ':', '=']).collect();
    let is_said = |piece: &&str| piece.len() > 1;
    let last = pieces.iter().rposition(is_said).unwrap();
    let alter = |(place, piece): (usize, &&str)| {
        if piece.len() < 20 && place != last {
            return (*piece).to_owned();
        }
        let word = piece.trim_end_matches([' ', ',', ';', ':', '=']).len();
        let near_end = word - 1 - word / 8;
        let other = if &piece[near_end..=near_end] == "0" { "1" } else { "0" };
        format!("{}{other}{}", &piece[..near_end], &piece[near_end + 1..])
    };
    pieces.iter().enumerate().map(alter).collect()
}

fn pairs<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> Vec<(String, String)> {
    members.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_signature_is_altered_and_nothing_else() {
    let long = "abcdefghijklmnopqrst";
    for (text, expected) in [
        ("s3cr3t", "s3cr30".to_owned()),
        ("Basic dTpw", "Basic dTp0".to_owned()),
        ("Basic YTpiOmM=", "Basic YTpiOm0=".to_owned()),
        ("t=1763629200,v1=abcdefghijklmnopqrst", "t=1763629200,v1=abcdefghijklmnopq0st".to_owned()),
        (&format!("v1,{long}= v1a,{long}"), "v1,abcdefghijklmnopq0st= v1a,abcdefghijklmnopq0st".to_owned()),
        ("sha256=00000000000000000000", "sha256=00000000000000000100".to_owned()),
    ] {
        assert_eq!(altered(text), expected);
    }
}
