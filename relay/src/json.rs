//! Reading single values out of a body in JSON. The body is only looked at: once to see that it is JSON, and once, from
//! its beginning to its end, for everything that is wanted of it, so that a large one costs little whatever it holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

/// The longest text that [`read`] takes, in bytes, as it is written: signatures and tokens are shorter.
pub const LONGEST: usize = 64 * 1024;

/// What stands at each of these pointers (RFC 6901): a text as it means, a number as it is written, nothing else. Of a
/// member that stands there twice the last counts, as most readers of JSON take it. What is longer than [`LONGEST`] is
/// left where it is.
#[must_use]
pub fn read(body: &[u8], pointers: &[&str]) -> Vec<Option<String>> {
    read_up_to(body, pointers, LONGEST)
}

/// As [`read`], but nothing that is written in more than `longest` bytes.
#[must_use]
pub fn read_up_to(body: &[u8], pointers: &[&str], longest: usize) -> Vec<Option<String>> {
    let found = written(body, pointers).unwrap_or_else(|| vec![None; pointers.len()]);
    let short = found.into_iter().map(|text| text.filter(|text| text.len() <= longest));
    short.map(|text| scalar(text?)).collect()
}

/// What stands at each of these pointers, whatever it is, as it is written; nothing at all if the body is no JSON. Of a
/// member that stands there twice the last counts.
#[must_use]
pub fn written<'b>(body: &'b [u8], pointers: &[&str]) -> Option<Vec<Option<&'b str>>> {
    let whole: &RawValue = serde_json::from_slice(unmarked(body)).ok()?;
    let mut found = vec![None; pointers.len()];
    Walk::over(whole.get(), &mut found).value(&Wanted::all(pointers));
    Some(found)
}

/// The items of a list that is JSON, as they are written.
pub fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut walk = Walk::over(list, &mut []);
    walk.at = 1;
    std::iter::from_fn(move || {
        let start = if walk.is_inside(b']') { walk.at } else { return None };
        walk.pass();
        walk.json.get(start..walk.at)
    })
}

/// What a text that is JSON means. Nothing if that is no text that can be: half of a surrogate pair.
#[must_use]
pub fn text(written: &str) -> Option<Cow<'_, str>> {
    if written.contains('\\') {
        return serde_json::from_str(written).ok().map(Cow::Owned);
    }
    Some(written.strip_prefix('"')?.strip_suffix('"')?.into())
}

/// The body without UTF-8's byte order mark, which some senders begin with although JSON has none.
#[must_use]
pub fn unmarked(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn scalar(written: &str) -> Option<String> {
    match written.as_bytes().first()? {
        b'"' => text(written).map(Cow::into_owned),
        b'-' | b'0'..=b'9' => Some(written.to_owned()),
        _ => None,
    }
}

/// What is wanted of a value and of what is below it. Pointers are told by their places in the list.
#[derive(Debug, Default)]
struct Wanted<'p> {
    here: Vec<usize>,
    here_or_below: Vec<usize>,
    below: BTreeMap<Cow<'p, str>, Self>,
    /// The names below that are an item's.
    items: BTreeSet<usize>,
}

impl<'p> Wanted<'p> {
    fn all(pointers: &[&'p str]) -> Self {
        let mut whole = Self::default();
        for (place, pointer) in pointers.iter().enumerate() {
            match pointer.strip_prefix('/') {
                Some(path) => whole.add(place, path.split('/')),
                None if pointer.is_empty() => whole.add(place, std::iter::empty()),
                None => {}
            }
        }
        whole
    }

    fn add(&mut self, place: usize, path: impl Iterator<Item = &'p str>) {
        let mut wanted = self;
        wanted.here_or_below.push(place);
        for name in path.map(unescaped) {
            wanted.items.extend(index(&name));
            wanted = wanted.below.entry(name).or_default();
            wanted.here_or_below.push(place);
        }
        wanted.here.push(place);
    }
}

fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

/// An item's number is written without zeros before it.
fn index(name: &str) -> Option<usize> {
    name.parse().ok().filter(|index: &usize| index.to_string() == name)
}

/// On the way through a text that is known to be JSON, and never back.
struct Walk<'b, 'f> {
    json: &'b str,
    at: usize,
    found: &'f mut [Option<&'b str>],
    #[cfg(test)]
    looked_up: usize,
}

