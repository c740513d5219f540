//! Who a request is from, found out once and before anything else is done with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entity::api_key;
use poem::Request;
use poem::http::header;
use relay::id::ApiKeyId;
use relay::secret::{equal, fingerprint};

use super::{Caller, Reach, Scopes};
use crate::app::App;
use crate::error::Error;
use crate::last_used::{LastUsed, Used};
use crate::limiter::Limiter;
use crate::request::Facts;

/// What is known of a caller. Goes along with the request.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Known(Box<Caller>),
    /// No key, or none that is good.
    Stranger,
    /// Too many keys that are none came from there: when the next is looked up.
    Guessing(Arc<str>, Duration),
    /// Our own fault, and never a 401.
    Undetermined(Arc<dyn std::error::Error + Send + Sync>),
}

/// The fingerprint of what was presented, which is nobody's business.
#[derive(Clone, Copy)]
pub(super) struct Presented([u8; 32]);

impl fmt::Debug for Presented {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("…")
    }
}

/// What it takes to find out.
pub(crate) struct Doorkeeper<'a> {
    pub(crate) app: &'a App,
    pub(crate) uses: &'a LastUsed,
    pub(crate) limiter: &'a Limiter,
}

impl Identity {
    /// The caller that the request proves.
    pub(crate) fn caller(&self) -> Result<Caller, Error> {
        match self {
            Self::Known(caller) => Ok((**caller).clone()),
            Self::Stranger => Err(Error::Unauthenticated),
            Self::Guessing(why, wait) => Err(Error::TooMany { why: why.to_string(), wait: *wait }),
            Self::Undetermined(cause) => Err(Error::Unavailable(Box::new(Arc::clone(cause)))),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// The database did not answer in time.
    pub(crate) fn late() -> Self {
        Self::Undetermined(Box::<dyn std::error::Error + Send + Sync>::from("there was no answer in time").into())
    }
}

impl Doorkeeper<'_> {
    /// Who a request is from.
    pub(crate) async fn identify(&self, request: &Request, facts: &Arc<Facts>) -> Identity {
        let Some(presented) = bearer(request).map(|key| fingerprint(key.as_bytes())) else { return Identity::Stranger };
        let asked = Asked { app: self.app, facts, presented: Presented(presented) };
        if let Some(operator) = asked.operator() {
            return Identity::Known(Box::new(operator));
        }
        match self.look_up(presented, facts).await {
            Ok(Some(key)) => Identity::Known(Box::new(asked.holder_of(&key))),
            Ok(None) => Identity::Stranger,
            Err(Error::TooMany { why, wait }) => Identity::Guessing(why.into(), wait),
            Err(Error::Unavailable(cause)) => Identity::Undetermined(cause.into()),
            Err(other) => Identity::Undetermined(Arc::new(other)),
        }
    }

    /// The key that was presented, if it is live. One that is known costs nothing to look up, whoever else is at the
    /// same address.
    async fn look_up(&self, presented: [u8; 32], facts: &Facts) -> Result<Option<Arc<api_key::Model>>, Error> {
        let (address, boot, now) = (facts.remote_address, self.app.clock.boot(), self.app.clock.now());
        let configuration = &self.app.configuration;
        if !configuration.is_known_api_key(presented) {
            self.limiter.may_guess(address, boot)?;
        }
        let live = live(self.app, presented).await?;
        match &live {
            Some(key) => self.uses.note(Used::ApiKey(key.id()), key.last_used_at, now),
            None => self.limiter.guessed(address, boot),
        }
        Ok(live)
    }
}

impl Caller {
    /// Whoever presented this, as that is by now.
    pub(super) async fn again(&self) -> Result<Self, Error> {
        let asked = Asked { app: &self.app, facts: &self.facts, presented: self.presented };
        if let Some(operator) = asked.operator() {
            return Ok(operator);
        }
        let key = live(&self.app, self.presented.0).await?.ok_or(Error::Unauthenticated)?;
        Ok(asked.holder_of(&key))
    }
}

/// Something was presented.
struct Asked<'a> {
    app: &'a App,
    facts: &'a Arc<Facts>,
    presented: Presented,
}

impl Asked<'_> {
    fn operator(&self) -> Option<Caller> {
        let is_operator = self.app.operator_key.is_some_and(|operator| equal(&operator, &self.presented.0));
        is_operator.then(|| self.caller(None, None, Reach::Operator))
    }

    fn holder_of(&self, key: &api_key::Model) -> Caller {
        let tenant = |tenant| Reach::Tenant(tenant, Scopes::read(&key.scopes));
        self.caller(Some(key.id()), key.expires_at, key.tenant().map_or(Reach::Operator, tenant))
    }

    fn caller(&self, key: Option<ApiKeyId>, expires_at: Option<i64>, reach: Reach) -> Caller {
        let (app, facts) = (self.app.clone(), Arc::clone(self.facts));
        Caller { app, facts, key, expires_at, reach, presented: self.presented }
    }
}

/// The key of this fingerprint, if it is live.
async fn live(app: &App, presented: [u8; 32]) -> Result<Option<Arc<api_key::Model>>, Error> {
    let found = app.configuration.api_key(presented).await.map_err(|error| Error::Unavailable(error.into()))?;
    let now = app.clock.now();
    Ok(found.filter(|key| key.expires_at.is_none_or(|at| at > now)))
}

/// What stands behind `Bearer`, whose case does not matter (RFC 9110, 11.1).
fn bearer(request: &Request) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    // Two of them are none: whoever stands before us may have looked at the other.
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_behind_bearer_in_any_case() {
        for (value, key) in [
            ("Bearer k", Some("k")),
            ("bearer k", Some("k")),
            ("BEARER  k ", Some("k")),
            ("Bearer", None),
            ("Basic k", None),
            ("k", None),
        ] {
            let request = Request::builder().header("authorization", value).finish();
            assert_eq!(bearer(&request), key, "{value}");
        }
        assert_eq!(bearer(&Request::default()), None);
    }
}
