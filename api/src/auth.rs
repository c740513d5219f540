//! Who asks, and what they may reach. The caller proves the right to the tenant in the path; everything else is found
//! through that tenant.

use std::sync::Arc;

use entity::tenant;
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use relay::id::{ApiKeyId, TenantId};
use relay::secret::{equal, fingerprint};

mod scope;

pub use scope::{Scope, Scopes};

use crate::app::App;
use crate::error::Error;
use crate::last_used::{LastUsed, Used};
use crate::request::Facts;

/// Who asks. The first argument of every handler that needs a key, since arguments are read from left to right.
#[derive(Debug, Clone)]
pub struct Caller {
    pub app: App,
    pub facts: Arc<Facts>,
    /// None for the operator's key that no table holds.
    pub key: Option<ApiKeyId>,
    /// When the key ends.
    pub expires_at: Option<i64>,
    reach: Reach,
}

/// What a key opens.
#[derive(Debug, Clone)]
enum Reach {
    /// Every tenant, everything.
    Operator,
    Tenant(TenantId, Scopes),
}

/// A tenant that the caller may do something with.
#[derive(Debug, Clone)]
pub struct Access {
    pub caller: Caller,
    pub tenant: tenant::Model,
}

impl Access {
    #[must_use]
    pub fn id(&self) -> TenantId {
        self.tenant.id()
    }

    #[must_use]
    pub fn app(&self) -> &App {
        &self.caller.app
    }
}

impl Caller {
    /// The tenant, if the caller may do this with it. Whose tenant it is comes first: a stranger's scopes are no news.
    pub async fn may(self, scope: Scope, tenant: TenantId) -> Result<Access, Error> {
        let access = self.sees(scope, tenant).await?;
        match access.tenant {
            tenant::Model { erased_at: Some(_), .. } => Err(Error::NotFound),
            tenant::Model { erasing_since: Some(_), .. } => {
                Err(Error::Conflict("This tenant is being deleted, with all that it had.".to_owned()))
            }
            _ => Ok(access),
        }
    }

    /// The same of a tenant that may be being deleted, or have been.
    pub async fn sees(self, scope: Scope, tenant: TenantId) -> Result<Access, Error> {
        if let Reach::Tenant(own, _) = self.reach
            && own != tenant
        {
            return Err(Error::NotFound);
        }
        let tenant = tenant::find(&self.app.db.read, tenant).await?.ok_or(Error::NotFound)?;
        if !self.scopes().has(scope) {
            return Err(Error::MissingScope(scope));
        }
        Ok(Access { caller: self, tenant })
    }

    /// The same for what only operators do with a tenant.
    pub async fn operates(self, tenant: TenantId) -> Result<Access, Error> {
        let access = self.may(Scope::Write, tenant).await?;
        access.caller.operator()?;
        Ok(access)
    }

    /// Refuses everybody but operators.
    pub fn operator(&self) -> Result<(), Error> {
        if self.is_operator() { Ok(()) } else { Err(Error::OperatorOnly) }
    }

    #[must_use]
    pub fn is_operator(&self) -> bool {
        matches!(self.reach, Reach::Operator)
    }

    #[must_use]
    pub fn scopes(&self) -> Scopes {
        match self.reach {
            Reach::Operator => Scopes::all(),
            Reach::Tenant(_, scopes) => scopes,
        }
    }
}

/// The caller that the request proves. That it could not be found out is our fault, and never a 401.
pub(crate) async fn authenticate(request: &Request) -> Result<Caller, Error> {
    let missing = || Error::Fault("the front does not hand on what requests need".into());
    let app = request.data::<App>().ok_or_else(missing)?.clone();
    let facts = Arc::clone(request.data::<Arc<Facts>>().ok_or_else(missing)?);
    let presented = fingerprint(bearer(request).ok_or(Error::Unauthenticated)?.as_bytes());
    if app.operator_key.is_some_and(|operator| equal(&operator, &presented)) {
        return Ok(Caller { app, facts, key: None, expires_at: None, reach: Reach::Operator });
    }
    let found = app.configuration.api_key(presented).await.map_err(|error| Error::Unavailable(error.into()))?;
    let now = app.clock.now();
    let key = found.filter(|key| key.expires_at.is_none_or(|at| at > now)).ok_or(Error::Unauthenticated)?;
    if let Some(uses) = request.data::<LastUsed>() {
        uses.note(Used::ApiKey(key.id()), key.last_used_at, now);
    }
    let reach = key.tenant().map_or(Reach::Operator, |tenant| Reach::Tenant(tenant, Scopes::read(&key.scopes)));
    Ok(Caller { app, facts, key: Some(key.id()), expires_at: key.expires_at, reach })
}

/// What stands behind `Bearer`, whose case does not matter (RFC 9110, 11.1).
fn bearer(request: &Request) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    // Two of them are none: whoever stands before us may have looked at the other.
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

const SCHEME: &str = "api_key";

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some("An API key: an operator's reaches every tenant, a tenant's only its own, with scopes."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        authenticate(request).await.map_err(Into::into)
    }
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
