//! What a tenant says about a source, as its row.

use entity::source;
use relay::egress::Refusal;
use relay::id::SourceId;
use relay::preset::{self, Preset};

use super::super::{NAME, keyed, set, set_or};
use super::{NewSource, SourcePatch, Verification, settings};
use crate::auth::Access;
use crate::error::Error;

/// A new source, made at `now`.
pub(super) fn new(access: &Access, now: i64, body: NewSource) -> Result<source::Model, Error> {
    let preset = known(&body.provider)?;
    if std::ptr::eq(preset, preset::BUILT_IN) {
        let told = "has one source in each tenant, which is built in: the last of the tenant's sources";
        return Err(Error::field("/provider", told));
    }
    let verification = verification(preset, body.verification.as_ref())?;
    check_reach(access, &verification)?;
    let mut settings = source::Settings { ip_allowlist: settings::published(preset), ..source::Settings::default() };
    body.settings.write(&mut settings)?;
    Ok(source::Model {
        tenant_id: access.id().uuid(),
        id: SourceId::at(now).uuid(),
        name: body.name,
        provider: body.provider,
        verification: source::verification_column(&verification),
        enabled: body.enabled.unwrap_or(true),
        settings: source::settings_column(&settings),
        key: keyed::column(body.key),
        version: 1,
        created_at: now,
    })
}

/// A source as a PUT has it: like a new one that was told the same.
pub(super) fn put(access: &Access, row: &source::Model, body: NewSource) -> Result<source::Model, Error> {
    if body.provider != row.provider {
        return Err(keyed::fixed("/provider", &row.provider));
    }
    let source::Model { id, key, version, created_at, .. } = row.clone();
    Ok(source::Model { id, key, version, created_at, ..new(access, created_at, body)? })
}

/// Writes what a PATCH names.
pub(super) fn patch(access: &Access, row: &mut source::Model, body: SourcePatch) -> Result<(), Error> {
    set(&mut row.name, body.name, NAME)?;
    set_or(&mut row.enabled, body.enabled, true);
    if !body.verification.is_undefined() {
        let verification = verification(known(&row.provider)?, body.verification.take().as_ref())?;
        check_reach(access, &verification)?;
        row.verification = source::verification_column(&verification);
    }
    let mut settings = row.settings()?;
    body.settings.write(&mut settings)?;
    row.settings = source::settings_column(&settings);
    Ok(())
}

fn known(provider: &str) -> Result<&'static Preset, Error> {
    let names = || preset::all().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
    let unknown = || Error::field("/provider", format!("is no provider that is known: one of {}", names()));
    preset::find(provider).ok_or_else(unknown)
}

/// What was said, or else what the provider does; nothing is never taken for granted.
fn verification(preset: &Preset, said: Option<&Verification>) -> Result<source::Verification, Error> {
    let must_say = || {
        let detail = format!(
            "must be said for the provider `{}`: `{{\"kind\": \"none\"}}` (the URL is the only secret), `{{\"kind\": \"credentials\"}}`, or how requests are signed",
            preset.name
        );
        Error::field("/verification", detail)
    };
    let said = match said {
        Some(said) => said.meant()?,
        None => preset.default_verification().ok_or_else(must_say)?,
    };
    if said == (source::Verification::Provider {}) && preset.default_verification().is_none() {
        return Err(must_say());
    }
    Ok(said)
}

/// Refuses an address that the guard keeps the relay from. It is judged again at each fetch.
fn check_reach(access: &Access, verification: &source::Verification) -> Result<(), Error> {
    let source::Verification::Jwt(jwt) = verification else { return Ok(()) };
    let refused = |refusal: Refusal| Error::field("/verification/jwks_url", refusal.to_string());
    access.app().guard.check_url(&jwt.jwks_url).map(drop).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_proves_nothing_must_be_told_what_to_demand() {
        use source::Verification::{Credentials, None as Nothing, Provider};
        for (provider, said, result) in [
            ("ondato", None, Ok(Credentials {})),
            ("ondato", Some(Nothing {}), Ok(Nothing {})),
            ("stripe", None, Ok(Provider {})),
            ("waldo", Some(Nothing {}), Ok(Nothing {})),
            ("generic", Some(Credentials {}), Ok(Credentials {})),
            ("waldo", None, Err("/verification")),
            ("generic", None, Err("/verification")),
            ("generic", Some(Provider {}), Err("/verification")),
            ("acme", Some(Nothing {}), Err("/provider")),
        ] {
            let said = said.map(|said| Verification::show(&said).unwrap());
            let found =
                known(provider).and_then(|preset| verification(preset, said.as_ref())).map_err(|error| match error {
                    Error::Invalid(troubles) => troubles[0].pointer.clone().unwrap(),
                    other => panic!("{other}"),
                });
            assert_eq!(found, result.map_err(str::to_owned), "{provider}");
        }
    }
}
