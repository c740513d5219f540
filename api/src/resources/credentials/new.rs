//! Credentials as they are asked for, and the rows that they become.

use entity::credential::{self, Kind, Owner};
use poem_openapi::{Object, Union};
use relay::keyring::Keyring;
use relay::password::Stored;
use relay::{secret, verification};
use secrecy::SecretString;

use super::super::check_username;
use super::{header, to_come};
use crate::auth::Access;
use crate::error::Error;
use crate::wire::{Key, Secret, Text, Time};

/// A credential to be made.
#[derive(Debug, Union)]
#[oai(one_of, discriminator_name = "kind")]
pub enum NewCredential {
    #[oai(mapping = "basic")]
    Basic(NewBasicCredential),
    #[oai(mapping = "oauth2_client")]
    Oauth2Client(NewOauth2ClientCredential),
    #[oai(mapping = "api_key")]
    ApiKey(NewApiKeyCredential),
    #[oai(mapping = "bearer")]
    Bearer(NewBearerCredential),
    #[oai(mapping = "hmac")]
    Hmac(NewHmacCredential),
    #[oai(mapping = "public_key")]
    PublicKey(NewPublicKeyCredential),
    #[oai(mapping = "verify_token")]
    VerifyToken(NewVerifyTokenCredential),
    #[oai(mapping = "external")]
    External(NewExternalCredential),
}

/// What every credential can have.
#[derive(Debug, Object)]
pub struct NewCredentialFacts {
    /// What the tenant calls it in `…/by-key/{key}`, unlike any other of its source; never changes. Not called `key`, which
    /// is the secret itself of some kinds.
    #[oai(nullable)]
    pub by_key: Option<Text<Key>>,
    /// When it ends, and what was issued to it; without it, never.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
}

/// User name and password, in `Authorization: Basic` (RFC 7617).
#[derive(Debug, Object)]
pub struct NewBasicCredential {
    #[oai(validator(min_length = 1, max_length = 255))]
    pub username: String,
    /// Without it, one is made and shown once.
    #[oai(nullable)]
    pub password: Option<Secret>,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A client that fetches tokens at `token_url` (RFC 6749, 4.4). Its id and secret are made here.
#[derive(Debug, Object)]
pub struct NewOauth2ClientCredential {
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A key in a header.
#[derive(Debug, Object)]
pub struct NewApiKeyCredential {
    /// The header's name; upper and lower case are the same.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub header: String,
    /// Without it, one is made and shown once.
    #[oai(nullable)]
    pub key: Option<Secret>,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A key in `Authorization: Bearer`.
#[derive(Debug, Object)]
pub struct NewBearerCredential {
    /// Without it, one is made and shown once. It stands in a header: no space at either end, and no control character.
    #[oai(nullable)]
    pub token: Option<Secret>,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A shared secret under which requests are signed.
#[derive(Debug, Object)]
pub struct NewHmacCredential {
    /// As the provider shows it.
    pub secret: Secret,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A public key of the provider, which signs with the other half.
#[derive(Debug, Object)]
pub struct NewPublicKeyCredential {
    /// As the provider shows it.
    #[oai(validator(min_length = 1, max_length = 8192))]
    pub key: String,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A shared secret that stands in requests or handshakes.
#[derive(Debug, Object)]
pub struct NewVerifyTokenCredential {
    /// Without it, one is made and shown once.
    #[oai(nullable)]
    pub token: Option<Secret>,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// An id that the provider gave, and that its signatures refer to.
#[derive(Debug, Object)]
pub struct NewExternalCredential {
    /// Shown as `external_id`.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub id: String,
    #[oai(flatten)]
    pub facts: NewCredentialFacts,
}

/// A credential whose secret is ready to be stored.
pub(super) struct Prepared {
    kind: Kind,
    name: Option<String>,
    kept: Kept,
    expires_at: Option<i64>,
    /// The secret, if we made it.
    pub(super) made: Option<SecretString>,
}

/// What is kept of a secret, or of what is none.
enum Kept {
    Hashed(Stored),
    Sealed(SecretString),
    Plain(String),
}

impl NewCredential {
    /// Checks what is asked for, and makes what was not given. Slow where a person chose the secret.
    pub(super) async fn prepare(self, access: &Access) -> Result<Prepared, Error> {
        let kind = self.kind();
        let expires_at = self.facts().expires_at.map(|at| to_come(at, access.app().clock.now())).transpose()?;
        let (name, (kept, made)) = match self {
            Self::Basic(new) => {
                check_username(&new.username, "/username")?;
                (Some(new.username), hashed(access, new.password).await?)
            }
            Self::Oauth2Client(_) => (None, hashed(access, None).await?),
            Self::ApiKey(new) => {
                let name = header::checked(&new.header)?;
                check_given(new.key.as_ref(), "/key")?;
                (Some(name), hashed(access, new.key).await?)
            }
            Self::Bearer(new) => {
                check_given(new.token.as_ref(), "/token")?;
                (None, hashed(access, new.token).await?)
            }
            Self::Hmac(new) => (None, (Kept::Sealed(new.secret.0), None)),
            Self::PublicKey(new) => (None, (Kept::Plain(public_key(new.key)?), None)),
            Self::VerifyToken(new) => (None, sealed(new.token)),
            Self::External(new) => (None, (Kept::Plain(new.id), None)),
        };
        Ok(Prepared { kind, name, kept, expires_at, made })
    }

