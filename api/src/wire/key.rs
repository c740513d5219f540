//! What a tenant calls one of its things, so that the same set-up can be applied again and again.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::str::FromStr;

use super::Meaning;

/// Stands in paths, so it can neither be `..` nor need escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

/// The key in a path, whatever it is: an id that is none is answered like one that is unknown, but a key is chosen, and
/// whoever chose one that is none hears the rule.
#[derive(Debug, Clone)]
pub struct KeyInPath(pub Result<Key, NoKey>);

const LONGEST: usize = 64;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to {LONGEST} of a-z, A-Z, 0-9, `.`, `_` and `-`, and begins with a letter or digit")]
pub struct NoKey;

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if begins_well && text.len() <= LONGEST && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoKey)
        }
    }
}

impl Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Meaning for Key {
    const FORMAT: &'static str = "key";

    fn pattern() -> Option<String> {
        Some(format!("^[a-zA-Z0-9][a-zA-Z0-9._-]{{0,{}}}$", LONGEST - 1))
    }
}

impl FromStr for KeyInPath {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}

impl Display for KeyInPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |key| key.fmt(out))
    }
}

impl Meaning for KeyInPath {
    const FORMAT: &'static str = Key::FORMAT;

    fn pattern() -> Option<String> {
        Key::pattern()
    }
}

impl Key {
    /// As rows have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_a_path_can_hold() {
        for (text, good) in [
            ("a", true),
            ("7", true),
            ("Ondato_prod-2.eu", true),
            (&"k".repeat(64), true),
            (&"k".repeat(65), false),
            ("", false),
            (".", false),
            ("..", false),
            ("-a", false),
            ("_a", false),
            ("a/b", false),
            ("a b", false),
            ("a%20", false),
            ("ä", false),
        ] {
            assert_eq!(text.parse::<Key>().is_ok(), good, "{text:?}");
        }
    }
}
