//! Access tokens that our token server issued: what a provider with an OAuth2 client presents. Bound to the client's
//! credential, so that they end with it.

use sea_orm::Statement;
use sea_orm::entity::prelude::*;
use sea_orm::sqlx::{self, Connection};

use crate::Database;
use crate::database::fault;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "access_token")]
pub struct Model {
    /// SHA-256 of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Vec<u8>,
    pub tenant_id: Uuid,
    pub source_id: Uuid,
    pub credential_id: Uuid,
    pub expires_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How long after its end a token is still taken: clocks differ, and requests take time. In milliseconds.
pub const GRACE_MS: i64 = 60_000;

/// The token with this fingerprint, expired or not. A finder without a tenant: the caller compares the source's.
pub async fn find(db: &impl ConnectionTrait, hash: [u8; 32]) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(hash.to_vec()).one(db).await
}

/// Stores tokens that were just made, all or none. Done twice, it is done once.
///
/// On the connections whose commits do not wait for the disk: a token that a crash loses costs its holder one 401 and
/// another token, and providers fetch one before each event.
pub async fn insert(db: &Database, tokens: &[Model]) -> Result<(), DbErr> {
    if db.is_sqlite() { insert_each(db, tokens).await } else { insert_all(db, tokens).await }.map_err(fault)
}

async fn insert_all(db: &Database, tokens: &[Model]) -> Result<(), sqlx::Error> {
    let text = "
        INSERT INTO access_token (hash, tenant_id, source_id, credential_id, expires_at)
        SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[]) ON CONFLICT DO NOTHING";
    macro_rules! column {
        ($token:ident => $value:expr) => {
            tokens.iter().map(|$token| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(text)
        .bind(column!(token => token.hash.as_slice()))
        .bind(column!(token => token.tenant_id))
        .bind(column!(token => token.source_id))
        .bind(column!(token => token.credential_id))
        .bind(column!(token => token.expires_at))
        .execute(db.finish.get_postgres_connection_pool())
        .await
        .map(drop)
}

async fn insert_each(db: &Database, tokens: &[Model]) -> Result<(), sqlx::Error> {
    let text = "
        INSERT INTO access_token (hash, tenant_id, source_id, credential_id, expires_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO NOTHING";
    let mut connection = db.finish.get_sqlite_connection_pool().acquire().await?;
    let mut txn = connection.begin_with("BEGIN IMMEDIATE").await?;
    for token in tokens {
        sqlx::query(text)
            .bind(token.hash.as_slice())
            .bind(token.tenant_id)
            .bind(token.source_id)
            .bind(token.credential_id)
            .bind(token.expires_at)
            .execute(&mut *txn)
            .await?;
    }
    txn.commit().await
}

/// Forgets what nobody takes any more at `now`, a bounded step; says how many it forgot.
pub async fn forget(db: &impl ConnectionTrait, now: i64) -> Result<u64, DbErr> {
    let delete = "DELETE FROM access_token WHERE hash IN
        (SELECT hash FROM access_token WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1000)";
    let ended = now - GRACE_MS;
    let statement = Statement::from_sql_and_values(db.get_database_backend(), delete, [ended.into()]);
    Ok(db.execute_raw(statement).await?.rows_affected())
}
