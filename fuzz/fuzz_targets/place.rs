//! Reads places as they are written, and takes a token only from where it stands.
//!
//! Input: a place, or several as an extraction has them; a request.

#![no_main]

use fuzz::sender::SECRETS;
use fuzz::sent::{NOW, Sent, line};
use fuzz::verdict::verdict;
use libfuzzer_sys::fuzz_target;
use relay::place::Place;
use relay::preset::Find;
use relay::verification::{Key, Keys, Token, Verification};
use serde_json::Value;
use url::form_urlencoded::parse;

/// A word that the fuzzer finds.
const TOKEN: &str = "token";

fuzz_target!(|input: &[u8]| {
    let (text, request) = line(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(find) = text.parse::<Find>() {
        assert_eq!(find.to_string().parse::<Find>().as_ref(), Ok(&find), "{text}");
    }
    let Ok(place) = text.parse::<Place>() else { return };
    assert_eq!(place.to_string().parse::<Place>().as_ref(), Ok(&place), "{text}");
    assert!(place.to_string().eq_ignore_ascii_case(text), "{text}");

    let sent = Sent::read(request, NOW);
    let said = place.read(&sent.inbound());
    let keys = Keys { tokens: vec![Key { id: SECRETS.ours, value: TOKEN.into() }], ..Keys::default() };
    let is_let_in = verdict(&Verification::Token(Token { from: place.clone() }), &sent, &keys).is_ok();
    match &place {
        Place::Json(pointer) if pointer.split('/').any(|name| name == "*") => {
            let Ok(whole) = serde_json::from_slice::<Value>(&sent.body) else { return };
            let names: Vec<_> = pointer.split('/').skip(1).collect();
            assert_eq!(is_let_in, every(&whole, &names) == Some(true), "{text} {sent:?}");
        }
        Place::Json(_) => assert_eq!(is_let_in, said.as_deref() == Some(TOKEN), "{text} {sent:?}"),
        Place::Header(name) => {
            let value = sent.header(name).and_then(|value| std::str::from_utf8(value).ok());
            assert_eq!((said.as_deref(), is_let_in), (value, value == Some(TOKEN)), "{text} {sent:?}");
        }
        Place::Query(name) => is_said(name, sent.query.as_deref().unwrap_or_default().as_bytes(), said, is_let_in),
        Place::Form(name) => is_said(name, &sent.body, said, is_let_in),
    }
});

fn is_said(name: &str, form: &[u8], said: Option<String>, is_let_in: bool) {
    let value = parse(form).find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
    assert_eq!((&said, is_let_in), (&value, value.as_deref() == Some(TOKEN)), "{name} {form:?}");
}

/// Whether the token stands in every place that is led to; nothing if there is none, or one is missing.
fn every(value: &Value, names: &[&str]) -> Option<bool> {
    match names {
        [] => value.as_str().map(|text| text == TOKEN),
        ["*", rest @ ..] => {
            let below = value.as_array()?.iter().map(|item| every(item, rest)).collect::<Option<Vec<_>>>()?;
            (!below.is_empty()).then(|| below.into_iter().all(|is_it| is_it))
        }
        [name, rest @ ..] => every(value.pointer(&format!("/{name}"))?, rest),
    }
}
