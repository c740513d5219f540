//! What a tenant's key may do.

use std::fmt;

use poem_openapi::Enum;

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "Scope", rename_all = "snake_case")]
pub enum Scope {
    /// See settings, events without their content, deliveries.
    Read,
    /// Change settings.
    Write,
    /// Read the bodies of events.
    Payloads,
    /// Send events again; retry and cancel deliveries.
    Replay,
    /// Read what is secret and shown more than once: the URLs of sources.
    Secrets,
    /// Make, list and delete API keys.
    Keys,
    /// Read the audit log.
    Audit,
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scope {
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::Payloads, Self::Replay, Self::Secrets, Self::Keys, Self::Audit];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Payloads => "payloads",
            Self::Replay => "replay",
            Self::Secrets => "secrets",
            Self::Keys => "keys",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Scopes {
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// What a key may do that is made without saying: work with webhooks, but neither see secrets nor hand on rights.
    #[must_use]
    pub fn usual() -> Self {
        [Scope::Read, Scope::Write, Scope::Payloads, Scope::Replay].into_iter().collect()
    }

    /// Reads the column: names separated by spaces. A name that only a newer version knows gives no right here.
    #[must_use]
    pub fn read(column: &str) -> Self {
        Scope::ALL.into_iter().filter(|scope| column.split(' ').any(|name| name == scope.name())).collect()
    }

    /// What the column says.
    #[must_use]
    pub fn column(self) -> String {
        self.iter().map(Scope::name).collect::<Vec<_>>().join(" ")
    }

    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_from_their_column() {
        assert_eq!(Scopes::all().column(), "read write payloads replay secrets keys audit");
        assert_eq!(Scopes::read(&Scopes::all().column()), Scopes::all());
        assert_eq!(Scopes::read(""), Scopes::read("admin"));
        assert!(Scopes::read("admin keys").has(Scope::Keys));
        assert!(!Scopes::read("admin keys").has(Scope::Read));
    }

    #[test]
    fn the_usual_scopes_hand_on_no_rights() {
        for scope in [Scope::Secrets, Scope::Keys, Scope::Audit] {
            assert!(!Scopes::usual().has(scope), "{scope}");
        }
        assert_eq!(Scopes::usual().and(Scopes::read("keys read")).column(), "read");
    }
}
