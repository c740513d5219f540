//! Whether a request proves that it comes from the source's provider.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entity::credential;
use entity::source::{Configured, Verification};
use poem::http::HeaderMap;
use poem::http::header::AUTHORIZATION;
use relay::password::{Overloaded, Stored};

use super::refusal::Refusal;
use crate::app::App;
use crate::last_used::{LastUsed, Used};

/// Lets a request through that presents a live credential, or whose source asks for none.
pub(super) async fn check(app: &App, uses: &LastUsed, source: &Configured, headers: &HeaderMap) -> Result<(), Refusal> {
    match source.source.verification() {
        Some(Verification::None) => Ok(()),
        Some(Verification::Credentials) => {
            let used = basic(app, source, headers).await?;
            let place = Used::Credential(source.source.tenant(), source.source.id(), used.id());
            uses.note(place, used.last_used_at, app.clock.now());
            Ok(())
        }
        // A newer version's demand, which this one cannot check.
        None => Err(Refusal::Unauthorized),
    }
}

/// The credential that was presented.
async fn basic<'a>(app: &App, source: &'a Configured, headers: &HeaderMap) -> Result<&'a credential::Model, Refusal> {
    let Some((username, password)) = presented(headers) else { return Err(Refusal::Unauthorized) };
    let now = app.clock.now();
    let is_live =
        |row: &&credential::Model| row.username.as_bytes() == username && row.expires_at.is_none_or(|end| end > now);
    // Never a refusal for our own load: the provider would think its password wrong.
    let busy = |_: Overloaded| Refusal::Busy;
    let mut hashed = false;
    for row in source.credentials.iter().filter(is_live) {
        let Ok(stored) = row.stored.parse::<Stored>() else { continue };
        hashed |= matches!(stored, Stored::Argon2id(_));
        if app.passwords.verify(&stored, &password, now).await.map_err(busy)? {
            return Ok(row);
        }
    }
    // Where some password takes long to check, every refusal does, so that names cannot be told by time.
    let is_slow = |row: &credential::Model| matches!(row.stored.parse(), Ok(Stored::Argon2id(_)));
    if !hashed && source.credentials.iter().any(is_slow) {
        app.passwords.decoy(&password).await.map_err(busy)?;
    }
    Err(Refusal::Unauthorized)
}

/// Name and password of `Authorization: Basic`, as bytes: RFC 7617 leaves their encoding to the sender.
fn presented(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, pair) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut pair = STANDARD.decode(pair.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let password = pair.split_off(colon + 1);
    pair.truncate(colon);
    Some((pair, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons_and_any_bytes() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            presented(&headers)
        };
        let pair = STANDARD.encode(b"u:p:\xff");
        assert_eq!(read(&format!("Basic {pair}")), Some((b"u".to_vec(), b"p:\xff".to_vec())));
        assert_eq!(read(&format!("bASIC {pair}")), Some((b"u".to_vec(), b"p:\xff".to_vec())));
        assert_eq!(read(&format!("Bearer {pair}")), None);
        assert_eq!(read("Basic"), None);
        assert_eq!(read("Basic dQ=="), None);
    }

    #[test]
    fn two_authorizations_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, "Basic dTpw".parse().unwrap());
        headers.append(AUTHORIZATION, "Basic dTpw".parse().unwrap());
        assert_eq!(presented(&headers), None);
    }
}
