//! Credentials as they are shown: what of them is no secret, and what we made once, in the answer that made it.

use entity::credential::{self, Kind};
use poem_openapi::{Object, Union};
use relay::id::kind;
use secrecy::{ExposeSecret, SecretString};

use super::super::keyed;
use crate::app::App;
use crate::error::Error;
use crate::oauth;
use crate::wire::{Id, Key, Text, Time, time};

/// What a provider presents at a source, or signs with.
#[derive(Debug, Clone, Union)]
#[oai(one_of, discriminator_name = "kind")]
pub enum Credential {
    #[oai(mapping = "basic")]
    Basic(BasicCredential),
    #[oai(mapping = "oauth2_client")]
    Oauth2Client(Oauth2ClientCredential),
    #[oai(mapping = "api_key")]
    ApiKey(ApiKeyCredential),
    #[oai(mapping = "bearer")]
    Bearer(BearerCredential),
    #[oai(mapping = "hmac")]
    Hmac(HmacCredential),
    #[oai(mapping = "public_key")]
    PublicKey(PublicKeyCredential),
    #[oai(mapping = "verify_token")]
    VerifyToken(VerifyTokenCredential),
    #[oai(mapping = "external")]
    External(ExternalCredential),
}

/// What every credential has.
#[derive(Debug, Clone, Object)]
pub struct CredentialFacts {
    pub id: Id<kind::Credential>,
    /// What the tenant calls it in `…/by-key/{key}`; never changes.
    #[oai(nullable)]
    pub by_key: Option<Text<Key>>,
    /// When it ends; null: never.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
    /// Null if it was never used.
    #[oai(nullable)]
    pub last_used_at: Option<Time>,
    pub created_at: Time,
}

/// User name and password, in `Authorization: Basic` (RFC 7617).
#[derive(Debug, Clone, Object)]
pub struct BasicCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
    pub username: String,
    /// If it was made here: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub password: Option<String>,
}

/// A client that fetches tokens at `token_url` (RFC 6749, 4.4) and presents them in `Authorization: Bearer`.
#[derive(Debug, Clone, Object)]
pub struct Oauth2ClientCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
    pub client_id: String,
    /// Shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub client_secret: Option<String>,
    pub token_url: String,
}

/// A key in a header.
#[derive(Debug, Clone, Object)]
pub struct ApiKeyCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
    /// The header's name, in lower case.
    pub header: String,
    /// If it was made here: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub key: Option<String>,
}

/// A key in `Authorization: Bearer`.
#[derive(Debug, Clone, Object)]
pub struct BearerCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
    /// If it was made here: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub token: Option<String>,
}

/// A shared secret under which requests are signed.
#[derive(Debug, Clone, Object)]
pub struct HmacCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
}

/// A public key of the provider, which signs with the other half.
#[derive(Debug, Clone, Object)]
pub struct PublicKeyCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
    pub key: String,
}

/// A shared secret that stands in requests or handshakes.
#[derive(Debug, Clone, Object)]
pub struct VerifyTokenCredential {
    #[oai(flatten)]
    pub facts: CredentialFacts,
    /// If it was made here: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub token: Option<String>,
}

/// An id that the provider gave, and that its signatures refer to.
#[derive(Debug, Clone, Object)]
pub struct ExternalCredential {
    /// The credential's own id is `id`, as everywhere.
    #[oai(flatten)]
    pub facts: CredentialFacts,
    pub external_id: String,
}

impl Credential {
    /// Without any secret.
    pub(super) fn show(app: &App, row: &credential::Model) -> Result<Self, Error> {
        let unknown = || Error::Fault("the credential is of a kind of a newer version".into());
        let facts = CredentialFacts {
            id: row.id().into(),
            by_key: keyed::shown(row.key.as_deref())?,
            expires_at: row.expires_at.map(time),
            last_used_at: row.last_used_at.map(time),
            created_at: time(row.created_at),
        };
        let name = row.name.clone().unwrap_or_default();
        Ok(match row.kind().ok_or_else(unknown)? {
            Kind::Basic => Self::Basic(BasicCredential { facts, username: name, password: None }),
            Kind::Oauth2Client => Self::Oauth2Client(Oauth2ClientCredential {
                facts,
                client_id: row.id().to_string(),
                client_secret: None,
                token_url: format!("{}{}", app.public_url, oauth::PATH),
            }),
            Kind::ApiKey => Self::ApiKey(ApiKeyCredential { facts, header: name, key: None }),
            Kind::Bearer => Self::Bearer(BearerCredential { facts, token: None }),
            Kind::Hmac => Self::Hmac(HmacCredential { facts }),
            Kind::PublicKey => Self::PublicKey(PublicKeyCredential { facts, key: row.stored.clone() }),
            Kind::VerifyToken => Self::VerifyToken(VerifyTokenCredential { facts, token: None }),
            Kind::External => Self::External(ExternalCredential { facts, external_id: row.stored.clone() }),
        })
    }

    /// With the secret that was made for it, if one was.
    pub(super) fn with(mut self, made: Option<SecretString>) -> Self {
        let made = made.map(|made| made.expose_secret().to_owned());
        match &mut self {
            Self::Basic(shown) => shown.password = made,
            Self::Oauth2Client(shown) => shown.client_secret = made,
            Self::ApiKey(shown) => shown.key = made,
            Self::Bearer(shown) => shown.token = made,
            Self::VerifyToken(shown) => shown.token = made,
            Self::Hmac(_) | Self::PublicKey(_) | Self::External(_) => {}
        }
        self
    }
}
