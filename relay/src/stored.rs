//! Headers as events keep them: a JSON array of `[name, value]` in the order they came, repeats kept, each byte of a value
//! as the letter of that number; what authenticated the request struck out.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What stands in the place of a value that authenticated the request.
pub const REDACTED: &str = "[redacted]";

/// The headers of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads the column; what is no list of pairs is none.
    #[must_use]
    pub fn read(column: &str) -> Self {
        Self(serde_json::from_str(column).unwrap_or_default())
    }

    /// The first value of this name.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<Vec<u8>> {
        let (_, value) = self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        bytes(value)
    }

    /// Names as they came and values byte by byte, in their order, without what was struck out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let kept = self.0.iter().filter(|(_, value)| value != REDACTED);
        kept.filter_map(|(name, value)| Some((name.as_str(), bytes(value)?)))
    }

    /// As a request has them, without what was struck out.
    #[must_use]
    pub fn map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
        map
    }

    /// Names as they came and values as text: as UTF-8 where they are that, else letter by letter.
    #[must_use]
    pub fn texts(&self) -> Vec<(String, String)> {
        self.iter().map(|(name, value)| (name.to_owned(), text(&value))).collect()
    }
}

/// A value as UTF-8 where it is that, else letter by letter.
#[must_use]
pub fn text(value: &[u8]) -> String {
    let letters = || value.iter().map(|byte| char::from(*byte)).collect();
    std::str::from_utf8(value).map_or_else(|_| letters(), str::to_owned)
}

/// What the column says for these headers.
///
/// # Panics
/// Never: texts are JSON.
#[must_use]
pub fn column(headers: &[(String, Vec<u8>)]) -> String {
    let letters = |value: &[u8]| value.iter().map(|byte| char::from(*byte)).collect::<String>();
    let pairs: Vec<(&str, String)> = headers.iter().map(|(name, value)| (name.as_str(), letters(value))).collect();
    serde_json::to_string(&pairs).expect("texts are JSON")
}

/// Each letter is the byte of that number.
fn bytes(value: &str) -> Option<Vec<u8>> {
    value.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::read(&serde_json::to_string(pairs).unwrap())
    }

    #[test]
    fn order_repeats_and_every_byte_are_kept() {
        let headers = headers(&[("X-B", "2"), ("x-a", "\u{ff}"), ("x-b", ""), ("x-c", "\u{100}")]);
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("X-B", b"2".to_vec()), ("x-a", b"\xff".to_vec()), ("x-b", Vec::new())]);
        assert_eq!(headers.one("x-b"), Some(b"2".to_vec()));
        assert_eq!(headers.map().get_all("x-b").iter().count(), 2);
    }

    #[test]
    fn what_is_written_reads_back() {
        let told = [("X-B".to_owned(), b"2\xff".to_vec()), ("x-b".to_owned(), Vec::new())];
        let column = column(&told);
        assert_eq!(column, r#"[["X-B","2ÿ"],["x-b",""]]"#);
        let back: Vec<_> = Headers::read(&column).iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(back, told);
    }

    #[test]
    fn what_was_struck_out_stays_out() {
        let headers = headers(&[("x-key", "[redacted]"), ("x-key", "[redacted] "), ("x-other", "1")]);
        let all: Vec<_> = headers.iter().map(|(_, value)| value).collect();
        assert_eq!(all, [b"[redacted] ".to_vec(), b"1".to_vec()]);
        assert_eq!(headers.map().len(), 2);
    }

    #[test]
    fn a_value_reads_as_utf_8_or_letter_by_letter() {
        let zoe = "Zo\u{c3}\u{ab}";
        let texts = headers(&[("a", zoe), ("b", "\u{ff}")]).texts();
        assert_eq!(texts, [("a".to_owned(), "Zoë".to_owned()), ("b".to_owned(), "ÿ".to_owned())]);
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        assert_eq!(Headers::read("{"), Headers::default());
        let odd = headers(&[("no name", "1"), ("x", "a\nb")]);
        assert_eq!(odd.map().len(), 0);
    }
}
