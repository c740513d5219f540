//! What a live tail tells of.

use std::fmt::{self, Display};
use std::str::FromStr;

use super::Meaning;

/// One kind of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Event,
    Delivery,
    Rejection,
}

/// Several of them, separated by commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

/// Why a text says no kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one or more of event, delivery and rejection, separated by commas")]
pub struct NoKinds;

impl Kind {
    const ALL: [Self; 3] = [Self::Event, Self::Delivery, Self::Rejection];

    /// As it is called on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::Rejection => "rejection",
        }
    }
}

impl Kinds {
    pub const ALL: Self = Self(0b111);

    #[must_use]
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl FromStr for Kinds {
    type Err = NoKinds;

    fn from_str(text: &str) -> Result<Self, NoKinds> {
        let mut kinds = 0;
        for name in text.split(',') {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim()).ok_or(NoKinds)?;
            kinds |= 1 << kind as u8;
        }
        Ok(Self(kinds))
    }
}

impl Display for Kinds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Kind::ALL.into_iter().filter(|kind| self.has(*kind)).map(Kind::name).collect();
        out.write_str(&names.join(","))
    }
}

impl Meaning for Kinds {
    const FORMAT: &'static str = "kinds";

    fn pattern() -> Option<String> {
        let name = Kind::ALL.map(Kind::name).join("|");
        Some(format!("^({name})(, *({name}))*$"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_in_any_order() {
        for (text, read) in [
            ("event", Some("event")),
            ("rejection,event", Some("event,rejection")),
            ("delivery, delivery", Some("delivery")),
            ("event,delivery,rejection", Some("event,delivery,rejection")),
            ("", None),
            ("event,", None),
            ("events", None),
        ] {
            let kinds = text.parse::<Kinds>().ok().map(|kinds| kinds.to_string());
            assert_eq!(kinds.as_deref(), read, "{text:?}");
        }
        assert_eq!("event,delivery,rejection".parse(), Ok(Kinds::ALL));
    }
}
