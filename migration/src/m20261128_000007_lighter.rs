//! What an event costs less.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Keys expire in the order in which they came, nearly: to find those that did, the range of each run of pages does. An entry
/// for each key cost a hundred bytes of log.
const RANGES: &str = "
DROP INDEX dedupe_expires;
CREATE INDEX dedupe_expires ON dedupe USING brin (expires_at) WITH (autosummarize = on);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_connection().get_database_backend() {
            DbBackend::Postgres => dialect::run(manager, RANGES).await,
            _ => Ok(()),
        }
    }
}
