//! When tenants were last told something, so that they are not told again and again by each process that sees it.

use relay::id::TenantId;
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use uuid::Uuid;

/// Whether a tenant was not told this of a thing of its own since `since`; from now on it was. In the transaction that
/// tells it.
pub async fn claim(
    txn: &impl ConnectionTrait,
    tenant: TenantId,
    (kind, object): (&str, Uuid),
    since: i64,
    now: i64,
) -> Result<bool, DbErr> {
    let text = "INSERT INTO notice (tenant_id, kind, object, told_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, kind, object) DO UPDATE SET told_at = excluded.told_at WHERE notice.told_at < $5";
    let values: [Value; 5] = [tenant.uuid().into(), kind.into(), object.into(), now.into(), since.into()];
    let claimed = txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await?;
    Ok(claimed.rows_affected() > 0)
}

/// A thing is gone, and what was told of it.
pub async fn forget(txn: &impl ConnectionTrait, tenant: TenantId, object: Uuid) -> Result<(), DbErr> {
    let text = "DELETE FROM notice WHERE tenant_id = $1 AND object = $2";
    let values: [Value; 2] = [tenant.uuid().into(), object.into()];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}
