//! Who asks, and what they may reach. The caller proves the right to the tenant in the path; everything else is found
//! through that tenant.

use std::sync::Arc;

use entity::tenant;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use relay::id::{ApiKeyId, TenantId};
use tokio::sync::OwnedSemaphorePermit;

mod identity;
mod scope;

use identity::Presented;
pub(crate) use identity::{Doorkeeper, Identity};
pub use scope::{Scope, Scopes};

use crate::app::App;
use crate::error::Error;
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
    presented: Presented,
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

    /// Waits until the tenant may search once more: see [`Turns`](crate::turns::Turns).
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.app().turns.take(self.id()).await
    }

    /// The same as it is by now, for answers that take long.
    pub(crate) async fn again(&self, scope: Scope) -> Result<Self, Error> {
        self.caller.again().await?.may(scope, self.id()).await
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
        // Not on a connection that searches are made by.
        let tenant = tenant::find(&self.app.db.steady, tenant).await?.ok_or(Error::NotFound)?;
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

    /// None for operators.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        match self.reach {
            Reach::Operator => None,
            Reach::Tenant(tenant, _) => Some(tenant),
        }
    }

    #[must_use]
    pub fn scopes(&self) -> Scopes {
        match self.reach {
            Reach::Operator => Scopes::all(),
            Reach::Tenant(_, scopes) => scopes,
        }
    }
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
        let missing = || Error::Fault("the front does not hand on what requests need".into());
        let identity = request.data::<Identity>().ok_or_else(missing)?;
        identity.caller().map_err(Into::into)
    }
}
