//! What the audit log says of a change that was made at the command line: as of one through the admin API, by the
//! operator.

use api::wire::Thing;
use entity::audit;
use relay::id::{AuditId, Id, TenantId};
use serde_json::Value;

/// This was done to this thing, which belongs to this tenant if to any. `before` and `after` are as the admin API shows
/// it.
pub(crate) fn row<K: Thing>(
    (action, id, tenant): (&str, Id<K>, Option<TenantId>),
    (before, after): (Option<Value>, Option<Value>),
    now: i64,
) -> audit::Model {
    audit::Model {
        id: AuditId::at(now).uuid(),
        tenant_id: tenant.map(Id::uuid),
        at: now,
        actor: None,
        action: action.to_owned(),
        object: K::OBJECT.to_owned(),
        object_id: id.uuid(),
        before: before.map(|shown| shown.to_string()),
        after: after.map(|shown| shown.to_string()),
        request_id: Id::<api::request::Asked>::at(now).to_string(),
        remote_address: None,
    }
}
