//! What a signature is over, as a text with holes: `{header:webhook-id}.{ts}.{body}`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Failure, Fault, Presented, rules};

/// A text in which `{body}`, `{body_escaped}`, `{ts}`, `{public_url}`, `{header:NAME}` and `{json:/pointer}` stand for
/// parts of the request, and `{{` and `}}` for braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Cow<'static, str>);

/// Not a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a template: between braces may stand `body`, `body_escaped`, `ts`, `public_url`, `header:NAME` or \
     `json:/pointer`; a brace itself is written twice"
)]
pub struct NotATemplate;

/// What a signature is over, as far as the request says it. The body is not copied unless it has to be escaped.
#[derive(Debug)]
pub(super) struct Message<'a>(Vec<Piece<'a>>);

#[derive(Debug)]
enum Piece<'a> {
    Text(Cow<'a, [u8]>),
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'t> {
    Literal(&'t str),
    Body,
    /// The body with every character beyond ASCII written as `\uXXXX`, as Meta signs it. Nothing else is escaped: what
    /// else Meta escapes (`\/`) it also sends so, and what it sends escaped stays as it is.
    BodyEscaped,
    Time,
    PublicUrl,
    Header(&'t str),
    Json(&'t str),
}

/// In bytes.
const LONGEST: usize = 1000;
const MOST_PARTS: usize = 30;

impl Template {
    /// For presets. What is not a template verifies nothing.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The message, complete but for the time, and what keeps it from being so. It is as long as it can be even then, so
    /// that its MAC takes as long as any.
    pub(super) fn read<'a>(
        &'a self,
        request: &Presented<'a>,
        public_url: Option<&str>,
    ) -> (Message<'a>, Result<(), Failure>) {
        let Ok(parts) = self.parts() else {
            return (Message(vec![Piece::Text(request.inbound.body.into())]), Err(Failure::Malformed));
        };
        let mut json = read_json(&parts, request.inbound.body).into_iter();
        let mut complete = Ok(());
        let pieces = parts.iter().enumerate().map(|(place, part)| {
            let text = match *part {
                Part::Literal(text) => Ok(text.as_bytes().into()),
                Part::Body => return Piece::Text(request.inbound.body.into()),
                Part::BodyEscaped => return Piece::Text(escaped(request.inbound.body)),
                Part::Time => return Piece::Time,
                Part::PublicUrl => Ok(full_url(request, public_url).into_bytes().into()),
                Part::Header(name) => super::header(&request.inbound, name).map(Cow::Borrowed),
                Part::Json(_) => json.next().flatten().map(|text| text.into_bytes().into()).ok_or(Failure::Missing),
            };
            let text = text.and_then(|text| bounded(text, *part, parts.get(place + 1)));
            Piece::Text(text.unwrap_or_else(|failure| {
                complete = complete.and(Err(failure));
                Cow::default()
            }))
        });
        let message = Message(pieces.collect());
        (message, complete)
    }

    /// Whether the time is signed, by `{ts}`.
    pub(super) fn has_time(&self) -> bool {
        self.has(|part| part == Part::Time)
    }

    /// Whether the body is signed.
    pub(super) fn has_body(&self) -> bool {
        self.has(|part| part.is_body())
    }

    /// Whether this header is signed.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.has(|part| matches!(part, Part::Header(found) if found.eq_ignore_ascii_case(name)))
    }

    fn has(&self, is: impl Fn(Part<'_>) -> bool) -> bool {
        self.parts().is_ok_and(|parts| parts.into_iter().any(is))
    }

    /// The body must be signed, once, and no part that the sender writes may touch the next: else the end of one could be passed
    /// off as the beginning of the other. The URL may, as long as it is [`bounded`].
    pub(super) fn check(&self) -> Result<(), Fault> {
        let fault = |detail: &str| Err(rules::fault("/signed", detail));
        let Ok(parts) = self.parts() else { return fault(&NotATemplate.to_string()) };
        if self.0.len() > LONGEST || parts.len() > MOST_PARTS {
            return fault(&format!("must be at most {LONGEST} bytes and {MOST_PARTS} parts"));
        }
        match parts.iter().filter(|part| part.is_body()).count() {
            0 => return fault("must contain `{body}` or `{body_escaped}`: what is not signed can be forged"),
            1 => {}
            _ => return fault("must contain `{body}` or `{body_escaped}` once"),
        }
        let touch =
            |pair: &[Part<'_>]| !matches!(pair, [Part::Literal(_) | Part::PublicUrl, _] | [_, Part::Literal(_)]);
        if parts.windows(2).any(touch) {
            return fault("must have a text between any two parts of the request: else it can be read in two ways");
        }
        Ok(())
    }

    fn parts(&self) -> Result<Vec<Part<'_>>, NotATemplate> {
        let mut parts = Vec::new();
        let mut rest = self.0.as_ref();
        while !rest.is_empty() {
            let (part, after) = first_part(rest)?;
            parts.push(part);
            rest = after;
        }
        Ok(parts)
    }
}

fn first_part(text: &str) -> Result<(Part<'_>, &str), NotATemplate> {
    for twice in ["{{", "}}"] {
        if let Some(after) = text.strip_prefix(twice) {
            return Ok((Part::Literal(&twice[1..]), after));
        }
    }
    if let Some(inside) = text.strip_prefix('{') {
        let (token, after) = inside.split_once('}').ok_or(NotATemplate)?;
        return Ok((Part::named(token)?, after));
    }
    match text.find(['{', '}']).unwrap_or(text.len()) {
        0 => Err(NotATemplate),
        end => Ok((Part::Literal(&text[..end]), &text[end..])),
    }
}

impl<'t> Part<'t> {
    fn is_body(&self) -> bool {
        matches!(self, Self::Body | Self::BodyEscaped)
    }

    fn named(token: &'t str) -> Result<Self, NotATemplate> {
        match token.split_once(':') {
            None if token == "body" => Ok(Self::Body),
            None if token == "body_escaped" => Ok(Self::BodyEscaped),
            None if token == "ts" => Ok(Self::Time),
            None if token == "public_url" => Ok(Self::PublicUrl),
            Some(("header", name)) if rules::is_header(name) => Ok(Self::Header(name)),
            Some(("json", pointer)) if rules::is_pointer(pointer) => Ok(Self::Json(pointer)),
            _ => Err(NotATemplate),
        }
    }
}

fn read_json(parts: &[Part<'_>], body: &[u8]) -> Vec<Option<String>> {
    let pointers = parts.iter().filter_map(|part| if let Part::Json(pointer) = part { Some(*pointer) } else { None });
    let pointers: Vec<_> = pointers.collect();
    if pointers.is_empty() { Vec::new() } else { crate::json::read(body, &pointers) }
}

/// A text that touches the next part of the request must end where it seems to: it is an id, or a URL, and no beginning of
/// a body in JSON.
fn bounded<'a>(text: Cow<'a, [u8]>, part: Part<'_>, next: Option<&Part<'_>>) -> Result<Cow<'a, [u8]>, Failure> {
    let fit: &[u8] = match (part, next) {
        (Part::Literal(_), _) | (_, None | Some(Part::Literal(_))) => return Ok(text),
        (Part::PublicUrl, _) => b"-._~:/?@!$&'()*+,;=%",
        _ => b"-_+/=",
    };
    let is_fit = text.iter().all(|byte| byte.is_ascii_alphanumeric() || fit.contains(byte));
    if is_fit && !text.is_empty() { Ok(text) } else { Err(Failure::Malformed) }
}

/// The URL as the provider called it, with its query.
pub(super) fn full_url(request: &Presented<'_>, public_url: Option<&str>) -> String {
    let mut url = match public_url {
        Some(public_url) => [public_url, request.inbound.path].concat(),
        None => request.url.to_owned(),
    };
    if let Some(query) = request.inbound.query {
        url.extend(["?", query]);
    }
    url
}

impl Message<'_> {
    /// Gives the message to `take`, piece by piece, with this time in it.
    pub(super) fn feed(&self, time: &str, take: &mut dyn FnMut(&[u8])) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => take(text),
                Piece::Time => take(time.as_bytes()),
            }
        }
    }

    /// The message with this time in it, for who needs it in one piece.
    pub(super) fn whole(&self, time: &str) -> Cow<'_, [u8]> {
        if let [Piece::Text(text)] = &self.0[..] {
            return Cow::Borrowed(text);
        }
        let mut whole = Vec::with_capacity(self.length() + time.len());
        self.feed(time, &mut |part| whole.extend_from_slice(part));
        Cow::Owned(whole)
    }

    /// In bytes, without the time.
    pub(super) fn length(&self) -> usize {
        self.0.iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }).sum()
    }
}

