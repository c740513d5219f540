//! What a tenant says about a destination, and the columns that it becomes.

use entity::destination::{self, State};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, Union};
use relay::egress::Url;
use relay::id::DestinationId;
use relay::retry::{RetryError, RetryPolicy};
use relay::signature::SigningSecret;

use super::super::{NAME, check_username, set, set_or};
use crate::app::App;
use crate::auth::Access;
use crate::error::Error;
use crate::wire::Secret;

/// A destination to be made.
#[derive(Debug, Object)]
pub struct NewDestination {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// https, and no private address unless the operator allows it.
    #[oai(validator(min_length = 1))]
    pub url: String,
    /// How deliveries authenticate; without it, not at all.
    #[oai(nullable)]
    pub auth: Option<NewAuth>,
    /// How many seconds an attempt may take in all; 15 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "30")))]
    pub timeout_s: Option<i16>,
    /// When deliveries are tried again; without it, ten attempts in three days.
    #[oai(nullable)]
    pub retry: Option<Retry>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct DestinationPatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// https, and no private address unless the operator allows it.
    #[oai(validator(min_length = 1))]
    pub url: MaybeUndefined<String>,
    /// Null: not at all.
    #[oai(nullable)]
    pub auth: MaybeUndefined<NewAuth>,
    /// Null: 15.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "30")))]
    pub timeout_s: MaybeUndefined<i16>,
    /// Null: ten attempts in three days.
    #[oai(nullable)]
    pub retry: MaybeUndefined<Retry>,
}

/// When deliveries are tried again.
#[derive(Debug, Clone, Object)]
pub struct Retry {
    /// The wait before each attempt after the end of the one before, in seconds; the first is 0.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub schedule_s: Vec<u32>,
}

/// How deliveries authenticate.
#[derive(Debug, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum NewAuth {
    None(NoAuth),
    Basic(NewBasicAuth),
}

/// How deliveries authenticate, without what is secret.
#[derive(Debug, Clone, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum Auth {
    None(NoAuth),
    Basic(BasicAuth),
}

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

impl From<destination::Auth> for Auth {
    fn from(auth: destination::Auth) -> Self {
        match auth {
            destination::Auth::None => Self::None(NoAuth {}),
            destination::Auth::Basic { username, .. } => Self::Basic(BasicAuth { username }),
        }
    }
}

/// Product default: long enough for a slow receiver, short enough for a slot.
const TIMEOUT_S: i16 = 15;

/// The row of a new destination, made at `now`.
pub(super) fn new(
    access: &Access,
    now: i64,
    body: NewDestination,
    secret: &SigningSecret,
) -> Result<destination::Model, Error> {
    let (app, owner) = (access.app(), (access.id(), DestinationId::at(now)));
    let (auth_kind, auth) = destination::sealed_auth(&app.keyring, owner, &checked_auth(body.auth)?);
    Ok(destination::Model {
        tenant_id: owner.0.uuid(),
        id: owner.1.uuid(),
        name: body.name,
        url: checked_url(app, &body.url)?,
        auth_kind,
        auth,
        signing_secrets: destination::sealed_signing_secret(&app.keyring, owner, secret),
        timeout_s: body.timeout_s.unwrap_or(TIMEOUT_S),
        retry: retry(body.retry)?,
        state: State::Active.to_string(),
        state_reason: None,
        state_since: now,
        version: 1,
        created_at: now,
    })
}

/// Writes what a PATCH names.
pub(super) fn patch(app: &App, row: &mut destination::Model, body: DestinationPatch) -> Result<(), Error> {
    set(&mut row.name, body.name, NAME)?;
    if !body.url.is_undefined() {
        let before = row.url.clone();
        set(&mut row.url, body.url, "/url")?;
        row.url = checked_url(app, &row.url)?;
        let keeps_a_secret = row.auth.is_some() && body.auth.is_undefined();
        if keeps_a_secret && !is_same_origin(&before, &row.url) {
            return Err(Error::field("/auth", SECRET_STAYS));
        }
    }
    if !body.auth.is_undefined() {
        let auth = checked_auth(body.auth.take())?;
        (row.auth_kind, row.auth) = destination::sealed_auth(&app.keyring, (row.tenant(), row.id()), &auth);
    }
    set_or(&mut row.timeout_s, body.timeout_s, TIMEOUT_S);
    if !body.retry.is_undefined() {
        row.retry = retry(body.retry.take())?;
    }
    row.version += 1;
    Ok(())
}

/// A secret that is never read back must not be read by sending it elsewhere.
const SECRET_STAYS: &str = "the URL names another host, port or scheme: say what authenticates there; the password is kept \
    only for the old one";

fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |url: &str| Url::parse(url).map(|url| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

/// The URL as it is kept, if the guard lets deliveries go there. It is judged again at each attempt.
fn checked_url(app: &App, url: &str) -> Result<String, Error> {
    let checked = app.guard.check_url(url).map_err(|refusal| Error::field("/url", refusal.to_string()))?;
    Ok(checked.into())
}

fn checked_auth(said: Option<NewAuth>) -> Result<destination::Auth, Error> {
    match said {
        None | Some(NewAuth::None(_)) => Ok(destination::Auth::None),
        Some(NewAuth::Basic(basic)) => {
            check_username(&basic.username, "/auth/username")?;
            Ok(destination::Auth::Basic { username: basic.username, password: basic.password.0 })
        }
    }
}

fn retry(said: Option<Retry>) -> Result<Option<String>, Error> {
    let Some(said) = said else { return Ok(None) };
    let policy = RetryPolicy::new(said.schedule_s).map_err(|error| {
        let place = match error {
            RetryError::FirstWait => "/0".to_owned(),
            RetryError::TooLong(place) => format!("/{place}"),
            RetryError::Empty | RetryError::TooMany => String::new(),
        };
        Error::field(format!("/retry/schedule_s{place}"), error.to_string())
    })?;
    Ok(destination::retry_column(Some(&policy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_refused_at_its_wrong_place() {
        let refused = |schedule_s| match retry(Some(Retry { schedule_s })) {
            Err(Error::Invalid(troubles)) => troubles[0].pointer.clone(),
            Ok(column) => column,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused(vec![0, 5]).as_deref(), Some(r#"{"schedule_s":[0,5]}"#));
        assert_eq!(refused(vec![1]).as_deref(), Some("/retry/schedule_s/0"));
        assert_eq!(refused(vec![0, 1, 604_801]).as_deref(), Some("/retry/schedule_s/2"));
        assert_eq!(retry(None).unwrap(), None);
    }
}
