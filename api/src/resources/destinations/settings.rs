//! What a tenant says about a destination, and the columns that it becomes.

use std::collections::BTreeMap;

use entity::destination::{self, Settings, Signers, State, sealed_tls_key};
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;
use relay::egress::{ClientTls, TlsError, Url};
use relay::header::{CustomName, Template};
use relay::id::DestinationId;
use relay::keyring::OpenError;
use relay::secret::equal;
use secrecy::ExposeSecret;

use super::super::{NAME, keyed, or_null, set, set_or, told};
use super::auth::{self, NewAuth};
use super::policy::{self, DestinationRate, Order, Retry};
use super::signing::Signing;
use crate::app::App;
use crate::auth::Access;
use crate::error::Error;
use crate::schema::join;
use crate::wire::{Key, PrivateKey, Text};

/// A destination to be made.
#[derive(Debug, Object)]
pub struct NewDestination {
    /// What the tenant calls it, unlike any other of its destinations; never changes.
    #[oai(nullable)]
    pub key: Option<Text<Key>>,
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// https, and no private address unless the operator allows it.
    #[oai(validator(min_length = 1))]
    pub url: String,
    #[oai(flatten)]
    pub settings: DestinationSettings,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct DestinationPatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// https, and no private address unless the operator allows it.
    #[oai(validator(min_length = 1))]
    pub url: MaybeUndefined<String>,
    #[oai(flatten)]
    pub settings: DestinationSettings,
}

/// All of it, in a creation as in a change.
#[derive(Debug, Object)]
pub struct DestinationSettings {
    /// How deliveries authenticate. Null: not at all.
    #[oai(nullable)]
    pub auth: MaybeUndefined<NewAuth>,
    /// How deliveries are signed besides `v1` of Standard Webhooks. Null: not besides.
    #[oai(nullable)]
    pub signing: MaybeUndefined<Signing>,
    /// Headers that deliveries have besides, by name. A value may have gaps that each event fills: `{event_id}`,
    /// `{event_type}`, `{derived_type}`, `{external_id}`, `{request_id}`, `{source_id}`, `{attribute:NAME}`; the header is
    /// left out where an event does not say what a gap needs. A brace is written twice. Null: none.
    #[oai(nullable, validator(max_properties = 32))]
    pub headers: MaybeUndefined<BTreeMap<String, String>>,
    /// How many seconds an attempt may take in all. Null: 15.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "30")))]
    pub timeout_s: MaybeUndefined<i16>,
    /// When deliveries are tried again. Null: ten attempts in three days, whatever is answered.
    #[oai(nullable)]
    pub retry: MaybeUndefined<Retry>,
    /// How often the destination is asked. Null: as often as it answers.
    #[oai(nullable)]
    pub rate_limit: MaybeUndefined<DestinationRate>,
    /// How many requests may be in flight at a time. Null: what it takes, 64 at most.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000")))]
    pub max_in_flight: MaybeUndefined<u16>,
    /// In which order deliveries are made. Null: in any.
    #[oai(nullable)]
    pub order: MaybeUndefined<Order>,
    /// What TLS needs besides the world's certificate authorities. Null: nothing.
    #[oai(nullable)]
    pub tls: MaybeUndefined<NewTls>,
    /// Whether the answers to successful attempts are kept as well. Null: only those to failed ones.
    #[oai(nullable)]
    pub keep_responses: MaybeUndefined<bool>,
    /// Whether subscriptions that listen to all sources send here what happens to the tenant's other destinations, too
    /// (the built-in source). Null: only those that name that source.
    #[oai(nullable)]
    pub operational: MaybeUndefined<bool>,
}

/// What TLS needs besides the world's certificate authorities.
#[derive(Debug, Object)]
pub struct NewTls {
    /// Certificates in PEM: of the authorities that alone are trusted.
    #[oai(nullable, validator(min_length = 1, max_length = 65536))]
    pub ca: Option<String>,
    /// A certificate with its chain in PEM, and with `client_key`: shown to a server that asks who we are.
    #[oai(nullable, validator(min_length = 1, max_length = 65536))]
    pub client_certificate: Option<String>,
    /// The private key of `client_certificate`, which it comes with, in PEM and without a password.
    #[oai(nullable)]
    pub client_key: Option<PrivateKey>,
}

