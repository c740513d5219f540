//! Whether a request presents a credential of the source: a password, a key, or a token of our token server.

use entity::credential::{self, Kind};
use entity::source::Configured;
use poem::http::HeaderMap;
use relay::id::CredentialId;
use relay::password::{Overloaded, Stored};

mod challenge;
mod presented;
mod unproven;

use presented::Authorization;
use unproven::Cause;
pub(crate) use unproven::Unproven;

use super::refusal::Refusal;
use crate::app::App;

/// Lets a request through that presents any live basic, `oauth2_client`, `api_key` or bearer credential, and says which.
pub(super) async fn check(app: &App, source: &Configured, headers: &HeaderMap) -> Result<CredentialId, Refusal> {
    let now = app.clock.now();
    let authorization = Authorization::of(headers);
    match proven(app, source, (headers, &authorization), now).await? {
        Verdict::Live(used) => Ok(used.id()),
        Verdict::Not(cause) => Err(Refusal::Unauthorized(Unproven::credential(cause, source, now))),
    }
}

/// The headers that hold keys of the source, live or not.
pub(super) fn key_headers(source: &Configured) -> Vec<&str> {
    let keys = source.credentials.iter().filter(|row| row.is(Kind::ApiKey));
    keys.filter_map(|row| row.name.as_deref()).collect()
}

/// What became of looking.
enum Verdict<'a> {
    Live(&'a credential::Model),
    Not(Cause),
}

/// A credential and what was presented for it.
type Candidate<'a, 'b> = (&'a credential::Model, &'b [u8]);

async fn proven<'a>(
    app: &App,
    source: &'a Configured,
    (headers, authorization): (&HeaderMap, &Authorization),
    now: i64,
) -> Result<Verdict<'a>, Refusal> {
    if let Authorization::Bearer(token) = authorization
        && let Some(verdict) = by_token(app, source, token, now).await?
    {
        return Ok(verdict);
    }
    let mut candidates: Vec<Candidate<'a, '_>> = Vec::new();
    for row in &source.credentials {
        candidates.extend(authorization.secret_for(row, headers).map(|secret| (row, secret)));
    }
    // The live ones first: of two with the same secret, the ended one is not the one that was meant.
    let (live, ended): (Vec<_>, Vec<_>) = candidates.iter().copied().partition(|(row, _)| row.is_live(now));
    if let Some(row) = matching(app, &live, now).await? {
        return Ok(Verdict::Live(row));
    }
    if matching(app, &ended, now).await?.is_some() {
        return Ok(Verdict::Not(Cause::Expired));
    }
    if let Authorization::Basic(_, password) = authorization {
        as_slow_as_a_check(app, source, &candidates, password).await?;
    }
    Ok(Verdict::Not(cause(source, headers, authorization, now)))
}

/// By the client whose token it is, if the source has clients and it is a token of ours at all.
async fn by_token<'a>(
    app: &App,
    source: &'a Configured,
    token: &[u8],
    now: i64,
) -> Result<Option<Verdict<'a>>, Refusal> {
    if !source.credentials.iter().any(|row| row.is(Kind::Oauth2Client)) {
        return Ok(None);
    }
    let Some(grant) = app.tokens.find(&app.db, token).await.map_err(Refusal::away)? else { return Ok(None) };
    let is_ours = grant.tenant == source.source.tenant() && grant.source == source.source.id() && grant.is_live(now);
    let is_its = |row: &&credential::Model| is_ours && row.id() == grant.credential && row.is_live(now);
    let client = source.credentials.iter().find(is_its);
    Ok(Some(client.map_or(Verdict::Not(Cause::TokenInvalid), Verdict::Live)))
}

/// The first candidate whose secret was presented. What needs no slow hash is asked of all of them before.
async fn matching<'a>(
    app: &App,
    candidates: &[Candidate<'a, '_>],
    now: i64,
) -> Result<Option<&'a credential::Model>, Refusal> {
    let stored = |row: &credential::Model| row.stored.parse::<Stored>().ok();
    let known = |(row, secret): &&Candidate<'a, '_>| {
        stored(row).is_some_and(|stored| app.passwords.knows(&stored, secret, now) == Some(true))
    };
    if let Some((row, _)) = candidates.iter().find(known) {
        return Ok(Some(row));
    }
    for (row, secret) in candidates {
        let Some(stored) = stored(row) else { continue };
        if app.passwords.verify(row.tenant_id, &stored, secret, now).await.map_err(busy)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Where some password takes long to check, every refusal does, so that names cannot be told by time.
async fn as_slow_as_a_check(
    app: &App,
    source: &Configured,
    candidates: &[Candidate<'_, '_>],
    password: &[u8],
) -> Result<(), Refusal> {
    let is_slow = |row: &credential::Model| matches!(row.stored.parse(), Ok(Stored::Argon2id(_)));
    let hashed = candidates.iter().any(|(row, _)| is_slow(row));
    if !hashed && source.credentials.iter().any(|row| row.is(Kind::Basic) && is_slow(row)) {
        app.passwords.decoy(source.source.tenant_id, password).await.map_err(busy)?;
    }
    Ok(())
}

/// Never "wrong" for our own load: the provider would think its password wrong.
fn busy(_: Overloaded) -> Refusal {
    Refusal::Busy
}

fn cause(source: &Configured, headers: &HeaderMap, authorization: &Authorization, now: i64) -> Cause {
    let has_live = |kinds: &[Kind]| {
        source.credentials.iter().any(|row| row.is_live(now) && kinds.iter().any(|kind| row.is(*kind)))
    };
    match authorization {
        _ if !has_live(&[Kind::Basic, Kind::Oauth2Client, Kind::ApiKey, Kind::Bearer]) => Cause::NoCredential,
        Authorization::Bearer(_) if has_live(&[Kind::Bearer, Kind::Oauth2Client]) => Cause::TokenInvalid,
        Authorization::None if !key_headers(source).iter().any(|name| headers.contains_key(*name)) => Cause::Missing,
        _ => Cause::Wrong,
    }
}