    /// What every kind has.
    pub(super) fn facts(&self) -> &NewCredentialFacts {
        match self {
            Self::Basic(new) => &new.facts,
            Self::Oauth2Client(new) => &new.facts,
            Self::ApiKey(new) => &new.facts,
            Self::Bearer(new) => &new.facts,
            Self::Hmac(new) => &new.facts,
            Self::PublicKey(new) => &new.facts,
            Self::VerifyToken(new) => &new.facts,
            Self::External(new) => &new.facts,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Basic(_) => Kind::Basic,
            Self::Oauth2Client(_) => Kind::Oauth2Client,
            Self::ApiKey(_) => Kind::ApiKey,
            Self::Bearer(_) => Kind::Bearer,
            Self::Hmac(_) => Kind::Hmac,
            Self::PublicKey(_) => Kind::PublicKey,
            Self::VerifyToken(_) => Kind::VerifyToken,
            Self::External(_) => Kind::External,
        }
    }
}

impl Prepared {
    /// The row of a credential that is made `now`, and that nobody calls anything.
    pub(super) fn row(&self, keyring: &Keyring, owner: Owner, now: i64) -> credential::Model {
        credential::Model {
            tenant_id: owner.0.uuid(),
            source_id: owner.1.uuid(),
            id: owner.2.uuid(),
            kind: self.kind.to_string(),
            name: self.name.clone(),
            stored: match &self.kept {
                Kept::Hashed(stored) => stored.to_string(),
                Kept::Sealed(secret) => credential::sealed(keyring, owner, secret),
                Kept::Plain(text) => text.clone(),
            },
            expires_at: self.expires_at,
            last_used_at: None,
            key: None,
            created_at: now,
        }
    }
}

/// For a secret that is only compared.
async fn hashed(access: &Access, given: Option<Secret>) -> Result<(Kept, Option<SecretString>), Error> {
    match given {
        Some(chosen) => Ok((Kept::Hashed(Stored::chosen(access.id().uuid(), &chosen.0).await?), None)),
        None => {
            let made = secret::password();
            Ok((Kept::Hashed(Stored::generated(&made)), Some(made)))
        }
    }
}

/// For a secret that must be read again.
fn sealed(given: Option<Secret>) -> (Kept, Option<SecretString>) {
    match given {
        Some(chosen) => (Kept::Sealed(chosen.0), None),
        None => {
            let made = secret::password();
            (Kept::Sealed(made.clone()), Some(made))
        }
    }
}

fn check_given(given: Option<&Secret>, pointer: &str) -> Result<(), Error> {
    use secrecy::ExposeSecret;
    given.map_or(Ok(()), |given| header::check_value(given.0.expose_secret(), pointer))
}

fn public_key(key: String) -> Result<String, Error> {
    if verification::is_public_key(&key) {
        return Ok(key);
    }
    Err(Error::field(
        "/key",
        "is not a public key that signatures can be checked with: give it as the provider shows it",
    ))
}