#[cfg(test)]
thread_local! {
    /// How many bytes were given to walk over.
    pub(crate) static WALKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl<'b, 'f> Walk<'b, 'f> {
    fn over(json: &'b str, found: &'f mut [Option<&'b str>]) -> Self {
        #[cfg(test)]
        WALKED.set(WALKED.get() + json.len());
        Self {
            json,
            at: 0,
            found,
            #[cfg(test)]
            looked_up: 0,
        }
    }

    fn value(&mut self, wanted: &Wanted<'_>) {
        // An earlier member of the same name no longer counts.
        for &place in &wanted.here_or_below {
            self.found[place] = None;
        }
        let first = self.ahead();
        let start = self.at;
        match first {
            Some(b'{') if !wanted.below.is_empty() => self.object(wanted),
            Some(b'[') if !wanted.items.is_empty() => self.list(wanted),
            _ => self.pass(),
        }
        for &place in &wanted.here {
            self.found[place] = self.json.get(start..self.at);
        }
    }

    fn object(&mut self, wanted: &Wanted<'_>) {
        self.at += 1;
        while self.is_inside(b'}') {
            let name = self.name();
            match name.and_then(|name| self.look_up(wanted, &name)) {
                Some(below) => self.value(below),
                None => self.pass(),
            }
        }
        self.at += 1;
    }

    fn list(&mut self, wanted: &Wanted<'_>) {
        self.at += 1;
        let mut items = wanted.items.iter().peekable();
        let mut index = 0;
        while self.is_inside(b']') {
            match items.next_if_eq(&&index).and_then(|index| self.look_up(wanted, &index.to_string())) {
                Some(below) => self.value(below),
                None => self.pass(),
            }
            index += 1;
        }
        self.at += 1;
    }

    fn look_up<'w, 'p>(&mut self, wanted: &'w Wanted<'p>, name: &str) -> Option<&'w Wanted<'p>> {
        #[cfg(test)]
        {
            self.looked_up += 1;
        }
        wanted.below.get(name)
    }

    fn name(&mut self) -> Option<Cow<'b, str>> {
        let start = self.at;
        self.pass_text();
        text(self.json.get(start..self.at)?)
    }

    /// To the end of the value that begins here.
    fn pass(&mut self) {
        let mut depth = 0_usize;
        while let Some(first) = self.ahead() {
            match first {
                b'"' => self.pass_text(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                _ => self.pass_word(),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn pass_text(&mut self) {
        self.at += 1;
        while let Some(text) = self.json.as_bytes().get(self.at..) {
            let Some(length) = memchr::memchr2(b'"', b'\\', text) else {
                self.at = self.json.len();
                return;
            };
            let ends = text[length] == b'"';
            self.at += length + if ends { 1 } else { 2 };
            if ends {
                return;
            }
        }
    }

    fn pass_word(&mut self) {
        while self.byte().is_some_and(|byte| !b",]} \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn is_inside(&mut self, end: u8) -> bool {
        self.ahead().is_some_and(|byte| byte != end)
    }

    /// What comes after spaces, and after what stands between values.
    fn ahead(&mut self) -> Option<u8> {
        while self.byte().is_some_and(|byte| b" \t\r\n,:".contains(&byte)) {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_a_text_or_a_number() {
        let deep = format!(r#"{{"b": {}{}, "a": 1}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        for (body, pointer, value) in [
            (r#"{"a": "x"}"#, "/a", Some("x")),
            (r#"{"a": "\u00e9\n"}"#, "/a", Some("é\n")),
            (r#"{"a": 1.50}"#, "/a", Some("1.50")),
            (r#"{"a": -1e400}"#, "/a", Some("-1e400")),
            (r#"{"a": null}"#, "/a", None),
            (r#"{"a": true}"#, "/a", None),
            (r#"{"a": ["x"]}"#, "/a", None),
            (r#"{"a": {"b": [{"c": "x"}]}}"#, "/a/b/0/c", Some("x")),
            (r#"{"a": {"b": [{"c": "x"}]}}"#, "/a/b/1/c", None),
            (r#"{"a/b": {"c~d": "x"}}"#, "/a~1b/c~0d", Some("x")),
            (r#"{"\u0061": "x"}"#, "/a", Some("x")),
            (r#"{"": "x"}"#, "/", Some("x")),
            (r#""x""#, "", Some("x")),
            (r#"{"a": "x", "a": "y"}"#, "/a", Some("y")),
            (r#"{"a": {"b": "x"}, "a": {}}"#, "/a/b", None),
            ("\u{feff}{\"a\": \"x\"}", "/a", Some("x")),
            (&deep, "/a", Some("1")),
            (r#"{"a": "x"} {}"#, "/a", None),
            (r#"{"a": "x""#, "/a", None),
            ("a=x", "/a", None),
            ("", "/a", None),
        ] {
            let start: String = body.chars().take(40).collect();
            assert_eq!(read(body.as_bytes(), &[pointer]), [value.map(str::to_owned)], "{start} {pointer}");
        }
    }

    #[test]
    fn what_is_passed_over_is_passed_over_whole() {
        for (body, pointer, value) in [
            (r#"{"x": "\\", "a": "y"}"#, "/a", Some("y")),
            (r#"{"x": "\"a\": 1}", "a": "y"}"#, "/a", Some("y")),
            (r#"{"x": [{"a": "]}"}, "[{"], "a": "y"}"#, "/a", Some("y")),
            (r#"{"x":[],"y":{},"a":[[],{},"y"]}"#, "/a/2", Some("y")),
            (r#"[true,null,-1e5,"\u00e9",7 ]"#, "/4", Some("7")),
            (r#"{"\ud800": {"a": 1}, "a": "y"}"#, "/a", Some("y")),
            (r#"{"a": "\ud800", "b": 1}"#, "/a", None),
            (r#"["x"]"#, "/00", None),
            (r#"["x"]"#, "/+0", None),
            (r#"["x"]"#, "/-", None),
            (r#"{"00": "x"}"#, "/00", Some("x")),
            (r#"{"é": {"é": "x"}}"#, "/é/é", Some("x")),
            (r#"{"a": {"b": "x"}, "a": 7}"#, "/a/b", None),
            (r#"{"a": "x"}"#, "a", None),
        ] {
            assert_eq!(read(body.as_bytes(), &[pointer]), [value.map(str::to_owned)], "{body} {pointer}");
        }
    }

    #[test]
    fn what_is_too_long_is_left_where_it_is() {
        let body = format!(r#"{{"a": "{}", "b": 12345, "c": "{}"}}"#, "x".repeat(8), "x".repeat(9));
        assert_eq!(
            read_up_to(body.as_bytes(), &["/a", "/b", "/c"], 10),
            [Some("x".repeat(8)), Some("12345".to_owned()), None]
        );
        for (length, is_read) in [(LONGEST - 2, true), (LONGEST - 1, false)] {
            let body = format!(r#"["{}"]"#, "x".repeat(length));
            assert_eq!(read(body.as_bytes(), &["/0"])[0].is_some(), is_read, "{length}");
        }
    }

    #[test]
    fn a_long_body_is_gone_through_once_whatever_is_wanted_of_it() {
        let paths: Vec<String> =
            (0..64).map(|number| format!("/{}/a{}", number % 8, "/0".repeat(number / 8))).collect();
        let pointers: Vec<&str> = paths.iter().map(String::as_str).collect();
        let list = format!("[{}0]", "0,".repeat(512 * 1024));
        let members = format!(r#"[{{{}"b":0}}]"#, r#""b":0,"#.repeat(175_000));
        let nested = format!(r#"[{{"a":{}{}}}]"#, "[".repeat(500_000), "]".repeat(500_000));
        for (body, most) in [(&list, 8), (&members, 1 + 175_001), (&nested, 2 + 64)] {
            let mut found = vec![None; pointers.len()];
            let mut walk = Walk::over(body, &mut found);
            walk.value(&Wanted::all(&pointers));
            assert_eq!(walk.at, body.len());
            assert!(walk.looked_up <= most, "{} for {most}", walk.looked_up);
        }
    }

    #[test]
    fn whatever_stands_at_a_pointer_is_given_as_it_is_written() {
        let body = " {\"a\" : [ 1.50 , {\"b\":\"\\u00e9\"} ] , \"c\": null, \"d\": true, \"e\": {}, \"e\": \"\" } ";
        let pointers = ["", "/a", "/a/0", "/a/1", "/a/1/b", "/c", "/d", "/e", "/a/2", "/a/0/b", "/c/0", "a"];
        let expected = [
            Some(body.trim()),
            Some("[ 1.50 , {\"b\":\"\\u00e9\"} ]"),
            Some("1.50"),
            Some("{\"b\":\"\\u00e9\"}"),
            Some("\"\\u00e9\""),
            Some("null"),
            Some("true"),
            Some("\"\""),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(written(body.as_bytes(), &pointers), Some(expected.to_vec()));
        assert_eq!(written("\u{feff}1".as_bytes(), &[""]), Some(vec![Some("1")]));
        assert_eq!(written(b"{}", &[]), Some(Vec::new()));
        for body in ["", " ", "{", "{} 1", "a=1", "{\"a\": 01}", "nul"] {
            assert_eq!(written(body.as_bytes(), &["/a"]), None, "{body}");
        }
    }

    #[test]
    fn a_list_is_told_item_by_item() {
        for (list, expected) in [
            ("[]", &[][..]),
            ("[ ]", &[]),
            ("[1]", &["1"]),
            ("[ 1 , \"a,]\" , [2, [3]] , {\"b\": [4]} , null ]", &["1", "\"a,]\"", "[2, [3]]", "{\"b\": [4]}", "null"]),
        ] {
            assert_eq!(items(list).collect::<Vec<_>>(), expected, "{list}");
        }
    }

    #[test]
    fn a_text_means_what_it_is_escaped_from() {
        for (written, meant) in [
            (r#""""#, Some("")),
            (r#""é""#, Some("é")),
            (r#""\"""#, Some("\"")),
            (r#""\ud83d\ude00""#, Some("\u{1f600}")),
            (r#""\ud83d""#, None),
            ("1", None),
        ] {
            assert_eq!(text(written).as_deref(), meant, "{written}");
        }
    }

    #[test]
    fn several_pointers_are_followed_at_once() {
        let body = br#"{"a": {"b": "1", "c": "2"}, "d": "3"}"#;
        let texts = |values: [Option<&str>; 5]| values.map(|value| value.map(str::to_owned)).to_vec();
        let expected = texts([Some("1"), Some("2"), Some("3"), None, None]);
        assert_eq!(read(body, &["/a/b", "/a/c", "/d", "/a", "/e"]), expected);
        assert_eq!(read(b"\xff", &["/a", "", "/b", "/c", "/d"]), texts([None; 5]));
    }
}
