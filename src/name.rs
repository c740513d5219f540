//! A name for people, as long as the admin API lets it be.

use std::str::FromStr;

#[derive(Debug, Clone)]
pub(crate) struct Name(pub(crate) String);

/// A value that clap shows together with the flag.
#[derive(Debug, thiserror::Error)]
#[error("a name has 1 to 200 characters")]
pub(crate) struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        match text.chars().count() {
            1..=200 => Ok(Self(text.to_owned())),
            _ => Err(NoName),
        }
    }
}