/// What is no UTF-8 stays as it is.
fn escaped(body: &[u8]) -> Cow<'_, [u8]> {
    if body.is_ascii() {
        return Cow::Borrowed(body);
    }
    let mut escaped = Vec::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        for run in chunk.valid().split_inclusive(|c: char| !c.is_ascii()) {
            let last = run.char_indices().next_back().filter(|(_, c)| !c.is_ascii());
            let (ascii, other) = run.split_at(last.map_or(run.len(), |(start, _)| start));
            escaped.extend_from_slice(ascii.as_bytes());
            for unit in other.encode_utf16() {
                escaped.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
        escaped.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(escaped)
}

impl TryFrom<String> for Template {
    type Error = NotATemplate;

    fn try_from(text: String) -> Result<Self, NotATemplate> {
        let template = Self(text.into());
        template.parts()?;
        Ok(template)
    }
}

impl FromStr for Template {
    type Err = NotATemplate;

    fn from_str(text: &str) -> Result<Self, NotATemplate> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sent;
    use super::*;

    fn template(text: &str) -> Template {
        text.to_owned().try_into().unwrap()
    }

    fn message(template: &str, sent: &Sent) -> Result<String, Failure> {
        let template = self::template(template);
        let request = sent.presented();
        let (message, complete) = template.read(&request, None);
        let mut bytes = Vec::new();
        message.feed("17", &mut |part| bytes.extend_from_slice(part));
        complete.map(|()| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn holes_are_filled() {
        let headers = [("x-id", "a.b"), ("x-plain", "a-b"), ("x-twice", "1"), ("x-twice", "1"), ("x-empty", "")];
        let body = r#"{"id": "e-1", "n": 1.50, "o": {}}"#;
        let sent = Sent { query: Some("a=b&c".to_owned()), ..Sent::new(&headers, body.as_bytes()) };
        let url = "https://relay.example/in/acme/key?a=b&c";
        for (template, expected) in [
            ("", Ok(String::new())),
            ("v0:{ts}:{body}", Ok(format!("v0:17:{body}"))),
            ("{header:X-Id}.{body}", Ok(format!("a.b.{body}"))),
            ("{header:x-plain}{ts}", Ok("a-b17".to_owned())),
            ("{header:x-id}{ts}", Err(Failure::Malformed)),
            ("{header:x-empty}{ts}", Err(Failure::Malformed)),
            ("{ts}{header:x-id}", Ok("17a.b".to_owned())),
            ("{header:x-empty}|{ts}", Ok("|17".to_owned())),
            ("{header:x-none}.{body}", Err(Failure::Missing)),
            ("{header:x-twice}.{body}", Err(Failure::Repeated)),
            ("{header:x-twice}.{header:x-none}", Err(Failure::Repeated)),
            ("{json:/id}|{json:/n}", Ok("e-1|1.50".to_owned())),
            ("{json:/n}{json:/id}", Err(Failure::Malformed)),
            ("{json:/o}", Err(Failure::Missing)),
            ("{json:/x}.{json:/id}", Err(Failure::Missing)),
            ("{public_url}{body}", Ok(format!("{url}{body}"))),
            ("{{{ts}}}", Ok("{17}".to_owned())),
            ("{{body}}", Ok("{body}".to_owned())),
        ] {
            assert_eq!(message(template, &sent), expected, "{template}");
        }
    }

    #[test]
    fn no_beginning_of_a_body_passes_for_the_end_of_a_url() {
        for (path, query, is_fit) in [
            ("/a%7B", Some("b=c~'()*"), true),
            ("/{", None, false),
            ("", Some("{\"a\":"), false),
            ("", Some("["), false),
            ("", Some("a b"), false),
        ] {
            let sent = Sent { path: path.to_owned(), query: query.map(str::to_owned), ..Sent::new(&[], b"{}") };
            for (template, is_fit) in [("{public_url}{body}", is_fit), ("{public_url}.{body}", true)] {
                let (template, request) = (Template::new(template), sent.presented());
                let complete = template.read(&request, Some("https://a.example/x")).1;
                assert_eq!(complete.is_ok(), is_fit, "{path} {query:?}");
            }
        }
    }

    #[test]
    fn what_is_beyond_ascii_is_escaped_as_meta_escapes_it() {
        for (body, expected) in [
            (&b""[..], ""),
            (b"a/b\\/", "a/b\\/"),
            ("\u{e4}\u{f6}\u{e5}".as_bytes(), "\\u00e4\\u00f6\\u00e5"),
            ("a\u{20ac}b\u{1f600}c".as_bytes(), "a\\u20acb\\ud83d\\ude00c"),
            (b"\\u00E4", "\\u00E4"),
            ("\u{7f}\u{80}\u{ffff}".as_bytes(), "\u{7f}\\u0080\\uffff"),
        ] {
            assert_eq!(message("{body_escaped}", &Sent::new(&[], body)).as_deref(), Ok(expected));
        }
        assert_eq!(&*escaped(b"\xc3\xa4\xff\xc3a"), b"\\u00e4\xff\xc3a");
    }

    #[test]
    fn only_a_template_is_one() {
        for text in [
            "{",
            "}",
            "{}",
            "{ts",
            "ts}",
            "{Body}",
            "{ts }",
            "{body",
            "{header:}",
            "{header:a b}",
            "{json:a}",
            "{json:}",
            "{x:y}",
            "{{}",
            "{{ts}",
            "{{{ts}}",
        ] {
            assert_eq!(Template::try_from(text.to_owned()), Err(NotATemplate), "{text}");
            assert!(serde_json::from_value::<Template>(text.into()).is_err(), "{text}");
            let sent = Sent::new(&[], b"");
            let template = Template(text.to_owned().into());
            assert_eq!(template.read(&sent.presented(), None).1, Err(Failure::Malformed), "{text}");
        }
        let text = "{header:webhook-id}.{ts}.{body}{{}}";
        assert_eq!(serde_json::to_value(template(text)).unwrap(), text);
    }

    #[test]
    fn a_tenants_template_signs_the_body_and_reads_in_one_way() {
        for (text, is_fit) in [
            ("{body}", true),
            ("{body_escaped}", true),
            ("{ts}.{body}", true),
            ("{public_url}{body}", true),
            ("{ts}{{{body}", true),
            ("", false),
            ("{ts}", false),
            ("{{body}}", false),
            ("{json:/signature/timestamp}.{json:/signature/token}", false),
            ("{ts}{body}", false),
            ("{header:a}{body}", false),
            ("{body}{public_url}", false),
            ("{body}.{header:a}{header:b}", false),
            ("{body}.{body}", false),
            ("{body}.{body_escaped}", false),
        ] {
            assert_eq!(template(text).check().is_ok(), is_fit, "{text}");
        }
        assert!(template(&format!("{{body}}{}", "a".repeat(994))).check().is_ok());
        assert!(template(&format!("{{body}}{}", "a".repeat(995))).check().is_err());
        assert!(template(&format!("{{body}}{}", ".{ts}".repeat(14))).check().is_ok());
        assert!(template(&format!("{{body}}{}", ".{ts}".repeat(15))).check().is_err());
    }
}
