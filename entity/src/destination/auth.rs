//! How deliveries prove who sends them: kinds, and their sealed form.

use relay::id::{DestinationId, TenantId};
use relay::keyring::{Keyring, OpenError};
use relay::secret::{equal, fingerprint};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Model;

/// How deliveries authenticate.
#[derive(Debug, Clone)]
pub enum Auth {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    Bearer {
        token: SecretString,
    },
    /// A header of the destination's own.
    Header {
        /// In lower case.
        name: String,
        value: SecretString,
    },
    OAuth2(OAuth2Client),
}

/// What access tokens are asked for with (RFC 6749, 4.4).
#[derive(Debug, Clone)]
pub struct OAuth2Client {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub scope: Option<String>,
    pub client_auth: ClientAuth,
}

/// How the client proves who it is at the token endpoint (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the body.
    Post,
}

impl Auth {
    /// As `auth_kind` and the API have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::Header { .. } => "header",
            Self::OAuth2(_) => "oauth2_client_credentials",
        }
    }

    /// Whether both say the same, in a time that tells nothing of what they say.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let said = |auth: &Self| fingerprint(auth.plain().unwrap_or_default().to_string().as_bytes());
        self.kind() == other.kind() && equal(&said(self), &said(other))
    }

    /// What is sealed; None where there is no secret.
    fn plain(&self) -> Option<Value> {
        Some(match self {
            Self::None => return None,
            Self::Basic { username, password } => json!({ "username": username, "password": password.expose_secret() }),
            Self::Bearer { token } => json!({ "token": token.expose_secret() }),
            Self::Header { name, value } => json!({ "name": name, "value": value.expose_secret() }),
            Self::OAuth2(client) => json!({
                "token_url": client.token_url,
                "client_id": client.client_id,
                "client_secret": client.client_secret.expose_secret(),
                "scope": client.scope,
                "client_auth": client.client_auth,
            }),
        })
    }

    fn read(kind: &str, plain: &[u8]) -> Option<Self> {
        let read = serde_json::from_slice::<Plain>(plain).ok()?;
        let secret = |text: Option<String>| text.map(SecretString::from);
        Some(match kind {
            "basic" => Self::Basic { username: read.username?, password: secret(read.password)? },
            "bearer" => Self::Bearer { token: secret(read.token)? },
            "header" => Self::Header { name: read.name?, value: secret(read.value)? },
            "oauth2_client_credentials" => Self::OAuth2(OAuth2Client {
                token_url: read.token_url?,
                client_id: read.client_id?,
                client_secret: secret(read.client_secret)?,
                scope: read.scope,
                client_auth: read.client_auth.unwrap_or_default(),
            }),
            _ => return None,
        })
    }
}

/// What of a sealed form each kind needs.
#[derive(Deserialize)]
struct Plain {
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    name: Option<String>,
    value: Option<String>,
    token_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
    client_auth: Option<ClientAuth>,
}

/// The columns `auth_kind` and `auth`.
#[must_use]
pub fn sealed_auth(
    keyring: &Keyring,
    (tenant, id): (TenantId, DestinationId),
    auth: &Auth,
) -> (String, Option<String>) {
    let sealed = auth.plain().map(|plain| keyring.seal(plain.to_string().as_bytes(), &owner(tenant, id)));
    (auth.kind().to_owned(), sealed)
}

/// How deliveries authenticate. Malformed, too, if a newer version wrote a kind that this one does not know.
pub fn open_auth(keyring: &Keyring, row: &Model) -> Result<Auth, OpenError> {
    match (row.auth_kind.as_str(), &row.auth) {
        ("none", _) => Ok(Auth::None),
        (kind, Some(sealed)) => {
            let plain = keyring.open(sealed, &owner(row.tenant(), row.id()))?;
            Auth::read(kind, plain.expose_secret()).ok_or(OpenError::Malformed)
        }
        (_, None) => Err(OpenError::Malformed),
    }
}

pub(super) fn owner(tenant: TenantId, id: DestinationId) -> String {
    format!("{tenant}/{id}/auth")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::tests::row;

    fn keyring() -> Keyring {
        Keyring::parse(Keyring::generate_text().expose_secret()).unwrap()
    }

    fn every_kind() -> Vec<Auth> {
        let client = |scope: Option<&str>, client_auth| OAuth2Client {
            token_url: "https://example.com/token".into(),
            client_id: "id".into(),
            client_secret: "canary".into(),
            scope: scope.map(str::to_owned),
            client_auth,
        };
        vec![
            Auth::None,
            Auth::Basic { username: "u".into(), password: "canary".into() },
            Auth::Bearer { token: "canary".into() },
            Auth::Header { name: "x-key".into(), value: "canary".into() },
            Auth::OAuth2(client(None, ClientAuth::Basic)),
            Auth::OAuth2(client(Some("a b"), ClientAuth::Post)),
        ]
    }

    #[test]
    fn every_kind_reads_back_and_none_shows_its_secret() {
        let (keyring, owner) = (keyring(), (TenantId::at(1), DestinationId::at(1)));
        for auth in every_kind() {
            let (auth_kind, sealed) = sealed_auth(&keyring, owner, &auth);
            let row = Model { auth_kind, auth: sealed, ..row(owner.0, owner.1) };
            let read = open_auth(&keyring, &row).unwrap();
            assert_eq!((read.kind(), read.plain()), (auth.kind(), auth.plain()));
            assert!(!format!("{read:?} {row:?}").contains("canary"), "{read:?} {row:?}");
        }
    }

    #[test]
    fn each_is_itself_and_no_other() {
        let all = every_kind();
        for (place, one) in all.iter().enumerate() {
            assert!(all.iter().enumerate().all(|(other, auth)| one.is(auth) == (place == other)), "{one:?}");
        }
        assert!(!Auth::Bearer { token: "a".into() }.is(&Auth::Bearer { token: "b".into() }));
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_destination_and_kind_only() {
        let (keyring, owner) = (keyring(), (TenantId::at(1), DestinationId::at(1)));
        let (auth_kind, auth) = sealed_auth(&keyring, owner, &Auth::Bearer { token: "t".into() });
        let row = Model { auth_kind, auth, ..row(owner.0, owner.1) };
        let strange = Model { id: DestinationId::at(2).uuid(), ..row.clone() };
        assert_eq!(open_auth(&keyring, &strange).unwrap_err(), OpenError::Tampered);
        for kind in ["basic", "header", "oauth2_client_credentials", "newer"] {
            let other = Model { auth_kind: kind.into(), ..row.clone() };
            assert_eq!(open_auth(&keyring, &other).unwrap_err(), OpenError::Malformed, "{kind}");
        }
        let missing = Model { auth: None, ..row };
        assert_eq!(open_auth(&keyring, &missing).unwrap_err(), OpenError::Malformed);
    }
}
