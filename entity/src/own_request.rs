//! The ids of requests that tenants made of providers themselves, kept for as long as events may answer to them.

use relay::id::{SourceId, TenantId};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use uuid::Uuid;

use crate::partition::DAY_MS;

/// 7 days: what a provider tells of a request later than that is news to the tenant all the same.
pub const WINDOW_MS: i64 = 7 * 86_400_000;

/// Where the same id is registered again, its days begin anew.
const REGISTER_ON_POSTGRES: &str = "
INSERT INTO own_request (tenant_id, key, expires_at)
SELECT $1, key, $3 FROM unnest($2::bytea[]) AS given(key)
ON CONFLICT (tenant_id, key) DO UPDATE SET expires_at = excluded.expires_at";

/// `WHERE true`, or SQLite would take `ON CONFLICT` for the condition of a join.
const REGISTER_ON_SQLITE: &str = "
INSERT INTO own_request (tenant_id, key, expires_at)
SELECT $1, unhex(value), $3 FROM json_each($2) WHERE true
ON CONFLICT (tenant_id, key) DO UPDATE SET expires_at = excluded.expires_at";

/// Each by its key: by the time (`+ 0`) PostgreSQL might read everybody's, and by both keys at once all of the tenant's.
const IS_OWN: &str = "
SELECT 1 FROM own_request WHERE tenant_id = $1 AND key = $2 AND expires_at + 0 > $4
UNION ALL SELECT 1 FROM own_request WHERE tenant_id = $1 AND key = $3 AND expires_at + 0 > $4";

/// The row is locked until the transaction ends, so that nobody counts beside it.
const COUNT: &str = "
INSERT INTO own_request_day (tenant_id, day, registered) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, day) DO UPDATE SET registered = own_request_day.registered + excluded.registered";

const COUNTED: &str =
    "SELECT CAST(coalesce(sum(registered), 0) AS bigint) FROM own_request_day WHERE tenant_id = $1 AND day >= $2";

const FORGET_DAYS: &str = "DELETE FROM own_request_day WHERE day < $1";

const FORGET: &str = "DELETE FROM own_request WHERE (tenant_id, key) IN
    (SELECT tenant_id, key FROM own_request WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1000)";

/// A tenant's requests that were made `now`, of the provider behind a source, or of whichever. All in one statement;
/// says how many different ones they are.
pub async fn register(
    txn: &impl ConnectionTrait,
    tenant: TenantId,
    source: Option<SourceId>,
    ids: &[String],
    now: i64,
) -> Result<usize, DbErr> {
    let mut keys: Vec<_> = ids.iter().map(|id| key(source, id)).collect();
    // In order, or rival batches deadlock; and once each, since no statement writes a row twice.
    keys.sort_unstable();
    keys.dedup();
    let backend = txn.get_database_backend();
    let (text, given) = match backend {
        DbBackend::Sqlite => (REGISTER_ON_SQLITE, hex_array(&keys).into()),
        _ => (REGISTER_ON_POSTGRES, bytes_array(&keys)),
    };
    let values: [Value; 3] = [tenant.uuid().into(), given, (now + WINDOW_MS).into()];
    txn.execute_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    Ok(keys.len())
}

/// Adds what a tenant registers `now` to what it has registered, and says how many that makes: today and in the 7 days
/// before, so never fewer than there are. One that is registered twice counts twice.
pub async fn count(txn: &impl ConnectionTrait, tenant: TenantId, more: usize, now: i64) -> Result<u64, DbErr> {
    let backend = txn.get_database_backend();
    let (tenant, more) = (Value::from(tenant.uuid()), i64::try_from(more).unwrap_or(i64::MAX));
    let values: [Value; 3] = [tenant.clone(), (now / DAY_MS).into(), more.into()];
    txn.execute_raw(Statement::from_sql_and_values(backend, COUNT, values)).await?;
    let read = Statement::from_sql_and_values(backend, COUNTED, [tenant, first_day(now).into()]);
    let row = txn.query_one_raw(read).await?.ok_or_else(|| DbErr::Custom("a sum without a row".into()))?;
    Ok(row.try_get_by_index::<i64>(0)?.unsigned_abs())
}

/// The oldest day of which anything is kept.
fn first_day(now: i64) -> i64 {
    (now - WINDOW_MS) / DAY_MS
}

/// Whether the tenant registered this request within the last 7 days, for this source or for all.
pub async fn is_own(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    source: Option<SourceId>,
    id: &str,
    now: i64,
) -> Result<bool, DbErr> {
    let keys = [source, None].map(|source| Value::from(key(source, id).to_vec()));
    let [here, anywhere] = keys;
    let values: [Value; 4] = [tenant.uuid().into(), here, anywhere, now.into()];
    let read = Statement::from_sql_and_values(db.get_database_backend(), IS_OWN, values);
    Ok(db.query_one_raw(read).await?.is_some())
}

/// Forgets what expired before `now`, a bounded step; says how many it forgot.
pub async fn forget(db: &impl ConnectionTrait, now: i64) -> Result<u64, DbErr> {
    let days = Statement::from_sql_and_values(db.get_database_backend(), FORGET_DAYS, [first_day(now).into()]);
    db.execute_raw(days).await?;
    let statement = Statement::from_sql_and_values(db.get_database_backend(), FORGET, [now.into()]);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

/// The first 16 bytes of SHA-256 of source and id: an id may be longer than an index row. The nil id, which no source
/// has, stands for all sources.
fn key(source: Option<SourceId>, id: &str) -> [u8; 16] {
    let source = source.map_or(Uuid::nil(), relay::id::Id::uuid);
    let whole = relay::secret::fingerprint(&[source.as_bytes(), id.as_bytes()].concat());
    let mut key = [0; 16];
    key.copy_from_slice(&whole[..16]);
    key
}

fn bytes_array(keys: &[[u8; 16]]) -> Value {
    let values = keys.iter().map(|key| key.to_vec().into()).collect();
    Value::Array(ArrayType::Bytes, Some(Box::new(values)))
}

fn hex_array(keys: &[[u8; 16]]) -> String {
    let hex: Vec<_> = keys.iter().map(|key| format!("{:032x}", u128::from_be_bytes(*key))).collect();
    serde_json::to_string(&hex).expect("strings serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_source_s_and_one_id_s() {
        let [here, there] = [1, 2].map(SourceId::at);
        let keys = [key(None, "a"), key(Some(here), "a"), key(Some(there), "a"), key(Some(here), "b")];
        for (place, one) in keys.iter().enumerate() {
            assert!(!keys[place + 1..].contains(one), "{place}");
        }
        assert_eq!(key(Some(here), "a"), keys[1]);
    }

    #[test]
    fn hex_keeps_the_zeroes_in_front() {
        let mut key = [0; 16];
        key[1] = 0xab;
        assert_eq!(hex_array(&[key]), r#"["00ab0000000000000000000000000000"]"#);
    }
}
