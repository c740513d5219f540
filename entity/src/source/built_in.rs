//! The source that every tenant has built in: what happens to its own destinations. No table holds it; its id is the
//! tenant's own, so that it is there as soon as the tenant is.

use relay::id::{SourceId, TenantId};
use relay::preset;
use relay::verification::Verification;

use super::{Model, Settings, settings_column, verification_column};

/// The id of a tenant's built-in source.
#[must_use]
pub fn id(tenant: TenantId) -> SourceId {
    tenant.uuid().into()
}

/// Whether this is the tenant's built-in source.
#[must_use]
pub fn is(tenant: TenantId, source: SourceId) -> bool {
    source == id(tenant)
}

/// As if a table held it.
pub(super) fn row(tenant: TenantId) -> Model {
    Model {
        tenant_id: tenant.uuid(),
        id: id(tenant).uuid(),
        name: "What happens to destinations".to_owned(),
        provider: preset::BUILT_IN.name.to_owned(),
        verification: verification_column(&Verification::None {}),
        enabled: true,
        settings: settings_column(&Settings::default()),
        key: None,
        version: 1,
        created_at: tenant.millis(),
    }
}
