//! A shared secret that stands in the request as it is. It proves who sends, not what is sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::value::RawValue;

use super::{Failure, Keys, Presented, Token};
use crate::id::CredentialId;
use crate::place::Place;
use crate::secret::equal;

/// The reference token of a pointer that stands for every item of a list.
const EVERY: &str = "*";

impl Token {
    /// Every live token is tried, so that the time it takes tells nothing.
    pub(super) fn verify(&self, request: &Presented<'_>, keys: &Keys) -> Result<CredentialId, Failure> {
        let said = self.read(request);
        let of_each = keys.tokens.iter().map(|key| {
            let token = key.value.expose_secret().as_bytes();
            let said = said.as_deref().unwrap_or_default();
            let is_said = said.iter().fold(!said.is_empty(), |every, said| every & equal(said, token));
            (is_said && !token.is_empty()).then_some(key.id)
        });
        let found = of_each.fold(None, Option::or);
        match (keys.tokens.is_empty(), said) {
            (true, _) => Err(Failure::NoCredential),
            (false, Err(failure)) => Err(failure),
            (false, Ok(_)) => found.ok_or(Failure::Mismatch),
        }
    }

    /// What stands there; at least one.
    fn read(&self, request: &Presented<'_>) -> Result<Vec<Vec<u8>>, Failure> {
        match &self.from {
            Place::Header(name) => Ok(vec![super::header(&request.inbound, name)?.to_vec()]),
            Place::Json(pointer) if pointer.split('/').any(|token| token == EVERY) => {
                read_every(request.inbound.body, pointer)
            }
            place => Ok(vec![place.read(&request.inbound).ok_or(Failure::Missing)?.into_bytes()]),
        }
    }
}

/// The texts at every place that a pointer with `*` leads to. One that leads nowhere makes all of them missing.
fn read_every(body: &[u8], pointer: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let whole = serde_json::from_slice(body).map_err(|_| Failure::Malformed)?;
    let mut values: Vec<&RawValue> = vec![whole];
    for token in pointer.split('/').skip(1) {
        values = below(&values, token).ok_or(Failure::Missing)?;
    }
    if values.is_empty() {
        return Err(Failure::Missing);
    }
    values.iter().map(|value| Ok(text(value).ok_or(Failure::Missing)?.into_bytes())).collect()
}

fn below<'b>(values: &[&'b RawValue], token: &str) -> Option<Vec<&'b RawValue>> {
    if token == EVERY {
        let lists = values.iter().map(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
        return Some(lists.collect::<Option<Vec<_>>>()?.concat());
    }
    let name = token.replace("~1", "/").replace("~0", "~");
    values.iter().map(|value| member(value, &name)).collect()
}

fn member<'b>(value: &'b RawValue, name: &str) -> Option<&'b RawValue> {
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        return list.get(name.parse::<usize>().ok()?).copied();
    }
    serde_json::from_str::<BTreeMap<Cow<'b, str>, &RawValue>>(value.get()).ok()?.get(name).copied()
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Sent, key, keys};
    use super::*;

    fn verdict(from: &str, headers: &[(&str, &str)], body: &str, tokens: &[&str]) -> Option<Failure> {
        let token = Token { from: from.parse().unwrap() };
        let sent = Sent { query: Some("token=a+b".to_owned()), ..Sent::new(headers, body.as_bytes()) };
        token.verify(&sent.presented(), &keys(tokens)).err()
    }

    #[test]
    fn a_token_stands_in_its_place() {
        let missing = Some(Failure::Missing);
        let mismatch = Some(Failure::Mismatch);
        for (from, headers, tokens, failure) in [
            ("header:x-token", vec![("X-Token", "t1")], &["t1"][..], None),
            ("header:x-token", vec![("x-token", "t1")], &["t2", "t1"], None),
            ("header:x-token", vec![("x-token", "T1")], &["t1"], mismatch),
            ("header:x-token", vec![("x-token", "t")], &["t1"], mismatch),
            ("header:x-token", vec![("x-token", "t11")], &["t1"], mismatch),
            ("header:x-token", vec![("x-token", "t1")], &[], Some(Failure::NoCredential)),
            ("header:x-token", vec![("x-token", "t1"), ("x-token", "t1")], &["t1"], Some(Failure::Repeated)),
            ("header:x-token", vec![], &["t1"], missing),
            ("header:x-token", vec![("x-token", "")], &[""], mismatch),
            ("header:x-token", vec![("x-token", "\u{e9}")], &["\u{e9}"], None),
            ("query:token", vec![], &["a b"], None),
            ("query:other", vec![], &["a b"], missing),
        ] {
            assert_eq!(verdict(from, &headers, "", tokens), failure, "{from} {headers:?} {tokens:?}");
        }
        assert_eq!(verdict("form:t", &[], "a=b&t=t1", &["t1"]), None);
        assert_eq!(verdict("json:/a/t", &[], r#"{"a": {"t": "t1"}}"#, &["t1"]), None);
        assert_eq!(verdict("json:/a/t", &[], "{", &["t1"]), missing);
    }

    #[test]
    fn every_item_has_the_same_token() {
        let missing = Some(Failure::Missing);
        let mismatch = Some(Failure::Mismatch);
        let many = format!(r#"{{"value": [{}{{"s": "a"}}]}}"#, r#"{"s": "a"},"#.repeat(50_000));
        let deep = format!(r#"{{"value": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for (body, failure) in [
            (r#"{"value": [{"s": "a"}]}"#, None),
            (r#"{"value": [{"s": "a"}, {"s": "\u0061", "t": 1}]}"#, None),
            (r#"{"value": [{"s": "b"}, {"s": "b"}]}"#, None),
            (r#"{"value": [{"s": "a"}, {"s": "b"}]}"#, mismatch),
            (r#"{"value": [{"s": "a"}, {"s": "c"}]}"#, mismatch),
            (r#"{"value": [{"s": "a"}, {}]}"#, missing),
            (r#"{"value": [{"s": "a"}, {"s": null}]}"#, missing),
            (r#"{"value": [{"s": "a"}, 1]}"#, missing),
            (r#"{"value": [{"s": "a", "s": "c"}]}"#, mismatch),
            (r#"{"value": []}"#, missing),
            (r#"{"value": {"0": {"s": "a"}}}"#, missing),
            (r#"{"value": [{"s": "a"}]} x"#, Some(Failure::Malformed)),
            ("{}", missing),
            ("[]", missing),
            ("", Some(Failure::Malformed)),
            (&many, None),
            (&deep, missing),
        ] {
            let start: String = body.chars().take(60).collect();
            assert_eq!(verdict("json:/value/*/s", &[], body, &["a", "b"]), failure, "{start}");
        }
        assert_eq!(verdict("json:/*/0/*", &[], r#"[["x"], [["a"]]]"#, &["a"]), missing);
        assert_eq!(verdict("json:/*/0/*", &[], r#"[[["a"]], [["a", "a"]]]"#, &["a"]), None);
    }

    #[test]
    fn the_credential_that_did_it_is_named() {
        let tokens = vec![key("a"), key("b")];
        let id = tokens[1].id;
        let keys = Keys { tokens, ..Keys::default() };
        let token = Token { from: Place::header("x-token") };
        assert_eq!(token.verify(&Sent::new(&[("x-token", "b")], b"").presented(), &keys), Ok(id));
    }
}
