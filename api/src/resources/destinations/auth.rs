//! How deliveries authenticate, as the API has it: what is secret comes in and is never shown.

use entity::destination::{self, OAuth2Client};
use poem_openapi::{Enum, Object, Union};
use relay::header::{self, CustomName};
use secrecy::{ExposeSecret, SecretString};

use super::super::check_username;
use crate::app::App;
use crate::error::Error;
use crate::wire::Secret;

/// How deliveries authenticate.
#[derive(Debug, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum NewAuth {
    None(NoAuth),
    Basic(NewBasicAuth),
    Bearer(NewBearerAuth),
    Header(NewHeaderAuth),
    #[oai(mapping = "oauth2_client_credentials")]
    OAuth2(NewOAuth2Auth),
}

/// How deliveries authenticate, without what is secret.
#[derive(Debug, Clone, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum Auth {
    None(NoAuth),
    Basic(BasicAuth),
    Bearer(BearerAuth),
    Header(HeaderAuth),
    #[oai(mapping = "oauth2_client_credentials")]
    OAuth2(OAuth2Auth),
    Unreadable(UnreadableAuth),
}

/// What is in the database cannot be opened. Nothing is sent until it can, or the destination is told anew how to authenticate.
#[derive(Debug, Clone, Object)]
pub struct UnreadableAuth {}

/// Not at all.
#[derive(Debug, Clone, Object)]
pub struct NoAuth {}

/// User name and password.
#[derive(Debug, Object)]
pub struct NewBasicAuth {
    #[oai(validator(min_length = 1, max_length = 255))]
    pub username: String,
    pub password: Secret,
}

/// User name, with a password that is never shown.
#[derive(Debug, Clone, Object)]
pub struct BasicAuth {
    pub username: String,
}

/// A token in `Authorization: Bearer`.
#[derive(Debug, Object)]
pub struct NewBearerAuth {
    pub token: Secret,
}

/// A token that is never shown.
#[derive(Debug, Clone, Object)]
pub struct BearerAuth {}

/// A header of the receiver's own.
#[derive(Debug, Object)]
pub struct NewHeaderAuth {
    /// For example `X-Api-Key`; `Authorization`, too, for a scheme that has no kind of its own here.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    pub value: Secret,
}

/// A header, with a value that is never shown.
#[derive(Debug, Clone, Object)]
pub struct HeaderAuth {
    pub name: String,
}

/// Access tokens of a token endpoint (RFC 6749, client credentials). They are fetched when needed, kept until shortly
/// before they end, and fetched anew once if the destination answers 401.
#[derive(Debug, Object)]
pub struct NewOAuth2Auth {
    /// https, and no private address unless the operator allows it.
    #[oai(validator(min_length = 1))]
    pub token_url: String,
    #[oai(validator(min_length = 1, max_length = 255))]
    pub client_id: String,
    pub client_secret: Secret,
    #[oai(nullable, validator(min_length = 1, max_length = 1000))]
    pub scope: Option<String>,
    /// Where the token endpoint wants id and secret; `basic` unless said otherwise.
    #[oai(nullable)]
    pub client_auth: Option<ClientAuth>,
}

/// Where tokens come from, with a secret that is never shown.
#[derive(Debug, Clone, Object)]
pub struct OAuth2Auth {
    pub token_url: String,
    pub client_id: String,
    #[oai(nullable)]
    pub scope: Option<String>,
    pub client_auth: ClientAuth,
}

/// Where a token endpoint wants id and secret: `basic`, in the header `Authorization`; `post`, in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ClientAuth {
    Basic,
    Post,
}

impl From<destination::Auth> for Auth {
    fn from(auth: destination::Auth) -> Self {
        match auth {
            destination::Auth::None => Self::None(NoAuth {}),
            destination::Auth::Basic { username, .. } => Self::Basic(BasicAuth { username }),
            destination::Auth::Bearer { .. } => Self::Bearer(BearerAuth {}),
            destination::Auth::Header { name, .. } => Self::Header(HeaderAuth { name }),
            destination::Auth::OAuth2(client) => Self::OAuth2(OAuth2Auth {
                token_url: client.token_url,
                client_id: client.client_id,
                scope: client.scope,
                client_auth: client.client_auth.into(),
            }),
        }
    }
}

impl From<destination::ClientAuth> for ClientAuth {
    fn from(style: destination::ClientAuth) -> Self {
        match style {
            destination::ClientAuth::Basic => Self::Basic,
            destination::ClientAuth::Post => Self::Post,
        }
    }
}

/// What was said, if requests can carry it.
pub(super) fn checked(app: &App, said: Option<NewAuth>) -> Result<destination::Auth, Error> {
    Ok(match said {
        None | Some(NewAuth::None(_)) => destination::Auth::None,
        Some(NewAuth::Basic(basic)) => {
            check_username(&basic.username, "/auth/username")?;
            destination::Auth::Basic { username: basic.username, password: basic.password.0 }
        }
        Some(NewAuth::Bearer(bearer)) => {
            check_value(&bearer.token.0, "/auth/token")?;
            if bearer.token.0.expose_secret().contains(' ') {
                return Err(Error::field("/auth/token", "must have no spaces; `Bearer ` is put before it"));
            }
            destination::Auth::Bearer { token: bearer.token.0 }
        }
        Some(NewAuth::Header(header)) => {
            let name = CustomName::of_a_proof(&header.name);
            let name = name.map_err(|error| Error::field("/auth/name", error.to_string()))?;
            check_value(&header.value.0, "/auth/value")?;
            destination::Auth::Header { name: name.to_string(), value: header.value.0 }
        }
        Some(NewAuth::OAuth2(client)) => destination::Auth::OAuth2(client.checked(app)?),
    })
}

impl NewOAuth2Auth {
    fn checked(self, app: &App) -> Result<OAuth2Client, Error> {
        let token_url = app.guard.check_url(&self.token_url);
        let token_url = token_url.map_err(|refusal| Error::field("/auth/token_url", refusal.to_string()))?;
        // RFC 6749, appendix A: visible ASCII.
        let is_visible = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        for (text, pointer) in [
            (self.client_id.as_str(), "/auth/client_id"),
            (self.client_secret.0.expose_secret(), "/auth/client_secret"),
            (self.scope.as_deref().unwrap_or_default(), "/auth/scope"),
        ] {
            if !is_visible(text) {
                return Err(Error::field(pointer, "must be visible ASCII characters and spaces"));
            }
        }
        Ok(OAuth2Client {
            token_url: token_url.into(),
            client_id: self.client_id,
            client_secret: self.client_secret.0,
            scope: self.scope,
            client_auth: match self.client_auth {
                None | Some(ClientAuth::Basic) => destination::ClientAuth::Basic,
                Some(ClientAuth::Post) => destination::ClientAuth::Post,
            },
        })
    }
}

/// The longest secret that the API takes in.
const LONGEST: usize = 1024;

fn check_value(value: &SecretString, pointer: &str) -> Result<(), Error> {
    if header::is_value(value.expose_secret(), LONGEST) {
        return Ok(());
    }
    Err(Error::field(pointer, "must be visible ASCII characters, with no space at either end: it stands in a header"))
}
