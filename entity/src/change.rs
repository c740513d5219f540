//! The numbered log of configuration changes that every process follows, so that a change holds everywhere within 1 s.

use relay::id::{DestinationId, EventId, SourceId, TenantId};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement, Value};

/// What was changed, and so which cached entry is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// The API key whose fingerprint this is.
    ApiKey([u8; 32]),
    /// The source key whose fingerprint this is: made, rotated or gone.
    SourceKey([u8; 32]),
    /// A source itself or one of its credentials.
    Source(SourceId),
    /// Any subscription of this tenant.
    Subscriptions(TenantId),
    /// A destination's settings or state.
    Destination(DestinationId),
    /// What came with this event was erased.
    Payload(EventId),
    /// A tenant is being erased: all that it had.
    Tenant(TenantId),
}

impl Changed {
    fn kind(self) -> i16 {
        match self {
            Self::ApiKey(_) => 0,
            Self::SourceKey(_) => 1,
            Self::Source(_) => 2,
            Self::Subscriptions(_) => 3,
            Self::Destination(_) => 4,
            Self::Payload(_) => 5,
            Self::Tenant(_) => 6,
        }
    }

    fn key(self) -> Vec<u8> {
        match self {
            Self::ApiKey(hash) | Self::SourceKey(hash) => hash.to_vec(),
            Self::Source(id) => id.uuid().as_bytes().to_vec(),
            Self::Subscriptions(id) | Self::Tenant(id) => id.uuid().as_bytes().to_vec(),
            Self::Destination(id) => id.uuid().as_bytes().to_vec(),
            Self::Payload(id) => id.uuid().as_bytes().to_vec(),
        }
    }

    /// None for a kind that a newer version wrote.
    fn read(kind: i16, key: &[u8]) -> Option<Self> {
        let id = || uuid::Uuid::from_slice(key).ok();
        Some(match kind {
            0 => Self::ApiKey(key.try_into().ok()?),
            1 => Self::SourceKey(key.try_into().ok()?),
            2 => Self::Source(id()?.into()),
            3 => Self::Subscriptions(id()?.into()),
            4 => Self::Destination(id()?.into()),
            5 => Self::Payload(id()?.into()),
            6 => Self::Tenant(id()?.into()),
            _ => return None,
        })
    }
}

/// Rule C: takes the numbers under the row lock of `change_head`, inside the transaction that changes something. Call it
/// last, so that the lock is held as short as can be.
pub async fn record(txn: &DatabaseTransaction, changes: &[Changed], now: i64) -> Result<(), DbErr> {
    let backend = txn.get_database_backend();
    let take = "UPDATE change_head SET n = n + $1 RETURNING n";
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let row = txn.query_one_raw(Statement::from_sql_and_values(backend, take, [count.into()])).await?;
    let last: i64 = row.ok_or_else(|| DbErr::RecordNotFound("change_head".into()))?.try_get_by_index(0)?;
    for (n, change) in (last - count + 1..).zip(changes) {
        let values: [Value; 4] = [n.into(), change.kind().into(), change.key().into(), now.into()];
        let insert = "INSERT INTO change (n, kind, key, at) VALUES ($1, $2, $3, $4)";
        txn.execute_raw(Statement::from_sql_and_values(backend, insert, values)).await?;
    }
    Ok(())
}

/// What has changed since number `after`.
#[derive(Debug)]
pub enum News {
    /// These, in order, up to this number. A change of an unknown kind is None: everything may be stale.
    Changes(Vec<Option<Changed>>, i64),
    /// The log no longer reaches back so far: everything may be stale as of this number.
    Everything(i64),
}

/// Changes read at a time.
pub(crate) const PAGE: usize = 1000;

/// The changes after number `after`, oldest first, at most 1,000 of them.
pub async fn since(db: &impl ConnectionTrait, after: i64) -> Result<News, DbErr> {
    // Twice: a change may be committed between the look at the log and the look at its head.
    for _ in 0..2 {
        let page = page(db, after).await?;
        if page.is_empty() && head(db).await? == after {
            return Ok(News::Changes(Vec::new(), after));
        }
        if let Some((last, _)) = page.last() {
            let is_whole = page.iter().zip(after + 1..).all(|((n, _), expected)| *n == expected);
            let (last, changes) = (*last, page.into_iter().map(|(_, changed)| changed).collect());
            return if is_whole { Ok(News::Changes(changes, last)) } else { head(db).await.map(News::Everything) };
        }
    }
    head(db).await.map(News::Everything)
}

async fn page(db: &impl ConnectionTrait, after: i64) -> Result<Vec<(i64, Option<Changed>)>, DbErr> {
    let read = format!("SELECT n, kind, key FROM change WHERE n > $1 ORDER BY n LIMIT {PAGE}");
    let rows =
        db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), read, [after.into()])).await?;
    rows.iter()
        .map(|row| {
            let key: Vec<u8> = row.try_get_by_index(2)?;
            Ok((row.try_get_by_index(0)?, Changed::read(row.try_get_by_index(1)?, &key)))
        })
        .collect()
}

/// The number of the last change.
pub async fn head(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let read = Statement::from_string(db.get_database_backend(), "SELECT n FROM change_head");
    let row = db.query_one_raw(read).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("change_head".into()))?.try_get_by_index(0)
}

/// Forgets changes from before `before`; every process has long seen them, or starts anew.
pub async fn forget(db: &impl ConnectionTrait, before: i64) -> Result<(), DbErr> {
    let delete = "DELETE FROM change WHERE at < $1";
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), delete, [before.into()])).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_reads_back_from_the_log() {
        let id = uuid::Uuid::from_u128(7);
        for changed in [
            Changed::ApiKey([1; 32]),
            Changed::SourceKey([2; 32]),
            Changed::Source(id.into()),
            Changed::Subscriptions(id.into()),
            Changed::Destination(id.into()),
        ] {
            assert_eq!(Changed::read(changed.kind(), &changed.key()), Some(changed));
        }
        assert_eq!(Changed::read(99, id.as_bytes()), None, "a newer version's");
        assert_eq!(Changed::read(2, b"short"), None);
    }
}
