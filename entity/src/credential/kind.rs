//! The kinds of credentials.

use std::fmt;
use std::str::FromStr;

/// How a credential is presented, and so what is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A user name with a password, RFC 7617. The password is hashed.
    Basic,
    /// A client of our token server, RFC 6749 4.4. Its secret is hashed.
    Oauth2Client,
    /// A key in a header of any name. Hashed.
    ApiKey,
    /// A key in `Authorization: Bearer`. Hashed.
    Bearer,
    /// A shared secret under which requests are signed. Sealed.
    Hmac,
    /// A public key of the provider. Kept as it is.
    PublicKey,
    /// A shared secret that stands somewhere in requests or handshakes. Sealed.
    VerifyToken,
    /// An id that the provider gave and signatures refer to. Kept as it is.
    External,
}

/// Not a kind that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of credential")]
pub struct NotAKind(String);

impl Kind {
    const ALL: [Self; 8] = [
        Self::Basic,
        Self::Oauth2Client,
        Self::ApiKey,
        Self::Bearer,
        Self::Hmac,
        Self::PublicKey,
        Self::VerifyToken,
        Self::External,
    ];

    /// As the column and the API have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Oauth2Client => "oauth2_client",
            Self::ApiKey => "api_key",
            Self::Bearer => "bearer",
            Self::Hmac => "hmac",
            Self::PublicKey => "public_key",
            Self::VerifyToken => "verify_token",
            Self::External => "external",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Self, NotAKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| NotAKind(text.to_owned()))
    }
}
