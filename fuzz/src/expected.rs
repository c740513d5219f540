//! What is signed, worked out a second time: a template and what it says of a request, as its documentation has it.

use std::fmt::Write as _;

use crate::sent::Sent;

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Body,
    BodyEscaped,
    Time,
    PublicUrl,
    Header(String),
    Json(String),
}

/// The parts of a template; nothing if it is none.
#[must_use]
pub fn parts(template: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        if !"{}".contains(letter) {
            text.push(letter);
            continue;
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        if letters.next_if_eq(&letter).is_some() {
            parts.push(Part::Text(letter.to_string()));
            continue;
        }
        let mut hole = String::new();
        loop {
            match letters.next() {
                Some('}') if letter == '{' => break,
                Some(inside) if letter == '{' => hole.push(inside),
                _ => return None,
            }
        }
        parts.push(named(&hole)?);
    }
    parts.extend((!text.is_empty()).then_some(Part::Text(text)));
    Some(parts)
}

fn named(hole: &str) -> Option<Part> {
    Some(match hole {
        "body" => Part::Body,
        "body_escaped" => Part::BodyEscaped,
        "ts" => Part::Time,
        "public_url" => Part::PublicUrl,
        _ => match hole.split_once(':')? {
            ("header", name) if name.len() <= 200 => {
                Part::Header(http::HeaderName::from_bytes(name.as_bytes()).ok()?.to_string())
            }
            ("json", pointer) if pointer.len() <= 200 && pointer.starts_with('/') => Part::Json(pointer.to_owned()),
            _ => return None,
        },
    })
}

/// Whether a tenant may have it: short, over the body once, and nothing that a sender writes next to another such thing. A URL
/// may touch what follows it.
#[must_use]
pub fn is_fit(template: &str, parts: &[Part]) -> bool {
    let is_text = |part: &Part| matches!(part, Part::Text(_));
    let may_touch = |pair: &[Part]| is_text(&pair[0]) || is_text(&pair[1]) || pair[0] == Part::PublicUrl;
    template.len() <= 1000
        && parts.len() <= 30
        && parts.iter().filter(|part| matches!(part, Part::Body | Part::BodyEscaped)).count() == 1
        && parts.windows(2).all(may_touch)
}

/// What is signed of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub bytes: Vec<u8>,
    /// Whether every part stands there, once, and cannot run into the next: else no signature makes it good.
    pub is_complete: bool,
}

/// What is signed of a request at this time. Of what is missing there is nothing in it, and of what is repeated the first.
#[must_use]
pub fn message(parts: &[Part], sent: &Sent, public_url: Option<&str>, time: &str) -> Message {
    let mut message = Message { bytes: Vec::new(), is_complete: true };
    for (place, part) in parts.iter().enumerate() {
        let (said, fit) = match part {
            Part::Text(text) => (Some(text.clone().into_bytes()), None),
            Part::Body => (Some(sent.body.clone()), None),
            Part::BodyEscaped => (Some(escaped(&sent.body)), None),
            Part::Time => (Some(time.as_bytes().to_vec()), None),
            Part::PublicUrl => (Some(full_url(sent, public_url).into_bytes()), Some("-._~:/?@!$&'()*+,;=%")),
            Part::Header(name) => {
                message.is_complete &= sent.header(name).is_some();
                (sent.headers.get(name).map(|value| value.as_bytes().to_vec()), Some("-_+/="))
            }
            Part::Json(pointer) => {
                let said = relay::json::read(&sent.body, &[pointer]).remove(0);
                (said.map(String::into_bytes), Some("-_+/="))
            }
        };
        let touches = parts.get(place + 1).is_some_and(|next| !matches!(next, Part::Text(_)));
        let is_bounded = |fit: &str| {
            let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || fit.as_bytes().contains(byte);
            said.as_ref().is_some_and(|said| !said.is_empty() && said.iter().all(is_fit))
        };
        message.is_complete &= said.is_some() && (!touches || fit.is_none_or(is_bounded));
        message.bytes.extend(said.unwrap_or_default());
    }
    message
}

fn full_url(sent: &Sent, public_url: Option<&str>) -> String {
    let url = public_url.map_or(sent.url.clone(), |url| format!("{url}{}", sent.path));
    sent.query.as_ref().map_or(url.clone(), |query| format!("{url}?{query}"))
}

fn escaped(body: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for chunk in body.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let mut text = String::new();
            if letter.is_ascii() {
                text.push(letter);
            } else {
                let units = letter.encode_utf16(&mut [0; 2]).to_vec();
                units.iter().for_each(|unit| write!(text, "\\u{unit:04x}").expect("strings take everything"));
            }
            escaped.extend(text.into_bytes());
        }
        escaped.extend(chunk.invalid());
    }
    escaped
}