/// Product default: long enough for a slow receiver, short enough for a slot.
const TIMEOUT_S: i16 = 15;

/// The row of a new destination, made at `now`, and what it is signed with.
pub(super) fn new(access: &Access, now: i64, body: NewDestination) -> Result<(destination::Model, Signers), Error> {
    let (app, owner) = (access.app(), (access.id(), DestinationId::at(now)));
    let signers = Signers::generate(false);
    let mut row = destination::Model {
        tenant_id: owner.0.uuid(),
        id: owner.1.uuid(),
        name: body.name,
        url: checked_url(app, &body.url)?,
        auth_kind: destination::Auth::None.kind().to_owned(),
        auth: None,
        signing_secrets: signers.sealed(&app.keyring, owner),
        timeout_s: TIMEOUT_S,
        retry: None,
        settings: destination::settings_column(&Settings::default()),
        tls: None,
        tls_key: None,
        state: State::Active.to_string(),
        state_reason: None,
        state_since: now,
        key: keyed::column(body.key),
        version: 1,
        created_at: now,
    };
    body.settings.write(app, &mut row)?;
    let signers = Signers::open(&app.keyring, &row)?;
    Ok((row, signers))
}

/// A destination as a PUT has it: what the body does not say is as in a new one. What is sealed stays as it is where it
/// says the same, so that one which is so already is equal.
pub(super) fn put(app: &App, row: &destination::Model, body: NewDestination) -> Result<destination::Model, Error> {
    let mut wanted = row.clone();
    wanted.name = body.name;
    wanted.url = checked_url(app, &body.url)?;
    body.settings.whole().write(app, &mut wanted)?;
    Ok(wanted)
}

/// Writes what a PATCH names.
pub(super) fn patch(app: &App, row: &mut destination::Model, body: DestinationPatch) -> Result<(), Error> {
    set(&mut row.name, body.name, NAME)?;
    if !body.url.is_undefined() {
        let before = row.url.clone();
        set(&mut row.url, body.url, "/url")?;
        row.url = checked_url(app, &row.url)?;
        let keeps_a_secret = row.auth.is_some() && body.settings.auth.is_undefined();
        if keeps_a_secret && !is_same_origin(&before, &row.url) {
            return Err(Error::field("/auth", SECRET_STAYS));
        }
    }
    body.settings.write(app, row)
}

/// A secret that is never read back must not be read by sending it elsewhere.
const SECRET_STAYS: &str = "the URL names another host, port or scheme: say what authenticates there; what is secret is \
    kept only for the old one";

fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |url: &str| Url::parse(url).map(|url| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

/// The URL as it is kept, if the guard lets deliveries go there. It is judged again at each attempt.
fn checked_url(app: &App, url: &str) -> Result<String, Error> {
    let checked = app.guard.check_url(url).map_err(|refusal| Error::field("/url", refusal.to_string()))?;
    Ok(checked.into())
}

impl DestinationSettings {
    /// What is not said is said to be as usual.
    fn whole(self) -> Self {
        Self {
            auth: or_null(self.auth),
            signing: or_null(self.signing),
            headers: or_null(self.headers),
            timeout_s: or_null(self.timeout_s),
            retry: or_null(self.retry),
            rate_limit: or_null(self.rate_limit),
            max_in_flight: or_null(self.max_in_flight),
            order: or_null(self.order),
            tls: or_null(self.tls),
            keep_responses: or_null(self.keep_responses),
            operational: or_null(self.operational),
        }
    }

    /// Writes what was said; null brings back what is so unless said otherwise.
    fn write(self, app: &App, row: &mut destination::Model) -> Result<(), Error> {
        let (owner, mut settings) = ((row.tenant(), row.id()), row.settings()?);
        if let Some(said) = told(self.auth) {
            let auth = auth::checked(app, said)?;
            let says_the_same = destination::open_auth(&app.keyring, row).is_ok_and(|present| present.is(&auth));
            if !says_the_same {
                (row.auth_kind, row.auth) = destination::sealed_auth(&app.keyring, owner, &auth);
            }
        }
        if let Some(signing) = told(self.signing) {
            let before = std::mem::replace(&mut settings.signing, signing.map(Into::into).unwrap_or_default());
            if before.v1a != settings.signing.v1a {
                let mut signers = Signers::open(&app.keyring, row).map_err(unreadable)?;
                signers.set_v1a(settings.signing.v1a);
                row.signing_secrets = signers.sealed(&app.keyring, owner);
            }
        }
        if let Some(headers) = told(self.headers) {
            settings.headers = custom_headers(headers.unwrap_or_default())?;
        }
        set_or(&mut row.timeout_s, self.timeout_s, TIMEOUT_S);
        if let Some(retry) = told(self.retry) {
            row.retry = policy::retry_column(retry)?;
        }
        if let Some(rate) = told(self.rate_limit) {
            settings.rate_per_second = rate.map(|rate| rate.per_second);
        }
        if let Some(most) = told(self.max_in_flight) {
            settings.max_in_flight = most;
        }
        if let Some(order) = told(self.order) {
            settings.order = order.map(Order::meant).transpose()?.unwrap_or_default();
        }
        if let Some(tls) = told(self.tls) {
            write_tls(app, row, tls)?;
        }
        set_or(&mut settings.keep_responses, self.keep_responses, false);
        set_or(&mut settings.operational, self.operational, false);
        row.settings = destination::settings_column(&settings);
        Ok(())
    }
}

/// Another process may have the key that is not here; what is damaged stays so until somebody replaces it.
fn unreadable(error: OpenError) -> Error {
    match error {
        OpenError::UnknownKey(_) => error.into(),
        OpenError::Malformed | OpenError::Tampered => Error::Conflict(
            "The destination's secrets are damaged. Replace them first: POST to its /secrets.".to_owned(),
        ),
    }
}

fn custom_headers(said: BTreeMap<String, String>) -> Result<BTreeMap<String, Template>, Error> {
    let mut headers = BTreeMap::new();
    for (name, value) in said {
        let refused = |why: String| Error::field(join("/headers", &name), why);
        let custom: CustomName = name.parse().map_err(|error| refused(format!("{error}")))?;
        let template: Template = value.parse().map_err(|error| refused(format!("{error}")))?;
        if headers.insert(custom.to_string(), template).is_some() {
            return Err(refused("stands there twice, in another case".to_owned()));
        }
    }
    Ok(headers)
}

fn write_tls(app: &App, row: &mut destination::Model, said: Option<NewTls>) -> Result<(), Error> {
    let NewTls { ca, client_certificate, client_key } =
        said.unwrap_or(NewTls { ca: None, client_certificate: None, client_key: None });
    let identity = match (client_certificate.as_deref(), client_key.as_ref()) {
        (Some(certificate), Some(key)) => Some((certificate, &key.0)),
        (None, None) => None,
        (Some(_), None) => return Err(Error::field("/tls/client_key", "is missing: a certificate needs its key")),
        (None, Some(_)) => {
            return Err(Error::field("/tls/client_certificate", "is missing: a key needs its certificate"));
        }
    };
    ClientTls::parse(ca.as_deref(), identity).map_err(|error| {
        let pointer = match error {
            TlsError::Ca(_) => "/tls/ca",
            TlsError::Certificate(_) => "/tls/client_certificate",
            TlsError::Key(_) => "/tls/client_key",
        };
        Error::field(pointer, error.to_string())
    })?;
    let says_the_same = match (destination::open_tls_key(&app.keyring, row), &client_key) {
        (Ok(Some(present)), Some(key)) => equal(present.expose_secret().as_bytes(), key.0.expose_secret().as_bytes()),
        _ => false,
    };
    if !says_the_same {
        row.tls_key = client_key.map(|key| sealed_tls_key(&app.keyring, (row.tenant(), row.id()), &key.0));
    }
    row.tls = destination::tls_column(&destination::Tls { ca, client_certificate });
    Ok(())
}
